package replicate

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// applySourceDelete applies the delete v, which the source of a task holds, to the target, if the link's brake lets it.
func (r *Replicator) applySourceDelete(ctx context.Context, j *job, v s3mesh.Version, target state) error {
	if target.holdsObject() && j.Task.Lane != s3mesh.LaneHeld {
		braking := r.braking(j.Task.Link, v)
		switch held := r.Brake.Admit(braking); {
		case held != nil && braking != j.Task.Link:
			j.Result = s3mesh.ResultHeld // on the link that it came by first
			return nil
		case held != nil:
			return held
		}
	}
	j.Source, j.Result = &v, s3mesh.ResultDeleted
	if target.version != nil && r.conflict(ctx, j.Task.Event.Key, v, *target.version) {
		j.Result = s3mesh.ResultConflictWon
	}
	if err := r.applyDelete(ctx, j, v, target); err != nil {
		return err
	}
	return r.withdrawIfUndone(ctx, j, v)
}

// braking is the link whose brake a delete that came over link is subject to: the one straight from its origin, if there is one,
// so that no way round leads past it.
func (r *Replicator) braking(link s3mesh.Link, v s3mesh.Version) s3mesh.Link {
	if direct := (s3mesh.Link{Source: v.Origin, Target: r.Target}); r.Brake.Covers(direct) {
		return direct
	}
	return link
}

// applyDelete makes the delete v the target's version, on top of what target was seen to hold.
func (r *Replicator) applyDelete(ctx context.Context, j *job, v s3mesh.Version, target state) error {
	if target.holdsObject() {
		return r.cover(ctx, j, v, target)
	}
	return r.adopt(ctx, j.Task.Event.Key, v, target.deleted.marker)
}

// adopt has the marker on top of the target stand for the delete v too or, where the marker is "", records v while the target
// holds nothing. Whether that is still so is looked at in between: what was written since did not know of this delete, and its
// writer may have looked at the tombstone before it was there.
func (r *Replicator) adopt(ctx context.Context, key string, v s3mesh.Version, marker string) error {
	err := r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Expect(marker, v) })
	if err != nil {
		return err
	}
	top, err := r.top(ctx, r.Target, key)
	if err != nil {
		return err
	}
	if len(top) == 0 && marker == "" || len(top) > 0 && top[0].VersionID == marker {
		return r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Bind(marker, v) })
	}
	err = r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Unexpect(marker, v) })
	return cmp.Or(err, r.changed(key))
}

// changed is the error that makes a task start over.
func (r *Replicator) changed(key string) error {
	return &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "apply delete", Site: r.Target, Key: key}
}

// cover puts a delete marker for v on top of the object that the target was seen to hold. The tombstone says so first, so
// that the marker never passes for a client's delete.
func (r *Replicator) cover(ctx context.Context, j *job, v s3mesh.Version, target state) error {
	key := j.Task.Event.Key
	intent := resolve.Intent{Delete: v, ETag: target.object.ETag, Unconditional: !r.Capabilities.ConditionalDelete,
		Made: r.uniqueNow().UTC()}
	defer r.intents.begin(intent)()
	err := r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Intend(intent) })
	if err != nil {
		return err
	}
	marker, err := r.deleteInTime(ctx, key, intent)
	if err != nil {
		return r.giveUp(ctx, key, intent, err)
	}
	err = r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone {
		return t.Bind(marker.VersionID, v).End(intent)
	})
	if err != nil {
		return err
	}
	top := state{site: r.Target, version: &v, deleted: deleted{marker: marker.VersionID}}
	return r.recheck(ctx, j, top, target.object.VersionID)
}

// deleteInTime makes the marker of an intent, while that lasts.
func (r *Replicator) deleteInTime(ctx context.Context, key string, intent resolve.Intent) (s3mesh.Written, error) {
	left := resolve.IntentLease - r.Now().Sub(intent.Made)
	if left <= 0 {
		return s3mesh.Written{}, r.changed(key)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return r.Bucket.Delete(ctx, key, s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(intent.ETag)})
}

// giveUp ends an intent that the store refused, and returns why it did. A client's marker may have passed for the intended one
// meanwhile, so that the links are told to look again. After any other error the marker may have been made: the next attempt
// tells.
func (r *Replicator) giveUp(ctx context.Context, key string, intent resolve.Intent, refused error) error {
	if !changedMeanwhile(refused) {
		return refused
	}
	err := r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.End(intent) })
	return cmp.Or(err, r.announce(ctx, key), refused)
}

// intents are the deletes that tasks of this process are about to make at the target.
type intents struct {
	mu   sync.Mutex
	made map[int64]bool
}

// begin adds an intent until the returned function is called.
func (i *intents) begin(intent resolve.Intent) (end func()) {
	id := intent.Made.UnixNano()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.made == nil {
		i.made = make(map[int64]bool)
	}
	i.made[id] = true
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.made, id)
	}
}

func (i *intents) has(intent resolve.Intent) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.made[intent.Made.UnixNano()]
}

