package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// idleGap is the pause between two writes, in which everything comes to rest.
const idleGap = 20 * time.Millisecond

// idleResult is how long single writes take to be visible at the other store.
type idleResult struct {
	Writes int `json:"writes"`
	// FromCall counts from the client's call of PUT, FromAnswer from when it returned.
	FromCall   quantiles `json:"from_call_ms"`
	FromAnswer quantiles `json:"from_answer_ms"`
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
	for i := range b.writes {
		begin := time.Now()
		if _, err := put(ctx, f.source(), keyOf("idle/", i), contentOf(i, 0), s3mesh.IfAbsent()); err != nil {
			return err
		}
		answered := time.Now()
		if err := awaitKey(ctx, f.targets()[0], keyOf("idle/", i), ""); err != nil {
			return err
		}
		visible := time.Now()
		fromCall, fromAnswer = append(fromCall, visible.Sub(begin)), append(fromAnswer, visible.Sub(answered))
		if err := pause(ctx, idleGap); err != nil {
			return err
		}
	}
	r.Idle = &idleResult{Writes: b.writes, FromCall: quantilesOf(fromCall), FromAnswer: quantilesOf(fromAnswer)}
	return f.halt(ctx)
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
