package devstore_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

// TestBucketContract runs the suite over a region by way of s3store, as the replicator does.
func TestBucketContract(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	endpoint := peer.Endpoint{URL: r.Endpoint(), Region: cfg.Region,
		AccessKey: cfg.Client.AccessKeyID, SecretKey: cfg.Client.SecretAccessKey}
	conformance.TestBucket(t, func(t *testing.T) conformance.BucketFixture {
		t.Helper()
		name := endpoint.CreateBucket(t)
		transport := s3store.NewTransport()
		t.Cleanup(transport.CloseIdleConnections)
		b, err := s3store.Open(t.Context(), s3store.Config{Site: cfg.Site, Endpoint: endpoint.URL, Region: cfg.Region,
			Bucket: name, Credentials: endpoint.Credentials(), PathStyle: true, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		return conformance.BucketFixture{
			Bucket: b, Client: endpoint.Application(name),
			PutTags: func(ctx context.Context, key string, tags map[string]string) error {
				return putTags(ctx, endpoint, &s3.PutObjectTaggingInput{Bucket: &name, Key: &key}, tags)
			},
			Gaps: conformance.BucketGaps{
				NoNesting:  true,
				Unstorable: append(conformance.FoldedKeys(), conformance.LongSegment(), conformance.FolderWithBody),
			},
		}
	})
}

func putTags(ctx context.Context, endpoint peer.Endpoint, in *s3.PutObjectTaggingInput, tags map[string]string) error {
	in.Tagging = &types.Tagging{}
	for name, value := range tags {
		in.Tagging.TagSet = append(in.Tagging.TagSet, types.Tag{Key: &name, Value: &value})
	}
	_, err := endpoint.S3().PutObjectTagging(ctx, in)
	return err
}
