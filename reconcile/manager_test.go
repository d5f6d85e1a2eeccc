package reconcile

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
)

// managed is a manager at work, and what runs it did, with the time since the start.
type managed struct {
	*Manager
	world *world
	mu    sync.Mutex
	ended []Progress
	at    []time.Duration
	start time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// manage starts a manager in a synctest bubble.
func manage(t *testing.T, w *world, schedule Schedule) *managed {
	t.Helper()
	m := &managed{world: w, start: time.Now()}
	w.Now = time.Now
	w.Observe = func(p Progress) {
		if p.Phase == PhaseDone {
			m.mu.Lock()
			m.ended, m.at = append(m.ended, p), append(m.at, time.Since(m.start))
			m.mu.Unlock()
		}
	}
	m.Manager = NewManager(New(w.Config), schedule)
	ctx, cancel := context.WithCancel(t.Context())
	m.stop = func() {
		cancel()
		m.done.Wait()
	}
	m.done.Go(func() { m.Run(ctx) })
	return m
}

// after lets time pass, and returns what ended since the last call.
func (m *managed) after(d time.Duration) []Progress {
	time.Sleep(d) //nolint:forbidigo // in a synctest bubble
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	ended := m.ended
	m.ended = nil
	return ended
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		m := manage(t, w, Schedule{Every: time.Hour})
		synctest.Wait()
		if next := m.Status().Next; next.Sub(m.start) != settleIn {
			t.Errorf("the first run is due after %v, want %v", next.Sub(m.start), settleIn)
		}
		if n := len(m.after(settleIn + time.Second)); n != 1 {
			t.Fatalf("%d runs soon after the start, want 1", n)
		}
		if n := len(m.after(24 * time.Hour)); n < 21 || n > 27 {
			t.Errorf("%d runs in a day, want about 24", n)
		}
		varied := false
		for i := 2; i < len(m.at); i++ {
			apart := m.at[i] - m.at[i-1]
			if apart < 53*time.Minute || apart > 67*time.Minute {
				t.Errorf("%v between two runs", apart)
			}
			varied = varied || apart != m.at[2]-m.at[1]
		}
		if !varied {
			t.Error("there is no jitter")
		}
		last := m.Status().Last
		m.stop()
		if last == nil || !last.Complete {
			t.Errorf("last run %+v", last)
		}
		// The next process does not begin with a run: the last complete one is on record.
		m = manage(t, w, Schedule{Every: time.Hour})
		if n := len(m.after(45 * time.Second)); n > 1 {
			t.Errorf("%d runs soon after a restart", n)
		}
		if n := len(m.after(70 * time.Minute)); n < 1 {
			t.Error("no run within the interval after a restart")
		}
		m.stop()
	})
}

func TestNothingIsScheduled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := manage(t, newWorld("a", "b"), Schedule{})
		defer m.stop()
		if n := len(m.after(48 * time.Hour)); n != 0 || !m.Status().Next.IsZero() {
			t.Errorf("%d runs, status %+v", n, m.Status())
		}
	})
}

func TestPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.sites["b"].put("k", 1, "e", time.Now())
		w.sites["a"].put("other", 1, "e", time.Now())
		m := manage(t, w, Schedule{Polls: map[string]time.Duration{"b": 10 * time.Second}})
		defer m.stop()
		ended := m.after(101 * time.Second)
		if len(ended) < 9 || len(ended) > 12 {
			t.Errorf("%d polls in 100 s, want about 10", len(ended))
		}
		if last := m.Status().Last; last != nil {
			t.Errorf("a poll shows as the last run: %+v", last)
		}
		equalStrings(t, "events", w.queue.published(), "b->a k fresh")
	})
}

// slow has every listing of a site take a while.
func slow(site *fakeSite, d time.Duration) {
	site.before = func(op, _ string) error {
		if op == "LIST" {
			time.Sleep(d) //nolint:forbidigo // in a synctest bubble
		}
		return nil
	}
}

func TestStartAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		slow(w.sites["a"], time.Minute)
		fill(w.sites["a"], "k%02d", 60)
		m := manage(t, w, Schedule{})
		begun, err := m.Start(Options{})
		if err != nil || begun.Run == "" {
			t.Fatalf("%+v, %v", begun, err)
		}
		if p := m.Status().Running; p == nil || p.Run != begun.Run {
			t.Errorf("status %+v right after the start of %s", p, begun.Run)
		}
		m.after(time.Second)
		second, err := m.Start(Options{Prefix: "x"})
		if p := m.Status().Waiting; err != nil || p == nil || p.Run != second.Run {
			t.Errorf("a second run: %v, status %+v: it is to wait", err, p)
		}
		if _, err := m.Start(Options{Prefix: "y"}); s3mesh.KindOf(err) != s3mesh.KindConflict {
			t.Errorf("a third run: %v, want a conflict", err)
		}
		if _, err := m.Start(Options{From: []string{"x"}}); s3mesh.KindOf(err) != s3mesh.KindInvalid {
			t.Errorf("unknown site: %v, want invalid", err)
		}
		m.after(30 * time.Second)
		if !m.Stop() {
			t.Error("there was nothing to stop")
		}
		m.after(time.Minute) // the request in progress does not notice
		if st := m.Status(); st.Running != nil || st.Last == nil || st.Last.Complete || st.Last.Error == "" {
			t.Errorf("status after the stop %+v", st)
		}
		if m.Stop() {
			t.Error("a second stop found something")
		}
		m.stop()
		// What an operator stopped does not go on by itself.
		m = manage(t, w, Schedule{})
		if n := len(m.after(time.Hour)); n != 0 {
			t.Errorf("%d runs after a restart, want none", n)
		}
		if _, err := m.Start(Options{}); err != nil {
			t.Fatal(err)
		}
		ended := m.after(time.Hour)
		if len(ended) != 1 || !ended[0].Resumed || ended[0].Keys != 60 {
			t.Errorf("%+v", ended)
		}
		m.stop()
	})
}

// A process that ends in the middle of a run an operator asked for goes on with it when it is started again.
func TestInterruptedRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		slow(w.sites["a"], time.Minute)
		fill(w.sites["a"], "k%02d", 60)
		m := manage(t, w, Schedule{})
		if _, err := m.Start(Options{Prefix: "k"}); err != nil {
			t.Fatal(err)
		}
		m.after(90 * time.Second)
		m.stop()
		m = manage(t, w, Schedule{})
		defer m.stop()
		ended := m.after(time.Hour)
		if len(ended) != 1 || !ended[0].Resumed || ended[0].Options.Prefix != "k" || ended[0].Keys != 60 {
			t.Errorf("%+v", ended)
		}
	})
}

// A poll that is running does not turn an operator away.
func TestStartWaitsForPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		slow(w.sites["a"], time.Minute)
		m := manage(t, w, Schedule{Polls: map[string]time.Duration{"a": time.Second}})
		defer m.stop()
		m.after(30 * time.Second)
		poll := m.Status().Running
		if poll == nil || len(poll.Options.From) != 1 {
			t.Fatalf("no poll is running: %+v", poll)
		}
		asked, err := m.Start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if st := m.Status(); st.Running.Run != poll.Run || st.Waiting == nil || st.Waiting.Run != asked.Run {
			t.Errorf("status %+v", st)
		}
		if _, err := m.Start(Options{}); s3mesh.KindOf(err) != s3mesh.KindConflict {
			t.Errorf("%v, want a conflict", err)
		}
		m.after(3 * time.Minute)
		if last := m.Status().Last; last == nil || last.Run != asked.Run {
			t.Errorf("last run %+v, want %s", last, asked.Run)
		}
	})
}

