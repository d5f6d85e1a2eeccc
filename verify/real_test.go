package verify_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
	"github.com/s3mesh/s3mesh/verify"
)

// TestRealStore compares two buckets of a real S3 server.
func TestRealStore(t *testing.T) {
	client := devstore.Credentials{AccessKeyID: "client", SecretAccessKey: "client-secret"}
	region, err := devstore.Start(t.Context(), devstore.Config{
		Site: "us-east-1", Region: "us-east-1", Dir: t.TempDir() + "/region", Bucket: "photos", Client: client,
		Replicator: devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "replicator-secret"},
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(region.Kill)
	endpoint := peer.Endpoint{URL: region.Endpoint(), Region: "us-east-1",
		AccessKey: client.AccessKeyID, SecretKey: client.SecretAccessKey}
	a, nameOfA := openReal(t, endpoint, "a")
	b, _ := openReal(t, endpoint, "b")
	cfg := verify.Config{Sites: map[string]verify.Site{"a": a, "b": b},
		Set: s3mesh.FullMesh("mesh", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"})}

	attr := s3mesh.Attributes{ContentType: "text/plain", CacheControl: "no-store", Metadata: map[string]string{"name": "Zoë"}}
	red := attr
	red.Metadata = map[string]string{"name": "red"}
	for _, bucket := range []*s3store.Bucket{a, b} {
		put(t, bucket, "equal", "body", attr)
		put(t, bucket, "päth/ with +%", "body", attr)
		upload(t, bucket, "parts/equal", "body")
		put(t, bucket, "tags", "body", attr)
	}
	put(t, a, "metadata", "body", attr)
	put(t, b, "metadata", "body", red)
	put(t, a, "content", "body", attr)
	put(t, b, "content", "BODY", attr)
	upload(t, a, "parts/content", "body")
	upload(t, b, "parts/content", "BODY")
	put(t, a, "missing", "body", attr)
	tag(t, endpoint, nameOfA, "tags")

	found := map[string]string{}
	cfg.Found = func(f verify.Finding) error {
		var what []string
		for _, at := range f.Sites {
			what = append(what, at.Differs...)
		}
		found[f.Key] = strings.Join(what, ", ")
		return nil
	}
	report, err := verify.Run(t.Context(), cfg, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"metadata": "metadata name", "content": "content", "parts/content": "content", "missing": "missing",
		"tags": "tags"}
	for key, what := range want {
		if found[key] != what {
			t.Errorf("%q: found %q, want %q", key, found[key], what)
		}
	}
	if len(found) != len(want) || report.Equal != 3 || report.Compared != 8 {
		t.Errorf("%v, %+v", found, report.Counts)
	}
}

// openReal creates a bucket, and returns it with its name.
func openReal(t *testing.T, endpoint peer.Endpoint, site string) (bucket *s3store.Bucket, name string) {
	t.Helper()
	name = endpoint.CreateBucket(t)
	transport := s3store.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	bucket, err := s3store.Open(t.Context(), s3store.Config{Site: site, Endpoint: endpoint.URL, Region: endpoint.Region,
		Bucket: name, Credentials: endpoint.Credentials(), PathStyle: true, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return bucket, name
}

func put(t *testing.T, bucket *s3store.Bucket, key, body string, attr s3mesh.Attributes) {
	t.Helper()
	in := s3mesh.PutInput{Body: strings.NewReader(body), Size: int64(len(body)), Attributes: attr, Condition: s3mesh.IfAbsent()}
	if _, err := bucket.Put(t.Context(), key, in); err != nil {
		t.Fatal(err)
	}
}

// upload writes body as the last part of an object of two, of which the first is as small as may be.
func upload(t *testing.T, bucket *s3store.Bucket, key, body string) {
	t.Helper()
	u, err := bucket.BeginUpload(t.Context(), key, s3mesh.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	const smallestPart = 5 << 20
	var etags []string
	for i, part := range [][]byte{make([]byte, smallestPart), []byte(body)} {
		etag, err := u.PutPart(t.Context(), i+1, bytes.NewReader(part), int64(len(part)))
		if err != nil {
			t.Fatal(err)
		}
		etags = append(etags, etag)
	}
	if _, err := u.Complete(t.Context(), etags, s3mesh.IfAbsent()); err != nil {
		t.Fatal(err)
	}
}

func tag(t *testing.T, endpoint peer.Endpoint, bucket, key string) {
	t.Helper()
	colour := "colour"
	_, err := endpoint.S3().PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: &bucket, Key: &key,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: &colour, Value: &colour}}}})
	if err != nil {
		t.Fatal(err)
	}
}
