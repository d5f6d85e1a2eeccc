package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/s3mesh/s3mesh"
)

// scrapeTimeout bounds what a scrape waits for the queue, over all links. It is below Prometheus's own limit of 10 s.
const scrapeTimeout = 5 * time.Second

// lagBuckets are the bounds of the lag histogram in seconds: from what a fresh photo takes to a region that is away for days.
var lagBuckets = []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}

// linkLabels name a link in every series that is of one.
var linkLabels = []string{"source", "target"}

// MetricsConfig is what [Metrics] are made from.
type MetricsConfig struct {
	// Links are those that this process works on, and Sites all sites: their series exist from the start.
	Links []s3mesh.Link
	Sites []string
	// HistoryReasons are those that version histories are asked for.
	HistoryReasons []string
	// Alerts are those that may be raised, and AlertResults what may become of one.
	Alerts, AlertResults []string
	Queue                Backlogs
	// Engaged reports whether the brake holds the deletes of a link.
	Engaged func(s3mesh.Link) bool
	// Reconcile tells what comparisons of the sites came to; nil where that is not done.
	Reconcile func() ReconcileFigures
	Log       *slog.Logger
}

// Metrics are the process's figures for Prometheus, in a registry of their own. It is safe for concurrent use.
type Metrics struct {
	handler   http.Handler
	tasks     *prometheus.CounterVec
	conflicts *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	lag       *prometheus.HistogramVec
	brakes    *prometheus.CounterVec
	histories *prometheus.CounterVec
	distrust  *prometheus.CounterVec
	letters   *prometheus.CounterVec
	alerts    *prometheus.CounterVec
	healed    *prometheus.CounterVec
}

// NewMetrics returns metrics with every series at zero.
func NewMetrics(cfg MetricsConfig) *Metrics {
	m := &Metrics{
		tasks: counter("s3mesh_tasks_total", "Attempts at tasks, by what they came to.", append(linkLabels, "result")...),
		conflicts: counter("s3mesh_conflicts_total",
			"Versions that met one written without knowledge of them, by whether they won.", append(linkLabels, "outcome")...),
		bytes: counter("s3mesh_replicated_bytes_total", "Body bytes written to the target.", linkLabels...),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "s3mesh_replication_lag_seconds", Buckets: lagBuckets,
			Help: "Time from a write or delete at the source to the write at the target."}, linkLabels),
		brakes:    counter("s3mesh_brake_engagements_total", "How often a link's deletes began to be held.", linkLabels...),
		histories: counter("s3mesh_history_questions_total", "Version histories asked of a site, by why.", "site", "reason"),
		distrust: counter("s3mesh_distrusted_stamps_total",
			"Version stamps and tombstones met at a site that were not believed.", "site"),
		letters: counter("s3mesh_dead_lettered_total", "Tasks that became dead letters, by why.", append(linkLabels, "kind")...),
		alerts:  counter("s3mesh_alerts_total", "Alerts that were raised, by what became of them.", "alert", "result"),
		healed: counter("s3mesh_healed_total", "Dead letters that were replayed without being asked to, as their cause was gone.",
			linkLabels...),
	}
	m.zero(cfg)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.tasks, m.conflicts, m.bytes, m.lag, m.brakes, m.histories, m.distrust, m.letters, m.alerts, m.healed,
		newQueueCollector(cfg), newReconcileCollector(cfg),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError,
		ErrorLog: scrapeLog{cfg.Log}})
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// zero makes every series exist, so that a rate over the first event is not lost.
func (m *Metrics) zero(cfg MetricsConfig) {
	for _, l := range cfg.Links {
		for _, result := range s3mesh.Results() {
			m.tasks.WithLabelValues(l.Source, l.Target, string(result))
		}
		for _, outcome := range []string{"won", "lost"} {
			m.conflicts.WithLabelValues(l.Source, l.Target, outcome)
		}
		m.bytes.WithLabelValues(l.Source, l.Target)
		m.lag.WithLabelValues(l.Source, l.Target)
		m.brakes.WithLabelValues(l.Source, l.Target)
		m.healed.WithLabelValues(l.Source, l.Target)
		for _, kind := range s3mesh.Kinds() {
			m.letters.WithLabelValues(l.Source, l.Target, kind.String())
		}
	}
	for _, alert := range cfg.Alerts {
		for _, result := range cfg.AlertResults {
			m.alerts.WithLabelValues(alert, result)
		}
	}
	for _, site := range cfg.Sites {
		m.distrust.WithLabelValues(site)
		for _, reason := range cfg.HistoryReasons {
			m.histories.WithLabelValues(site, reason)
		}
	}
}

