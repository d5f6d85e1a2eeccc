package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/reconcile"
)

const (
	// folderKeys is how many keys there are in a folder, where keys are in folders.
	folderKeys = 1000
	// comparedSize is of the objects that are compared, in bytes; only their listings and headers are read.
	comparedSize = 64
	// settledAfter is how old objects have to be at the start of a comparison for the next one to count them as compared: a minute
	// and max_clock_skew's default of 2 s, and what rounding to seconds takes.
	settledAfter = 65 * time.Second
	// reportPoll is how often the mesh is asked whether a comparison has ended.
	reportPoll = 10 * time.Millisecond
)

// compareResult is what it takes to find that stores hold the same.
type compareResult struct {
	Keys  int            `json:"keys"`
	Two   compareRuns    `json:"two_stores"`
	Three compareRuns    `json:"three_stores"`
	Peer  *rcloneTimes   `json:"rclone,omitempty"` // between the first two stores; nil where rclone is not installed
	Asked compareCounted `json:"requests"`
}

// compareRuns is the time of comparisons in seconds.
type compareRuns struct {
	First  float64   `json:"first_s"` // every object is asked for once
	Again  []float64 `json:"again_s"`
	Median float64   `json:"again_median_s"`
	// CPU is who spent how many CPU seconds in the first run, CPUAgain in the last one.
	CPU      *cpuSeconds `json:"first_cpu_s,omitempty"`
	CPUAgain *cpuSeconds `json:"again_cpu_s,omitempty"`
}

