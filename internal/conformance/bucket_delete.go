package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func deleteTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"DeleteNeedsOneOption":   bucketDeleteOptions,
		"DeletePutsMarker":       bucketDeletePutsMarker,
		"DeleteIfChanged":        bucketDeleteIfChanged,
		"DeleteOfNothing":        bucketDeleteOfNothing,
		"DeleteOverMarker":       bucketDeleteOverMarker,
		"PutOverOwnMarker":       bucketPutOverOwnMarker,
		"RemoveMarker":           bucketRemoveMarker,
		"RemoveVersion":          bucketRemoveVersion,
		"RemoveVersionTwice":     bucketRemoveVersionTwice,
		"RaceDeleteAndOverwrite": bucketRaceDeleteAndOverwrite,
	}
}

func bucketDeleteOptions(c bucketCase) {
	t, f := c.t, c.BucketFixture
	put := putAbsent(t, f, "key", "value")
	for name, opt := range map[string]s3mesh.DeleteOptions{
		"none":   {},
		"both":   {Condition: s3mesh.IfMatch(put.ETag), VersionID: put.VersionID},
		"absent": {Condition: s3mesh.IfAbsent()},
	} {
		if _, err := f.Bucket.Delete(t.Context(), "key", opt); s3mesh.KindOf(err) != s3mesh.KindInvalid {
			t.Errorf("%s: %v, want %s", name, err, s3mesh.KindInvalid)
		}
	}
	_, err := f.Bucket.Delete(t.Context(), "", s3mesh.DeleteOptions{VersionID: put.VersionID})
	wantKind(t, err, s3mesh.KindInvalid)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Bucket.Delete(ended, "key", ifMatch(put))
	wantKind(t, err, s3mesh.KindCanceled)
	wantBody(t, f, "key", "value")
}

func bucketDeletePutsMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := putAbsent(t, f, "key", "old")
	top := clientPut(t, f, "key", "newer")
	marker := must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", ifMatch(top)))
	wantAbsent(t, f, "key")
	wantVersions(t, f, marker.VersionID, top.VersionID, old.VersionID)
	if entry := history(t, f, "key")[0]; !entry.DeleteMarker || !entry.Latest || marker.ETag != "" {
		t.Errorf("%+v on top after %+v, want the marker", entry, marker)
	}
	if _, body := get(t, f, "key", s3mesh.ReadOptions{VersionID: top.VersionID}); string(body) != "newer" {
		t.Errorf("what the marker covers holds %q", body)
	}
}

func bucketDeleteIfChanged(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := putAbsent(t, f, "key", "old")
	top := clientPut(t, f, "key", "newer")
	marker, err := f.Bucket.Delete(t.Context(), "key", ifMatch(old))
	if f.Gaps.DeleteIgnoresIfMatch {
		if err != nil {
			t.Fatalf("declared as a gap, but refused: %v", err)
		}
		wantVersions(t, f, marker.VersionID, top.VersionID, old.VersionID)
		return
	}
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantBody(t, f, "key", "newer")
	wantVersions(t, f, top.VersionID, old.VersionID)
}

func bucketDeleteOfNothing(c bucketCase) {
	t, f := c.t, c.BucketFixture
	other := putAbsent(t, f, "other", "value")
	_, err := f.Bucket.Delete(t.Context(), "key", ifMatch(other))
	wantKind(t, err, s3mesh.KindPreconditionFailed)
	wantVersions(t, f)
}

func bucketDeleteOverMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, body := range []string{"value", ""} { // of what has no bytes, as a marker has none either
		put := clientPut(t, f, "key", body)
		clientDelete(t, f, "key")
		before := history(t, f, "key")
		again, err := f.Bucket.Delete(t.Context(), "key", ifMatch(put))
		if f.Gaps.DeleteIgnoresIfMatch {
			if err != nil || again.VersionID != before[0].VersionID {
				t.Fatalf("declared as a gap, but %+v, %v; want the marker that was there, %s", again, err, before[0].VersionID)
			}
		} else {
			wantKind(t, err, s3mesh.KindPreconditionFailed)
		}
		if after := history(t, f, "key"); !slices.Equal(after, before) {
			t.Fatalf("history %+v, want it as before: %+v", after, before)
		}
	}
}

func bucketPutOverOwnMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	old := putAbsent(t, f, "key", "old")
	marker := must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", ifMatch(old)))
	top := putAbsent(t, f, "key", "again")
	wantBody(t, f, "key", "again")
	wantVersions(t, f, top.VersionID, marker.VersionID, old.VersionID)
}

