package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/reconcile"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/resolve"
)

// mesh is sites in memory with real replicators and workers.
type mesh struct {
	rng     *rand.Rand
	set     s3mesh.ReplicaSet
	sites   map[string]*memstore.Bucket
	queue   *memstore.Queue
	config  reconcile.Config
	deletes bool
	engines map[string]*replicate.Replicator
	lost    float64 // the share of notifications that are lost

	mu      sync.Mutex
	results map[s3mesh.Result]int
	errs    []error
	writes  int
}

type meshOptions struct {
	sites       int
	deletes     bool // propagated
	unversioned bool
	lost        float64
}

func newMesh(rng *rand.Rand, dir string, opt meshOptions) *mesh {
	m := &mesh{rng: rng, sites: map[string]*memstore.Bucket{}, engines: map[string]*replicate.Replicator{},
		results: map[s3mesh.Result]int{}, deletes: opt.deletes, lost: opt.lost}
	names := []string{"ap", "eu", "us", "za"}[:opt.sites]
	var sites []s3mesh.Site
	readers := map[string]s3mesh.Reader{}
	listed := map[string]reconcile.Site{}
	for _, name := range names {
		sites = append(sites, s3mesh.Site{Name: name, Bucket: name})
		m.sites[name] = memstore.NewBucket(memstore.BucketConfig{Site: name, Unversioned: opt.unversioned, Principal: "s3mesh",
			OnEvent: m.notify})
		readers[name], listed[name] = m.sites[name], m.sites[name]
	}
	m.set = s3mesh.FullMesh("test", sites...)
	m.queue = memstore.NewQueue(m.set)
	echoes := &replicate.Echoes{}
	ignore := map[string]bool{}
	for _, name := range names {
		ignore[name] = true
	}
	capabilities := s3mesh.AllCapabilities()
	capabilities.Versioned = !opt.unversioned
	for _, name := range names {
		m.engines[name] = replicate.New(replicate.Config{Target: name, Bucket: m.sites[name], Readers: readers,
			MaxClockSkew: 2 * time.Second, LargeObject: 8 << 20, Capabilities: capabilities, PropagateDeletes: opt.deletes,
			TombstoneRetention: 30 * 24 * time.Hour, Echoes: echoes, IgnoreEchoes: ignore, Now: time.Now, Log: silent,
			Announce: func(ctx context.Context, ev s3mesh.Event) error { return m.queue.Publish(ctx, s3mesh.LaneLive, ev) }})
	}
	m.config = reconcile.Config{Set: m.set, Sites: listed, Queue: m.queue, PropagateDeletes: opt.deletes,
		MaxClockSkew: 2 * time.Second, LargeObject: 8 << 20, Dir: dir, Log: silent}
	return m
}

var silent = slog.New(slog.DiscardHandler)

// notify publishes what a client's write announces, unless that is lost.
func (m *mesh) notify(ev s3mesh.Event) {
	m.mu.Lock()
	lost := ev.Principal != "" || strings.HasPrefix(ev.Key, s3mesh.ReservedPrefix) || m.rng.Float64() < m.lost
	m.mu.Unlock()
	if lost {
		return
	}
	if err := m.queue.Publish(context.Background(), s3mesh.LaneLive, ev); err != nil {
		panic(err)
	}
}

