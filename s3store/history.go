package s3store

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// firstPage is short, as the version on top and the one below it are what most callers want.
	firstPage = 16
	nextPages = 1000
	// maxPage bounds a page in bytes: 1,000 entries with keys of 1,024 bytes, URL-encoded.
	maxPage = 8 << 20
	// nullVersion is the ID of what was written while the bucket was not versioned.
	nullVersion = "null"
)

// versionPage is a page of a version listing. Versions and delete markers stay in the one order they are listed in, which
// is the order they were written in.
type versionPage struct {
	Truncated    bool            `xml:"IsTruncated"`
	NextKey      string          `xml:"NextKeyMarker"`
	NextID       string          `xml:"NextVersionIdMarker"`
	EncodingType string          `xml:"EncodingType"`
	Entries      []listedVersion `xml:",any"` // and the elements with no field of their own, which decode drops
}

type listedVersion struct {
	XMLName      xml.Name
	Key          string    `xml:"Key"`
	VersionID    string    `xml:"VersionId"`
	ETag         string    `xml:"ETag"`
	LastModified time.Time `xml:"LastModified"`
	Size         int64     `xml:"Size"`
	Latest       bool      `xml:"IsLatest"`
}

func (v listedVersion) isMarker() bool { return v.XMLName.Local == "DeleteMarker" }

// History implements [s3mesh.Reader]. It takes one request for the first 16 versions and one for every 1,000 after them.
func (b *Bucket) History(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		r := request{op: opHistory, key: key, onBucket: true, method: http.MethodGet}
		if err := b.client.checkKey(ctx, r); err != nil {
			yield(s3mesh.HistoryEntry{}, err)
			return
		}
		found := false
		for entry, err := range b.listed(ctx, r) {
			found = true
			if !yield(entry, err) {
				return
			}
		}
		if !found && !b.client.exactKeys {
			b.unlisted(ctx, key, yield)
		}
	}
}

// listed yields the versions that the listing has.
func (b *Bucket) listed(ctx context.Context, r request) iter.Seq2[s3mesh.HistoryEntry, error] {
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		for limit, page := firstPage, (versionPage{Truncated: true}); page.Truncated; limit = nextPages {
			var server string
			var err error
			if page, server, err = b.nextPage(ctx, r, page, limit); err != nil {
				yield(s3mesh.HistoryEntry{}, err)
				return
			}
			for _, v := range page.Entries {
				if v.Key != r.key {
					return // the listing is by prefix, and key itself comes before all that merely start with it
				}
				if !yield(historyEntry(server, v), nil) {
					return
				}
			}
		}
	}
}

// unlisted yields the current object when the listing has nothing of the key. MinIO does not list "a/b" while there is an
// object "a", and versitygw cannot spell control characters, but both hold such keys. Their older versions stay unknown, as
// if they had expired.
func (b *Bucket) unlisted(ctx context.Context, key string, yield func(s3mesh.HistoryEntry, error) bool) {
	object, err := b.Head(ctx, key, s3mesh.ReadOptions{})
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindNotFound:
		return
	case err != nil:
		yield(s3mesh.HistoryEntry{}, err)
		return
	}
	yield(s3mesh.HistoryEntry{
		VersionID: object.VersionID, ETag: object.ETag, LastModified: object.LastModified, Size: object.Size, Latest: true,
	}, nil)
}

// nextPage fetches the page of the versions of r.key that follows page, and the name of the product that answered.
func (b *Bucket) nextPage(ctx context.Context, r request, page versionPage, limit int) (versionPage, string, error) {
	r.query = url.Values{
		"versions":      {""},
		"prefix":        {r.key},
		"max-keys":      {strconv.Itoa(limit)},
		"encoding-type": {"url"}, // XML cannot hold every character
	}
	if page.NextKey != "" {
		r.query.Set("key-marker", page.NextKey)
		r.query.Set("version-id-marker", page.NextID)
	}
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return versionPage{}, "", err
	}
	defer discard(resp)
	next, err := decodePage(resp.Body)
	if err != nil {
		return versionPage{}, "", b.client.fail(ctx, r, err)
	}
	if next.Truncated && (next.NextKey == "" || next.NextKey == page.NextKey && next.NextID == page.NextID) {
		return versionPage{}, "", b.client.malformed(r, errors.New("a truncated page does not say where the next one starts"))
	}
	server := resp.Header.Get("Server")
	if server == versitygw {
		sortVersitygw(next.Entries)
	}
	next.Entries = dropReplacedTop(next.Entries)
	return next, server, nil
}

// dropReplacedTop removes an entry that is said to be the latest and is listed among the older ones too: versitygw reads
// first what is current and then what was replaced, so that a write in between makes the one the other. What that write put
// on top is not in the listing; what remains is right. Counted twice, a version would get a wrong place in the order.
func dropReplacedTop(entries []listedVersion) []listedVersion {
	type version struct{ key, id string }
	older := make(map[version]bool, len(entries))
	for _, v := range entries {
		if !v.Latest {
			older[version{v.Key, v.VersionID}] = true
		}
	}
	return slices.DeleteFunc(entries, func(v listedVersion) bool { return v.Latest && older[version{v.Key, v.VersionID}] })
}

func decodePage(body io.Reader) (versionPage, error) {
	var page versionPage
	if err := xml.NewDecoder(io.LimitReader(body, maxPage)).Decode(&page); err != nil {
		return page, err
	}
	page.Entries = slices.DeleteFunc(page.Entries, func(v listedVersion) bool {
		return v.XMLName.Local != "Version" && !v.isMarker()
	})
	if page.EncodingType != "url" {
		return page, nil
	}
	var err error
	if page.NextKey, err = url.QueryUnescape(page.NextKey); err != nil {
		return page, err
	}
	for i := range page.Entries {
		if page.Entries[i].Key, err = url.QueryUnescape(page.Entries[i].Key); err != nil {
			return page, err
		}
	}
	return page, nil
}

func historyEntry(server string, v listedVersion) s3mesh.HistoryEntry {
	entry := s3mesh.HistoryEntry{
		VersionID:    v.VersionID,
		ETag:         unquote(v.ETag),
		LastModified: writeTime(server, v.VersionID, v.LastModified),
		Size:         v.Size,
		DeleteMarker: v.isMarker(),
		Latest:       v.Latest,
	}
	if v.Latest {
		entry.VersionID = currentID(v.VersionID)
	}
	return entry
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
