package s3store_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// TestSweep leaves what a killed process leaves, and has it removed once it is old enough.
func TestSweep(t *testing.T) {
	endpoint := peer.MinIO(t)
	name := endpoint.CreateBucket(t)
	key, mine := ".s3mesh/probe/killed/object", "photos/a"
	for _, k := range []string{key, key, mine} {
		if _, err := endpoint.Application(name).Put(t.Context(), k, []byte("left"), s3mesh.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := endpoint.Application(name).Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	_, err := endpoint.S3().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := config(t, endpoint, name)
	scratch := open(t, cfg).Scratch()
	if n, err := scratch.Sweep(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("removed %d that may be in use, %v", n, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	// Two versions and a marker; MinIO lists uploads by their whole key only, and so that one is not found.
	if n, err := scratch.Sweep(canceled, -time.Hour); n != 3 || err != nil {
		t.Errorf("removed %d, %v; want 3", n, err)
	}
	versions, err := endpoint.S3().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &name})
	if err != nil || len(versions.Versions) != 1 || len(versions.DeleteMarkers) != 0 {
		t.Errorf("%+v, %v: want what is not under the scratch's prefix, and nothing else", versions, err)
	}
}

// TestScratchGivenUp ends the context within experiments: what was made goes all the same.
func TestScratchGivenUp(t *testing.T) {
	endpoint := peer.MinIO(t)
	name := endpoint.CreateBucket(t)
	for n := range 12 {
		cfg, requests := config(t, endpoint, name)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if int(requests.n.Load()) == 2*n {
				cancel()
			}
			return requests.RoundTrip(r)
		})
		scratch := open(t, cfg).Scratch()
		for _, operation := range []string{"PutObject", "CompleteMultipartUpload"} {
			if _, err := scratch.Atomic(ctx, operation, "If-Match"); err != nil && s3mesh.KindOf(err) != s3mesh.KindCanceled {
				t.Errorf("given up at request %d: %v", 2*n, err)
			}
		}
		cancel()
		if err := scratch.Close(ctx); err != nil {
			t.Errorf("given up at request %d: %v", 2*n, err)
		}
		wantEmpty(t, endpoint, name)
	}
}

// racer is a store with one lock, which it lets go of between the check of a condition and the write where racy says so.
type racer struct {
	racy  func(*http.Request) bool
	mu    sync.Mutex
	etags map[string]string
	n     int
	// waiting are those that have checked, by key, and wait for another.
	waiting map[string]chan struct{}
}

