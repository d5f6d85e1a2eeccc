package doctor_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/doctor"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

func TestMain(m *testing.M) {
	devstore.Main()
	goleak.VerifyTestMain(m)
}

// expectation is what a store is known to answer. What it does not name is "yes", or "kept" for keys.
type expectation map[string]string

// The stores, as facts/stores.md has measured them.
var (
	embedded = expectation{
		"tls": "local", "notifications": "-",
		"key_leading_slash": "refused", "key_double_slash": "refused", "key_dot": "refused", "key_dot_dot": "refused",
		"key_beside": "refused", "key_segment_256": "refused",
	}
	minio = expectation{
		"tls": "local", "notifications": "-", "delete_if_match": "ignored",
		"key_leading_slash": "renamed", "key_double_slash": "refused", "key_dot": "refused", "key_dot_dot": "refused",
		"key_beside": "hidden", "key_segment_256": "refused",
	}
	rclone = expectation{
		"tls": "local", "notifications": "-", "versioning": "no",
		"delete_if_match":   "racy", // it is checked, and then deleted without a lock
		"key_leading_slash": "refused", "key_double_slash": "refused", "key_dot": "refused", "key_dot_dot": "refused",
		"key_beside": "refused", "key_segment_256": "fails",
	}
	moto = expectation{
		"tls": "local", "notifications": "-", "complete_if_match": "ignored",
		"complete_if_none_match": "racy|yes", // it is checked before the parts are joined
		"CRC32C":                 "unchecked", "CRC64NVME": "unchecked", "SHA256": "unchecked",
	}
)

func TestEmbedded(t *testing.T) {
	region, err := devstore.Start(t.Context(), devstore.Config{
		Site: "site", Region: "us-east-1", Dir: t.TempDir() + "/region", Bucket: "photos",
		Client:     devstore.Credentials{AccessKeyID: "client", SecretAccessKey: "client-secret"},
		Replicator: devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "replicator-secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(region.Kill)
	endpoint := peer.Endpoint{URL: region.Endpoint(), Region: "us-east-1", AccessKey: "client", SecretKey: "client-secret"}
	embedded.test(t, endpoint, "photos")
}

func TestMinIO(t *testing.T) {
	endpoint := peer.MinIO(t)
	minio.test(t, endpoint, endpoint.CreateBucket(t))
}

func TestRclone(t *testing.T) {
	endpoint := peer.Rclone(t)
	rclone.test(t, endpoint, endpoint.CreateUnversionedBucket(t))
}

func TestMoto(t *testing.T) {
	endpoint := peer.Moto(t)
	moto.test(t, endpoint, endpoint.CreateBucket(t))
}

// test examines a bucket and compares what is found with what the store is known for, in every check.
func (want expectation) test(t *testing.T, endpoint peer.Endpoint, bucket string) {
	t.Helper()
	left := leaveBehind(t, endpoint, bucket)
	report := doctor.Examine(t.Context(), doctor.Config{
		Set: "photos", MaxClockSkew: 2 * time.Second, Sites: []doctor.Site{site(t, endpoint, bucket)}})
	for _, result := range report.Sites[0].Results {
		expected, named := want[result.Check]
		switch {
		case named:
		case strings.HasPrefix(result.Check, "key_"):
			expected = "kept"
		case result.Check == "s3:PutObjectTagging":
			expected = "not needed"
		default:
			expected = "yes"
		}
		if !slices.Contains(strings.Split(expected, "|"), result.Answer) {
			t.Errorf("%s: %s %q, want %s", result.Check, result.Answer, result.Detail, expected)
		}
	}
	if n := len(report.Sites[0].Results); n < 40 {
		t.Errorf("only %d checks were done", n)
	}
	var text strings.Builder
	report.Text(&text, 100)
	t.Logf("\n%s", &text)
	if strings.Contains(text.String(), endpoint.SecretKey) {
		t.Error("the secret key is shown")
	}
	wantOnly(t, endpoint, bucket, left)
}

// site describes one that s3mesh writes to.
func site(t *testing.T, endpoint peer.Endpoint, bucket string) doctor.Site {
	t.Helper()
	transport := s3store.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	observer := &doctor.Observer{Transport: transport}
	store, err := s3store.Open(t.Context(), s3store.Config{Site: "site", Endpoint: endpoint.URL, Region: endpoint.Region,
		Bucket: bucket, PathStyle: true, Transport: observer,
		Credentials: credentials.NewStaticCredentialsProvider(endpoint.AccessKey, endpoint.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Site{Name: "site", Endpoint: endpoint.URL, Region: endpoint.Region, Bucket: bucket, Served: true,
		Store: store, Scratch: func() doctor.Scratch { return store.Scratch() }, Observer: observer}
}

// leaveBehind makes what a killed run leaves: an object that is too young to be removed. It returns the key.
func leaveBehind(t *testing.T, endpoint peer.Endpoint, bucket string) string {
	t.Helper()
	key := ".s3mesh/probe/killed/object"
	_, err := endpoint.S3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("left")})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantOnly fails t if the bucket holds any version, marker, object or upload of another key.
func wantOnly(t *testing.T, endpoint peer.Endpoint, bucket, key string) {
	t.Helper()
	ctx, client := context.WithoutCancel(t.Context()), endpoint.S3()
	var left []string
	if objects, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil {
		t.Error(err)
	} else {
		for _, o := range objects.Contents {
			if _, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
				continue // rclone goes on listing for a while what it failed to write
			}
			left = append(left, aws.ToString(o.Key))
		}
	}
	if versions, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket}); err == nil {
		for _, v := range versions.Versions {
			if aws.ToString(v.VersionId) == "null" {
				continue // an object
			}
			left = append(left, aws.ToString(v.Key))
		}
		for _, v := range versions.DeleteMarkers {
			left = append(left, aws.ToString(v.Key)+" (marker)")
		}
	}
	if uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket}); err != nil {
		t.Logf("uploads: %v", err)
	} else {
		for _, u := range uploads.Uploads {
			left = append(left, aws.ToString(u.Key)+" (upload)")
		}
	}
	for _, k := range left {
		if k != key {
			t.Errorf("left behind: %s", k)
		}
	}
}
