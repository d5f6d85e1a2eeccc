package memstore

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// List yields the keys with prefix that currently hold an object, in byte order, as they were when it was started. When ctx
// ends, an error ends the sequence.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		keys := b.keys(prefix)
		for ; len(keys) > 0 && ctx.Err() == nil; keys = keys[1:] {
			if !yield(keys[0], nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield("", &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: opList, Site: b.cfg.Site, Err: err})
		}
	}
}

func (b *Bucket) keys(prefix string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var keys []string
	for key := range b.versions {
		if _, found := b.top(key); found && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
