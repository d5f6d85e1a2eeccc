package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// liveResult is replication while 16 writers write, against what the same stores and clients take without s3mesh.
type liveResult struct {
	Sites   int         `json:"sites"`
	Objects int         `json:"objects"`
	Rounds  []liveRound `json:"rounds"`
	Ratio   float64     `json:"ratio"` // the median
}

// liveRound is one round. Times are in seconds.
type liveRound struct {
	Put   float64 `json:"put_s"`  // all objects, alone
	Copy  float64 `json:"copy_s"` // a raw GET and PUT of them to every target, alone
	Live  float64 `json:"live_s"` // first PUT to last object visible at every target
	Wrote float64 `json:"wrote_s"`
	Ratio float64 `json:"ratio"`
	// CPU is what each part of the machine's work took during the live run, in CPU seconds.
	CPU *cpuSeconds `json:"cpu_s,omitempty"`
}

// live measures the live ratio between n stores.
func (b *bench) live(ctx context.Context, kind string, n int, r *storesReport) (err error) {
	f, err := b.newFixture(ctx, kind, n, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	result := &liveResult{Sites: n, Objects: b.objects}
	for i := range b.rounds {
		round, err := b.liveRound(ctx, f, i)
		if err != nil {
			return err
		}
		result.Rounds = append(result.Rounds, round)
		fmt.Fprintf(b.progress, "  put %.2f s + copy %.2f s, live %.2f s: ratio %.2f\n", round.Put, round.Copy, round.Live, round.Ratio)
	}
	result.Ratio = median(result.Rounds, func(x liveRound) float64 { return x.Ratio })
	r.Live = append(r.Live, result)
	return nil
}

// liveRound takes the times alone, with s3mesh not running and no events sent, and then the live time.
func (b *bench) liveRound(ctx context.Context, f *fixture, i int) (round liveRound, err error) {
	warm := fmt.Sprintf("alone-warm-%d/", i)
	if err := errors.Join(putAll(ctx, f.source(), warm, warmUp), copyAll(ctx, f.source(), f.targets(), warm, warmUp)); err != nil {
		return round, err
	}
	alone := fmt.Sprintf("alone-%d/", i)
	begin := time.Now()
	if err := putAll(ctx, f.source(), alone, b.objects); err != nil {
		return round, err
	}
	round.Put = time.Since(begin).Seconds()
	begin = time.Now()
	if err := copyAll(ctx, f.source(), f.targets(), alone, b.objects); err != nil {
		return round, err
	}
	round.Copy = time.Since(begin).Seconds()
	if err := f.replicate(ctx, b.program, nil); err != nil {
		return round, err
	}
	if err := b.liveRun(ctx, f, fmt.Sprintf("live-%d/", i), &round); err != nil {
		return round, err
	}
	round.Ratio = (round.Put + round.Copy) / round.Live
	return round, f.halt(ctx)
}

// liveRun writes while the mesh replicates.
func (b *bench) liveRun(ctx context.Context, f *fixture, prefix string, round *liveRound) error {
	before := cpuTimes(f.mesh.cmd.Process.Pid)
	begin := time.Now()
	if err := putAll(ctx, f.source(), prefix, b.objects); err != nil {
		return err
	}
	round.Wrote = time.Since(begin).Seconds()
	end, err := awaitAll(ctx, f.targets(), prefix, b.objects)
	if err != nil {
		return err
	}
	round.Live = end.Sub(begin).Seconds()
	round.CPU = cpuTimes(f.mesh.cmd.Process.Pid).since(before)
	return nil
}
