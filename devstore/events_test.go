package devstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh/devstore"
)

// announced starts a region that sends its events to a new intake.
func announced(tb testing.TB, change ...func(*devstore.Config)) (*intake, *devstore.Region, devstore.Config) {
	tb.Helper()
	in := newIntake(tb)
	cfg := config(tb)
	cfg.EventURL, cfg.EventToken = in.URL, token
	for _, c := range change {
		c(&cfg)
	}
	return in, start(tb, cfg), cfg
}

func TestEventOfPut(t *testing.T) {
	in, r, cfg := announced(t)
	before := time.Now().Add(-time.Second)
	out := put(t, connect(t, r, cfg.Replicator), "k", "12345")
	e := in.one(t)
	if e.EventSource != "aws:s3" || e.AwsRegion != "us-east-1" || e.EventName != "ObjectCreated:Put" ||
		e.UserIdentity.PrincipalID != "replicator" || e.S3.Bucket.Name != bucket || e.S3.Object.Size != 5 ||
		e.S3.Object.ETag != strings.Trim(*out.ETag, `"`) || e.S3.Object.VersionID != *out.VersionId ||
		e.S3.Object.Sequencer == "" || e.EventTime.Before(before) || e.EventTime.After(time.Now()) {
		t.Errorf("event %+v of %+v", e, out)
	}
	put(t, connect(t, r, cfg.Client), "k", "")
	next := in.one(t)
	if next.UserIdentity.PrincipalID != "client" || next.S3.Object.Sequencer <= e.S3.Object.Sequencer {
		t.Errorf("the client's write: %+v after %+v", next, e)
	}
}

func TestEventKinds(t *testing.T) {
	in, r, cfg := announced(t)
	c, ctx, name := connect(t, r, cfg.Client), t.Context(), aws.String(bucket)
	is := func(what, event, key, version string, size int64) {
		t.Helper()
		e := in.one(t)
		if o := e.S3.Object; e.EventName != event || e.key(t) != key || o.VersionID != version || o.Size != size {
			t.Errorf("%s: event %+v, want %s of %s version %s size %d", what, e, event, key, version, size)
		}
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	src := put(t, c, "dir/source", "body")
	is("put", "ObjectCreated:Put", "dir/source", *src.VersionId, 4)

	copied, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: name, Key: aws.String("copy"),
		CopySource: aws.String(bucket + "/dir/source")})
	check(err)
	is("copy", "ObjectCreated:Copy", "copy", *copied.VersionId, 4)

	tagging := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}
	_, err = c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: name, Key: aws.String("copy"), Tagging: tagging})
	check(err)
	is("tag", "ObjectTagging:Put", "copy", "", 0)
	_, err = c.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: name, Key: aws.String("copy")})
	check(err)
	is("untag", "ObjectTagging:Delete", "copy", "", 0)

	marker, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: aws.String("copy")})
	check(err)
	is("delete", "ObjectRemoved:DeleteMarkerCreated", "copy", *marker.VersionId, 0)
	_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: aws.String("copy"), VersionId: marker.VersionId})
	check(err)
	is("delete the marker", "ObjectRemoved:Delete", "copy", *marker.VersionId, 0)
	_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: aws.String("never")})
	check(err)
	is("delete nothing", "ObjectRemoved:Delete", "never", "", 0)

	id, size := multipart(t, c, "big", nil)
	is("multipart", "ObjectCreated:CompleteMultipartUpload", "big", id, size)
}

// multipart uploads two parts and returns the version ID and the size.
func multipart(tb testing.TB, c *s3.Client, key string, ifNoneMatch *string) (versionID string, size int64) {
	tb.Helper()
	out, size, err := tryMultipart(c, key, ifNoneMatch)
	if err != nil {
		tb.Fatal(err)
	}
	return aws.ToString(out.VersionId), size
}

func tryMultipart(c *s3.Client, key string, ifNoneMatch *string) (*s3.CompleteMultipartUploadOutput, int64, error) {
	ctx, name := context.Background(), aws.String(bucket)
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: name, Key: &key})
	if err != nil {
		return nil, 0, err
	}
	var parts []types.CompletedPart
	var size int64
	for i, body := range [][]byte{bytes.Repeat([]byte{'a'}, 5<<20), []byte("the end")} {
		number := aws.Int32(int32(i + 1))
		part, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: name, Key: &key, UploadId: up.UploadId,
			PartNumber: number, Body: bytes.NewReader(body)})
		if err != nil {
			return nil, 0, err
		}
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: number, ChecksumCRC32: part.ChecksumCRC32})
		size += int64(len(body))
	}
	out, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: name, Key: &key,
		UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}, IfNoneMatch: ifNoneMatch})
	return out, size, err
}

