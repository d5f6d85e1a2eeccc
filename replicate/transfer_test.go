package replicate_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// flipped is a reader whose bodies have one bit wrong.
type flipped struct{ *spy }

func (r flipped) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	obj, body, err := r.spy.Get(ctx, key, opt)
	if err != nil {
		return obj, nil, err
	}
	data, err := io.ReadAll(body)
	data[len(data)/2] ^= 1
	return obj, io.NopCloser(bytes.NewReader(data)), err
}

func random(t *testing.T, size int) string {
	t.Helper()
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSizes(t *testing.T) {
	const large = 8 << 20
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, large - 1, large, 3*16<<20 + 5} {
		f := newFixture(nil)
		body := random(t, size)
		ev := f.put(t, "us", "a", body)
		want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
		if got := f.body(t, "eu", "a"); got != body {
			t.Errorf("%d bytes: the replica has %d bytes, or other ones", size, len(got))
		}
		if begun := f.sites["eu"].takeCounts()["BEGIN"]; (begun == 1) != (size >= large) {
			t.Errorf("%d bytes: %d uploads", size, begun)
		}
	}
}

// A replica of a multipart object of equal parts has the parts of the source, and so its ETag.
func TestPartBoundariesAreKept(t *testing.T) {
	f := newFixture(nil)
	const part = 6 << 20
	upload, err := f.sites["us"].bucket.BeginUpload(t.Context(), "a", s3mesh.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	var etags []string
	for i, size := range []int{part, part, 1 << 20} {
		etag, err := upload.PutPart(t.Context(), i+1, strings.NewReader(random(t, size)), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		etags = append(etags, etag)
	}
	source, err := upload.Complete(t.Context(), etags, s3mesh.IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	events := f.takeEvents()
	want(t, f.carry(t.Context(), events[len(events)-1], "eu"), s3mesh.ResultReplicated)
	replica, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if replica.ETag != source.ETag {
		t.Errorf("ETag %s, the source has %s", replica.ETag, source.ETag)
	}
}

func TestPartIsTriedAgain(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", random(t, 3*16<<20))
	var tries atomic.Int32
	f.sites["eu"].on("PART", func() error {
		if tries.Add(1) <= 2 {
			return fault(s3mesh.KindUnreachable, "eu")
		}
		return nil
	})
	want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	if counts := f.sites["eu"].takeCounts(); counts["BEGIN"] != 1 || counts["PART"] != 5 {
		t.Errorf("%v", counts)
	}
}

func TestFailedUploadIsAborted(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", random(t, 9<<20))
	f.sites["eu"].on("PART", func() error { return fault(s3mesh.KindAccessDenied, "eu") })
	out := f.carry(t.Context(), ev, "eu")
	if s3mesh.KindOf(out.Err) != s3mesh.KindAccessDenied {
		t.Errorf("%v", out.Err)
	}
	if counts := f.sites["eu"].takeCounts(); counts["ABORT"] != 1 || counts["COMPLETE"] != 0 {
		t.Errorf("%v", counts)
	}
}

// A large object that is overwritten while it is copied is not mixed up of two versions, and the newer one follows.
func TestOverwrittenWhileCopied(t *testing.T) {
	for name, options := range map[string]map[string]siteOptions{"versioned": nil, "unversioned": {"us": {unversioned: true}}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(options)
			first, second := random(t, 3*16<<20), random(t, 3*16<<20)
			ev := f.put(t, "us", "a", first)
			f.sites["eu"].once("PART", func() { f.put(t, "us", "a", second) })
			out := f.carry(t.Context(), ev, "eu")
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			if got := f.body(t, "eu", "a"); got != first && got != second {
				t.Error("the replica is neither of the two versions")
			}
			want(t, onlyOnce(f.carry(t.Context(), ev, "eu")), s3mesh.ResultInSync)
			if f.body(t, "eu", "a") != second {
				t.Error("the newer version did not follow")
			}
		})
	}
}

// onlyOnce reads "replicated now" and "was replicated already" as the same good end.
func onlyOnce(out s3mesh.Outcome) s3mesh.Outcome {
	if out.Result == s3mesh.ResultReplicated {
		out.Result = s3mesh.ResultInSync
	}
	return out
}

func TestBodyThatEndsEarly(t *testing.T) {
	f := newFixture(nil)
	for _, size := range []int{100, 300 << 10} {
		ev := f.put(t, "us", "a", random(t, size))
		f.engines["eu"].Readers = map[string]s3mesh.Reader{"us": cutOff{f.sites["us"]}, "eu": f.sites["eu"]}
		out := f.carry(t.Context(), ev, "eu")
		if s3mesh.KindOf(out.Err) != s3mesh.KindCorrupted || f.body(t, "eu", "a") != "" {
			t.Errorf("%d bytes: %s, %v", size, out.Result, out.Err)
		}
	}
}

// cutOff is a reader whose bodies break off half way.
type cutOff struct{ *spy }

func (r cutOff) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	obj, body, err := r.spy.Get(ctx, key, opt)
	if err != nil {
		return obj, nil, err
	}
	return obj, struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, obj.Size/2), failing{}), body}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }
