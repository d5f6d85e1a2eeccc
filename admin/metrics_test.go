package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

func scrape(t *testing.T, p *process, bearer string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.client.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func wantSeries(t *testing.T, text string, series ...string) {
	t.Helper()
	for _, want := range series {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Every series is there before anything has happened.
func TestMetricsStartAtZero(t *testing.T) {
	p := start(t)
	code, text := scrape(t, p, token)
	if code != http.StatusOK {
		t.Fatal(code)
	}
	const usEU = `{source="us",target="eu"}`
	for _, result := range s3mesh.Results() {
		wantSeries(t, text, `s3mesh_tasks_total{result="`+string(result)+`",source="us",target="eu"} 0`)
	}
	wantSeries(t, text, `s3mesh_conflicts_total{outcome="won",source="us",target="eu"} 0`,
		`s3mesh_conflicts_total{outcome="lost",source="us",target="eu"} 0`,
		"s3mesh_replicated_bytes_total"+usEU+" 0", "s3mesh_replication_lag_seconds_count"+usEU+" 0",
		"s3mesh_brake_engagements_total"+usEU+" 0", "s3mesh_brake_engaged"+usEU+" 0", "s3mesh_queue_pending"+usEU+" 0",
		"s3mesh_queue_in_flight"+usEU+" 0", "s3mesh_queue_held"+usEU+" 0", "s3mesh_dead_letters"+usEU+" 0",
		"s3mesh_queue_oldest_seconds"+usEU+" 0", `s3mesh_history_questions_total{reason="tie",site="us"} 0`,
		`s3mesh_history_questions_total{reason="tie",site="eu"} 0`, `s3mesh_distrusted_stamps_total{site="us"} 0`,
		"s3mesh_healed_total"+usEU+" 0", `s3mesh_alerts_total{alert="dead_letters",result="sent"} 0`,
		`s3mesh_alerts_total{alert="dead_letters",result="failed"} 0`, "s3mesh_reconcile_running 0",
		"s3mesh_reconcile_last_completed_timestamp_seconds 0", "s3mesh_reconcile_keys_total 0",
		"s3mesh_reconcile_differing_total"+usEU+" 0")
	for _, kind := range s3mesh.Kinds() {
		wantSeries(t, text, `s3mesh_dead_lettered_total{kind="`+kind.String()+`",source="us",target="eu"} 0`)
	}
	if strings.Contains(text, `source="eu"`) {
		t.Error("a link that another process works on has series")
	}
	if code, _ := scrape(t, p, "wrong"); code != http.StatusUnauthorized {
		t.Errorf("with the wrong token: %d", code)
	}
}

func TestMetricsCount(t *testing.T) {
	p := start(t)
	written := time.Now()
	task := s3mesh.Task{Link: link, Event: s3mesh.Event{Key: "a", Time: written}}
	done := written.Add(2 * time.Second)
	p.metrics.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultReplicated, Bytes: 5, Done: done})
	p.metrics.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultConflictWon, Bytes: 2, Done: done})
	p.metrics.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultConflictLost, Done: done})
	p.metrics.CountBrake(link)
	p.metrics.CountHistory("us", "tie")
	p.metrics.CountDistrust("eu")
	p.metrics.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultDeadLettered, Done: done,
		Err: &s3mesh.Error{Kind: s3mesh.KindLocked, Site: "eu"}})
	p.metrics.CountAlert("dead_letters", "sent")
	p.metrics.CountHealed(link, 7)
	p.compare.figures = admin.ReconcileFigures{Running: true, LastCompleted: time.UnixMilli(1_795_000_000_500), Keys: 11,
		Differing: map[s3mesh.Link]int64{link: 3}}
	hold(t, p, "a", "b")
	created := s3mesh.Event{Site: "us", Key: "c", Type: s3mesh.EventCreated}
	if err := p.queue.Publish(t.Context(), s3mesh.LaneLive, created); err != nil {
		t.Fatal(err)
	}
	_, text := scrape(t, p, token)
	const usEU = `{source="us",target="eu"}`
	wantSeries(t, text, `s3mesh_tasks_total{result="replicated",source="us",target="eu"} 1`,
		`s3mesh_conflicts_total{outcome="won",source="us",target="eu"} 1`,
		`s3mesh_conflicts_total{outcome="lost",source="us",target="eu"} 1`,
		"s3mesh_replicated_bytes_total"+usEU+" 7", "s3mesh_replication_lag_seconds_count"+usEU+" 2",
		"s3mesh_replication_lag_seconds_sum"+usEU+" 4", "s3mesh_brake_engagements_total"+usEU+" 1",
		"s3mesh_brake_engaged"+usEU+" 1", "s3mesh_queue_held"+usEU+" 2", "s3mesh_queue_pending"+usEU+" 1",
		`s3mesh_history_questions_total{reason="tie",site="us"} 1`, `s3mesh_distrusted_stamps_total{site="eu"} 1`,
		`s3mesh_dead_lettered_total{kind="locked",source="us",target="eu"} 1`,
		`s3mesh_alerts_total{alert="dead_letters",result="sent"} 1`, "s3mesh_healed_total"+usEU+" 7", "s3mesh_reconcile_running 1",
		"s3mesh_reconcile_last_completed_timestamp_seconds 1.7950000005e+09", "s3mesh_reconcile_keys_total 11",
		"s3mesh_reconcile_differing_total"+usEU+" 3")
}

// silent is a queue that does not answer.
type silent struct{}

func (silent) Backlog(context.Context, s3mesh.Link) (s3mesh.Backlog, error) {
	return s3mesh.Backlog{}, errors.New("no answer")
}

// A queue that does not answer costs its own series only.
func TestMetricsWithoutTheQueue(t *testing.T) {
	log := &strings.Builder{}
	m := admin.NewMetrics(admin.MetricsConfig{Links: set.To("eu"), Queue: silent{}, Engaged: brake{}.Engaged,
		Log: slog.New(slog.NewTextHandler(log, nil))})
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := rec.Body.String()
	wantSeries(t, text, `s3mesh_brake_engaged{source="us",target="eu"} 0`,
		`s3mesh_replicated_bytes_total{source="us",target="eu"} 0`)
	if rec.Code != http.StatusOK || strings.Contains(text, "s3mesh_queue_pending{") || !strings.Contains(log.String(), "no answer") {
		t.Errorf("%d, log %q", rec.Code, log)
	}
}
