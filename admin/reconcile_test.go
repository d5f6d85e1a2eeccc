package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
)

func (p *process) request(t *testing.T, method, path, contentType, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.client.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// options are those of the comparisons below.
type options struct {
	Prefix string `json:"prefix,omitempty"`
}

type difference struct {
	Key string `json:"key"`
}

// comparisons stands in for what compares the sites.
type comparisons struct {
	figures admin.ReconcileFigures
	calls   []string
	running bool
	dryRun  func(ctx context.Context, each func(any)) (any, error)
}

func (c *comparisons) Start(_ context.Context, raw json.RawMessage) (any, error) {
	var o options
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "compare", Err: err}
	}
	if c.running {
		return nil, &s3mesh.Error{Kind: s3mesh.KindConflict, Op: "compare", Err: errors.New("one is running")}
	}
	c.running = true
	c.calls = append(c.calls, "start "+o.Prefix)
	return map[string]string{"run": "1"}, nil
}

func (c *comparisons) Status() any { return map[string]bool{"running": c.running} }

func (c *comparisons) Stop() bool {
	was := c.running
	c.running = false
	return was
}

func (c *comparisons) DryRun(ctx context.Context, raw json.RawMessage, each func(any)) (any, error) {
	c.calls = append(c.calls, "dry "+string(raw))
	return c.dryRun(ctx, each)
}

func (p *process) repair(_ context.Context, keys []admin.RepairKey) (int, error) {
	p.repaired = append(p.repaired, keys...)
	return len(keys), nil
}

var cameAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func (p *process) seen(site, key string) (time.Time, bool) {
	if site == "us" && key == ".s3mesh/probe/a b" {
		return cameAt, true
	}
	return time.Time{}, false
}

func TestReconcile(t *testing.T) {
	p := start(t)
	ctx := t.Context()
	var progress struct{ Run string }
	if err := p.client.StartReconcile(ctx, options{"albums/"}, &progress); err != nil || progress.Run != "1" {
		t.Errorf("%+v, %v", progress, err)
	}
	if err := p.client.StartReconcile(ctx, options{}, nil); s3mesh.KindOf(err) != s3mesh.KindConflict {
		t.Errorf("started twice: %v", err)
	}
	var status struct{ Running bool }
	if err := p.client.ReconcileStatus(ctx, &status); err != nil || !status.Running {
		t.Errorf("%+v, %v", status, err)
	}
	for _, want := range []bool{true, false} {
		if stopped, err := p.client.StopReconcile(ctx); err != nil || stopped != want {
			t.Errorf("stopped %v, %v", stopped, err)
		}
	}
	for _, path := range []string{"/v1/reconcile", "/v1/reconcile/dry-run"} {
		for _, body := range []string{"", "[]", "null", "{", `{"prefix":"` + strings.Repeat("x", 9<<20) + `"}`} {
			if code, text := post(t, p, path, "application/json", body); code != http.StatusBadRequest {
				t.Errorf("%s %.20q: %d %s", path, body, code, text)
			}
		}
	}
	if len(p.compare.calls) != 1 || p.compare.calls[0] != "start albums/" {
		t.Errorf("calls %v", p.compare.calls)
	}
}

// differences runs a dry run, and returns the keys that came.
func differences(ctx context.Context, p *process, report any) (keys []string, err error) {
	err = p.client.DryRun(ctx, options{"a"}, func(raw json.RawMessage) error {
		var d difference
		keys = append(keys, "")
		err := json.Unmarshal(raw, &d)
		keys[len(keys)-1] = d.Key
		return err
	}, report)
	return keys, err
}

func TestDryRun(t *testing.T) {
	p := start(t)
	const workers, each = 4, 500
	p.compare.dryRun = func(_ context.Context, tell func(any)) (any, error) {
		var group sync.WaitGroup
		for w := range workers {
			group.Go(func() {
				for i := range each {
					tell(difference{fmt.Sprintf("%d/%d\n", w, i)})
				}
			})
		}
		group.Wait()
		return map[string]int{"keys": 7}, nil
	}
	var report struct{ Keys int }
	keys, err := differences(t.Context(), p, &report)
	if err != nil || report.Keys != 7 {
		t.Fatalf("%+v, %v", report, err)
	}
	met := map[string]bool{}
	for _, key := range keys {
		met[key] = true
	}
	if len(keys) != workers*each || len(met) != workers*each {
		t.Errorf("%d differences, %d different", len(keys), len(met))
	}
	if p.compare.calls[0] != `dry {"prefix":"a"}` {
		t.Errorf("calls %v", p.compare.calls)
	}
}

