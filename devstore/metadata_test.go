package devstore_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestMetadataHasOneForm(t *testing.T) {
	cfg := config(t)
	c, ctx, name, key := connect(t, start(t, cfg), cfg.Client), t.Context(), aws.String(bucket), aws.String("k")
	const cafe = "=?UTF-8?B?Y2Fmw6k=?="
	written := map[string]string{"raw": "café", "b": cafe, "q": "=?utf-8?q?caf=C3=A9?=", "latin": "=?ISO-8859-1?Q?caf=E9?=",
		"part": "caf=?UTF-8?Q?=C3=A9?=", "blank": "=?UTF-8?Q?_a?=", "ascii": "plain", "word": "=?UTF-8?Q?plain?=",
		"unknown": "=?KOI8-R?Q?=C1?=", "broken": "caf\xe9"}
	want := map[string]string{"raw": cafe, "b": cafe, "q": cafe, "latin": cafe, "part": cafe, "blank": "=?UTF-8?B?IGE=?=",
		"ascii": "plain", "word": "=?UTF-8?Q?plain?=", "unknown": "=?KOI8-R?Q?=C1?=", "broken": "=?UTF-8?B?Y2Fm77+9?="}
	is := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: name, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range want {
			if head.Metadata[k] != v {
				t.Errorf("%s: %s is %q, want %q", what, k, head.Metadata[k], v)
			}
		}
	}
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: key, Metadata: written})
	is("put", err)
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: key, Metadata: want})
	is("put as it was answered", err)
	_, err = c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: name, Key: key, CopySource: aws.String(bucket + "/k"),
		Metadata: written, MetadataDirective: types.MetadataDirectiveReplace})
	is("copy", err)

	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: name, Key: key, Metadata: written})
	if err != nil {
		t.Fatal(err)
	}
	part, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: name, Key: key, UploadId: up.UploadId,
		PartNumber: aws.Int32(1), Body: strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: name, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag,
			PartNumber: aws.Int32(1)}}}})
	is("multipart", err)
}

// TestLongNames tells that what can be written can be overwritten and deleted, and what cannot is refused at once.
func TestLongNames(t *testing.T) {
	cfg := config(t)
	c, ctx, name := connect(t, start(t, cfg), cfg.Client), t.Context(), aws.String(bucket)
	long := func(n int) string { return strings.Repeat("n", n) }
	for _, key := range []string{long(255), "d" + long(254) + "/" + long(255), "f/" + strings.Repeat("é", 127)} {
		put(t, c, key, "first")
		put(t, c, key, "second")
		multipart(t, c, key, nil)
		remove(t, c, key)
		put(t, c, key, "third")
		if body := get(t, c, key, ""); body != "third" {
			t.Errorf("%.20s: %q", key, body)
		}
	}
	put(t, c, long(254)+"/", "")
	put(t, c, "d/"+long(255)+"/", "")
	put(t, c, "source", "body")
	for _, key := range []string{long(256), "f/" + long(256), long(256) + "/k", "d/" + long(256) + "/"} {
		_, errPut := putIf(c, key, "", nil, nil)
		_, errUpload := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: name, Key: &key})
		_, errCopy := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: name, Key: &key,
			CopySource: aws.String(bucket + "/source")})
		for what, err := range map[string]error{"put": errPut, "upload": errUpload, "copy": errCopy} {
			if code(err) != "KeyTooLongError" {
				t.Errorf("%s %.20s of %d: %v", what, key, len(key), err)
			}
		}
	}
}
