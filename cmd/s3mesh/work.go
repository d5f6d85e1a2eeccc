package main

import (
	"context"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
)

// sweepEvery is how often the tombstones of a site are looked through for old ones.
const sweepEvery = 24 * time.Hour

// startWorkers has the sites looked at, and the work begin at each that is found good.
func (m *mesh) startWorkers() {
	ctx, cancel := context.WithCancel(context.Background())
	m.stopWorkers = cancel
	for _, site := range siteNames(m.cfg.set) {
		m.workers.Go(func() {
			m.prover.run(ctx, site)
			m.prover.watch(ctx, site)
		})
	}
	m.workers.Go(func() { m.upkeep.run(ctx) })
	for _, target := range m.cfg.served {
		m.workers.Go(func() { m.workInto(ctx, target) })
	}
}

// workInto starts the work into a site, once that has answered.
func (m *mesh) workInto(ctx context.Context, target string) {
	can, err := m.prover.await(ctx, target)
	if err != nil {
		return
	}
	replicator := replicate.New(m.replicatorConfig(target, can))
	var turns *replicate.Turns
	if !can.Versioned {
		turns = &replicate.Turns{}
	}
	for _, link := range m.cfg.set.To(target) {
		m.workers.Go(func() { m.workOn(ctx, link, replicator, turns) })
	}
	if m.cfg.propagates() {
		m.workers.Go(func() { replicator.RunSweep(ctx, m.buckets[target], sweepEvery) })
	}
}

// workOn starts a worker for every lane of a link, once its source has answered too.
func (m *mesh) workOn(ctx context.Context, link s3mesh.Link, replicator *replicate.Replicator, turns *replicate.Turns) {
	if _, err := m.prover.await(ctx, link.Source); err != nil {
		return
	}
	left := m.left[link]
	if left.Held > 0 {
		m.brake.Engage(link) // nobody let them go before the process ended, and a restart resumes nothing
	}
	var resumeUntil time.Time
	if left.Pending+left.InFlight > 0 {
		resumeUntil = time.Now().Add(replicate.ResumeWindow)
	}
	r := m.cfg.replication
	concurrency := map[s3mesh.Lane]int{s3mesh.LaneLive: r.Workers, s3mesh.LaneBulk: r.BulkWorkers,
		s3mesh.LaneLarge: r.LargeWorkers, s3mesh.LaneHeld: r.BulkWorkers}
	for _, lane := range s3mesh.Lanes() {
		worker := replicate.NewWorker(replicate.WorkerConfig{
			Link: link, Lane: lane, Queue: m.queue, Replicator: replicator, Gate: m.gate, Turns: turns,
			Brake:       m.brake,
			ResumeUntil: resumeUntil, Concurrency: concurrency[lane], Attempts: r.Attempts, Observe: m.observe, Log: m.cfg.log})
		m.workers.Go(func() {
			if err := worker.Run(ctx); err != nil && ctx.Err() == nil {
				m.cfg.log.Error("a worker stopped", "link", link, "lane", lane, "error", err)
			}
		})
	}
}

// leftOver asks what an earlier process left in the queue. It is asked before any event is taken.
func (m *mesh) leftOver(ctx context.Context) (map[s3mesh.Link]s3mesh.Backlog, error) {
	left := make(map[s3mesh.Link]s3mesh.Backlog)
	for _, link := range m.cfg.links() {
		backlog, err := m.queue.Backlog(ctx, link)
		if err != nil {
			return nil, err
		}
		left[link] = backlog
	}
	return left, nil
}

// alert tells that the deletes of a link began to be held.
func (m *mesh) alert(link s3mesh.Link) {
	m.metrics.CountBrake(link)
	m.upkeep.watcher.Held(link)
	m.cfg.log.Error("deletes on a link are held, as there were more than max_deletes_per_minute", "link", link.String(),
		"max_deletes_per_minute", m.cfg.replication.MaxDeletesPerMinute,
		"remedy", "when they are meant, let them go with: "+resumeCommand(link))
}

// observe takes every outcome.
func (m *mesh) observe(out s3mesh.Outcome) {
	m.recorder.Observe(out)
	m.metrics.Observe(out)
	m.upkeep.observe(out)
	if m.cfg.observe != nil {
		m.cfg.observe(out)
	}
}

func (m *mesh) replicatorConfig(target string, can s3mesh.Capabilities) replicate.Config {
	r := m.cfg.replication
	cfg := replicate.Config{
		Target: target, Bucket: m.buckets[target], Readers: make(map[string]s3mesh.Reader, len(m.buckets)),
		MaxClockSkew: time.Duration(r.MaxClockSkew), LargeObject: int64(r.LargeObject), Capabilities: can,
		PropagateDeletes: m.cfg.propagates(), Brake: m.brake, TombstoneRetention: time.Duration(r.TombstoneRetention),
		Echoes: m.echoes, IgnoreEchoes: make(map[string]bool, len(m.buckets)),
		Announce:     func(ctx context.Context, ev s3mesh.Event) error { return m.queue.Publish(ctx, s3mesh.LaneLive, ev) },
		CountHistory: m.metrics.CountHistory, CountDistrust: m.metrics.CountDistrust, Now: time.Now, Log: m.cfg.log,
	}
	for name, bucket := range m.buckets {
		cfg.Readers[name] = bucket
		cfg.IgnoreEchoes[name] = m.cfg.set.EchoesRedundant(name)
	}
	return cfg
}
