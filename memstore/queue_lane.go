package memstore

import (
	"container/list"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// lane holds what one link has to do in one lane. The queue's lock guards it.
type lane struct {
	q       *Queue
	entries map[entryID]*entry // at most one per key and target; due, or handed out, or waiting for a retry
	due     *list.List         // of *entry, by sequence
	waiting []*waiter          // calls of Next, the first come first
}

// entryID is the unit of coalescing.
type entryID struct{ key, target string }

// entry is one event of a lane.
type entry struct {
	event     s3mesh.Event
	sequence  uint64
	published time.Time
	attempts  int
	place     *list.Element // in due; nil while handed out or waiting for a retry
	timer     *time.Timer   // makes it due again; nil while due
}

func (e *entry) id() entryID { return entryID{e.event.Key, e.event.Target} }

// time is the event's own time, or that of its publication.
func (e *entry) time() time.Time {
	if e.event.Time.IsZero() {
		return e.published
	}
	return e.event.Time
}

func newLane(q *Queue) *lane {
	return &lane{q: q, entries: map[entryID]*entry{}, due: list.New()}
}

// put adds an event, in place of one of the same key and target. A holder of the old one ends it without effect.
func (l *lane) put(e *entry) {
	if old, ok := l.entries[e.id()]; ok {
		l.remove(old)
	}
	l.entries[e.id()] = e
	l.makeDue(e)
}

func (l *lane) remove(e *entry) {
	if !l.holds(e) {
		return
	}
	delete(l.entries, e.id())
	l.withdraw(e)
}

// holds reports whether e is still to be done: not acknowledged, not replaced.
func (l *lane) holds(e *entry) bool { return l.entries[e.id()] == e }

// withdraw takes e from the due ones, and stops the timer that would bring it back.
func (l *lane) withdraw(e *entry) {
	if e.place != nil {
		l.due.Remove(e.place)
		e.place = nil
	}
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// makeDue puts e among the due ones, by sequence, and hands out what it can.
func (l *lane) makeDue(e *entry) {
	l.withdraw(e)
	before := l.due.Back()
	if before != nil && entryAt(before).sequence > e.sequence { // redelivered: its place is near the front
		for before = l.due.Front(); before != nil && entryAt(before).sequence < e.sequence; {
			before = before.Next()
		}
		e.place = l.due.InsertBefore(e, before)
	} else {
		e.place = l.due.PushBack(e)
	}
	l.dispatch()
}

// entryAt returns what a place of the due list holds.
func entryAt(place *list.Element) *entry {
	e, _ := place.Value.(*entry) // nothing else is ever put there
	return e
}

// dueAfter makes e due again after d, unless it is removed or replaced before.
func (l *lane) dueAfter(e *entry, d time.Duration) {
	l.withdraw(e)
	if d <= 0 {
		l.makeDue(e)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		l.q.mu.Lock()
		defer l.q.mu.Unlock()
		if l.holds(e) && e.timer == timer {
			l.makeDue(e)
		}
	})
	e.timer = timer
}

// dispatch hands due entries to waiting calls whose windows have room.
func (l *lane) dispatch() {
	for l.due.Len() > 0 {
		i := slices.IndexFunc(l.waiting, func(w *waiter) bool { return !w.sub.closed && w.sub.held < w.sub.window })
		if i < 0 {
			return
		}
		w := l.waiting[i]
		l.waiting = slices.Delete(l.waiting, i, i+1)
		e := entryAt(l.due.Front())
		e.attempts++
		l.dueAfter(e, l.q.AckWait)
		w.sub.held++
		w.delivery <- &delivery{sub: w.sub, entry: e, attempt: e.attempts, newest: l.q.letters.last}
	}
}
