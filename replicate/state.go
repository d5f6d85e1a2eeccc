package replicate

import (
	"context"
	"io"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// state is what one site holds for a key.
type state struct {
	site    string
	version *s3mesh.Version // nil: no object and no delete marker
	object  s3mesh.Object   // the object; zero when version is nil or a delete
}

func (s state) holdsObject() bool { return s.version != nil && !s.version.Deleted }

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
// source is no version to copy.
func (r *Replicator) open(ctx context.Context, task s3mesh.Task) (*openState, error) {
	site, key := task.Link.Source, task.Event.Key
	s := &openState{state: state{site: site}}
	var err error
	if task.Lane == s3mesh.LaneLarge || task.Event.Size >= r.LargeObject {
		s.object, err = r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{})
	} else {
		s.object, s.body, err = r.Readers[site].Get(ctx, key, s3mesh.ReadOptions{})
	}
	if err != nil {
		if s3mesh.KindOf(err) == s3mesh.KindNotFound {
			return &openState{state: state{site: site}}, nil
		}
		return nil, err
	}
	if s.version, err = r.versionOf(ctx, site, key, s.object); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// state reads what a site holds, delete markers included.
func (r *Replicator) state(ctx context.Context, site, key string) (state, error) {
	obj, err := r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{})
	if err == nil {
		v, err := r.versionOf(ctx, site, key, obj)
		return state{site, v, obj}, err
	}
	if s3mesh.KindOf(err) != s3mesh.KindNotFound {
		return state{}, err
	}
	for top, err := range r.Readers[site].History(ctx, key) {
		if err != nil {
			return state{}, err
		}
		if !top.DeleteMarker {
			break // written since the HEAD: the condition of the write will tell
		}
		return state{site: site, version: &s3mesh.Version{Time: s3mesh.TimeAt(top.LastModified), Origin: site,
			VersionID: top.VersionID, Deleted: true}}, nil
	}
	return state{site: site}, nil
}

// versionOf reads the version of an object. When somebody else may have written it with a replica's metadata, which is
// what restoring an older version by copying it does, the history tells: a replica is always later than what it covers.
func (r *Replicator) versionOf(ctx context.Context, site, key string, obj s3mesh.Object) (*s3mesh.Version, error) {
	reading := resolve.Read(site, key, obj)
	if reading.Fault != nil {
		r.Log.Warn("version stamp not believed; the object counts as written by a client",
			"site", site, "key", key, "fault", reading.Fault)
	}
	if !reading.Replica || obj.VersionID == "" || !r.lateStamp(reading, obj.LastModified) {
		return &reading.Version, nil
	}
	restored, err := r.restored(ctx, site, key, obj.VersionID, reading.Version)
	if err != nil {
		return nil, err
	}
	if restored {
		return &s3mesh.Version{Time: s3mesh.TimeAt(obj.LastModified), Origin: site, ETag: obj.ETag,
			VersionID: obj.VersionID}, nil
	}
	return &reading.Version, nil
}

// lateStamp reports that an object is so much younger than its stamp that something else than the replicator may have
// written it. A false alarm costs a look at the history.
func (r *Replicator) lateStamp(reading resolve.Reading, modified time.Time) bool {
	return modified.Sub(reading.Written) > r.MaxClockSkew+stampSlack
}

// stampSlack is how long a small write may take between being stamped and being dated by the store.
const stampSlack = 3 * time.Second

// restored reports whether the version right below the one called id is not earlier than what that one claims to be. There
// may be others on top of it by now.
func (r *Replicator) restored(ctx context.Context, site, key, id string, claimed s3mesh.Version) (bool, error) {
	reached := false
	for entry, err := range r.Readers[site].History(ctx, key) {
		if err != nil {
			return false, err
		}
		if !reached || entry.VersionID == id {
			reached = reached || entry.VersionID == id
			continue
		}
		below, err := r.versionIn(ctx, site, key, entry)
		if err != nil {
			return false, err
		}
		return below.Same(claimed) || resolve.Compare(claimed, below) <= 0, nil
	}
	return false, nil
}

// versionIn reads the version of an entry of a site's history, with a time that may be inexact.
func (r *Replicator) versionIn(ctx context.Context, site, key string, entry s3mesh.HistoryEntry) (s3mesh.Version, error) {
	if entry.DeleteMarker {
		return s3mesh.Version{Time: s3mesh.TimeAt(entry.LastModified), Origin: site,
			VersionID: entry.VersionID, Deleted: true}, nil
	}
	obj, err := r.Readers[site].Head(ctx, key, s3mesh.ReadOptions{VersionID: entry.VersionID})
	if err != nil {
		return s3mesh.Version{}, err
	}
	return resolve.Read(site, key, obj).Version, nil
}