func TestDryRunFails(t *testing.T) {
	p := start(t)
	for name, before := range map[string][]string{"at once": nil, "later": {"a", "b"}} {
		p.compare.dryRun = func(_ context.Context, tell func(any)) (any, error) {
			for _, key := range before {
				tell(difference{key})
			}
			return nil, &s3mesh.Error{Kind: s3mesh.KindNoSuchBucket, Op: "list", Site: "eu"}
		}
		keys, err := differences(t.Context(), p, nil)
		if s3mesh.KindOf(err) != s3mesh.KindNoSuchBucket || strings.Join(keys, "") != strings.Join(before, "") {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
	}
}

// A line is sent before the next is there, and a reader that hangs up ends the comparison.
func TestDryRunHangUp(t *testing.T) {
	p := start(t)
	ended := make(chan error, 1)
	p.compare.dryRun = func(ctx context.Context, tell func(any)) (any, error) {
		tell(difference{"a"})
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	stop := errors.New("enough")
	err := p.client.DryRun(t.Context(), options{}, func(json.RawMessage) error { return stop }, nil)
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the comparison goes on")
	}
}

// The server's limit on reading a request is not one on how long a comparison takes.
func TestDryRunOutlivesTheReadTimeout(t *testing.T) {
	p := start(t)
	handler := admin.Handler(admin.Config{Token: token, Reconcile: &p.compare, Metrics: p.metrics})
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	p.client.URL = server.URL
	p.compare.dryRun = func(ctx context.Context, _ func(any)) (any, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
			return map[string]int{"keys": 1}, nil
		}
	}
	var report struct{ Keys int }
	if _, err := differences(t.Context(), p, &report); err != nil || report.Keys != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// An answer that ends without a last line is no success.
func TestDryRunCutOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"difference":{"key":"a"}}`)
	}))
	t.Cleanup(server.Close)
	p := &process{client: &admin.Client{URL: server.URL}}
	keys, err := differences(t.Context(), p, nil)
	if s3mesh.KindOf(err) != s3mesh.KindUnreachable || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestRepair(t *testing.T) {
	p := start(t)
	keys := []admin.RepairKey{{Key: "a b", Source: "us", Target: "eu"}, {Key: "c", Source: "eu", Target: "us"}}
	if n, err := p.client.Repair(t.Context(), keys...); err != nil || n != 2 || len(p.repaired) != 2 || p.repaired[0] != keys[0] {
		t.Errorf("%d, %v, %v", n, err, p.repaired)
	}
	for name, keys := range map[string][]admin.RepairKey{"none": {}, "too many": make([]admin.RepairKey, admin.MaxIDs+1),
		"no key": {{Source: "us", Target: "eu"}}, "no source": {{Key: "a", Target: "eu"}}, "no target": {{Key: "a", Source: "us"}}} {
		if _, err := p.client.Repair(t.Context(), keys...); s3mesh.KindOf(err) != s3mesh.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The longest keys there are, escaped as far as can be.
	long := make([]admin.RepairKey, admin.MaxIDs)
	for i := range long {
		long[i] = admin.RepairKey{Key: strings.Repeat("\x01", 1024), Source: "us", Target: "eu"}
	}
	if n, err := p.client.Repair(t.Context(), long...); err != nil || n != admin.MaxIDs {
		t.Errorf("%d, %v", n, err)
	}
}

func TestSeen(t *testing.T) {
	p := start(t)
	seen, err := p.client.Seen(t.Context(), "us", ".s3mesh/probe/a b")
	if err != nil || !seen.Seen || !seen.Time.Equal(cameAt) {
		t.Errorf("%+v, %v", seen, err)
	}
	if seen, err := p.client.Seen(t.Context(), "eu", "x"); err != nil || seen.Seen || !seen.Time.IsZero() {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := p.client.Seen(t.Context(), "us", ""); s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("no key: %v", err)
	}
}
