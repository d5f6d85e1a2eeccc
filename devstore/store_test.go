package devstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh/devstore"
)

func remove(tb testing.TB, c *s3.Client, key string) *s3.DeleteObjectOutput {
	tb.Helper()
	out, err := c.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		tb.Fatalf("delete %q: %v", key, err)
	}
	return out
}

// history returns the versions of a key by ID, and the markers.
func history(tb testing.TB, c *s3.Client, key string) (
	map[string]types.ObjectVersion, map[string]types.DeleteMarkerEntry) {
	tb.Helper()
	versions, markers := map[string]types.ObjectVersion{}, map[string]types.DeleteMarkerEntry{}
	pages := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			tb.Fatal(err)
		}
		for _, v := range page.Versions {
			versions[*v.VersionId] = v
		}
		for _, m := range page.DeleteMarkers {
			markers[*m.VersionId] = m
		}
	}
	return versions, markers
}

func putIf(c *s3.Client, key, body string, ifMatch, ifNoneMatch *string) (*s3.PutObjectOutput, error) {
	return c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key,
		Body: strings.NewReader(body), IfMatch: ifMatch, IfNoneMatch: ifNoneMatch})
}

func TestConditionsOverDeleteMarker(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	old := put(t, c, "k", "old")
	remove(t, c, "k")
	if _, err := putIf(c, "k", "x", old.ETag, nil); code(err) != "NoSuchKey" {
		t.Errorf("If-Match over a marker: %v", err)
	}
	if _, err := putIf(c, "k", "new", nil, aws.String("*")); err != nil {
		t.Errorf("If-None-Match over a marker: %v", err)
	}
	if _, err := putIf(c, "k", "newer", nil, aws.String("*")); code(err) != "PreconditionFailed" {
		t.Errorf("If-None-Match over an object: %v", err)
	}
	if body := get(t, c, "k", *old.VersionId); body != "old" {
		t.Errorf("the old version is %q", body)
	}
	remove(t, c, "k")
	if _, _, err := tryMultipart(c, "k", aws.String("*")); err != nil {
		t.Errorf("a multipart upload over a marker: %v", err)
	}
	if _, _, err := tryMultipart(c, "k", aws.String("*")); code(err) != "PreconditionFailed" {
		t.Errorf("a multipart upload over an object: %v", err)
	}
	versions, markers := history(t, c, "k")
	if len(versions) != 3 || len(markers) != 2 {
		t.Errorf("%d versions and %d markers, want 3 and 2", len(versions), len(markers))
	}
}

func TestRemovingAMarkerBringsTheObjectBack(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	written := put(t, c, "k", "body")
	first, second := remove(t, c, "k"), remove(t, c, "k")
	for _, marker := range []*s3.DeleteObjectOutput{second, first} {
		if _, err := putIf(c, "k", "x", written.ETag, nil); code(err) != "NoSuchKey" {
			t.Errorf("under a marker: %v", err)
		}
		_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"),
			VersionId: marker.VersionId})
		if err != nil {
			t.Fatal(err)
		}
	}
	if body := get(t, c, "k", ""); body != "body" {
		t.Errorf("body %q", body)
	}
	if _, err := putIf(c, "k", "new", written.ETag, nil); err != nil {
		t.Errorf("If-Match of the object that came back: %v", err)
	}
}

// TestVersionsKeepTheirTime makes an object old by its file, as nobody wants to wait.
func TestVersionsKeepTheirTime(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
	written := put(t, c, "k", "body")
	if err := os.Chtimes(filepath.Join(cfg.Dir, "objects", bucket, "k"), hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	is := func(what string, got *time.Time, want time.Time) {
		t.Helper()
		tolerance := 2 * time.Second
		if want.Equal(hourAgo) {
			tolerance = 0
		}
		if aws.ToTime(got).Sub(want).Abs() > tolerance {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	versions, _ := history(t, c, "k")
	is("current", versions[*written.VersionId].LastModified, hourAgo)

	marker := remove(t, c, "k")
	versions, markers := history(t, c, "k")
	is("deleted", versions[*written.VersionId].LastModified, hourAgo)
	is("marker", markers[*marker.VersionId].LastModified, time.Now())

	over := put(t, c, "k", "new")
	versions, _ = history(t, c, "k")
	is("overwritten", versions[*written.VersionId].LastModified, hourAgo)
	is("overwriting", versions[*over.VersionId].LastModified, time.Now())

	for _, id := range []*string{over.VersionId, marker.VersionId} {
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"),
			VersionId: id}); err != nil {
			t.Fatal(err)
		}
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	is("current again", head.LastModified, hourAgo)
}

func TestListingsCanBeEncoded(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	const key, encoded = "d/control\x01 +%", "d/control%01+%2B%25"
	put(t, c, key, "")
	put(t, c, "d/deleted\x01", "")
	remove(t, c, "d/deleted\x01")
	name, prefix, as := aws.String(bucket), aws.String("d/"), types.EncodingTypeUrl
	first, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: name, Prefix: prefix, EncodingType: as})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: name, Prefix: prefix, EncodingType: as})
	if err != nil {
		t.Fatal(err)
	}
	third, err := c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: name, Prefix: prefix,
		EncodingType: as})
	if err != nil {
		t.Fatal(err)
	}
	if first.EncodingType != as || second.EncodingType != as || third.EncodingType != as {
		t.Errorf("encoding %q, %q, %q", first.EncodingType, second.EncodingType, third.EncodingType)
	}
	if len(first.Contents) != 1 || len(second.Contents) != 1 || len(third.Versions) != 2 || len(third.DeleteMarkers) != 1 {
		t.Fatalf("listed %+v, %+v, %+v", first, second, third)
	}
	for _, got := range []*string{first.Contents[0].Key, second.Contents[0].Key, third.Versions[0].Key} {
		if *got != encoded {
			t.Errorf("listed %q, want %q", *got, encoded)
		}
	}
	if got := *third.DeleteMarkers[0].Key; got != "d/deleted%01" {
		t.Errorf("marker of %q", got)
	}
}

