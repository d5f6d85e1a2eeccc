package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/s3mesh/s3mesh"
)

const defaultAckWait = 30 * time.Second

// Queue is an s3mesh.Queue in memory: nothing outlives the process. It starts no goroutines, and its only clock is that of
// package time, so that it works inside a testing/synctest bubble. With one publisher and one subscriber per link and lane
// it is deterministic: deliveries come in the order of publication, those due again first.
type Queue struct {
	// AckWait is how long a delivery may stay unacknowledged before it is delivered again: 30 s unless set before the
	// queue is used.
	AckWait time.Duration

	set     s3mesh.ReplicaSet
	mu      sync.Mutex // guards everything below, in lanes, subscriptions and deliveries too
	lanes   map[laneID]*lane
	letters letterBox
	last    uint64 // the sequence of the last publication
}

var _ s3mesh.Queue = (*Queue)(nil)

// laneID is a link and one of its lanes.
type laneID struct {
	link s3mesh.Link
	lane s3mesh.Lane
}

// NewQueue returns an empty queue with a consumer for every link of set.
func NewQueue(set s3mesh.ReplicaSet) *Queue {
	q := &Queue{AckWait: defaultAckWait, set: set, lanes: map[laneID]*lane{}, letters: newLetterBox()}
	for _, link := range set.Links {
		for _, name := range s3mesh.Lanes() {
			q.lanes[laneID{link, name}] = newLane(q)
		}
	}
	return q
}

// Publish implements s3mesh.Queue. An event without a key, of an unknown site or with a key that is not UTF-8 is
// KindInvalid; then nothing is published.
func (q *Queue) Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	if err := ctx.Err(); err != nil {
		return queueError("Publish", "", err)
	}
	if !slices.Contains(s3mesh.Lanes(), lane) {
		return invalid("Publish", "", fmt.Errorf("lane %q is not one of %v", lane, s3mesh.Lanes()))
	}
	for _, e := range events {
		if err := q.check(e); err != nil {
			return invalid("Publish", e.Site, err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range events {
		q.put(lane, e)
	}
	return nil
}

// put adds an event to the lane of every link that it is for. The caller holds mu.
func (q *Queue) put(lane s3mesh.Lane, e s3mesh.Event) {
	q.last++
	for _, link := range q.set.From(e.Site) {
		if e.Target == "" || e.Target == link.Target {
			q.lanes[laneID{link, lane}].put(&entry{event: e, sequence: q.last, published: time.Now()})
		}
	}
}

func (q *Queue) check(e s3mesh.Event) error {
	_, known := q.set.Site(e.Site)
	switch {
	case !known:
		return fmt.Errorf("site %q is not in replica set %s", e.Site, q.set.Name)
	case e.Target != "" && s3mesh.ValidateName(e.Target) != nil:
		return s3mesh.ValidateName(e.Target)
	case e.Key == "":
		return errors.New("the event has no key")
	case !utf8.ValidString(e.Key):
		return fmt.Errorf("the key %q is not UTF-8", e.Key)
	}
	return nil
}

// Subscribe implements s3mesh.Queue. A link that is not in the replica set, an unknown lane or a window below 1 is
// KindInvalid.
func (q *Queue) Subscribe(ctx context.Context, link s3mesh.Link, lane s3mesh.Lane, window int) (s3mesh.Subscription, error) {
	if err := ctx.Err(); err != nil {
		return nil, queueError("Subscribe", link.Source, err)
	}
	l, ok := q.lanes[laneID{link, lane}]
	if !ok || window < 1 {
		return nil, invalid("Subscribe", link.Source, fmt.Errorf("link %s, lane %q, window %d", link, lane, window))
	}
	return &subscription{lane: l, link: link, window: window, done: make(chan struct{})}, nil
}

// Backlog implements s3mesh.Queue. InFlight includes events that wait for a retry.
func (q *Queue) Backlog(ctx context.Context, link s3mesh.Link) (s3mesh.Backlog, error) {
	if err := ctx.Err(); err != nil {
		return s3mesh.Backlog{}, queueError("Backlog", link.Source, err)
	}
	if !slices.Contains(q.set.Links, link) {
		return s3mesh.Backlog{}, invalid("Backlog", link.Source, fmt.Errorf("no link %s", link))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := s3mesh.Backlog{DeadLetters: q.letters.counts[link]}
	for _, name := range s3mesh.Lanes() {
		l := q.lanes[laneID{link, name}]
		if name == s3mesh.LaneHeld {
			b.Held = int64(len(l.entries))
			continue
		}
		b.Pending += int64(l.due.Len())
		b.InFlight += int64(len(l.entries) - l.due.Len())
		if name == s3mesh.LaneBulk || name == s3mesh.LaneLarge {
			b.Bulk += int64(len(l.entries))
		}
		for _, e := range l.entries {
			if at := e.time(); b.Oldest.IsZero() || at.Before(b.Oldest) {
				b.Oldest = at
			}
		}
	}
	return b, nil
}

// DeadLetters implements s3mesh.Queue.
func (q *Queue) DeadLetters() s3mesh.DeadLetters { return deadLetters{q} }

func queueError(op, site string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: op, Site: site, Err: err}
}

func invalid(op, site string, err error) error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: op, Site: site, Err: err}
}
