package conformance

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// partSize is the least that S3 takes for a part that is not the last.
const partSize = 5 << 20

func uploadTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"Upload":           bucketUpload,
		"UploadConditions": bucketUploadConditions,
		"UploadOverMarker": bucketUploadOverMarker,
		"UploadAbort":      bucketUploadAbort,
		"UploadShortPart":  bucketUploadShortPart,
	}
}

func bucketUpload(c bucketCase) {
	t, f := c.t, c.BucketFixture
	attr := s3mesh.Attributes{
		ContentType: "video/mp4", CacheControl: "no-store", Metadata: map[string]string{"name": "größe"},
	}
	up := begin(t, f, "video", attr)
	parts := [][]byte{pattern(partSize), bytes.Repeat([]byte("b"), partSize), []byte("tail")}
	etags := make([]string, len(parts))
	for _, i := range []int{2, 0, 1} {
		etags[i] = must[string](t)(up.PutPart(t.Context(), i+1, streamOf(parts[i]), int64(len(parts[i]))))
	}
	wantAbsent(t, f, "video")
	written := must[s3mesh.Written](t)(up.Complete(t.Context(), etags, s3mesh.IfAbsent()))
	if want := multipartETag(parts); written.ETag != want || written.VersionID == "" {
		t.Errorf("written as %+v, want ETag %s and a version ID", written, want)
	}
	object, body := get(t, f, "video", s3mesh.ReadOptions{})
	if !bytes.Equal(body, bytes.Join(parts, nil)) || object.ETag != written.ETag {
		t.Errorf("%d bytes with ETag %s came back", len(body), object.ETag)
	}
	wantAttributes(t, object.Attributes, attr)
	for number, want := range map[int]int64{1: partSize, 3: 4} {
		head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "video", s3mesh.ReadOptions{Part: number}))
		if head.Parts != len(parts) || head.Size != want || head.ETag != written.ETag {
			t.Errorf("part %d: %+v, want %d parts, this one of %d bytes", number, head, len(parts), want)
		}
	}
}

// multipartETag is the MD5 of the parts' MD5s, and their number.
func multipartETag(parts [][]byte) string {
	var sums []byte
	for _, part := range parts {
		sum := md5.Sum(part) //nolint:gosec // see the import
		sums = append(sums, sum[:]...)
	}
	whole := md5.Sum(sums) //nolint:gosec // see the import
	return fmt.Sprintf("%s-%d", hex.EncodeToString(whole[:]), len(parts))
}

func bucketUploadConditions(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := clientPut(t, f, "key", "old")
	for _, cond := range []s3mesh.Condition{s3mesh.IfAbsent(), s3mesh.IfMatch("00000000000000000000000000000000")} {
		up, etags := uploadOne(t, f, "refused")
		_, err := up.Complete(t.Context(), etags, cond)
		wantKind(t, err, s3mesh.KindPreconditionFailed)
		wantBody(t, f, "key", "old")
		abort(t, up)
	}
	up, etags := uploadOne(t, f, "new")
	_, err := up.Complete(t.Context(), etags, s3mesh.Condition{})
	wantKind(t, err, s3mesh.KindInvalid)
	must[s3mesh.Written](t)(up.Complete(t.Context(), etags, s3mesh.IfMatch(old.ETag)))
	wantBody(t, f, "key", "new")
	abort(t, up)
	wantBody(t, f, "key", "new")
}

func bucketUploadOverMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	clientPut(t, f, "key", "old")
	clientDelete(t, f, "key")
	up, etags := uploadOne(t, f, "back again")
	must[s3mesh.Written](t)(up.Complete(t.Context(), etags, s3mesh.IfAbsent()))
	wantBody(t, f, "key", "back again")
}

func bucketUploadAbort(c bucketCase) {
	t, f := c.t, c.BucketFixture
	up, etags := uploadOne(t, f, "never")
	abort(t, up)
	abort(t, up)
	_, err := up.Complete(t.Context(), etags, s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindNotFound)
	_, err = up.PutPart(t.Context(), 1, streamOf([]byte("x")), 1)
	wantKind(t, err, s3mesh.KindNotFound)
	wantAbsent(t, f, "key")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, up.Abort(ctx), s3mesh.KindCanceled)
}

func bucketUploadShortPart(c bucketCase) {
	t, f := c.t, c.BucketFixture
	up := begin(t, f, "key", s3mesh.Attributes{})
	for _, size := range bodySizes {
		_, err := up.PutPart(t.Context(), 1, streamOf(pattern(size-1)), int64(size))
		wantKind(t, err, s3mesh.KindCorrupted)
	}
	_, err := up.Complete(t.Context(), []string{"00000000000000000000000000000000"}, s3mesh.IfAbsent())
	wantKind(t, err, s3mesh.KindInvalid)
	abort(t, up)
}

func begin(t *testing.T, f BucketFixture, key string, attr s3mesh.Attributes) s3mesh.Upload {
	t.Helper()
	up := must[s3mesh.Upload](t)(f.Bucket.BeginUpload(t.Context(), key, attr))
	if up.ID() == "" {
		t.Fatal("the upload has no ID")
	}
	return up
}

// uploadOne uploads body as the only part of an upload to "key" that is ready to be completed.
func uploadOne(t *testing.T, f BucketFixture, body string) (s3mesh.Upload, []string) {
	t.Helper()
	up := begin(t, f, "key", s3mesh.Attributes{})
	etag := must[string](t)(up.PutPart(t.Context(), 1, streamOf([]byte(body)), int64(len(body))))
	return up, []string{etag}
}

func abort(t *testing.T, up s3mesh.Upload) {
	t.Helper()
	if err := up.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}
