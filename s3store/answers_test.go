package s3store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/s3store"
)

// serve opens a bucket at a server that answers as handler does.
func serve(tb testing.TB, handler http.HandlerFunc) *s3store.Bucket {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	transport := s3store.NewTransport()
	tb.Cleanup(transport.CloseIdleConnections)
	bucket, err := s3store.Open(tb.Context(), s3store.Config{
		Site: "site", Endpoint: server.URL, Bucket: "bucket", PathStyle: true, Transport: transport,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return bucket
}

func errorAnswer(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, "<?xml version='1.0'?><Error><Code>%s</Code><Message>why</Message></Error>", code)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   s3mesh.Kind
	}{
		{404, "NoSuchKey", s3mesh.KindNotFound},
		{404, "NoSuchBucket", s3mesh.KindNoSuchBucket},
		{404, "", s3mesh.KindNotFound},
		{412, "PreconditionFailed", s3mesh.KindPreconditionFailed},
		{412, "", s3mesh.KindPreconditionFailed},
		{409, "ConditionalRequestConflict", s3mesh.KindConflict},
		{409, "ObjectParentIsFile", s3mesh.KindUnstorable},
		{503, "SlowDown", s3mesh.KindThrottled},
		{429, "", s3mesh.KindThrottled},
		{503, "", s3mesh.KindUnreachable},
		{502, "", s3mesh.KindUnreachable},
		{500, "InternalError", s3mesh.KindUnreachable},
		{400, "RequestTimeout", s3mesh.KindUnreachable},
		{403, "AccessDenied", s3mesh.KindAccessDenied},
		{403, "RequestTimeTooSkewed", s3mesh.KindAccessDenied},
		{400, "ExpiredToken", s3mesh.KindAccessDenied},
		{401, "", s3mesh.KindAccessDenied},
		{400, "InvalidArgument", s3mesh.KindInvalid},
		{301, "PermanentRedirect", s3mesh.KindInvalid},
		{400, "KeyTooLongError", s3mesh.KindUnstorable},
		{400, "MetadataTooLarge", s3mesh.KindUnstorable},
		{400, "EntityTooLarge", s3mesh.KindTooLarge},
		{413, "", s3mesh.KindTooLarge},
		{501, "NotImplemented", s3mesh.KindUnsupported},
		{405, "MethodNotAllowed", s3mesh.KindUnsupported},
		{400, "BadDigest", s3mesh.KindCorrupted},
		{507, "XMinioStorageFull", s3mesh.KindOther},
		{418, "NeverHeardOf", s3mesh.KindInvalid},
	} {
		bucket := serve(t, errorAnswer(c.status, c.code))
		err := put(t, bucket, "key", "value")
		var e *s3mesh.Error
		if !errors.As(err, &e) || e.Kind != c.want || e.Site != "site" || e.Key != "key" || e.Op != "PutObject" {
			t.Errorf("%d %s: %v, want %s", c.status, c.code, err, c.want)
		}
		if !strings.Contains(err.Error(), c.code) {
			t.Errorf("%d %s: the code is not in %q", c.status, c.code, err)
		}
	}
}

// TestIfMatchOfMissingKey checks that a condition on a key that is gone is one that does not hold.
func TestIfMatchOfMissingKey(t *testing.T) {
	for code, want := range map[string]s3mesh.Kind{
		"NoSuchKey": s3mesh.KindPreconditionFailed, "NoSuchBucket": s3mesh.KindNoSuchBucket,
	} {
		bucket := serve(t, errorAnswer(http.StatusNotFound, code))
		_, err := bucket.Put(t.Context(), "key", s3mesh.PutInput{Condition: s3mesh.IfMatch("etag")})
		if s3mesh.KindOf(err) != want {
			t.Errorf("%s: %v, want %s", code, err, want)
		}
	}
}

// TestHeadTellsBuckets checks that a HEAD does not take a missing bucket for a missing object, and asks only at times.
func TestHeadTellsBuckets(t *testing.T) {
	var asked int
	for status, want := range map[int]s3mesh.Kind{404: s3mesh.KindNoSuchBucket, 200: s3mesh.KindNotFound} {
		asked = 0
		bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/bucket" {
				asked++
				w.WriteHeader(status)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		for range 3 {
			_, err := bucket.Head(t.Context(), "key", s3mesh.ReadOptions{})
			if s3mesh.KindOf(err) != want {
				t.Errorf("bucket %d: %v, want %s", status, err, want)
			}
		}
		if status == http.StatusOK && asked != 1 {
			t.Errorf("asked %d times for a bucket that is there, want 1", asked)
		}
	}
}

