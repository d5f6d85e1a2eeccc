package memstore

import (
	"context"
	"slices"

	"github.com/s3mesh/s3mesh"
)

const (
	opDelete = "DeleteObject"
	opList   = "ListObjectsV2"
)

// Delete implements [s3mesh.Bucket]. Without versioning it removes the object that the condition names, and
// Written.VersionID is empty. Removing a version that is not there announces nothing.
func (b *Bucket) Delete(ctx context.Context, key string, opt s3mesh.DeleteOptions) (s3mesh.Written, error) {
	if err := b.check(ctx, opDelete, key); err != nil {
		return s3mesh.Written{}, err
	}
	switch {
	case opt.Condition.IsZero() == (opt.VersionID == ""):
		return s3mesh.Written{}, b.fail(opDelete, key, s3mesh.KindInvalid, "a delete needs either a condition or a version")
	case opt.Condition.Absent():
		return s3mesh.Written{}, b.fail(opDelete, key, s3mesh.KindInvalid, "what is absent cannot be deleted")
	case opt.VersionID != "":
		b.removeVersion(key, opt.VersionID, b.cfg.Principal)
		return s3mesh.Written{VersionID: opt.VersionID}, nil
	}
	return b.remove(key, opt.Condition, b.cfg.Principal)
}

// remove puts a delete marker on top of key if cond holds; without versioning it removes the object. The zero condition
// always holds.
func (b *Bucket) remove(key string, cond s3mesh.Condition, principal string) (s3mesh.Written, error) {
	v, name := version{modified: b.now(), marker: true}, eventMarker
	b.mu.Lock()
	if !cond.IsZero() {
		if covered, err := b.mayRemove(key, cond); err != nil || covered.marker {
			b.mu.Unlock()
			return covered.written(), err
		}
	}
	if b.cfg.Unversioned {
		delete(b.versions, key)
		name = eventDelete
	} else {
		v = b.push(key, v)
	}
	b.mu.Unlock()
	b.announce(key, v, name, principal)
	return v.written(), nil
}

// mayRemove returns the version that a delete under cond covers. Where the condition is ignored that is whatever is on top,
// which for a marker means that there is nothing to do, as with MinIO. b.mu is held.
func (b *Bucket) mayRemove(key string, cond s3mesh.Condition) (version, error) {
	versions := b.versions[key]
	if len(versions) > 0 {
		v := versions[len(versions)-1]
		if b.cfg.Lacks.ConditionalDelete || !v.marker && v.etag == cond.ETag() {
			return v, nil
		}
	}
	return version{}, b.fail(opDelete, key, s3mesh.KindPreconditionFailed, "the condition does not hold")
}

// removeVersion removes one version for good, if it is there.
func (b *Bucket) removeVersion(key, versionID, principal string) {
	b.mu.Lock()
	before := len(b.versions[key])
	left := slices.DeleteFunc(slices.Clone(b.versions[key]), func(v version) bool { return v.id == versionID })
	if len(left) == 0 {
		delete(b.versions, key)
	} else {
		b.versions[key] = left
	}
	b.mu.Unlock()
	if len(left) < before {
		b.announce(key, version{id: versionID, modified: b.now()}, eventDelete, principal)
	}
}
