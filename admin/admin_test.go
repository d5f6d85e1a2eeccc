package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/memstore"
)

const token = "the-admin-token"

var (
	set  = s3mesh.FullMesh("photos", s3mesh.Site{Name: "us", Bucket: "b"}, s3mesh.Site{Name: "eu", Bucket: "b"})
	link = s3mesh.Link{Source: "us", Target: "eu"}
)

type process struct {
	queue    *memstore.Queue
	recorder *admin.Recorder
	client   *admin.Client
	metrics  *admin.Metrics
	brake    brake
	log      *strings.Builder
	stopped  []string
	compare  comparisons
	repaired []admin.RepairKey
}

// brake is a brake that the test engages.
type brake map[s3mesh.Link]bool

func (b brake) Engaged(link s3mesh.Link) bool { return b[link] }

func (b brake) Resume(link s3mesh.Link) { b[link] = false }

func (p *process) StopRegion(_ context.Context, name string) error {
	p.stopped = append(p.stopped, name)
	return nil
}

func (p *process) StartRegion(context.Context, string) error {
	return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "start", Err: errors.New("no such region")}
}

func start(t *testing.T) *process {
	t.Helper()
	p := &process{queue: memstore.NewQueue(set), log: &strings.Builder{}, brake: brake{}}
	p.recorder = admin.NewRecorder(set.Links, slog.New(slog.NewTextHandler(p.log, nil)))
	reporter := &admin.Reporter{Set: set, Version: "v1", Since: time.Now(), Served: []string{"eu"}, Queue: p.queue,
		Record: p.recorder, Away: func(site string) bool { return site == "us" }, Engaged: p.brake.Engaged, Now: time.Now}
	resumer := &admin.Resumer{Set: set, Links: set.To("eu"), Queue: p.queue, Brake: p.brake}
	p.metrics = admin.NewMetrics(admin.MetricsConfig{Links: set.To("eu"), Sites: []string{"us", "eu"},
		HistoryReasons: []string{"tie"}, Alerts: []string{"dead_letters"}, AlertResults: []string{"sent", "failed"},
		Reconcile: func() admin.ReconcileFigures { return p.compare.figures },
		Queue:     p.queue, Engaged: p.brake.Engaged, Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewServer(admin.Handler(admin.Config{Token: token, Status: reporter.Status, Letters: p.queue.DeadLetters(),
		Resume: resumer.Resume, Metrics: p.metrics, Reconcile: &p.compare, Repair: p.repair, Seen: p.seen,
		Inspect: func(_ context.Context, key string) any { return map[string]string{"key": key} }, Regions: p}))
	t.Cleanup(server.Close)
	p.client = &admin.Client{URL: server.URL, Token: token}
	return p
}

func TestStatus(t *testing.T) {
	p := start(t)
	if err := p.queue.Publish(t.Context(), s3mesh.LaneLive,
		s3mesh.Event{Site: "us", Key: "a", Type: s3mesh.EventCreated, Time: time.Now().Add(-time.Minute)}); err != nil {
		t.Fatal(err)
	}
	task := s3mesh.Task{Link: link, Event: s3mesh.Event{Key: "b"}}
	p.recorder.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultReplicated, Bytes: 5})
	p.recorder.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultDeadLettered, Err: errors.New("no")})
	p.recorder.Observe(s3mesh.Outcome{Task: task, Result: s3mesh.ResultRetry, Err: errors.New("not yet"), RetryAfter: time.Second})
	s, err := p.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Now.Before(s.Since) || time.Since(s.Now) > time.Minute {
		t.Errorf("now is %v", s.Now)
	}
	if s.Set != "photos" || len(s.Sites) != 2 || !s.Sites[0].Away || s.Sites[0].Served || !s.Sites[1].Served || s.Sites[1].Away {
		t.Errorf("%+v", s)
	}
	l := s.Links[0]
	if l.Link != link || l.Pending != 1 || l.Done != 1 || l.Failed != 1 || l.Retries != 1 || l.Bytes != 5 ||
		l.LastError != "not yet" {
		t.Errorf("%+v", l)
	}
	if l.LagSeconds < 60 || l.LagSeconds > 70 {
		t.Errorf("lag %v s of a write a minute ago", l.LagSeconds)
	}
	if idle := s.Links[1]; idle.LagSeconds != 0 || len(idle.Results) != len(s3mesh.Results()) {
		t.Errorf("the idle link: %+v", idle)
	}
	if text := p.log.String(); strings.Count(text, "level=ERROR") != 1 || strings.Count(text, "level=WARN") != 1 {
		t.Errorf("log:\n%s", text)
	}
}

func TestToken(t *testing.T) {
	p := start(t)
	for _, wrong := range []string{"", "x"} {
		c := &admin.Client{URL: p.client.URL, Token: wrong}
		if _, err := c.Status(t.Context()); s3mesh.KindOf(err) != s3mesh.KindAccessDenied {
			t.Errorf("token %q: %v", wrong, err)
		}
		if err := c.Region(t.Context(), "us", "stop"); s3mesh.KindOf(err) != s3mesh.KindAccessDenied || len(p.stopped) > 0 {
			t.Errorf("token %q: %v, stopped %v", wrong, err, p.stopped)
		}
	}
	resp, err := http.Get(p.client.URL + "/healthz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("health without a token: %v, %v", resp, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	p := start(t)
	if err := p.client.Region(t.Context(), "us", "stop"); err != nil || len(p.stopped) != 1 {
		t.Errorf("%v, %v", err, p.stopped)
	}
	err := p.client.Region(t.Context(), "us", "start")
	if s3mesh.KindOf(err) != s3mesh.KindNotFound || err.Error() != "start: not_found: no such region" {
		t.Errorf("%v", err)
	}
	if err := p.client.Inspect(t.Context(), "", nil); s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("inspect of no key: %v", err)
	}
	var answer map[string]string
	if err := p.client.Inspect(t.Context(), "a b+ü", &answer); err != nil || answer["key"] != "a b+ü" {
		t.Errorf("%v, %v", answer, err)
	}
	gone := &admin.Client{URL: "http://127.0.0.1:1", Token: token}
	if _, err := gone.Status(t.Context()); s3mesh.KindOf(err) != s3mesh.KindUnreachable {
		t.Errorf("nobody there: %v", err)
	}
}
