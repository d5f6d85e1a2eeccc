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

// mesh is a running set of workers with their queue, intake and API.
type mesh struct {
	cfg         meshConfig
	buckets     map[string]*s3store.Bucket
	queue       *natsqueue.Queue
	inspector   *replicate.Replicator
	stopWorkers context.CancelFunc
	workers     sync.WaitGroup
	intake      *server
	admin       *server
}

// startMesh opens the queue, which creates the consumers of every link, then starts the workers, and only then takes
// events. It does not contact any store.
func startMesh(ctx context.Context, cfg meshConfig) (*mesh, error) {
	m := &mesh{cfg: cfg, buckets: make(map[string]*s3store.Bucket, len(cfg.stores))}
	for _, store := range cfg.stores {
		bucket, err := s3store.Open(ctx, store)
		if err != nil {
			return nil, err
		}
		m.buckets[store.Site] = bucket
	}
	var err error
	if m.queue, err = natsqueue.Open(ctx, cfg.queue); err != nil {
		return nil, err
	}
	echoes := &replicate.Echoes{}
	recorder := admin.NewRecorder(cfg.set.Links, cfg.log)
	gate := replicate.NewGate(siteNames(cfg.set)...)
	m.startWorkers(echoes, gate, func(out s3mesh.Outcome) {
		recorder.Observe(out)
		if cfg.observe != nil {
			cfg.observe(out)
		}
	})
	planner := replicate.NewPlanner(replicate.PlannerConfig{Set: cfg.set, Filter: cfg.filter, Queue: m.queue, Echoes: echoes,
		Principals: cfg.principals, LargeObject: int64(cfg.replication.LargeObject)})
	m.intake = serve(cfg.intake.listener, intake.Handler(intake.Config{
		Token: cfg.intake.token, Decode: notify.Decode, Accept: planner.Accept, Log: cfg.log}))
	reporter := &admin.Reporter{Set: cfg.set, Version: version, Since: time.Now(), Served: cfg.served, Queue: m.queue,
		Record: recorder, Away: gate.Closed, Now: time.Now}
	m.admin = serve(cfg.admin.listener, admin.Handler(admin.Config{
		Token: cfg.admin.token, Status: reporter.Status, Letters: m.queue.DeadLetters(), Regions: cfg.regions,
		Inspect: m.inspect}))
	return m, nil
}

// inspect reads a key at every site. A site that accepts requests and does not answer them is told as one that failed.
func (m *mesh) inspect(ctx context.Context, key string) any {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	return m.inspector.Inspect(ctx, key, siteNames(m.cfg.set))
}

// startWorkers starts a worker per link into a served site and lane.
func (m *mesh) startWorkers(echoes *replicate.Echoes, gate *replicate.Gate, observe func(s3mesh.Outcome)) {
	ctx, cancel := context.WithCancel(context.Background())
	m.stopWorkers = cancel
	concurrency := map[s3mesh.Lane]int{
		s3mesh.LaneLive: m.cfg.replication.Workers, s3mesh.LaneBulk: m.cfg.replication.BulkWorkers,
		s3mesh.LaneLarge: m.cfg.replication.LargeWorkers}
	for _, target := range m.cfg.served {
		replicator := replicate.New(m.replicatorConfig(target, echoes))
		m.inspector = replicator
		for _, link := range m.cfg.set.To(target) {
			for _, lane := range s3mesh.Lanes() {
				worker := replicate.NewWorker(replicate.WorkerConfig{
					Link: link, Lane: lane, Queue: m.queue, Replicator: replicator, Gate: gate,
					Concurrency: concurrency[lane], Attempts: m.cfg.replication.Attempts, Observe: observe, Log: m.cfg.log})
				m.workers.Go(func() {
					if err := worker.Run(ctx); err != nil {
						m.cfg.log.Error("a worker stopped", "link", link, "lane", lane, "error", err)
					}
				})
			}
		}
	}
}

func (m *mesh) replicatorConfig(target string, echoes *replicate.Echoes) replicate.Config {
	cfg := replicate.Config{
		Target: target, Bucket: m.buckets[target], Readers: make(map[string]s3mesh.Reader, len(m.buckets)),
		MaxClockSkew: time.Duration(m.cfg.replication.MaxClockSkew), LargeObject: int64(m.cfg.replication.LargeObject),
		Echoes: echoes, IgnoreEchoes: make(map[string]bool, len(m.buckets)), Now: time.Now, Log: m.cfg.log,
		Announce: func(ctx context.Context, ev s3mesh.Event) error { return m.queue.Publish(ctx, s3mesh.LaneLive, ev) },
	}
	for name, bucket := range m.buckets {
		cfg.Readers[name] = bucket
		cfg.IgnoreEchoes[name] = m.cfg.set.EchoesRedundant(name)
	}
	return cfg
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
