package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

const (
	shownFaults   = 5  // keys whose whole story is told
	shownLogLines = 80 // of the daemon, about a key
)

// compare fails the test unless all regions hold the same under every key, and that is what the log allows.
func (w *world) compare(t *testing.T) {
	t.Helper()
	ops := w.history.byKey()
	held := w.readAll(t, slices.Collect(maps.Keys(ops)))
	faults := 0
	for _, key := range slices.Sorted(maps.Keys(held)) {
		err := w.checkKey(ops[key], held[key])
		if err == nil {
			continue
		}
		t.Errorf("%q: %v", key, err)
		if faults++; faults <= shownFaults {
			t.Log(w.story(t, key, ops[key], held[key]))
		}
	}
	t.Logf("%d keys compared", len(held))
}

// checkKey compares what each region holds, in the order of the regions.
func (w *world) checkKey(ops []*operation, held []content) error {
	var errs []error
	for i, r := range w.regions[1:] {
		if held[i+1] != held[0] {
			errs = append(errs, fmt.Errorf("%s differs from %s", r.Name, w.regions[0].Name))
		}
	}
	if len(errs) == 0 {
		return judge(ops, held[0])
	}
	return errors.Join(errs...)
}

// readAll reads the keys, and every other key that a region has, whole.
func (w *world) readAll(t *testing.T, keys []string) map[string][]content {
	t.Helper()
	for _, r := range w.regions {
		listed, err := r.list(t.Context())
		if err != nil {
			t.Fatalf("list %s: %v", r.Name, err)
		}
		keys = append(keys, listed...)
	}
	slices.Sort(keys)
	var mu sync.Mutex
	held := map[string][]content{}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for _, key := range slices.Compact(keys) {
		group.Go(func() error {
			all := make([]content, len(w.regions))
			for i, r := range w.regions {
				var err error
				if all[i], err = r.read(ctx, key); err != nil {
					return fmt.Errorf("read %q at %s: %w", key, r.Name, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			held[key] = all
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return held
}

func (r *region) read(ctx context.Context, key string) (content, error) {
	out, body, err := r.open(ctx, key)
	if err != nil || out == nil {
		return content{}, err
	}
	hash := sha256.New()
	size, err := io.Copy(hash, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return content{}, err
	}
	metadata := maps.Clone(out.Metadata)
	delete(metadata, "s3mesh-version")
	return content{Present: true, SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size,
		ContentType: aws.ToString(out.ContentType), Operation: metadata[operationName], Metadata: fmt.Sprint(metadata)}, nil
}

// story tells everything that is known of a key.
func (w *world) story(t *testing.T, key string, ops []*operation, held []content) string {
	t.Helper()
	var b strings.Builder
	for _, o := range ops {
		fmt.Fprintln(&b, o)
	}
	for i, r := range w.regions {
		fmt.Fprintf(&b, "\n%s holds %+v\n", r.Name, held[i])
		if err := r.tellVersions(t.Context(), &b, key); err != nil {
			fmt.Fprintln(&b, err)
		}
	}
	lines, err := w.daemon.linesOf(key, shownLogLines)
	if err != nil {
		fmt.Fprintln(&b, err)
	}
	return b.String() + "\n" + strings.Join(lines, "\n")
}

// tellVersions writes the version history of a key.
func (r *region) tellVersions(ctx context.Context, b *strings.Builder, key string) error {
	pages := s3.NewListObjectVersionsPaginator(r.s3, &s3.ListObjectVersionsInput{Bucket: &r.Bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, m := range page.DeleteMarkers {
			if aws.ToString(m.Key) == key {
				fmt.Fprintf(b, "  marker %s %v latest %v\n", aws.ToString(m.VersionId), aws.ToTime(m.LastModified), aws.ToBool(m.IsLatest))
			}
		}
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == key {
				r.tellVersion(ctx, b, key, aws.ToString(v.VersionId))
			}
		}
	}
	return nil
}

func (r *region) tellVersion(ctx context.Context, b *strings.Builder, key, id string) {
	out, err := r.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &r.Bucket, Key: &key, VersionId: &id})
	if err != nil {
		fmt.Fprintf(b, "  version %s: %v\n", id, err)
		return
	}
	fmt.Fprintf(b, "  version %s %v %s %v\n", id, aws.ToTime(out.LastModified), aws.ToString(out.ETag), out.Metadata)
}
