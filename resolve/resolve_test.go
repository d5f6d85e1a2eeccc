package resolve_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

const skew = 2 * time.Second

func version(origin string, seconds int64, counter uint32, exact bool) s3mesh.Version {
	return s3mesh.Version{Time: s3mesh.LogicalTime{Seconds: seconds, Counter: counter}, Exact: exact, Origin: origin,
		ETag: "e-of-" + origin, VersionID: origin + time.Unix(seconds, int64(counter)).UTC().String()}
}

func deleted(origin string, seconds int64) s3mesh.Version {
	v := version(origin, seconds, 0, false)
	v.ETag, v.Deleted = "", true
	return v
}

// The same table as in the comment of Resolve.
func TestResolve(t *testing.T) {
	plain := func(origin string, seconds int64, exact bool) s3mesh.Version {
		v := version(origin, seconds, 0, exact)
		v.ETag = "plain" + origin
		return v
	}
	multipart := plain("us", 100, false)
	multipart.ETag = "abc-3"
	exactMultipart := multipart
	exactMultipart.Exact = true
	tests := []struct {
		name   string
		source s3mesh.Version
		target *s3mesh.Version
		want   resolve.Decision
	}{
		{"the target never held the key", plain("us", 100, false), nil, resolve.Copy},
		{"same version", plain("us", 100, false), new(plain("us", 100, true)), resolve.InSync},
		{"apart by the skew, not exact", plain("us", 102, false), new(plain("eu", 100, false)), resolve.NeedExact},
		{"apart by the skew, one not exact", plain("us", 102, true), new(plain("eu", 100, false)), resolve.NeedExact},
		{"apart by more, source later", plain("us", 103, false), new(plain("eu", 100, false)), resolve.Copy},
		{"apart by more, target later", plain("us", 100, false), new(plain("eu", 103, false)), resolve.Superseded},
		{"multipart, far apart", multipart, new(plain("eu", 5000, false)), resolve.NeedExact},
		{"multipart but exact, far apart", exactMultipart, new(plain("eu", 5000, false)), resolve.Superseded},
		{"exact, source later within a second", version("eu", 100, 2, true), new(version("us", 100, 1, true)), resolve.Copy},
		{"exact, target later within a second", version("us", 100, 1, true), new(version("eu", 100, 2, true)), resolve.Superseded},
		{"exact, same time: the name decides", version("us", 100, 1, true), new(version("eu", 100, 1, true)), resolve.Copy},
		{"a delete against an older object", deleted("us", 103), new(plain("eu", 100, false)), resolve.Copy},
		{"an object against an older delete", plain("us", 103, false), new(deleted("eu", 100)), resolve.Copy},
		{"an object against a later delete", plain("us", 100, false), new(deleted("eu", 103)), resolve.Superseded},
		{"a delete and an object, apart by the skew", deleted("us", 102), new(plain("eu", 100, false)), resolve.NeedExact},
		{"the same delete", deleted("us", 100), new(deleted("us", 100)), resolve.InSync},
		{"the same from the other side", version("eu", 100, 1, true), new(version("us", 100, 1, true)), resolve.Superseded},
	}
	for _, tt := range tests {
		if got := resolve.Resolve(tt.source, tt.target, skew); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func drawVersion(t *rapid.T, label string) s3mesh.Version {
	origin := rapid.SampledFrom([]string{"ap", "eu", "us"}).Draw(t, label+" origin")
	etag := rapid.SampledFrom([]string{"a", "b", "a-2"}).Draw(t, label+" etag")
	return s3mesh.Version{
		Time: s3mesh.LogicalTime{Seconds: rapid.Int64Range(0, 6).Draw(t, label+" seconds"),
			Counter: rapid.Uint32Range(0, 2).Draw(t, label+" counter")},
		Exact: rapid.Bool().Draw(t, label+" exact"), Origin: origin, ETag: etag,
		VersionID: rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(t, label+" version"),
		Deleted:   rapid.Bool().Draw(t, label+" deleted"),
	}
}

// drawTwin draws a version like v, or one that differs from it in a single field: what decides a tie.
func drawTwin(t *rapid.T, v s3mesh.Version) s3mesh.Version {
	switch rapid.IntRange(0, 6).Draw(t, "differs in") {
	case 0:
		v.Deleted = !v.Deleted
	case 1:
		v.VersionID += "x"
	case 2:
		v.ETag += "x"
	case 3:
		v.Origin = "za"
	case 4:
		v.Time.Counter++
	case 5:
		return drawVersion(t, "other")
	}
	return v
}

// Compare is a total order: without one, sites that see versions in different orders would end differently.
func TestCompareIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawVersion(t, "a")
		b, c := drawTwin(t, a), drawTwin(t, a)
		if resolve.Compare(a, b) != -resolve.Compare(b, a) {
			t.Fatalf("not antisymmetric: %+v, %+v", a, b)
		}
		if resolve.Compare(a, b) <= 0 && resolve.Compare(b, c) <= 0 && resolve.Compare(a, c) > 0 {
			t.Fatalf("not transitive: %+v, %+v, %+v", a, b, c)
		}
		b.Exact = a.Exact // exactness tells how well a time is known, not which version it is
		if resolve.Compare(a, b) == 0 && a != b {
			t.Fatalf("different versions are equal: %+v, %+v", a, b)
		}
	})
}

