package memstore_test

import (
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
)

// recorded returns a bucket whose events are appended to what the pointer points to.
func recorded(cfg memstore.BucketConfig) (*memstore.Bucket, *[]s3mesh.Event) {
	var events []s3mesh.Event
	cfg.Principal, cfg.OnEvent = "replicator", func(e s3mesh.Event) { events = append(events, e) }
	return memstore.NewBucket(cfg), &events
}

// wantEvent fails t unless the one event since the last call has this name, version and principal.
func wantEvent(t *testing.T, events *[]s3mesh.Event, name, versionID, principal string) {
	t.Helper()
	if len(*events) != 1 {
		t.Fatalf("events %+v, want one %s", *events, name)
	}
	event := (*events)[0]
	*events = nil
	removed := strings.HasPrefix(name, "ObjectRemoved:")
	if event.Name != name || event.VersionID != versionID || event.Principal != principal || event.Time.IsZero() ||
		(event.Type == s3mesh.EventRemoved) != removed {
		t.Fatalf("event %+v, want %s of %q by %q", event, name, versionID, principal)
	}
}

func ok(t *testing.T) func(s3mesh.Written, error) s3mesh.Written {
	t.Helper()
	return func(w s3mesh.Written, err error) s3mesh.Written {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
}

func TestBucketDeleteEvents(t *testing.T) {
	bucket, events := recorded(memstore.BucketConfig{})
	app, ctx := bucket.Application(), t.Context()
	put := ok(t)(app.Put(ctx, "key", []byte("x"), s3mesh.Attributes{}))
	wantEvent(t, events, "ObjectCreated:Put", put.VersionID, "")
	marker := ok(t)(bucket.Delete(ctx, "key", s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(put.ETag)}))
	wantEvent(t, events, "ObjectRemoved:DeleteMarkerCreated", marker.VersionID, "replicator")
	ok(t)(bucket.Delete(ctx, "key", s3mesh.DeleteOptions{VersionID: marker.VersionID}))
	wantEvent(t, events, "ObjectRemoved:Delete", marker.VersionID, "replicator")
	ok(t)(bucket.Delete(ctx, "key", s3mesh.DeleteOptions{VersionID: marker.VersionID}))
	if _, err := bucket.Delete(ctx, "key", s3mesh.DeleteOptions{Condition: s3mesh.IfMatch("other")}); err == nil {
		t.Fatal("deleted what is another object")
	}
	if err := app.DeleteVersion(ctx, "key", marker.VersionID); err != nil || len(*events) != 0 {
		t.Fatalf("%v; events %+v of deletes that deleted nothing", err, *events)
	}
	if err := app.DeleteVersion(ctx, "key", put.VersionID); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, events, "ObjectRemoved:Delete", put.VersionID, "")
	if err := app.DeleteBatch(ctx, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if len(*events) != 2 || (*events)[0].Key != "a" || (*events)[1].Key != "b" {
		t.Fatalf("events of a batch: %+v", *events)
	}
}

func TestBucketDeleteUnversioned(t *testing.T) {
	bucket, events := recorded(memstore.BucketConfig{Unversioned: true})
	put := ok(t)(bucket.Application().Put(t.Context(), "key", []byte("x"), s3mesh.Attributes{}))
	*events = nil
	opt := s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(put.ETag)}
	if deleted := ok(t)(bucket.Delete(t.Context(), "key", opt)); deleted != (s3mesh.Written{}) {
		t.Errorf("deleted %+v, want no version", deleted)
	}
	wantEvent(t, events, "ObjectRemoved:Delete", "", "replicator")
	if _, err := bucket.Delete(t.Context(), "key", opt); s3mesh.KindOf(err) != s3mesh.KindPreconditionFailed {
		t.Errorf("deleted twice: %v", err)
	}
}

// TestBucketLacks checks that each lack is that of one operation alone.
func TestBucketLacks(t *testing.T) {
	wrong := s3mesh.IfMatch("other")
	for name, lacks := range map[string]s3mesh.Capabilities{
		"put": {ConditionalPut: true}, "complete": {ConditionalComplete: true}, "delete": {ConditionalDelete: true}, "": {},
	} {
		bucket := memstore.NewBucket(memstore.BucketConfig{Lacks: lacks})
		_, putErr := bucket.Put(t.Context(), "key", s3mesh.PutInput{Condition: wrong})
		upload, err := bucket.BeginUpload(t.Context(), "key", s3mesh.Attributes{})
		if err != nil {
			t.Fatal(err)
		}
		etag, err := upload.PutPart(t.Context(), 1, strings.NewReader("x"), 1)
		if err != nil {
			t.Fatal(err)
		}
		_, completeErr := upload.Complete(t.Context(), []string{etag}, wrong)
		ok(t)(bucket.Application().Put(t.Context(), "other", nil, s3mesh.Attributes{}))
		_, deleteErr := bucket.Delete(t.Context(), "other", s3mesh.DeleteOptions{Condition: wrong})
		for op, err := range map[string]error{"put": putErr, "complete": completeErr, "delete": deleteErr} {
			if ignored := err == nil; ignored != (op == name) {
				t.Errorf("a bucket that lacks %q: %s: %v", name, op, err)
			}
		}
	}
}

func TestApplicationCopy(t *testing.T) {
	bucket, events := recorded(memstore.BucketConfig{})
	app, ctx := bucket.Application(), t.Context()
	old := ok(t)(app.Upload(ctx, "key", s3mesh.Attributes{ContentType: "text/x-old"}, []byte("o"), []byte("ld")))
	wantEvent(t, events, "ObjectCreated:CompleteMultipartUpload", old.VersionID, "")
	ok(t)(app.Put(ctx, "key", []byte("newer"), s3mesh.Attributes{}))
	*events = nil
	restored := ok(t)(app.Copy(ctx, "key", memstore.CopySource{Key: "key", VersionID: old.VersionID}))
	wantEvent(t, events, "ObjectCreated:Copy", restored.VersionID, "")
	head, err := bucket.Head(ctx, "key", s3mesh.ReadOptions{})
	if err != nil || head.Size != 3 || head.Attributes.ContentType != "text/x-old" || head.ETag == old.ETag {
		t.Fatalf("%+v, %v; want the old version as a single part", head, err)
	}
	attr := s3mesh.Attributes{ContentType: "text/x-new"}
	ok(t)(app.Copy(ctx, "other", memstore.CopySource{Key: "key", Attributes: &attr}))
	head, err = bucket.Head(ctx, "other", s3mesh.ReadOptions{})
	if err != nil || head.ETag != restored.ETag || head.Attributes.ContentType != "text/x-new" {
		t.Fatalf("%+v, %v; want a copy with other attributes", head, err)
	}
	if _, err := app.Copy(ctx, "key", memstore.CopySource{Key: "none"}); s3mesh.KindOf(err) != s3mesh.KindNotFound {
		t.Errorf("copied nothing: %v", err)
	}
}
