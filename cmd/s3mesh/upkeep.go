package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/alert"
	"github.com/s3mesh/s3mesh/natsqueue"
	"github.com/s3mesh/s3mesh/reconcile"
	"github.com/s3mesh/s3mesh/replicate"
)

// upkeep is what sees to it that nothing is lost in silence: comparisons of the sites, the replay of dead letters whose cause is
// gone, and alerts.
type upkeep struct {
	reconciler *reconcile.Reconciler
	runs       *reconcile.Manager
	compared   figures
	healer     *replicate.Healer
	notifier   *alert.Notifier
	watcher    *alert.Watcher
	dirt       dirt
	alone      bool          // this process serves every site
	ended      chan struct{} // closed when run is told to end
	log        *slog.Logger
}

const (
	// dirtEvery is how often it is asked which sites are dirty.
	dirtEvery = 10 * time.Second
	// dirtPause is how long a site that was compared for being dirty is left alone, should it be so again.
	dirtPause = 10 * time.Minute
)

// dirt tells which sites had more changes than the queue keeps one by one: comparing them makes up for that.
type dirt interface {
	Dirty(ctx context.Context) ([]natsqueue.DirtyMark, error)
	Clean(ctx context.Context, mark natsqueue.DirtyMark) (bool, error)
}

// newUpkeep puts together what [upkeep.run] does.
func newUpkeep(m *mesh) *upkeep {
	u := &upkeep{dirt: m.queue, alone: len(m.cfg.served) == len(m.cfg.set.Sites), ended: make(chan struct{}),
		log: m.cfg.log}
	r := m.cfg.replication
	sites := make(map[string]reconcile.Site, len(m.buckets))
	for name, bucket := range m.buckets {
		sites[name] = bucket
	}
	u.reconciler = reconcile.New(reconcile.Config{
		Set: m.cfg.set, Served: m.cfg.served, Sites: sites, Takes: m.cfg.filter.Takes, Rules: rules(m.cfg.filter), Queue: m.queue,
		PropagateDeletes: m.cfg.propagates(), MaxClockSkew: time.Duration(r.MaxClockSkew), LargeObject: int64(r.LargeObject),
		Dir: m.cfg.reconcile.Dir, Away: m.silent, Observe: u.compared.observe, Log: m.cfg.log,
		Ready: func(ctx context.Context, site string) error {
			_, err := m.prover.await(ctx, site)
			return err
		},
	})
	u.runs = reconcile.NewManager(u.reconciler, reconcile.Schedule{Every: time.Duration(m.cfg.reconcile.Every), Polls: m.cfg.polls})
	u.healer = replicate.NewHealer(replicate.HealerConfig{Links: m.cfg.links(), Letters: m.queue.DeadLetters(), Away: m.away,
		Healed: m.metrics.CountHealed, Log: m.cfg.log})
	u.notifier = alert.NewNotifier(alert.NotifierConfig{URL: m.cfg.alerts, Log: m.cfg.log,
		Count: func(name alert.Name, result alert.Result) { m.metrics.CountAlert(string(name), string(result)) }})
	u.watcher = alert.NewWatcher(alert.WatcherConfig{Set: m.cfg.set.Name, Links: m.cfg.links(), Left: m.left, Queue: m.queue,
		Letters: m.queue.DeadLetters(), MaxDeletesPerMinute: r.MaxDeletesPerMinute, Healing: u.healer.Healing,
		Notify: u.notifier.Notify, Now: time.Now, Log: m.cfg.log})
	return u
}

// answerTimeout is how long a site may take to show that it is there.
const answerTimeout = 3 * time.Second

// silent reports whether a site does not answer. Without work on it nobody has noticed yet.
func (m *mesh) silent(site string) bool {
	if m.away(site) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	_, err := m.buckets[site].Versioning(ctx)
	return s3mesh.KindOf(err) == s3mesh.KindUnreachable
}

// rules is a text that changes whenever the filter does.
func rules(f replicate.Filter) string {
	return fmt.Sprintf("include %q exclude %q", f.Include, f.Exclude)
}

// run does all of it until ctx ends.
func (u *upkeep) run(ctx context.Context) {
	context.AfterFunc(ctx, func() { close(u.ended) })
	var group sync.WaitGroup
	for _, part := range []func(context.Context){u.runs.Run, u.healer.Run, u.notifier.Run, u.watcher.Run,
		u.clean} {
		group.Go(func() { part(ctx) })
	}
	group.Wait()
}

// clean compares the sites that are dirty, until ctx ends.
func (u *upkeep) clean(ctx context.Context) {
	type comparison struct{ mark, at time.Time }
	compared := map[string]comparison{}
	for pause(ctx, dirtEvery) {
		marks, err := u.dirt.Dirty(ctx)
		if err != nil {
			u.complain(ctx, "cannot ask which sites had more changes than are kept", err)
		}
		for _, mark := range marks {
			if last := compared[mark.Site]; last.mark.Equal(mark.At) || time.Since(last.at) < dirtPause {
				continue
			}
			if u.cleanSite(ctx, mark) {
				compared[mark.Site] = comparison{mark.At, time.Now()}
			}
		}
	}
}

