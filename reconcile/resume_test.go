package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
)

// hastyClock goes on by more than the time between two checkpoints each time that it is read.
func hastyClock() func() time.Time {
	var mu sync.Mutex
	at := now
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(saveEvery)
		return at
	}
}

// cutWorld is a world of a few folders whose nth request, or publication, calls cut.
func cutWorld(t *testing.T, seed uint64, n int, cut func() error) (w *world, keys, want []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	w = newWorld("a", "b", "c")
	w.Now, w.Parallel, w.Dir = hastyClock(), 2, t.TempDir()
	w.compared(t, now)
	for i := range 100 {
		keys = append(keys, fmt.Sprintf("f%d/%03d", i%3, i))
	}
	want = scatter(rng, w, keys)
	for i := 0; i < len(keys); i += 15 { // changed since
		for _, site := range w.sites {
			if o, held := site.objects[keys[i]]; held {
				site.put(keys[i], o.Size, o.ETag, now)
			}
		}
	}
	var mu sync.Mutex
	step := func() error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n == 0 {
			return cut()
		}
		return nil
	}
	w.queue.before = step
	for _, site := range w.sites {
		site.page = 10
		site.before = func(string, string) error { return step() }
	}
	return w, keys, want
}

// A run whose nth request fails for good is taken up by the next one, and together they find all that differs and count each
// key once.
func TestCutOffAnywhere(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	resumed := 0
	for n := 1; ; n++ {
		failed := false
		w, keys, want := cutWorld(t, seed, n, func() error {
			failed = true
			return permanent()
		})
		_, err := New(w.Config).Run(t.Context(), Options{}, nil)
		if err != nil && s3mesh.KindOf(err) != s3mesh.KindNoSuchBucket {
			t.Fatal(err)
		}
		if !failed {
			t.Logf("%d requests, %d resumed", n, resumed)
			break
		}
		rep, _ := mustRun(t, New(w.Config), Options{})
		if got := w.queue.targets(); !slices.Equal(got, want) || rep.Keys != int64(len(keys)) {
			t.Fatalf("cut off at request %d: %d events, want %d; %d keys, want %d", n, len(got), len(want), rep.Keys, len(keys))
		}
		if rep.Resumed {
			resumed++
		}
	}
	if resumed < 10 {
		t.Errorf("only %d runs were resumed: the test proves little", resumed)
	}
}

// A process that is killed leaves what it had on disk at that moment, and what it had published.
func TestKilledAnywhere(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	resumed := 0
	for n := 1; ; n++ {
		var w *world
		var keys, want []string
		var published []s3mesh.Event
		left := t.TempDir()
		killed := false
		w, keys, want = cutWorld(t, seed, n, func() error {
			killed = true
			w.queue.mu.Lock()
			published = slices.Clone(w.queue.events)
			w.queue.mu.Unlock()
			return copyState(w.Dir, left)
		})
		mustRun(t, New(w.Config), Options{})
		if !killed {
			break
		}
		w.queue.events, w.Dir = published, left
		rep, _ := mustRun(t, New(w.Config), Options{})
		if got := w.queue.targets(); !slices.Equal(got, want) || rep.Keys != int64(len(keys)) {
			t.Fatalf("killed at request %d: %d events, want %d; %d keys, want %d", n, len(got), len(want), rep.Keys, len(keys))
		}
		if rep.Resumed {
			resumed++
		}
	}
	if resumed < 10 {
		t.Errorf("only %d runs were resumed: the test proves little", resumed)
	}
}

func copyState(from, to string) error {
	text, err := os.ReadFile(filepath.Join(from, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, stateName), text, 0o600)
}

// A run goes on only with the same options, links and rules.
func TestOtherRunsStartAnew(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(w *world, opt *Options)
		resumed bool
	}{
		"the same":      {func(*world, *Options) {}, true},
		"other prefix":  {func(_ *world, o *Options) { o.Prefix = "d" }, false},
		"full":          {func(_ *world, o *Options) { o.Full = true }, false},
		"dry run":       {func(_ *world, o *Options) { o.DryRun = true }, false},
		"other targets": {func(_ *world, o *Options) { o.To = []string{"a"} }, false},
		"fewer links":   {func(w *world, _ *Options) { w.Served = []string{"a", "b"} }, false},
		"other rules":   {func(w *world, _ *Options) { w.Rules = "include photos/" }, false},
		"other set":     {func(w *world, _ *Options) { w.Set.Name = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, _ := cutWorld(t, 1, 30, permanent)
			if _, err := New(w.Config).Run(t.Context(), Options{}, nil); err == nil {
				t.Fatal("the run was not cut off")
			}
			var opt Options
			tc.change(w, &opt)
			if rep, _ := mustRun(t, New(w.Config), opt); rep.Resumed != tc.resumed {
				t.Errorf("resumed: %v, want %v", rep.Resumed, tc.resumed)
			}
		})
	}
}