// compare measures comparisons of stores that hold the same objects.
func (b *bench) compare(ctx context.Context, kind string, r *storesReport) (err error) {
	f, err := b.newFixture(ctx, kind, 3, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := fillAlike(ctx, f.stores, b.keys); err != nil {
		return err
	}
	written := time.Now()
	result := &compareResult{Keys: b.keys}
	peer, err := newRclone(f.stores[:2], nil)
	if err != nil {
		fmt.Fprintf(b.progress, "  without rclone: %v\n", err)
	} else if result.Peer, err = peer.times(ctx); err != nil {
		return err
	}
	if err := pause(ctx, time.Until(written.Add(settledAfter))); err != nil {
		return err
	}
	if err := f.run(ctx, b.program, f.stores, nil); err != nil {
		return err
	}
	if err := b.compareRuns(ctx, f, peer, result); err != nil {
		return err
	}
	if err := f.end(ctx); err != nil {
		return err
	}
	r.Compare = result
	return b.countCompare(ctx, f, result)
}

// fillAlike has clients write the same objects to every store.
func fillAlike(ctx context.Context, stores []*store, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range stores {
		group.Go(func() error {
			return inParallel(ctx, n, func(ctx context.Context, i int) error {
				_, err := s.bucket.Put(ctx, folderKey("compared/", i), s3mesh.PutInput{Condition: s3mesh.IfAbsent(),
					Body: bytes.NewReader(contentOf(i, 0)[:comparedSize]), Size: comparedSize, Attributes: s3mesh.Attributes{
						ContentType: "application/octet-stream", Metadata: map[string]string{rcloneModTime: "1790000000.5"}}})
				return err
			})
		})
	}
	return group.Wait()
}

// folderKey spreads keys over folders.
func folderKey(prefix string, i int) string {
	return keyOf(fmt.Sprintf("%s%03d/", prefix, i/folderKeys), i)
}

// two are the options that compare only the stores that rclone compares, in its direction.
func (f *fixture) two() reconcile.Options {
	return reconcile.Options{From: []string{f.stores[0].name}, To: []string{f.stores[1].name}}
}

// compareRuns takes the first runs, and then rounds of those that follow, in turn with rclone.
func (b *bench) compareRuns(ctx context.Context, f *fixture, peer *rclone, result *compareResult) error {
	kinds := []struct {
		opt  reconcile.Options
		runs *compareRuns
		name string
	}{{f.two(), &result.Two, "2 stores"}, {reconcile.Options{}, &result.Three, "3 stores"}}
	for _, k := range kinds {
		first, cpu, err := f.mesh.noop(ctx, k.opt, b.keys)
		if err != nil {
			return err
		}
		k.runs.First, k.runs.CPU = first, cpu
		fmt.Fprintf(b.progress, "  %s: first %.2f s\n", k.name, first)
	}
	for range b.rounds {
		if err := b.rest(ctx); err != nil {
			return err
		}
		if peer != nil {
			seconds, err := peer.run(ctx, "check", "--size-only")
			if err != nil {
				return err
			}
			result.Peer.Check = append(result.Peer.Check, seconds)
			fmt.Fprintf(b.progress, "  rclone check --size-only %.2f s\n", seconds)
		}
		for _, k := range kinds {
			again, cpu, err := f.mesh.noop(ctx, k.opt, 0)
			if err != nil {
				return err
			}
			k.runs.Again, k.runs.CPUAgain = append(k.runs.Again, again), cpu
			fmt.Fprintf(b.progress, "  %s: again %.2f s\n", k.name, again)
		}
	}
	for _, k := range kinds {
		k.runs.Median = middle(k.runs.Again)
	}
	if peer != nil {
		result.Peer.CheckMedian = middle(result.Peer.Check)
	}
	return nil
}

func middle(seconds []float64) float64 { return median(seconds, func(x float64) float64 { return x }) }

// noop times a comparison that must find nothing, and ask for so many objects by themselves.
func (m *mesh) noop(ctx context.Context, opt reconcile.Options, checked int) (float64, *cpuSeconds, error) {
	before, begin := cpuTimes(m.cmd.Process.Pid), time.Now()
	report, err := m.reconcile(ctx, opt)
	if err != nil {
		return 0, nil, err
	}
	seconds := time.Since(begin).Seconds()
	if report.Differing != 0 || report.Checked != int64(checked) {
		return 0, nil, fmt.Errorf("a comparison of equal stores found %d keys that differ, and asked for %d, want none and %d",
			report.Differing, report.Checked, checked)
	}
	return seconds, cpuTimes(m.cmd.Process.Pid).since(before), nil
}

// reconcile has the mesh compare, and waits until it has.
func (m *mesh) reconcile(ctx context.Context, opt reconcile.Options) (reconcile.Report, error) {
	var begun reconcile.Progress
	if err := m.status.StartReconcile(ctx, opt, &begun); err != nil {
		return reconcile.Report{}, err
	}
	var status reconcile.Status
	err := poll(ctx, reportPoll, func() (bool, error) {
		status = reconcile.Status{}
		err := m.status.ReconcileStatus(ctx, &status)
		return status.Last != nil && status.Last.Run == begun.Run, err
	})
	if err == nil && !status.Last.Complete {
		err = fmt.Errorf("the comparison ended early: %s", status.Last.Error)
	}
	if err != nil {
		return reconcile.Report{}, err
	}
	return *status.Last, nil
}

// compareCounted is what comparisons ask of the stores.
type compareCounted struct {
	First requestCount  `json:"first"` // of three stores, over the keys of ten folders
	Again requestCount  `json:"again"` // of three stores
	Check *requestCount `json:"rclone_check,omitempty"`
	Sync  *requestCount `json:"rclone_sync,omitempty"` // over the keys of ten folders
}

// countCompare repeats the comparisons through proxies, which would disturb the times.
func (b *bench) countCompare(ctx context.Context, f *fixture, result *compareResult) (err error) {
	c := newCounters()
	defer func() { err = errors.Join(err, c.close()) }()
	through, err := c.stores(ctx, f.stores)
	if err != nil {
		return err
	}
	if err := f.run(ctx, b.program, f.stores, through); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.end(ctx)) }()
	const tenth = "compared/00" // the first ten folders
	n := min(b.keys, 10*folderKeys)
	asked := &result.Asked
	if _, _, err := f.mesh.noop(ctx, reconcile.Options{Prefix: tenth}, 0); err != nil { // what a start asks is no part of it
		return err
	}
	if asked.Again, err = c.during(b.keys, func() error {
		_, _, err := f.mesh.noop(ctx, reconcile.Options{}, 0)
		return err
	}); err != nil {
		return err
	}
	if asked.First, err = c.during(n, func() error {
		_, _, err := f.mesh.noop(ctx, reconcile.Options{Prefix: tenth, Full: true}, n)
		return err
	}); err != nil || result.Peer == nil {
		return err
	}
	peer, err := newRclone(f.stores[:2], through)
	if err != nil {
		return err
	}
	check, err := c.during(b.keys, func() error { _, err := peer.run(ctx, "check", "--size-only"); return err })
	if err != nil {
		return err
	}
	sync, err := c.during(n, func() error { _, err := peer.sync(ctx, "--include", "/"+tenth+"*/**"); return err })
	asked.Check, asked.Sync = &check, &sync
	return err
}
