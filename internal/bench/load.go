package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
)

const (
	writers    = 16
	objectSize = 4 << 10
	// warmUp is how many objects open the connections before something is measured.
	warmUp = 200
	// tailKeys is how many of the keys written last are watched, one after the other, to see the end of a live run: tasks
	// end roughly in the order of their writes, and one listing then finds what was left behind.
	tailKeys = 64
	// pollEvery is how often a target is asked for a key.
	pollEvery = 2 * time.Millisecond
)

func keyOf(prefix string, i int) string { return fmt.Sprintf("%s%06d.bin", prefix, i) }

// contentOf returns the content of object i; contents differ, and differ between revisions.
func contentOf(i, revision int) []byte {
	body := bytes.Repeat([]byte("s3mesh-bench-0123456789-abcdefgh"), objectSize/32)
	binary.BigEndian.PutUint64(body, uint64(i))
	binary.BigEndian.PutUint64(body[8:], uint64(revision))
	return body
}

// inParallel calls do for 0 to n-1, in this order, writers at a time.
func inParallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	return inParallelBy(ctx, writers, n, do)
}

// inParallelBy is [inParallel] with so many workers.
func inParallelBy(ctx context.Context, workers, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range workers {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return ctx.Err()
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// putAll writes n new objects as clients would.
func putAll(ctx context.Context, s *store, prefix string, n int) error {
	return inParallel(ctx, n, func(ctx context.Context, i int) error {
		_, err := put(ctx, s, keyOf(prefix, i), contentOf(i, 0), s3mesh.IfAbsent())
		return err
	})
}

func put(ctx context.Context, s *store, key string, body []byte, cond s3mesh.Condition) (s3mesh.Written, error) {
	return s.bucket.Put(ctx, key, s3mesh.PutInput{Body: bytes.NewReader(body), Size: int64(len(body)), Condition: cond,
		Attributes: s3mesh.Attributes{ContentType: "application/octet-stream"}})
}

// copyAll is the raw copy: a GET and a PUT per object and target, all targets at the same time, each with as many workers
// as s3mesh has for a link.
func copyAll(ctx context.Context, source *store, targets []*store, prefix string, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, target := range targets {
		group.Go(func() error {
			return inParallel(ctx, n, func(ctx context.Context, i int) error {
				return copyOne(ctx, source, target, keyOf(prefix, i))
			})
		})
	}
	return group.Wait()
}

func copyOne(ctx context.Context, source, target *store, key string) error {
	object, body, err := source.bucket.Get(ctx, key, s3mesh.ReadOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read from: nothing is lost
	_, err = target.bucket.Put(ctx, key, s3mesh.PutInput{Body: body, Size: object.Size, Attributes: object.Attributes,
		Condition: s3mesh.IfAbsent()})
	return err
}

// awaitAll returns when the last of n keys became visible at the last of the targets. The keys written last are watched;
// a listing of each target, begun once these are visible, must then hold every key, and what it misses is waited for.
func awaitAll(ctx context.Context, targets []*store, prefix string, n int) (time.Time, error) {
	group, watch := errgroup.WithContext(ctx)
	for _, target := range targets {
		group.Go(func() error {
			for i := max(0, n-tailKeys); i < n; i++ {
				if err := awaitKey(watch, target, keyOf(prefix, i), ""); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return time.Time{}, err
	}
	last := time.Now()
	for _, target := range targets {
		late, err := awaitMissing(ctx, target, prefix, n)
		if err != nil {
			return time.Time{}, err
		}
		if late {
			last = time.Now()
		}
	}
	return last, nil
}

// awaitMissing lists a target, waits for what is missing, and reports whether anything was.
func awaitMissing(ctx context.Context, target *store, prefix string, n int) (late bool, err error) {
	keys, err := target.list(ctx, prefix)
	if err != nil {
		return false, err
	}
	for i := range n {
		if keys[keyOf(prefix, i)] {
			continue
		}
		late = true
		if err := awaitKey(ctx, target, keyOf(prefix, i), ""); err != nil {
			return late, err
		}
	}
	return late, nil
}

// awaitKey returns once the target holds the key: with this ETag, or with any when it is empty.
func awaitKey(ctx context.Context, target *store, key, etag string) error {
	return poll(ctx, pollEvery, func() (bool, error) {
		object, err := target.bucket.Head(ctx, key, s3mesh.ReadOptions{})
		if s3mesh.KindOf(err) == s3mesh.KindNotFound {
			return false, nil
		}
		return err == nil && (etag == "" || object.ETag == etag), err
	})
}

// poll calls done at once and then at every interval until it reports true.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// zeros reads as a body of any size that costs nothing to make.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func sizedBody(size int64) io.Reader { return io.LimitReader(zeros{}, size) }