func TestEventsOfDeleteObjects(t *testing.T) {
	in, r, cfg := announced(t)
	c := connect(t, r, cfg.Client)
	one, two := put(t, c, "one & only", "1"), put(t, c, "two", "2")
	in.take()
	out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{
			{Key: aws.String("one & only")},
			{Key: aws.String("two"), VersionId: two.VersionId},
			{Key: aws.String("two"), VersionId: aws.String("not-a-version")},
		}}})
	if err != nil || len(out.Deleted) != 2 || len(out.Errors) != 1 {
		t.Fatalf("deleted %+v, %v", out, err)
	}
	messages := in.take()
	if len(messages) != 1 || len(messages[0]) != 2 {
		t.Fatalf("messages %+v, want one with two records", messages)
	}
	first, second := messages[0][0], messages[0][1]
	if first.EventName != "ObjectRemoved:DeleteMarkerCreated" || first.key(t) != "one & only" ||
		first.S3.Object.VersionID != *out.Deleted[0].DeleteMarkerVersionId || first.S3.Object.VersionID == *one.VersionId {
		t.Errorf("first: %+v", first)
	}
	if second.EventName != "ObjectRemoved:Delete" || second.key(t) != "two" ||
		second.S3.Object.VersionID != *two.VersionId || second.S3.Object.Sequencer <= first.S3.Object.Sequencer {
		t.Errorf("second: %+v", second)
	}
}

func TestOddKeys(t *testing.T) {
	in, r, cfg := announced(t)
	c := connect(t, r, cfg.Client)
	for _, key := range []string{
		"plain", "with space", "plus+sign", "per%cent", "%2B", "%252B", "a%2Fb", "trail/", "ünï/цод/日本語", "emoji-😀",
		"q?x=1&y=2#frag", "semi;colon:at@", `quote"s'`, "tab\tnew", "<xml>&amp;", "tilde~*()!", "back\\slash", "a=b,c",
		strings.Repeat("long/", 200) + "end",
	} {
		body := "x"
		if strings.HasSuffix(key, "/") {
			body = ""
		}
		put(t, c, key, body)
		if got := in.one(t).key(t); got != key {
			t.Errorf("put: event of %q, want %q", got, key)
		}
		if got := get(t, c, key, ""); got != body {
			t.Errorf("get %q: %q", key, got)
		}
		if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
			t.Errorf("delete %q: %v", key, err)
		}
		if got := in.one(t).key(t); got != key {
			t.Errorf("delete: event of %q, want %q", got, key)
		}
	}
}

func TestResponseWaitsForIntake(t *testing.T) {
	in, r, cfg := announced(t)
	arrived, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	in.before = func(http.ResponseWriter) bool {
		close(arrived)
		<-release
		return false
	}
	c := connect(t, r, cfg.Client)
	go func() {
		defer close(done)
		_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"),
			Body: strings.NewReader("v")})
		if err != nil {
			t.Error(err)
		}
	}()
	within(t, "the event", arrived)
	// The write is committed: it can be read. Had its response been sent before that of the read, done would be closed
	// by now or soon; a round of requests gives it the time.
	for range 20 {
		get(t, c, "k", "")
	}
	select {
	case <-done:
		t.Error("the client has its response before the event is taken")
	default:
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		if err := r.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	close(release)
	within(t, "the response", done)
	within(t, "the stop", stopped)
	in.one(t)
}

func TestIntakeDownForAWhile(t *testing.T) {
	in, r, cfg := announced(t)
	var calls atomic.Int32
	in.before = func(w http.ResponseWriter) bool {
		switch calls.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			panic(http.ErrAbortHandler) // cuts the connection
		case 3:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			return false
		}
		return true
	}
	put(t, connect(t, r, cfg.Client), "k", "v")
	if e := in.one(t); e.key(t) != "k" || calls.Load() != 4 {
		t.Errorf("after %d calls: %+v", calls.Load(), e)
	}
}

func TestRefusedEventIsLoggedNotRetried(t *testing.T) {
	logged := make(chan string, 100)
	var calls atomic.Int32
	in, r, cfg := announced(t, func(cfg *devstore.Config) {
		cfg.EventToken = "wrong-token"
		cfg.Logger = slog.New(slog.NewTextHandler(lines(logged), &slog.HandlerOptions{Level: slog.LevelError}))
	})
	in.before = func(http.ResponseWriter) bool { calls.Add(1); return false }
	put(t, connect(t, r, cfg.Client), "lost-key", "v")
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	select {
	case line := <-logged:
		if !strings.Contains(line, "lost-key") || !strings.Contains(line, "400") || strings.Contains(line, "wrong-token") {
			t.Errorf("logged %s", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing was logged")
	}
}

type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestNoEventIsLostUnderManyWriters(t *testing.T) {
	in, r, cfg := announced(t)
	const writers, each = 16, 250
	c := connect(t, r, cfg.Client)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				key := fmt.Sprintf("writer %d/key+%d %s", w, n, strings.Repeat("é", (w*each+n)%40))
				_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key,
					Body: strings.NewReader(key)})
				if err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	seen := map[string]int{}
	for _, message := range in.take() {
		for _, e := range message {
			key := e.key(t)
			seen[key]++
			if int(e.S3.Object.Size) != len(key) {
				t.Fatalf("size %d of %q", e.S3.Object.Size, key)
			}
		}
	}
	for w := range writers {
		for n := range each {
			key := fmt.Sprintf("writer %d/key+%d %s", w, n, strings.Repeat("é", (w*each+n)%40))
			if seen[key] != 1 {
				t.Fatalf("%d events of %q", seen[key], key)
			}
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d keys announced, want %d", len(seen), writers*each)
	}
}

func code(err error) string {
	var e interface{ ErrorCode() string }
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}
