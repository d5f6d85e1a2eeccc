package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh"
)

// Endpoint is a running S3 server, and who may do everything there.
type Endpoint struct {
	URL       string
	Region    string
	AccessKey string
	SecretKey string
}

// Credentials returns the endpoint's credentials.
func (e Endpoint) Credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(e.AccessKey, e.SecretKey, "")
}

// S3 returns the SDK's client for the endpoint. It keeps no connections, so that nothing of it outlives a test.
func (e Endpoint) S3() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &e.URL, Region: e.Region, UsePathStyle: true, Credentials: e.Credentials(),
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	})
}

// CreateBucket creates a bucket with a name of its own and versioning on, and returns the name.
func (e Endpoint) CreateBucket(tb testing.TB) string {
	tb.Helper()
	name := e.CreateUnversionedBucket(tb)
	_, err := e.S3().PutBucketVersioning(tb.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		tb.Fatalf("set versioning of bucket %s: %v", name, err)
	}
	return name
}

// CreateUnversionedBucket creates a bucket with a name of its own and returns the name.
func (e Endpoint) CreateUnversionedBucket(tb testing.TB) string {
	tb.Helper()
	name := "peer-" + strings.ToLower(rand.Text())
	if _, err := e.S3().CreateBucket(tb.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		tb.Fatalf("create bucket %s: %v", name, err)
	}
	return name
}

// Application returns a client that knows nothing of s3mesh, for one bucket.
func (e Endpoint) Application(bucket string) *Application {
	return &Application{s3: e.S3(), bucket: bucket}
}

// Application writes to a bucket as programs other than s3mesh do: without conditions. It is safe for concurrent use.
type Application struct {
	s3     *s3.Client
	bucket string
}

// Put writes an object.
func (a *Application) Put(
	ctx context.Context, key string, body []byte, attr s3mesh.Attributes,
) (s3mesh.Written, error) {
	out, err := a.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.bucket, Key: &key, Body: bytes.NewReader(body),
		ContentType:             optional(attr.ContentType),
		ContentEncoding:         optional(attr.ContentEncoding),
		ContentLanguage:         optional(attr.ContentLanguage),
		ContentDisposition:      optional(attr.ContentDisposition),
		CacheControl:            optional(attr.CacheControl),
		WebsiteRedirectLocation: optional(attr.WebsiteRedirect),
		Metadata:                attr.Metadata,
	})
	if err != nil {
		return s3mesh.Written{}, err
	}
	return s3mesh.Written{
		ETag:      strings.Trim(aws.ToString(out.ETag), `"`),
		VersionID: aws.ToString(out.VersionId),
	}, nil
}

// Delete deletes the object, or puts a delete marker on top where the bucket is versioned.
func (a *Application) Delete(ctx context.Context, key string) error {
	_, err := a.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &a.bucket, Key: &key})
	return err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
