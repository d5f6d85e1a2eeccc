package devstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

// TestKillLeavesNoHalfDelete kills a region at random points while clients overwrite and delete. After a restart every key
// has the versions that were acknowledged, and on top at most the one that was on its way.
func TestKillLeavesNoHalfDelete(t *testing.T) {
	const rounds, clients, fewest, most = 6, 24, 60, 200
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	cfg := config(t)
	for round := range rounds {
		r := start(t, cfg)
		c := connect(t, r, cfg.Client)
		left := atomic.Int64{}
		left.Store(fewest + random.Int64N(most-fewest))
		enough := make(chan struct{})
		acknowledged := func() {
			if left.Add(-1) == 0 {
				close(enough)
			}
		}
		writers := make([]*writer, clients)
		var wg sync.WaitGroup
		for n := range writers {
			w := &writer{key: fmt.Sprintf("round%d/k%d", round, n), acknowledged: acknowledged}
			writers[n] = w
			wg.Go(func() { w.write(context.Background(), c) })
		}
		within(t, "the writes", enough)
		r.Kill()
		wg.Wait()
		checkWriters(t, cfg, fmt.Sprintf("round%d/", round), writers)
	}
}

// writer overwrites and deletes a key of its own, and keeps account of it.
type writer struct {
	key          string
	acknowledged func()
	versions     []version // acknowledged, the latest first
	pending      version   // without an ID
}

// write ends at the first error: the region is gone.
func (w *writer) write(ctx context.Context, c *s3.Client) {
	for i := 0; ; i++ {
		w.pending = version{Marker: i%3 == 2, Body: fmt.Sprintf("body %d of %s ", i, w.key) + strings.Repeat("x", 8<<10)}
		id, err := w.send(ctx, c)
		if err != nil {
			return
		}
		w.pending.ID = id
		w.versions = slices.Insert(w.versions, 0, w.pending)
		w.acknowledged()
	}
}

func (w *writer) send(ctx context.Context, c *s3.Client) (id string, err error) {
	if w.pending.Marker {
		w.pending.Body = ""
		out, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &w.key})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.VersionId), nil
	}
	out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &w.key,
		Body: strings.NewReader(w.pending.Body)})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

// checkWriters starts the region again and compares what it has with what the writers know.
func checkWriters(t *testing.T, cfg devstore.Config, prefix string, writers []*writer) {
	t.Helper()
	r := start(t, cfg)
	defer r.Kill()
	for _, dir := range []string{"objects", "versions"} {
		if files := filesIn(t, filepath.Join(cfg.Dir, dir, bucket, ".sgwtmp")); len(files) > 0 {
			t.Errorf("left in %s: %q", dir, files)
		}
	}
	all := versions(t, connect(t, r, cfg.Client), prefix)
	for _, w := range writers {
		got := all[w.key]
		delete(all, w.key)
		if len(got) == len(w.versions)+1 {
			w.pending.ID = got[0].ID
			w.versions = slices.Insert(w.versions, 0, w.pending)
		}
		if !slices.Equal(got, w.versions) {
			t.Errorf("%s: has %s, want %s", w.key, tell(got), tell(w.versions))
		}
	}
	for key := range all {
		t.Errorf("nobody wrote %s", key)
	}
}

// filesIn returns the names of the files in dir, without its directories.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// TestUploadSurvivesAKill: what is cleared at a start are unfinished files, and not the parts of uploads that go on.
func TestUploadSurvivesAKill(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	c, name, key := connect(t, r, cfg.Client), aws.String(bucket), aws.String("k")
	upload, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: name, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	part, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: name, Key: key, UploadId: upload.UploadId,
		PartNumber: aws.Int32(1), Body: strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	r.Kill()
	dirs, err := filepath.Glob(filepath.Join(cfg.Dir, "objects", bucket, ".sgwtmp", "multipart", "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("uploads are in %q, %v", dirs, err)
	}
	if err := os.WriteFile(filepath.Join(dirs[0], "unfinished"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c = connect(t, start(t, cfg), cfg.Client)
	if files := filesIn(t, dirs[0]); len(files) > 0 {
		t.Errorf("left: %q", files)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: name, Key: key,
		UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
			{ETag: part.ETag, PartNumber: aws.Int32(1)}}}})
	if err != nil || get(t, c, "k", "") != "body" {
		t.Errorf("complete: %v", err)
	}
}

// tell shortens bodies.
func tell(list []version) string {
	var b strings.Builder
	for _, v := range list {
		fmt.Fprintf(&b, "{%s %v %.20s}", v.ID, v.Marker, v.Body)
	}
	return b.String()
}
