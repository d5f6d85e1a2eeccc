package replicate

import (
	"context"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// holding is the state of the target right after a write.
func (r *Replicator) holding(v s3mesh.Version, w s3mesh.Written) state {
	return state{site: r.Target, version: &v, object: s3mesh.Object{ETag: w.ETag, VersionID: w.VersionID}}
}

// recheck looks at what a write has covered, as its condition cannot tell everything. S3 compares ETags, and a client that
// writes the same bytes with other metadata changes no ETag; to If-None-Match a delete is nothing; and some stores honour no
// condition, or not in a race. Where what was covered is later than what covers it, it is put on top again, and announced, as
// the event of the client's own request may have been processed while it was covered. looked is the version ID of the object
// that the write was decided on, or "". Where an earlier try may have stopped half-way, it looks further down. Without
// versions there is nothing to look at.
func (r *Replicator) recheck(ctx context.Context, j *job, top state, looked string) error {
	key := j.Task.Event.Key
	if top.top() == "" {
		return nil
	}
	enough := func(depth int, entry past) bool { return depth > 0 || entry.VersionID == looked && !entry.DeleteMarker }
	if j.again {
		enough = func(depth int, _ past) bool { return depth == resumedDepth }
	}
	covered, err := r.latestBelow(ctx, key, top, enough)
	for range rereads {
		if err != nil || covered == nil {
			return err
		}
		r.Log.Info("a client's write was covered and is put on top again", "site", r.Target, "key", key, "version", *covered.version)
		if err = r.uncover(ctx, j, covered, top); !changedMeanwhile(err) {
			return err
		}
		// Something else is on top by now. It may have been decided on what should not have been there.
		if top, err = r.state(ctx, r.Target, key); err != nil {
			return err
		}
		covered, err = r.stillLater(ctx, key, covered, top)
	}
	return err
}

// resumedDepth is how many versions below the one on top are looked at when a task that may have died half-way is taken up:
// several tasks may have written, and died, in a row.
const resumedDepth = 8

// stillLater returns covered if it is later than what is on top, and otherwise nil.
func (r *Replicator) stillLater(ctx context.Context, key string, covered *state, top state) (*state, error) {
	if top.version == nil {
		return nil, nil //nolint:nilnil // nothing is covered
	}
	if r.sameOrigin(*covered.version, *top.version) {
		// Of two of which the origin has removed one, the one that was taken for the later stays.
		decision, known, err := r.decideAtOrigin(ctx, key, *covered.version, *top.version)
		if err != nil || !known || decision != resolve.Copy {
			return nil, err
		}
		return covered, nil
	}
	decision, err := r.decideExactly(ctx, key, covered, top)
	if err != nil || decision != resolve.Copy {
		return nil, err
	}
	return covered, nil
}

// latestBelow returns the latest of the versions below top that is later than it, or nil. It goes down until enough, which is
// told how many came before, says to stop.
func (r *Replicator) latestBelow(ctx context.Context, key string, top state,
	enough func(depth int, entry past) bool) (*state, error) {
	best := &top
	reached, depth := false, 0
	for entry, err := range r.history(ctx, r.Target, key, askedCovered) {
		switch {
		case err != nil:
			return nil, err
		case !reached:
			reached = entry.VersionID == top.top()
			continue
		case enough(depth, entry), entry.DeleteMarker && !r.PropagateDeletes:
			return covered(best, &top), nil
		case entry.DeleteMarker && r.outlived(entry.LastModified):
			return covered(best, &top), nil // whose delete it is may be forgotten
		}
		depth++
		s, err := r.stateIn(ctx, key, entry)
		if err == nil {
			best, err = r.later(ctx, key, s, best)
		}
		if err != nil {
			return nil, err
		}
	}
	if !reached {
		return nil, nil //nolint:nilnil // what was written is gone again
	}
	// The target may have known of a delete while it held nothing.
	held, err := r.heldTombstone(ctx, r.Target, key)
	if v, known := held.Of(""); known && err == nil {
		best, err = r.later(ctx, key, state{site: r.Target, version: &v}, best)
	}
	return covered(best, &top), err
}

// covered returns best, or nil where that is top itself.
func covered(best, top *state) *state {
	if best == top {
		return nil
	}
	return best
}

// later returns s if it is later than best, and otherwise best. A delete that was taken back is none; nor is one that is older
// than tombstones are kept, as the proof that what covers it was written over it may be gone.
func (r *Replicator) later(ctx context.Context, key string, s state, best *state) (*state, error) {
	if s.holdsDelete() {
		if r.outlived(time.Unix(s.version.Time.Seconds, 0)) {
			return best, nil
		}
		undone, err := r.undoneAt(ctx, key, *s.version, r.Target, s.version.Origin)
		if err != nil || undone {
			return best, err
		}
	}
	found, err := r.stillLater(ctx, key, &s, *best)
	if found == nil {
		return best, err
	}
	return found, err
}

// stateIn is what the target held when entry was on top.
func (r *Replicator) stateIn(ctx context.Context, key string, entry past) (state, error) {
	if entry.DeleteMarker {
		v, err := r.versionIn(ctx, r.Target, key, entry)
		return state{site: r.Target, version: &v, deleted: deleted{marker: entry.VersionID}}, err
	}
	obj, err := r.Bucket.Head(ctx, key, s3mesh.ReadOptions{VersionID: entry.VersionID})
	if err != nil {
		return state{}, err
	}
	v, err := r.versionOf(ctx, r.Target, key, obj)
	return state{site: r.Target, version: v, object: obj}, err
}

// uncover puts what was covered on top again, and tells the target's links.
func (r *Replicator) uncover(ctx context.Context, j *job, covered *state, top state) error {
	key := j.Task.Event.Key
	removed := false
	if j.putBack++; j.putBack > rereads {
		return r.changed(key) // clients are faster, or the order does not hold: see What can be lost, unversioned buckets
	}
	switch {
	case covered.holdsDelete():
		if err := r.applyDelete(ctx, j, *covered.version, top); err != nil {
			return err
		}
	case top.holdsDelete():
		if err := r.withdraw(ctx, key, top.deleted.marker); err != nil {
			return err
		}
		removed = true
	default:
		if err := r.putBack(ctx, j, covered, top); err != nil {
			return err
		}
	}
	j.Result, j.Target = s3mesh.ResultConflictLost, covered.version
	if err := r.announce(ctx, key); err != nil || !removed {
		return err
	}
	return r.changed(key) // what is on top now need not be what was covered
}

// putBack writes an object that was covered on top again, as a replica of itself.
func (r *Replicator) putBack(ctx context.Context, j *job, covered *state, top state) error {
	source := &openState{state: *covered}
	defer source.close()
	written, err := r.write(ctx, j, source, s3mesh.IfMatch(top.object.ETag))
	if err != nil {
		return err
	}
	return r.recheck(ctx, j, r.holding(*covered.version, written), top.object.VersionID)
}

// resumeRecheck takes up what an earlier try may not have come to the end of.
func (r *Replicator) resumeRecheck(ctx context.Context, j *job, target state) error {
	if intent := target.deleted.intended; intent != nil && r.abandoned(*intent, j.again) {
		err := r.changeTombstone(ctx, j.Task.Event.Key, func(t resolve.Tombstone) resolve.Tombstone {
			return t.Bind(target.deleted.marker, *target.version).End(*intent)
		})
		if err != nil {
			return err
		}
	}
	switch {
	case !j.again, target.version == nil, native(target):
		return nil
	case target.version.Origin == r.Target:
		if err := r.announce(ctx, j.Task.Event.Key); err != nil {
			return err
		}
	}
	return r.recheck(ctx, j, target, "")
}

// announce tells the target's links of what it holds.
func (r *Replicator) announce(ctx context.Context, key string) error {
	return r.Announce(ctx, s3mesh.Event{Site: r.Target, Key: key, Type: s3mesh.EventCreated, Name: "s3mesh:Recheck", Time: r.Now()})
}
