package replicate

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// KeyLister lists the keys with a prefix under which a bucket holds an object.
type KeyLister interface {
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Sweep removes the target's tombstones that were last written longer ago than the retention, every version of them, and
// returns how many. A delete marker whose tombstone is gone counts as a client's own delete, made when the marker was. What
// cannot be removed is left for the next sweep; the first error ends this one.
//
// One that is written meanwhile stays, as versions are removed by their IDs.
func (r *Replicator) Sweep(ctx context.Context, bucket KeyLister) (removed int, err error) {
	for key, err := range bucket.List(ctx, resolve.TombstonePrefix) {
		if err != nil {
			return removed, err
		}
		old, err := r.oldVersions(ctx, key)
		if err != nil {
			return removed, err
		}
		for _, id := range slices.Backward(old) { // the one on top last: readers see all of it, or nothing
			if _, err := r.Bucket.Delete(ctx, key, s3mesh.DeleteOptions{VersionID: id}); err != nil {
				return removed, err
			}
		}
		if len(old) > 0 {
			removed++
		}
	}
	return removed, nil
}

// oldVersions returns the IDs of all versions of a tombstone, the latest first, or none when that is not older than the
// retention.
func (r *Replicator) oldVersions(ctx context.Context, key string) ([]string, error) {
	oldest := r.Now().Add(-r.TombstoneRetention)
	var ids []string
	for entry, err := range r.Bucket.History(ctx, key) {
		switch {
		case err != nil:
			return nil, err
		case len(ids) == 0 && entry.LastModified.After(oldest):
			return nil, nil
		}
		ids = append(ids, removalID(entry.VersionID))
	}
	return ids, nil
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
