package s3store

import (
	"context"
	"net/http"

	"github.com/s3mesh/s3mesh"
)

// Put implements [s3mesh.Bucket]. A body up to 128 KiB is read into memory before the request is sent; a larger one is
// streamed.
func (b *Bucket) Put(ctx context.Context, key string, in s3mesh.PutInput) (s3mesh.Written, error) {
	r := request{op: opPut, key: key, method: http.MethodPut}
	err := b.client.checkWrite(r, in.Condition)
	if err != nil {
		return s3mesh.Written{}, err
	}
	if r.header, err = attributeHeader(in.Attributes); err != nil {
		return s3mesh.Written{}, b.client.refuse(r, s3mesh.KindUnstorable, err.Error())
	}
	if r.body, err = newBody(in.Body, in.Size); err != nil {
		return s3mesh.Written{}, &s3mesh.Error{Kind: bodyKind(err), Op: opPut, Site: b.client.site, Key: key, Err: err}
	}
	return b.write(ctx, r, in.Condition, func(resp *http.Response) (s3mesh.Written, error) {
		return writtenFrom(resp.Header, ""), nil
	})
}

// checkWrite refuses what must not become a request.
func (c *client) checkWrite(r request, cond s3mesh.Condition) error {
	if cond.IsZero() {
		return c.refuse(r, s3mesh.KindInvalid, "a write needs a condition")
	}
	return nil
}

// write sends a conditional write and reads its answer with read.
func (b *Bucket) write(ctx context.Context, r request, cond s3mesh.Condition,
	read func(*http.Response) (s3mesh.Written, error)) (s3mesh.Written, error) {
	send := func(cond s3mesh.Condition) (s3mesh.Written, error) {
		setCondition(r.header, cond)
		resp, err := b.client.do(ctx, r)
		if err != nil {
			return s3mesh.Written{}, err
		}
		defer discard(resp)
		return read(resp)
	}
	var err error
	if r.body.streamed() && cond.Absent() {
		// There is but one chance to send this body.
		if cond, err = b.absenceBeforehand(ctx, r); err != nil {
			return s3mesh.Written{}, err
		}
		return send(cond)
	}
	written, err := send(cond)
	if cond.Absent() && refusedByVersitygw(err) {
		if cond, err = b.absence(ctx, r); err != nil {
			return s3mesh.Written{}, err
		}
		return send(cond)
	}
	return written, err
}

func setCondition(header http.Header, cond s3mesh.Condition) {
	header.Del("If-None-Match")
	header.Del("If-Match")
	if cond.Absent() {
		header.Set("If-None-Match", "*")
	} else {
		header.Set("If-Match", quote(cond.ETag()))
	}
}
