package replicate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// brakeSeconds is how far back a [Brake] counts.
const brakeSeconds = 60

// Brake stops the deletes on a link that come faster than a limit: a mistake, or an attacker, that empties a bucket must not
// empty them all. Once engaged it stays so until an operator resumes the link, also when the deletes cease.
//
// It counts in sixty buckets of a second. A token bucket would let twice the limit through in the first minute, and a list
// of the times of all deletes would grow with the limit; this is at most a second short of a minute.
//
// It counts the deletes of this process alone: processes that serve the same site each have the whole limit. The nil Brake
// holds nothing. It is safe for concurrent use.
type Brake struct {
	limit int
	now   func() time.Time
	alert func(s3mesh.Link)

	mu    sync.Mutex
	links map[s3mesh.Link]*braked
}

// braked is the brake of one link. The lock of the Brake guards it.
type braked struct {
	engaged bool
	resumed chan struct{} // closed while what was held back may go on
	counts  [brakeSeconds]struct {
		second  int64
		deletes int
	}
}

// NewBrake returns a brake that is not engaged, for links that may each pass limitPerMinute deletes a minute. alert is called
// each time that it engages, by whoever engaged it, and may call the brake.
func NewBrake(links []s3mesh.Link, limitPerMinute int, now func() time.Time, alert func(s3mesh.Link)) *Brake {
	b := &Brake{limit: limitPerMinute, now: now, alert: alert, links: make(map[s3mesh.Link]*braked, len(links))}
	for _, link := range links {
		b.links[link] = &braked{resumed: make(chan struct{})}
	}
	return b
}

// Admit counts a delete that is about to be applied over link. When the link is held, or this delete is one too many within
// the last minute, which engages the brake, it returns an error of KindHeld: the delete must not be applied. A link that the
// brake was not made for is never held.
func (b *Brake) Admit(link s3mesh.Link) error {
	if b == nil {
		return nil
	}
	held, engaged := b.admit(link)
	if engaged {
		b.alert(link)
	}
	if !held {
		return nil
	}
	return &s3mesh.Error{Kind: s3mesh.KindHeld, Op: "delete", Site: link.Target,
		Err: fmt.Errorf("%s is held: more than %d deletes in a minute", link, b.limit)}
}

// Covers reports whether the brake was made for a link.
func (b *Brake) Covers(link s3mesh.Link) bool {
	if b == nil {
		return false
	}
	_, known := b.links[link]
	return known
}

// admit tells whether the delete is held, and whether it is the one that engaged the brake.
func (b *Brake) admit(link s3mesh.Link) (held, engages bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[link]
	switch {
	case l == nil:
		return false, false
	case l.engaged:
		return true, false
	case l.count(b.now().Unix()) < b.limit:
		return false, false
	}
	l.engage()
	return true, true
}

// count adds a delete, and returns how many there were within the last minute before it.
func (l *braked) count(second int64) (before int) {
	for _, c := range l.counts {
		if c.second > second-brakeSeconds {
			before += c.deletes
		}
	}
	slot := &l.counts[uint64(second)%brakeSeconds] // a clock may be set before 1970
	if slot.second != second {
		slot.second, slot.deletes = second, 0
	}
	slot.deletes++
	return before
}

func (l *braked) engage() {
	l.engaged = true
	select {
	case <-l.resumed:
		l.resumed = make(chan struct{})
	default: // nobody resumed the link since it was last engaged
	}
}

// Engage holds the deletes of a link, as if there had been too many. A process does so when it starts and finds deletes that
// were held back: nobody has resumed the link yet.
func (b *Brake) Engage(link s3mesh.Link) {
	if b != nil && b.engage(link) {
		b.alert(link)
	}
}

func (b *Brake) engage(link s3mesh.Link) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[link]
	if l == nil || l.engaged {
		return false
	}
	l.engage()
	return true
}

// Engaged reports whether the deletes of a link are held.
func (b *Brake) Engaged(link s3mesh.Link) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[link]
	return l != nil && l.engaged
}

// Resume lets the deletes of a link go on, those that were held back and new ones, which are counted from zero again.
func (b *Brake) Resume(link s3mesh.Link) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[link]
	if l == nil {
		return
	}
	l.engaged = false
	clear(l.counts[:])
	select {
	case <-l.resumed:
	default:
		close(l.resumed)
	}
}

// Wait waits until the deletes that were held back on a link may go on: until somebody has resumed it, also when this process
// has never held it, as another one that serves the same site may have. It returns the context's error when that ends first.
func (b *Brake) Wait(ctx context.Context, link s3mesh.Link) error {
	if b == nil {
		return ctx.Err()
	}
	b.mu.Lock()
	l := b.links[link]
	if l == nil {
		b.mu.Unlock()
		return ctx.Err()
	}
	resumed := l.resumed
	b.mu.Unlock()
	select {
	case <-resumed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
