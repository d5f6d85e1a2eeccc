package s3store_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// TestHistoryOverwrittenMeanwhile: versitygw reads the current version first and the older ones after that. When a write
// comes between, the same version is listed as both; it must be counted once, in its place.
func TestHistoryOverwrittenMeanwhile(t *testing.T) {
	bucket := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<ListVersionsResult><IsTruncated>false</IsTruncated>`)
		for _, v := range []struct {
			id     string
			latest bool
		}{{"two", true}, {"three", false}, {"two", false}, {"one", false}} {
			fmt.Fprintf(w, `<Version><Key>k</Key><VersionId>%s</VersionId><IsLatest>%v</IsLatest><ETag>"e"</ETag>`+
				`<LastModified>2026-01-02T03:04:05Z</LastModified></Version>`, v.id, v.latest)
		}
		fmt.Fprint(w, `</ListVersionsResult>`)
	})
	var ids []string
	for entry, err := range bucket.History(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, entry.VersionID)
	}
	if want := []string{"three", "two", "one"}; !slices.Equal(ids, want) {
		t.Errorf("versions %q, want %q", ids, want)
	}
}
