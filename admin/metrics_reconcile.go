package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mesh/s3mesh"
)

// ReconcileFigures is what comparisons of the sites came to since the process began.
type ReconcileFigures struct {
	Running       bool
	LastCompleted time.Time // when the last complete run began, also by an earlier process; zero when there was none
	Keys          int64     // compared
	// Differing is how many keys were found to differ, by link.
	Differing map[s3mesh.Link]int64
}

// reconcileCollector asks for the figures when it is scraped.
type reconcileCollector struct {
	links                               []s3mesh.Link
	figures                             func() ReconcileFigures
	running, completed, keys, differing *prometheus.Desc
}

func newReconcileCollector(cfg MetricsConfig) reconcileCollector {
	figures := cfg.Reconcile
	if figures == nil {
		figures = func() ReconcileFigures { return ReconcileFigures{} }
	}
	return reconcileCollector{
		links: cfg.Links, figures: figures,
		running: prometheus.NewDesc("s3mesh_reconcile_running", "1 while the sites are being compared.", nil, nil),
		completed: prometheus.NewDesc("s3mesh_reconcile_last_completed_timestamp_seconds",
			"When the last complete comparison began; 0 when there was none.", nil, nil),
		keys: prometheus.NewDesc("s3mesh_reconcile_keys_total", "Keys that were compared.", nil, nil),
		differing: prometheus.NewDesc("s3mesh_reconcile_differing_total", "Keys that were found to differ, and put to work.",
			linkLabels, nil),
	}
}

// Describe implements prometheus.Collector.
func (c reconcileCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.running, c.completed, c.keys, c.differing} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c reconcileCollector) Collect(ch chan<- prometheus.Metric) {
	f := c.figures()
	running, completed := 0.0, 0.0
	if f.Running {
		running = 1
	}
	if !f.LastCompleted.IsZero() {
		completed = float64(f.LastCompleted.UnixMilli()) / 1000
	}
	ch <- prometheus.MustNewConstMetric(c.running, prometheus.GaugeValue, running)
	ch <- prometheus.MustNewConstMetric(c.completed, prometheus.GaugeValue, completed)
	ch <- prometheus.MustNewConstMetric(c.keys, prometheus.CounterValue, float64(f.Keys))
	for _, l := range c.links {
		ch <- prometheus.MustNewConstMetric(c.differing, prometheus.CounterValue, float64(f.Differing[l]), l.Source, l.Target)
	}
}