// Two sites that compare the same two versions never both copy, nor both keep what they have while they differ.
func TestBothSidesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawVersion(t, "a")
		b := drawTwin(t, a)
		ab, ba := resolve.Resolve(a, &b, skew), resolve.Resolve(b, &a, skew)
		opposite := map[resolve.Decision]resolve.Decision{resolve.Copy: resolve.Superseded, resolve.Superseded: resolve.Copy,
			resolve.InSync: resolve.InSync, resolve.NeedExact: resolve.NeedExact}
		if ba != opposite[ab] && resolve.Compare(a, b) != 0 {
			t.Fatalf("one side says %v, the other %v: %+v, %+v", ab, ba, a, b)
		}
	})
}

// merge is what a site holds after it was offered versions in turn, all of exact times.
func merge(t *rapid.T, versions []s3mesh.Version) s3mesh.Version {
	var held *s3mesh.Version
	for _, v := range versions {
		v.Exact = true
		switch decision := resolve.Resolve(v, held, skew); decision {
		case resolve.Copy:
			held = &v
		case resolve.InSync, resolve.Superseded:
		default:
			t.Fatalf("%+v against %+v: %v", v, held, decision)
		}
	}
	return *held
}

// Whatever the order in which versions arrive, and however often, every site ends with the same one.
func TestSameWinnerEverywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var versions []s3mesh.Version
		for i := range rapid.IntRange(1, 5).Draw(t, "versions") {
			v := drawVersion(t, "v")
			v.VersionID += fmt.Sprint("unique ", i)
			versions = append(versions, v)
		}
		again := append(slices.Clone(versions), versions[rapid.IntRange(0, len(versions)-1).Draw(t, "again")])
		here := merge(t, versions)
		if there := merge(t, rapid.Permutation(again).Draw(t, "order there")); !here.Same(there) {
			t.Fatalf("one site ends with %+v, another with %+v", here, there)
		}
		if here != merge(t, versions) {
			t.Fatal("not deterministic")
		}
	})
}

// What a client writes over something is always later than it, whatever its site's clock says.
func TestNativeIsLaterThanWhatItCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		previous := drawVersion(t, "previous").Time
		at := time.Unix(rapid.Int64Range(0, 6).Draw(t, "clock"), 0)
		got := resolve.Native(at, &previous)
		if got.Compare(previous) <= 0 || got.Compare(s3mesh.TimeAt(at)) < 0 {
			t.Fatalf("%v written at %v over %v", got, at, previous)
		}
	})
	if got := resolve.Native(time.Unix(7, 5e8), nil); got != (s3mesh.LogicalTime{Seconds: 7}) {
		t.Errorf("first version: %v", got)
	}
}

func TestCannotReach(t *testing.T) {
	later := time.Unix(100, 0)
	entry := func(seconds int64, etag string) s3mesh.HistoryEntry {
		return s3mesh.HistoryEntry{LastModified: time.Unix(seconds, 0), ETag: etag}
	}
	for _, tt := range []struct {
		entry s3mesh.HistoryEntry
		want  bool
	}{{entry(98, "a"), false}, {entry(97, "a"), true}, {entry(97, "a-2"), false}, {entry(101, "a"), false}} {
		if got := resolve.CannotReach(tt.entry, later, skew); got != tt.want {
			t.Errorf("%+v: %v", tt.entry, got)
		}
	}
}