// Observe counts one outcome.
func (m *Metrics) Observe(out s3mesh.Outcome) {
	l := out.Task.Link
	m.tasks.WithLabelValues(l.Source, l.Target, string(out.Result)).Inc()
	m.bytes.WithLabelValues(l.Source, l.Target).Add(float64(out.Bytes))
	switch out.Result {
	case s3mesh.ResultConflictWon:
		m.conflicts.WithLabelValues(l.Source, l.Target, "won").Inc()
	case s3mesh.ResultConflictLost:
		m.conflicts.WithLabelValues(l.Source, l.Target, "lost").Inc()
	case s3mesh.ResultDeadLettered:
		m.letters.WithLabelValues(l.Source, l.Target, s3mesh.KindOf(out.Err).String()).Inc()
	default:
	}
	if out.Result.Wrote() && !out.Task.Event.Time.IsZero() {
		m.lag.WithLabelValues(l.Source, l.Target).Observe(out.Lag().Seconds())
	}
}

// CountBrake counts that the deletes of a link began to be held.
func (m *Metrics) CountBrake(l s3mesh.Link) { m.brakes.WithLabelValues(l.Source, l.Target).Inc() }

// CountHistory counts a version history that a site was asked for.
func (m *Metrics) CountHistory(site, reason string) { m.histories.WithLabelValues(site, reason).Inc() }

// CountDistrust counts a version stamp or tombstone at a site that was not believed.
func (m *Metrics) CountDistrust(site string) { m.distrust.WithLabelValues(site).Inc() }

// CountAlert counts an alert, and what became of it.
func (m *Metrics) CountAlert(alert, result string) { m.alerts.WithLabelValues(alert, result).Inc() }

// CountHealed counts dead letters of a link that were replayed as their cause was gone.
func (m *Metrics) CountHealed(l s3mesh.Link, letters int) {
	m.healed.WithLabelValues(l.Source, l.Target).Add(float64(letters))
}

// ServeHTTP answers a scrape. Series that could not be read, because the queue does not answer, are left out and logged.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, req *http.Request) { m.handler.ServeHTTP(w, req) }

// scrapeLog takes what promhttp has to say.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.log.Warn("a scrape of the metrics is incomplete", "error", v) }

// queueCollector asks the queue and the brake when it is scraped.
type queueCollector struct {
	cfg                                            MetricsConfig
	pending, inFlight, held, letters, age, engaged *prometheus.Desc
}

func newQueueCollector(cfg MetricsConfig) queueCollector {
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, linkLabels, nil) }
	return queueCollector{
		cfg:      cfg,
		pending:  desc("s3mesh_queue_pending", "Events that are not yet handed out."),
		inFlight: desc("s3mesh_queue_in_flight", "Events that are worked on, or wait for their next attempt."),
		held:     desc("s3mesh_queue_held", "Deletes that wait for an operator."),
		letters:  desc("s3mesh_dead_letters", "Tasks that failed for good, and are kept."),
		age:      desc("s3mesh_queue_oldest_seconds", "Age of the oldest write that is pending or in flight; 0 when there is none."),
		engaged:  desc("s3mesh_brake_engaged", "1 while the link's deletes are held."),
	}
}

// Describe implements prometheus.Collector.
func (c queueCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.pending, c.inFlight, c.held, c.letters, c.age, c.engaged} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c queueCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	for _, link := range c.cfg.Links {
		gauge := func(d *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, link.Source, link.Target)
		}
		engaged := 0.0
		if c.cfg.Engaged(link) {
			engaged = 1
		}
		gauge(c.engaged, engaged)
		b, err := c.cfg.Queue.Backlog(ctx, link)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.pending, err)
			continue
		}
		gauge(c.pending, float64(b.Pending))
		gauge(c.inFlight, float64(b.InFlight))
		gauge(c.held, float64(b.Held))
		gauge(c.letters, float64(b.DeadLetters))
		gauge(c.age, age(b, time.Now()))
	}
}

// age returns how long ago the oldest event was, in seconds.
func age(b s3mesh.Backlog, now time.Time) float64 {
	if b.Oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(b.Oldest).Seconds())
}
