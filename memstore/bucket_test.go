package memstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/memstore"
)

func TestBucket(t *testing.T) {
	conformance.TestBucket(t, func(*testing.T) conformance.BucketFixture {
		bucket := memstore.NewBucket(memstore.BucketConfig{Site: "site"})
		return conformance.BucketFixture{Bucket: bucket, Client: bucket.Application(), PutTags: bucket.Application().PutTags}
	})
}

// TestBucketLikeMinIO runs the suite where deletes have no condition.
func TestBucketLikeMinIO(t *testing.T) {
	conformance.TestBucket(t, func(*testing.T) conformance.BucketFixture {
		bucket := memstore.NewBucket(memstore.BucketConfig{Lacks: s3mesh.Capabilities{ConditionalDelete: true}})
		return conformance.BucketFixture{
			Bucket: bucket, Client: bucket.Application(), PutTags: bucket.Application().PutTags,
			Gaps: conformance.BucketGaps{DeleteIgnoresIfMatch: true},
		}
	})
}

func TestBucketUnversioned(t *testing.T) {
	bucket := memstore.NewBucket(memstore.BucketConfig{Unversioned: true})
	for _, body := range []string{"first", "second"} {
		if _, err := bucket.Application().Put(t.Context(), "key", []byte(body), s3mesh.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	var entries []s3mesh.HistoryEntry
	for entry, err := range bucket.History(t.Context(), "key") {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	if len(entries) != 1 || entries[0].VersionID != "" || !entries[0].Latest || entries[0].Size != 6 {
		t.Fatalf("history %+v, want the second object alone", entries)
	}
	if err := bucket.Application().Delete(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	for entry, err := range bucket.History(t.Context(), "key") {
		t.Fatalf("history after a delete: %+v, %v", entry, err)
	}
}

// TestBucketClock checks that times come from the clock, in whole seconds, and that of an upload from its beginning.
func TestBucketClock(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))
	bucket := memstore.NewBucket(memstore.BucketConfig{Clock: func() time.Time { return now }})
	upload, err := bucket.BeginUpload(t.Context(), "key", s3mesh.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	etag, err := upload.PutPart(t.Context(), 1, strings.NewReader("x"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := upload.Complete(t.Context(), []string{etag}, s3mesh.IfAbsent()); err != nil {
		t.Fatal(err)
	}
	head, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
	if want := time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC); err != nil || head.LastModified != want {
		t.Fatalf("modified %v, %v; want %v", head.LastModified, err, want)
	}
}

func TestBucketEvents(t *testing.T) {
	var events []s3mesh.Event
	bucket := memstore.NewBucket(memstore.BucketConfig{
		Site: "site", Principal: "replicator", OnEvent: func(e s3mesh.Event) { events = append(events, e) },
	})
	written, err := bucket.Put(t.Context(), "key", s3mesh.PutInput{
		Body: strings.NewReader("x"), Size: 1, Condition: s3mesh.IfAbsent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), "key", s3mesh.PutInput{Condition: s3mesh.IfAbsent()}); err == nil {
		t.Fatal("written over")
	}
	if err := bucket.Application().Delete(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 {
		t.Fatalf("%d events, want 2: a refused write makes none", len(events))
	}
	put, removed := events[0], events[1]
	want := s3mesh.Event{
		Site: "site", Key: "key", Type: s3mesh.EventCreated, Name: "ObjectCreated:Put", Time: put.Time, Size: 1,
		ETag: written.ETag, VersionID: written.VersionID, Principal: "replicator",
	}
	if put != want || put.Time.IsZero() {
		t.Errorf("put announced as %+v, want %+v", put, want)
	}
	if removed.Type != s3mesh.EventRemoved || removed.Principal != "" || removed.VersionID == "" {
		t.Errorf("delete announced as %+v", removed)
	}
}

// TestBucketCopies checks that neither what a caller wrote from nor what it got is shared with the bucket.
func TestBucketCopies(t *testing.T) {
	bucket := memstore.NewBucket(memstore.BucketConfig{})
	body, metadata := []byte("body"), map[string]string{"name": "value"}
	_, err := bucket.Application().Put(t.Context(), "key", body, s3mesh.Attributes{Metadata: metadata})
	if err != nil {
		t.Fatal(err)
	}
	body[0], metadata["name"] = 'X', "changed"
	for range 2 {
		head, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
		if err != nil || head.Attributes.Metadata["name"] != "value" || head.ETag != "841a2d689ad86bd1611447453c22c6fc" {
			t.Fatalf("%+v, %v", head, err)
		}
		head.Attributes.Metadata["name"] = "changed"
	}
}