// bucketRemoveMarker takes a delete back: the object below is what it was, to its time and metadata.
func bucketRemoveMarker(c bucketCase) {
	t, f := c.t, c.BucketFixture
	put := must[s3mesh.Written](t)(f.Bucket.Put(t.Context(), "key", s3mesh.PutInput{
		Body: strings.NewReader("value"), Size: 5, Condition: s3mesh.IfAbsent(),
		Attributes: s3mesh.Attributes{ContentType: "text/x-test", Metadata: map[string]string{"name": "value"}},
	}))
	before := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "key", s3mesh.ReadOptions{}))
	marker := must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", ifMatch(put)))
	removed := must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", version(marker.VersionID)))
	if removed.VersionID != marker.VersionID {
		t.Errorf("removed %q, want %q", removed.VersionID, marker.VersionID)
	}
	wantBody(t, f, "key", "value")
	wantVersions(t, f, put.VersionID)
	after := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "key", s3mesh.ReadOptions{}))
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("came back as %+v, was %+v", after, before)
	}
	must[s3mesh.Written](t)(tryPut(t, f, "key", "newer", s3mesh.IfMatch(put.ETag)))
}

func bucketRemoveVersion(c bucketCase) {
	t, f := c.t, c.BucketFixture
	one, two, three := clientPut(t, f, "key", "1"), clientPut(t, f, "key", "2"), clientPut(t, f, "key", "3")
	must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", version(two.VersionID)))
	wantBody(t, f, "key", "3")
	wantVersions(t, f, three.VersionID, one.VersionID)
	must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", version(three.VersionID)))
	wantBody(t, f, "key", "1")
	wantVersions(t, f, one.VersionID)
	must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", version(one.VersionID)))
	wantAbsent(t, f, "key")
	wantVersions(t, f)
}

func bucketRemoveVersionTwice(c bucketCase) {
	t, f := c.t, c.BucketFixture
	one, two := clientPut(t, f, "key", "1"), clientPut(t, f, "key", "2")
	for range 2 {
		removed := must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "key", version(one.VersionID)))
		if removed.VersionID != one.VersionID {
			t.Errorf("removed %+v, want %s", removed, one.VersionID)
		}
	}
	wantVersions(t, f, two.VersionID)
	must[s3mesh.Written](t)(f.Bucket.Delete(t.Context(), "never-was", version(one.VersionID)))
}

// bucketRaceDeleteAndOverwrite: a delete that succeeded covers what it was to cover, whatever was written at the time. A store
// that does not look at the condition may cover what was written, but keeps it.
func bucketRaceDeleteAndOverwrite(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for round := range 30 {
		key := fmt.Sprintf("key-%d", round)
		old := putAbsent(t, f, key, "old")
		var deleted error
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, deleted = f.Bucket.Delete(t.Context(), key, ifMatch(old))
		}()
		newer, err := f.Client.Put(t.Context(), key, []byte("newer"), s3mesh.Attributes{})
		<-done
		if err != nil {
			t.Fatal(err)
		}
		if kind := s3mesh.KindOf(deleted); deleted != nil && kind != s3mesh.KindPreconditionFailed && kind != s3mesh.KindConflict {
			t.Fatal(deleted)
		}
		if !f.Gaps.DeleteIgnoresIfMatch {
			wantBody(t, f, key, "newer")
			continue
		}
		if _, err := f.Bucket.Head(t.Context(), key, s3mesh.ReadOptions{VersionID: newer.VersionID}); err != nil {
			t.Errorf("what was written is gone: %v", err)
		}
	}
}

func ifMatch(w s3mesh.Written) s3mesh.DeleteOptions {
	return s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(w.ETag)}
}

func version(id string) s3mesh.DeleteOptions { return s3mesh.DeleteOptions{VersionID: id} }

// wantVersions fails t unless the history of "key" has these IDs, the latest first.
func wantVersions(t *testing.T, f BucketFixture, ids ...string) {
	t.Helper()
	entries := history(t, f, "key")
	got := make([]string, len(entries))
	for i, entry := range entries {
		got[i] = entry.VersionID
		if entry.Latest != (i == 0) {
			t.Errorf("entry %d of the history: %+v", i, entry)
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("versions %q, want %q", got, ids)
	}
}
