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

// crew is a fixture with a queue and workers for lanes of us->eu, inside a synctest bubble.
type crew struct {
	*fixture
	queue *memstore.Queue
	gate  *replicate.Gate
	brake *brakeFixture
	stop  func()

	mu       sync.Mutex
	outcomes []s3mesh.Outcome
}

// newCrew starts a worker for each of the lanes, or for the live one.
func newCrew(t *testing.T, lanes ...s3mesh.Lane) *crew {
	t.Helper()
	c := &crew{fixture: newFixture(nil), brake: newBrake()}
	c.queue = memstore.NewQueue(c.set)
	c.gate = replicate.NewGate("ap", "eu", "us")
	if len(lanes) == 0 {
		lanes = []s3mesh.Lane{s3mesh.LaneLive}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, len(lanes))
	for _, lane := range lanes {
		worker := replicate.NewWorker(c.workerConfig(lane))
		go func() { done <- worker.Run(ctx) }()
	}
	c.stop = func() {
		cancel()
		for range lanes {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	return c
}

func (c *crew) workerConfig(lane s3mesh.Lane) replicate.WorkerConfig {
	return replicate.WorkerConfig{Link: usEU, Lane: lane, Queue: c.queue, Replicator: c.engines["eu"], Gate: c.gate,
		Brake: c.brake.Brake, Concurrency: 2, Attempts: attempts, Observe: c.observe, Log: slog.New(slog.DiscardHandler)}
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
	b, err := c.queue.Backlog(t.Context(), usEU)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c *crew) letters(t *testing.T) []s3mesh.DeadLetter {
	t.Helper()
	letters, _, err := c.queue.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 100)
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

// held has every write at eu refused as a delete that the brake holds back.
func (c *crew) held() {
	c.sites["eu"].on("PUT", func() error { return fault(s3mesh.KindHeld, "eu") })
}

// A delete that is held leaves its lane for that of the held ones, for its link only, at the cost of no attempt, and says
// nothing bad of either site.
func TestHeldDeleteWaitsInItsOwnLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		defer c.stop()
		c.held()
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			c.publish(t, c.put(t, "us", key, "one"))
		}
		pass(time.Hour)
		if b := c.backlog(t); b.Held != 8 || b.Pending+b.InFlight != 0 || len(c.letters(t)) != 0 {
			t.Fatalf("%+v, %d letters", b, len(c.letters(t)))
		}
		if c.gate.Closed("eu") || c.gate.Closed("us") {
			t.Error("a gate closed")
		}
		for _, out := range c.outcomes {
			if out.Result != s3mesh.ResultHeld || out.Err != nil || out.Task.Attempt != 1 {
				t.Errorf("%+v", out)
			}
		}
		if other, err := c.queue.Backlog(t.Context(), s3mesh.Link{Source: "us", Target: "ap"}); err != nil || other.Held != 0 {
			t.Errorf("the other link: %+v, %v", other, err)
		}
	})
}

// cutQueue is a queue that does not take what is published, or takes it and then fails every answer to a delivery.
type cutQueue struct {
	s3mesh.Queue
	refuse bool
	order  []string
}

func (q *cutQueue) Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	q.order = append(q.order, "publish "+string(lane))
	if q.refuse {
		return fault(s3mesh.KindUnreachable, "us")
	}
	return q.Queue.Publish(ctx, lane, events...)
}

// A worker that cannot publish to the lane of held deletes keeps the delete where it is.
func TestHeldDeleteIsNeverInNeitherLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t)
		synctest.Wait()
		c.stop() // its place is taken by a worker with another queue
		cut := &cutQueue{Queue: c.queue, refuse: true}
		cfg := c.workerConfig(s3mesh.LaneLive)
		cfg.Queue = cut
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- replicate.NewWorker(cfg).Run(ctx) }()
		c.held()
		c.publish(t, c.put(t, "us", "a", "one"))
		pass(time.Hour)
		if b := c.backlog(t); b.Held != 0 || b.Pending+b.InFlight != 1 || len(c.letters(t)) != 0 {
			t.Fatalf("%+v, %d letters", b, len(c.letters(t)))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(cut.order) < 2 || slices.Contains(c.results(), s3mesh.ResultHeld) {
			t.Errorf("%v, outcomes %v", cut.order, c.results())
		}
	})
}

// What is held waits until the link is resumed, however often the worker was started since, and then is done at once.
func TestHeldLaneWaitsForTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, s3mesh.LaneHeld)
		defer c.stop()
		ev := c.put(t, "us", "a", "one")
		ev.Target = "eu"
		if err := c.queue.Publish(t.Context(), s3mesh.LaneHeld, ev); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if b := c.backlog(t); b.Held != 1 || len(c.results()) != 0 {
			t.Fatalf("before anybody resumed the link: %+v, %v", b, c.results())
		}
		c.brake.Engage(usEU)
		pass(time.Hour)
		c.brake.Resume(usEU)
		synctest.Wait()
		if b := c.backlog(t); b.Held != 0 || c.body(t, "eu", "a") != "one" {
			t.Errorf("after it was resumed: %+v", b)
		}
	})
}

// A delivery that comes just after the brake engaged goes back unprocessed, and waits.
func TestHeldLaneReturnsWhatItHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, s3mesh.LaneHeld)
		defer c.stop()
		c.brake.Resume(usEU)
		synctest.Wait() // both goroutines wait for a delivery
		c.brake.Engage(usEU)
		for _, key := range []string{"a", "b", "c"} {
			ev := c.put(t, "us", key, "one")
			ev.Target = "eu"
			if err := c.queue.Publish(t.Context(), s3mesh.LaneHeld, ev); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Hour)
		if b := c.backlog(t); b.Held != 3 || len(c.results()) != 0 {
			t.Fatalf("%+v, %v", b, c.results())
		}
		c.brake.Resume(usEU)
		pass(time.Minute)
		if b := c.backlog(t); b.Held != 0 || len(c.results()) != 3 {
			t.Errorf("%+v, %v", b, c.results())
		}
	})
}

// A delete of the held lane is never put back into it, which would go round for ever without a pause.
func TestHeldLaneDoesNotHoldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, s3mesh.LaneHeld)
		defer c.stop()
		c.held()
		c.brake.Resume(usEU)
		ev := c.put(t, "us", "a", "one")
		ev.Target = "eu"
		if err := c.queue.Publish(t.Context(), s3mesh.LaneHeld, ev); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if n := len(c.results()); n < 2 || n > 400 || slices.Contains(c.results(), s3mesh.ResultHeld) {
			t.Errorf("%d attempts in an hour, the first %v", n, c.results()[0])
		}
		if b := c.backlog(t); b.Held != 1 || len(c.letters(t)) != 0 {
			t.Errorf("%+v, %d letters", b, len(c.letters(t)))
		}
	})
}

func TestHopeless(t *testing.T) {
	const last = attempts
	for _, kind := range s3mesh.Kinds() {
		counts := kind == s3mesh.KindOther || kind == s3mesh.KindPreconditionFailed || kind == s3mesh.KindConflict ||
			kind == s3mesh.KindCorrupted
		if replicate.UsesAttempt(kind) != counts {
			t.Errorf("%v uses an attempt: %v", kind, !counts)
		}
		if got, want := replicate.Hopeless(kind, last-1, last), !kind.Transient(); got != want {
			t.Errorf("%v before the last attempt: %v", kind, got)
		}
		if got, want := replicate.Hopeless(kind, last, last), !kind.Transient() || counts; got != want {
			t.Errorf("%v after the last attempt: %v", kind, got)
		}
	}
}
