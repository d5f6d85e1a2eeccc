package memstore

import (
	"context"
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	opBegin    = "CreateMultipartUpload"
	opPart     = "UploadPart"
	opComplete = "CompleteMultipartUpload"
)

// upload is a multipart upload. Its fields past began are guarded by the bucket's mutex.
type upload struct {
	bucket *Bucket
	id     string
	key    string
	attr   s3mesh.Attributes
	began  time.Time
	parts  map[int][]byte
}

// BeginUpload implements [s3mesh.Bucket].
func (b *Bucket) BeginUpload(ctx context.Context, key string, attr s3mesh.Attributes) (s3mesh.Upload, error) {
	u, err := b.begin(ctx, key, attr)
	if err != nil {
		return nil, err // not a nil *upload
	}
	return u, nil
}

func (b *Bucket) begin(ctx context.Context, key string, attr s3mesh.Attributes) (*upload, error) {
	if err := b.checkWrite(ctx, opBegin, key, s3mesh.IfAbsent()); err != nil {
		return nil, err
	}
	attr, err := storable(attr)
	if err != nil {
		return nil, b.fail(opBegin, key, s3mesh.KindUnstorable, err.Error())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := &upload{bucket: b, id: b.nextID(), key: key, attr: attr, began: b.now(), parts: make(map[int][]byte)}
	b.uploads[u.id] = u
	return u, nil
}

// ID implements [s3mesh.Upload].
func (u *upload) ID() string { return u.id }

// PutPart implements [s3mesh.Upload].
func (u *upload) PutPart(ctx context.Context, number int, body io.Reader, size int64) (string, error) {
	b := u.bucket
	if err := b.check(ctx, opPart, u.key); err != nil {
		return "", err
	}
	if number < 1 {
		return "", b.fail(opPart, u.key, s3mesh.KindInvalid, "part numbers start at 1")
	}
	data, err := b.readBody(ctx, opPart, u.key, body, size)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[u.id] == nil {
		return "", b.fail(opPart, u.key, s3mesh.KindNotFound, "no such upload")
	}
	u.parts[number] = data
	return etagOf(data), nil
}

// Complete implements [s3mesh.Upload].
func (u *upload) Complete(ctx context.Context, etags []string, cond s3mesh.Condition) (s3mesh.Written, error) {
	b := u.bucket
	if err := b.checkWrite(ctx, opComplete, u.key, cond); err != nil {
		return s3mesh.Written{}, err
	}
	return u.complete(etags, effective(cond, b.cfg.Lacks.ConditionalComplete), b.cfg.Principal)
}

// complete is Complete under cond, which may be none, in the name of principal.
func (u *upload) complete(etags []string, cond s3mesh.Condition, principal string) (s3mesh.Written, error) {
	b := u.bucket
	v, err := u.join(etags)
	if err != nil {
		return s3mesh.Written{}, err
	}
	if v, err = b.commit(opComplete, u.key, v, cond); err != nil {
		return s3mesh.Written{}, err
	}
	b.mu.Lock()
	delete(b.uploads, u.id)
	b.mu.Unlock()
	b.announce(u.key, v, eventComplete, principal)
	return v.written(), nil
}

// join makes the version that the parts come to.
func (u *upload) join(etags []string) (version, error) {
	b := u.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[u.id] == nil {
		return version{}, b.fail(opComplete, u.key, s3mesh.KindNotFound, "no such upload")
	}
	v := version{attr: u.attr, modified: u.began}
	sums := md5.New() //nolint:gosec // see the import
	for i, etag := range etags {
		part, found := u.parts[i+1]
		sum := md5.Sum(part) //nolint:gosec // see the import
		if !found || etag != hex.EncodeToString(sum[:]) {
			return version{}, b.fail(opComplete, u.key, s3mesh.KindInvalid, "a part is missing, or another one")
		}
		sums.Write(sum[:])
		v.data = append(v.data, part...)
		v.parts = append(v.parts, int64(len(part)))
	}
	if len(etags) == 0 {
		return version{}, b.fail(opComplete, u.key, s3mesh.KindInvalid, "there are no parts")
	}
	v.etag = fmt.Sprintf("%x-%d", sums.Sum(nil), len(etags))
	return v, nil
}

// Abort implements [s3mesh.Upload].
func (u *upload) Abort(ctx context.Context) error {
	if err := u.bucket.check(ctx, "AbortMultipartUpload", u.key); err != nil {
		return err
	}
	u.bucket.mu.Lock()
	defer u.bucket.mu.Unlock()
	delete(u.bucket.uploads, u.id)
	return nil
}
