package reconcile

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// orders are how stores list.
var orders = map[string]func(a, b string) int{
	"byte order": nil,
	// SeaweedFS: entry by entry of each folder, so that d/x comes before d-1.
	"tree": func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) },
	// S3 Express: no order at all, but the same every time.
	"hash": func(a, b string) int { return cmp.Or(cmp.Compare(hash(a), hash(b)), strings.Compare(a, b)) },
}

func hash(s string) uint32 {
	h := fnv.New32()
	_, _ = h.Write([]byte(s)) // cannot fail
	return h.Sum32()
}

// randomKeys returns keys in folders, some of which sort differently as a tree.
func randomKeys(rng *rand.Rand, n int) []string {
	names := []string{"a", "d", "d-1", "d.x", "e", "photos", "0", "ü"}
	keys := map[string]bool{}
	for range n {
		key := ""
		for range rng.IntN(3) {
			key += names[rng.IntN(len(names))] + "/"
		}
		keys[key+fmt.Sprintf("%s%d", names[rng.IntN(len(names))], rng.IntN(40))] = true
	}
	var all []string
	for key := range keys {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// scatter puts each key at some of the sites, and returns the events that are due.
func scatter(rng *rand.Rand, w *world, keys []string) (want []string) {
	for _, key := range keys {
		holds := rng.IntN(1<<len(w.Set.Sites)-1) + 1
		for i, site := range w.Set.Sites {
			if holds&(1<<i) != 0 {
				w.sites[site.Name].put(key, 5, "e", now.AddDate(0, 0, -9))
			}
		}
		for i, target := range w.Set.Sites {
			if holds&(1<<i) == 0 {
				want = append(want, target.Name+" "+key)
			}
		}
	}
	slices.Sort(want)
	return want
}

// targets returns what was published as "target key", whoever the source is.
func (q *fakeQueue) targets() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []string
	for _, ev := range q.events {
		all = append(all, ev.Target+" "+ev.Key)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Whatever order each store lists in, and with keys that come twice at the edges of pages, all that differs is found, and once
// the order is known nothing else.
func TestAnyListingOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for round := range 40 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		w := newWorld("a", "b", "c")
		w.Dir = t.TempDir()
		var unordered []string
		for _, name := range []string{"a", "b", "c"} {
			site := w.sites[name]
			kinds := []string{"byte order", "tree", "hash"}
			kind := kinds[rng.IntN(len(kinds))]
			site.order, site.page, site.repeat = orders[kind], 1+rng.IntN(30), rng.IntN(2) == 0
			unordered = append(unordered, name+" "+kind)
		}
		opt := Options{Prefix: []string{"", "", "d", "d/"}[rng.IntN(4)]}
		keys := slices.DeleteFunc(randomKeys(rng, rng.IntN(400)), func(k string) bool { return !strings.HasPrefix(k, opt.Prefix) })
		want := scatter(rng, w, keys)
		r := w.compared(t, now)
		mustRun(t, r, opt)
		got := w.queue.targets()
		for _, due := range want {
			if _, found := slices.BinarySearch(got, due); !found {
				t.Fatalf("round %d, %v: nothing was published for %q", round, unordered, due)
			}
		}
		// Until an order shows as another, keys may seem to be absent. From then on it is known.
		w.queue.events = nil
		r.store.complete(&checkpoint{Links: w.Set.Links, Started: now}, 0)
		rep, _ := mustRun(t, r, opt)
		if got := w.queue.targets(); !slices.Equal(got, want) {
			t.Fatalf("round %d, %v: %d events, want %d\n got %q\nwant %q", round, unordered, len(got), len(want), got, want)
		}
		if rep.Keys != int64(len(keys)) || rep.ShardsDone != rep.Shards {
			t.Fatalf("round %d: %d keys, want %d: %+v", round, rep.Keys, len(keys), rep)
		}
	}
}

// A store that lists as a tree shows it only where a shard begins. What was listed before that may lack keys.
func TestTreeOrderAcrossShards(t *testing.T) {
	w := newWorld("a", "b")
	w.Dir = t.TempDir()
	a := w.sites["a"]
	a.order, a.page = orders["tree"], 1 // so that no page shows the order
	for _, key := range []string{"c/1", "d/1", "d/2", "d-1/1", "d-1/2", "e/1"} {
		a.put(key, 1, "e", now)
	}
	mustRun(t, New(w.Config), Options{})
	equalStrings(t, "events", w.queue.targets(), "b c/1", "b d/1", "b d/2", "b d-1/1", "b d-1/2", "b e/1")

	// The next process knows, and sorts at once.
	r := New(w.Config)
	if !r.store.flagged(&r.store.state.Unordered, "a") || r.store.flagged(&r.store.state.Unordered, "b") {
		t.Errorf("unordered sites %v, want a", r.store.state.Unordered)
	}
	before := len(w.queue.events)
	mustRun(t, r, Options{})
	if got := len(w.queue.events) - before; got != 6 {
		t.Errorf("%d events in the second run, want each of the 6 keys once", got)
	}
}

// No page and no shard of this store shows that it is out of order: only that what came next after one shard is not what the
// following one begins with.
func TestOrderShowsBetweenShardsOnly(t *testing.T) {
	w := newWorld("a", "b")
	a := w.sites["a"]
	rank := map[string]int{"b/1": 0, "a/1": 1} // the folders come last
	a.order = func(x, y string) int {
		place := func(key string) int {
			if n, known := rank[key]; known {
				return n
			}
			return len(rank)
		}
		return cmp.Or(cmp.Compare(place(x), place(y)), strings.Compare(x, y))
	}
	a.page = 1
	a.put("a/1", 1, "e", now)
	a.put("b/1", 1, "e", now)
	mustRun(t, New(w.Config), Options{})
	equalStrings(t, "events", w.queue.targets(), "b a/1", "b b/1")
}

// The same, where a run is taken up within a shard: what the store lists before the key that it had come to, and which comes
// after it in byte order, would be missed.
func TestTreeOrderWhereARunIsTakenUp(t *testing.T) {
	w := newWorld("a", "b")
	w.sites["a"].order = orders["tree"]
	for _, key := range []string{"c", "d/1", "e"} {
		w.sites["a"].put(key, 1, "e", now)
	}
	r := New(w.Config)
	r.store.keep(&checkpoint{Links: w.Set.Links, Started: now, Shards: []*shard{{
		At: []byte("d-1/5"), Tally: newTally(2), Edges: []edge{{First: []byte("c"), Last: []byte("c")}, {}}}}})
	rep, _ := mustRun(t, r, Options{})
	if !rep.Resumed {
		t.Error("the run was not resumed")
	}
	equalStrings(t, "events", w.queue.targets(), "b c", "b d/1", "b e")
}

// A client that writes at the edge of two shards while they are listed is no sign of another order.
func TestWriteAtTheEdgeOfShards(t *testing.T) {
	w := newWorld("a", "b")
	w.Parallel = 1
	for _, key := range []string{"a/1", "b/1", "c/1"} {
		w.sites["a"].put(key, 1, "e", now)
	}
	lists := 0
	w.sites["a"].before = func(op, _ string) error {
		if op == "LIST" {
			lists++
			if lists == 2 { // the second shard begins
				w.sites["a"].mu.Lock()
				w.sites["a"].put("a/0new", 1, "e", now)
				w.sites["a"].put("b/0new", 1, "e", now)
				w.sites["a"].mu.Unlock()
			}
		}
		return nil
	}
	r := New(w.Config)
	mustRun(t, r, Options{})
	if len(r.store.state.Unordered) != 0 {
		t.Errorf("unordered sites %v, want none", r.store.state.Unordered)
	}
}

func TestPlan(t *testing.T) {
	for name, tc := range map[string]struct {
		keys func(w *world)
		opt  Options
		want []string
	}{
		"empty":      {func(*world) {}, Options{}, nil},
		"flat":       {func(w *world) { fill(w.sites["a"], "k%d", 5) }, Options{}, nil},
		"flat, many": {func(w *world) { fill(w.sites["a"], "k%d", 50) }, Options{}, strings.Split(splitters, "")},
		"folders of both": {func(w *world) {
			fill(w.sites["a"], "f%d/x", 2)
			fill(w.sites["b"], "g%d/x", 2)
		}, Options{}, []string{"f0/", "f1/", "g0/", "g1/"}},
		"below a single folder": {func(w *world) { fill(w.sites["a"], "one/two/f%d/x", 3) }, Options{},
			[]string{"one/two/f0/", "one/two/f1/", "one/two/f2/"}},
		"below a prefix": {func(w *world) { fill(w.sites["a"], "one/f%d/x", 2); fill(w.sites["a"], "two/x", 1) },
			Options{Prefix: "one/"}, []string{"one/f0/", "one/f1/"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b")
			tc.keys(w)
			run, err := New(w.Config).prepare(tc.opt)
			if err != nil {
				t.Fatal(err)
			}
			shards, err := run.plan(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(shards) > maxShards {
				t.Errorf("%d shards", len(shards))
			}
			var bounds []string
			for _, sh := range shards[:len(shards)-1] {
				bounds = append(bounds, string(sh.High))
			}
			if !slices.Equal(bounds, tc.want) {
				t.Errorf("bounds %q, want %q", bounds, tc.want)
			}
		})
	}
}

func fill(site *fakeSite, format string, n int) {
	for i := range n {
		key := format
		if strings.Contains(format, "%") {
			key = fmt.Sprintf(format, i)
		}
		site.put(key, 1, "e", now)
	}
}

func TestManyFoldersAreGrouped(t *testing.T) {
	var folders []string
	for i := range 1000 {
		folders = append(folders, fmt.Sprintf("%04d/", i))
	}
	bounds := thin(folders, maxShards-1)
	if len(bounds) != maxShards-1 || !slices.IsSorted(bounds) || len(slices.Compact(slices.Clone(bounds))) != len(bounds) {
		t.Errorf("bounds %q", bounds)
	}
	if bounds[0] > "0020/" || bounds[len(bounds)-1] < "0980/" {
		t.Errorf("the bounds are not spread: %q … %q", bounds[0], bounds[len(bounds)-1])
	}
}

func TestSorter(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &sorter{dir: t.TempDir(), buffer: 400} // a handful of entries for each file
	want := map[string]s3mesh.Listed{}
	var items []s3mesh.Listed
	for range 20_000 {
		e := s3mesh.Listed{Key: fmt.Sprintf("k%d", rng.IntN(9000)), Size: rng.Int64(), ETag: "e", LastModified: now}
		if old, twice := want[e.Key]; twice {
			e = old
		}
		want[e.Key] = e
		items = append(items, e)
	}
	takes := func(key string) bool { return !strings.HasSuffix(key, "7") }
	for page := range slices.Chunk(items, 100) {
		if err := s.add(page, takes); err != nil {
			t.Fatal(err)
		}
	}
	made := s.made
	listing, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	if made < fanIn*fanIn {
		t.Fatalf("%d files: the test is too small", made)
	}
	var keys []string
	for key := range want {
		if takes(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, after := range []string{"", "k1", "k4", keys[len(keys)/2], keys[len(keys)-2], "z"} {
		var got []string
		for page, err := range listing.List(t.Context(), s3mesh.ListOptions{After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				got = append(got, e.Key)
				if e != want[e.Key] {
					t.Fatalf("%+v, want %+v", e, want[e.Key])
				}
			}
		}
		i, _ := slices.BinarySearch(keys, after+"\x00")
		if !slices.Equal(got, keys[i:]) {
			t.Fatalf("after %q: %d keys, want %d", after, len(got), len(keys[i:]))
		}
	}
}

func TestMarksAreBounded(t *testing.T) {
	w, err := createRun(t.TempDir() + "/run")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 * maxMarks {
		if err := w.put(s3mesh.Listed{Key: fmt.Sprintf("%09d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	l := &sortedListing{path: w.file.Name(), marks: w.marks}
	if len(l.marks) > maxMarks || len(l.marks) < maxMarks/4 {
		t.Fatalf("%d marks", len(l.marks))
	}
	for page, err := range l.List(t.Context(), s3mesh.ListOptions{After: "000030000"}) {
		if err != nil || page[0].Key != "000030001" {
			t.Fatalf("%v, %v", page, err)
		}
		break
	}
}

// A bucket whose size is known is not split into more ranges than are worth the pages that are read twice at their bounds.
func TestKnownBucketIsSplitLess(t *testing.T) {
	w := newWorld("a", "b")
	for i := range 100 {
		w.sites["a"].put(fmt.Sprintf("f%02d/x", i), 5, "e", now)
	}
	for keys, most := range map[int64]int{0: maxShards, 100: 4, 200_000: 10, 1e9: maxShards} {
		r := New(w.Config)
		if keys > 0 {
			r.store.complete(&checkpoint{Links: w.Set.Links, Started: now}, keys)
		}
		rep, err := r.Run(t.Context(), Options{}, nil)
		if err != nil || rep.Shards > most || most == maxShards && rep.Shards <= 10 {
			t.Errorf("%d keys: %d shards, want at most %d (%v)", keys, rep.Shards, most, err)
		}
	}
}
