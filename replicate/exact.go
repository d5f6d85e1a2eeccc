package replicate

import (
	"context"
	"slices"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// decide resolves, and asks where the versions were written when the times at hand cannot tell.
func (r *Replicator) decide(ctx context.Context, task s3mesh.Task, source *openState, target state) (resolve.Decision, error) {
	key := task.Event.Key
	decision := resolve.Resolve(*source.version, target.version, r.MaxClockSkew)
	if decision != resolve.NeedExact {
		return decision, nil
	}
	if native(source.state) && target.version.Origin == source.site {
		// The source was read after the target: what it holds natively was written on top of all that it ever gave away,
		// unless what it gave away was then deleted by its version ID.
		if task.Event.Type == s3mesh.EventRemoved {
			return r.unlessRemoved(ctx, key, *target.version)
		}
		return resolve.Copy, nil
	}
	if native(target) && source.version.Origin == target.site {
		return resolve.Superseded, nil
	}
	exactSource, err := r.exact(ctx, key, *source.version)
	if err != nil {
		return 0, err
	}
	exactTarget, err := r.exact(ctx, key, *target.version)
	if err != nil {
		return 0, err
	}
	if exactSource.Origin == exactTarget.Origin && exactSource.Time == exactTarget.Time {
		return r.askOrigin(ctx, key, exactSource)
	}
	source.version = &exactSource
	return resolve.Resolve(exactSource, &exactTarget, r.MaxClockSkew), nil
}

// unlessRemoved decides for a source that holds another version than the one it gave to the target: when that one is gone
// from its history, it was deleted there by its version ID, which is not propagated, and the target keeps it.
func (r *Replicator) unlessRemoved(ctx context.Context, key string, given s3mesh.Version) (resolve.Decision, error) {
	for entry, err := range r.Readers[given.Origin].History(ctx, key) {
		if err != nil {
			return 0, err
		}
		if entry.VersionID == given.VersionID {
			return resolve.Copy, nil
		}
	}
	return resolve.Superseded, nil
}

// native reports that a site holds a version of its own.
func native(s state) bool {
	return s.version.Origin == s.site && s.version.VersionID == s.object.VersionID
}

// askOrigin decides between two versions of one origin that have the same time, which happens only where the bucket keeps
// no versions: the one that the origin still holds is the later one. When it holds neither, something newer is on its way.
func (r *Replicator) askOrigin(ctx context.Context, key string, source s3mesh.Version) (resolve.Decision, error) {
	held, err := r.state(ctx, source.Origin, key)
	if err != nil {
		return 0, err
	}
	if held.version != nil && held.version.Same(source) {
		return resolve.Copy, nil
	}
	return resolve.Superseded, nil
}

// exact returns v with its exact time, computed from the history of its key at its origin. Where there is no history, or it
// no longer reaches back to v, or the origin has left the replica set, the LastModified that v carries is all there is.
func (r *Replicator) exact(ctx context.Context, key string, v s3mesh.Version) (s3mesh.Version, error) {
	origin, known := r.Readers[v.Origin]
	if v.Exact || !known || v.VersionID == "" || v.VersionID == s3mesh.NullVersionID {
		v.Exact = true
		return v, nil
	}
	chain, base, err := r.chain(ctx, origin, key, v)
	if err != nil {
		return v, err
	}
	for _, entry := range slices.Backward(chain) {
		t := resolve.Native(entry.LastModified, base)
		base = &t
	}
	if base != nil {
		v.Time = *base
	}
	v.Exact = true
	return v, nil
}

// chain returns v's entry in its origin's history followed by the native versions below it that can still matter for its
// time, and the time of the replica that they were written over, if one is in reach.
func (r *Replicator) chain(ctx context.Context, origin s3mesh.Reader, key string, v s3mesh.Version) (
	[]s3mesh.HistoryEntry, *s3mesh.LogicalTime, error) {
	var chain []s3mesh.HistoryEntry
	var latest s3mesh.HistoryEntry // the latest by LastModified that is not multipart
	for entry, err := range origin.History(ctx, key) {
		if err != nil {
			return nil, nil, err
		}
		if len(chain) == 0 && entry.VersionID != v.VersionID {
			continue
		}
		if len(chain) > 0 {
			if !latest.LastModified.IsZero() && resolve.CannotReach(entry, latest.LastModified, r.MaxClockSkew) {
				return chain, nil, nil
			}
			below, err := r.versionIn(ctx, v.Origin, key, entry)
			if err != nil {
				return nil, nil, err
			}
			if below.Origin != v.Origin {
				below, err = r.exact(ctx, key, below)
				return chain, &below.Time, err
			}
		}
		chain = append(chain, entry)
		if !resolve.Multipart(entry.ETag) && entry.LastModified.After(latest.LastModified) {
			latest = entry
		}
	}
	return chain, nil, nil
}

// conflictDepth bounds how far down a history is searched for a version before two are called concurrent.
const conflictDepth = 1000

// conflict tells a conflict from an ordinary overwrite: was winner written without knowledge of loser? The history of the
// site that wrote winner has loser, or a replica of it, below winner if it was not. Only versions of different sites can be
// concurrent, and only where versions are kept can it be told.
func (r *Replicator) conflict(ctx context.Context, key string, winner, loser s3mesh.Version) bool {
	origin, known := r.Readers[winner.Origin]
	if !known || winner.Origin == loser.Origin || winner.VersionID == "" || loser.Deleted {
		return false
	}
	depth, covered := 0, false
	for entry, err := range origin.History(ctx, key) {
		if err != nil {
			r.Log.Warn("cannot tell whether two versions conflict", "key", key, "error", err)
			return false
		}
		switch {
		case entry.VersionID == winner.VersionID:
			covered = true
		case covered && entry.ETag == loser.ETag:
			return false
		}
		if depth++; depth == conflictDepth {
			break
		}
	}
	r.Log.Warn("conflict: two sites wrote the key without knowledge of each other; the later one wins",
		"key", key, "winner", winner, "loser", loser)
	return true
}