// cleanSite compares a site with those that it is linked to, and then removes its mark, unless there are other processes that
// have to compare it too. It reports whether it could.
func (u *upkeep) cleanSite(ctx context.Context, mark natsqueue.DirtyMark) bool {
	_, err := u.reconciler.Run(ctx, reconcile.Options{From: []string{mark.Site}, Anew: true}, nil)
	if err == nil && u.alone {
		_, err = u.dirt.Clean(ctx, mark)
	}
	if err != nil {
		u.complain(ctx, "cannot compare a site that had more changes than are kept", err)
	}
	return err == nil
}

func (u *upkeep) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		u.log.Warn("upkeep failed, and is tried again", "what", what, "error", err)
	}
}

// observe takes every outcome.
func (u *upkeep) observe(out s3mesh.Outcome) {
	u.healer.Observe(out)
	u.watcher.Observe(out)
}

// figures adds up what the comparisons of this process came to.
type figures struct {
	mu    sync.Mutex
	last  reconcile.Progress // of the run that was told of last
	total admin.ReconcileFigures
}

// observe takes the progress of a run.
func (f *figures) observe(p reconcile.Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.Run != f.last.Run { // what a resumed run counted in an earlier process is counted here as well
		f.last = reconcile.Progress{}
	}
	if f.total.Differing == nil {
		f.total.Differing = map[s3mesh.Link]int64{}
	}
	f.total.Keys += p.Keys - f.last.Keys
	for i, l := range p.Links {
		before := int64(0)
		if i < len(f.last.Links) {
			before = f.last.Links[i].Differing
		}
		f.total.Differing[l.Link] += l.Differing - before
	}
	f.last = p
}

// reconcileFigures is what the metrics tell of comparisons.
func (u *upkeep) reconcileFigures() admin.ReconcileFigures {
	u.compared.mu.Lock()
	defer u.compared.mu.Unlock()
	told := u.compared.total
	told.Differing = maps.Clone(u.compared.total.Differing)
	told.Running, told.LastCompleted = u.runs.Status().Running != nil, u.runs.LastComplete()
	return told
}

// repair has keys written anew that verify found to differ from the version that they claim to be.
func (m *mesh) repair(ctx context.Context, keys []admin.RepairKey) (int, error) {
	events := make([]s3mesh.Event, len(keys))
	served := make(map[s3mesh.Link]bool)
	for _, link := range m.cfg.links() {
		served[link] = true
	}
	for i, k := range keys {
		link := s3mesh.Link{Source: k.Source, Target: k.Target}
		site, _ := m.cfg.set.Site(k.Source)
		switch {
		case !served[link]:
			return 0, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "repair", Key: k.Key,
				Err: fmt.Errorf("this process replicates over no link %s", link)}
		case !m.cfg.filter.Takes(k.Key):
			return 0, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "repair", Key: k.Key,
				Err: fmt.Errorf("the key is not one that is replicated")}
		}
		events[i] = s3mesh.Event{Site: k.Source, Target: k.Target, Bucket: site.Bucket, Key: k.Key, Type: s3mesh.EventCreated,
			Name: "repair", Repair: true}
	}
	return len(events), m.queue.Publish(ctx, s3mesh.LaneBulk, events...)
}

// reconciling is what the API asks of the comparisons of a process.
type reconciling struct{ *upkeep }

// Start implements [admin.Reconciler].
func (r reconciling) Start(_ context.Context, raw json.RawMessage) (any, error) {
	o, err := parseReconcile(raw)
	if err != nil {
		return nil, err
	}
	return r.runs.Start(o)
}

// Status implements [admin.Reconciler].
func (r reconciling) Status() any { return r.runs.Status() }

// Stop implements [admin.Reconciler].
func (r reconciling) Stop() bool { return r.runs.Stop() }

// DryRun implements [admin.Reconciler].
func (r reconciling) DryRun(ctx context.Context, raw json.RawMessage, each func(any)) (any, error) {
	o, err := parseReconcile(raw)
	if err != nil {
		return nil, err
	}
	o.DryRun = true
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // a process that ends waits for no answer that takes this long
		select {
		case <-r.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return r.reconciler.Run(ctx, o, func(d reconcile.Difference) { each(d) })
}

// parseReconcile reads options strictly: one that is misspelt must not become a comparison of everything.
func parseReconcile(raw json.RawMessage) (o reconcile.Options, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return o, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "reconcile", Err: fmt.Errorf("the options cannot be read: %w", err)}
	}
	return o, nil
}
