package replicate

import (
	"context"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// decide resolves between a source that was read after the target, and the target.
func (r *Replicator) decide(ctx context.Context, task s3mesh.Task, source *state, target state) (resolve.Decision, error) {
	decision := resolve.Resolve(*source.version, target.version, r.MaxClockSkew)
	if decision != resolve.NeedExact {
		return decision, nil
	}
	if native(*source) && target.version.Origin == source.site && !target.holdsDelete() {
		// What the source holds natively was written on top of all that it ever gave away, unless what it gave away was then
		// deleted by its version ID.
		if task.Event.Type == s3mesh.EventRemoved {
			return r.unlessRemoved(ctx, task.Event.Key, *target.version)
		}
		return resolve.Copy, nil
	}
	if native(target) && source.version.Origin == target.site {
		return resolve.Superseded, nil
	}
	return r.decideExactly(ctx, task.Event.Key, source, target)
}

// decideExactly resolves by times that are exact where it takes that, for which it asks where the versions were written.
func (r *Replicator) decideExactly(ctx context.Context, key string, source *state, target state) (resolve.Decision, error) {
	decision := resolve.Resolve(*source.version, target.version, r.MaxClockSkew)
	if decision != resolve.NeedExact {
		return decision, nil
	}
	if decision, known, err := r.decideAtOrigin(ctx, key, *source.version, *target.version); known || err != nil {
		return decision, err
	}
	exactSource, err := r.exact(ctx, key, *source.version)
	if err != nil {
		return 0, err
	}
	exactTarget, err := r.exact(ctx, key, *target.version)
	if err != nil {
		return 0, err
	}
	unversioned := exactSource.VersionID == "" && exactTarget.VersionID == ""
	if exactSource.Origin == exactTarget.Origin && (exactSource.Time == exactTarget.Time || unversioned) {
		return r.askOrigin(ctx, key, exactSource)
	}
	source.version = &exactSource
	return resolve.Resolve(exactSource, &exactTarget, r.MaxClockSkew), nil
}

// decideAtOrigin decides between two versions of one origin by its history, where that still has both.
func (r *Replicator) decideAtOrigin(ctx context.Context, key string, source, target s3mesh.Version) (
	decision resolve.Decision, known bool, err error) {
	if !r.sameOrigin(source, target) {
		return 0, false, nil
	}
	depth := 0
	for entry, err := range r.history(ctx, source.Origin, key, askedExact) {
		switch {
		case err != nil || depth == conflictDepth:
			return 0, false, err
		case entry.VersionID != source.VersionID && entry.VersionID != target.VersionID:
		case decision != 0:
			return decision, true, nil
		case entry.VersionID == source.VersionID:
			decision = resolve.Copy
		default:
			decision = resolve.Superseded
		}
		depth++
	}
	return 0, false, nil
}

// sameOrigin reports that two versions have their place in the history of one site.
func (r *Replicator) sameOrigin(a, b s3mesh.Version) bool {
	return a.Origin == b.Origin && r.Readers[a.Origin] != nil && unique(a.VersionID) && unique(b.VersionID)
}

// unlessRemoved decides for a source that holds another version than the one it gave to the target: when that one is gone
// from its history, it was deleted there by its version ID, which is not propagated, and the target keeps it.
func (r *Replicator) unlessRemoved(ctx context.Context, key string, given s3mesh.Version) (resolve.Decision, error) {
	for entry, err := range r.history(ctx, given.Origin, key, askedUndone) {
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
	return s.version.Origin == s.site && s.version.VersionID == s.top()
}

// askOrigin decides between two versions of one origin whose times cannot tell, as its bucket keeps no versions: the one that
// the origin still holds is the later one. When it holds neither, something newer is on its way.
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

// unique reports that no other version of its bucket has this ID.
func unique(versionID string) bool { return versionID != "" && versionID != s3mesh.NullVersionID }

// exact returns v with its exact time, computed from the history of its key at its origin. Where there is no history, or it
// no longer reaches back to v, or the origin has left the replica set, the LastModified that v carries is all there is.
func (r *Replicator) exact(ctx context.Context, key string, v s3mesh.Version) (s3mesh.Version, error) {
	if v.Exact || r.Readers[v.Origin] == nil || !unique(v.VersionID) {
		v.Exact = true
		return v, nil
	}
	chain, err := r.chain(ctx, key, v)
	if err != nil {
		return v, err
	}
	var base *s3mesh.LogicalTime
	for _, link := range slices.Backward(chain) {
		t := link.time
		switch {
		case link.native:
			t = resolve.Native(link.modified, base)
		case base != nil && base.Compare(t) > 0:
			continue // a replica that was put on something later, as happens in a race
		}
		base = &t
	}
	if base != nil {
		v.Time = *base
	}
	v.Exact = true
	return v, nil
}

// chained is one version of the history that an exact time is computed from.
type chained struct {
	native   bool
	modified time.Time          // of a native version
	time     s3mesh.LogicalTime // of a replica
}

// chain returns v's entry in its origin's history, followed by the versions below it that can still matter for its time.
func (r *Replicator) chain(ctx context.Context, key string, v s3mesh.Version) ([]chained, error) {
	var chain []chained
	var latest past // the latest by LastModified that is not multipart
	for entry, err := range r.history(ctx, v.Origin, key, askedExact) {
		switch {
		case err != nil:
			return nil, err
		case len(chain) == 0 && entry.VersionID != v.VersionID:
			continue
		case !latest.LastModified.IsZero() && resolve.CannotReach(entry.HistoryEntry, latest.LastModified, r.MaxClockSkew):
			return chain, nil
		}
		next, err := r.chained(ctx, key, v, entry)
		if err != nil {
			return nil, err
		}
		chain = append(chain, next)
		if next.native && !resolve.Multipart(entry.ETag) && entry.LastModified.After(latest.LastModified) {
			latest = entry
		}
	}
	if len(chain) == 0 {
		return nil, nil
	}
	// The first version was written where a delete was known of, if one was.
	held, err := r.heldTombstone(ctx, v.Origin, key)
	if below, known := held.Confirmed(""); known && err == nil {
		below, err = r.exact(ctx, key, below)
		chain = append(chain, chained{time: below.Time})
	}
	return chain, err
}

// chained reads an entry of the history that v is in.
func (r *Replicator) chained(ctx context.Context, key string, v s3mesh.Version, entry past) (chained, error) {
	native := chained{native: true, modified: entry.LastModified}
	if entry.VersionID == v.VersionID {
		return native, nil
	}
	below, err := r.versionIn(ctx, v.Origin, key, entry)
	if err != nil || below.Origin == v.Origin && below.VersionID == entry.VersionID {
		return native, err
	}
	below, err = r.exact(ctx, key, below)
	return chained{time: below.Time}, err
}

// conflictDepth bounds how far down a history is searched for a version before two are called concurrent.
const conflictDepth = 1000

// conflict tells a conflict from an ordinary overwrite: was winner written without knowledge of loser? The history of the
// site that wrote winner has loser, or a replica of it, below winner if it was not. Only versions of different sites can be
// concurrent, and only where versions are kept can it be told.
func (r *Replicator) conflict(ctx context.Context, key string, winner, loser s3mesh.Version) bool {
	if r.Readers[winner.Origin] == nil || winner.Origin == loser.Origin || winner.VersionID == "" ||
		winner.Deleted && loser.Deleted || loser.Deleted && !r.PropagateDeletes {
		return false
	}
	known, err := r.covers(ctx, key, winner, loser)
	if err != nil {
		r.Log.Warn("cannot tell whether two versions conflict", "key", key, "error", err)
	}
	if known || err != nil {
		return false
	}
	r.Log.Warn("conflict: two sites wrote the key without knowledge of each other; the later one wins",
		"key", key, "winner", winner, "loser", loser)
	return true
}

// covers reports whether loser lies below winner where that was written.
func (r *Replicator) covers(ctx context.Context, key string, winner, loser s3mesh.Version) (bool, error) {
	depth, reached := 0, false
	for entry, err := range r.history(ctx, winner.Origin, key, askedConflict) {
		switch {
		case err != nil || depth == conflictDepth:
			return false, err
		case !reached:
			reached = entry.VersionID == winner.VersionID
		case loser.Deleted && entry.DeleteMarker:
			marker, err := r.versionIn(ctx, winner.Origin, key, entry)
			if err != nil || marker.Same(loser) {
				return err == nil, err
			}
		case !loser.Deleted && entry.ETag == loser.ETag:
			return true, nil
		}
		depth++
	}
	return false, nil
}
