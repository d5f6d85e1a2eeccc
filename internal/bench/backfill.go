package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
)

// bulkWorkers is replication.bulk_workers as it is by default: what s3mesh has for a link's backfill.
const bulkWorkers = 8

// countedFill is how many objects the requests of a backfill are counted over.
const countedFill = 2000

// backfillResult is how long it takes to fill a store that joins, against a raw copy.
type backfillResult struct {
	Objects int             `json:"objects"`
	Workers int             `json:"workers"`
	Rounds  []backfillRound `json:"rounds"`
	Ratio   float64         `json:"ratio"` // the median
	// Requests are what filling a store with fewer objects asks of both.
	Requests requestCount `json:"requests"`
}

// backfillRound is one round, with stores of its own. Times are in seconds.
type backfillRound struct {
	Copy     float64 `json:"copy_s"`     // a raw GET and PUT of all objects into an empty store
	Compared float64 `json:"compared_s"` // by then, s3mesh had found and queued all of them
	Backfill float64 `json:"backfill_s"` // from the request to compare until s3mesh has nothing left to do
	Ratio    float64 `json:"ratio"`
	// CPU is who spent how many CPU seconds during the backfill, CPUAlone during the raw copy.
	CPU      *cpuSeconds `json:"cpu_s,omitempty"`
	CPUAlone *cpuSeconds `json:"cpu_alone_s,omitempty"`
}

// backfill measures how a store that is empty is filled.
func (b *bench) backfill(ctx context.Context, kind string, r *storesReport) error {
	result := &backfillResult{Objects: b.filled, Workers: bulkWorkers}
	for range b.rounds {
		round, err := b.backfillRound(ctx, kind)
		if err != nil {
			return err
		}
		result.Rounds = append(result.Rounds, round)
		fmt.Fprintf(b.progress, "  raw copy %.2f s, backfill %.2f s (%.2f s to compare): ratio %.2f%s\n", round.Copy, round.Backfill,
			round.Compared, round.Ratio, round.disturbance())
	}
	result.Ratio = median(result.Rounds, func(x backfillRound) float64 { return x.Ratio })
	r.Backfill = result
	var err error
	result.Requests, err = b.countBackfill(ctx, kind)
	return err
}

func (r backfillRound) disturbance() string { return disturbed(r.CPUAlone, r.Copy, r.CPU, r.Backfill) }

// backfillRound fills one store and copies everything into it: s3mesh fills the second store, the raw copy the third, so that
// both begin with an empty one. Each first carries a few objects, so that connections are open.
func (b *bench) backfillRound(ctx context.Context, kind string) (round backfillRound, err error) {
	f, err := b.newFixture(ctx, kind, 3, nil)
	if err != nil {
		return round, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	const warm, all = "warm/", "filled/"
	for prefix, n := range map[string]int{warm: warmUp, all: b.filled} {
		if err := putFolders(ctx, f.source(), prefix, n); err != nil {
			return round, err
		}
	}
	if err := copyFolders(ctx, f.source(), f.stores[2], warm, warmUp); err != nil {
		return round, err
	}
	if err := b.rest(ctx); err != nil {
		return round, err
	}
	before, begin := cpuTimes(0), time.Now()
	if err := copyFolders(ctx, f.source(), f.stores[2], all, b.filled); err != nil {
		return round, err
	}
	round.Copy, round.CPUAlone = time.Since(begin).Seconds(), cpuTimes(0).since(before)

	if err := f.run(ctx, b.program, f.stores[:2], nil); err != nil {
		return round, err
	}
	if _, err := f.fill(ctx, warm, warmUp); err != nil {
		return round, err
	}
	if err := b.rest(ctx); err != nil {
		return round, err
	}
	before, begin = cpuTimes(f.mesh.cmd.Process.Pid), time.Now()
	if round.Compared, err = f.fill(ctx, all, b.filled); err != nil {
		return round, err
	}
	round.Backfill, round.CPU = time.Since(begin).Seconds(), cpuTimes(f.mesh.cmd.Process.Pid).since(before)
	round.Ratio = round.Copy / round.Backfill
	if err := f.holdsAll(ctx, all, b.filled); err != nil {
		return round, err
	}
	return round, f.end(ctx)
}

// countBackfill fills a store through proxies.
func (b *bench) countBackfill(ctx context.Context, kind string) (count requestCount, err error) {
	c := newCounters()
	defer func() { err = errors.Join(err, c.close()) }()
	f, err := b.newFixture(ctx, kind, 2, nil)
	if err != nil {
		return count, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	through, err := c.stores(ctx, f.stores)
	if err != nil {
		return count, err
	}
	const warm, all = "warm/", "counted/"
	for prefix, n := range map[string]int{warm: warmUp, all: countedFill} {
		if err := putFolders(ctx, f.source(), prefix, n); err != nil {
			return count, err
		}
	}
	if err := f.run(ctx, b.program, f.stores, through); err != nil {
		return count, err
	}
	if _, err := f.fill(ctx, warm, warmUp); err != nil { // what a start asks is no part of it
		return count, err
	}
	count, err = c.during(countedFill, func() error { _, err := f.fill(ctx, all, countedFill); return err })
	return count, errors.Join(err, f.end(ctx))
}

// fill has s3mesh fill the second store with n objects, and returns how many seconds the comparison took of that.
func (f *fixture) fill(ctx context.Context, prefix string, n int) (compared float64, err error) {
	begin := time.Now()
	opt := f.two()
	opt.Prefix = prefix
	report, err := f.mesh.reconcile(ctx, opt)
	if err != nil {
		return 0, err
	}
	compared = time.Since(begin).Seconds()
	if report.Differing != int64(n) {
		return 0, fmt.Errorf("the comparison found %d keys to copy, want %d", report.Differing, n)
	}
	return compared, f.mesh.quiet(ctx)
}

// holdsAll checks what s3mesh told: that the second store holds every key.
func (f *fixture) holdsAll(ctx context.Context, prefix string, n int) error {
	keys, err := f.stores[1].list(ctx, prefix)
	if err == nil && len(keys) != n {
		err = fmt.Errorf("%d of %d objects are at %s though s3mesh has nothing left to do", len(keys), n, f.stores[1].name)
	}
	return err
}

func putFolders(ctx context.Context, s *store, prefix string, n int) error {
	return inParallel(ctx, n, func(ctx context.Context, i int) error {
		_, err := put(ctx, s, folderKey(prefix, i), contentOf(i, 0), s3mesh.IfAbsent())
		return err
	})
}

// copyFolders is the raw copy, with as many workers as s3mesh has.
func copyFolders(ctx context.Context, source, target *store, prefix string, n int) error {
	return inParallelBy(ctx, bulkWorkers, n, func(ctx context.Context, i int) error {
		return copyOne(ctx, source, target, folderKey(prefix, i))
	})
}
