package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3mesh/s3mesh"
)

const (
	soon    = 200 * time.Millisecond
	tooLong = time.Hour // beyond every limit

	// streamedSize is more than a body that is read into memory, and more than the network buffers.
	streamedSize = 64 << 20
)

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// slow is a source that takes tooLong for every Read.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	<-time.After(tooLong)
	return s.Reader.Read(p)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func openAt(t *testing.T, endpoint string, transport http.RoundTripper) *Bucket {
	t.Helper()
	bucket, err := Open(t.Context(), Config{
		Site: "site", Endpoint: endpoint, Bucket: "bucket", PathStyle: true, Transport: transport,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// hanging opens a bucket with short limits at a server whose handler may wait for hung, which is closed in the end.
func hanging(t *testing.T, handler func(w http.ResponseWriter, r *http.Request, hung <-chan struct{})) *Bucket {
	t.Helper()
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, hung) }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hung) })
	transport := NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	bucket := openAt(t, server.URL, transport)
	bucket.client.transport = &impatient{transport, limits{answer: soon, complete: soon, stall: soon}}
	return bucket
}

// expectStall checks that err is of a store that hangs, and says so.
func expectStall(t *testing.T, err error, text string) {
	t.Helper()
	if s3mesh.KindOf(err) != s3mesh.KindUnreachable || !strings.HasSuffix(fmt.Sprint(err), text+" for "+soon.String()) {
		t.Errorf("%v; want unreachable and %q", err, text)
	}
}

// operations are all requests of a bucket.
func operations(ctx context.Context, bucket *Bucket) map[string]func() error {
	begun := &upload{bucket: bucket, key: "key", id: "id"}
	put := func(size int64) error {
		input := s3mesh.PutInput{Body: io.LimitReader(zeros{}, size), Size: size, Condition: s3mesh.IfMatch("etag")}
		_, err := bucket.Put(ctx, "key", input)
		return err
	}
	return map[string]func() error{
		opHead: func() error { _, err := bucket.Head(ctx, "key", s3mesh.ReadOptions{}); return err },
		opGet: func() error {
			_, body, err := bucket.Get(ctx, "key", s3mesh.ReadOptions{})
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, body)
			return errors.Join(err, body.Close())
		},
		opPut:          func() error { return put(1000) },
		opPut + " big": func() error { return put(1 << 20) },
		opHistory: func() error {
			for _, err := range bucket.History(ctx, "key") {
				return err
			}
			return nil
		},
		opBegin: func() error { _, err := bucket.BeginUpload(ctx, "key", s3mesh.Attributes{}); return err },
		opPart:  func() error { _, err := begun.PutPart(ctx, 1, io.LimitReader(zeros{}, 1000), 1000); return err },
		opComplete: func() error {
			_, err := begun.Complete(ctx, []string{"etag"}, s3mesh.IfAbsent())
			return err
		},
		opAbort: func() error { return begun.Abort(ctx) },
	}
}

// TestNoAnswer lets a server take requests and answer none.
func TestNoAnswer(t *testing.T) {
	bucket := hanging(t, func(_ http.ResponseWriter, r *http.Request, hung <-chan struct{}) {
		_, _ = io.Copy(io.Discard, r.Body) // the client hangs up
		<-hung
	})
	for name, run := range operations(t.Context(), bucket) {
		t.Run(name, func(t *testing.T) { expectStall(t, run(), "no answer from the store") })
	}
}

// TestAnswerStalls lets a server stop in the middle of what it answers.
func TestAnswerStalls(t *testing.T) {
	bucket := hanging(t, func(w http.ResponseWriter, r *http.Request, hung <-chan struct{}) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "<Start>")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-hung
	})
	all := operations(t.Context(), bucket)
	for _, name := range []string{opGet, opHistory, opBegin, opComplete} {
		t.Run(name, func(t *testing.T) { expectStall(t, all[name](), "the store sent nothing more of its answer") })
	}
}

// TestBodyNotTaken lets a server stop reading what it is sent.
func TestBodyNotTaken(t *testing.T) {
	bucket := hanging(t, func(_ http.ResponseWriter, r *http.Request, hung <-chan struct{}) {
		if _, err := io.ReadFull(r.Body, make([]byte, 10)); err != nil { // the client waits for this to begin
			t.Error(err)
		}
		<-hung
	})
	body := io.LimitReader(zeros{}, streamedSize)
	input := s3mesh.PutInput{Body: body, Size: streamedSize, Condition: s3mesh.IfMatch("etag")}
	_, err := bucket.Put(t.Context(), "key", input)
	expectStall(t, err, "the store took nothing of the body")

	begun := &upload{bucket: bucket, key: "key", id: "id"}
	_, err = begun.PutPart(t.Context(), 1, io.LimitReader(zeros{}, streamedSize), streamedSize)
	expectStall(t, err, "the store took nothing of the body")
}

// TestHowLong checks how long a store that never answers is waited for.
func TestHowLong(t *testing.T) {
	want := map[string]time.Duration{opComplete: 5 * time.Minute, opPut + " big": 30 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		bucket := openAt(t, "http://store.test", roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Body != nil {
				_, _ = io.Copy(io.Discard, req.Body)
			}
			<-req.Context().Done()
			return nil, req.Context().Err()
		}))
		for name, run := range operations(t.Context(), bucket) {
			start := time.Now()
			err := run()
			limit, special := want[name]
			if !special {
				limit = 15 * time.Second
			}
			if took := time.Since(start); took != limit || s3mesh.KindOf(err) != s3mesh.KindUnreachable {
				t.Errorf("%s: %v after %v, want unreachable after %v", name, err, took, limit)
			}
		}
	})
}

// TestSlowOtherSide checks that a store is not blamed for a slow source of what it is sent, nor for a slow reader of what
// it sends.
func TestSlowOtherSide(t *testing.T) {
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		bucket := openAt(t, "http://store.test", roundTripper(func(req *http.Request) (*http.Response, error) {
			var body io.Reader = strings.NewReader(strings.Repeat("x", size))
			if req.Body != nil {
				if _, err := io.Copy(io.Discard, req.Body); err != nil {
					return nil, err
				}
				body = http.NoBody
			}
			header := http.Header{"Last-Modified": {"Wed, 21 Oct 2015 07:28:00 GMT"}}
			resp := &http.Response{StatusCode: http.StatusOK, Header: header, ContentLength: size}
			resp.Body = io.NopCloser(contextReader{req.Context(), body})
			return resp, nil
		}))
		_, body, err := bucket.Get(t.Context(), "key", s3mesh.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		input := s3mesh.PutInput{Body: slow{body}, Size: size, Condition: s3mesh.IfMatch("etag")}
		if _, err := bucket.Put(t.Context(), "key", input); err != nil {
			t.Error(err)
		}
	})
}

// contextReader fails once its context is over, as the body of a true answer does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // that of the request
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func TestMetadataTooLargeNamesStamp(t *testing.T) {
	text := (&responseError{status: http.StatusBadRequest, Code: "MetadataTooLarge", Message: "too large"}).Error()
	if !strings.Contains(text, "too large") || !strings.Contains(text, "version stamp, about 200 bytes") {
		t.Errorf("the stamp is not in %q", text)
	}
}
