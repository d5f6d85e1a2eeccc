package devstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ontoItself returns a copy of k, or of one of its versions, onto k with one metadata value.
func ontoItself(versionID *string, value string) *s3.CopyObjectInput {
	source := bucket + "/k"
	if versionID != nil {
		source += "?versionId=" + *versionID
	}
	return &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: &source,
		MetadataDirective: types.MetadataDirectiveReplace, ContentType: aws.String("text/" + value),
		Metadata: map[string]string{"value": value}}
}

func TestCopyOntoItselfMakesAVersion(t *testing.T) {
	in, r, cfg := announced(t)
	c, ctx, name, key := connect(t, r, cfg.Client), t.Context(), aws.String(bucket), aws.String("k")
	first, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: key, Body: strings.NewReader("first"),
		ContentType: aws.String("text/one"), CacheControl: aws.String("no-store"), Tagging: aws.String("tag=a%2B%C3%A9+c"),
		Metadata: map[string]string{"value": "one", "other": "x"}, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	if err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(cfg.Dir, "objects", bucket, "k"), hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	ids := []*string{first.VersionId}
	is := func(what string, out *s3.CopyObjectOutput, err error, source *string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ids = append(ids, out.VersionId)
		if e := in.one(t); e.EventName != "ObjectCreated:Copy" || e.S3.Object.VersionID != *out.VersionId ||
			e.S3.Object.Size != 5 {
			t.Errorf("%s: event %+v of %s", what, e, *out.VersionId)
		}
		result := out.CopyObjectResult
		if aws.ToString(out.CopySourceVersionId) != *source || aws.ToString(result.ETag) != *first.ETag ||
			aws.ToString(result.ChecksumSHA256) != *first.ChecksumSHA256 || time.Since(*result.LastModified) > time.Minute {
			t.Errorf("%s: answer %+v, result %+v", what, out, result)
		}
	}
	in.take()
	out, err := c.CopyObject(ctx, ontoItself(nil, "two"))
	is("the current one", out, err, first.VersionId)
	out, err = c.CopyObject(ctx, ontoItself(ids[1], "three"))
	is("the current one by ID", out, err, ids[1])
	out, err = c.CopyObject(ctx, ontoItself(ids[0], "four"))
	is("an older one", out, err, ids[0])
	keep := ontoItself(ids[0], "")
	keep.MetadataDirective, keep.Metadata, keep.ContentType = types.MetadataDirectiveCopy, nil, nil
	out, err = c.CopyObject(ctx, keep)
	is("an older one with its metadata", out, err, ids[0])

	for i, value := range []string{"one", "two", "three", "four", "one"} {
		head := checkVersion(t, c, ids[i], value)
		if head.LastModified.Equal(hourAgo) != (i == 0) {
			t.Errorf("version %d: written %v", i, head.LastModified)
		}
	}
	if versions, markers := history(t, c, "k"); len(versions) != 5 || len(markers) != 0 {
		t.Errorf("%d versions and %d markers, want 5 and 0", len(versions), len(markers))
	}
}

// checkVersion checks a version of k: its value, and what it has of the first version, whose value is "one".
func checkVersion(tb testing.TB, c *s3.Client, id *string, value string) *s3.HeadObjectOutput {
	tb.Helper()
	ctx, name, key := context.Background(), aws.String(bucket), aws.String("k")
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: name, Key: key, VersionId: id})
	if err != nil {
		tb.Fatal(err)
	}
	other, cache := head.Metadata["other"], aws.ToString(head.CacheControl)
	if head.Metadata["value"] != value || *head.ContentType != "text/"+value ||
		(other == "x") != (value == "one") || (cache == "no-store") != (value == "one") {
		tb.Errorf("%s: metadata %v, content type %s, cache %q", value, head.Metadata, *head.ContentType, cache)
	}
	if body := get(tb, c, "k", *id); body != "first" {
		tb.Errorf("%s: body %q", value, body)
	}
	tags, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: name, Key: key, VersionId: id})
	if err != nil || len(tags.TagSet) != 1 || *tags.TagSet[0].Key != "tag" || *tags.TagSet[0].Value != "a+é c" {
		tb.Errorf("%s: tags %+v, %v", value, tags, err)
	}
	return head
}

