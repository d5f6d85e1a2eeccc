package memstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const (
	opVersions = "ListObjectVersions"
	// listPage is how many keys, versions or folders a page of a listing holds, as on Amazon S3.
	listPage = 1000
)

// List yields pages of the keys that currently hold an object, in byte order, as they were when each page was fetched. A
// page is the caller's. When ctx ends, an error ends the sequence.
func (b *Bucket) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		keys := b.keys(opt, b.holds)
		for page := range slices.Chunk(keys, listPage) {
			if ctx.Err() != nil {
				break
			}
			if !yield(b.describe(page), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, b.ended(opList, err))
		}
	}
}

// Versions yields pages of the versions and delete markers of all keys, the keys in byte order and within a key the latest
// first. A page is the caller's. When ctx ends, an error ends the sequence.
func (b *Bucket) Versions(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.ListedVersion, error] {
	return func(yield func([]s3mesh.ListedVersion, error) bool) {
		var page []s3mesh.ListedVersion
		for _, key := range b.keys(opt, func(string) bool { return true }) {
			for entry, err := range b.History(ctx, key) {
				if err != nil {
					yield(nil, b.ended(opVersions, err))
					return
				}
				if page = append(page, s3mesh.ListedVersion{Key: key, HistoryEntry: entry}); len(page) < listPage {
					continue
				}
				if !yield(page, nil) {
					return
				}
				page = nil
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, b.ended(opVersions, err))
		} else if len(page) > 0 {
			yield(page, nil)
		}
	}
}

// Folders returns the distinct beginnings, up to and with the next "/", of the keys under prefix that go on to one, in byte
// order, as far as they are among the first 1,000 folders and keys without one; more tells that there are others.
func (b *Bucket) Folders(ctx context.Context, prefix string) (folders []string, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, b.ended(opList, err)
	}
	seen := 0
	for _, key := range b.keys(s3mesh.ListOptions{Prefix: prefix}, b.holds) {
		name, _, nested := strings.Cut(key[len(prefix):], "/")
		folder := prefix + name + "/"
		if nested && len(folders) > 0 && folders[len(folders)-1] == folder {
			continue
		}
		if seen++; seen > listPage {
			return folders, true, nil
		}
		if nested {
			folders = append(folders, folder)
		}
	}
	return folders, false, nil
}

// keys returns those that opt asks for and that take takes, in byte order. take is called with b.mu held.
func (b *Bucket) keys(opt s3mesh.ListOptions, take func(key string) bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys []string
	for key := range b.versions {
		if strings.HasPrefix(key, opt.Prefix) && key > opt.After && take(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// holds reports whether key holds an object. b.mu is held.
func (b *Bucket) holds(key string) bool {
	_, found := b.top(key)
	return found
}

// describe lists those of keys that hold an object.
func (b *Bucket) describe(keys []string) []s3mesh.Listed {
	b.mu.Lock()
	defer b.mu.Unlock()
	page := make([]s3mesh.Listed, 0, len(keys))
	for _, key := range keys {
		if v, found := b.top(key); found {
			page = append(page, s3mesh.Listed{Key: key, Size: int64(len(v.data)), ETag: v.etag, LastModified: v.modified})
		}
	}
	return page
}

// ended is the error of a listing that was given up.
func (b *Bucket) ended(op string, err error) error {
	if known, ok := errors.AsType[*s3mesh.Error](err); ok {
		err = known.Err
	}
	return &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: op, Site: b.cfg.Site, Err: err}
}
