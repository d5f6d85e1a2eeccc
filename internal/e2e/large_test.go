package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	mib          = 1 << 20
	largeSize    = 100*mib + 12345
	largeArrival = 90 * time.Second
)

// randomBody returns size bytes that are the same in every run.
func randomBody(size int) string {
	var b strings.Builder
	b.Grow(size)
	if _, err := io.CopyN(&b, rand.NewChaCha8([32]byte{1}), int64(size)); err != nil {
		panic(err) // the generator does not fail
	}
	return b.String()
}

// TestLargeObjects: objects that are copied in parts arrive whole, whether they were written at once or in parts, and an
// upload in equal parts keeps its ETag.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	d := startDemo(t, newMachine(t), "--regions", "2")
	body := randomBody(largeSize)
	want := sha256.Sum256([]byte(body))
	source, target := d.sites[0], d.sites[1]

	source.mustPut(t, "large/at once", object{body: body, contentType: "application/x-large",
		metadata: map[string]string{"kind": "single"}})
	awaitDigest(t, target, "large/at once", want, "")
	for _, partSize := range []int{8 * mib, 33 * mib} {
		key := fmt.Sprintf("large/in parts of %d", partSize)
		etag := source.writeMultipart(t, key, body, partSize)
		awaitDigest(t, target, key, want, etag)
	}
	d.settled(t, arrival)
	d.noLetters(t)
}

// awaitDigest waits until a site holds an object of this content, and of this ETag unless that is "".
func awaitDigest(t *testing.T, s *site, key string, want [sha256.Size]byte, etag string) {
	t.Helper()
	eventually(t, largeArrival, fmt.Sprintf("%q at %s", key, s.Name), func() error {
		_, err := s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &key})
		return err
	})
	out, err := s.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	_, err = io.Copy(h, out.Body)
	if err = errors.Join(err, out.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if got := [sha256.Size]byte(h.Sum(nil)); got != want {
		t.Errorf("%q at %s: content %x, want %x", key, s.Name, got, want)
	}
	if got := strings.Trim(aws.ToString(out.ETag), `"`); etag != "" && got != etag {
		t.Errorf("%q at %s: ETag %s, want %s", key, s.Name, got, etag)
	}
	if aws.ToString(out.ContentType) != "application/x-large" || out.Metadata["kind"] == "" {
		t.Errorf("%q at %s: type %v, metadata %v", key, s.Name, out.ContentType, out.Metadata)
	}
}

// writeMultipart uploads body in parts of partSize bytes.
func (s *site) writeMultipart(t *testing.T, key, body string, partSize int) (etag string) {
	t.Helper()
	ctx := t.Context()
	started, err := s.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key,
		ContentType: aws.String("application/x-large"), Metadata: map[string]string{"kind": "multipart"}})
	if err != nil {
		t.Fatal(err)
	}
	parts := s.uploadParts(t, key, started.UploadId, body, partSize)
	out, err := s.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.Bucket, Key: &key,
		UploadId: started.UploadId, MultipartUpload: parts})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(aws.ToString(out.ETag), `"`)
}

func (s *site) uploadParts(t *testing.T, key string, id *string, body string, partSize int) *types.CompletedMultipartUpload {
	t.Helper()
	done := &types.CompletedMultipartUpload{}
	for number := int32(1); body != ""; number++ {
		n := min(partSize, len(body))
		out, err := s.s3.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &s.Bucket, Key: &key, UploadId: id,
			PartNumber: aws.Int32(number), Body: strings.NewReader(body[:n])})
		if err != nil {
			t.Fatal(err)
		}
		// The SDK adds a CRC32 to each part, and S3 wants it told again.
		done.Parts = append(done.Parts, types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(number),
			ChecksumCRC32: out.ChecksumCRC32})
		body = body[n:]
	}
	return done
}
