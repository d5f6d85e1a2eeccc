package s3store

import (
	"context"
	"iter"

	"github.com/s3mesh/s3mesh"
)

const (
	// firstPage is short, as the version on top and the one below it are what most callers want.
	firstPage = 16
	nextPages = 1000
)

// History implements [s3mesh.Reader]. It takes one request for the first 16 versions and one for every 1,000 after them.
func (b *Bucket) History(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		if err := b.client.checkKey(ctx, request{op: opHistory, key: key}); err != nil {
			yield(s3mesh.HistoryEntry{}, err)
			return
		}
		found := false
		for entry, err := range b.listed(ctx, key) {
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
func (b *Bucket) listed(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		for page, err := range b.versionPages(ctx, versionQuery{key: key, prefix: key, limit: firstPage}) {
			if err != nil {
				yield(s3mesh.HistoryEntry{}, err)
				return
			}
			for _, e := range page.entries {
				if e.key != key {
					return // the listing is by prefix, and key itself comes before all that merely start with it
				}
				if !yield(page.entry(e), nil) {
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