// TestBodyCutOff checks that a body that ends early is an error and not a shorter object.
func TestBodyCutOff(t *testing.T) {
	bucket := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		w.Header().Set("Content-Length", "1000")
		if _, err := w.Write(make([]byte, 500)); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	_, body, err := bucket.Get(t.Context(), "key", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if s3mesh.KindOf(err) != s3mesh.KindUnreachable || len(data) > 500 {
		t.Fatalf("%d bytes and %v, want an error of kind unreachable", len(data), err)
	}
}

func TestBodyCanceled(t *testing.T) {
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	_, body, err := bucket.Get(ctx, "key", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	cancel()
	if _, err := io.ReadAll(body); s3mesh.KindOf(err) != s3mesh.KindCanceled {
		t.Fatalf("%v, want canceled", err)
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	bucket, err := s3store.Open(t.Context(), s3store.Config{
		Endpoint: "http://" + address, Bucket: "bucket", PathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	everyOperation(t, bucket, s3mesh.KindUnreachable)
}

// TestCompleteFailsLate checks an error that comes after the status line said 200.
func TestCompleteFailsLate(t *testing.T) {
	for answer, want := range map[string]s3mesh.Kind{
		"<Error><Code>InternalError</Code></Error>":                       s3mesh.KindUnreachable,
		"<Error><Code>PreconditionFailed</Code></Error>":                  s3mesh.KindPreconditionFailed,
		"<CompleteMultipartUploadResult><ETag>&quot;abc-1":                s3mesh.KindUnreachable,
		"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>": s3mesh.KindOther,
	} {
		bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("uploads") {
				fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>")
				return
			}
			fmt.Fprint(w, "<?xml version='1.0'?>   "+answer)
		})
		upload, err := bucket.BeginUpload(t.Context(), "key", s3mesh.Attributes{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = upload.Complete(t.Context(), []string{"etag"}, s3mesh.IfAbsent())
		if err == nil || s3mesh.KindOf(err) != want {
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
	}
}

// TestFrames decodes a streamed body as a store does.
func TestFrames(t *testing.T) {
	const size = 3<<20 + 5
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	bucket := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		var decoded []byte
		for {
			line, rest, _ := bytes.Cut(body, []byte("\r\n"))
			var n int
			if _, err := fmt.Sscanf(string(line), "%x", &n); err != nil || n == 0 {
				body = rest
				break
			}
			decoded, body = append(decoded, rest[:n]...), rest[n+2:]
		}
		sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
		encoded := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
		trailer := "x-amz-checksum-crc32c:" + encoded + "\r\n\r\n"
		if !bytes.Equal(decoded, data) || r.Header.Get("X-Amz-Decoded-Content-Length") != fmt.Sprint(size) {
			t.Errorf("%d bytes arrived, of %s", len(decoded), r.Header.Get("X-Amz-Decoded-Content-Length"))
		}
		if string(body) != trailer {
			t.Errorf("trailer %q, want %q", body, trailer)
		}
	})
	_, err := bucket.Put(t.Context(), "key", s3mesh.PutInput{
		Body: bytes.NewReader(data), Size: size, Condition: s3mesh.IfMatch("etag"),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := s3store.Config{Bucket: "bucket", Credentials: aws.AnonymousCredentials{}}
	for name, spoil := range map[string]func(*s3store.Config){
		"no bucket":       func(c *s3store.Config) { c.Bucket = "" },
		"no credentials":  func(c *s3store.Config) { c.Credentials = nil },
		"no scheme":       func(c *s3store.Config) { c.Endpoint = "s3.example.org" },
		"credentials URL": func(c *s3store.Config) { c.Endpoint = "https://user:hunter2@s3.example.org" },
		"not a URL":       func(c *s3store.Config) { c.Endpoint = "http://a b:hunter2" },
	} {
		cfg := good
		spoil(&cfg)
		_, err := s3store.Open(t.Context(), cfg)
		if s3mesh.KindOf(err) != s3mesh.KindInvalid || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v, want invalid and no secret", name, err)
		}
	}
	if _, err := s3store.Open(t.Context(), good); err != nil {
		t.Error(err)
	}
}
