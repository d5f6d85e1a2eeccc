package sim

import (
	"context"
	"errors"
	"iter"
	"runtime/debug"
	"time"

	"github.com/s3mesh/s3mesh"
)

// operation is a kind of request that a task can be stopped at.
type operation uint8

const (
	opHead operation = iota
	opGet
	opHistory
	opPut
	opBegin
	opComplete
	opDelete
	opAnnounce
)

var operationNames = [...]string{"HEAD", "GET", "HISTORY", "PUT", "BEGIN", "COMPLETE", "DELETE", "ANNOUNCE"}

func (o operation) String() string { return operationNames[o] }

// writes reports that a request changes something others can see.
func (o operation) writes() bool {
	return o == opPut || o == opComplete || o == opDelete || o == opAnnounce
}

// request is what a stopped task is about to do.
type request struct {
	site int // where
	op   operation
	key  string
	cond s3mesh.Condition // of a write
}

// verdict is what the scheduler lets a request come to. The zero value lets it happen.
type verdict struct {
	err  error // the answer, instead of the store's
	lost bool  // err comes after the effect, and otherwise instead of it
	die  bool  // the process dies: before the effect or, with lost, after it
}

// task is one delivery in the hands of a replicator. It is also the context of that work, so that the world needs no
// goroutine to end it.
type task struct {
	world   *world
	number  int
	entry   *entry
	at      request
	verdict verdict
	asked   bool      // has made a request
	begun   time.Time // when it was handed its entry
	dead    bool      // its process died: whatever it still tries fails without effect
	done    bool
	out     s3mesh.Outcome
	seen    uint64 // hash of all that it was answered
	// announced tells that it has queued an event since its last write, and waits that it reads only once there is something
	// new to read: see [explorer.offer].
	announced, waits bool
	// reason is why it asks for a history.
	reason string

	coroutine *coroutine
}

var _ context.Context = (*task)(nil)

var errDied = errors.New("the process died")

// closed is a channel that nobody waits on.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Deadline implements [context.Context].
func (t *task) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements [context.Context]. Until its first request a task may only wait for a write of its own process, to tell
// whether its event is an echo; one goroutine cannot wait for another here, so that wait ends at once, and the echo slips
// through, as it may.
func (t *task) Done() <-chan struct{} {
	if t.asked {
		return nil
	}
	return closed
}

// Err implements [context.Context].
func (t *task) Err() error {
	if t.dead {
		return context.Canceled
	}
	return nil
}

// Value implements [context.Context].
func (t *task) Value(any) any { return nil }

// coroutine runs one task after another. Tasks are many and short, and a new stack grows anew each time.
type coroutine struct {
	next func() (struct{}, bool)
	stop func()
	// yield gives the control back, at a request or at the end of a task.
	yield func(struct{}) bool
	work  func()
}

func (w *world) coroutine() *coroutine {
	if n := len(w.idle); n > 0 {
		c := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return c
	}
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for more := true; more; more = yield(struct{}{}) {
			c.work()
		}
	})
	return c
}

// close ends the coroutines. The world is not used after it.
func (w *world) close() {
	for _, t := range append([]*task(nil), w.tasks...) {
		t.kill()
	}
	for _, c := range w.idle {
		c.stop()
	}
	w.idle = nil
}

// run prepares the work of the task; resume begins it.
func (t *task) run(work func(ctx context.Context) s3mesh.Outcome) {
	t.coroutine = t.world.coroutine()
	t.coroutine.work = func() {
		defer func() {
			if p := recover(); p != nil {
				t.world.fail("panic: %v\n%s", p, debug.Stack())
				t.dead = true
			}
			t.done = true
		}()
		t.out = work(t)
	}
}

// resume lets the task go on to its next request, or to its end.
func (t *task) resume(v verdict) {
	w := t.world
	t.verdict = v
	w.running = t
	t.coroutine.next()
	w.running = nil
	if t.done {
		w.idle = append(w.idle, t.coroutine)
		t.coroutine = nil
	}
}

// kill ends the task: its pending request and all further ones fail without effect.
func (t *task) kill() {
	if t.done {
		return
	}
	t.dead = true
	t.resume(verdict{})
}

// ask stops the running task at a request, and returns what that comes to.
func (w *world) ask(site int, op operation, key string) verdict {
	return w.askWrite(site, op, key, s3mesh.Condition{})
}

// askWrite is ask for a write under a condition.
func (w *world) askWrite(site int, op operation, key string, cond s3mesh.Condition) verdict {
	t := w.running
	if t == nil || t.dead {
		return verdict{err: w.died(site, op, key)}
	}
	t.asked = true
	t.at = request{site, op, key, cond}
	t.coroutine.yield(struct{}{})
	if t.dead {
		return verdict{err: w.died(site, op, key)}
	}
	v := t.verdict
	if v.die {
		v.err = w.died(site, op, key)
		if !v.lost {
			t.dead = true
		}
	}
	return v
}

// answered ends a request: what was answered is all that the task knows of the world, and so its place in its own code.
func (w *world) answered(v verdict, hash uint64) {
	t := w.running
	if v.die {
		t.dead = true
	}
	t.seen = mix(t.seen, hash)
}

func (w *world) died(site int, op operation, key string) error {
	return &s3mesh.Error{Kind: s3mesh.KindCanceled, Op: op.String(), Site: w.sites[site].Name, Key: key, Err: errDied}
}

// fault is an error that a site answers with.
func (w *world) fault(kind s3mesh.Kind, at request) error {
	return &s3mesh.Error{Kind: kind, Op: at.op.String(), Site: w.sites[at.site].Name, Key: at.key, Err: errInjected}
}

var errInjected = errors.New("fault of the simulation")
