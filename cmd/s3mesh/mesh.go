package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/alert"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/intake"
	"github.com/s3mesh/s3mesh/natsqueue"
	"github.com/s3mesh/s3mesh/notify"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/s3store"
)

// inspectTimeout is how long the sites have to tell what they hold under a key.
const inspectTimeout = 5 * time.Second

// meshConfig is what a mesh is started from; the demo and the daemon differ in nothing else.
type meshConfig struct {
	set         s3mesh.ReplicaSet
	served      []string // the sites whose events are taken here, and which are replicated into
	queue       natsqueue.Config
	stores      []s3store.Config // one per site of the set
	principals  map[string]string
	filter      replicate.Filter
	replication config.Replication
	reconcile   config.Reconcile
	polls       map[string]time.Duration // of the sites whose stores send no notifications
	alerts      string                   // the webhook's URL, a secret; empty for none
	intake      endpoint
	admin       endpoint
	regions     admin.Regions
	observe     func(s3mesh.Outcome) // beside the log and the status; may be nil
	log         *slog.Logger
}

// endpoint is a listener that is open already, with its token.
type endpoint struct {
	listener net.Listener
	token    string
}

// propagates reports whether a delete is applied at the other sites.
func (c meshConfig) propagates() bool { return c.replication.Deletes == config.DeletesPropagate }

// links returns the links into the served sites.
func (c meshConfig) links() []s3mesh.Link {
	var links []s3mesh.Link
	for _, site := range c.served {
		links = append(links, c.set.To(site)...)
	}
	return links
}

// mesh is a running set of workers with their queue, intake and API.
type mesh struct {
	cfg         meshConfig
	buckets     map[string]*s3store.Bucket
	queue       *natsqueue.Queue
	prover      *prover
	left        map[s3mesh.Link]s3mesh.Backlog // what an earlier process left in the queue
	brake       *replicate.Brake               // nil unless deletes are propagated
	gate        *replicate.Gate
	echoes      *replicate.Echoes
	recorder    *admin.Recorder
	metrics     *admin.Metrics
	upkeep      *upkeep
	seen        intake.Seen
	inspector   *replicate.Replicator
	stopWorkers context.CancelFunc
	workers     sync.WaitGroup
	intake      *server
	admin       *server
}

// startMesh opens the queue, which creates the consumers of every link, then takes events, and has the workers of a link start
// as soon as both its ends answered. It waits for no store.
func startMesh(ctx context.Context, cfg meshConfig) (*mesh, error) {
	m := &mesh{cfg: cfg, buckets: make(map[string]*s3store.Bucket, len(cfg.stores)), prover: newProver(cfg),
		gate: replicate.NewGate(siteNames(cfg.set)...), echoes: &replicate.Echoes{},
		recorder: admin.NewRecorder(cfg.set.Links, cfg.log)}
	for _, store := range cfg.stores {
		bucket, err := s3store.Open(ctx, store)
		if err != nil {
			return nil, err
		}
		m.buckets[store.Site], m.prover.proofs[store.Site].prober = bucket, bucket
	}
	var err error
	if m.queue, err = natsqueue.Open(ctx, cfg.queue); err != nil {
		return nil, err
	}
	if m.left, err = m.leftOver(ctx); err != nil {
		return nil, errors.Join(err, m.queue.Close(ctx))
	}
	if cfg.propagates() {
		m.brake = replicate.NewBrake(cfg.links(), cfg.replication.MaxDeletesPerMinute, time.Now, m.alert)
	}
	m.metrics = admin.NewMetrics(admin.MetricsConfig{Links: cfg.links(), Sites: siteNames(cfg.set),
		HistoryReasons: replicate.HistoryReasons(), Alerts: texts(alert.Names()), AlertResults: texts(alert.Results()),
		Queue: m.queue, Engaged: m.brake.Engaged, Log: cfg.log,
		Reconcile: func() admin.ReconcileFigures { return m.upkeep.reconcileFigures() }})
	m.upkeep = newUpkeep(m)
	m.inspector = replicate.New(m.replicatorConfig(cfg.served[0], s3mesh.Capabilities{}))
	m.startWorkers()
	m.startServers()
	return m, nil
}

// startServers takes events, and answers operators.
func (m *mesh) startServers() {
	planner := replicate.NewPlanner(replicate.PlannerConfig{Set: m.cfg.set, Filter: m.cfg.filter, Queue: m.queue,
		Echoes: m.echoes, Principals: m.cfg.principals, LargeObject: int64(m.cfg.replication.LargeObject)})
	m.intake = serve(m.cfg.intake.listener, intake.Handler(intake.Config{
		Token: m.cfg.intake.token, Decode: notify.Decode, Log: m.cfg.log,
		Accept: func(ctx context.Context, site string, events []s3mesh.Event) error {
			m.seen.Note(site, events, time.Now())
			return planner.Accept(ctx, site, events)
		}}))
	reporter := &admin.Reporter{Set: m.cfg.set, Version: version, Since: time.Now(), Served: m.cfg.served, Queue: m.queue,
		Record: m.recorder, Away: m.away, Engaged: m.brake.Engaged, Now: time.Now}
	resumer := &admin.Resumer{Set: m.cfg.set, Links: m.cfg.links(), Queue: m.queue, Brake: m.brake}
	m.admin = serve(m.cfg.admin.listener, admin.Handler(admin.Config{
		Token: m.cfg.admin.token, Status: reporter.Status, Letters: m.queue.DeadLetters(), Resume: resumer.Resume,
		Metrics: m.metrics, Regions: m.cfg.regions, Inspect: m.inspect, Reconcile: reconciling{m.upkeep}, Repair: m.repair,
		Seen: m.seen.When}))
}

// away reports whether a site did not answer lately.
func (m *mesh) away(site string) bool { return m.gate.Closed(site) || m.prover.away(site) }

// refused takes an error when a site was found that s3mesh does not work with.
func (m *mesh) refused() <-chan error { return m.prover.refused }

// inspect reads a key at every site. A site that accepts requests and does not answer them is told as one that failed.
func (m *mesh) inspect(ctx context.Context, key string) any {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return m.inspector.Inspect(ctx, key, siteNames(m.cfg.set))
}

// stopIntake ends the taking of events; the stores are told to come again.
func (m *mesh) stopIntake(ctx context.Context) error { return m.intake.close(ctx) }

// drain stops the workers after the tasks in progress.
func (m *mesh) drain() {
	m.stopWorkers()
	m.workers.Wait()
}

// close ends what is left, the queue last.
func (m *mesh) close(ctx context.Context) error {
	return errors.Join(m.admin.close(ctx), m.queue.Close(ctx))
}

// texts returns names as text.
func texts[S ~string](names []S) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = string(name)
	}
	return all
}

func siteNames(set s3mesh.ReplicaSet) []string {
	names := make([]string, len(set.Sites))
	for i, site := range set.Sites {
		names[i] = site.Name
	}
	return names
}

// checkServed returns the sites named, or all sites when none is.
func checkServed(set s3mesh.ReplicaSet, names []string) ([]string, error) {
	all := siteNames(set)
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, usageError{fmt.Errorf("--site %q: the configuration has the sites %q", name, all)}
		}
	}
	return names, nil
}
