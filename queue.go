package s3mesh

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Queue is the durable event stream of a replica set: one stream per site, one durable consumer per link and lane.
//
// All methods are safe for concurrent use. Errors are *[Error].
type Queue interface {
	// Publish makes events durable in the stream of their Site and returns nil only when all of them are on disk. An
	// event replaces an undelivered one of the same key, lane and Target: pending events of a key coalesce. Events
	// with a Target reach only that link. Publishing for a site without links is no error and keeps nothing. A queue that holds
	// as many events of a site as it may keeps no more of them one by one, but durably that the site is to be compared as a whole.
	Publish(ctx context.Context, lane Lane, events ...Event) error
	// Subscribe delivers the events of a link's source, from the oldest unacknowledged one on, at least once each.
	// Several subscribers, in any process, share the deliveries. At most window deliveries are handed out ahead of their
	// acknowledgement to one subscriber.
	Subscribe(ctx context.Context, link Link, lane Lane, window int) (Subscription, error)
	// Backlog counts what a link has yet to do.
	Backlog(ctx context.Context, link Link) (Backlog, error)
	// DeadLetters gives access to the tasks that failed for good.
	DeadLetters() DeadLetters
}

// Subscription is one consumer's view of a link and lane.
type Subscription interface {
	// Next waits for a delivery. It returns the context's error when that ends, and KindCanceled after Close. It is safe
	// for concurrent use.
	Next(ctx context.Context) (Delivery, error)
	// Close stops deliveries. Those not acknowledged are delivered again, to any subscriber.
	Close() error
}

// Delivery is one event handed out. Exactly one of Ack, Retry and Bury ends it; a delivery that is never ended, because
// its holder died, comes again after the queue's acknowledgement time-out.
type Delivery interface {
	Event() Event
	// Attempt counts the deliveries of this event, from 1.
	Attempt() int
	// Ack ends the delivery: the event will not come again on this link. An event of the same key published meanwhile is
	// a new one and does come. It also removes the link's dead letter of the key, where that was there when the event was handed
	// out: what failed then has succeeded now.
	Ack(ctx context.Context) error
	// Retry ends the delivery; the event comes again after the delay, with Attempt one higher, unless a newer event of
	// its key replaced it.
	Retry(ctx context.Context, after time.Duration) error
	// Extend restarts the acknowledgement time-out, for long work.
	Extend(ctx context.Context) error
	// Bury ends the delivery by making letter durable among the dead letters, in this order: when Bury fails, the event
	// comes again.
	Bury(ctx context.Context, letter DeadLetter) error
}

// Backlog is what a link has yet to do.
type Backlog struct {
	Pending     int64 // events not yet handed out, but for those of LaneHeld
	InFlight    int64 // handed out, not yet acknowledged, but for those of LaneHeld
	Bulk        int64 // of Pending and InFlight, those of LaneBulk and LaneLarge
	Held        int64 // all events of LaneHeld
	DeadLetters int64
	// Oldest is the time of the oldest event that is pending or in flight; zero when there is none. Held ones do not count:
	// they wait for an operator, and nothing is behind because of them.
	Oldest time.Time
}

// DeadLetter is a task that failed for good, with its cause. A link keeps at most one per key: the latest.
type DeadLetter struct {
	// ID is given by the queue. It is stable as long as the letter is kept.
	ID       string    `json:"id"`
	Link     Link      `json:"link"`
	Event    Event     `json:"event"`
	Site     string    `json:"site,omitempty"` // the one that failed, where that is known
	Kind     Kind      `json:"kind"`
	Cause    string    `json:"cause"`
	Remedy   string    `json:"remedy"`
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first"` // the first attempt
	Last     time.Time `json:"last"`  // the last attempt
}

// LetterFilter chooses dead letters. The zero value chooses all.
type LetterFilter struct {
	Link   Link      // the zero Link: of every link
	Prefix string    // of the key
	Kinds  []Kind    // none: of every kind
	Site   string    // the one that failed; empty: any
	Since  time.Time // the last attempt was then or later; zero: whenever
	Before time.Time // the last attempt was before; zero: whenever
}

// Matches reports whether the filter chooses a letter.
func (f LetterFilter) Matches(l DeadLetter) bool {
	return (f.Link == Link{} || f.Link == l.Link) && strings.HasPrefix(l.Event.Key, f.Prefix) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, l.Kind)) && (f.Site == "" || f.Site == l.Site) &&
		!l.Last.Before(f.Since) && (f.Before.IsZero() || l.Last.Before(f.Before))
}

// LetterCount is how many dead letters of one kind a link has.
type LetterCount struct {
	Link  Link  `json:"link"`
	Kind  Kind  `json:"kind"`
	Count int64 `json:"count"`
}

// DeadLetters is the store of failed tasks. It works in bounded memory, however many there are.
type DeadLetters interface {
	// List returns up to limit letters that filter chooses, after the one with ID cursor ("" for the start), the oldest first.
	// next is the cursor for the following page, "" at the end. As one call looks at a bounded number of letters, a page may
	// hold fewer than limit, or none, and yet not be the last.
	List(ctx context.Context, filter LetterFilter, cursor string, limit int) (letters []DeadLetter, next string, err error)
	// Get returns one letter. KindNotFound when it is gone.
	Get(ctx context.Context, id string) (DeadLetter, error)
	// Count counts the letters that filter chooses, by link and kind, in the order of these. It looks at all of them.
	Count(ctx context.Context, filter LetterFilter) ([]LetterCount, error)
	// Replay publishes the events of letters again in LaneBulk, each for its link only, and then removes the letters. It returns
	// how many there were: those that are gone are no error. Replaying is idempotent: processing reads the current state.
	Replay(ctx context.Context, ids ...string) (int, error)
	// Drop removes letters for good, and returns how many there were. What they stand for is not replicated unless the key
	// changes again, or a reconcile finds it.
	Drop(ctx context.Context, ids ...string) (int, error)
}
