package replicate

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// KeyLister lists the keys under which a bucket holds an object, a page at a time.
type KeyLister interface {
	List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error]
}

// Sweep removes the target's tombstones that were last written longer ago than the retention, every version of them, and
// returns how many; of the others it removes the versions that were replaced. A delete marker whose tombstone is gone counts as
// a client's own delete, made when the marker was. What cannot be removed is left for the next sweep; the first error ends this
// one.
//
// One that is written meanwhile stays, as versions are removed by their IDs.
func (r *Replicator) Sweep(ctx context.Context, bucket KeyLister) (removed int, err error) {
	for page, err := range bucket.List(ctx, s3mesh.ListOptions{Prefix: resolve.TombstonePrefix}) {
		if err != nil {
			return removed, err
		}
		for _, listed := range page {
			outlived, err := r.sweepTombstone(ctx, listed.Key)
			if err != nil {
				return removed, err
			}
			if outlived {
				removed++
			}
		}
	}
	return removed, nil
}

// sweepTombstone removes every version of a tombstone that outlived the retention, and of others those that were replaced.
func (r *Replicator) sweepTombstone(ctx context.Context, key string) (outlived bool, err error) {
	ids, outlived, err := r.tombstoneVersions(ctx, key)
	if err != nil {
		return false, err
	}
	if !outlived {
		ids = ids[min(1, len(ids)):]
	}
	for _, id := range slices.Backward(ids) { // the one on top last: readers see all of it, or nothing
		if _, err := r.Bucket.Delete(ctx, key, s3mesh.DeleteOptions{VersionID: id}); err != nil {
			return false, err
		}
	}
	return outlived, nil
}

// tombstoneVersions returns the IDs of all versions of a tombstone, the latest first, and whether that is older than the
// retention.
func (r *Replicator) tombstoneVersions(ctx context.Context, key string) (ids []string, outlived bool, err error) {
	oldest := r.Now().Add(-r.TombstoneRetention)
	for entry, err := range r.Bucket.History(ctx, key) {
		if err != nil {
			return nil, false, err
		}
		outlived = outlived || len(ids) == 0 && !entry.LastModified.After(oldest)
		ids = append(ids, removalID(entry.VersionID))
	}
	return ids, outlived, nil
}

// removalID is what a version is removed by: one that was written before versioning was on is called "null".
func removalID(id string) string {
	if id == "" {
		return s3mesh.NullVersionID
	}
	return id
}

// RunSweep sweeps at once, and then every so often until ctx ends.
func (r *Replicator) RunSweep(ctx context.Context, bucket KeyLister, every time.Duration) {
	for {
		removed, err := r.Sweep(ctx, bucket)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.Log.Warn("cannot remove all old tombstones; the next sweep tries again", "site", r.Target, "error", err)
		case removed > 0:
			r.Log.Info("old tombstones removed", "site", r.Target, "count", removed)
		}
		if sleep(ctx, every) != nil {
			return
		}
	}
}
