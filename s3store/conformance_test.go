package s3store_test

import (
	"testing"

	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

// openBucket opens a bucket of a peer, with a transport that ends with the test.
func openBucket(t *testing.T, endpoint peer.Endpoint, name string) *s3store.Bucket {
	t.Helper()
	transport := s3store.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	bucket, err := s3store.Open(t.Context(), s3store.Config{
		Site: "site", Endpoint: endpoint.URL, Region: endpoint.Region, Bucket: name,
		Credentials: endpoint.Credentials(), PathStyle: true, Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func TestMinIO(t *testing.T) {
	endpoint := peer.MinIO(t)
	conformance.TestBucket(t, func(t *testing.T) conformance.BucketFixture {
		name := endpoint.CreateBucket(t)
		return conformance.BucketFixture{
			Bucket: openBucket(t, endpoint, name),
			Client: endpoint.Application(name),
			Gaps: conformance.BucketGaps{
				Unstorable:        append(conformance.FoldedKeys(), conformance.LongSegment()),
				NoWebsiteRedirect: true,
			},
		}
	})
}
