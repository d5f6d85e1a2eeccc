package s3store

import (
	"context"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// ErrorCode returns the code that the store gave the error, such as "SignatureDoesNotMatch", or "".
func (e *responseError) ErrorCode() string { return e.Code }

// BucketRegion returns where the bucket is, if the answer said that it is elsewhere.
func (e *responseError) BucketRegion() string { return e.region }

// Hello sends one request that any reader may send, to see whether the store answers and lets us in.
func (b *Bucket) Hello(ctx context.Context) error {
	for _, err := range b.List(ctx, s3mesh.ListOptions{Prefix: probePrefix}) {
		return err
	}
	return nil
}

// Product returns what the store calls itself, once it answered.
func (b *Bucket) Product() string {
	if product := b.client.product.Load(); product != nil {
		return strings.TrimSpace(*product)
	}
	return ""
}
