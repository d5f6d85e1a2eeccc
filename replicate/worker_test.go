package replicate_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
)

const attempts = 4

// crew is a fixture with a queue and a worker for the live lane of us->eu, inside a synctest bubble.
type crew struct {
	*fixture
	queue *memstore.Queue
	gate  *replicate.Gate
	stop  func()

	mu       sync.Mutex
	outcomes []s3mesh.Outcome
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	c := &crew{fixture: newFixture(nil)}
	c.queue = memstore.NewQueue(c.set)
	c.gate = replicate.NewGate("ap", "eu", "us")
	worker := replicate.NewWorker(replicate.WorkerConfig{
		Link: s3mesh.Link{Source: "us", Target: "eu"}, Lane: s3mesh.LaneLive, Queue: c.queue, Replicator: c.engines["eu"],
		Gate: c.gate, Concurrency: 2, Attempts: attempts, Observe: c.observe, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	c.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return c
}

func (c *crew) observe(out s3mesh.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, out)
}

func (c *crew) results() []s3mesh.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []s3mesh.Result
	for _, out := range c.outcomes {
		all = append(all, out.Result)
	}
	return all
}

func (c *crew) publish(t *testing.T, ev s3mesh.Event) {
	t.Helper()
	if err := c.queue.Publish(t.Context(), s3mesh.LaneLive, ev); err != nil {
		t.Fatal(err)
	}
}

func (c *crew) backlog(t *testing.T) s3mesh.Backlog {
	t.Helper()
	b, err := c.queue.Backlog(t.Context(), s3mesh.Link{Source: "us", Target: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c *crew) letters(t *testing.T) []s3mesh.DeadLetter {
	t.Helper()
	letters, _, err := c.queue.DeadLetters().List(t.Context(), s3mesh.Link{}, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// pass lets time pass in the bubble until nothing more happens, or at most d.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: it takes no time
	synctest.Wait()
}

func TestWorkerAcknowledgesAfterTheReplicaIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		pendingDuringPut := int64(-1)
		c.sites["eu"].once("PUT", func() {
			b := c.backlog(t)
			pendingDuringPut = b.Pending + b.InFlight
		})
		c.publish(t, c.put(t, "us", "a", "one"))
		synctest.Wait()
		if b := c.backlog(t); pendingDuringPut != 1 || b.Pending+b.InFlight != 0 || c.body(t, "eu", "a") != "one" {
			t.Errorf("%d pending during the write, %+v after it; eu holds %q", pendingDuringPut, b, c.body(t, "eu", "a"))
		}
	})
}

func TestPermanentFailureIsBuriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		c.sites["eu"].on("PUT", func() error { return fault(s3mesh.KindUnstorable, "eu") })
		c.publish(t, c.put(t, "us", "a", "one"))
		pass(time.Hour)
		letters := c.letters(t)
		if len(letters) != 1 || c.sites["eu"].takeCounts()["PUT"] != 1 {
			t.Fatalf("%d letters, requests %v", len(letters), c.sites["eu"].takeCounts())
		}
		l := letters[0]
		if l.Kind != s3mesh.KindUnstorable || l.Event.Key != "a" || l.Attempts != 1 || l.Remedy == "" || l.Cause == "" ||
			l.First.IsZero() {
			t.Errorf("%+v", l)
		}
		if b := c.backlog(t); b.Pending+b.InFlight != 0 {
			t.Errorf("still queued: %+v", b)
		}
	})
}

func TestPassingFailureIsRetriedThenBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		c.sites["eu"].on("PUT", func() error { return fault(s3mesh.KindCorrupted, "eu") })
		c.publish(t, c.put(t, "us", "a", "one"))
		pass(time.Hour)
		want := []s3mesh.Result{s3mesh.ResultRetry, s3mesh.ResultRetry, s3mesh.ResultRetry, s3mesh.ResultDeadLettered}
		if got := c.results(); !slices.Equal(got, want) {
			t.Fatalf("%v", got)
		}
		if l := c.letters(t)[0]; l.Attempts != attempts || !l.First.Equal(start) {
			t.Errorf("%+v", l)
		}
	})
}

func TestPassingFailureThatPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		c.sites["eu"].once("PUT", func() {})
		c.sites["us"].on("GET", func() error {
			c.sites["us"].on("GET", nil)
			return fault(s3mesh.KindCorrupted, "us")
		})
		c.publish(t, c.put(t, "us", "a", "one"))
		pass(time.Hour)
		if got := c.results(); !slices.Equal(got, []s3mesh.Result{s3mesh.ResultRetry, s3mesh.ResultReplicated}) {
			t.Fatalf("%v", got)
		}
	})
}

// A site that is away for hours costs no attempts and few requests, fills no dead letters, and is caught up with at once.
func TestOutageEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		away := func() error { return fault(s3mesh.KindUnreachable, "eu") }
		for _, op := range []string{"PUT", "HEAD", "LIST"} {
			c.sites["eu"].on(op, away)
		}
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			c.publish(t, c.put(t, "us", key, "one"))
		}
		const hours = 2
		pass(hours * time.Hour)
		if !c.gate.Closed("eu") || c.gate.Closed("us") {
			t.Errorf("gates: eu closed %v, us closed %v", c.gate.Closed("eu"), c.gate.Closed("us"))
		}
		requests := 0
		for _, n := range c.sites["eu"].takeCounts() {
			requests += n
		}
		if limit := 2 * hours * 3600; requests > limit {
			t.Errorf("%d requests at a site that is away for %d hours", requests, hours)
		}
		for _, op := range []string{"PUT", "HEAD", "LIST"} {
			c.sites["eu"].on(op, nil)
		}
		pass(10 * time.Second)
		if b := c.backlog(t); b.Pending+b.InFlight != 0 || len(c.letters(t)) != 0 || c.gate.Closed("eu") {
			t.Errorf("10 s after the outage: %+v, %d letters", b, len(c.letters(t)))
		}
	})
}

// Long work is not delivered a second time while it goes on.
func TestLongWorkIsExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		c.sites["eu"].once("PUT", func() { time.Sleep(10 * time.Minute) }) //nolint:forbidigo // the bubble's clock
		c.publish(t, c.put(t, "us", "a", "one"))
		pass(time.Hour)
		if got := c.results(); !slices.Equal(got, []s3mesh.Result{s3mesh.ResultReplicated}) {
			t.Errorf("%v", got)
		}
	})
}

// A worker that is told to stop finishes what it has begun, and leaves the rest in the queue.
func TestStopFinishesWhatIsBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		began := make(chan struct{}, 2)
		c.sites["eu"].on("PUT", func() error {
			began <- struct{}{}
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			return nil
		})
		for _, key := range []string{"a", "b", "c", "d"} {
			c.publish(t, c.put(t, "us", key, "one"))
		}
		<-began
		<-began
		c.stop()
		if b := c.backlog(t); len(c.results()) != 2 || b.Pending+b.InFlight != 2 {
			t.Errorf("%d done, %+v left", len(c.results()), b)
		}
	})
}
