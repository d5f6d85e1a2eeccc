package devstore_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
	"github.com/s3mesh/s3mesh/s3store"
)

// throughS3store opens the region's bucket as the replicator does, and counts the requests.
func throughS3store(tb testing.TB, r *devstore.Region, cfg devstore.Config) (*s3store.Bucket, *atomic.Int32) {
	tb.Helper()
	endpoint := peer.Endpoint{AccessKey: cfg.Replicator.AccessKeyID, SecretKey: cfg.Replicator.SecretAccessKey}
	transport := s3store.NewTransport()
	tb.Cleanup(transport.CloseIdleConnections)
	requests := &counter{RoundTripper: transport}
	b, err := s3store.Open(tb.Context(), s3store.Config{Site: cfg.Site, Endpoint: r.Endpoint(), Region: cfg.Region,
		Bucket: bucket, Credentials: endpoint.Credentials(), PathStyle: true, Transport: requests})
	if err != nil {
		tb.Fatal(err)
	}
	return b, &requests.n
}

// counter counts the requests that pass.
type counter struct {
	http.RoundTripper
	n atomic.Int32
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func TestProbeFindsAllCapabilities(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	b, requests := throughS3store(t, r, cfg)
	seen, err := b.Probe(t.Context())
	if err != nil || seen != s3mesh.AllCapabilities() || requests.Load() != 12 {
		t.Errorf("%+v, %v, in %d requests; want all, in 12", seen, err, requests.Load())
	}
	if versions, markers := history(t, connect(t, r, cfg.Client), ""); len(versions)+len(markers) != 0 {
		t.Errorf("left: %v %v", versions, markers)
	}
}

// TestConditionalDeleteOfNothing asks without s3store, which makes up for stores that see no fault there.
func TestConditionalDeleteOfNothing(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	written := put(t, c, "deleted", "body")
	remove(t, c, "deleted")
	for _, key := range []string{"deleted", "never"} {
		_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key,
			IfMatch: written.ETag})
		if code(err) != "PreconditionFailed" {
			t.Errorf("%s: %v", key, err)
		}
	}
	if versions, markers := history(t, c, ""); len(versions) != 1 || len(markers) != 1 {
		t.Errorf("%d versions and %d markers, want one of each", len(versions), len(markers))
	}
}

// TestReadsSeeNoHalfDelete reads while a marker comes and goes: there is the object as it was written, or there is none.
func TestReadsSeeNoHalfDelete(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	b, _ := throughS3store(t, r, cfg)
	const key = "folder/key"
	attr := s3mesh.Attributes{Metadata: map[string]string{"name": "value"}}
	written, err := b.Put(t.Context(), key, s3mesh.PutInput{Body: strings.NewReader("body"), Size: 4, Attributes: attr,
		Condition: s3mesh.IfAbsent()})
	if err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stopped.Load() {
				if err := checkWhole(t.Context(), b, key, written); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 60 {
		marker, err := b.Delete(t.Context(), key, s3mesh.DeleteOptions{Condition: s3mesh.IfMatch(written.ETag)})
		if err != nil {
			t.Error(err)
			break
		}
		if _, err = b.Delete(t.Context(), key, s3mesh.DeleteOptions{VersionID: marker.VersionID}); err != nil {
			t.Error(err)
			break
		}
	}
	stopped.Store(true)
	wg.Wait()
}

// checkWhole returns an error when key is neither absent nor as it was written.
func checkWhole(ctx context.Context, b *s3store.Bucket, key string, written s3mesh.Written) error {
	head, err := b.Head(ctx, key, s3mesh.ReadOptions{})
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindNotFound:
	case err != nil:
		return err
	case head.ETag != written.ETag || head.VersionID != written.VersionID || head.Attributes.Metadata["name"] != "value":
		return fmt.Errorf("read half an object: %+v", head)
	}
	var entries []s3mesh.HistoryEntry
	for entry, err := range b.History(ctx, key) {
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	if n := len(entries); n == 0 || n > 2 || !entries[0].Latest || entries[n-1].VersionID != written.VersionID ||
		n == 2 && !entries[0].DeleteMarker {
		return fmt.Errorf("listed half a delete: %+v", entries)
	}
	return nil
}

// TestMarkerIsRemovedInOneStep: what was below is moved back as it is. Copied, it could be left without its ETag and its
// metadata by a kill.
func TestMarkerIsRemovedInOneStep(t *testing.T) {
	cfg := config(t)
	c := connect(t, start(t, cfg), cfg.Client)
	put(t, c, "k", "first")
	written, marker := put(t, c, "k", "body"), remove(t, c, "k")
	paths, err := filepath.Glob(filepath.Join(cfg.Dir, "versions", bucket, "*", "*", "*", "*", *written.VersionId))
	if err != nil || len(paths) != 1 {
		t.Fatalf("files of the version: %q, %v", paths, err)
	}
	below, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"),
		VersionId: marker.VersionId})
	if err != nil {
		t.Fatal(err)
	}
	current, err := os.Stat(filepath.Join(cfg.Dir, "objects", bucket, "k"))
	if err != nil || !os.SameFile(below, current) {
		t.Errorf("the current file is another than that of the version, or gone: %v", err)
	}
	if body := get(t, c, "k", *written.VersionId); body != "body" {
		t.Errorf("body %q", body)
	}
}
