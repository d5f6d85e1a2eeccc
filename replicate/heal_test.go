package replicate_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
)

// hospital is a healer with a queue, and a worker whose tasks end as the test says, inside a bubble.
type hospital struct {
	*replicate.Healer
	t      *testing.T
	queue  *memstore.Queue
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	end    func(key string) (s3mesh.Result, error)
	away   map[string]bool
	tries  map[string][]time.Duration // of tasks of the bulk lane, by key, since the start
	healed map[s3mesh.Link]int
	began  time.Time
}

// slowLetters takes its time to replay, so that what is replayed fails again before the next page is read.
type slowLetters struct{ s3mesh.DeadLetters }

func (l slowLetters) Replay(ctx context.Context, ids ...string) (int, error) {
	n, err := l.DeadLetters.Replay(ctx, ids...)
	time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock: it takes no time
	return n, err
}

func denied(site string) error {
	return &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Op: "put", Site: site}
}

// newHospital returns one in which every task is denied at eu.
func newHospital(t *testing.T) *hospital {
	t.Helper()
	h := &hospital{t: t, queue: memstore.NewQueue(s3mesh.FullMesh("test", s3mesh.Site{Name: "us"}, s3mesh.Site{Name: "eu"})),
		away: map[string]bool{}, tries: map[string][]time.Duration{}, healed: map[s3mesh.Link]int{}, began: time.Now()}
	h.all(s3mesh.ResultDeadLettered, denied("eu"))
	h.restart()
	t.Cleanup(func() { h.stop() })
	return h
}

// restart has another process go on with the queue.
func (h *hospital) restart() {
	if h.cancel != nil {
		h.stop()
	}
	h.Healer = replicate.NewHealer(replicate.HealerConfig{Links: []s3mesh.Link{usEU, euUS},
		Letters: slowLetters{h.queue.DeadLetters()},
		Away:    func(site string) bool { h.mu.Lock(); defer h.mu.Unlock(); return h.away[site] },
		Healed:  func(link s3mesh.Link, n int) { h.mu.Lock(); defer h.mu.Unlock(); h.healed[link] += n },
		Log:     slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(h.t.Context())
	h.cancel = cancel
	h.done.Go(func() { h.Run(ctx) })
	for _, link := range []s3mesh.Link{usEU, euUS} {
		for _, lane := range []s3mesh.Lane{s3mesh.LaneLive, s3mesh.LaneBulk} {
			h.done.Go(func() { h.work(ctx, link, lane) })
		}
	}
	synctest.Wait()
}

func (h *hospital) stop() {
	h.cancel()
	h.done.Wait()
}

func (h *hospital) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// all has every task end alike from now on.
func (h *hospital) all(result s3mesh.Result, err error) {
	h.set(func() { h.end = func(string) (s3mesh.Result, error) { return result, err } })
}

func (h *hospital) work(ctx context.Context, link s3mesh.Link, lane s3mesh.Lane) {
	sub, err := h.queue.Subscribe(ctx, link, lane, 1)
	if err != nil {
		h.t.Error(err)
		return
	}
	for {
		d, err := sub.Next(ctx)
		if err != nil {
			return
		}
		h.mu.Lock()
		if lane == s3mesh.LaneBulk {
			h.tries[d.Event().Key] = append(h.tries[d.Event().Key], time.Since(h.began).Round(time.Second))
		}
		result, failure := h.end(d.Event().Key)
		h.mu.Unlock()
		out := s3mesh.Outcome{Task: s3mesh.Task{Link: link, Lane: lane, Event: d.Event()}, Result: result, Err: failure,
			Done: time.Now()}
		if err := h.conclude(ctx, d, &out); err != nil {
			h.t.Error(err)
		}
		h.Observe(out)
	}
}

func (h *hospital) conclude(ctx context.Context, d s3mesh.Delivery, out *s3mesh.Outcome) error {
	switch out.Result {
	case s3mesh.ResultDeadLettered:
		e, ok := out.Err.(*s3mesh.Error) //nolint:errorlint // the test made it
		if !ok {
			return out.Err
		}
		return d.Bury(ctx, s3mesh.DeadLetter{Link: out.Task.Link, Event: out.Task.Event, Kind: e.Kind, Site: e.Site, Last: out.Done})
	case s3mesh.ResultRetry:
		out.RetryAfter = time.Minute
		return d.Retry(ctx, out.RetryAfter)
	default:
		return d.Ack(ctx)
	}
}

func (h *hospital) write(site string, keys ...string) {
	h.t.Helper()
	for _, key := range keys {
		ev := s3mesh.Event{Site: site, Key: key, Type: s3mesh.EventCreated}
		if err := h.queue.Publish(h.t.Context(), s3mesh.LaneLive, ev); err != nil {
			h.t.Fatal(err)
		}
	}
	synctest.Wait()
}

func (h *hospital) left(link s3mesh.Link) int64 {
	h.t.Helper()
	b, err := h.queue.Backlog(h.t.Context(), link)
	if err != nil {
		h.t.Fatal(err)
	}
	return b.DeadLetters
}

// tried returns how often tasks of the bulk lane were tried.
func (h *hospital) tried() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, times := range h.tries {
		n += len(times)
	}
	return n
}

func keysOf(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("k/%04d", i))
	}
	return keys
}

