package replicate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
)

// Whatever clients write wherever and whenever, the same bytes again with other metadata included, and in whatever order the
// events are delivered, repeated and echoed: when all are, the sites hold the same, it is a write that nobody overwrote, and
// nothing is written again.
func TestAnyInterleavingConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := randomFixture(t)
		m := &model{fixture: f, covered: map[string]bool{}, at: map[string]time.Time{}}
		for range rapid.IntRange(1, 8).Draw(t, "writes") {
			m.clientWrite(t)
			for range rapid.IntRange(0, 4).Draw(t, "deliveries") {
				m.deliverOne(t)
			}
		}
		for len(m.pending) > 0 {
			m.deliverOne(t)
		}
		m.checkEqual(t)
	})
}

func randomFixture(t *rapid.T) *fixture {
	options := map[string]siteOptions{}
	for _, site := range []string{"ap", "eu", "us"} {
		options[site] = siteOptions{skew: time.Duration(rapid.IntRange(-1, 1).Draw(t, "skew of "+site)) * time.Second}
	}
	f := newFixture(options)
	if rapid.Bool().Draw(t, "echoes are forgotten") {
		for _, engine := range f.engines {
			engine.IgnoreEchoes = nil
		}
	}
	return f
}

// tellable is the difference in time that the clocks of two sites must show: a second of skew each, and the whole seconds
// that stores tell.
const tellable = 3 * time.Second

// pauses are what may lie between two writes.
var pauses = []time.Duration{0, 0, 400 * time.Millisecond, time.Second, 5 * time.Second}

// maxWrites bounds the writes of one run.
const maxWrites = 12

type delivery struct {
	event  s3mesh.Event
	target string
	times  int
}

type model struct {
	*fixture
	pending []delivery
	writes  int
	covered map[string]bool      // the writes that a client has written over, by their content type
	at      map[string]time.Time // when each was written, by the true clock
	wrote   int
}

func (m *model) clientWrite(t *rapid.T) {
	site := rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "site")
	m.clock.advance(rapid.SampledFrom(pauses).Draw(t, "pause"))
	m.write(t, site, rapid.Bool().Draw(t, "same bytes"))
	m.collect(t)
}

// write writes as a client. Every write has a content type of its own; the bytes may be the same.
func (m *model) write(t *rapid.T, site string, sameBytes bool) {
	if obj, err := m.sites[site].bucket.Head(context.Background(), "k", s3mesh.ReadOptions{}); err == nil {
		m.covered[obj.Attributes.ContentType] = true
	}
	m.writes++
	body := []byte("same")
	if !sameBytes {
		body = fmt.Appendf(nil, "write %d", m.writes)
	}
	attr := s3mesh.Attributes{ContentType: fmt.Sprintf("text/%d", m.writes)}
	m.at[attr.ContentType] = m.clock.now()
	if _, err := m.sites[site].bucket.Application().Put(context.Background(), "k", body, attr); err != nil {
		t.Fatal(err)
	}
}

// collect queues the events that the sites made, some of them twice.
func (m *model) collect(t *rapid.T) {
	for _, ev := range m.takeEvents() {
		for _, link := range m.set.From(ev.Site) {
			m.pending = append(m.pending, delivery{ev, link.Target, rapid.IntRange(1, 2).Draw(t, "times")})
		}
	}
}

func (m *model) deliverOne(t *rapid.T) {
	if len(m.pending) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.pending)-1).Draw(t, "which")
	d := m.pending[i]
	if m.pending[i].times--; m.pending[i].times == 0 {
		m.pending = append(m.pending[:i:i], m.pending[i+1:]...)
	}
	if m.writes < maxWrites && rapid.IntRange(0, 3).Draw(t, "a client writes meanwhile") == 0 {
		sameBytes := rapid.Bool().Draw(t, "same bytes")
		pause := rapid.SampledFrom(pauses).Draw(t, "pause")
		m.sites[d.target].once("PUT", func() {
			m.clock.advance(pause)
			m.write(t, d.target, sameBytes)
		})
	}
	out := m.carry(context.Background(), d.event, d.target)
	m.sites[d.target].on("PUT", nil)
	if out.Err != nil {
		t.Fatalf("%s: %v", out.Task.Link, out.Err)
	}
	if out.Result.Wrote() {
		m.wrote++
	}
	if limit := m.writes * len(m.set.Links); m.wrote > limit {
		t.Fatalf("%d replica writes for %d client writes: the sites never settle", m.wrote, m.writes)
	}
	m.collect(t)
}

func (m *model) checkEqual(t *rapid.T) {
	held := map[string]string{}
	etags := map[string]bool{}
	for name, site := range m.sites {
		obj, err := site.bucket.Head(context.Background(), "k", s3mesh.ReadOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		held[name] = obj.Attributes.ContentType
		etags[obj.ETag] = true
	}
	if held["ap"] != held["eu"] || held["eu"] != held["us"] || len(etags) != 1 {
		t.Fatalf("the sites differ: %v, %v", held, etags)
	}
	if m.covered[held["us"]] {
		t.Fatalf("%q won, though a client had overwritten it", held["us"])
	}
	for write, at := range m.at {
		if !m.covered[write] && at.Sub(m.at[held["us"]]) > tellable {
			t.Fatalf("%q won over %q, which nobody had overwritten and which was written %v later", held["us"], write,
				at.Sub(m.at[held["us"]]))
		}
	}
}
