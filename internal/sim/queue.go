package sim

import (
	"context"
	"slices"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
)

// attempts is how often a task may fail for a passing reason before it is a dead letter.
const attempts = 10

// entry is one event on one link: waiting, or in the hands of a task.
type entry struct {
	event          s3mesh.Event
	lane           s3mesh.Lane
	source, target int
	attempt        int
	replaced       bool // by a newer event of its key, while in the hands of a task
	waits          bool // to begin until there is something new to read: see [explorer.offer]
}

type failureID struct {
	source, target int
	lane           s3mesh.Lane
	key            string
}

// letter is a dead letter.
type letter struct {
	entry entry
	err   error
}

// Publish implements [replicate.Publisher]: each link of the event's site, or the one it names, gets an entry.
func (w *world) Publish(_ context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	for _, ev := range events {
		source := w.siteIndex(ev.Site)
		for _, link := range w.set.From(ev.Site) {
			if ev.Target == "" || ev.Target == link.Target {
				w.push(&entry{event: ev, lane: lane, source: source, target: w.siteIndex(link.Target)})
			}
		}
	}
	return nil
}

func (w *world) push(e *entry) {
	if w.Coalesce {
		w.pending = slices.DeleteFunc(w.pending, e.replaces)
		for _, t := range w.tasks {
			if e.replaces(t.entry) {
				t.entry.replaced = true
			}
		}
	}
	w.pending = append(w.pending, e)
}

// replaces reports that an older entry is not delivered once e is there.
func (e *entry) replaces(old *entry) bool {
	return old.source == e.source && old.target == e.target && old.lane == e.lane && old.event.Key == e.event.Key &&
		old.event.Target == e.event.Target
}

func (e *entry) failureID() failureID { return failureID{e.source, e.target, e.lane, e.event.Key} }

// begin hands a pending entry to a replicator, and lets that go on to its first request.
func (w *world) begin(e *entry) *task {
	if i := slices.Index(w.pending, e); i >= 0 {
		w.pending = slices.Delete(w.pending, i, i+1)
	}
	e.attempt++
	w.tasksNo++
	w.runs++
	t := &task{world: w, number: w.tasksNo, entry: e, seen: hashStart, begun: w.clock}
	w.tasks = append(w.tasks, t)
	engine := w.sites[e.target].engine
	work := s3mesh.Task{Link: s3mesh.Link{Source: w.sites[e.source].Name, Target: w.sites[e.target].Name},
		Lane: e.lane, Event: e.event, Attempt: e.attempt, Resumes: w.unfinished[e.failureID()]}
	t.run(func(ctx context.Context) s3mesh.Outcome { return engine.Replicate(ctx, work) })
	w.step(t, verdict{})
	return t
}

// step moves a task on, and ends its delivery when it has ended.
func (w *world) step(t *task, v verdict) {
	t.resume(v)
	if t.dead && !t.done {
		t.kill() // a dead task meets no further request, so it has ended by itself; to be sure
	}
	if t.done {
		w.conclude(t)
	}
}

// conclude ends a delivery, as replicate.Worker does.
func (w *world) conclude(t *task) {
	w.tasks = slices.DeleteFunc(w.tasks, func(other *task) bool { return other == t })
	e := t.entry
	switch {
	case t.dead:
		w.again(e)
	case t.out.Err == nil:
		w.forget(e)
	case w.hopeless(e, t.out.Err):
		w.letters = append(w.letters, letter{*e, t.out.Err})
		w.forget(e)
	default:
		w.again(e)
	}
}

// again delivers an entry again, unless a newer event of its key has taken its place.
func (w *world) again(e *entry) {
	if w.unfinished == nil {
		w.unfinished = make(map[failureID]bool)
	}
	w.unfinished[e.failureID()] = true
	if !e.replaced {
		w.pending = append(w.pending, e)
	}
}

// forget ends what is remembered of the failures of an entry's key.
func (w *world) forget(e *entry) {
	delete(w.failures, e.failureID())
	delete(w.unfinished, e.failureID())
}

// hopeless reports that a failed task is to be kept as a dead letter.
func (w *world) hopeless(e *entry, err error) bool {
	kind := s3mesh.KindOf(err)
	if replicate.UsesAttempt(kind) {
		if w.failures == nil {
			w.failures = make(map[failureID]int)
		}
		w.failures[e.failureID()]++
	}
	return replicate.Hopeless(kind, w.failures[e.failureID()], attempts)
}

// antiEntropy queues one comparison of every key on every link.
func (w *world) antiEntropy() {
	for _, key := range w.Keys {
		for _, link := range w.set.Links {
			ev := s3mesh.Event{Site: link.Source, Target: link.Target, Key: key, Type: s3mesh.EventCreated,
				Name: "s3mesh:Reconcile", Time: w.clock}
			_ = w.Publish(context.Background(), s3mesh.LaneBulk, ev) // never fails
		}
	}
}
