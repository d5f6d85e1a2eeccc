package conformance

import (
	"context"
	"maps"

	"github.com/s3mesh/s3mesh"
)

func readTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"Missing":          bucketMissing,
		"Found":            bucketFound,
		"Empty":            bucketEmpty,
		"DeleteMarker":     bucketReadDeleteMarker,
		"PinnedByVersion":  bucketPinnedByVersion,
		"PinnedByETag":     bucketPinnedByETag,
		"Range":            bucketRange,
		"ClientAttributes": bucketClientAttributes,
		"Canceled":         bucketCanceled,
	}
}

func bucketMissing(c bucketCase) {
	t, f := c.t, c.BucketFixture
	wantAbsent(t, f, "missing")
	_, _, err := f.Bucket.Get(t.Context(), "missing", s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindNotFound)
	_, err = f.Bucket.Head(t.Context(), "missing", s3mesh.ReadOptions{IfMatch: "00000000000000000000000000000000"})
	if kind := s3mesh.KindOf(err); kind != s3mesh.KindNotFound && kind != s3mesh.KindPreconditionFailed {
		t.Fatalf("pinned HEAD of a missing key: %v", err)
	}
}

func bucketFound(c bucketCase) {
	t, f := c.t, c.BucketFixture
	written := clientPut(t, f, "found", "some bytes")
	head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "found", s3mesh.ReadOptions{}))
	object, body := get(t, f, "found", s3mesh.ReadOptions{})
	if string(body) != "some bytes" {
		t.Fatalf("body %q", body)
	}
	for name, o := range map[string]s3mesh.Object{"Head": head, "Get": object} {
		if o.Size != 10 || o.ETag != written.ETag || o.VersionID != written.VersionID || o.OpaqueETag || o.Parts != 0 {
			t.Errorf("%s: %+v, want what was written: %+v", name, o, written)
		}
		wantRecent(t, o.LastModified)
	}
	if written.ETag == "" || written.VersionID == "" || head.ETag[0] == '"' {
		t.Errorf("written as %+v, with ETag %s: want an unquoted ETag and a version ID", written, head.ETag)
	}
}

func bucketEmpty(c bucketCase) {
	t, f := c.t, c.BucketFixture
	putAbsent(t, f, "empty", "")
	wantBody(t, f, "empty", "")
	head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "empty", s3mesh.ReadOptions{}))
	if head.Size != 0 || head.ETag == "" {
		t.Fatalf("empty object: %+v", head)
	}
}

func bucketReadDeleteMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "deleted", "gone")
	clientDelete(t, f, "deleted")
	wantAbsent(t, f, "deleted")
	_, _, err := f.Bucket.Get(t.Context(), "deleted", s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindNotFound)
	marker := history(t, f, "deleted")[0]
	_, err = f.Bucket.Head(t.Context(), "deleted", s3mesh.ReadOptions{VersionID: marker.VersionID})
	wantKind(t, err, s3mesh.KindNotFound)
}

func bucketPinnedByVersion(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first := clientPut(t, f, "pinned", "first")
	second := clientPut(t, f, "pinned", "second")
	clientDelete(t, f, "pinned")
	for id, want := range map[string]string{first.VersionID: "first", second.VersionID: "second"} {
		object, body := get(t, f, "pinned", s3mesh.ReadOptions{VersionID: id})
		if string(body) != want || object.VersionID != id {
			t.Errorf("version %s: %q, %+v; want %q", id, body, object, want)
		}
		wantRecent(t, object.LastModified)
	}
}

func bucketPinnedByETag(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := clientPut(t, f, "pinned", "old")
	get(t, f, "pinned", s3mesh.ReadOptions{IfMatch: old.ETag})
	clientPut(t, f, "pinned", "new")
	_, err := f.Bucket.Head(t.Context(), "pinned", s3mesh.ReadOptions{IfMatch: old.ETag})
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	_, _, err = f.Bucket.Get(t.Context(), "pinned", s3mesh.ReadOptions{IfMatch: old.ETag})
	wantKind(t, err, s3mesh.KindPreconditionFailed)
}

func bucketRange(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "ranged", "0123456789")
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, 1, "0"}, {3, 4, "3456"}, {9, 1, "9"}, {0, 10, "0123456789"}, {8, 100, "89"}} {
		object, body := get(t, f, "ranged", s3mesh.ReadOptions{Range: &s3mesh.ByteRange{Offset: c.offset, Length: c.length}})
		if string(body) != c.want || object.Size != 10 {
			t.Errorf("%d bytes from %d: %q, size %d; want %q of 10", c.length, c.offset, body, object.Size, c.want)
		}
	}
	for _, bad := range []s3mesh.ByteRange{{Offset: 10, Length: 1}, {Offset: 0, Length: 0}, {Offset: -1, Length: 2}} {
		_, _, err := f.Bucket.Get(t.Context(), "ranged", s3mesh.ReadOptions{Range: &bad})
		wantKind(t, err, s3mesh.KindInvalid)
	}
}

// bucketClientAttributes reads what an application wrote in its own way: names in mixed case, values past ASCII as raw UTF-8.
func bucketClientAttributes(c bucketCase) {
	t, f := c.t, c.BucketFixture
	attr := s3mesh.Attributes{
		ContentType: "text/plain; charset=utf-8",
		Metadata:    map[string]string{"Mixed-Case": "Value", "unicode": "grüße 世界"},
	}
	must[s3mesh.Written](t)(f.Client.Put(t.Context(), "attributes", []byte("x"), attr))
	head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "attributes", s3mesh.ReadOptions{}))
	want := map[string]string{"mixed-case": "Value", "unicode": "grüße 世界"}
	if head.Attributes.ContentType != attr.ContentType || !maps.Equal(head.Attributes.Metadata, want) {
		t.Fatalf("got %+v, want metadata %v", head.Attributes, want)
	}
}

func bucketCanceled(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "key", "value")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Bucket.Head(ctx, "key", s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindCanceled)
	_, _, err = f.Bucket.Get(ctx, "key", s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindCanceled)
	_, err = f.Bucket.Put(ctx, "new", s3mesh.PutInput{Condition: s3mesh.IfAbsent()})
	wantKind(t, err, s3mesh.KindCanceled)
	_, err = f.Bucket.BeginUpload(ctx, "new", s3mesh.Attributes{})
	wantKind(t, err, s3mesh.KindCanceled)
	for _, err := range f.Bucket.History(ctx, "key") {
		wantKind(t, err, s3mesh.KindCanceled)
	}
	wantAbsent(t, f, "new")
}
