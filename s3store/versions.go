package s3store

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/s3mesh/s3mesh"
)

// nullVersion is the ID of what was written while the bucket was not versioned.
const nullVersion = s3mesh.NullVersionID

// Versions yields pages of up to 1,000 versions and delete markers, the keys in the store's order and within a key the
// latest first. Each page takes a request, sent when the caller asks for it, and is the caller's to keep. After an error,
// an *[s3mesh.Error], the sequence ends. Whatever the number of versions, one page and the names in the one before it are
// in memory.
//
// A bucket that never had versioning yields its objects, with an empty VersionID. A store without such listings is
// KindUnsupported.
func (b *Bucket) Versions(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.ListedVersion, error] {
	return func(yield func([]s3mesh.ListedVersion, error) bool) {
		for page, err := range b.versionPages(ctx, versionQuery{prefix: opt.Prefix, after: opt.After, limit: nextPages}) {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page.entries) > 0 && !yield(page.versions(), nil) {
				return
			}
		}
	}
}

// versionQuery says which versions to list.
type versionQuery struct {
	key    string // for errors
	prefix string
	after  string
	limit  int // of the first page; the next ones have [nextPages]
}

// versionPage is a page of a version listing, put in order. Its entries may be none where the page is not the last.
type versionPage struct {
	listing
	server string // the product
}

// versionPages yields the pages of a version listing, each entry once.
func (b *Bucket) versionPages(ctx context.Context, q versionQuery) iter.Seq2[versionPage, error] {
	return func(yield func(versionPage, error) bool) {
		var pages pageReader
		var seen repeats
		next := listing{truncated: true, nextKey: q.after}
		for ; next.truncated; q.limit = nextPages {
			page, err := b.nextVersions(ctx, q, next, &pages)
			if err != nil {
				yield(versionPage{}, err)
				return
			}
			next = page.listing
			page.entries = seen.drop(slices.DeleteFunc(page.entries, func(e entry) bool {
				return q.after != "" && e.key == q.after // versitygw's listing starts with the key itself
			}))
			if !yield(page, nil) {
				return
			}
		}
	}
}

// nextVersions fetches the page that follows before.
func (b *Bucket) nextVersions(ctx context.Context, q versionQuery, before listing, pages *pageReader) (versionPage, error) {
	r := request{op: opHistory, key: q.key, onBucket: true, method: http.MethodGet, query: url.Values{
		"versions":      {""},
		"prefix":        {q.prefix},
		"max-keys":      {strconv.Itoa(q.limit)},
		"encoding-type": {"url"}, // XML cannot hold every character
	}}
	if before.nextKey != "" {
		r.query.Set("key-marker", before.nextKey)
	}
	if before.nextID != "" {
		r.query.Set("version-id-marker", before.nextID)
	}
	page, server, err := pages.fetch(ctx, b.client, r)
	if err != nil {
		return versionPage{}, err
	}
	if page.truncated && (page.nextKey == "" || page.nextKey == before.nextKey && page.nextID == before.nextID) {
		return versionPage{}, b.client.malformed(r, errEndless)
	}
	if server == versitygw {
		sortVersitygw(page.entries)
	}
	page.entries = dropReplacedTop(page.entries)
	return versionPage{page, server}, nil
}

// dropReplacedTop removes an entry that is said to be the latest and is listed among the older ones too: versitygw reads
// first what is current and then what was replaced, so that a write in between makes the one the other. What that write put
// on top is not in the listing; what remains is right. Counted twice, a version would get a wrong place in the order.
func dropReplacedTop(entries []entry) []entry {
	older := make(map[versionName]bool)
	for _, e := range entries {
		if !e.latest {
			older[versionName{e.key, e.id}] = true
		}
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return e.latest && older[versionName{e.key, e.id}] })
}

// repeats drops what a version listing says again on the page after. versitygw does so with the current version where the
// page before ended with it, with folders and what is beside them, and on every page of a key with what was written before
// versioning was on.
type repeats struct {
	before map[versionName]bool // what was on the page before
	null   string               // the last key that had an entry with the ID "null"
}

type versionName struct{ key, id string }

// drop removes from the entries of a page what was said already.
func (r *repeats) drop(entries []entry) []entry {
	names := make(map[versionName]bool, len(entries))
	kept := slices.DeleteFunc(entries, func(e entry) bool {
		name := versionName{e.key, e.id}
		again := names[name] || r.before[name] || e.id == nullVersion && e.key == r.null
		names[name] = true
		if e.id == nullVersion {
			r.null = e.key
		}
		return again
	})
	r.before = names
	return kept
}

// versions returns the entries as the contract has them.
func (p versionPage) versions() []s3mesh.ListedVersion {
	page := make([]s3mesh.ListedVersion, len(p.entries))
	for i, e := range p.entries {
		page[i] = s3mesh.ListedVersion{Key: e.key, HistoryEntry: p.entry(e)}
	}
	return page
}

func (p versionPage) entry(e entry) s3mesh.HistoryEntry {
	listed := s3mesh.HistoryEntry{
		VersionID: e.id, ETag: e.etag, LastModified: writeTime(p.server, e.id, e.modified),
		Size: e.size, DeleteMarker: e.marker, Latest: e.latest,
	}
	if e.latest {
		listed.VersionID = currentID(e.id)
	}
	return listed
}

// currentID returns the version ID of what is current. What was written while versioning was off has none: Amazon S3 calls
// it "null" in listings and, where versioning is on by now, to HEAD, while other products leave it out there. Under a later
// version "null" is what it can be asked for by, and so it is kept.
func currentID(id string) string {
	if id == nullVersion {
		return ""
	}
	return id
}
