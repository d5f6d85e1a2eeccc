package replicate

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMax   = 30 * time.Second
	// retryAway is the longest wait of a task whose site is away or busy: it is taken up soon after the site is back.
	retryAway = 2 * time.Second
	// heartbeat is how often a task in progress tells the queue that it is. It is well below any acknowledgement time-out.
	heartbeat = 5 * time.Second
	// settleTimeout bounds one call that ends a delivery.
	settleTimeout = 10 * time.Second
	// drainTimeout is how long tasks in progress may go on after a worker is told to stop.
	drainTimeout = 5 * time.Second
)

// WorkerConfig is what a [Worker] is made of.
type WorkerConfig struct {
	Link       s3mesh.Link
	Lane       s3mesh.Lane
	Queue      s3mesh.Queue
	Replicator *Replicator
	Gate       *Gate
	// Turns is shared by all workers into a bucket without versions; nil where it keeps them.
	Turns *Turns
	// Brake is that of the Replicator: the worker of [s3mesh.LaneHeld] takes nothing while it holds the link. It may be nil.
	Brake       *Brake
	Concurrency int
	// Attempts is how often a task may fail for a passing reason before it becomes a dead letter. A site that is away or
	// asks to slow down uses up none.
	Attempts int
	// ResumeUntil is until when every task counts as one that took the place of a task that another process left half-way. It
	// is zero where no work was pending when this process started.
	ResumeUntil time.Time
	// Observe is told every outcome, from several goroutines.
	Observe func(s3mesh.Outcome)
	Log     *slog.Logger
}

// Worker takes the tasks of one link and lane off the queue and has them carried out, several at a time.
type Worker struct {
	WorkerConfig
	failures failures
}

// NewWorker returns a worker.
func NewWorker(cfg WorkerConfig) *Worker { return &Worker{WorkerConfig: cfg} }

// Run works until ctx ends, then lets the tasks in progress finish for a few seconds, and returns. A task that was not
// finished is delivered again, to whoever works then. The only other reason to return is a queue that cannot be read.
func (w *Worker) Run(ctx context.Context) error {
	sub, err := w.Queue.Subscribe(ctx, w.Link, w.Lane, w.Concurrency)
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopDrain := context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })
	defer stopDrain()

	var group sync.WaitGroup
	for range w.Concurrency {
		group.Go(func() {
			for w.one(ctx, work, sub) {
			}
		})
	}
	group.Wait()
	return sub.Close()
}

// one waits for one delivery and deals with it. It reports false when there are no more.
func (w *Worker) one(ctx, work context.Context, sub s3mesh.Subscription) bool {
	if w.Lane == s3mesh.LaneHeld && w.Brake.Wait(ctx, w.Link) != nil {
		return false
	}
	delivery, err := sub.Next(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return false
		}
		w.Log.Error("cannot read the queue; trying again", "link", w.Link, "lane", w.Lane, "error", err)
		return sleep(ctx, time.Second) == nil
	}
	if w.Lane == s3mesh.LaneHeld && w.Brake.Engaged(w.Link) { // since it began to wait for a delivery
		w.settle(work, "return", func(c context.Context) error { return delivery.Retry(c, 0) })
		return true
	}
	stop := w.keepAlive(work, delivery)
	if err := w.Gate.Enter(ctx, w.Link); err != nil {
		stop()
		w.settle(work, "retry", func(c context.Context) error { return delivery.Retry(c, 0) })
		return false
	}
	out := w.replicate(work, s3mesh.Task{
		Link: w.Link, Lane: w.Lane, Event: delivery.Event(), Attempt: delivery.Attempt(), Resumes: w.resumes(delivery.Event())})
	stop()
	w.Gate.Leave(w.Link, siteFailure(out.Err))
	w.conclude(work, delivery, out)
	return true
}

// replicate has a task carried, when it is its turn.
func (w *Worker) replicate(ctx context.Context, task s3mesh.Task) s3mesh.Outcome {
	unlock, err := w.Turns.lock(ctx, task.Event.Key)
	if err != nil {
		return s3mesh.Outcome{Task: task, Result: s3mesh.ResultRetry, Err: err, Done: time.Now()}
	}
	defer unlock()
	return w.Replicator.Replicate(ctx, task)
}

// resumes reports that an earlier task of the event's key may have stopped half-way. The queue does not tell: an event that
// replaces a pending one of its key is a new one.
func (w *Worker) resumes(ev s3mesh.Event) bool {
	now := time.Now()
	return now.Before(w.ResumeUntil) || w.failures.unfinished(ev, now)
}

// siteFailure returns what err says of the sites. A delete that is held says that both answered.
func siteFailure(err error) error {
	if s3mesh.KindOf(err) == s3mesh.KindHeld {
		return nil
	}
	return err
}

