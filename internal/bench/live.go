package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	// CPU is who spent how many CPU seconds during the live run, CPUAlone during the two times alone.
	CPU      *cpuSeconds `json:"cpu_s,omitempty"`
	CPUAlone *cpuSeconds `json:"cpu_alone_s,omitempty"`
}

// live measures the live ratio between n stores.
func (b *bench) live(ctx context.Context, kind string, n int, r *storesReport) (err error) {
	f, err := b.newFixture(ctx, kind, n, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	// Stores are slower with the first few thousand objects they take, which would count in favour of s3mesh.
	if err := alone(ctx, f, "cold/", b.objects, &liveRound{}); err != nil {
		return err
	}
	result := &liveResult{Sites: n, Objects: b.objects}
	for i := range b.rounds {
		if err := b.rest(ctx); err != nil {
			return err
		}
		round, err := b.liveRound(ctx, f, i)
		if err != nil {
			return err
		}
		result.Rounds = append(result.Rounds, round)
		fmt.Fprintf(b.progress, "  put %.2f s + copy %.2f s, live %.2f s: ratio %.2f%s\n", round.Put, round.Copy, round.Live,
			round.Ratio, round.disturbance())
	}
	result.Ratio = median(result.Rounds, func(x liveRound) float64 { return x.Ratio })
	r.Live = append(r.Live, result)
	return nil
}

// disturbance tells what other programs took of the machine, for people.
func (r liveRound) disturbance() string { return disturbed(r.CPUAlone, r.Put+r.Copy, r.CPU, r.Live) }

// disturbed tells what other programs took of the machine while s3mesh did not run, and while it did: for so many seconds each.
func disturbed(alone *cpuSeconds, aloneFor float64, with *cpuSeconds, withFor float64) string {
	if alone == nil || with == nil {
		return ""
	}
	cpus := float64(runtime.NumCPU())
	return fmt.Sprintf("; other programs had %.0f %% of the CPUs alone, %.0f %% with s3mesh",
		100*alone.Others/cpus/aloneFor, 100*with.Others/cpus/withFor)
}

// liveRound takes the times alone, with s3mesh not running and no events sent, and then the live time.
func (b *bench) liveRound(ctx context.Context, f *fixture, i int) (round liveRound, err error) {
	if err := alone(ctx, f, fmt.Sprintf("alone-warm-%d/", i), warmUp, &liveRound{}); err != nil {
		return round, err
	}
	if err := alone(ctx, f, fmt.Sprintf("alone-%d/", i), b.objects, &round); err != nil {
		return round, err
	}
	if err := f.replicate(ctx, b.program, nil); err != nil {
		return round, err
	}
	if err := b.liveRun(ctx, f, fmt.Sprintf("live-%d/", i), &round); err != nil {
		return round, err
	}
	round.Ratio = (round.Put + round.Copy) / round.Live
	return round, f.halt(ctx)
}

// alone writes n objects, and then copies them.
func alone(ctx context.Context, f *fixture, prefix string, n int, round *liveRound) error {
	before := cpuTimes(0)
	begin := time.Now()
	if err := putAll(ctx, f.source(), prefix, n); err != nil {
		return err
	}
	round.Put = time.Since(begin).Seconds()
	begin = time.Now()
	if err := copyAll(ctx, f.source(), f.targets(), prefix, n); err != nil {
		return err
	}
	round.Copy = time.Since(begin).Seconds()
	round.CPUAlone = cpuTimes(0).since(before)
	return nil
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
