package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	// partSize is the least that a part may have; whatever is larger is written in parts.
	partSize = 5 << 20
	// operationTimeout is longer than a region waits for the delivery of an event.
	operationTimeout = 90 * time.Second
	// operationName is the user metadata that names the operation that wrote an object.
	operationName = "op"
)

// client writes to a bucket as programs other than s3mesh do.
type client struct {
	s3 *s3.Client
	// hasty tells that it gives up at the first failure, so that nothing went before what it was told.
	hasty bool
}

// perform carries out operations in one request, and notes in them what came of it.
func (c *writer) perform(ctx context.Context, act func(ctx context.Context) error, ops ...*operation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationTimeout)
	defer cancel()
	lives, begin := c.region.lives.Load(), time.Now()
	err := act(ctx)
	end := time.Now()
	for _, o := range ops {
		o.Begin, o.End = begin, end
		// A region that is up has an odd number of lives.
		o.Killed = lives%2 == 0 || c.region.lives.Load() != lives
		switch {
		case err != nil:
			o.Fate, o.Error = fateOf(err), err.Error()
		case o.Fate == "":
			o.Fate = acknowledged
		}
		// The first of several attempts may have been cut off by the kill when it was done.
		if o.Killed && o.Fate != acknowledged && !c.client.hasty {
			o.Fate = unknown
		}
	}
}

// beforeError is the failure of a step that has no effect yet.
type beforeError struct{ error }

func (e beforeError) Unwrap() error { return e.error }

// fateOf tells what a failed attempt may have done.
func fateOf(err error) fate {
	if e := (beforeError{}); errors.As(err, &e) {
		return refused
	}
	if e := (*net.OpError)(nil); errors.As(err, &e) && e.Op == "dial" {
		return refused
	}
	if e := (*awshttp.ResponseError)(nil); errors.As(err, &e) && e.HTTPStatusCode()/100 == 4 &&
		e.HTTPStatusCode() != http.StatusRequestTimeout {
		return refused
	}
	return unknown
}

func (c client) put(ctx context.Context, o *operation, body []byte) error {
	if len(body) >= partSize {
		return c.putInParts(ctx, o, body)
	}
	out, err := c.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucketName), Key: &o.Key, Body: bytes.NewReader(body),
		ContentType: &o.ContentType, Metadata: map[string]string{operationName: o.ID}})
	if err != nil {
		return err
	}
	o.VersionID, o.ETag = aws.ToString(out.VersionId), aws.ToString(out.ETag)
	return nil
}

func (c client) putInParts(ctx context.Context, o *operation, body []byte) error {
	upload, err := c.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String(bucketName), Key: &o.Key,
		ContentType: &o.ContentType, Metadata: map[string]string{operationName: o.ID}})
	if err != nil {
		return beforeError{err}
	}
	var parts []types.CompletedPart
	for rest := body; len(rest) > 0; {
		part := rest[:min(partSize, len(rest))]
		rest = rest[len(part):]
		number := aws.Int32(int32(len(parts)) + 1)
		out, err := c.s3.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String(bucketName), Key: &o.Key, UploadId: upload.UploadId,
			PartNumber: number, Body: bytes.NewReader(part)})
		if err != nil {
			return beforeError{err}
		}
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: out.ETag})
	}
	out, err := c.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String(bucketName), Key: &o.Key,
		UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	if err != nil {
		return err
	}
	o.VersionID, o.ETag = aws.ToString(out.VersionId), aws.ToString(out.ETag)
	return nil
}

func (c client) remove(ctx context.Context, o *operation) error {
	out, err := c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucketName), Key: &o.Key})
	if err == nil {
		o.removed(aws.ToBool(out.DeleteMarker), aws.ToString(out.VersionId))
	}
	return err
}

// removed notes whether a delete made a marker.
func (o *operation) removed(marker bool, versionID string) {
	if !marker {
		o.Fate = void
		return
	}
	o.VersionID = versionID
}

func (c client) removeAll(ctx context.Context, ops []*operation) error {
	byKey, keys := map[string]*operation{}, make([]types.ObjectIdentifier, len(ops))
	for i, o := range ops {
		byKey[o.Key], keys[i] = o, types.ObjectIdentifier{Key: &o.Key}
	}
	out, err := c.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String(bucketName), Delete: &types.Delete{Objects: keys}})
	if err != nil {
		return err
	}
	for _, e := range out.Errors {
		if o := byKey[aws.ToString(e.Key)]; o != nil {
			o.Fate, o.Error = unknown, aws.ToString(e.Code)
		}
	}
	for _, d := range out.Deleted {
		if o := byKey[aws.ToString(d.Key)]; o != nil {
			o.removed(aws.ToBool(d.DeleteMarker), aws.ToString(d.DeleteMarkerVersionId))
		}
	}
	return nil
}

// operationAt returns the ID of the operation that wrote what is under a key, or "" when nothing is, or it cannot be told.
func (c client) operationAt(ctx context.Context, key string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationTimeout)
	defer cancel()
	out, err := c.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucketName), Key: &key})
	if err != nil {
		return ""
	}
	return out.Metadata[operationName]
}

// list returns every key, less those that are s3mesh's own.
func (c client) list(ctx context.Context) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: aws.String(bucketName)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			if key := aws.ToString(o.Key); !strings.HasPrefix(key, ".s3mesh/") {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// open reads an object; both results are nil when there is none.
func (c client) open(ctx context.Context, key string) (*s3.GetObjectOutput, io.ReadCloser, error) {
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucketName), Key: &key})
	if e := (*types.NoSuchKey)(nil); errors.As(err, &e) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return out, out.Body, nil
}
