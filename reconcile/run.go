package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/s3mesh/s3mesh"
)

// headsPerSite is how many objects a run asks one site for at a time.
const headsPerSite = 32

// run is one comparison.
type run struct {
	*Reconciler
	id    string
	opt   Options
	links []s3mesh.Link
	anew  bool
	away  []string // sites that do not answer: their links are left out
	sites []string // by name; a site's place here is its number in this run
	// readers are the sites, and listers what is merged: the same, or for a site whose listing is not in byte order a copy of it
	// that is.
	readers  []Site
	listers  []lister
	sorted   []*sortedListing // by site; nil where the listing itself is merged
	rules    *rules
	heads    []chan struct{} // by site; a place for each object asked for at a time
	blind    []atomic.Bool   // by site: the store cannot list versions
	opaque   []atomic.Bool   // by site: its ETags do not depend on the content alone
	each     func(Difference)
	eachOnce sync.Mutex
	waiting  atomic.Int32 // shards that wait for a backlog to shrink

	ck       *checkpoint // the store's mutex guards it, and resumed
	resumed  bool
	expected int64     // the keys of the last complete run over these links; 0: unknown
	began    time.Time // this attempt
	phase    atomic.Pointer[Phase]
	before   struct { // what an earlier attempt had done
		keys   int64
		shards int
	}
}

// Run compares, and publishes what differs. It goes on where an earlier run with the same options was cut off, unless
// opt.Anew is set. each, where not
// nil, is told of every difference, in key order within a range of the keyspace and never by two goroutines at once.
//
// It returns how far it came also with an error, which is an [s3mesh.Error]: KindInvalid for options that name no link,
// KindCanceled when ctx ended, KindUnreachable when all but the links of sites that do not answer were compared, and otherwise
// what failed for good, or too often.
func (r *Reconciler) Run(ctx context.Context, opt Options, each func(Difference)) (Report, error) {
	run, err := r.prepare(opt)
	if err != nil {
		return Report{}, err
	}
	run.each = each
	return run.report(ctx)
}

// prepare makes a run, which has done nothing yet.
func (r *Reconciler) prepare(opt Options) (*run, error) {
	opt.From, opt.To = canonical(opt.From), canonical(opt.To)
	links, err := r.cfg.links(opt)
	if err != nil {
		return nil, err
	}
	links, away, err := r.cfg.reachable(links)
	if err != nil {
		return nil, err
	}
	run := &run{Reconciler: r, id: ulid.Make().String(), opt: opt, anew: opt.Anew, links: links, away: away,
		began: r.cfg.Now()}
	run.opt.Anew = false // it is not what the run compares
	for _, l := range links {
		run.sites = append(run.sites, l.Source, l.Target)
	}
	run.sites = canonical(run.sites)
	if len(run.sites) > maxSites {
		return nil, invalid(fmt.Errorf("%d sites, where %d can be compared at a time", len(run.sites), maxSites))
	}
	for _, name := range run.sites {
		site, ok := r.cfg.Sites[name]
		if !ok {
			return nil, invalid(fmt.Errorf("site %q cannot be read from here", name))
		}
		run.readers = append(run.readers, site)
		run.listers = append(run.listers, site)
		run.heads = append(run.heads, make(chan struct{}, headsPerSite))
	}
	run.sorted = make([]*sortedListing, len(run.sites))
	run.blind, run.opaque = make([]atomic.Bool, len(run.sites)), make([]atomic.Bool, len(run.sites))
	for i, name := range run.sites {
		run.opaque[i].Store(r.store.flagged(&r.store.state.Opaque, name))
	}
	run.ck = &checkpoint{Options: run.opt, Links: links, Started: run.began}
	run.enter(PhaseWaiting)
	return run, nil
}

// canonical sorts names, and leaves out what is there twice.
func canonical(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// report does the run, and reports what it came to.
func (r *run) report(ctx context.Context) (Report, error) {
	stop := r.observe(ctx)
	err := r.do(ctx)
	stop()
	r.enter(PhaseDone)
	rep := Report{Progress: r.progress(), Finished: r.cfg.Now(), Complete: err == nil}
	if err != nil {
		rep.Error = err.Error()
	}
	if r.cfg.Observe != nil {
		r.cfg.Observe(rep.Progress)
	}
	return rep, err
}

func (r *run) do(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.removeSorted()) }()
	for _, site := range r.sites {
		if r.cfg.Ready == nil {
			break
		}
		if err := r.cfg.Ready(ctx, site); err != nil {
			return err
		}
	}
	r.enter(PhasePlanning)
	if err := r.start(ctx); err != nil {
		return err
	}
	err = r.compareAll(ctx)
	switch {
	case r.opt.DryRun:
	case err != nil:
		r.store.save()
	default:
		r.store.complete(r.ck, r.progress().Keys)
	}
	if err == nil && len(r.away) > 0 {
		return awayError(r.away)
	}
	return err
}