// While nothing is mended one letter is tried, seldom; once it is, all are replayed.
func TestHealerTriesOneThenAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		const n = 1200 // more than a page
		h.write("us", keysOf(n)...)
		if h.left(usEU) != n {
			t.Fatalf("%d letters", h.left(usEU))
		}
		pass(29 * time.Second)
		if h.tried() != 0 {
			t.Fatalf("tried %d at once", h.tried())
		}
		pass(2 * time.Hour)
		// After 30 s, 1, 2, 4 and 8 minutes, and then every 15.
		if got := h.tried(); got < 11 || got > 13 || h.left(usEU) != n {
			t.Errorf("tried %d times in two hours, %d letters left", got, h.left(usEU))
		}
		h.set(func() {
			for key, times := range h.tries {
				if len(times) > 1 {
					t.Errorf("%s was tried %d times while others waited", key, len(times))
				}
			}
		})
		h.all(s3mesh.ResultReplicated, nil)
		pass(16 * time.Minute)
		if h.left(usEU) != 0 || h.healed[usEU] != n || h.healed[euUS] != 0 {
			t.Errorf("%d letters left, %v healed", h.left(usEU), h.healed)
		}
		before := h.tried()
		pass(3 * time.Hour)
		if h.tried() != before || h.Healing(usEU) {
			t.Errorf("it goes on: %d tries more, healing %v", h.tried()-before, h.Healing(usEU))
		}
	})
}

// A process that finds letters of an earlier one takes them on.
func TestHealerAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", keysOf(700)...)
		h.restart()
		h.all(s3mesh.ResultReplicated, nil)
		pass(time.Minute)
		if h.left(usEU) != 0 || h.healed[usEU] != 700 {
			t.Errorf("%d letters left, %v healed", h.left(usEU), h.healed)
		}
	})
}

// Letters that heal differently do not wait for each other, and those that cannot heal are left alone.
func TestHealerKeepsAilmentsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", "denied/1", "denied/2")
		h.all(s3mesh.ResultDeadLettered, &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Site: "us"})
		h.write("us", "read/1", "read/2")
		h.all(s3mesh.ResultDeadLettered, &s3mesh.Error{Kind: s3mesh.KindUnstorable, Site: "eu"})
		h.write("us", "long/1")
		h.all(s3mesh.ResultDeadLettered, denied("us"))
		h.write("eu", "back/1")
		h.set(func() {
			h.end = func(key string) (s3mesh.Result, error) {
				if key[0] == 'r' {
					return s3mesh.ResultReplicated, nil
				}
				return s3mesh.ResultDeadLettered, denied("eu")
			}
		})
		pass(45 * time.Second)
		if h.left(usEU) != 3 || h.healed[usEU] != 2 {
			t.Errorf("%d letters left of us->eu, %v healed", h.left(usEU), h.healed)
		}
		pass(time.Hour)
		h.set(func() {
			if len(h.tries["long/1"]) > 0 || len(h.tries["back/1"]) == 0 || len(h.tries["denied/1"])+len(h.tries["denied/2"]) == 0 {
				t.Errorf("tries %v", h.tries)
			}
		})
	})
}

