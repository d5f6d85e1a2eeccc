package s3mesh_test

import (
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

func TestLogicalTime(t *testing.T) {
	at := s3mesh.TimeAt(time.Unix(100, 999_999_999))
	if at != (s3mesh.LogicalTime{Seconds: 100}) {
		t.Errorf("not whole seconds: %v", at)
	}
	order := []s3mesh.LogicalTime{{}, {Seconds: 99, Counter: 7}, at, at.Next(), {Seconds: 101}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%v.Compare(%v) = %d", a, b, got)
			}
		}
	}
}

func TestSame(t *testing.T) {
	v := s3mesh.Version{Time: s3mesh.LogicalTime{Seconds: 100}, Origin: "us", ETag: "e", VersionID: "v1"}
	change := func(f func(*s3mesh.Version)) s3mesh.Version {
		w := v
		f(&w)
		return w
	}
	for name, tt := range map[string]struct {
		a, b s3mesh.Version
		same bool
	}{
		"itself":                   {v, v, true},
		"another time and exact":   {v, change(func(w *s3mesh.Version) { w.Time.Seconds, w.Exact = 200, true }), true},
		"another origin":           {v, change(func(w *s3mesh.Version) { w.Origin = "eu" }), false},
		"another version ID":       {v, change(func(w *s3mesh.Version) { w.VersionID = "v2" }), false},
		"a delete":                 {v, change(func(w *s3mesh.Version) { w.Deleted = true }), false},
		"unversioned, same second": {s3mesh.Version{ETag: "e"}, s3mesh.Version{ETag: "e"}, true},
		"unversioned, other second": {s3mesh.Version{ETag: "e"},
			s3mesh.Version{ETag: "e", Time: s3mesh.LogicalTime{Seconds: 1}}, false},
		"null version, other second": {s3mesh.Version{VersionID: "null"},
			s3mesh.Version{VersionID: "null", Time: s3mesh.LogicalTime{Seconds: 1}}, false},
	} {
		if tt.a.Same(tt.b) != tt.same || tt.b.Same(tt.a) != tt.same {
			t.Errorf("%s: not %v", name, tt.same)
		}
	}
}
