package verify

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// saveEvery is how often it is kept how far a run came.
	saveEvery = 2 * time.Second
	// repairBatch is how many repairs are asked for at once.
	repairBatch = 500
	// lastRepairs is how long a run that is cut off takes at most to ask for the repairs of what it has counted.
	lastRepairs = 10 * time.Second
	// ahead is how many keys per worker are compared ahead of one that takes long.
	ahead = 8
)

// runner is one run. What follows opt is used by the goroutine of [Run] alone, but for bytes.
type runner struct {
	Config
	names   []string
	opt     Options
	state   state
	total   int64
	repairs []Repair
	saved   time.Time
	bytes   atomic.Int64 // read in this process
}

// Run compares the sites, and returns what it found. When it is cut off, by an error or by ctx, the report is of what was
// compared so far, and the next run with the same options and state file goes on from there. What is wrong with cfg, or with the
// state file, is KindInvalid; an error of a site, or of its listing, is as the site told it. A key that a site refuses is a
// finding.
//
// Memory does not depend on the number of keys, unless a sample of a number of keys is asked for, nor on the sizes of objects.
func Run(ctx context.Context, cfg Config, opt Options) (Report, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return Report{}, err
	}
	r := &runner{Config: cfg, opt: opt}
	for _, site := range cfg.Set.Sites {
		r.names = append(r.names, site.Name)
	}
	resumed, err := r.begin()
	if err != nil {
		return Report{}, err
	}
	err = r.run(ctx)
	if err != nil {
		err = errors.Join(err, r.settle(context.WithoutCancel(ctx), lastRepairs))
	} else if err = r.settle(ctx, 0); err == nil {
		err = r.forget()
	}
	return r.report(resumed, err == nil), err
}

// begin takes up an earlier run, or starts one.
func (r *runner) begin() (resumed bool, err error) {
	id, err := r.identity()
	if err != nil {
		return false, err
	}
	if resumed, err = r.load(id); err != nil || resumed {
		return resumed, err
	}
	r.state = state{Format: stateFormat, Run: id, Started: r.Now(), Seed: rand.Uint64()} //nolint:gosec // no secret
	if r.opt.Seed != nil {
		r.state.Seed = *r.opt.Seed
	}
	return false, nil
}

func (r *runner) run(ctx context.Context) error {
	r.saved = r.Now()
	r.state.Counts.Found = maps.Clone(r.state.Counts.Found)
	if r.state.Counts.Found == nil {
		r.state.Counts.Found = make(map[Verdict]int64)
	}
	if r.opt.Sample.Keys > 0 {
		keys, listed, err := r.choose(ctx)
		if err != nil {
			return err
		}
		r.total, r.state.Counts.Listed = int64(len(keys)), listed
		after, done := slices.BinarySearch(keys, r.state.Key)
		if done {
			after++
		}
		return r.pass(ctx, chosen(keys[after:]))
	}
	if r.state.Pass == 0 {
		if err := r.pass(ctx, r.merge(ctx)); err != nil {
			return err
		}
		r.state.Pass++
	}
	for r.state.Pass <= len(r.state.Unordered) {
		if err := r.pass(ctx, r.unorderedPass(ctx, r.state.Unordered[r.state.Pass-1])); err != nil {
			return err
		}
		r.state.Pass++
	}
	return nil
}

// pass compares items, and notes the results in the order of the items.
func (r *runner) pass(ctx context.Context, items iter.Seq2[item, error]) error {
	for done, err := range r.examineAll(ctx, items) {
		if err != nil {
			return err
		}
		if err := r.note(done); err != nil {
			return err
		}
		if r.Now().Sub(r.saved) >= saveEvery || len(r.repairs) >= repairBatch {
			if err := r.settle(ctx, 0); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// job is an item at work.
type job struct {
	done   chan struct{}
	result result
	err    error
}

// examineAll yields the results of items in their order, with several compared at a time. It ends after an error.
func (r *runner) examineAll(ctx context.Context, items iter.Seq2[item, error]) iter.Seq2[result, error] {
	return func(yield func(result, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		jobs := make(chan *job, r.Parallel*ahead)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		group.Go(func() {
			defer close(jobs)
			r.start(ctx, items, jobs, &group)
		})
		for j := range jobs {
			<-j.done
			if !yield(j.result, j.err) || j.err != nil {
				return
			}
		}
	}
}

// start begins a job for each item, as many at a time as are allowed, and sends them on in order.
func (r *runner) start(ctx context.Context, items iter.Seq2[item, error], jobs chan<- *job, group *sync.WaitGroup) {
	slots := make(chan struct{}, r.Parallel)
	for it, err := range items {
		j := &job{done: make(chan struct{}), result: result{item: it}, err: err}
		if err != nil {
			close(j.done)
		} else {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			group.Go(func() {
				defer func() { <-slots }()
				defer close(j.done)
				j.result, j.err = r.examine(ctx, it)
			})
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
			return
		}
	}
}

// note tells a finding, and then adds the result to the state.
func (r *runner) note(done result) error {
	if done.finding != nil {
		if err := r.Found(*done.finding); err != nil {
			return err
		}
	}
	if !done.skipped || !done.compare {
		r.state.Counts.Listed += done.listed
	}
	if done.unordered != nil {
		r.state.Unordered = done.unordered
	}
	if done.key != "" {
		r.state.Key = done.key
	}
	if len(done.sites) > 0 && r.state.At == nil {
		r.state.At = make(map[string]string, len(r.names))
	}
	for i, site := range done.sites {
		r.state.At[site] = done.at[i]
	}
	if !done.skipped && !done.gone {
		r.count(done)
	}
	r.Observe(r.progress())
	return nil
}

// count counts a key that was compared.
func (r *runner) count(done result) {
	c, f := &r.state.Counts, done.finding
	c.Compared++
	c.BytesRead += done.read
	if done.byBytes {
		c.ByBytes++
	}
	if f == nil {
		c.Equal++
		return
	}
	c.Found[f.Verdict]++
	if f.Verdict != Deleted && f.Verdict != Unlinked && len(r.state.Findings) < shownFindings {
		r.state.Findings = append(r.state.Findings, *f)
	}
	if f.NotRepairable != "" {
		c.NotRepairable++
	}
	if r.Repair != nil {
		r.repairs = append(r.repairs, f.Repairs...)
	}
}

// settle asks for the repairs of what was noted, and then keeps how far the run came. within bounds how long that may take; 0
// does not.
func (r *runner) settle(ctx context.Context, within time.Duration) error {
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	for len(r.repairs) > 0 {
		batch := r.repairs[:min(repairBatch, len(r.repairs))]
		if err := r.Repair(ctx, batch); err != nil {
			return err
		}
		r.state.Counts.Repairs += int64(len(batch))
		r.repairs = r.repairs[len(batch):]
	}
	r.saved = r.Now()
	return r.save()
}

func (r *runner) progress() Progress {
	counts := r.state.Counts
	counts.Found = maps.Clone(counts.Found)
	counts.BytesRead = max(counts.BytesRead, r.bytes.Load())
	return Progress{Counts: counts, Total: r.total, Key: r.state.Key}
}

func (r *runner) report(resumed, complete bool) Report {
	return Report{Options: r.opt, Seed: r.state.Seed, Counts: r.state.Counts, Started: r.state.Started, Resumed: resumed,
		Complete: complete, Unordered: r.state.Unordered, Findings: r.state.Findings}
}
