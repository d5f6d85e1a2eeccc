package main

import (
	"context"
	"errors"
	"time"

	"github.com/s3mesh/s3mesh"
)

const mib = 1 << 20

// memoryResult is the resident memory of s3mesh while it replicates one large object, and how fast that goes.
type memoryResult struct {
	ObjectMiB int     `json:"object_mib"`
	Idle      float64 `json:"idle_mib"` // just before
	Peak      float64 `json:"peak_mib"`
	Above     float64 `json:"above_idle_mib"`
	Replicate float64 `json:"replicate_mib_s"` // from the answer to the client's PUT until it is visible
	RawCopy   float64 `json:"raw_copy_mib_s"`  // one GET streamed into one PUT, s3mesh not running
}

// memory measures with an s3mesh that was just started.
func (b *bench) memory(ctx context.Context, kind string, r *storesReport) (err error) {
	f, err := b.newFixture(ctx, kind, 2, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.replicate(ctx, b.program, nil); err != nil {
		return err
	}
	result := &memoryResult{ObjectMiB: b.largeMB}
	if err := b.replicateLarge(ctx, f, result); err != nil {
		return err
	}
	if err := f.halt(ctx); err != nil {
		return err
	}
	begin := time.Now()
	if err := copyLarge(ctx, f.source(), f.targets()[0], int64(b.largeMB)*mib); err != nil {
		return err
	}
	result.RawCopy = float64(b.largeMB) / time.Since(begin).Seconds()
	r.Memory = result
	return nil
}

const largeKey = "large.bin"

func (b *bench) replicateLarge(ctx context.Context, f *fixture, result *memoryResult) error {
	pid, size := f.mesh.cmd.Process.Pid, int64(b.largeMB)*mib
	if err := resetPeak(pid); err != nil {
		return err
	}
	idle, err := memoryOf(pid, "VmRSS")
	if err != nil {
		return err
	}
	_, err = f.source().bucket.Put(ctx, largeKey, s3mesh.PutInput{Body: sizedBody(size), Size: size, Condition: s3mesh.IfAbsent()})
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := awaitKey(ctx, f.targets()[0], largeKey, ""); err != nil {
		return err
	}
	result.Replicate = float64(b.largeMB) / time.Since(begin).Seconds()
	peak, err := memoryOf(pid, "VmHWM")
	result.Idle, result.Peak = float64(idle)/mib, float64(peak)/mib
	result.Above = result.Peak - result.Idle
	return err
}

func copyLarge(ctx context.Context, source, target *store, size int64) error {
	_, body, err := source.bucket.Get(ctx, largeKey, s3mesh.ReadOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read from: nothing is lost
	_, err = target.bucket.Put(ctx, "copied-"+largeKey, s3mesh.PutInput{Body: body, Size: size, Condition: s3mesh.IfAbsent()})
	return err
}
