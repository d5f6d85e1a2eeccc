package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const (
	maxShards = 64
	// fullShard is how many keys a shard is to have, where that is known: a page is read beyond its end, and once more by the next.
	fullShard = 20_000
	// maxDepth is how many folders are gone down through while each holds but one other.
	maxDepth = 32
	// splitters split a bucket without folders.
	splitters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// shard is a range of the keyspace: the keys after Low, up to and including High. Keys are bytes here, which JSON keeps as
// they are. The store's mutex guards it.
type shard struct {
	Low  []byte `json:"low,omitempty"`  // empty: from the start
	High []byte `json:"high,omitempty"` // empty: to the end
	// At is the key up to which all is compared, and what differs is durable in the queue. Empty: nothing is.
	At    []byte `json:"at,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Tally tally  `json:"tally"`
	Edges []edge `json:"edges"` // by site
}

// edge is what a site listed first and last in a shard, and what came next. See [run.inOrder].
type edge struct {
	First []byte `json:"first,omitempty"` // the first key after Low, maybe beyond High; empty: none
	Last  []byte `json:"last,omitempty"`  // the last key that is compared; empty: none
	Next  []byte `json:"next,omitempty"`  // the first key after High; empty: none
}

// plan splits the keyspace into shards. Where the boundaries lie changes how the work is spread, and nothing else.
func (r *run) plan(ctx context.Context) ([]*shard, error) {
	bounds, err := r.bounds(ctx)
	if err != nil {
		return nil, err
	}
	shards := make([]*shard, 0, len(bounds)+1)
	low := ""
	for _, high := range append(bounds, "") {
		shards = append(shards, &shard{Low: []byte(low), High: []byte(high), Tally: newTally(len(r.links)),
			Edges: make([]edge, len(r.sites))})
		low = high
	}
	return shards, nil
}

// bounds returns the keys between which the shards lie, in byte order.
func (r *run) bounds(ctx context.Context) ([]string, error) {
	prefix := r.opt.Prefix
	for range maxDepth {
		folders, more, err := r.folders(ctx, prefix)
		if err != nil {
			return nil, err
		}
		if len(folders) == 1 && !more && len(folders[0]) > len(prefix) {
			prefix = folders[0]
			continue
		}
		if more {
			folders = addSplitters(folders, prefix)
		}
		return thin(folders, r.mostShards()-1), nil
	}
	return nil, nil
}

// mostShards is how many shards are worth their while.
func (r *run) mostShards() int {
	if r.expected == 0 {
		return maxShards
	}
	return int(max(int64(r.cfg.Parallel), min(r.expected/fullShard, maxShards)))
}

// folders returns those of all sites, in byte order. What is no folder below prefix, as a store with other ideas of one might
// tell, is left out.
func (r *run) folders(ctx context.Context, prefix string) (all []string, more bool, err error) {
	for i, name := range r.sites {
		var folders []string
		var truncated bool
		err := r.retry(ctx, name, func() (err error) {
			folders, truncated, err = r.readers[i].Folders(ctx, prefix)
			return err
		})
		if err != nil {
			return nil, false, err
		}
		more = more || truncated
		for _, f := range folders {
			// The reserved folder would only end the way down through single ones.
			if len(f) > len(prefix) && strings.HasPrefix(f, prefix) && f != s3mesh.ReservedPrefix {
				all = append(all, f)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), more, nil
}

// addSplitters adds what splits the keys after the last folder that a page told of.
func addSplitters(folders []string, prefix string) []string {
	last := prefix
	if len(folders) > 0 {
		last = folders[len(folders)-1]
	}
	for _, c := range splitters {
		if bound := prefix + string(c); bound > last {
			folders = append(folders, bound)
		}
	}
	return folders
}

// thin leaves at most n of the bounds, evenly chosen.
func thin(bounds []string, n int) []string {
	if len(bounds) <= n {
		return bounds
	}
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = bounds[(i+1)*len(bounds)/(n+1)]
	}
	return chosen
}
