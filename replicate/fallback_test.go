package replicate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Where a store honours no condition, a client's write that comes between the look and the write is covered, found, and put
// on top again.
func TestStoreWithoutConditions(t *testing.T) {
	const large = 9 << 20 // past the fixture's limit: written in parts
	lacks := s3mesh.Capabilities{ConditionalPut: true, ConditionalComplete: true, ConditionalDelete: true}
	for _, tt := range []struct {
		name, request string
		size          int
		present       bool
	}{
		{"absent", "PUT", 1, false}, {"present", "PUT", 1, true},
		{"large and absent", "COMPLETE", large, false}, {"large and present", "COMPLETE", large, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(map[string]siteOptions{"eu": {lacks: lacks}})
			if tt.present {
				f.put(t, "us", "k", "first")
				f.compareAll(t, "k")
				f.clock.advance(time.Minute)
			}
			ev := f.put(t, "us", "k", strings.Repeat("x", tt.size))
			f.sites["eu"].once(tt.request, func() {
				f.clock.advance(time.Minute)
				f.putAs(t, "eu", "k", "a client's", "text/newer")
			})
			f.must(t, ev, "eu", s3mesh.ResultConflictLost)
			f.compareAll(t, "k")
			f.holds(t, "k", "a client's")
		})
	}
}

// A look right before a large object is completed saves the client's write from being covered at all.
func TestLookBeforeCompleting(t *testing.T) {
	f := newFixture(map[string]siteOptions{"eu": {lacks: s3mesh.Capabilities{ConditionalComplete: true}}})
	ev := f.put(t, "us", "k", strings.Repeat("x", 9<<20))
	f.sites["eu"].once("PART", func() {
		f.clock.advance(time.Minute)
		f.putAs(t, "eu", "k", "a client's", "text/newer")
	})
	f.must(t, ev, "eu", s3mesh.ResultConflictLost)
	if n := f.sites["eu"].takeCounts()["COMPLETE"]; n != 0 {
		t.Errorf("%d uploads were completed over it", n)
	}
	f.compareAll(t, "k")
	f.holds(t, "k", "a client's")
}
