package sim

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// handmade is a world whose replicas the test writes itself.
func handmade(t *testing.T) *world {
	t.Helper()
	return newWorld(WorldConfig{Sites: []SiteConfig{{Name: "ap"}, {Name: "eu"}}, Keys: []string{"k"}, Deletes: true})
}

// replicate puts what one site has on top at another, as a good replicator would.
func (w *world) replicate(t *testing.T, from, to int) {
	t.Helper()
	top, ok := w.top(from, "k")
	if !ok {
		t.Fatal("nothing to replicate")
	}
	r := w.reading(from, "k")
	_, err := w.sites[to].keys.Application().Put(context.Background(), "k", []byte(r.body), top.object.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	w.transit, w.pending = nil, nil
}

func TestCheckerFinds(t *testing.T) {
	put := func(w *world, at int) { w.client(at).do(actPut, "k", nil); w.transit = nil }
	remove := func(w *world, at int) { w.client(at).do(actDelete, "k", nil); w.transit = nil }
	cases := []struct {
		name  string
		story func(w *world)
		want  string // part of the error; empty for none
	}{
		{"a replica", func(w *world) { put(w, 0); w.replicate(t, 0, 1) }, ""},
		{"nothing at all", func(*world) {}, ""},
		{"an absent replica", func(w *world) { put(w, 0) }, "the sites differ"},
		{"sites that never met", func(w *world) { put(w, 0); put(w, 1) }, "the sites differ"},
		{"an overwritten write that won", func(w *world) {
			put(w, 0)
			w.replicate(t, 0, 1)
			put(w, 1)
			w.replicate(t, 0, 1)
		}, "a client had overwritten it"},
		{"an earlier write that won", func(w *world) {
			put(w, 0)
			w.clock = w.clock.Add(10 * time.Second)
			put(w, 1)
			w.replicate(t, 0, 1)
		}, "10s later"},
		{"the wrong one of two in a second", func(w *world) {
			w.Deletes = false
			put(w, 0)
			put(w, 1)
			w.replicate(t, 0, 1)
		}, "is the latest"},
		{"the right one of two in a second", func(w *world) { put(w, 0); put(w, 1); w.replicate(t, 1, 0) }, ""},
		{"a write that vanished", func(w *world) {
			put(w, 0)
			top, _ := w.top(0, "k")
			if err := w.sites[0].keys.Application().DeleteVersion(context.Background(), "k", top.id); err != nil {
				t.Fatal(err)
			}
			w.transit = nil
		}, "not readable any more"},
		{"a delete that nobody made", func(w *world) {
			put(w, 0)
			_, err := w.sites[0].keys.Delete(context.Background(), "k", s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(w.etag(0))})
			if err != nil {
				t.Fatal(err)
			}
			w.transit = nil
		}, "no delete explains it"},
		{"a resurrection", func(w *world) { put(w, 0); w.replicate(t, 0, 1); remove(w, 0); w.replicate(t, 1, 0) },
			"a client had overwritten it"},
		{"a delete", func(w *world) { put(w, 0); remove(w, 0) }, ""},
		{"an undelete", func(w *world) {
			put(w, 0)
			w.replicate(t, 0, 1)
			remove(w, 0)
			w.client(0).do(actUndelete, "k", nil)
			w.transit = nil
		}, ""},
		{"an event left over", func(w *world) { w.client(0).do(actPut, "k", nil) }, "undelivered"},
		{"no end of writes", func(w *world) { put(w, 0); w.replicate(t, 0, 1); w.replicaWrites = 100 }, "never settle"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := handmade(t)
			c.story(w)
			err := w.check()
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("a false alarm: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("error %v, want %q", err, c.want)
			}
		})
	}
}

func (w *world) etag(at int) string {
	top, _ := w.top(at, "k")
	return top.object.ETag
}