// conclude ends the delivery as the outcome asks, and reports it.
func (w *Worker) conclude(ctx context.Context, delivery s3mesh.Delivery, out s3mesh.Outcome) {
	switch {
	case out.Err == nil:
		w.failures.forget(out.Task.Event)
		w.settle(ctx, "acknowledge", delivery.Ack)
	case s3mesh.KindOf(out.Err) == s3mesh.KindHeld && w.Lane != s3mesh.LaneHeld:
		out = w.hold(ctx, delivery, out)
	case w.hopeless(out):
		letter := w.letter(out)
		out.Result = s3mesh.ResultDeadLettered
		if !w.settle(ctx, "bury", func(c context.Context) error { return delivery.Bury(c, letter) }) {
			out.Result = s3mesh.ResultRetry
		} else {
			w.failures.forget(out.Task.Event)
		}
	default:
		out = w.retry(ctx, delivery, out)
	}
	w.Observe(out)
}

func (w *Worker) retry(ctx context.Context, delivery s3mesh.Delivery, out s3mesh.Outcome) s3mesh.Outcome {
	w.failures.leave(out.Task.Event, out.Done)
	out.RetryAfter = backoff(s3mesh.KindOf(out.Err), out.Task.Attempt)
	w.settle(ctx, "retry", func(c context.Context) error { return delivery.Retry(c, out.RetryAfter) })
	return out
}

// hold moves a delete to the lane of those that wait for an operator. It is published there before it is taken out of its own
// lane, so that it is never in neither.
func (w *Worker) hold(ctx context.Context, delivery s3mesh.Delivery, out s3mesh.Outcome) s3mesh.Outcome {
	ev := delivery.Event()
	ev.Site, ev.Target = w.Link.Source, w.Link.Target
	publish := func(c context.Context) error { return w.Queue.Publish(c, s3mesh.LaneHeld, ev) }
	if err := w.bounded(ctx, publish); err != nil {
		out.Err = err
		return w.retry(ctx, delivery, out)
	}
	out.Result, out.Err = s3mesh.ResultHeld, nil
	w.failures.forget(ev)
	w.settle(ctx, "acknowledge", delivery.Ack)
	return out
}

func (w *Worker) hopeless(out s3mesh.Outcome) bool {
	kind, failed := s3mesh.KindOf(out.Err), 0
	if UsesAttempt(kind) {
		failed = w.failures.count(out.Task.Event, out.Done)
	}
	return Hopeless(kind, failed, w.Attempts)
}

func (w *Worker) letter(out s3mesh.Outcome) s3mesh.DeadLetter {
	kind := s3mesh.KindOf(out.Err)
	ev := out.Task.Event
	ev.Fresh = false // it says what was seen at the target a while ago
	return s3mesh.DeadLetter{
		Link: w.Link, Event: ev, Site: siteOf(out.Err),
		Kind: kind, Cause: out.Err.Error(), Remedy: kind.Remedy(),
		Attempts: out.Task.Attempt,
		First:    w.failures.first(out.Task.Event, out.Done), Last: out.Done,
	}
}

// siteOf returns the site that err came from, or "" when it names none.
func siteOf(err error) string {
	if e, ok := errors.AsType[*s3mesh.Error](err); ok {
		return e.Site
	}
	return ""
}

// settle ends a delivery. When that fails the delivery comes again, which is harmless.
func (w *Worker) settle(ctx context.Context, what string, end func(context.Context) error) bool {
	if err := w.bounded(ctx, end); err != nil {
		w.Log.Warn("cannot end a delivery; it will come again", "end", what, "link", w.Link, "lane", w.Lane, "error", err)
		return false
	}
	return true
}

// bounded gives a call to the queue its time, also when the worker is being stopped.
func (w *Worker) bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return call(ctx)
}

// keepAlive extends the delivery for as long as it is worked on. Once stop has returned it is not extended any more: after a
// Retry that would put off the next attempt until the acknowledgement times out.
func (w *Worker) keepAlive(ctx context.Context, delivery s3mesh.Delivery) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex // held while the delivery is being extended
	var timer *time.Timer
	beat := func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err := delivery.Extend(ctx); err != nil && ctx.Err() == nil {
			w.Log.Warn("cannot extend a delivery; it may be worked on twice, which is harmless",
				"link", w.Link, "lane", w.Lane, "error", err)
		}
		timer.Reset(heartbeat)
	}
	mu.Lock() // until timer is set
	defer mu.Unlock()
	timer = time.AfterFunc(heartbeat, beat)
	return func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}

// backoff returns the wait before the next attempt: exponential with jitter, and short where the site is merely away.
func backoff(kind s3mesh.Kind, attempt int) time.Duration {
	limit := retryMax
	if kind == s3mesh.KindUnreachable || kind == s3mesh.KindThrottled {
		limit = retryAway
	}
	wait := limit
	if doublings := max(attempt-1, 0); doublings < 16 {
		wait = min(limit, retryFirst<<doublings)
	}
	return wait/2 + rand.N(wait/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
