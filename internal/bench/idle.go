package main

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
)

// idleGap is the pause between two writes, in which everything comes to rest.
const idleGap = 20 * time.Millisecond

// maxHeads bounds the HEADs under way while a key is watched.
const maxHeads = 64

// idleResult is how long single writes take to be visible at the other store.
type idleResult struct {
	Writes int `json:"writes"`
	// FromCall counts from the client's call of PUT, FromAnswer from when it returned.
	FromCall   quantiles `json:"from_call_ms"`
	FromAnswer quantiles `json:"from_answer_ms"`
	// Others is what share of the CPUs other programs had meanwhile; 0 where the system does not tell.
	Others float64 `json:"others"`
}

// quantiles are in milliseconds.
type quantiles struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// idle writes one object after the other.
func (b *bench) idle(ctx context.Context, kind string, r *storesReport) (err error) {
	f, err := b.newFixture(ctx, kind, 2, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.replicate(ctx, b.program, nil); err != nil {
		return err
	}
	var fromCall, fromAnswer []time.Duration
	before, started := cpuTimes(f.mesh.cmd.Process.Pid), time.Now()
	for i := range b.writes {
		begin := time.Now()
		if _, err := put(ctx, f.source(), keyOf("idle/", i), contentOf(i, 0), s3mesh.IfAbsent()); err != nil {
			return err
		}
		answered := time.Now()
		visible, err := firstSight(ctx, f.targets()[0], keyOf("idle/", i))
		if err != nil {
			return err
		}
		fromCall, fromAnswer = append(fromCall, visible.Sub(begin)), append(fromAnswer, visible.Sub(answered))
		if err := pause(ctx, idleGap); err != nil {
			return err
		}
	}
	r.Idle = &idleResult{Writes: b.writes, FromCall: quantilesOf(fromCall), FromAnswer: quantilesOf(fromAnswer)}
	if cpu := cpuTimes(f.mesh.cmd.Process.Pid).since(before); cpu != nil {
		r.Idle.Others = cpu.Others / float64(runtime.NumCPU()) / time.Since(started).Seconds()
	}
	return f.halt(ctx)
}

// firstSight returns when a HEAD first showed the key. One is sent at every interval, whether or not those before it were
// answered: MinIO lets a HEAD that meets the write of its key wait for tens of milliseconds, and answers the next at once.
func firstSight(ctx context.Context, target *store, key string) (time.Time, error) {
	var heads errgroup.Group
	heads.SetLimit(maxHeads)
	var mu sync.Mutex
	var first time.Time
	look := func() error {
		_, err := target.bucket.Head(ctx, key, s3mesh.ReadOptions{})
		if s3mesh.KindOf(err) == s3mesh.KindNotFound {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if first.IsZero() {
			first = time.Now()
		}
		return err
	}
	err := poll(ctx, pollEvery, func() (bool, error) {
		heads.TryGo(look)
		mu.Lock()
		defer mu.Unlock()
		return !first.IsZero(), nil
	})
	return first, errors.Join(err, heads.Wait())
}

// quantilesOf gives the nearest-rank quantiles of at least one duration.
func quantilesOf(durations []time.Duration) quantiles {
	slices.Sort(durations)
	at := func(percent int) float64 {
		rank := (len(durations)*percent + 99) / 100
		return float64(durations[max(rank, 1)-1].Microseconds()) / 1000
	}
	return quantiles{P50: at(50), P99: at(99), Max: at(100)}
}

// median returns the middle value, the lower of the two where there are two.
func median[T any](values []T, of func(T) float64) float64 {
	var all []float64
	for _, v := range values {
		all = append(all, of(v))
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
