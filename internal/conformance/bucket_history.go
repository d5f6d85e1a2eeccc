package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func historyTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"HistoryOrder":      bucketHistoryOrder,
		"HistoryUnknown":    bucketHistoryUnknown,
		"HistoryOfPrefixes": bucketHistoryOfPrefixes,
		"HistoryPages":      bucketHistoryPages,
		"HistoryStops":      bucketHistoryStops,
	}
}

func history(t *testing.T, f BucketFixture, key string) []s3mesh.HistoryEntry {
	t.Helper()
	var entries []s3mesh.HistoryEntry
	for entry, err := range f.Bucket.History(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// bucketHistoryOrder mixes objects and markers within one second, where times do not tell their order.
func bucketHistoryOrder(c bucketCase) {
	t, f := c.t, c.BucketFixture
	const deleted = ""
	bodies := []string{"1", "22", deleted, "333", deleted, deleted, "4444", "55555", deleted, "666666"}
	var ids []string
	for _, body := range bodies {
		if body != deleted {
			ids = append(ids, clientPut(t, f, "key", body).VersionID)
			continue
		}
		clientDelete(t, f, "key")
		ids = append(ids, history(t, f, "key")[0].VersionID)
	}
	entries := history(t, f, "key")
	slices.Reverse(entries)
	if len(entries) > len(bodies) || entries[0].VersionID != ids[0] {
		t.Fatalf("history is %+v, want versions %v", entries, ids)
	}
	// A store may ignore a second delete in a row: then the marker before it is the top once more.
	ids = slices.Compact(ids)
	if len(entries) != len(ids) {
		t.Fatalf("%d entries, want %d: %+v", len(entries), len(ids), entries)
	}
	for i, entry := range entries {
		last := i == len(entries)-1
		if entry.VersionID != ids[i] || entry.Latest != last || entry.DeleteMarker != (entry.ETag == "") {
			t.Errorf("entry %d is %+v, want version %s", i, entry, ids[i])
		}
		wantRecent(t, entry.LastModified)
	}
	checkAgainstHead(t, f, entries)
}

func checkAgainstHead(t *testing.T, f BucketFixture, entries []s3mesh.HistoryEntry) {
	t.Helper()
	for _, entry := range entries {
		if entry.DeleteMarker {
			continue
		}
		head := must[s3mesh.Object](t)(f.Bucket.Head(t.Context(), "key", s3mesh.ReadOptions{VersionID: entry.VersionID}))
		if head.ETag != entry.ETag || head.Size != entry.Size || !head.LastModified.Equal(entry.LastModified) {
			t.Errorf("listed as %+v, but HEAD says %+v", entry, head)
		}
	}
}

func bucketHistoryUnknown(c bucketCase) {
	t, f := c.t, c.BucketFixture
	if entries := history(t, f, "never-was"); len(entries) != 0 {
		t.Fatalf("history of a key that never was: %+v", entries)
	}
}

func bucketHistoryOfPrefixes(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for _, key := range []string{"a", "ab", "a-1", "ac/d", "b"} {
		clientPut(t, f, key, key)
	}
	clientPut(t, f, "a", "again")
	for key, want := range map[string]int{"a": 2, "ab-": 0, "a-1": 1, "ac/": 0, "ac/d": 1, "ac": 0, "A": 0} {
		if entries := history(t, f, key); len(entries) != want {
			t.Errorf("%q has %d versions, want %d: %+v", key, len(entries), want, entries)
		}
	}
}

func bucketHistoryPages(c bucketCase) {
	t, f := c.t, c.BucketFixture
	versions := 1100
	if testing.Short() {
		versions = 40
	}
	seen := make(map[string]bool)
	for i := range versions {
		if i%10 == 9 {
			clientDelete(t, f, "key")
			continue
		}
		seen[clientPut(t, f, "key", fmt.Sprint(i)).VersionID] = false
	}
	var markers int
	for entry, err := range f.Bucket.History(t.Context(), "key") {
		if err != nil {
			t.Fatal(err)
		}
		if entry.DeleteMarker {
			markers++
			continue
		}
		if again, known := seen[entry.VersionID]; again || !known {
			t.Fatalf("version %s: known %v, seen before %v", entry.VersionID, known, again)
		}
		seen[entry.VersionID] = true
	}
	for id, listed := range seen {
		if !listed {
			t.Errorf("version %s is missing from the history", id)
		}
	}
	if markers != versions/10 {
		t.Errorf("%d markers, want %d", markers, versions/10)
	}
}

func bucketHistoryStops(c bucketCase) {
	t, f := c.t, c.BucketFixture
	for range 3 {
		clientPut(t, f, "key", "value")
	}
	for entry, err := range f.Bucket.History(t.Context(), "key") {
		if err != nil || !entry.Latest {
			t.Fatalf("first entry %+v, %v; want the latest", entry, err)
		}
		break
	}
}
