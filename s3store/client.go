package s3store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"github.com/s3mesh/s3mesh"
)

const (
	userAgent = "s3mesh"
	// unsignedPayload lets a body be sent as it is read.
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of no bytes
	maxErrorBody    = 64 << 10
	// bucketProofLasts is how long one answer proves that the bucket exists.
	bucketProofLasts = time.Minute
)

// client sends signed requests to one bucket.
type client struct {
	site      string
	region    string
	base      url.URL // of the bucket
	exactKeys bool    // the store holds any key as it is
	transport http.RoundTripper
	creds     aws.CredentialsProvider
	signer    *v4.Signer

	provenAt atomic.Int64           // when an answer last proved that the bucket exists, in Unix nanoseconds
	product  atomic.Pointer[string] // what the store calls itself, once it answered
}

// request is one S3 request. Op and key are also what its errors carry.
type request struct {
	op       string
	key      string
	onBucket bool // the request goes to the bucket, not to the key
	method   string
	query    url.Values
	header   http.Header
	body     *body // nil for none
}

// namesNoKey reports that the operation is one on the bucket as a whole.
func (r request) namesNoKey() bool { return r.onBucket && r.key == "" }

// do sends r and returns the answer when its status is below 300; the caller then closes the body. Everything else is an
// *s3mesh.Error.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	if err := c.checkKey(ctx, r); err != nil {
		return nil, err
	}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, c.fail(ctx, r, err)
	}
	resp, err := c.transport.RoundTrip(req)
	r.body.detach()
	if err != nil {
		return nil, c.fail(ctx, r, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer discard(resp)
		return nil, c.fail(ctx, r, readResponseError(resp))
	}
	c.learn(resp)
	return resp, nil
}

// learn keeps what any successful answer tells of the bucket.
func (c *client) learn(resp *http.Response) {
	c.provenAt.Store(time.Now().UnixNano())
	if c.product.Load() == nil {
		server := resp.Header.Get("Server")
		c.product.Store(&server)
	}
}

// bucketProven reports whether the bucket was seen to exist a short while ago.
func (c *client) bucketProven() bool {
	return time.Since(time.Unix(0, c.provenAt.Load())) < bucketProofLasts
}

func (c *client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	u := c.base
	if !r.onBucket {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/" + r.key
		u.RawPath = httpbinding.EscapePath(u.Path, false)
	}
	u.RawQuery = r.query.Encode()
	if r.header == nil {
		r.header = make(http.Header, 6)
	}
	req := (&http.Request{
		Method: r.method, URL: &u, Host: u.Host, Header: r.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	hash := emptyPayload
	if r.body != nil {
		hash = r.body.attach(req, r.op)
	}
	r.header.Set("User-Agent", userAgent)
	r.header.Set("X-Amz-Content-Sha256", hash)
	creds, err := c.creds.Retrieve(ctx)
	if err != nil {
		return nil, &credentialsError{err}
	}
	return req, c.signer.SignHTTP(ctx, creds, req, hash, "s3", c.region, time.Now())
}

// foldingProducts are the Server headers of products that take a key for a path and clean it: versitygw serves "a//b" as
// "a/b", MinIO serves "/a" as "a", SeaweedFS collapses "//".
var foldingProducts = []string{versitygw, "MinIO", "SeaweedFS"}

// checkKey refuses what the store cannot hold under exactly this key, to write and to read: what it would answer belongs to
// another key. Segments "." and ".." are refused by every product but Amazon S3, as some follow them out of the bucket.
func (c *client) checkKey(ctx context.Context, r request) error {
	switch {
	case r.namesNoKey():
		return nil
	case r.key == "":
		return c.refuse(r, s3mesh.KindInvalid, "the key is empty")
	case c.exactKeys || isPlainPath(r.key):
		return nil
	case hasDotSegment(r.key):
		return c.refuse(r, s3mesh.KindUnstorable, `a key with a segment "." or ".." is not safe with this store`)
	}
	folds, err := c.folds(ctx)
	if err == nil && folds {
		err = c.refuse(r, s3mesh.KindUnstorable, "this store folds such a key into another one")
	}
	return err
}

// folds reports whether the store's product is known to clean keys. An unknown product is taken at its word.
func (c *client) folds(ctx context.Context) (bool, error) {
	if c.product.Load() == nil {
		resp, err := c.do(ctx, request{op: opHeadBucket, onBucket: true, method: http.MethodHead})
		if err != nil {
			return false, err
		}
		discard(resp)
	}
	product := c.product.Load()
	return product != nil && slices.Contains(foldingProducts, *product), nil
}

func hasDotSegment(key string) bool {
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// isPlainPath reports whether no path cleaning changes key, beside a slash at its end.
func isPlainPath(key string) bool {
	for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// discard reads a short rest, so that the connection can be used again, and closes.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // best effort: what fails here only costs the connection
	_ = resp.Body.Close()
}

// xmlBody is a small request body that is signed.
func xmlBody(data []byte) *body {
	sum := sha256.Sum256(data)
	return &body{size: int64(len(data)), data: data, hash: hex.EncodeToString(sum[:]), source: bytes.NewReader(data)}
}
