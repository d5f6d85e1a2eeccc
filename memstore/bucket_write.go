package memstore

import (
	"cmp"
	"context"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Put implements [s3mesh.Bucket].
func (b *Bucket) Put(ctx context.Context, key string, in s3mesh.PutInput) (s3mesh.Written, error) {
	const op = "PutObject"
	if err := b.checkWrite(ctx, op, key, in.Condition); err != nil {
		return s3mesh.Written{}, err
	}
	attr, err := storable(in.Attributes)
	if err != nil {
		return s3mesh.Written{}, b.fail(op, key, s3mesh.KindUnstorable, err.Error())
	}
	data, err := b.readBody(ctx, op, key, in.Body, in.Size)
	if err != nil {
		return s3mesh.Written{}, err
	}
	v := version{data: data, etag: etagOf(data), attr: attr, modified: b.now()}
	return b.commit(op, key, v, in.Condition)
}

func (b *Bucket) checkWrite(ctx context.Context, op, key string, cond s3mesh.Condition) error {
	if cond.IsZero() {
		return b.fail(op, key, s3mesh.KindInvalid, "a write needs a condition")
	}
	if len(key) > maxKey {
		return b.fail(op, key, s3mesh.KindUnstorable, "the key is too long")
	}
	return b.check(ctx, op, key)
}

// commit puts v on top of key if cond holds, and announces it.
func (b *Bucket) commit(op, key string, v version, cond s3mesh.Condition) (s3mesh.Written, error) {
	b.mu.Lock()
	if top, found := b.top(key); cond.Absent() == found || !cond.Absent() && cond.ETag() != top.etag {
		b.mu.Unlock()
		return s3mesh.Written{}, b.fail(op, key, s3mesh.KindPreconditionFailed, "the condition does not hold")
	}
	v = b.push(key, v)
	b.mu.Unlock()
	b.announce(key, v, b.cfg.Principal)
	return s3mesh.Written{ETag: v.etag, VersionID: v.id}, nil
}

// push makes v the current version of key. b.mu is held.
func (b *Bucket) push(key string, v version) version {
	if b.cfg.Unversioned {
		b.versions[key] = []version{v}
		return v
	}
	v.id = b.nextID()
	b.versions[key] = append(b.versions[key], v)
	return v
}

// announce reports the version that came on top of key, or the removal of an object where v has no ETag.
func (b *Bucket) announce(key string, v version, principal string) {
	if b.cfg.OnEvent == nil {
		return
	}
	event := s3mesh.Event{
		Site: b.cfg.Site, Key: key, Time: v.modified, Size: int64(len(v.data)), ETag: v.etag, VersionID: v.id,
		Principal: principal,
	}
	switch {
	case v.marker:
		event.Type, event.Name = s3mesh.EventRemoved, "ObjectRemoved:DeleteMarkerCreated"
	case v.etag == "":
		event.Type, event.Name = s3mesh.EventRemoved, "ObjectRemoved:Delete"
	case len(v.parts) > 0:
		event.Type, event.Name = s3mesh.EventCreated, "ObjectCreated:CompleteMultipartUpload"
	default:
		event.Type, event.Name = s3mesh.EventCreated, "ObjectCreated:Put"
	}
	b.cfg.OnEvent(event)
}

// now is the time of a write, as far as S3 tells it.
func (b *Bucket) now() time.Time { return b.cfg.Clock().UTC().Truncate(time.Second) }

// readBody reads exactly size bytes and the end of body. An error of the reader keeps its kind.
func (b *Bucket) readBody(ctx context.Context, op, key string, body io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return nil, b.fail(op, key, s3mesh.KindInvalid, "the size is negative")
	}
	var data []byte
	var err error
	if body != nil {
		data, err = io.ReadAll(io.LimitReader(body, size+1))
	}
	switch {
	case ctx.Err() != nil:
		return nil, b.check(ctx, op, key)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, b.fail(op, key, s3mesh.KindCorrupted, "the body broke off")
	case err != nil:
		return nil, &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: op, Site: b.cfg.Site, Key: key, Err: err}
	case int64(len(data)) != size:
		return nil, b.fail(op, key, s3mesh.KindCorrupted, "the body is not as long as stated")
	}
	return data, nil
}

func etagOf(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// storable returns attr as a store gives it back: metadata names in lower case, and a content type.
func storable(attr s3mesh.Attributes) (s3mesh.Attributes, error) {
	metadata := attr.Metadata
	attr.Metadata = nil
	attr.ContentType = cmp.Or(attr.ContentType, "binary/octet-stream")
	for name, value := range metadata {
		if name == "" || strings.ContainsFunc(name, notToken) {
			return attr, errors.New("a metadata name cannot be a header")
		}
		if attr.Metadata == nil {
			attr.Metadata = make(map[string]string, len(metadata))
		}
		attr.Metadata[strings.ToLower(name)] = value
	}
	return attr, nil
}

// notToken reports that r may not be in a header name (RFC 9110, token).
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func cloneAttributes(attr s3mesh.Attributes) s3mesh.Attributes {
	attr.Metadata = maps.Clone(attr.Metadata)
	return attr
}
