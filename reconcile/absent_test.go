package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

func TestDeleteMarkers(t *testing.T) {
	wrote := now.Add(-time.Hour)
	for name, tc := range map[string]struct {
		propagate bool
		set       func(b, c *fakeSite)
		want      []string
		here      int64
	}{
		"no version anywhere": {false, func(_, _ *fakeSite) {}, []string{"a->b k fresh", "a->c k fresh"}, 0},
		"ignored, later marker": {false, func(b, _ *fakeSite) { b.markers["k"] = wrote.Add(time.Minute) },
			[]string{"a->c k fresh"}, 1},
		"ignored, earlier marker": {false, func(b, _ *fakeSite) { b.markers["k"] = wrote.Add(-time.Minute) },
			[]string{"a->b k", "a->c k fresh"}, 0},
		"ignored, marker within the skew": {false, func(b, _ *fakeSite) { b.markers["k"] = wrote.Add(3 * time.Second) },
			[]string{"a->b k", "a->c k fresh"}, 0},
		"propagated": {true, func(b, _ *fakeSite) { b.markers["k"] = wrote.Add(time.Minute) },
			[]string{"a->b k", "a->c k fresh", "b->a k removed", "b->c k removed"}, 0},
		"markers at two sites": {true, func(b, c *fakeSite) { b.markers["k"], c.markers["k"] = wrote, wrote },
			[]string{"a->b k", "a->c k", "b->a k removed", "b->c k removed", "c->a k removed", "c->b k removed"}, 0},
		"versions cannot be listed": {false, func(b, _ *fakeSite) { b.versions = &s3mesh.Error{Kind: s3mesh.KindUnsupported} },
			[]string{"a->b k", "a->c k fresh"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b", "c")
			w.PropagateDeletes = tc.propagate
			w.sites["a"].put("k", 5, "e", wrote)
			tc.set(w.sites["b"], w.sites["c"])
			rep, _ := mustRun(t, New(w.Config), Options{})
			equalStrings(t, "events", w.queue.published(), tc.want...)
			if rep.DeletedHere != tc.here {
				t.Errorf("%d deleted here, want %d", rep.DeletedHere, tc.here)
			}
		})
	}
}

// A multipart object may have been written later than the time that it bears.
func TestMultipartObjectIsNotTakenForDeleted(t *testing.T) {
	w := newWorld("a", "b")
	w.sites["a"].put("k", 5, "e-2", now.Add(-time.Hour))
	w.sites["b"].markers["k"] = now
	mustRun(t, New(w.Config), Options{})
	equalStrings(t, "events", w.queue.published(), "a->b k")
}

// The site that is polled may hold a delete of a key that the others hold.
func TestPollFindsDeletes(t *testing.T) {
	w := newWorld("a", "b")
	w.PropagateDeletes = true
	w.sites["b"].put("k", 5, "e", now.Add(-time.Hour))
	w.sites["b"].put("never-here", 5, "e", now.Add(-time.Hour))
	w.sites["a"].markers["k"] = now
	mustRun(t, New(w.Config), Options{From: []string{"a"}})
	equalStrings(t, "events", w.queue.published(), "a->b k removed")
}

// Versions are paged through along with the keys, and not asked for key by key.
func TestAbsenceCostsOneRequestPerPage(t *testing.T) {
	const keys = 700
	for name, tc := range map[string]struct {
		marked func(i int) bool
		most   int
	}{
		"an empty site":       {func(int) bool { return false }, 1},
		"a marker for each":   {func(int) bool { return true }, keys/7 + 1},
		"one for every third": {func(i int) bool { return i%3 == 0 }, keys/3/7 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b")
			w.Parallel = 1
			w.sites["a"].folderPage = keys + 1 // one shard
			var want []string
			for i := range keys {
				key := fmt.Sprintf("%04d", i)
				w.sites["a"].put(key, 1, "e", now)
				if tc.marked(i) {
					w.sites["b"].markers[key] = now.Add(-time.Hour)
					want = append(want, "a->b "+key)
				} else {
					want = append(want, "a->b "+key+" fresh")
				}
			}
			mustRun(t, New(w.Config), Options{})
			equalStrings(t, "events", w.queue.published(), want...)
			if got := w.sites["b"].count("VERSIONS"); got > tc.most {
				t.Errorf("%d requests, want at most %d", got, tc.most)
			}
		})
	}
}

// Between two keys that are asked about there may be any number of versions of keys that are not.
func TestAbsenceSkipsWhatIsBetween(t *testing.T) {
	w := newWorld("a", "b")
	w.sites["a"].put("a", 1, "e", now)
	w.sites["a"].put("z", 1, "e", now)
	for i := range 500 {
		w.sites["b"].markers[fmt.Sprintf("m%03d", i)] = now
	}
	mustRun(t, New(w.Config), Options{})
	equalStrings(t, "events", w.queue.published(), "a->b a fresh", "a->b z fresh")
	if got := w.sites["b"].count("VERSIONS"); got > 5 {
		t.Errorf("%d requests, want a few", got)
	}
}
