package s3store_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter counts the requests that pass.
type counter struct {
	http.RoundTripper
	n atomic.Int32
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// config is how to open a bucket of endpoint, with connections that end with the test.
func config(t *testing.T, endpoint peer.Endpoint, name string) (s3store.Config, *counter) {
	t.Helper()
	transport := s3store.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	requests := &counter{RoundTripper: transport}
	return s3store.Config{
		Site: "site", Endpoint: endpoint.URL, Region: endpoint.Region, Bucket: name,
		Credentials: endpoint.Credentials(), PathStyle: true, Transport: requests,
	}, requests
}

func open(t *testing.T, cfg s3store.Config) *s3store.Bucket {
	t.Helper()
	bucket, err := s3store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func TestMinIO(t *testing.T) {
	endpoint := peer.MinIO(t)
	t.Run("Conformance", func(t *testing.T) { testConformance(t, endpoint) })
	t.Run("Requests", func(t *testing.T) { testRequests(t, endpoint) })
	t.Run("Probe", func(t *testing.T) { testProbe(t, endpoint) })
	t.Run("ProbeGivenUp", func(t *testing.T) { testProbeGivenUp(t, endpoint) })
	t.Run("NoSuchBucket", func(t *testing.T) { testNoSuchBucket(t, endpoint) })
	t.Run("WrongCredentials", func(t *testing.T) { testWrongCredentials(t, endpoint) })
	t.Run("Unversioned", func(t *testing.T) { testUnversioned(t, endpoint) })
	t.Run("VersioningSwitchedOn", func(t *testing.T) { testVersioningSwitchedOn(t, endpoint) })
	t.Run("Locked", func(t *testing.T) { testLocked(t, endpoint) })
}

func testConformance(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	conformance.TestBucket(t, func(t *testing.T) conformance.BucketFixture {
		t.Helper()
		name := endpoint.CreateBucket(t)
		cfg, _ := config(t, endpoint, name)
		return conformance.BucketFixture{
			Bucket: open(t, cfg),
			Client: endpoint.Application(name),
			PutTags: func(ctx context.Context, key string, tags map[string]string) error {
				return putTags(ctx, endpoint, &s3.PutObjectTaggingInput{Bucket: &name, Key: &key}, tags)
			},
			Gaps: conformance.BucketGaps{
				Unstorable:        append(conformance.FoldedKeys(), conformance.LongSegment()),
				NoWebsiteRedirect: true, DeleteIgnoresIfMatch: true, HidesNested: true,
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

// testRequests checks what each operation costs.
func testRequests(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	cfg, requests := config(t, endpoint, endpoint.CreateBucket(t))
	bucket := open(t, cfg)
	steps := []struct {
		name string
		want int32
		run  func() error
	}{
		{"put", 1, func() error { return put(t, bucket, "key", "value") }},
		{"large put", 1, func() error { return put(t, bucket, "large", strings.Repeat("x", 1<<20)) }},
		{"head", 1, func() error { _, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{}); return err }},
		{"get", 1, func() error {
			_, body, err := bucket.Get(t.Context(), "key", s3mesh.ReadOptions{})
			if err == nil {
				err = body.Close()
			}
			return err
		}},
		{"delete", 1, func() error {
			_, err := bucket.Delete(t.Context(), "large", s3mesh.DeleteOptions{Condition: s3mesh.IfMatch("any")})
			return err
		}},
		{"history", 1, func() error {
			for _, err := range bucket.History(t.Context(), "key") {
				return err
			}
			return nil
		}},
	}
	for _, step := range steps {
		requests.n.Store(0)
		if err := step.run(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := requests.n.Load(); got != step.want {
			t.Errorf("%s took %d requests, want %d", step.name, got, step.want)
		}
	}
	requests.n.Store(0)
	if err := put(t, bucket, "key", "again"); s3mesh.KindOf(err) != s3mesh.KindPreconditionFailed || requests.n.Load() != 1 {
		t.Errorf("a refused put took %d requests, want 1: %v", requests.n.Load(), err)
	}
	_, err := bucket.Put(t.Context(), "key", s3mesh.PutInput{})
	if requests.n.Load() != 1 || s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("a put without condition was sent: %v", err)
	}
}

func put(t *testing.T, bucket s3mesh.Bucket, key, body string) error {
	t.Helper()
	_, err := bucket.Put(t.Context(), key, s3mesh.PutInput{
		Body: strings.NewReader(body), Size: int64(len(body)), Condition: s3mesh.IfAbsent(),
	})
	return err
}

// everyOperation runs each operation on bucket and checks that it fails with the kind.
func everyOperation(t *testing.T, bucket *s3store.Bucket, want s3mesh.Kind) {
	t.Helper()
	check := func(op string, err error) {
		t.Helper()
		if got := s3mesh.KindOf(err); err == nil || got != want {
			t.Errorf("%s: %v, want %s", op, err, want)
		}
	}
	_, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
	check("Head", err)
	_, _, err = bucket.Get(t.Context(), "key", s3mesh.ReadOptions{})
	check("Get", err)
	check("Put", put(t, bucket, "key", "value"))
	check("Put of a stream", put(t, bucket, "key", strings.Repeat("x", 1<<20)))
	_, err = bucket.BeginUpload(t.Context(), "key", s3mesh.Attributes{})
	check("BeginUpload", err)
	for _, err = range bucket.History(t.Context(), "key") {
		check("History", err)
	}
	everyPage(t, bucket, check)
	_, err = bucket.Tags(t.Context(), "key", "")
	check("Tags", err)
	_, err = bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{Condition: s3mesh.IfMatch("etag")})
	check("Delete", err)
	_, err = bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{VersionID: "00000000-0000-4000-8000-000000000000"})
	check("Delete of a version", err)
	_, err = bucket.Probe(t.Context())
	check("Probe", err)
}

func testNoSuchBucket(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	cfg, _ := config(t, endpoint, "no-such-bucket")
	everyOperation(t, open(t, cfg), s3mesh.KindNoSuchBucket)
}

func testWrongCredentials(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	const secret = "not-the-secret"
	cfg, _ := config(t, endpoint, endpoint.CreateBucket(t))
	cfg.Credentials = credentials.NewStaticCredentialsProvider(endpoint.AccessKey, secret, "")
	bucket := open(t, cfg)
	everyOperation(t, bucket, s3mesh.KindAccessDenied)
	if err := put(t, bucket, "key", "value"); strings.Contains(err.Error(), secret) {
		t.Errorf("the secret is in the error: %v", err)
	}
	cfg.Credentials = aws.AnonymousCredentials{}
	everyOperation(t, open(t, cfg), s3mesh.KindAccessDenied)
}

// testUnversioned checks that version IDs are empty, and that the history is the current object.
func testUnversioned(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	cfg, _ := config(t, endpoint, endpoint.CreateUnversionedBucket(t))
	bucket := open(t, cfg)
	if err := put(t, bucket, "key", "value"); err != nil {
		t.Fatal(err)
	}
	head, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
	if err != nil || head.VersionID != "" {
		t.Fatalf("%+v, %v; want no version ID", head, err)
	}
	entries := entriesOf(t, bucket, "key")
	if len(entries) != 1 || entries[0].VersionID != "" || !entries[0].Latest || entries[0].ETag != head.ETag {
		t.Fatalf("history %+v, want the current object without version ID", entries)
	}
}

// testVersioningSwitchedOn checks that what was written before versioning has one name while it is current, and can be
// asked for later.
func testVersioningSwitchedOn(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	name := endpoint.CreateUnversionedBucket(t)
	client := endpoint.Application(name)
	if _, err := client.Put(t.Context(), "key", []byte("before"), s3mesh.Attributes{}); err != nil {
		t.Fatal(err)
	}
	_, err := endpoint.S3().PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := config(t, endpoint, name)
	bucket := open(t, cfg)
	head, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
	if entries := entriesOf(t, bucket, "key"); err != nil || len(entries) != 1 || entries[0].VersionID != head.VersionID {
		t.Fatalf("history %+v, but HEAD says %+v, %v", entries, head, err)
	}
	if _, err := client.Put(t.Context(), "key", []byte("after"), s3mesh.Attributes{}); err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(t, bucket, "key")
	if len(entries) != 2 || entries[0].VersionID == "" || entries[1].VersionID == "" {
		t.Fatalf("history %+v, want two versions that can be asked for", entries)
	}
	old, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{VersionID: entries[1].VersionID})
	if err != nil || old.ETag != head.ETag || old.VersionID != entries[1].VersionID {
		t.Fatalf("%+v, %v; want what was written before", old, err)
	}
}

func entriesOf(t *testing.T, bucket s3mesh.Bucket, key string) []s3mesh.HistoryEntry {
	t.Helper()
	var entries []s3mesh.HistoryEntry
	for entry, err := range bucket.History(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	return entries
}
