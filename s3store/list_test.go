package s3store_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/s3store"
)

// TestListPages checks what is asked for, that pages can be kept, and that an error ends the sequence after one request.
func TestListPages(t *testing.T) {
	var queries []string
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		queries = append(queries, fmt.Sprintf("%s|%s|%s", q.Get("prefix"), q.Get("start-after"), q.Get("continuation-token")))
		if len(queries) == 3 {
			errorAnswer(http.StatusServiceUnavailable, "SlowDown")(w, r)
			return
		}
		fmt.Fprintf(w, `<ListBucketResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType><NextContinuationToken>%d==`+
			`</NextContinuationToken><Contents><Key>p/%%C3%%BC+%d%%2B</Key><ETag>&quot;e%[1]d&quot;</ETag><Size>%[1]d</Size>`+
			`<LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents></ListBucketResult>`, len(queries), len(queries))
	})
	var pages [][]s3mesh.Listed
	var failed []error
	for page, err := range bucket.List(t.Context(), s3mesh.ListOptions{Prefix: "p/", After: "p/a +"}) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		pages = append(pages, page)
	}
	if want := []string{"p/|p/a +|", "p/|p/a +|1==", "p/|p/a +|2=="}; !slices.Equal(queries, want) {
		t.Errorf("asked for %q, want %q", queries, want)
	}
	if len(failed) != 1 || s3mesh.KindOf(failed[0]) != s3mesh.KindThrottled {
		t.Errorf("errors %v, want one", failed)
	}
	got := fmt.Sprint(pages)
	if want := "[[{p/ü 1+ 1 e1 2026-01-02 03:04:05 +0000 UTC}] [{p/ü 2+ 2 e2 2026-01-02 03:04:05 +0000 UTC}]]"; got != want {
		t.Errorf("listed %s, want %s", got, want)
	}
}

// TestListingIsNone: what is no listing must not pass for an empty bucket.
func TestListingIsNone(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   s3mesh.Kind
	}{
		{"<html><body>Welcome</body></html>", s3mesh.KindOther},
		{"<Error><Code>SlowDown</Code><Message>why</Message></Error>", s3mesh.KindThrottled},
		{"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>100%</Key></Contents></ListBucketResult>", s3mesh.KindOther},
		{"<ListBucketResult><Contents><Key>a</Key></Contents>", s3mesh.KindUnreachable},
		{"", s3mesh.KindUnreachable},
	} {
		bucket := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.answer) })
		check := func(op string, err error) {
			if err == nil || s3mesh.KindOf(err) != c.want {
				t.Errorf("%s of %q: %v, want %s", op, c.answer, err, c.want)
			}
		}
		everyPage(t, bucket, check)
	}
}

// everyPage lists bucket in every way.
func everyPage(t *testing.T, bucket *s3store.Bucket, check func(op string, err error)) {
	t.Helper()
	for _, err := range bucket.List(t.Context(), s3mesh.ListOptions{}) {
		check("List", err)
	}
	for _, err := range bucket.Versions(t.Context(), s3mesh.ListOptions{}) {
		check("Versions", err)
	}
	_, _, err := bucket.Folders(t.Context(), "")
	check("Folders", err)
}

// TestListEndsAtMalformedPage checks that a store which never ends is not listed for ever.
func TestListEndsAtMalformedPage(t *testing.T) {
	requests := 0
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		root, entry := "ListBucketResult", "Contents"
		if r.URL.Query().Has("versions") {
			root, entry = "ListVersionsResult", "Version"
		}
		fmt.Fprintf(w, `<%[1]s><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>`+
			`<NextKeyMarker>same</NextKeyMarker><NextVersionIdMarker>same</NextVersionIdMarker>`+
			`<%[2]s><Key>a</Key><LastModified>2026-01-02T03:04:05Z</LastModified></%[2]s></%[1]s>`, root, entry)
	})
	var keys, versions int
	var last error
	for page, err := range bucket.List(t.Context(), s3mesh.ListOptions{}) {
		keys, last = keys+len(page), err
	}
	if last == nil || keys != 1 || requests != 2 {
		t.Errorf("listed %d keys with %d requests, then %v; want one page and an error", keys, requests, last)
	}
	for page, err := range bucket.Versions(t.Context(), s3mesh.ListOptions{}) {
		versions, last = versions+len(page), err
	}
	if last == nil || versions != 1 || requests != 4 {
		t.Errorf("listed %d versions with %d requests, then %v; want one page and an error", versions, requests-2, last)
	}
}

// TestVersionsRepeated: versitygw lists again what a page ended with, and on every page of a key what was written before
// versioning was on. It lists delete markers after the objects of a page.
func TestVersionsRepeated(t *testing.T) {
	entry := func(kind, key, id, second string, latest bool) string {
		return fmt.Sprintf(`<%[1]s><Key>%[2]s</Key><VersionId>%[3]s</VersionId><IsLatest>%[5]v</IsLatest><ETag>"%[3]s"</ETag>`+
			`<LastModified>2026-01-02T03:04:%[4]sZ</LastModified></%[1]s>`, kind, key, id, second, latest)
	}
	pages := map[string]string{
		"": `<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>4</NextVersionIdMarker>` +
			entry("Version", "j", "1", "01", true) + entry("Version", "k", "null", "03", false) + entry("Version", "k", "4", "10", true) +
			entry("DeleteMarker", "k", "3", "07.5", false),
		"4": `<IsTruncated>true</IsTruncated><NextKeyMarker>l</NextKeyMarker>` +
			entry("Version", "k", "4", "10", true) + entry("Version", "k", "null", "03", false) + entry("Version", "k", "0", "02", false),
		"l": `<IsTruncated>true</IsTruncated><NextKeyMarker>l</NextKeyMarker><NextVersionIdMarker>9</NextVersionIdMarker>` +
			entry("Version", "l", "null", "03", false) + entry("Version", "l", "9", "20", true),
		"9": `<IsTruncated>false</IsTruncated>` + entry("Version", "l", "null", "03", false) +
			entry("DeleteMarker", "m", "5", "20", true),
	}
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "VERSITYGW")
		q := r.URL.Query()
		page := q.Get("version-id-marker")
		if page == "" {
			page = q.Get("key-marker")
		}
		fmt.Fprintf(w, `<ListVersionsResult>%s</ListVersionsResult>`, pages[page])
	})
	var got []string
	for page, err := range bucket.Versions(t.Context(), s3mesh.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page {
			got = append(got, v.Key+v.VersionID)
		}
	}
	if want := "j1 k4 k3 knull k0 l9 lnull m5"; strings.Join(got, " ") != want {
		t.Errorf("listed %q, want %q", got, want)
	}
}
