package memstore

import (
	"bytes"
	"context"
	"slices"

	"github.com/s3mesh/s3mesh"
)

// Application writes to a bucket as programs other than s3mesh do: without conditions. It is safe for concurrent use.
type Application struct{ bucket *Bucket }

// Application returns the bucket as an application sees it.
func (b *Bucket) Application() Application { return Application{b} }

// Put writes an object, whatever is there.
func (a Application) Put(
	ctx context.Context, key string, body []byte, attr s3mesh.Attributes,
) (s3mesh.Written, error) {
	b := a.bucket
	if err := b.checkWrite(ctx, "PutObject", key, s3mesh.IfAbsent()); err != nil {
		return s3mesh.Written{}, err
	}
	attr, err := storable(attr)
	if err != nil {
		return s3mesh.Written{}, b.fail("PutObject", key, s3mesh.KindUnstorable, err.Error())
	}
	data := bytes.Clone(body)
	b.mu.Lock()
	v := b.push(key, version{data: data, etag: etagOf(data), attr: attr, modified: b.now()})
	b.mu.Unlock()
	b.announce(key, v, "")
	return s3mesh.Written{ETag: v.etag, VersionID: v.id}, nil
}

// Delete puts a delete marker on top of key, also where there is nothing; without versioning it removes the object.
func (a Application) Delete(ctx context.Context, key string) error {
	b := a.bucket
	if err := b.check(ctx, "DeleteObject", key); err != nil {
		return err
	}
	b.mu.Lock()
	v := version{modified: b.now(), marker: !b.cfg.Unversioned}
	if v.marker {
		v = b.push(key, v)
	} else {
		delete(b.versions, key)
	}
	b.mu.Unlock()
	b.announce(key, v, "")
	return nil
}

// DeleteVersion removes one version for good. What was below it becomes current again if it was on top.
func (a Application) DeleteVersion(ctx context.Context, key, versionID string) error {
	b := a.bucket
	if err := b.check(ctx, "DeleteObject", key); err != nil {
		return err
	}
	b.mu.Lock()
	b.versions[key] = slices.DeleteFunc(b.versions[key], func(v version) bool { return v.id == versionID })
	if len(b.versions[key]) == 0 {
		delete(b.versions, key)
	}
	b.mu.Unlock()
	b.announce(key, version{id: versionID, modified: b.now()}, "")
	return nil
}
