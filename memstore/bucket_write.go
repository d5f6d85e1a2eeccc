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
	v, err = b.commit(op, key, v, effective(in.Condition, b.cfg.Lacks.ConditionalPut))
	if err != nil {
		return s3mesh.Written{}, err
	}
	b.announce(key, v, eventPut, b.cfg.Principal)
	return v.written(), nil
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

// effective returns the condition that a write is put to: none where the bucket imitates a store that ignores them.
func effective(cond s3mesh.Condition, ignored bool) s3mesh.Condition {
	if ignored {
		return s3mesh.Condition{}
	}
	return cond
}

// commit puts v on top of key if cond holds; the zero condition always does.
func (b *Bucket) commit(op, key string, v version, cond s3mesh.Condition) (version, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !cond.IsZero() {
		if top, found := b.top(key); cond.Absent() == found || !cond.Absent() && cond.ETag() != top.etag {
			return version{}, b.fail(op, key, s3mesh.KindPreconditionFailed, "the condition does not hold")
		}
	}
	return b.push(key, v), nil
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

// The names that Amazon S3 gives its events.
const (
	eventPut      = "ObjectCreated:Put"
	eventCopy     = "ObjectCreated:Copy"
	eventComplete = "ObjectCreated:CompleteMultipartUpload"
	eventMarker   = "ObjectRemoved:DeleteMarkerCreated"
	eventDelete   = "ObjectRemoved:Delete"
)

// announce reports what was done to a version of key, under the name that Amazon S3 has for it.
func (b *Bucket) announce(key string, v version, name, principal string) {
	if b.cfg.OnEvent == nil {
		return
	}
	event := s3mesh.Event{
		Site: b.cfg.Site, Key: key, Type: s3mesh.EventCreated, Name: name, Time: v.modified,
		Size: int64(len(v.data)), ETag: v.etag, VersionID: v.id, Principal: principal,
	}
	if name == eventMarker || name == eventDelete {
		event.Type = s3mesh.EventRemoved
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
