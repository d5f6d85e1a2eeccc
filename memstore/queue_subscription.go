package memstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

var errClosed = errors.New("the subscription is closed")

// subscription takes deliveries only when Next asks, so it holds none that its caller has not seen.
type subscription struct {
	lane   *lane
	link   s3mesh.Link
	window int
	done   chan struct{}
	closed bool
	held   int // deliveries handed out and not ended
}

// waiter is one call of Next.
type waiter struct {
	sub      *subscription
	delivery chan *delivery // has room for the one delivery
}

// Next implements s3mesh.Subscription.
func (s *subscription) Next(ctx context.Context) (s3mesh.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, s.canceled(err)
	}
	w := &waiter{sub: s, delivery: make(chan *delivery, 1)}
	if !s.enlist(w) {
		return nil, s.canceled(errClosed)
	}
	select {
	case d := <-w.delivery:
		return d, nil
	case <-ctx.Done():
		return s.withdraw(w, ctx.Err())
	case <-s.done:
		return s.withdraw(w, errClosed)
	}
}

func (s *subscription) enlist(w *waiter) bool {
	s.lane.q.mu.Lock()
	defer s.lane.q.mu.Unlock()
	if s.closed {
		return false
	}
	s.lane.waiting = append(s.lane.waiting, w)
	s.lane.dispatch()
	return true
}

// withdraw gives up waiting, unless a delivery came at the same moment.
func (s *subscription) withdraw(w *waiter, cause error) (s3mesh.Delivery, error) {
	s.lane.q.mu.Lock()
	defer s.lane.q.mu.Unlock()
	select {
	case d := <-w.delivery:
		return d, nil
	default:
	}
	s.lane.waiting = slices.DeleteFunc(s.lane.waiting, func(other *waiter) bool { return other == w })
	return nil, s.canceled(cause)
}

func (s *subscription) canceled(cause error) error {
	return &s3mesh.Error{Kind: s3mesh.KindCanceled, Op: "Next", Site: s.link.Source, Err: cause}
}

// Close implements s3mesh.Subscription. Deliveries that Next has returned may still be ended by their holder, and come
// again after the acknowledgement time-out if they are not.
func (s *subscription) Close() error {
	s.lane.q.mu.Lock()
	defer s.lane.q.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	return nil
}

// delivery is one handing out of an entry.
type delivery struct {
	sub     *subscription
	entry   *entry
	attempt int
	newest  uint64 // of the dead letters when this was handed out
	ended   bool
}

// Event implements s3mesh.Delivery.
func (d *delivery) Event() s3mesh.Event { return d.entry.event }

// Attempt implements s3mesh.Delivery.
func (d *delivery) Attempt() int { return d.attempt }

// Ack implements s3mesh.Delivery. The link's dead letter of the key goes too, if it was buried before this delivery.
func (d *delivery) Ack(ctx context.Context) error {
	return d.end(ctx, "Ack", func(l *lane) {
		e := d.entry.event
		l.q.letters.supersede(letterKey{d.sub.link, e.Key}, d.newest, e.Repair)
		l.remove(d.entry)
	})
}

// Retry implements s3mesh.Delivery.
func (d *delivery) Retry(ctx context.Context, after time.Duration) error {
	return d.end(ctx, "Retry", func(l *lane) {
		if d.current() {
			l.dueAfter(d.entry, after)
		}
	})
}

// Bury implements s3mesh.Delivery.
func (d *delivery) Bury(ctx context.Context, letter s3mesh.DeadLetter) error {
	letter.Link, letter.Event = d.sub.link, d.entry.event
	letter.Event.Fresh = false // it says what was seen at the target before
	return d.end(ctx, "Bury", func(l *lane) {
		l.q.letters.keep(letter)
		l.remove(d.entry)
	})
}

// Extend implements s3mesh.Delivery.
func (d *delivery) Extend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return queueError("Extend", d.sub.link.Source, err)
	}
	l := d.sub.lane
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if d.current() {
		l.dueAfter(d.entry, l.q.AckWait)
	}
	return nil
}

// current reports whether this is the latest delivery of an event still to be done, and not due again yet.
func (d *delivery) current() bool {
	return d.sub.lane.holds(d.entry) && d.entry.attempts == d.attempt && d.entry.place == nil
}

// end frees the delivery's place in the window, once, and does what ends it. A cancelled context changes nothing for the
// event: it comes again.
func (d *delivery) end(ctx context.Context, op string, do func(*lane)) error {
	l := d.sub.lane
	l.q.mu.Lock()
	defer l.q.mu.Unlock()
	if !d.ended {
		d.ended = true
		d.sub.held--
	}
	if err := ctx.Err(); err != nil {
		l.dispatch()
		return queueError(op, d.sub.link.Source, err)
	}
	do(l)
	l.dispatch()
	return nil
}
