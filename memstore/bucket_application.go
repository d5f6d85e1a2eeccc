package memstore

import (
	"bytes"
	"context"

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
	return a.write(ctx, "PutObject", key, version{data: bytes.Clone(body), attr: attr})
}

// CopySource is what [Application.Copy] copies.
type CopySource struct {
	Key string
	// VersionID names the version; empty means the current object.
	VersionID string
	// Attributes, where set, take the place of the source's.
	Attributes *s3mesh.Attributes
}

// Copy writes what from names as a new version of key, which may be the key it is copied from: to restore an old version,
// or to change attributes. As on Amazon S3 the tags are copied, and the copy's ETag is that of a single part. A source that
// is not there is KindNotFound.
func (a Application) Copy(ctx context.Context, key string, from CopySource) (s3mesh.Written, error) {
	source, err := a.bucket.find(ctx, opCopy, from.Key, s3mesh.ReadOptions{VersionID: from.VersionID})
	if err != nil {
		return s3mesh.Written{}, err
	}
	v := version{data: source.data, attr: source.attr, tags: source.tags}
	if from.Attributes != nil {
		v.attr = *from.Attributes
	}
	return a.write(ctx, opCopy, key, v)
}

const opCopy = "CopyObject"

// write puts v on top of key, with its ETag and the time of now.
func (a Application) write(ctx context.Context, op, key string, v version) (s3mesh.Written, error) {
	b := a.bucket
	if err := b.checkWrite(ctx, op, key, s3mesh.IfAbsent()); err != nil {
		return s3mesh.Written{}, err
	}
	attr, err := storable(v.attr)
	if err != nil {
		return s3mesh.Written{}, b.fail(op, key, s3mesh.KindUnstorable, err.Error())
	}
	v.attr, v.etag, v.modified = attr, etagOf(v.data), b.now()
	if v, err = b.commit(op, key, v, s3mesh.Condition{}); err != nil {
		return s3mesh.Written{}, err
	}
	name := eventPut
	if op == opCopy {
		name = eventCopy
	}
	b.announce(key, v, name, "")
	return v.written(), nil
}

// BeginUpload starts a multipart upload and puts its parts. The object appears, whatever is there, when complete is called,
// and bears the time of this call.
func (a Application) BeginUpload(
	ctx context.Context, key string, attr s3mesh.Attributes, parts ...[]byte,
) (complete func(context.Context) (s3mesh.Written, error), err error) {
	begun, err := a.bucket.begin(ctx, key, attr)
	if err != nil {
		return nil, err
	}
	etags := make([]string, len(parts))
	for i, part := range parts {
		if etags[i], err = begun.PutPart(ctx, i+1, bytes.NewReader(part), int64(len(part))); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (s3mesh.Written, error) {
		if err := a.bucket.check(ctx, opComplete, key); err != nil {
			return s3mesh.Written{}, err
		}
		return begun.complete(etags, s3mesh.Condition{}, "")
	}, nil
}

// Upload writes an object in parts, whatever is there.
func (a Application) Upload(
	ctx context.Context, key string, attr s3mesh.Attributes, parts ...[]byte,
) (s3mesh.Written, error) {
	complete, err := a.BeginUpload(ctx, key, attr, parts...)
	if err != nil {
		return s3mesh.Written{}, err
	}
	return complete(ctx)
}

// Delete puts a delete marker on top of key, also where there is nothing; without versioning it removes the object.
func (a Application) Delete(ctx context.Context, key string) error {
	if err := a.bucket.check(ctx, opDelete, key); err != nil {
		return err
	}
	_, err := a.bucket.remove(key, s3mesh.Condition{}, "")
	return err
}

// DeleteBatch is [Application.Delete] for each of the keys, with an event for each. It stops at the first that fails.
func (a Application) DeleteBatch(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := a.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// DeleteVersion removes one version for good. What was below it becomes current again if it was on top. Nothing is
// announced where there is no such version.
func (a Application) DeleteVersion(ctx context.Context, key, versionID string) error {
	if err := a.bucket.check(ctx, opDelete, key); err != nil {
		return err
	}
	a.bucket.removeVersion(key, versionID, "")
	return nil
}
