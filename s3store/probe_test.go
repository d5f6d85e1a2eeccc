package s3store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// testProbe checks what is found, what it costs, and that nothing is left of it.
func testProbe(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	for name, c := range map[string]struct {
		create func(testing.TB) string
		seen   s3mesh.Capabilities
	}{
		"versioned":   {endpoint.CreateBucket, s3mesh.Capabilities{Versioned: true, ConditionalPut: true, ConditionalComplete: true}},
		"unversioned": {endpoint.CreateUnversionedBucket, s3mesh.Capabilities{ConditionalPut: true, ConditionalComplete: true}},
	} {
		bucketName := c.create(t)
		cfg, requests := config(t, endpoint, bucketName)
		seen, err := open(t, cfg).Probe(t.Context())
		if err != nil || seen != c.seen {
			t.Errorf("%s: %+v, %v; want %+v", name, seen, err, c.seen)
		}
		if n := requests.n.Load(); n > 13 {
			t.Errorf("%s: took %d requests", name, n)
		}
		wantEmpty(t, endpoint, bucketName)
	}
}

// testProbeGivenUp ends the context at every request in turn.
func testProbeGivenUp(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	name := endpoint.CreateBucket(t)
	for n := range 9 {
		cfg, requests := config(t, endpoint, name)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if int(requests.n.Load()) == n {
				cancel()
			}
			return requests.RoundTrip(r)
		})
		_, err := open(t, cfg).Probe(ctx)
		cancel()
		failed, typed := errors.AsType[*s3mesh.Error](err)
		if !typed || failed.Kind != s3mesh.KindCanceled || failed.Op == "" {
			t.Errorf("given up at request %d: %v", n, err)
		}
		wantEmpty(t, endpoint, name)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// wantEmpty fails t if there is any version, marker or upload in the bucket.
func wantEmpty(t *testing.T, endpoint peer.Endpoint, name string) {
	t.Helper()
	versions, err := endpoint.S3().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &name})
	if err != nil {
		t.Fatal(err)
	}
	uploads, err := endpoint.S3().ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &name})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(versions.Versions) + len(versions.DeleteMarkers) + len(uploads.Uploads); n != 0 {
		t.Errorf("%d things are left: %+v %+v %+v", n, versions.Versions, versions.DeleteMarkers, uploads.Uploads)
	}
}

// conditions answers as a store that takes every write, but those whose condition refuses says.
type conditions struct {
	server  string
	refuses func(*http.Request) bool
}

func (c conditions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	query := r.URL.Query()
	w.Header().Set("Server", c.server)
	conditional := r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != ""
	switch {
	case conditional && c.refuses(r):
		errorAnswer(http.StatusPreconditionFailed, "PreconditionFailed")(w, r)
	case query.Has("versioning"):
		fmt.Fprint(w, `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	case query.Has("versions"):
		fmt.Fprint(w, `<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>`)
	case query.Has("uploads"):
		fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost:
		fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("X-Amz-Version-Id", "1")
	}
}

// TestProbeTellsApart has each lack alone.
func TestProbeTellsApart(t *testing.T) {
	all := s3mesh.AllCapabilities()
	for name, c := range map[string]struct {
		server  string
		ignores func(*http.Request) bool
		seen    func(*s3mesh.Capabilities)
	}{
		"none":      {"store", func(*http.Request) bool { return false }, func(*s3mesh.Capabilities) {}},
		"put":       {"store", func(r *http.Request) bool { return r.Method == http.MethodPut }, noPut},
		"If-Match":  {"store", func(r *http.Request) bool { return r.Method == http.MethodPut && r.Header["If-Match"] != nil }, noPut},
		"complete":  {"store", func(r *http.Request) bool { return r.Method == http.MethodPost }, noComplete},
		"delete":    {"store", func(r *http.Request) bool { return r.Method == http.MethodDelete }, noDelete},
		"versitygw": {"VERSITYGW", func(*http.Request) bool { return false }, noDelete},
	} {
		want := all
		c.seen(&want)
		first := true // the first PUT finds nothing
		bucket := serve(t, conditions{c.server, func(r *http.Request) bool {
			if first && r.Method == http.MethodPut {
				first = false
				return false
			}
			return !c.ignores(r)
		}}.ServeHTTP)
		if seen, err := bucket.Probe(t.Context()); err != nil || seen != want {
			t.Errorf("%s: %+v, %v; want %+v", name, seen, err, want)
		}
	}
}

func noPut(c *s3mesh.Capabilities)      { c.ConditionalPut = false }
func noComplete(c *s3mesh.Capabilities) { c.ConditionalComplete = false }
func noDelete(c *s3mesh.Capabilities)   { c.ConditionalDelete = false }
