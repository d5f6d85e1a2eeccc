package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// partTimeout bounds each part of the benchmark, so that one that hangs is reported and the rest goes on.
const partTimeout = 15 * time.Minute

// options is what to measure, and how much of it.
type options struct {
	out     string   // folder of the report
	program string   // the s3mesh to measure
	stores  []string // kinds
	parts   []string
	objects int // of a live run
	rounds  int // of each live measurement
	writes  int // one at a time, for the latency
	largeMB int // MiB of the large object
	keys    int // in each of the stores that are compared
	filled  int // objects of a backfill
	wait    time.Duration
}

var (
	allStores = []string{kindEmbedded, kindMinIO}
	allParts  = []string{"live", "idle", "memory", "requests", "profile", "merge", "compare", "backfill"}
)

func main() {
	devstore.Main() // a region's child is this program too
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "s3mesh-bench-")
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, progress: progress}
	r := newReport(o)
	var failures []error
	if slices.Contains(o.parts, "merge") {
		r.Merge, err = b.mergeAtRest(ctx)
		failures = append(failures, err)
	}
	for _, kind := range o.stores {
		measured, err := b.measure(ctx, kind)
		r.Stores = append(r.Stores, measured)
		failures = append(failures, err)
	}
	r.LoadAfter = loadAverage()
	failures = append(failures, r.save(o.out), r.write(out), os.RemoveAll(dir))
	return errors.Join(failures...)
}

func parse(args []string, errOut io.Writer) (options, error) {
	var o options
	var stores, parts string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.out, "out", "bench-out", "`folder` for report.txt, report.json and the profiles")
	flags.StringVar(&o.program, "s3mesh", filepath.Join("bin", "s3mesh"), "the `program` to measure")
	flags.StringVar(&stores, "stores", strings.Join(allStores, ","), "kinds of stores to measure on")
	flags.StringVar(&parts, "parts", strings.Join(allParts, ","), "what to measure")
	flags.IntVar(&o.objects, "objects", 4000, "objects of 4 KiB in a live run")
	flags.IntVar(&o.rounds, "rounds", 3, "runs of each live measurement; the median counts")
	flags.IntVar(&o.writes, "writes", 300, "writes, one at a time, for the idle latency")
	flags.IntVar(&o.largeMB, "large", 1024, "`MiB` of the object for the memory measurement")
	flags.IntVar(&o.keys, "keys", 100_000, "keys in each of the stores that are compared")
	flags.IntVar(&o.filled, "filled", 20_000, "objects of 4 KiB in a backfill")
	flags.DurationVar(&o.wait, "wait", time.Minute, "how long to wait, before each measurement, for other programs to come to rest")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.stores, o.parts = strings.Split(stores, ","), strings.Split(parts, ",")
	if err := errors.Join(checkNames("-stores", o.stores, allStores), checkNames("-parts", o.parts, allParts)); err != nil {
		return o, err
	}
	if o.objects < tailKeys || o.rounds < 1 || min(o.writes, o.largeMB, o.keys, o.filled) < 1 {
		return o, fmt.Errorf("-objects must be at least %d, and the other numbers positive", tailKeys)
	}
	if _, err := os.Stat(o.program); err != nil {
		return o, fmt.Errorf("the program to measure: %w; build it with make build", err)
	}
	return o, nil
}

// checkNames reports the first of the names given to a flag that is not known.
func checkNames(flagName string, given, known []string) error {
	for _, name := range given {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s %q: use some of %q", flagName, name, known)
		}
	}
	return nil
}

// bench carries out the measurements.
type bench struct {
	options
	dir      string // temporary
	fixtures int
	progress io.Writer
}

// mergeAtRest is the measurement without stores.
func (b *bench) mergeAtRest(ctx context.Context) (*mergeResult, error) {
	fmt.Fprintln(b.progress, "merge of listings")
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	if err := b.rest(ctx); err != nil {
		return nil, err
	}
	result, err := b.merge(ctx)
	if err != nil {
		return nil, fmt.Errorf("merge of listings: %w", err)
	}
	return result, nil
}

// measure takes every measurement on one kind of stores. What could not be measured is missing from the report, and is
// an error; where the stores are not installed it is neither.
func (b *bench) measure(ctx context.Context, kind string) (storesReport, error) {
	r := storesReport{Kind: kind}
	steps := []struct {
		part, name string
		measure    func(context.Context) error
	}{
		{"live", "live replication, 2 stores", func(ctx context.Context) error { return b.live(ctx, kind, 2, &r) }},
		{"live", "live replication, 3 stores", func(ctx context.Context) error { return b.live(ctx, kind, 3, &r) }},
		{"idle", "idle latency", func(ctx context.Context) error { return b.idle(ctx, kind, &r) }},
		{"memory", "memory with one large object", func(ctx context.Context) error { return b.memory(ctx, kind, &r) }},
		{"requests", "requests per object", func(ctx context.Context) error { return b.requests(ctx, kind, &r) }},
		{"profile", "CPU profile", func(ctx context.Context) error { return b.profile(ctx, kind, &r) }},
		{"compare", "comparison of equal stores", func(ctx context.Context) error { return b.compare(ctx, kind, &r) }},
		{"backfill", "backfill of an empty store", func(ctx context.Context) error { return b.backfill(ctx, kind, &r) }},
	}
	var failures []error
	for _, step := range steps {
		if !slices.Contains(b.parts, step.part) || ctx.Err() != nil || step.part == "compare" && kind != kindEmbedded {
			continue
		}
		fmt.Fprintf(b.progress, "%s: %s\n", kind, step.name)
		partCtx, cancel := context.WithTimeout(ctx, partTimeout+time.Duration(b.rounds+1)*b.wait)
		err := b.rest(partCtx)
		if err == nil {
			err = step.measure(partCtx)
		}
		cancel()
		if errors.Is(err, peer.ErrNotInstalled) {
			r.Skipped = err.Error()
			fmt.Fprintf(b.progress, "%s: skipped: %v\n", kind, err)
			return r, nil
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %s: %w", kind, step.name, err))
		}
	}
	return r, errors.Join(append(failures, ctx.Err())...)
}
