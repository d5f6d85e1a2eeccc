package conformance

import (
	"crypto/sha1" //nolint:gosec // one of the checksums of S3
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func contentTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"Checksums":         bucketChecksums,
		"ChecksumsOfUpload": bucketChecksumsOfUpload,
		"Tags":              bucketTags,
		"TagsMissing":       bucketTagsMissing,
	}
}

// bucketChecksums reads those of what an application wrote, and of what s3mesh did.
func bucketChecksums(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "client", "some content")
	putAbsent(t, f, "ours", "some content")
	putAbsent(t, f, "large", strings.Repeat("some content ", 100_000))
	for key, content := range map[string]string{
		"client": "some content", "ours": "some content", "large": strings.Repeat("some content ", 100_000),
	} {
		if head := headChecksums(t, f, key, false); len(head) != 0 {
			t.Errorf("%s: checksums %v that nobody asked for", key, head)
		}
		sums := headChecksums(t, f, key, true)
		if len(sums) == 0 && key != "client" { // this client sends none
			t.Errorf("%s: no checksum", key)
		}
		for _, sum := range sums {
			if want := digest(t, sum.Algorithm, content); sum.Composite || sum.Value != want {
				t.Errorf("%s: %+v, want %s of the whole", key, sum, want)
			}
		}
	}
}

// bucketChecksumsOfUpload: a checksum of the parts must not pass for one of the whole content.
func bucketChecksumsOfUpload(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first, last := strings.Repeat("x", 5<<20), "rest"
	upload := must[s3mesh.Upload](t)(f.Bucket.BeginUpload(t.Context(), "key", s3mesh.Attributes{}))
	var etags []string
	for i, part := range []string{first, last} {
		etags = append(etags, must[string](t)(upload.PutPart(t.Context(), i+1, strings.NewReader(part), int64(len(part)))))
	}
	must[s3mesh.Written](t)(upload.Complete(t.Context(), etags, s3mesh.IfAbsent()))
	for _, sum := range headChecksums(t, f, "key", true) {
		if want := digest(t, sum.Algorithm, first+last); sum.Composite == (sum.Value == want) {
			t.Errorf("%+v, where that of the whole is %s", sum, want)
		}
	}
}

func headChecksums(t *testing.T, f BucketFixture, key string, ask bool) []s3mesh.Checksum {
	t.Helper()
	return must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), key, s3mesh.ReadOptions{Checksums: ask})).Checksums
}

// digest returns the checksum of content as S3 writes it.
func digest(t *testing.T, algorithm, content string) string {
	t.Helper()
	sums := map[string]hash.Hash{
		"CRC32":     crc32.NewIEEE(),
		"CRC32C":    crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"CRC64NVME": crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)),
		"SHA1":      sha1.New(), //nolint:gosec // see the import
		"SHA256":    sha256.New(),
	}
	sum, known := sums[algorithm]
	if !known {
		t.Fatalf("unknown algorithm %q", algorithm)
	}
	must[int](t)(io.WriteString(sum, content))
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func bucketTags(c bucketCase) {
	t, f := c.t, c.BucketFixture
	first := clientPut(t, f, "key", "first")
	wantTags(c, "", nil)
	tags := map[string]string{"plain": "value", "with space": "a+b=c@d", "empty": ""}
	if err := f.PutTags(t.Context(), "key", tags); err != nil {
		t.Fatal(err)
	}
	wantTags(c, "", tags)
	clientPut(t, f, "key", "second")
	wantTags(c, "", nil)
	wantTags(c, first.VersionID, tags)
}

// wantTags wants these tags of a version of "key", and their number told by HEAD.
func wantTags(c bucketCase, versionID string, want map[string]string) {
	c.t.Helper()
	got := must[map[string]string](c.t)(listerOf(c).Tags(c.t.Context(), "key", versionID))
	head := must[s3mesh.Object](c.t)(c.Bucket.Head(c.t.Context(), "key", s3mesh.ReadOptions{VersionID: versionID}))
	if !maps.Equal(got, want) || head.Tags != len(want) {
		c.t.Errorf("version %q: tags %q, want %q; HEAD counts %d", versionID, got, want, head.Tags)
	}
}

func bucketTagsMissing(c bucketCase) {
	t, f := c.t, c.BucketFixture
	_, err := listerOf(c).Tags(t.Context(), "never-was", "")
	wantKind(t, err, s3mesh.KindNotFound)
	clientPut(t, f, "key", "value")
	clientDelete(t, f, "key")
	_, err = listerOf(c).Tags(t.Context(), "key", "")
	wantKind(t, err, s3mesh.KindNotFound)
	_, err = listerOf(c).Tags(t.Context(), "", "")
	wantKind(t, err, s3mesh.KindInvalid)
}
