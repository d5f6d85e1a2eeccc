package resolve_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

var written = time.Unix(1_795_436_400, 0).UTC()

func replica(key string, size int64, v s3mesh.Version) s3mesh.Object {
	stamp := resolve.Stamp{Version: v, Written: written}
	value := stamp.Encode(resolve.Place{Site: "eu-west-2", Key: key}, size)
	return s3mesh.Object{Size: size, ETag: v.ETag, VersionID: "own", LastModified: written,
		Attributes: s3mesh.Attributes{Metadata: map[string]string{resolve.MetadataName: value}}}
}

var original = s3mesh.Version{Time: s3mesh.LogicalTime{Seconds: 1_795_436_390, Counter: 3}, Origin: "us-east-1",
	ETag: "9b2cf535f27731c974343645a3985328", VersionID: "v1"}

func TestStampSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := s3mesh.Version{
			Time:  s3mesh.LogicalTime{Seconds: rapid.Int64().Draw(t, "seconds"), Counter: rapid.Uint32().Draw(t, "counter")},
			Exact: rapid.Bool().Draw(t, "exact"), OpaqueETag: rapid.Bool().Draw(t, "opaque"),
			Origin:    rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`).Draw(t, "origin"),
			ETag:      rapid.StringMatching(`[0-9a-f]{32}(-[0-9]{1,5})?`).Draw(t, "etag"),
			VersionID: rapid.StringMatching(`([A-Za-z0-9._]{1,40})?`).Draw(t, "version"),
		}
		key, size := rapid.String().Draw(t, "key"), rapid.Int64Min(0).Draw(t, "size")
		at := resolve.Place{Site: "eu-west-2", Key: key}
		got, err := resolve.ParseStamp(resolve.Stamp{Version: v, Written: written}.Encode(at, size), at, size)
		if err != nil || got.Version != v || !got.Written.Equal(written) {
			t.Fatalf("%+v came back as %+v, %v", v, got, err)
		}
	})
}

func ahead(v s3mesh.Version, d time.Duration) s3mesh.Version {
	v.Time.Seconds += int64(d / time.Second)
	return v
}

func counting(v s3mesh.Version, counter uint32) s3mesh.Version {
	v.Time.Counter = counter
	return v
}

// A stamp counts only on what s3mesh wrote it on: everything else is a client's own write.
func TestReadBelievesOnlyItsOwnStamps(t *testing.T) {
	good := replica("a/key", 10, original)
	if r := resolve.Read("eu-west-2", "a/key", good); !r.Replica || r.Version != original || r.Fault != nil {
		t.Fatalf("a replica reads as %+v", r)
	}
	stamp := good.Attributes.Metadata[resolve.MetadataName]
	change := func(f func(o *s3mesh.Object)) s3mesh.Object {
		o := replica("a/key", 10, original)
		f(&o)
		return o
	}
	setStamp := func(text string) s3mesh.Object {
		return change(func(o *s3mesh.Object) { o.Attributes.Metadata[resolve.MetadataName] = text })
	}
	tests := []struct {
		name, key string
		object    s3mesh.Object
	}{
		{"copied to another key", "b/key", good},
		{"body replaced, other size", "a/key", change(func(o *s3mesh.Object) { o.Size++ })},
		{"body replaced, same size", "a/key", change(func(o *s3mesh.Object) { o.ETag = strings.Repeat("0", 32) })},
		{"empty", "a/key", setStamp("")},
		{"of another format", "a/key", setStamp("v2" + stamp[2:])},
		{"with a later time", "a/key", setStamp(strings.Replace(stamp, "1795436390", "9795436390", 1))},
		{"with a time that no clock told", "a/key", replica("a/key", 10, ahead(original, time.Hour))},
		{"with an endless counter", "a/key", replica("a/key", 10, counting(original, 1<<30))},
		{"cut off", "a/key", setStamp(stamp[:len(stamp)-1])},
		{"with more", "a/key", setStamp(stamp + " x")},
	}
	for _, tt := range tests {
		r := resolve.Read("eu-west-2", tt.key, tt.object)
		want := s3mesh.Version{Time: s3mesh.TimeAt(written), Origin: "eu-west-2", ETag: tt.object.ETag, VersionID: "own"}
		if r.Replica || r.Version != want || r.Fault == nil {
			t.Errorf("%s: %+v", tt.name, r)
		}
	}
}

// A replica that a client copied from one site to another was written by that client there.
func TestReadBelievesNoStampOfAnotherSite(t *testing.T) {
	if r := resolve.Read("ap-south-1", "k", replica("k", 10, original)); r.Replica || r.Fault == nil {
		t.Errorf("%+v", r)
	}
}

// Where ETags do not tell the content, they cannot be held against a stamp.
func TestReadComparesOnlyComparableETags(t *testing.T) {
	for name, change := range map[string]func(o *s3mesh.Object){
		"encrypted at the target": func(o *s3mesh.Object) { o.ETag, o.OpaqueETag = strings.Repeat("0", 32), true },
		"multipart at the target": func(o *s3mesh.Object) { o.ETag = strings.Repeat("0", 32) + "-4" },
	} {
		o := replica("k", 10, original)
		change(&o)
		if r := resolve.Read("eu-west-2", "k", o); !r.Replica {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A replica in plain text of what its origin's bucket encrypts has another ETag than the original.
func TestReadReplicaOfEncrypted(t *testing.T) {
	encrypted := resolve.Read("us-east-1", "k", s3mesh.Object{ETag: original.ETag, OpaqueETag: true, VersionID: original.VersionID,
		LastModified: written}).Version
	o := replica("k", 10, encrypted)
	o.ETag = strings.Repeat("0", 32)
	r := resolve.Read("eu-west-2", "k", o)
	if !r.Replica || r.Version != encrypted {
		t.Errorf("%+v, want a replica of %+v", r, encrypted)
	}
	// A stamp does not come to say that by itself.
	o = replica("k", 10, original)
	o.ETag = strings.Repeat("0", 32)
	o.Attributes.Metadata[resolve.MetadataName] = strings.Replace(o.Attributes.Metadata[resolve.MetadataName],
		original.ETag, original.ETag+"~", 1)
	if r := resolve.Read("eu-west-2", "k", o); r.Replica || r.Fault == nil {
		t.Errorf("%+v", r)
	}
}

func TestReadWithoutStamp(t *testing.T) {
	r := resolve.Read("eu-west-2", "k", s3mesh.Object{ETag: "e", VersionID: "v", LastModified: written})
	want := s3mesh.Version{Time: s3mesh.TimeAt(written), Origin: "eu-west-2", ETag: "e", VersionID: "v"}
	if r.Replica || r.Fault != nil || r.Version != want {
		t.Errorf("%+v", r)
	}
}

func FuzzParseStamp(f *testing.F) {
	f.Add(resolve.Stamp{Version: original, Written: written}.Encode(resolve.Place{Site: "eu", Key: "k"}, 1), "k", int64(1))
	f.Add("v1 1.0~ us e - 1 00", "k", int64(0))
	f.Fuzz(func(t *testing.T, value, key string, size int64) {
		at := resolve.Place{Site: "eu", Key: key}
		stamp, err := resolve.ParseStamp(value, at, size)
		if err == nil && stamp.Encode(at, size) != value {
			t.Errorf("%q was read as %+v, which is written %q", value, stamp, stamp.Encode(at, size))
		}
	})
}