func (s *racer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("ETag", `"part"`)
	key, query := r.URL.Path, r.URL.Query()
	switch {
	case query.Has("uploads"):
		s.n++
		fmt.Fprintf(w, `<InitiateMultipartUploadResult><UploadId>%d</UploadId></InitiateMultipartUploadResult>`, s.n)
		return
	case query.Has("partNumber"):
		return
	case query.Has("versioning"):
		fmt.Fprint(w, `<VersioningConfiguration></VersioningConfiguration>`)
		return
	case r.Method == http.MethodHead:
		if s.etags[key] == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", s.etags[key])
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		return
	}
	if !s.holds(r) {
		errorAnswer(http.StatusPreconditionFailed, "PreconditionFailed")(w, r)
		return
	}
	if conditional(r) && s.racy(r) {
		s.letIn(key)
	} else if waiting := s.waiting[key]; waiting != nil {
		delete(s.waiting, key)
		defer close(waiting)
	}
	if r.Method == http.MethodDelete {
		delete(s.etags, key)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.n++
	s.etags[key] = fmt.Sprintf(`"%d"`, s.n)
	w.Header().Set("ETag", s.etags[key])
	if r.Method == http.MethodPost {
		fmt.Fprintf(w, `<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>`)
	}
}

func conditional(r *http.Request) bool {
	return r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != ""
}

func (s *racer) holds(r *http.Request) bool {
	etag := s.etags[r.URL.Path]
	if r.Header.Get("If-None-Match") != "" && etag != "" {
		return false
	}
	return r.Header.Get("If-Match") == "" || etag == r.Header.Get("If-Match")
}

// letIn has one request wait until another one of its key was let in, for a moment: there may be none.
func (s *racer) letIn(key string) {
	if waiting := s.waiting[key]; waiting != nil {
		delete(s.waiting, key)
		close(waiting)
		return
	}
	waiting := make(chan struct{})
	s.waiting[key] = waiting
	s.mu.Unlock()
	select {
	case <-waiting:
	case <-time.After(100 * time.Millisecond):
	}
	s.mu.Lock()
}

// TestAtomic races a store that checks each condition apart from its write in turn, and one that never does.
func TestAtomic(t *testing.T) {
	pairs := [][2]string{{"PutObject", "If-None-Match"}, {"PutObject", "If-Match"}, {"CompleteMultipartUpload", "If-None-Match"},
		{"CompleteMultipartUpload", "If-Match"}, {"DeleteObject", "If-Match"}}
	methods := map[string]string{
		"PutObject": http.MethodPut, "CompleteMultipartUpload": http.MethodPost, "DeleteObject": http.MethodDelete}
	for _, bad := range append(pairs, [2]string{}) {
		store := &racer{etags: map[string]string{}, waiting: map[string]chan struct{}{}, racy: func(r *http.Request) bool {
			return methods[bad[0]] == r.Method && r.Header.Get(bad[1]) != ""
		}}
		scratch := serve(t, store.ServeHTTP).Scratch()
		for _, p := range pairs {
			if bad != [2]string{} && p != bad {
				continue
			}
			atomic, err := scratch.Atomic(t.Context(), p[0], p[1])
			if err != nil || atomic == (p == bad) {
				t.Errorf("where %v is racy: %v is atomic: %v, %v", bad, p, atomic, err)
			}
			if honours, err := scratch.Honours(t.Context(), p[0], p[1]); err != nil || !honours {
				t.Errorf("%v: honoured: %v, %v", p, honours, err)
			}
		}
	}
}

// TestTryDenied checks that each permission is tried by a request that needs it.
func TestTryDenied(t *testing.T) {
	endpoint := peer.MinIO(t)
	name := endpoint.CreateBucket(t)
	for action, needs := range map[string]func(*http.Request) bool{
		"s3:PutObject":                  is(http.MethodPut, ""),
		"s3:GetObject":                  func(r *http.Request) bool { return r.Method == http.MethodHead },
		"s3:GetObjectVersion":           is(http.MethodHead, "versionId"),
		"s3:ListBucket":                 is(http.MethodGet, "list-type"),
		"s3:ListBucketVersions":         is(http.MethodGet, "versions"),
		"s3:GetBucketVersioning":        is(http.MethodGet, "versioning"),
		"s3:DeleteObject":               is(http.MethodDelete, ""),
		"s3:DeleteObjectVersion":        is(http.MethodDelete, "versionId"),
		"s3:AbortMultipartUpload":       is(http.MethodDelete, "uploadId"),
		"s3:GetObjectTagging":           is(http.MethodGet, "tagging"),
		"s3:PutObjectTagging":           is(http.MethodPut, "tagging"),
		"s3:ListBucketMultipartUploads": is(http.MethodGet, "uploads"),
	} {
		cfg, requests := config(t, endpoint, name)
		deny := false
		cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if deny && needs(r) {
				return refusal(http.StatusForbidden, "AccessDenied", r), nil
			}
			return requests.RoundTrip(r)
		})
		scratch := open(t, cfg).Scratch()
		if err := scratch.Try(t.Context(), "s3:PutObject"); err != nil {
			t.Fatal(err)
		}
		if err := scratch.Try(t.Context(), action); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		deny = true
		if err := scratch.Try(t.Context(), action); s3mesh.KindOf(err) != s3mesh.KindAccessDenied || err == nil {
			t.Errorf("%s denied: %v", action, err)
		}
		deny = false
		if err := scratch.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantEmpty(t, endpoint, name)
	}
}

// is chooses requests by their method, and by a parameter or that there is none.
func is(method, parameter string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && (parameter == "" && r.URL.RawQuery == "" || r.URL.Query().Has(parameter))
	}
}

// refusal is a store's answer that says no.
func refusal(status int, code string, r *http.Request) *http.Response {
	body := "<Error><Code>" + code + "</Code></Error>"
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		Body: readCloser{strings.NewReader(body)}, ContentLength: int64(len(body))}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// TestChecksums has a store that verifies them judge the checksums that are sent.
func TestChecksums(t *testing.T) {
	endpoint := peer.MinIO(t)
	cfg, _ := config(t, endpoint, endpoint.CreateBucket(t))
	scratch := open(t, cfg).Scratch()
	for _, algorithm := range []string{"CRC32C", "CRC64NVME", "SHA256"} {
		if kept, checked, err := scratch.Checksum(t.Context(), algorithm); !kept || !checked || err != nil {
			t.Errorf("%s: kept %v, checked %v, %v", algorithm, kept, checked, err)
		}
	}
	if _, _, err := scratch.Checksum(t.Context(), "MD4"); s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("an unknown checksum: %v", err)
	}
	if err := scratch.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