func TestCopyOntoItselfUnversioned(t *testing.T) {
	cfg := config(t)
	cfg.Unversioned = true
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "k", "body")
	if _, err := c.CopyObject(t.Context(), ontoItself(nil, "new")); err != nil {
		t.Fatal(err)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil || head.Metadata["value"] != "new" || aws.ToString(head.VersionId) != "" {
		t.Errorf("%+v, %v", head, err)
	}
}

func TestCopyOntoItselfReplacesTags(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "k", "body")
	in := ontoItself(nil, "x")
	in.TaggingDirective, in.Tagging = types.TaggingDirectiveReplace, aws.String("new=tag")
	if _, err := c.CopyObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	tags, err := c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(bucket),
		Key: aws.String("k")})
	if err != nil || len(tags.TagSet) != 1 || *tags.TagSet[0].Key != "new" {
		t.Errorf("tags %+v, %v", tags, err)
	}
}

func TestCopyOntoItselfIsRefused(t *testing.T) {
	in, r, cfg := announced(t)
	c := connect(t, r, cfg.Client)
	written := put(t, c, "k", "body")
	in.take()
	unchanged, stale, stranger := ontoItself(nil, ""), ontoItself(nil, "x"), ontoItself(nil, "x")
	unchanged.MetadataDirective = types.MetadataDirectiveCopy
	stale.CopySourceIfMatch = aws.String(`"other"`)
	stranger.ExpectedSourceBucketOwner = aws.String("stranger")
	for want, input := range map[string]*s3.CopyObjectInput{"InvalidRequest": unchanged, "PreconditionFailed": stale,
		"AccessDenied": stranger} {
		if _, err := c.CopyObject(t.Context(), input); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	marker := remove(t, c, "k")
	in.take()
	if _, err := c.CopyObject(t.Context(), ontoItself(nil, "x")); code(err) != "NoSuchKey" {
		t.Errorf("of a deleted object: %v", err)
	}
	if _, err := c.CopyObject(t.Context(), ontoItself(marker.VersionId, "x")); err == nil {
		t.Error("a marker was copied")
	}
	if messages := in.take(); len(messages) != 0 {
		t.Errorf("events %+v", messages)
	}
	if _, err := c.CopyObject(t.Context(), ontoItself(written.VersionId, "x")); err != nil {
		t.Errorf("over the marker: %v", err)
	}
	if body := get(t, c, "k", ""); body != "body" {
		t.Errorf("body %q", body)
	}
}

// TestCopyOntoItselfAmongWrites tells that a copy of a version by ID holds that version's body, whatever is written
// meanwhile.
func TestCopyOntoItselfAmongWrites(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			for n := range 15 {
				body := fmt.Sprintf("%d of %d", n, writer)
				written, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket),
					Key: aws.String("k"), Body: strings.NewReader(body)})
				if err != nil {
					t.Error(err)
					return
				}
				out, err := c.CopyObject(t.Context(), ontoItself(written.VersionId, body))
				if err != nil {
					t.Error(err)
				} else if *out.CopyObjectResult.ETag != *written.ETag {
					t.Errorf("the copy of %q is another", body)
				}
			}
		})
	}
	wg.Wait()
	if versions, _ := history(t, c, "k"); len(versions) != 120 {
		t.Errorf("%d versions, want 120", len(versions))
	}
}

func TestDeletedObjectIsNoSource(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "k", "body")
	remove(t, c, "k")
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"),
		CopySource: aws.String(bucket + "/k")})
	if code(err) != "NoSuchKey" {
		t.Errorf("copied a deleted object: %v", err)
	}
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket),
		Key: aws.String("copy")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{Bucket: aws.String(bucket), Key: aws.String("copy"),
		UploadId: up.UploadId, PartNumber: aws.Int32(1), CopySource: aws.String(bucket + "/k")})
	if code(err) != "NoSuchKey" {
		t.Errorf("copied a part of a deleted object: %v", err)
	}
}
