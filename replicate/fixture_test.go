package replicate_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
)

var start = time.Unix(1_795_000_000, 0).UTC()

// clock is what every site and replicator of a fixture reads; a site may be skewed against it.
type clock struct {
	mu   sync.Mutex
	time time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
}

// fixture is three sites with their replicators, no queue: the test delivers the events that the sites made.
type fixture struct {
	clock   *clock
	set     s3mesh.ReplicaSet
	sites   map[string]*spy
	echoes  *replicate.Echoes
	engines map[string]*replicate.Replicator

	mu     sync.Mutex
	events []s3mesh.Event
}

type siteOptions struct {
	unversioned bool
	skew        time.Duration
	lacks       s3mesh.Capabilities
}

func newFixture(options map[string]siteOptions) *fixture {
	f := &fixture{clock: &clock{time: start}, sites: map[string]*spy{}, echoes: &replicate.Echoes{},
		engines: map[string]*replicate.Replicator{}}
	var sites []s3mesh.Site
	readers := map[string]s3mesh.Reader{}
	for _, name := range []string{"ap", "eu", "us"} {
		sites = append(sites, s3mesh.Site{Name: name, Bucket: "photos-" + name})
		o := options[name]
		f.sites[name] = newSpy(memstore.NewBucket(memstore.BucketConfig{
			Site: name, Unversioned: o.unversioned, Lacks: o.lacks, Principal: "s3mesh",
			Clock: func() time.Time { return f.clock.now().Add(o.skew) }, OnEvent: f.take,
		}))
		readers[name] = f.sites[name]
	}
	f.set = s3mesh.FullMesh("test", sites...)
	for name, site := range f.sites {
		f.engines[name] = replicate.New(replicate.Config{
			Target: name, Bucket: site, Readers: readers, Capabilities: capabilities(options[name]),
			MaxClockSkew: 2 * time.Second, LargeObject: 8 << 20, Echoes: f.echoes,
			IgnoreEchoes: map[string]bool{"ap": true, "eu": true, "us": true}, Now: f.clock.now,
			Announce: func(_ context.Context, ev s3mesh.Event) error { f.take(ev); return nil },
			Log:      slog.New(slog.DiscardHandler),
		})
	}
	return f
}

// capabilities is what a site has that lacks some.
func capabilities(o siteOptions) s3mesh.Capabilities {
	return s3mesh.Capabilities{Versioned: !o.unversioned, ConditionalPut: !o.lacks.ConditionalPut,
		ConditionalComplete: !o.lacks.ConditionalComplete, ConditionalDelete: !o.lacks.ConditionalDelete}
}

// propagateDeletes has deletes propagated between all sites.
func (f *fixture) propagateDeletes() *fixture {
	for _, engine := range f.engines {
		engine.PropagateDeletes, engine.TombstoneRetention = true, retention
	}
	return f
}

const retention = 30 * 24 * time.Hour

func (f *fixture) take(ev s3mesh.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, ev)
}

// takeEvents returns the events since the last call.
func (f *fixture) takeEvents() []s3mesh.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.events
	f.events = nil
	return taken
}

// put writes as a client, and returns the event.
func (f *fixture) put(t *testing.T, site, key, body string) s3mesh.Event {
	t.Helper()
	f.putAs(t, site, key, body, "text/plain")
	events := f.takeEvents()
	return events[len(events)-1]
}

// putAs writes as a client, and leaves the event.
func (f *fixture) putAs(t *testing.T, site, key, body, contentType string) {
	t.Helper()
	_, err := f.sites[site].bucket.Application().Put(t.Context(), key, []byte(body),
		s3mesh.Attributes{ContentType: contentType, Metadata: map[string]string{"note": "grüße"}})
	if err != nil {
		t.Fatal(err)
	}
}

// carry carries an event over one link, as a first delivery in the live lane.
func (f *fixture) carry(ctx context.Context, ev s3mesh.Event, target string) s3mesh.Outcome {
	return f.engines[target].Replicate(ctx, s3mesh.Task{
		Link: s3mesh.Link{Source: ev.Site, Target: target}, Lane: s3mesh.LaneLive, Event: ev, Attempt: 1})
}

