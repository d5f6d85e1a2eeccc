package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/s3mesh/s3mesh"
)

// Bucket is an [s3mesh.Bucket] over HTTP. A Head, Get, Put, PutPart or Complete is one request, but for two cases: a HEAD
// that finds nothing is at times followed by one to the bucket, as the answers to both look alike, and versitygw needs
// more for a write over a delete marker.
//
// A store that hangs is KindUnreachable: one that has not answered 15 s after the request was written (30 s after a streamed
// body, 5 min for Complete), or in whose direction, or from which, no byte of a body has moved for 30 s.
type Bucket struct {
	client *client
}

var _ s3mesh.Bucket = (*Bucket)(nil)

// Head implements [s3mesh.Reader].
func (b *Bucket) Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	r := readRequest(opHead, http.MethodHead, key, opt)
	if opt.Part > 0 {
		r.query.Set("partNumber", strconv.Itoa(opt.Part))
	}
	if opt.Checksums {
		r.header.Set(checksumMode, "ENABLED")
	}
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return s3mesh.Object{}, b.explainMissing(ctx, err)
	}
	defer discard(resp)
	object, err := objectFrom(resp, opt)
	if err != nil {
		return s3mesh.Object{}, b.client.malformed(r, err)
	}
	if opt.Checksums && opt.Part == 0 { // those of a part are not those of the object
		object.Checksums = checksumsFrom(resp.Header)
	}
	return object, nil
}

// explainMissing tells a missing key from a missing bucket. To HEAD both are a bare 404, and taking the second for the
// first would pass for a deleted object.
func (b *Bucket) explainMissing(ctx context.Context, err error) error {
	var response *responseError
	if s3mesh.KindOf(err) != s3mesh.KindNotFound || !errors.As(err, &response) || response.Code != "" || response.marker ||
		b.client.bucketProven() {
		return err
	}
	if bucketErr := b.headBucket(ctx); bucketErr != nil {
		return bucketErr
	}
	return err
}

// headBucket returns nil when the bucket is there.
func (b *Bucket) headBucket(ctx context.Context) error {
	r := request{op: opHeadBucket, onBucket: true, method: http.MethodHead}
	resp, err := b.client.do(ctx, r)
	var response *responseError
	switch {
	case err == nil:
		discard(resp)
		return nil
	case errors.As(err, &response) && response.status == http.StatusNotFound:
		return &s3mesh.Error{Kind: s3mesh.KindNoSuchBucket, Op: r.op, Site: b.client.site, Err: response}
	}
	return err
}

// Get implements [s3mesh.Reader].
func (b *Bucket) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	r := readRequest(opGet, http.MethodGet, key, opt)
	if opt.Range != nil {
		if opt.Range.Offset < 0 || opt.Range.Length <= 0 {
			return s3mesh.Object{}, nil, b.client.refuse(r, s3mesh.KindInvalid, "the range is empty or negative")
		}
		r.header.Set("Range", fmt.Sprintf("bytes=%d-%d", opt.Range.Offset, opt.Range.Offset+opt.Range.Length-1))
	}
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return s3mesh.Object{}, nil, err
	}
	object, err := objectFrom(resp, opt)
	if err == nil && opt.Range != nil {
		object.Size, err = rangedSize(resp)
	}
	if err != nil {
		_ = resp.Body.Close() // what matters is that the answer is of no use
		return s3mesh.Object{}, nil, b.client.malformed(r, err)
	}
	return object, &objectBody{ctx: ctx, client: b.client, request: r, ReadCloser: resp.Body}, nil
}

func rangedSize(resp *http.Response) (int64, error) {
	if resp.StatusCode != http.StatusPartialContent {
		return 0, &s3mesh.Error{Kind: s3mesh.KindUnsupported, Err: errors.New("the store ignored the range")}
	}
	return wholeSize(resp.Header.Get("Content-Range"))
}

func readRequest(op, method, key string, opt s3mesh.ReadOptions) request {
	r := request{op: op, method: method, key: key, query: url.Values{}, header: make(http.Header, 6)}
	if opt.VersionID != "" {
		r.query.Set("versionId", opt.VersionID)
	}
	if opt.IfMatch != "" {
		r.header.Set("If-Match", quote(opt.IfMatch))
	}
	return r
}

// malformed is the error for a successful answer that makes no sense.
func (c *client) malformed(r request, err error) error {
	kind := s3mesh.KindOther
	if known, ok := errors.AsType[*s3mesh.Error](err); ok {
		kind, err = known.Kind, known.Err
	}
	return &s3mesh.Error{Kind: kind, Op: r.op, Site: c.site, Key: r.key, Err: fmt.Errorf("malformed answer: %w", err)}
}

// objectBody gives the errors of a body their kind. That it is as long as announced is checked by the transport.
type objectBody struct {
	io.ReadCloser
	ctx     context.Context //nolint:containedctx // the context of the Get that this body belongs to
	client  *client
	request request
}

// Read implements io.Reader.
func (b *objectBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.client.fail(b.ctx, b.request, err)
	}
	return n, err
}