func TestListingsAreNotEncodedUnasked(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "d d/k", "")
	plain, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket),
		Delimiter: aws.String("/")})
	if err != nil || plain.EncodingType != "" || len(plain.CommonPrefixes) != 1 || *plain.CommonPrefixes[0].Prefix != "d d/" {
		t.Errorf("listed %+v, %v", plain, err)
	}
}

func TestFoldingKeysAreRefused(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "a/b", "kept")
	name := aws.String(bucket)
	for _, key := range []string{"a//b", "/a/b", "./a/b", "a/./b", "x/../a/b", "../" + bucket + "/a/b", "../../lock", "/",
		"a/.."} {
		_, errPut := putIf(c, key, "x", nil, nil)
		_, errGet := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: name, Key: &key})
		_, errDelete := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: name, Key: &key})
		_, errCopy := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: name, Key: aws.String("copy"),
			CopySource: aws.String(bucket + "/" + key)})
		for what, err := range map[string]error{"put": errPut, "get": errGet, "delete": errDelete, "copy": errCopy} {
			if code(err) != "InvalidURI" {
				t.Errorf("%s %q: %v", what, key, err)
			}
		}
		out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{
			Objects: []types.ObjectIdentifier{{Key: &key}}}})
		if err != nil || len(out.Errors) != 1 || *out.Errors[0].Code != "InvalidURI" {
			t.Errorf("delete %q in a list: %+v, %v", key, out, err)
		}
	}
	for _, key := range []string{"a/..b", "..a", "a/...", "f/", ".a/.b"} {
		put(t, c, key, "")
	}
	if body := get(t, c, "a/b", ""); body != "kept" {
		t.Errorf("body %q", body)
	}
}

func TestOneWinnerOverDeleteMarker(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	for round := range 20 {
		key := fmt.Sprintf("k%d", round)
		put(t, c, key, "old")
		remove(t, c, key)
		var won atomic.Int32
		var wg sync.WaitGroup
		for n := range 16 {
			wg.Go(func() {
				_, err := putIf(c, key, fmt.Sprint(n), nil, aws.String("*"))
				if err == nil {
					won.Add(1)
				} else if code(err) != "PreconditionFailed" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%s: %d of 16 won", key, won.Load())
		}
	}
}

// TestDeleteLosesNoWrite races deletes, conditional ones among them, with writes of the same key. Whatever was
// acknowledged must be in the history afterwards, with its content.
func TestDeleteLosesNoWrite(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	var mu sync.Mutex
	bodies, deletes := map[string]string{}, map[string]bool{}
	write := func(body string) {
		out := put(t, c, "k", body)
		mu.Lock()
		defer mu.Unlock()
		bodies[*out.VersionId] = body
	}
	write("first")
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := range 50 {
				write(fmt.Sprintf("body %d of %d", i, n))
			}
		})
		wg.Go(func() {
			for range 50 {
				id := remove(t, c, "k").VersionId
				mu.Lock()
				deletes[*id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	versions, markers := history(t, c, "k")
	if len(versions) != len(bodies) || len(markers) != len(deletes) {
		t.Errorf("%d versions and %d markers, want %d and %d", len(versions), len(markers), len(bodies), len(deletes))
	}
	for id := range deletes {
		if _, ok := markers[id]; !ok {
			t.Fatalf("marker %s is lost", id)
		}
	}
	for id, want := range bodies {
		if _, ok := versions[id]; !ok {
			t.Fatalf("%q is lost", want)
		}
		if body := get(t, c, "k", id); body != want {
			t.Fatalf("version %s holds %q, want %q", id, body, want)
		}
	}
}

// TestConditionalDeleteIsAtomic races DELETE If-Match with an overwrite: both succeeding means that the delete took
// effect first, so that the overwrite is current.
func TestConditionalDeleteIsAtomic(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	raced := 0
	for round := range 150 {
		key := fmt.Sprintf("k%d", round)
		old := put(t, c, key, "old")
		var deleted error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, deleted = c.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key,
				IfMatch: old.ETag})
		})
		wg.Go(func() { put(t, c, key, "new") })
		wg.Wait()
		switch {
		case deleted == nil:
			raced++
		case code(deleted) != "PreconditionFailed":
			t.Fatal(deleted)
		}
		if body := get(t, c, key, ""); body != "new" {
			t.Fatalf("%s: body %q", key, body)
		}
	}
	t.Logf("the delete came first in %d of 150 rounds", raced)
}

// BenchmarkPut writes 4 KiB objects with 16 clients.
func BenchmarkPut(b *testing.B) {
	for _, name := range []string{"silent", "events"} {
		b.Run(name, func(b *testing.B) {
			cfg := config(b)
			if name == "events" {
				in := newIntake(b)
				cfg.EventURL, cfg.EventToken = in.URL, token
			}
			benchmarkPut(b, start(b, cfg), cfg)
		})
	}
}

func benchmarkPut(b *testing.B, r *devstore.Region, cfg devstore.Config) {
	b.Helper()
	c, body := connect(b, r, cfg.Client), strings.Repeat("x", 4<<10)
	var n atomic.Int64
	b.SetParallelism(8) // times 2 processors
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			key := n.Add(1)
			put(b, c, fmt.Sprintf("d%d/k%d", key%64, key), body)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "put/s")
}

// BenchmarkStart measures the time until a region is ready.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		start(b, config(b)).Kill()
	}
}