// What cannot be read, or does not fit together, is no reason to fail.
func TestDamagedState(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"set":"test","runs":[{"shards":[]}]}`,
		`{"version":1,"set":"test","runs":[null]}`,
		`{"version":1,"set":"test","runs":[{"links":[],"shards":[{"high":"Zg==","tally":{}}]}]}`} {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		w.sites["a"].put("k", 1, "e", now)
		path := filepath.Join(w.Dir, stateName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rep, _ := mustRun(t, New(w.Config), Options{})
		equalStrings(t, "events", w.queue.published(), "a->b k fresh")
		if rep.Resumed || New(w.Config).store.last(w.Set.Links[0], "").Started.IsZero() {
			t.Errorf("%q: resumed %v, or the run was not kept", text, rep.Resumed)
		}
	}
}

// Files of a process that was killed while it sorted do not stay.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, sortPrefix+"x", "y"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld("a", "b")
	w.Dir = dir
	w.sites["a"].order = orders["hash"]
	fill(w.sites["a"], "k%d", 50)
	mustRun(t, New(w.Config), Options{})
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != stateName {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// What changed before the last complete run began was compared by it, on its links and under its prefix only.
func TestSinceIsPerLinkAndPrefix(t *testing.T) {
	w := newWorld("a", "b", "c")
	for _, key := range []string{"x/1", "y/1"} {
		for _, site := range w.sites {
			site.put(key, 1, "e", now.Add(-time.Hour))
		}
	}
	r := New(w.Config)
	r.store.complete(&checkpoint{Links: []s3mesh.Link{{Source: "a", Target: "b"}, {Source: "b", Target: "a"}},
		Options: Options{Prefix: "x/"}, Started: now}, 2)
	for _, tc := range []struct {
		opt     Options
		checked int64
	}{
		{Options{Prefix: "x/", From: []string{"a"}, To: []string{"b"}}, 0},
		{Options{Prefix: "y/", From: []string{"a"}, To: []string{"b"}}, 1},
		{Options{Prefix: "x/", From: []string{"a"}, To: []string{"c"}}, 1},
		{Options{Prefix: "x/1", From: []string{"b"}, To: []string{"a"}}, 0},
		{Options{From: []string{"b"}, To: []string{"a"}}, 2},
	} {
		if rep, _ := mustRun(t, r, tc.opt); rep.Checked != tc.checked {
			t.Errorf("%+v: %d keys checked, want %d", tc.opt, rep.Checked, tc.checked)
		}
	}
}

// A link with much to do has the run wait, and the run tells so.
func TestBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.MaxPending, w.Now = 10, time.Now
		var mu sync.Mutex
		done, most := int64(0), int64(0)
		w.queue.backlog = func(s3mesh.Link) int64 {
			mu.Lock()
			defer mu.Unlock()
			w.queue.mu.Lock()
			defer w.queue.mu.Unlock()
			pending := int64(len(w.queue.events)) - done
			most = max(most, pending)
			done += min(pending, 5) // five are done between two looks
			return pending
		}
		throttled := false
		w.Observe = func(p Progress) { throttled = throttled || p.Throttled }
		fill(w.sites["a"], "f%d/x", 7)
		fill(w.sites["a"], "z%04d", 3000)
		rep, _ := mustRun(t, New(w.Config), Options{})
		if len(w.queue.events) != 3007 || rep.Throttled {
			t.Errorf("%d events, report %+v", len(w.queue.events), rep)
		}
		if limit := int64(defaultParallel*maxCandidates) + w.MaxPending; most > limit {
			t.Errorf("%d events pending, want at most %d", most, limit)
		}
		if !throttled {
			t.Error("the progress did not tell that the run waits")
		}
	})
}

// A site that fails for a while delays a run, and one that goes on failing ends it.
func TestPassingFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		failures int
		kind     s3mesh.Kind
		ends     bool
	}{
		"some":      {maxFailures - 1, s3mesh.KindUnreachable, false},
		"too many":  {10_000, s3mesh.KindThrottled, true},
		"permanent": {1, s3mesh.KindAccessDenied, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld("a", "b")
				w.Now = time.Now
				w.Ready = func(_ context.Context, _ string) error { return nil }
				fill(w.sites["a"], "k%d", 30)
				var mu sync.Mutex
				left := tc.failures
				w.sites["a"].before = func(op, after string) error {
					mu.Lock()
					defer mu.Unlock()
					if op == "LIST" && after != "" && left > 0 {
						left--
						return &s3mesh.Error{Kind: tc.kind, Op: op, Site: "a"}
					}
					return nil
				}
				w.sites["a"].page = 20
				_, err := New(w.Config).Run(t.Context(), Options{}, nil)
				if ended := err != nil; ended != tc.ends || err != nil && s3mesh.KindOf(err) != tc.kind {
					t.Fatalf("error %v", err)
				}
				if !tc.ends && len(w.queue.published()) != 30 {
					t.Errorf("%d events, want 30", len(w.queue.published()))
				}
			})
		})
	}
}