// body returns what a site holds under a key, or "" for nothing.
func (f *fixture) body(t *testing.T, site, key string) string {
	t.Helper()
	_, body, err := f.sites[site].bucket.Get(t.Context(), key, s3mesh.ReadOptions{})
	if err != nil {
		if s3mesh.KindOf(err) == s3mesh.KindNotFound {
			return ""
		}
		t.Fatal(err)
	}
	return read(t, body)
}

// fataler is what the helpers need of *testing.T and *rapid.T.
type fataler interface{ Fatal(args ...any) }

func read(t fataler, body io.Reader) string {
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// spy is a bucket that counts requests, and lets a test act before one or fail it.
type spy struct {
	bucket *memstore.Bucket
	mu     sync.Mutex
	counts map[string]int
	before map[string]func() error // by operation; called once per request
}

func newSpy(b *memstore.Bucket) *spy {
	return &spy{bucket: b, counts: map[string]int{}, before: map[string]func() error{}}
}

func (s *spy) request(op string) error {
	s.mu.Lock()
	s.counts[op]++
	hook := s.before[op]
	s.mu.Unlock()
	if hook != nil {
		return hook()
	}
	return nil
}

// takeCounts returns the requests since the last call.
func (s *spy) takeCounts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := maps.Clone(s.counts)
	clear(s.counts)
	return taken
}

// on has hook called before every request of an operation; nil ends that.
func (s *spy) on(op string, hook func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before[op] = hook
}

// once has hook called before the next request of an operation only.
func (s *spy) once(op string, hook func()) {
	s.on(op, func() error {
		s.on(op, nil)
		hook()
		return nil
	})
}

func (s *spy) Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	if err := s.request("HEAD"); err != nil {
		return s3mesh.Object{}, err
	}
	return s.bucket.Head(ctx, key, opt)
}

func (s *spy) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	if err := s.request("GET"); err != nil {
		return s3mesh.Object{}, nil, err
	}
	return s.bucket.Get(ctx, key, opt)
}

func (s *spy) History(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	if err := s.request("LIST"); err != nil {
		return func(yield func(s3mesh.HistoryEntry, error) bool) { yield(s3mesh.HistoryEntry{}, err) }
	}
	return s.bucket.History(ctx, key)
}

func (s *spy) Put(ctx context.Context, key string, in s3mesh.PutInput) (s3mesh.Written, error) {
	if err := s.request("PUT"); err != nil {
		return s3mesh.Written{}, err
	}
	return s.bucket.Put(ctx, key, in)
}

func (s *spy) Delete(ctx context.Context, key string, opt s3mesh.DeleteOptions) (s3mesh.Written, error) {
	if err := s.request("DELETE"); err != nil {
		return s3mesh.Written{}, err
	}
	return s.bucket.Delete(ctx, key, opt)
}

func (s *spy) BeginUpload(ctx context.Context, key string, attr s3mesh.Attributes) (s3mesh.Upload, error) {
	if err := s.request("BEGIN"); err != nil {
		return nil, err
	}
	upload, err := s.bucket.BeginUpload(ctx, key, attr)
	return &spyUpload{upload, s}, err
}

type spyUpload struct {
	s3mesh.Upload
	spy *spy
}

func (u *spyUpload) PutPart(ctx context.Context, number int, body io.Reader, size int64) (string, error) {
	if err := u.spy.request("PART"); err != nil {
		return "", err
	}
	return u.Upload.PutPart(ctx, number, body, size)
}

func (u *spyUpload) Complete(ctx context.Context, etags []string, cond s3mesh.Condition) (s3mesh.Written, error) {
	if err := u.spy.request("COMPLETE"); err != nil {
		return s3mesh.Written{}, err
	}
	return u.Upload.Complete(ctx, etags, cond)
}

func (u *spyUpload) Abort(ctx context.Context) error {
	return errors.Join(u.spy.request("ABORT"), u.Upload.Abort(ctx))
}

// fault returns an error of a kind at a site.
func fault(kind s3mesh.Kind, site string) error {
	return &s3mesh.Error{Kind: kind, Op: "test", Site: site}
}
