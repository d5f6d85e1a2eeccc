package replicate

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// state is what one site holds for a key.
type state struct {
	site    string
	version *s3mesh.Version // nil: no object and no delete
	object  s3mesh.Object   // the object; zero when version is nil or a delete
	deleted deleted         // what makes version a delete
}

// deleted is how a site holds a delete.
type deleted struct {
	marker string // the version ID of the delete marker on top; empty where only the tombstone tells of the delete
	// intended is what the marker seems to come from where the tombstone does not name it, as whoever made it has not come that
	// far; otherwise nil.
	intended *resolve.Intent
}

func (s state) holdsObject() bool { return s.version != nil && !s.version.Deleted }
func (s state) holdsDelete() bool { return s.version != nil && s.version.Deleted }

// top is the version ID of what is on top, or empty.
func (s state) top() string {
	if s.holdsDelete() {
		return s.deleted.marker
	}
	return s.object.VersionID
}

// openState is a state whose body can be read once. A large object has no body: it is read in parts.
type openState struct {
	state
	body io.ReadCloser
}

func (s *openState) close() {
	if s.body != nil {
		_ = s.body.Close() // only read from: nothing is lost
		s.body = nil
	}
}

// open reads what the source of a task holds, with the body unless the object is to be read in parts. A delete at the
// source is no version to copy, unless deletes are propagated.
func (r *Replicator) open(ctx context.Context, task s3mesh.Task) (*openState, error) {
	site, key := task.Link.Source, task.Event.Key
	s := &openState{state: state{site: site}}
	var err error
	if task.Lane == s3mesh.LaneLarge || task.Event.Size >= r.LargeObject {
		s.object, err = r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{})
	} else {
		s.object, s.body, err = r.Readers[site].Get(ctx, key, s3mesh.ReadOptions{})
	}
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindNotFound && r.PropagateDeletes:
		s.state, err = r.absent(ctx, site, key)
		return s, err
	case s3mesh.KindOf(err) == s3mesh.KindNotFound:
		return &openState{state: state{site: site}}, nil
	case err != nil:
		return nil, err
	}
	if s.version, err = r.versionOf(ctx, site, key, s.object); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// state reads what a site holds, deletes included.
func (r *Replicator) state(ctx context.Context, site, key string) (state, error) {
	obj, err := r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{})
	if s3mesh.KindOf(err) == s3mesh.KindNotFound {
		return r.absent(ctx, site, key)
	}
	if err != nil {
		return state{}, err
	}
	v, err := r.versionOf(ctx, site, key, obj)
	return state{site: site, version: v, object: obj}, err
}

// absent reads what a site holds that has no object under key: a delete, or nothing.
func (r *Replicator) absent(ctx context.Context, site, key string) (state, error) {
	s := state{site: site}
	top, err := r.top(ctx, site, key)
	if err != nil || len(top) > 0 && !top[0].DeleteMarker {
		return s, err // written since the HEAD: the condition of the write will tell
	}
	held, err := r.heldTombstone(ctx, site, key)
	if err != nil {
		return s, err
	}
	var v s3mesh.Version
	var known bool
	if len(top) == 0 {
		v, known = held.Of("")
	} else {
		s.deleted.marker = top[0].VersionID
		if v, known = held.Of(top[0].VersionID); !known || top[0].VersionID == "" {
			v, s.deleted.intended = unrecorded(held, site, top[0])
		}
		known = true
	}
	if known {
		s.version = &v
	}
	return s, nil
}

// top returns the version on top of key, in a slice that is empty where there is none.
func (r *Replicator) top(ctx context.Context, site, key string) ([]past, error) {
	for entry, err := range r.history(ctx, site, key, askedMarker) {
		return []past{entry}, err
	}
	return nil, nil
}

// unrecorded reads which delete a marker stands for that the tombstone does not name: the intended one where that may have made
// it, and otherwise a client's own.
func unrecorded(held resolve.Tombstone, site string, marker past) (v s3mesh.Version, intended *resolve.Intent) {
	if intent := held.Explain(marker.LastModified, marker.below.ETag); intent != nil {
		return intent.Delete, intent
	}
	return nativeDelete(site, marker), nil
}

// heldTombstone is the tombstone of key at a site; none where deletes are not propagated.
func (r *Replicator) heldTombstone(ctx context.Context, site, key string) (resolve.Tombstone, error) {
	if !r.PropagateDeletes {
		return resolve.Tombstone{}, nil
	}
	held, err := r.tombstone(ctx, site, key)
	return held.Tombstone, err
}

// nativeDelete is the version of a delete marker that a client made.
func nativeDelete(site string, marker past) s3mesh.Version {
	return s3mesh.Version{Time: s3mesh.TimeAt(marker.LastModified), Origin: site, VersionID: marker.VersionID, Deleted: true}
}