// clients write, overwrite, change metadata alone, upload in parts, and delete.
func (m *mesh) clients(t *testing.T, n int) {
	t.Helper()
	for range n {
		site := m.set.Sites[m.rng.IntN(len(m.set.Sites))].Name
		key := fmt.Sprintf("%s/%02d", []string{"a", "b", "c-1", "c"}[m.rng.IntN(4)], m.rng.IntN(12))
		app := m.sites[site].Application()
		m.writes++
		body := fmt.Appendf(nil, "body %d", m.rng.IntN(4))
		attr := s3mesh.Attributes{ContentType: fmt.Sprintf("text/%d", m.writes)}
		var err error
		switch m.rng.IntN(6) {
		case 0:
			err = app.Delete(t.Context(), key)
		case 1:
			_, err = app.Upload(t.Context(), key, attr, body, body)
		case 2: // the same bytes again, with other metadata
			if held, ok := m.get(t, site, key); ok {
				body = []byte(held.body)
			}
			_, err = app.Put(t.Context(), key, body, attr)
		default:
			_, err = app.Put(t.Context(), key, body, attr)
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.rng.IntN(3) == 0 {
			time.Sleep(time.Duration(m.rng.IntN(9000)) * time.Millisecond) //nolint:forbidigo // in a synctest bubble
		}
	}
}

// work starts workers for every link and lane, which stop when ctx ends.
func (m *mesh) work(ctx context.Context) *sync.WaitGroup {
	var group sync.WaitGroup
	gate := replicate.NewGate("ap", "eu", "us", "za")
	turns := map[string]*replicate.Turns{}
	for name, engine := range m.engines {
		if !engine.Capabilities.Versioned {
			turns[name] = &replicate.Turns{}
		}
	}
	for _, link := range m.set.Links {
		for _, lane := range []s3mesh.Lane{s3mesh.LaneLive, s3mesh.LaneBulk, s3mesh.LaneLarge} {
			w := replicate.NewWorker(replicate.WorkerConfig{Link: link, Lane: lane, Queue: m.queue,
				Replicator: m.engines[link.Target], Gate: gate, Turns: turns[link.Target],
				Concurrency: 2, Attempts: 5, Observe: m.observe, Log: silent})
			group.Go(func() {
				if err := w.Run(ctx); err != nil {
					panic(err)
				}
			})
		}
	}
	return &group
}

func (m *mesh) observe(out s3mesh.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results[out.Result]++
	if out.Err != nil {
		m.errs = append(m.errs, fmt.Errorf("%s %q: %w", out.Task.Link, out.Task.Event.Key, out.Err))
	}
}

// drain waits until the queue is empty.
func (m *mesh) drain(t *testing.T) {
	t.Helper()
	for range 1000 {
		left := int64(0)
		for _, link := range m.set.Links {
			b, err := m.queue.Backlog(t.Context(), link)
			if err != nil {
				t.Fatal(err)
			}
			if b.DeadLetters > 0 {
				t.Fatalf("dead letters on %s: %v", link, m.errs)
			}
			left += b.Pending + b.InFlight
		}
		if left == 0 {
			return
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
	}
	t.Fatalf("the queue does not empty: %v", m.errs)
}

type held struct {
	body string
	attr s3mesh.Attributes
}

// state is what clients see at a site.
func (m *mesh) state(t *testing.T, site string) map[string]held {
	t.Helper()
	all := map[string]held{}
	for page, err := range m.sites[site].List(t.Context(), s3mesh.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if strings.HasPrefix(e.Key, s3mesh.ReservedPrefix) {
				continue
			}
			if h, ok := m.get(t, site, e.Key); ok {
				all[e.Key] = h
			}
		}
	}
	return all
}

// get returns what a site holds under key, and whether it holds anything.
func (m *mesh) get(t *testing.T, site, key string) (held, bool) {
	t.Helper()
	obj, body, err := m.sites[site].Get(t.Context(), key, s3mesh.ReadOptions{})
	if s3mesh.KindOf(err) == s3mesh.KindNotFound {
		return held{}, false
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	delete(obj.Attributes.Metadata, resolve.MetadataName)
	if len(obj.Attributes.Metadata) == 0 {
		obj.Attributes.Metadata = nil
	}
	return held{string(data), obj.Attributes}, true
}

// difference describes a key that two sites hold differently, or returns "".
func (m *mesh) difference(t *testing.T) string {
	t.Helper()
	first := m.state(t, m.set.Sites[0].Name)
	for _, site := range m.set.Sites[1:] {
		other := m.state(t, site.Name)
		for key := range other {
			if _, here := first[key]; !here {
				return fmt.Sprintf("%s holds %q, %s does not", site.Name, key, m.set.Sites[0].Name)
			}
		}
		for key, h := range first {
			if !reflect.DeepEqual(h, other[key]) {
				return fmt.Sprintf("%q: %s holds %+v, %s %+v", key, m.set.Sites[0].Name, h, site.Name, other[key])
			}
		}
	}
	return ""
}

// Whatever notifications are lost, one run makes all sites equal, and another one then finds nothing.
func TestOneRunMakesSitesEqual(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, opt := range map[string]meshOptions{
		"deletes propagated":          {sites: 3, deletes: true, lost: 0.5},
		"deletes propagated, 4 sites": {sites: 4, deletes: true, lost: 0.2},
		"all lost":                    {sites: 3, deletes: true, lost: 1},
		"two sites":                   {sites: 2, deletes: true, lost: 0.7},
	} {
		t.Run(name, func(t *testing.T) {
			for round := range 6 {
				synctest.Test(t, func(t *testing.T) {
					t.Logf("round %d", round)
					m := newMesh(rand.New(rand.NewPCG(seed, uint64(round))), t.TempDir(), opt)
					m.converge(t, m.checkEqual)
				})
			}
		})
	}
}

// converge has clients write, compares, and has each round checked: the first one compares all, the second what changed since.
func (m *mesh) converge(t *testing.T, check func(t *testing.T)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	workers := m.work(ctx)
	defer workers.Wait()
	defer cancel()
	for range 2 {
		m.clients(t, 60)
		m.drain(t)
		m.compare(t)
		check(t)
		time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
	}
}

// compare runs once, and has what that published done.
func (m *mesh) compare(t *testing.T) reconcile.Report {
	t.Helper()
	rep, err := reconcile.New(m.config).Run(t.Context(), reconcile.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.drain(t)
	return rep
}

func (m *mesh) checkEqual(t *testing.T) {
	t.Helper()
	if diff := m.difference(t); diff != "" {
		t.Fatal(diff)
	}
	wrote := m.wrote()
	if rep := m.compare(t); rep.Differing != 0 || m.wrote() != wrote {
		t.Fatalf("a second run found %d keys, and %d writes followed", rep.Differing, m.wrote()-wrote)
	}
}

func (m *mesh) wrote() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for result, count := range m.results {
		if result.Wrote() {
			n += count
		}
	}
	return n
}

// With deletes ignored, what a client deleted last stays away at its site and nowhere else. Buckets without versions cannot
// tell: there it comes back.
func TestOneRunWithDeletesIgnored(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, opt := range map[string]meshOptions{
		"versioned":   {sites: 3, lost: 0.5},
		"unversioned": {sites: 3, unversioned: true, lost: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			for round := range 6 {
				synctest.Test(t, func(t *testing.T) {
					t.Logf("round %d", round)
					m := newMesh(rand.New(rand.NewPCG(seed, uint64(round))), t.TempDir(), opt)
					check := m.checkHolders
					if opt.unversioned {
						check = m.checkEqual
					}
					m.converge(t, check)
				})
			}
		})
	}
}

// checkHolders fails unless all sites that hold a key hold the same, and those that do not have deleted it.
func (m *mesh) checkHolders(t *testing.T) {
	t.Helper()
	states := map[string]map[string]held{}
	keys := map[string]held{}
	for name := range m.sites {
		states[name] = m.state(t, name)
		for key, h := range states[name] {
			if other, seen := keys[key]; seen && !reflect.DeepEqual(h, other) {
				t.Fatalf("%q differs: %+v, %+v", key, h, other)
			}
			keys[key] = h
		}
	}
	for key := range keys {
		for name, bucket := range m.sites {
			if _, holds := states[name][key]; holds {
				continue
			}
			for top, err := range bucket.History(t.Context(), key) {
				if err != nil || !top.DeleteMarker {
					t.Fatalf("%s does not hold %q and has not deleted it: %+v, %v", name, key, top, err)
				}
				keys[key] = held{body: "deleted somewhere"}
				break
			}
			if keys[key].body != "deleted somewhere" {
				t.Fatalf("%s never had %q", name, key)
			}
		}
	}
}
