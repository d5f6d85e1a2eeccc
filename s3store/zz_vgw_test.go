package s3store_test

import (
	"os"
	"testing"

	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/internal/peer"
)

func TestVGW(t *testing.T) {
	url := os.Getenv("VGW")
	if url == "" {
		t.Skip()
	}
	endpoint := peer.Endpoint{URL: url, Region: "us-east-1", AccessKey: "root", SecretKey: "rootsecret"}
	conformance.TestBucket(t, func(t *testing.T) conformance.BucketFixture {
		name := endpoint.CreateBucket(t)
		return conformance.BucketFixture{
			Bucket: openBucket(t, endpoint, name),
			Client: endpoint.Application(name),
			Gaps: conformance.BucketGaps{IfMatchUnderMarker: true, NoNesting: true,
				Unstorable: append(conformance.FoldedKeys(), conformance.LongSegment(), conformance.FolderWithBody)},
		}
	})
}