func awayError(sites []string) error {
	return &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "reconcile", Err: fmt.Errorf("%s: no answer; the links of "+
		"these sites were not compared, all others were", strings.Join(sites, ", "))}
}

// start takes up a checkpoint, or makes one.
func (r *run) start(ctx context.Context) error {
	r.began = r.cfg.Now() // it may have waited for another run
	if !r.opt.DryRun {
		ck, resumed := r.store.begin(r.opt, r.links, r.anew)
		r.store.mu.Lock()
		r.ck, r.resumed = ck, resumed
		r.store.mu.Unlock()
	}
	r.rules = r.newRules()
	for _, l := range r.links {
		r.expected = max(r.expected, r.store.last(l, r.opt.Prefix).Keys)
	}
	if r.resumed {
		p := r.progress()
		r.before.keys, r.before.shards = p.Keys, p.ShardsDone
	} else {
		shards, err := r.plan(ctx)
		if err != nil {
			return err
		}
		r.store.mu.Lock()
		r.ck.Shards = shards
		r.store.mu.Unlock()
		if !r.opt.DryRun {
			r.store.keep(r.ck)
		}
	}
	for i, name := range r.sites {
		if r.store.flagged(&r.store.state.Unordered, name) {
			if err := r.sort(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareAll compares every shard that is not done. When a site turns out not to list in byte order, all start again from a
// sorted copy of its listing: what was listed before may lack keys.
func (r *run) compareAll(ctx context.Context) error {
	for {
		r.enter(PhaseComparing)
		err := r.checkResumed(ctx)
		if err == nil {
			err = r.compareShards(ctx)
		}
		if err == nil {
			err = r.checkOrder(ctx)
		}
		var unordered *unorderedError
		if !errors.As(err, &unordered) || r.sorted[unordered.site] != nil {
			return err
		}
		r.cfg.Log.Info("a site does not list its keys in byte order; its listing is sorted on disk first",
			"site", r.sites[unordered.site])
		if err := r.sort(ctx, unordered.site); err != nil {
			return err
		}
		r.startAgain()
	}
}

// startAgain forgets what was compared.
func (r *run) startAgain() {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, sh := range r.ck.Shards {
		sh.At, sh.Done = nil, false
		sh.Tally.reset()
		clear(sh.Edges)
	}
}

func (r *run) compareShards(ctx context.Context) error {
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(r.cfg.Parallel)
	for _, sh := range r.ck.Shards {
		group.Go(func() error {
			if err := canceled(work); err != nil || r.done(sh) {
				return err
			}
			return r.compare(work, sh)
		})
	}
	return group.Wait()
}

// canceled returns an error when ctx has ended.
func canceled(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: "reconcile", Err: err}
	}
	return nil
}

func (r *run) done(sh *shard) bool {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return sh.Done
}

func (r *run) enter(phase Phase) { r.phase.Store(&phase) }

// observe tells of the progress until stop is called.
func (r *run) observe(ctx context.Context) (stop func()) {
	if r.cfg.Observe == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		for sleep(ctx, time.Second) == nil {
			r.cfg.Observe(r.progress())
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// progress returns a snapshot.
func (r *run) progress() Progress {
	sum := newTally(len(r.links))
	p := Progress{Run: r.id, Options: r.opt, Phase: *r.phase.Load(), Throttled: r.waiting.Load() > 0}
	r.store.mu.Lock()
	p.Started, p.Resumed = r.ck.Started, r.resumed
	p.Shards = len(r.ck.Shards)
	for _, sh := range r.ck.Shards {
		sum.add(sh.Tally)
		if sh.Done {
			p.ShardsDone++
		}
	}
	r.store.mu.Unlock()
	p.Keys, p.Checked, p.Differing = sum.Keys, sum.Checked, sum.Differing
	p.DeletedHere, p.Skipped = sum.DeletedHere, sum.Skipped
	for i, l := range r.links {
		p.Links = append(p.Links, LinkProgress{Link: l, Differing: sum.ByLink[i].Keys, Bytes: sum.ByLink[i].Bytes})
	}
	if p.Phase == PhaseComparing {
		p.ETA = r.eta(p)
	}
	return p
}

// eta goes by the keys of the last complete run, or else by the shards.
func (r *run) eta(p Progress) time.Time {
	now := r.cfg.Now()
	if r.expected > p.Keys {
		all := float64(r.expected)
		return estimate(r.began, now, float64(r.before.keys)/all, float64(p.Keys)/all)
	}
	if p.Shards == 0 {
		return time.Time{}
	}
	all := float64(p.Shards)
	return estimate(r.began, now, float64(r.before.shards)/all, float64(p.ShardsDone)/all)
}
