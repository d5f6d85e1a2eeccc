package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/alert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var link = s3mesh.Link{Source: "us", Target: "eu"}

// secret is a part of the webhook's URL that must never be seen.
const secret = "T0KEN-9f8e7d"

func anAlert() alert.Alert {
	return alert.Alert{Alert: alert.DeadLetters, Set: "photos", Link: link, Count: 3, Kind: s3mesh.KindAccessDenied, Cause: "denied",
		Remedy: "grant it", Key: "a", Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

// record is what a notifier counted and logged.
type record struct {
	mu     sync.Mutex
	counts map[alert.Result]int
	log    strings.Builder
}

func (r *record) count(_ alert.Name, result alert.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[alert.Result]int{}
	}
	r.counts[result]++
}

func (r *record) of(result alert.Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[result]
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *record) config(url string, client *http.Client) alert.NotifierConfig {
	return alert.NotifierConfig{URL: url, Client: client, Count: r.count, Log: slog.New(slog.NewTextHandler(r, nil))}
}

// notify sends one alert and waits until it is known what became of it.
func notify(n *alert.Notifier) {
	ctx, cancel := context.WithCancel(context.Background())
	n.Notify(anAlert())
	cancel()
	n.Run(ctx) // sends what is waiting, and ends
}

func TestNotifierPosts(t *testing.T) {
	got := make(chan alert.Alert, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var a alert.Alert
		if err := json.NewDecoder(req.Body).Decode(&a); err != nil || req.Method != http.MethodPost ||
			req.Header.Get("Content-Type") != "application/json" || req.URL.Path != "/"+secret {
			t.Errorf("%s %s, %v", req.Method, req.URL, err)
		}
		got <- a
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	var r record
	notify(alert.NewNotifier(r.config(server.URL+"/"+secret, server.Client())))
	if a := <-got; a != anAlert() || r.of(alert.ResultSent) != 1 {
		t.Errorf("%+v, %v", a, r.counts)
	}
	if strings.Contains(r.text(), secret) || !strings.Contains(r.text(), "us->eu") {
		t.Errorf("log: %s", r.text())
	}
}

// transport answers without a network, so that time can be that of a bubble.
type transport func(n int, req *http.Request) (*http.Response, error)

type fake struct {
	mu     sync.Mutex
	times  []time.Time
	answer transport
}

func (f *fake) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.times = append(f.times, time.Now())
	n := len(f.times)
	f.mu.Unlock()
	return f.answer(n, req)
}

func (f *fake) tries() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.times)
}

func status(code int) (*http.Response, error) {
	return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}}, nil
}

const hook = "https://hooks.example.com/" + secret

// pass lets time pass in the bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: it takes no time
	synctest.Wait()
}

func startNotifier(t *testing.T, r *record, answer transport) (*alert.Notifier, *fake) {
	t.Helper()
	f := &fake{answer: answer}
	n := alert.NewNotifier(r.config(hook, &http.Client{Transport: f}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return n, f
}

func TestNotifierRetries(t *testing.T) {
	for name, c := range map[string]struct {
		answer transport
		tries  int
		result alert.Result
		reason string
	}{
		"third time": {func(n int, _ *http.Request) (*http.Response, error) {
			return status([]int{503, 429, 200}[n-1])
		}, 3, alert.ResultSent, ""},
		"always 500":   {answers(500), 5, alert.ResultFailed, "answered 500"},
		"not found":    {answers(404), 1, alert.ResultFailed, "answered 404"},
		"redirect":     {answers(302), 1, alert.ResultFailed, "answered 302"},
		"no such host": {fails(&net.DNSError{Name: "hooks.example.com", IsNotFound: true}), 5, alert.ResultFailed, "looked up"},
		"refused":      {fails(errors.New("dial " + hook)), 5, alert.ResultFailed, "cannot be reached"},
		"silent": {func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, 5, alert.ResultFailed, "in time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r record
				n, f := startNotifier(t, &r, c.answer)
				n.Notify(anAlert())
				pass(5 * time.Minute)
				if f.tries() != c.tries || r.of(c.result) != 1 || !strings.Contains(r.text(), c.reason) {
					t.Errorf("%d tries, %v, log %s", f.tries(), r.counts, r.text())
				}
				if text := r.text(); strings.Contains(text, secret) || strings.Contains(text, "example.com") {
					t.Errorf("the log tells the URL: %s", text)
				}
				for i := 1; i < len(f.times); i++ {
					if wait := f.times[i].Sub(f.times[i-1]); wait < 800*time.Millisecond || wait > 45*time.Second {
						t.Errorf("waited %v before try %d", wait, i+1)
					}
				}
			})
		})
	}
}

func answers(code int) transport {
	return func(int, *http.Request) (*http.Response, error) { return status(code) }
}

func fails(err error) transport {
	return func(int, *http.Request) (*http.Response, error) { return nil, err }
}

// Whoever raises alerts is never held up, and what waits is bounded.
func TestNotifierDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		n, _ := startNotifier(t, &r, func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		before := time.Now()
		for range 200 {
			n.Notify(anAlert())
		}
		if !time.Now().Equal(before) || r.of(alert.ResultDropped) < 200-65 {
			t.Errorf("it took %v, %d dropped", time.Since(before), r.of(alert.ResultDropped))
		}
	})
}

// What is waiting when the process ends is sent, within a few seconds.
func TestNotifierEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		f := &fake{answer: func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}}
		n := alert.NewNotifier(r.config(hook, &http.Client{Transport: f}))
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			n.Notify(anAlert())
		}
		cancel()
		began := time.Now()
		n.Run(ctx)
		if took := time.Since(began); took > 10*time.Second || r.of(alert.ResultFailed) != 3 {
			t.Errorf("took %v, %v", took, r.counts)
		}
	})
}

func TestNotifierWithoutWebhook(t *testing.T) {
	var r record
	notify(alert.NewNotifier(r.config("", nil)))
	if r.of(alert.ResultNoWebhook) != 1 || !strings.Contains(r.text(), "level=ERROR") || !strings.Contains(r.text(), "grant it") {
		t.Errorf("%v, %s", r.counts, r.text())
	}
}

func TestNotifierWithABadURL(t *testing.T) {
	for _, url := range []string{"https://a b/" + secret, "://" + secret, "gopher://host/" + secret} {
		synctest.Test(t, func(t *testing.T) {
			var r record
			notify(alert.NewNotifier(r.config(url, nil)))
			if r.of(alert.ResultFailed) != 1 || strings.Contains(r.text(), secret) {
				t.Errorf("%v, %s", r.counts, r.text())
			}
		})
	}
}

func TestAlertJSON(t *testing.T) {
	got, err := json.Marshal(anAlert())
	const want = `{"alert":"dead_letters","set":"photos","link":{"source":"us","target":"eu"},"count":3,"kind":"access_denied",` +
		`"cause":"denied","remedy":"grant it","key":"a","time":"2026-11-23T12:00:00Z"}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	if !slices.Contains(alert.Names(), alert.DeletesHeld) || len(alert.Results()) != 4 {
		t.Error("names or results are missing")
	}
}