// abandoned reports that whoever wrote an intent will not come to record the marker that it made.
func (r *Replicator) abandoned(intent resolve.Intent, again bool) bool {
	return !r.intents.has(intent) && (again || r.Now().Sub(intent.Made) > resolve.IntentLease)
}

// withdraw removes a delete marker of the target that covers what it must not. The tombstone says so first: nobody is to take
// its removal for that of a client.
func (r *Replicator) withdraw(ctx context.Context, key, marker string) error {
	err := r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Withdraw(marker) })
	if err != nil {
		return err
	}
	_, err = r.Bucket.Delete(ctx, key, s3mesh.DeleteOptions{VersionID: marker})
	return err
}

// undoneAlready corrects a decision for a delete that a client took back by removing its marker. A delete that was taken back
// at the target, or where it was made, is not applied again. One that the target holds and that was taken back at the source
// is taken back at the target too, and the task starts over.
func (r *Replicator) undoneAlready(ctx context.Context, j *job, decision resolve.Decision, source *openState,
	target state) (resolve.Decision, error) {
	if !r.PropagateDeletes {
		return decision, nil
	}
	key := j.Task.Event.Key
	switch {
	case decision == resolve.Copy && source.holdsDelete():
		if target.holdsDelete() && r.outlived(time.Unix(source.version.Time.Seconds, 0)) {
			return resolve.InSync, nil
		}
		undone, err := r.undoneAt(ctx, key, *source.version, r.Target, source.version.Origin)
		if err != nil || undone {
			return resolve.Superseded, err
		}
	case decision == resolve.Superseded && source.holdsObject() && target.holdsDelete():
		undone, err := r.undoneAt(ctx, key, *target.version, source.site, target.version.Origin)
		if err != nil || !undone {
			return decision, err
		}
		if err := r.takeBack(ctx, key, target); err != nil {
			return decision, err
		}
		j.Result = s3mesh.ResultUndeleted
		return decision, r.changed(key)
	}
	return decision, nil
}

// outlived reports that a delete which was made then is older than tombstones are kept.
func (r *Replicator) outlived(made time.Time) bool {
	return r.Now().Sub(made) > r.TombstoneRetention
}

// undoneAt reports whether a client took the delete v back at one of the sites.
func (r *Replicator) undoneAt(ctx context.Context, key string, v s3mesh.Version, sites ...string) (bool, error) {
	slices.Sort(sites)
	for _, site := range slices.Compact(sites) {
		if undone, err := r.undone(ctx, site, key, v); err != nil || undone {
			return undone, err
		}
	}
	return false, nil
}

// undone reports whether a client at site took the delete v back: the site has an object on top again, and the marker that
// was v, or stood for it, is gone.
func (r *Replicator) undone(ctx context.Context, site, key string, v s3mesh.Version) (bool, error) {
	if r.Readers[site] == nil {
		return false, nil // it has left the replica set
	}
	var markers []string
	if site == v.Origin {
		markers = append(markers, v.VersionID)
	}
	held, err := r.tombstone(ctx, site, key)
	if err != nil {
		return false, err
	}
	markers = append(markers, held.MarkersOf(v)...)
	if len(markers) == 0 {
		return false, nil
	}
	missing := make(map[string]bool, len(markers))
	for _, id := range markers {
		missing[id] = true
	}
	depth := 0
	for entry, err := range r.history(ctx, site, key, askedUndone) {
		switch {
		case err != nil:
			return false, err
		case depth == 0 && entry.DeleteMarker, depth == conflictDepth:
			return false, nil
		}
		depth++
		delete(missing, entry.VersionID)
	}
	return depth > 0 && len(missing) > 0, nil
}

// takeBack removes the delete that the target holds, and tells the target's links.
func (r *Replicator) takeBack(ctx context.Context, key string, target state) error {
	if target.deleted.marker == "" {
		return r.changeTombstone(ctx, key, func(t resolve.Tombstone) resolve.Tombstone { return t.Unbind("") })
	}
	if v := target.version; v.Origin == r.Target && v.VersionID != target.deleted.marker {
		// The client's own marker lies further down. Its absence is what tells every site that the delete was taken back.
		if err := r.withdraw(ctx, key, v.VersionID); err != nil {
			return err
		}
	}
	if err := r.withdraw(ctx, key, target.deleted.marker); err != nil {
		return err
	}
	return r.announce(ctx, key)
}

// withdrawIfUndone looks again, after a delete was applied, whether it was taken back meanwhile where it was made: the event
// of that may have been processed before there was anything to take back.
func (r *Replicator) withdrawIfUndone(ctx context.Context, j *job, v s3mesh.Version) error {
	key := j.Task.Event.Key
	undone, err := r.undone(ctx, v.Origin, key, v)
	if err != nil || !undone {
		return err
	}
	held, err := r.state(ctx, r.Target, key)
	if err != nil {
		return err
	}
	if held.holdsDelete() && held.version.Same(v) {
		j.Result = s3mesh.ResultSuperseded
		return r.takeBack(ctx, key, held)
	}
	return nil
}