// While a site is away nothing is tried; when it is back, at once.
func TestHealerWhenASiteComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", keysOf(20)...)
		h.set(func() { h.away["eu"] = true })
		pass(time.Hour)
		if h.tried() != 0 {
			t.Errorf("tried %d times while away", h.tried())
		}
		h.set(func() { h.away["eu"] = false })
		pass(61 * time.Minute)
		h.set(func() { h.away["eu"] = true })
		pass(10 * time.Second)
		h.all(s3mesh.ResultReplicated, nil)
		h.set(func() { h.away["eu"] = false })
		pass(3 * time.Second) // though the next try was minutes away
		if h.left(usEU) != 0 || h.healed[usEU] != 20 {
			t.Errorf("%d letters left, %v healed", h.left(usEU), h.healed)
		}
	})
}

// A letter whose key is gone, or equal by now, says nothing of the others.
func TestHealerIsNotFooledByWhatNeedsNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", keysOf(100)...)
		h.set(func() {
			h.end = func(key string) (s3mesh.Result, error) {
				if key < "k/0003" {
					return s3mesh.ResultSourceGone, nil
				}
				return s3mesh.ResultDeadLettered, denied("eu")
			}
		})
		pass(40 * time.Second)
		if h.left(usEU) != 97 || h.tried() != 4 {
			t.Errorf("%d letters left after %d tries", h.left(usEU), h.tried())
		}
	})
}

// What is tried again is no news while it is tried, nor for a while after all were replayed.
func TestHealerTellsThatItIsHealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", "a")
		if h.Healing(usEU) {
			t.Error("before anything is tried")
		}
		h.all(s3mesh.ResultRetry, &s3mesh.Error{Kind: s3mesh.KindUnreachable, Site: "eu"})
		pass(40 * time.Second)
		if !h.Healing(usEU) || h.Healing(euUS) || h.left(usEU) != 0 {
			t.Errorf("while it is tried: %v, %d letters", h.Healing(usEU), h.left(usEU))
		}
		h.all(s3mesh.ResultDeadLettered, denied("eu"))
		pass(2 * time.Minute)
		if h.Healing(usEU) || h.left(usEU) != 1 {
			t.Errorf("after it failed: %v, %d letters", h.Healing(usEU), h.left(usEU))
		}
		h.all(s3mesh.ResultReplicated, nil)
		pass(5 * time.Minute)
		if h.left(usEU) != 0 || !h.Healing(usEU) {
			t.Errorf("after it was written: %v, %d letters", h.Healing(usEU), h.left(usEU))
		}
		pass(time.Hour)
		if h.Healing(usEU) || h.Healing(s3mesh.Link{Source: "us", Target: "mars"}) {
			t.Error("for ever")
		}
	})
}

// What fails again while all are replayed is not replayed for ever.
func TestHealerDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		const n = 1200 // more than a page
		h.write("us", keysOf(n)...)
		h.set(func() {
			ended := 0
			h.end = func(string) (s3mesh.Result, error) {
				if ended++; ended == 1 || ended > 3*n { // the canary; or it spins
					return s3mesh.ResultReplicated, nil
				}
				return s3mesh.ResultDeadLettered, denied("eu")
			}
		})
		pass(time.Hour)
		if got := h.tried(); h.left(usEU) != n-1 || got < n || got > n+10 {
			t.Errorf("%d tries, %d letters left", got, h.left(usEU))
		}
	})
}

// An outcome that another process has had is not waited for without end.
func TestHealerGivesUpACanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHospital(t)
		h.write("us", "a", "b")
		other := h.Healer
		h.Healer = replicate.NewHealer(replicate.HealerConfig{}) // which the worker tells from now on
		h.all(s3mesh.ResultReplicated, nil)
		pass(31 * time.Second)
		if h.left(usEU) != 1 || !other.Healing(usEU) {
			t.Errorf("%d letters, healing %v", h.left(usEU), other.Healing(usEU))
		}
		pass(20 * time.Minute)
		if h.left(usEU) != 0 {
			t.Errorf("%d letters", h.left(usEU))
		}
	})
}
