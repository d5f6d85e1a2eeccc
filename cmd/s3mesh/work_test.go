package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/alert"
	"github.com/s3mesh/s3mesh/config"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
)

// A link that is held is told of as an error, with the limit and what to do, and counted.
func TestAlert(t *testing.T) {
	link := s3mesh.Link{Source: "us", Target: "eu"}
	set := s3mesh.FullMesh("photos", s3mesh.Site{Name: "us"}, s3mesh.Site{Name: "eu"})
	log := &strings.Builder{}
	m := &mesh{cfg: meshConfig{set: set, served: []string{"eu"}, log: slog.New(slog.NewTextHandler(log, nil)),
		replication: config.Replication{MaxDeletesPerMinute: 77}}}
	m.metrics = admin.NewMetrics(admin.MetricsConfig{Links: m.cfg.links(), Queue: memstore.NewQueue(set),
		Engaged: (*replicate.Brake)(nil).Engaged, Log: m.cfg.log})
	m.upkeep = &upkeep{watcher: alert.NewWatcher(alert.WatcherConfig{Links: m.cfg.links()})}
	m.alert(link)
	for _, want := range []string{"level=ERROR", "us->eu", "max_deletes_per_minute=77", "s3mesh link resume us eu"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, log)
		}
	}
	rec := httptest.NewRecorder()
	m.metrics.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if want := `s3mesh_brake_engagements_total{source="us",target="eu"} 1`; !strings.Contains(rec.Body.String(), want) {
		t.Errorf("no %s", want)
	}
}

func TestParseLinkArgs(t *testing.T) {
	want := s3mesh.Link{Source: "us-east-1", Target: "eu"}
	for _, args := range [][]string{{"us-east-1->eu"}, {"us-east-1", "eu"}} {
		if link, err := parseLinkArgs(args); err != nil || link != want {
			t.Errorf("%q: %v, %v", args, link, err)
		}
	}
	for _, args := range [][]string{{"us-"}, {"us"}, {"us->us"}, {"us", "us"}, {"us->eu", "ap"}, {"us", ""}} {
		if link, err := parseLinkArgs(args); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "quotes") {
			t.Errorf("%q: %v, %v", args, link, err)
		}
	}
}
