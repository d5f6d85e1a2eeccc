package replicate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
)

// Whatever clients write wherever, and in whatever order the events are delivered, repeated and echoed: when all are, the
// sites hold the same, it is a write that nobody overwrote, and nothing is written again.
func TestAnyInterleavingConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := randomFixture(t)
		m := &model{fixture: f, covered: map[string]bool{}}
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

type delivery struct {
	event  s3mesh.Event
	target string
	times  int
}

type model struct {
	*fixture
	pending []delivery
	writes  int
	covered map[string]bool // bodies that a client has written over
	wrote   int
}

func (m *model) clientWrite(t *rapid.T) {
	site := rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, "site")
	m.clock.advance(rapid.SampledFrom([]time.Duration{0, 0, 400 * time.Millisecond, time.Second, 3 * time.Second}).Draw(t, "pause"))
	m.writes++
	if _, body, err := m.sites[site].bucket.Get(context.Background(), "k", s3mesh.ReadOptions{}); err == nil {
		m.covered[read(t, body)] = true
	}
	body := fmt.Appendf(nil, "write %d", m.writes)
	_, err := m.sites[site].bucket.Application().Put(context.Background(), "k", body, s3mesh.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	m.collect(t)
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
	out := m.carry(context.Background(), d.event, d.target)
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
	bodies := map[string]string{}
	for name, site := range m.sites {
		_, body, err := site.bucket.Get(context.Background(), "k", s3mesh.ReadOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		bodies[name] = read(t, body)
	}
	if bodies["ap"] != bodies["eu"] || bodies["eu"] != bodies["us"] {
		t.Fatalf("the sites differ: %v", bodies)
	}
	if m.covered[bodies["us"]] {
		t.Fatalf("%q won, though a client had overwritten it", bodies["us"])
	}
}
