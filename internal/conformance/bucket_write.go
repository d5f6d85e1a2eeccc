package conformance

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func writeTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"Attributes":       bucketAttributes,
		"BadMetadataName":  bucketBadMetadataName,
		"LargeStream":      bucketLargeStream,
		"ShortBody":        bucketShortBody,
		"LongBody":         bucketLongBody,
		"FailingBody":      bucketFailingBody,
		"OverwriteChanges": bucketOverwriteChanges,
	}
}

func bucketAttributes(c bucketCase) {
	t, f := c.t, c.BucketFixture
	want := s3mesh.Attributes{
		ContentType:        "image/png",
		ContentEncoding:    "gzip",
		ContentLanguage:    "de-CH, en",
		ContentDisposition: `attachment; filename="a b.png"`,
		CacheControl:       "max-age=60, private",
		Expires:            "Wed, 21 Oct 2099 07:28:00 GMT",
		WebsiteRedirect:    "/elsewhere",
		Metadata: map[string]string{
			"Mixed-Case":   "Value",
			"unicode":      "grüße 世界 🎉",
			"punctuation":  `a=b; "c" <d> 100%+`,
			"two-blanks":   "a  b",
			"like-encoded": "=?UTF-8?Q?plain?=",
			"long":         string(bytes.Repeat([]byte("é"), 100)),
		},
	}
	if f.Gaps.NoWebsiteRedirect {
		want.WebsiteRedirect = ""
	}
	must[s3mesh.Written](t)(f.Bucket.Put(t.Context(), "attributes", s3mesh.PutInput{
		Body: streamOf([]byte("x")), Size: 1, Attributes: want, Condition: s3mesh.IfAbsent(),
	}))
	want.Metadata["mixed-case"] = "Value"
	delete(want.Metadata, "Mixed-Case")
	head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "attributes", s3mesh.ReadOptions{}))
	object, _ := get(t, f, "attributes", s3mesh.ReadOptions{})
	wantAttributes(t, head.Attributes, want)
	wantAttributes(t, object.Attributes, want)
}

func wantAttributes(t *testing.T, got, want s3mesh.Attributes) {
	t.Helper()
	if !maps.Equal(got.Metadata, want.Metadata) {
		t.Errorf("metadata\n got %q\nwant %q", got.Metadata, want.Metadata)
	}
	got.Metadata, want.Metadata = nil, nil
	for i, pair := range [][2]string{
		{got.ContentType, want.ContentType}, {got.ContentEncoding, want.ContentEncoding},
		{got.ContentLanguage, want.ContentLanguage}, {got.ContentDisposition, want.ContentDisposition},
		{got.CacheControl, want.CacheControl}, {got.Expires, want.Expires}, {got.WebsiteRedirect, want.WebsiteRedirect},
	} {
		if pair[0] != pair[1] {
			t.Errorf("attribute %d: got %q, want %q", i, pair[0], pair[1])
		}
	}
}

func bucketBadMetadataName(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, name := range []string{"", "a b", "ü", "a:b"} {
		attr := s3mesh.Attributes{Metadata: map[string]string{name: "v"}}
		_, err := f.Bucket.Put(t.Context(), "bad", s3mesh.PutInput{Attributes: attr, Condition: s3mesh.IfAbsent()})
		wantKind(t, err, s3mesh.KindUnstorable)
		_, err = f.Bucket.BeginUpload(t.Context(), "bad", attr)
		wantKind(t, err, s3mesh.KindUnstorable)
	}
	wantAbsent(t, f, "bad")
}

func bucketLargeStream(c bucketCase) {
	t, f := c.t, c.BucketFixture
	const size = 8 << 20
	data := pattern(size)
	must[s3mesh.Written](t)(f.Bucket.Put(t.Context(), "large", s3mesh.PutInput{
		Body: streamOf(data), Size: size, Condition: s3mesh.IfAbsent(),
	}))
	object, body, err := f.Bucket.Get(t.Context(), "large", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, body); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(data); object.Size != size || !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Fatalf("%d bytes came back as %d, or with other content", size, object.Size)
	}
}

// bodySizes are a body that an adapter may read at once, and one that it has to stream.
var bodySizes = []int{100, 4 << 20}

func bucketShortBody(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, size := range bodySizes {
		_, err := f.Bucket.Put(t.Context(), "short", s3mesh.PutInput{
			Body: streamOf(pattern(size - 1)), Size: int64(size), Condition: s3mesh.IfAbsent(),
		})
		wantKind(t, err, s3mesh.KindCorrupted)
		wantAbsent(t, f, "short")
	}
}

func bucketLongBody(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, size := range bodySizes {
		_, err := f.Bucket.Put(t.Context(), "long", s3mesh.PutInput{
			Body: streamOf(pattern(size + 1)), Size: int64(size), Condition: s3mesh.IfAbsent(),
		})
		wantKind(t, err, s3mesh.KindCorrupted)
		wantAbsent(t, f, "long")
	}
}

// bucketFailingBody gives a body that comes whole and then turns out to be wrong, as a checksum at its end does.
func bucketFailingBody(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, size := range bodySizes {
		failure := &s3mesh.Error{Kind: s3mesh.KindCorrupted, Op: "GetObject", Err: errors.New("checksum mismatch")}
		_, err := f.Bucket.Put(t.Context(), "failing", s3mesh.PutInput{
			Body: io.MultiReader(bytes.NewReader(pattern(size)), failingReader{failure}), Size: int64(size),
			Condition: s3mesh.IfAbsent(),
		})
		wantKind(t, err, s3mesh.KindCorrupted)
		if !errors.Is(err, failure) {
			t.Errorf("the cause is lost: %v", err)
		}
		wantAbsent(t, f, "failing")
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func bucketOverwriteChanges(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first := must[s3mesh.Written](t)(f.Bucket.Put(t.Context(), "key", s3mesh.PutInput{
		Body: streamOf([]byte("first")), Size: 5, Condition: s3mesh.IfAbsent(),
		Attributes: s3mesh.Attributes{ContentType: "text/a", Metadata: map[string]string{"a": "1"}},
	}))
	second := must[s3mesh.Written](t)(f.Bucket.Put(t.Context(), "key", s3mesh.PutInput{
		Body: streamOf([]byte("second")), Size: 6, Condition: s3mesh.IfMatch(first.ETag),
		Attributes: s3mesh.Attributes{ContentType: "text/b", Metadata: map[string]string{"b": "2"}},
	}))
	wantBody(t, f, "key", "second")
	head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "key", s3mesh.ReadOptions{}))
	if head.VersionID != second.VersionID || first.VersionID == second.VersionID {
		t.Errorf("version IDs: first %q, second %q, current %q", first.VersionID, second.VersionID, head.VersionID)
	}
	wantAttributes(t, head.Attributes, s3mesh.Attributes{ContentType: "text/b", Metadata: map[string]string{"b": "2"}})
}

// pattern returns size bytes that differ from one position to another.
func pattern(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	return data
}