// versionOf reads the version of an object. When somebody else may have written it with a replica's metadata, which is
// what restoring an older version by copying it does, the history tells: no two replicas have the same stamp.
func (r *Replicator) versionOf(ctx context.Context, site, key string, obj s3mesh.Object) (*s3mesh.Version, error) {
	reading := resolve.Read(site, key, obj)
	if reading.Fault != nil {
		r.distrust(site, key, "version stamp", reading.Fault)
	}
	if !reading.Replica || obj.VersionID == "" || !r.lateStamp(reading, obj.LastModified) {
		return &reading.Version, nil
	}
	restored, err := r.restored(ctx, site, key, obj)
	if err != nil {
		return nil, err
	}
	if restored {
		return &s3mesh.Version{Time: s3mesh.TimeAt(obj.LastModified), Origin: site, ETag: obj.ETag, OpaqueETag: obj.OpaqueETag,
			VersionID: obj.VersionID}, nil
	}
	return &reading.Version, nil
}

// distrust reports what claims to be of s3mesh and is not: an object without its version stamp counts as written by a client,
// and a tombstone as none.
func (r *Replicator) distrust(site, key, what string, fault error) {
	r.Log.Warn("something that claims to be of s3mesh is not believed", "what", what, "site", site, "key", key, "fault", fault)
	if r.CountDistrust != nil {
		r.CountDistrust(site)
	}
}

// lateStamp reports that an object is so much younger than its stamp that something else than the replicator may have
// written it. A false alarm costs a look at the history.
func (r *Replicator) lateStamp(reading resolve.Reading, modified time.Time) bool {
	return modified.Sub(reading.Written) > r.MaxClockSkew+stampSlack
}

// stampSlack is how long a small write may take between being stamped and being dated by the store.
const stampSlack = 3 * time.Second

// restored reports whether an object was copied from an older version of its key, which then bears the same stamp. There may
// be others on top of it by now.
func (r *Replicator) restored(ctx context.Context, site, key string, obj s3mesh.Object) (bool, error) {
	reached, depth := false, 0
	for entry, err := range r.history(ctx, site, key, askedRestored) {
		switch {
		case err != nil || depth == conflictDepth:
			return false, err
		case !reached:
			reached = entry.VersionID == obj.VersionID
			continue
		case entry.DeleteMarker || entry.Size != obj.Size:
			continue
		}
		depth++
		below, err := r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{VersionID: entry.VersionID})
		if err != nil {
			return false, err
		}
		if below.Attributes.Metadata[resolve.MetadataName] == obj.Attributes.Metadata[resolve.MetadataName] {
			return true, nil
		}
	}
	return false, nil
}

// versionIn reads the version of an entry of a site's history, with a time that may be inexact.
func (r *Replicator) versionIn(ctx context.Context, site, key string, entry past) (s3mesh.Version, error) {
	if entry.DeleteMarker {
		held, err := r.heldTombstone(ctx, site, key)
		if err != nil {
			return s3mesh.Version{}, err
		}
		v, known := held.Confirmed(entry.VersionID)
		if !known {
			v, _ = unrecorded(held, site, entry)
		}
		return v, nil
	}
	obj, err := r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{VersionID: entry.VersionID})
	if err != nil {
		return s3mesh.Version{}, err
	}
	v, err := r.versionOf(ctx, site, key, obj)
	if err != nil {
		return s3mesh.Version{}, err
	}
	return *v, nil
}

// Why a version history is asked for, as [Config.CountHistory] is told.
const (
	askedMarker   = "marker"   // is there a delete marker where there is no object?
	askedRestored = "restored" // was this version restored by a client?
	askedExact    = "exact"    // what is the exact time of a version?
	askedConflict = "conflict" // was this version written with knowledge of that one?
	askedCovered  = "covered"  // what did this write cover?
	askedUndone   = "undone"   // was this delete taken back, or this version removed by its ID?
)

// HistoryReasons returns every reason that [Config.CountHistory] is told.
func HistoryReasons() []string {
	return []string{askedMarker, askedRestored, askedExact, askedConflict, askedCovered, askedUndone}
}

// past is a version of a history, with the one that it was put on top of.
type past struct {
	s3mesh.HistoryEntry
	below s3mesh.HistoryEntry // zero for the first
}

// history asks a site for the versions of key, the latest first, and counts that.
func (r *Replicator) history(ctx context.Context, site, key, reason string) iter.Seq2[past, error] {
	if r.CountHistory != nil {
		r.CountHistory(site, reason)
	}
	return func(yield func(past, error) bool) {
		var above []past // the entry that waits for the one below it
		for entry, err := range r.Readers[site].History(ctx, key) {
			if err != nil {
				yield(past{}, err)
				return
			}
			for _, p := range above {
				p.below = entry
				if !yield(p, nil) {
					return
				}
			}
			above = append(above[:0], past{HistoryEntry: entry})
		}
		for _, p := range above {
			yield(p, nil)
		}
	}
}
