package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/s3mesh/s3mesh"
)

func versionTests() map[string]func(bucketCase) {
	return map[string]func(bucketCase){
		"Versions":      bucketVersions,
		"VersionsPages": bucketVersionsPages,
	}
}

// bucketVersions mixes objects and markers of several keys within one second, and compares with the history of each key.
func bucketVersions(c bucketCase) {
	t, f := c.t, c.BucketFixture
	keys := []string{"a", "b c+&é", "b/1", "c", "d"}
	for round := range 3 {
		for _, key := range keys {
			clientPut(t, f, key, fmt.Sprint(round))
		}
		clientDelete(t, f, "b/1")
	}
	clientPut(t, f, "d", "last")
	wantVersionsOf(c, s3mesh.ListOptions{}, keys...)
	wantVersionsOf(c, s3mesh.ListOptions{Prefix: "b"}, "b c+&é", "b/1")
	wantVersionsOf(c, s3mesh.ListOptions{Prefix: "b", After: "b c+&é"}, "b/1")
	wantVersionsOf(c, s3mesh.ListOptions{After: "b"}, "b c+&é", "b/1", "c", "d")
	wantVersionsOf(c, s3mesh.ListOptions{After: "b/1"}, "c", "d")
	wantVersionsOf(c, s3mesh.ListOptions{After: "d"})
	wantVersionsOf(c, s3mesh.ListOptions{Prefix: "none"})
}

// wantVersionsOf wants the histories of these keys, one after the other.
func wantVersionsOf(c bucketCase, opt s3mesh.ListOptions, keys ...string) {
	c.t.Helper()
	var want []s3mesh.ListedVersion
	for _, key := range keys {
		for _, entry := range history(c.t, c.BucketFixture, key) {
			want = append(want, s3mesh.ListedVersion{Key: key, HistoryEntry: entry})
		}
	}
	got := flatten(c.t, listerOf(c).Versions(c.t.Context(), opt))
	if !slices.Equal(got, want) {
		c.t.Errorf("%+v: %d versions, want %d; %s", opt, len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []s3mesh.ListedVersion) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("entry %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	return "what both have is the same"
}

// bucketVersionsPages lists a key whose versions go over the edges of pages, with others before and behind it.
func bucketVersionsPages(c bucketCase) {
	t, f := c.t, c.BucketFixture
	versions := mostOnPage + 110
	if testing.Short() {
		versions = 40
	}
	var ids []string
	for i := range versions {
		if i%10 == 5 {
			clientDelete(t, f, "b")
			continue
		}
		ids = append(ids, clientPut(t, f, "b", fmt.Sprint(i)).VersionID)
	}
	clientPut(t, f, "a", "")
	clientPut(t, f, "c", "")
	clientDelete(t, f, "c")
	wantVersionsOf(c, s3mesh.ListOptions{}, "a", "b", "c")
	wantVersionsOf(c, s3mesh.ListOptions{After: "b"}, "c")
	var got []string
	for _, entry := range flatten(t, listerOf(c).Versions(t.Context(), s3mesh.ListOptions{Prefix: "b"})) {
		if !entry.DeleteMarker {
			got = append(got, entry.VersionID)
		}
	}
	slices.Reverse(got)
	if !slices.Equal(got, ids) {
		t.Errorf("%d versions of objects in the order listed, want %d in the order written", len(got), len(ids))
	}
}
