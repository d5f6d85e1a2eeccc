package conformance

import (
	"context"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// BucketFixture is an empty bucket with versioning on, and what the suite must know of the product behind it.
type BucketFixture struct {
	Bucket s3mesh.Bucket
	// Client acts as an application that knows nothing of s3mesh.
	Client BucketClient
	// PutTags replaces the tags of an object, as an application does.
	PutTags func(ctx context.Context, key string, tags map[string]string) error
	Gaps    BucketGaps
}

// BucketClient is what an application does to a bucket, without conditions.
type BucketClient interface {
	// Put writes an object unconditionally.
	Put(ctx context.Context, key string, body []byte, attr s3mesh.Attributes) (s3mesh.Written, error)
	// Delete puts a delete marker on top of key.
	Delete(ctx context.Context, key string) error
}

// BucketGaps is what a product does otherwise than Amazon S3, each point measured. The suite asserts the gap, too: once a
// product closes it, the test says so. The zero value is a full S3.
type BucketGaps struct {
	// Unstorable lists the keys of [OddKeys] that the store cannot hold: to Put them is KindUnstorable.
	Unstorable []string
	// NoWebsiteRedirect tells that the store drops Attributes.WebsiteRedirect.
	NoWebsiteRedirect bool
	// NoNesting tells that "a/b" is KindUnstorable while there is an object "a", and "a" while there is "a/b".
	NoNesting bool
	// HidesNested tells that a listing leaves out "a/b" while there is an object "a".
	HidesNested bool
	// IfMatchUnderMarker tells that IfMatch holds for the ETag of an object that a delete marker hides.
	IfMatchUnderMarker bool
	// DeleteIgnoresIfMatch tells that a delete happens whatever its condition, and that where a delete marker is on top
	// it makes none but returns the ID of that one.
	DeleteIgnoresIfMatch bool
}

// TestBucket runs the suite. open is called once for every subtest and returns a bucket of its own.
func TestBucket(t *testing.T, open func(t *testing.T) BucketFixture) {
	t.Helper()
	groups := []map[string]func(bucketCase){
		readTests(), writeTests(), conditionTests(), historyTests(), uploadTests(), keyTests(), deleteTests(),
		listTests(), versionTests(), contentTests(),
	}
	for _, group := range groups {
		for name, test := range group {
			t.Run(name, func(t *testing.T) { test(bucketCase{t, open(t)}) })
		}
	}
}

// bucketCase is one subtest: where it reports, and its bucket.
type bucketCase struct {
	t *testing.T
	BucketFixture
}
