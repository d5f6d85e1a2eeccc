package alert_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/alert"
)

var other = s3mesh.Link{Source: "eu", Target: "us"}

// desk is a watcher with what it looks at, inside a bubble.
type desk struct {
	*alert.Watcher
	mu      sync.Mutex
	letters map[s3mesh.Link]int64
	held    int64
	silent  bool
	healing bool
	asked   int
	alerts  []alert.Alert
}

func (d *desk) Backlog(_ context.Context, l s3mesh.Link) (s3mesh.Backlog, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.silent {
		return s3mesh.Backlog{}, errors.New("no answer")
	}
	return s3mesh.Backlog{DeadLetters: d.letters[l], Held: d.held}, nil
}

func (d *desk) List(_ context.Context, f s3mesh.LetterFilter, _ string, limit int) ([]s3mesh.DeadLetter, string, error) {
	letter := s3mesh.DeadLetter{Link: f.Link, Kind: s3mesh.KindLocked, Cause: "theirs", Event: s3mesh.Event{Key: "listed"}}
	return []s3mesh.DeadLetter{letter}[:limit], "", nil
}

func (d *desk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *desk) take() []alert.Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.alerts
	d.alerts = nil
	return taken
}

// bury has n tasks of the link become dead letters.
func (d *desk) bury(n int64) {
	d.set(func() { d.letters[link] += n })
	for range n {
		d.Observe(s3mesh.Outcome{Task: s3mesh.Task{Link: link, Event: s3mesh.Event{Key: "a"}}, Result: s3mesh.ResultDeadLettered,
			Err: &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Site: "eu"}})
	}
}

func newDesk(t *testing.T, left map[s3mesh.Link]s3mesh.Backlog) *desk {
	t.Helper()
	d := &desk{letters: map[s3mesh.Link]int64{}}
	for l, b := range left {
		d.letters[l] = b.DeadLetters
	}
	d.Watcher = alert.NewWatcher(alert.WatcherConfig{Set: "photos", Links: []s3mesh.Link{link, other}, Left: left, Queue: d,
		Letters:             d,
		MaxDeletesPerMinute: 10, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Healing: func(l s3mesh.Link) bool { d.mu.Lock(); defer d.mu.Unlock(); return d.healing && l == link },
		Notify:  func(a alert.Alert) { d.set(func() { d.alerts = append(d.alerts, a) }) }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	synctest.Wait()
	return d
}

func TestWatcherFiresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.bury(3)
		synctest.Wait() // at once: no time passes
		got := d.take()
		if len(got) != 1 || got[0].Alert != alert.DeadLetters || got[0].Link != link || got[0].Set != "photos" || got[0].Count < 1 ||
			got[0].Kind != s3mesh.KindAccessDenied || got[0].Key != "a" || got[0].Remedy == "" || !strings.Contains(got[0].Cause, "eu") {
			t.Fatalf("%+v", got)
		}
		d.bury(2)
		pass(time.Hour)
		d.set(func() { d.letters[link] = 1 })
		pass(time.Hour)
		if more := d.take(); len(more) > 0 {
			t.Fatalf("while there are letters: %+v", more)
		}
		d.set(func() { d.letters[link] = 0 })
		pass(time.Minute)
		d.bury(1)
		synctest.Wait()
		if again := d.take(); len(again) != 1 {
			t.Errorf("after there were none: %+v", again)
		}
	})
}

func TestWatcherAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[s3mesh.Link]s3mesh.Backlog{link: {DeadLetters: 5}})
		pass(time.Hour)
		d.bury(1)
		pass(time.Hour)
		if got := d.take(); len(got) > 0 {
			t.Errorf("of what was there: %+v", got)
		}
	})
}

// Another process buries letters of a link too, and nobody tells this one.
func TestWatcherNoticesOthersLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.set(func() { d.letters[other] = 4 })
		pass(time.Minute)
		got := d.take()
		if len(got) != 1 || got[0].Link != other || got[0].Count != 4 || got[0].Key != "listed" || got[0].Kind != s3mesh.KindLocked {
			t.Errorf("%+v", got)
		}
	})
}

// A letter that is tried again is none for that time, which is no news, nor is it when it comes back.
func TestWatcherWhileHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.bury(1)
		synctest.Wait()
		d.take()
		for range 3 {
			d.set(func() { d.letters[link], d.healing = 0, true })
			pass(time.Minute)
			d.bury(1)
			d.set(func() { d.healing = false })
			pass(time.Minute)
		}
		if got := d.take(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
		d.set(func() { d.letters[link] = 0 }) // healed
		pass(time.Minute)
		d.bury(1)
		synctest.Wait()
		if got := d.take(); len(got) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// A queue that does not answer delays an alert, and does not lose it.
func TestWatcherWithoutTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.set(func() { d.silent = true })
		d.bury(1)
		pass(time.Minute)
		if got := d.take(); len(got) > 0 {
			t.Fatalf("%+v", got)
		}
		d.set(func() { d.silent = false })
		pass(time.Minute)
		if got := d.take(); len(got) != 1 || got[0].Key != "a" {
			t.Errorf("%+v", got)
		}
	})
}

func TestWatcherTellsHeldDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[s3mesh.Link]s3mesh.Backlog{other: {Held: 3}})
		d.set(func() { d.held = 12 })
		d.Held(link)
		d.Held(other) // was held when the process began
		synctest.Wait()
		got := d.take()
		if len(got) != 1 || got[0].Alert != alert.DeletesHeld || got[0].Link != link || got[0].Count != 12 ||
			got[0].Kind != s3mesh.KindHeld || !strings.Contains(got[0].Remedy, "s3mesh link resume us eu") ||
			!strings.Contains(got[0].Cause, "10 deletes") {
			t.Fatalf("%+v", got)
		}
		d.Held(other) // somebody resumed it, and it was held again
		d.Held(s3mesh.Link{Source: "us", Target: "mars"})
		synctest.Wait()
		if got := d.take(); len(got) != 1 || got[0].Link != other {
			t.Errorf("%+v", got)
		}
	})
}

// Outcomes that are no news cost nothing.
func TestWatcherIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, map[s3mesh.Link]s3mesh.Backlog{link: {DeadLetters: 1}})
		for range 1000 {
			d.Observe(s3mesh.Outcome{Task: s3mesh.Task{Link: link}, Result: s3mesh.ResultReplicated})
		}
		d.bury(1000)
		synctest.Wait()
		if d.asked > 0 {
			t.Errorf("asked %d times", d.asked)
		}
	})
}
