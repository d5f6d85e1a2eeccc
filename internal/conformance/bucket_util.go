package conformance

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// wantKind fails t unless err is an *s3mesh.Error of the kind.
func wantKind(t *testing.T, err error, want s3mesh.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", want)
	}
	if got := s3mesh.KindOf(err); got != want {
		t.Fatalf("kind %s, want %s: %v", got, want, err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// putAbsent writes an object that must not be there yet.
func putAbsent(t *testing.T, f BucketFixture, key, body string) s3mesh.Written {
	t.Helper()
	return must[s3mesh.Written](t)(tryPut(t, f, key, body, s3mesh.IfAbsent()))
}

func tryPut(t *testing.T, f BucketFixture, key, body string, cond s3mesh.Condition) (s3mesh.Written, error) {
	t.Helper()
	return f.Bucket.Put(t.Context(), key, s3mesh.PutInput{
		Body: streamOf([]byte(body)), Size: int64(len(body)), Condition: cond,
	})
}

// clientPut writes an object as an application does.
func clientPut(t *testing.T, f BucketFixture, key, body string) s3mesh.Written {
	t.Helper()
	return must[s3mesh.Written](t)(f.Client.Put(t.Context(), key, []byte(body), s3mesh.Attributes{}))
}

func clientDelete(t *testing.T, f BucketFixture, key string) {
	t.Helper()
	if err := f.Client.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// get reads an object whole.
func get(t *testing.T, f BucketFixture, key string, opt s3mesh.ReadOptions) (s3mesh.Object, []byte) {
	t.Helper()
	object, body, err := f.Bucket.Get(t.Context(), key, opt)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	return object, data
}

// wantBody fails t unless key holds body.
func wantBody(t *testing.T, f BucketFixture, key, body string) {
	t.Helper()
	object, data := get(t, f, key, s3mesh.ReadOptions{})
	if string(data) != body || object.Size != int64(len(body)) {
		t.Fatalf("%q holds %d bytes %.40q, size %d, want %.40q", key, len(data), data, object.Size, body)
	}
}

// wantAbsent fails t if key holds an object.
func wantAbsent(t *testing.T, f BucketFixture, key string) {
	t.Helper()
	_, err := f.Bucket.Head(t.Context(), key, s3mesh.ReadOptions{})
	wantKind(t, err, s3mesh.KindNotFound)
}

// wantRecent fails t unless at is a whole second in UTC and near now.
func wantRecent(t *testing.T, at time.Time) {
	t.Helper()
	const near = time.Minute
	if at.Location() != time.UTC || !at.Equal(at.Truncate(time.Second)) || time.Since(at).Abs() > near {
		t.Fatalf("time %v, want whole seconds, UTC, near %v", at, time.Now())
	}
}

// streamOf returns a reader that can do nothing but read.
func streamOf(data []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(data)} }