// A scheduled run that fails is tried again, ever less often.
func TestScheduledRunFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.sites["a"].before = func(string, string) error { return permanent() }
		m := manage(t, w, Schedule{Every: 24 * time.Hour})
		defer m.stop()
		if n := len(m.after(5 * time.Minute)); n < 3 || n > 5 {
			t.Errorf("%d tries in 5 minutes", n)
		}
		if n := len(m.after(10 * time.Hour)); n < 15 || n > 35 {
			t.Errorf("%d tries in 10 hours", n)
		}
		w.sites["a"].mu.Lock()
		w.sites["a"].before = nil
		w.sites["a"].mu.Unlock()
		m.after(time.Hour)
		if last := m.Status().Last; last == nil || !last.Complete {
			t.Errorf("last run %+v", last)
		}
	})
}

func TestEstimate(t *testing.T) {
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	for _, tc := range []struct {
		before, share float64
		want          time.Time
	}{
		{0, 0.5, at(20)}, {0, 1, at(10)}, {0, 0, time.Time{}}, {0.5, 0.75, at(20)}, {0.5, 0.5, time.Time{}}, {0, 1.2, at(10)},
	} {
		if got := estimate(now, at(10), tc.before, tc.share); !got.Equal(tc.want) {
			t.Errorf("from %v to %v in 10 s: %v, want %v", tc.before, tc.share, got, tc.want)
		}
	}
}

// Who asks for a run wants to know of now: what an earlier one compared is compared again, and what that left is forgotten.
func TestAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		slow(w.sites["a"], time.Minute)
		fill(w.sites["a"], "k%02d", 60)
		m := manage(t, w, Schedule{})
		if _, err := m.Start(Options{}); err != nil {
			t.Fatal(err)
		}
		m.after(90 * time.Second)
		m.Stop()
		m.after(time.Minute)
		if _, err := m.Start(Options{Anew: true}); err != nil {
			t.Fatal(err)
		}
		if ended := m.after(time.Hour); len(ended) != 1 || ended[0].Resumed || ended[0].Keys != 60 {
			t.Errorf("%+v", ended)
		}
		m.stop()
		m = manage(t, w, Schedule{})
		defer m.stop()
		if ended := m.after(time.Hour); len(ended) != 0 {
			t.Errorf("goes on with what was done since: %+v", ended)
		}
	})
}

// A run that was cut off goes on when its sites are back, however long that takes.
func TestInterruptedRunAwaitsItsSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("a", "b")
		w.Dir = t.TempDir()
		slow(w.sites["a"], time.Minute)
		fill(w.sites["a"], "k%02d", 60)
		m := manage(t, w, Schedule{})
		if _, err := m.Start(Options{Prefix: "k"}); err != nil {
			t.Fatal(err)
		}
		m.after(90 * time.Second)
		m.stop()
		var back atomic.Bool
		w.Away = func(site string) bool { return !back.Load() && site == "b" }
		m = manage(t, w, Schedule{})
		defer m.stop()
		if ended := m.after(2 * time.Hour); len(ended) != 0 {
			t.Errorf("%+v", ended)
		}
		back.Store(true)
		if ended := m.after(time.Hour); len(ended) != 1 || !ended[0].Resumed || ended[0].Keys != 60 {
			t.Errorf("%+v", ended)
		}
	})
}

// A complete run makes up for an earlier one over some of its links, which was cut off.
func TestCompleteRunCoversEarlierOnes(t *testing.T) {
	w := newWorld("a", "b", "c")
	r := New(w.Config)
	some := &checkpoint{Options: Options{Prefix: "x"}, Links: w.Set.Links[:2], Started: now.Add(-time.Hour)}
	later := &checkpoint{Links: w.Set.Links[:2], Started: now.Add(time.Hour)}
	full := &checkpoint{Options: Options{Full: true}, Links: w.Set.Links[:2], Started: now.Add(-time.Hour)}
	for _, ck := range []*checkpoint{some, later, full} {
		r.store.keep(ck)
	}
	r.store.complete(&checkpoint{Links: w.Set.Links, Started: now}, 0)
	if left := r.store.state.Runs; len(left) != 2 || left[0] != later || left[1] != full {
		t.Errorf("%d runs are left, want the later and the full one", len(left))
	}
}
