package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/s3mesh/s3mesh"
)

// lister is the part of a [Site] that a merge reads.
type lister interface {
	List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error]
}

// unorderedError tells that a site lists its keys in another than byte order.
type unorderedError struct{ site int }

func (e *unorderedError) Error() string {
	return fmt.Sprintf("the listing of site %d is not in byte order", e.site)
}

// page is what a reader hands to its cursor.
type page struct {
	items []s3mesh.Listed
	err   error
}

// merger yields the keys of a shard in byte order, each with what every site lists for it. One page of each site is fetched
// ahead.
type merger struct {
	cursors []*cursor
	readers sync.WaitGroup
	cancel  context.CancelFunc

	// The current key, what each site lists for it (nil: nothing), and the same as a set of sites.
	key  string
	row  []*s3mesh.Listed
	held uint64
}

// cursor is one site's place in a shard.
type cursor struct {
	site      int
	low, high string
	pages     chan page
	items     []s3mesh.Listed
	next      int
	cur       *s3mesh.Listed // nil: nothing more up to high
	// first is the first key that was read, last the last one that was merged, and beyond the first one after high.
	first, last, beyond string
}

// merge starts to list what a shard has yet to compare.
func (r *run) merge(ctx context.Context, low, high string) (*merger, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := &merger{cancel: cancel, row: make([]*s3mesh.Listed, len(r.sites))}
	for i := range r.sites {
		c := &cursor{site: i, low: low, high: high, pages: make(chan page)}
		m.cursors = append(m.cursors, c)
		m.readers.Go(func() { r.read(ctx, c) })
	}
	for _, c := range m.cursors {
		if err := c.advance(ctx); err != nil {
			m.stop()
			return nil, err
		}
	}
	return m, nil
}

// stop ends the listings.
func (m *merger) stop() {
	m.cancel()
	m.readers.Wait()
}

// advance goes on to the next key. It reports false at the end.
func (m *merger) advance(ctx context.Context) (bool, error) {
	for i, c := range m.cursors {
		if m.row[i] == nil {
			continue
		}
		c.last = m.key
		if err := c.advance(ctx); err != nil {
			return false, err
		}
	}
	m.held = 0
	for i, c := range m.cursors {
		switch {
		case c.cur == nil:
		case m.held != 0 && c.cur.Key == m.key:
			m.held |= 1 << i
		case m.held == 0 || c.cur.Key < m.key:
			m.key, m.held = c.cur.Key, 1<<i
		}
	}
	for i, c := range m.cursors {
		m.row[i] = nil
		if m.held&(1<<i) != 0 {
			m.row[i] = c.cur
		}
	}
	return m.held != 0, nil
}

// advance goes on to the site's next key. A key that comes twice, as it may at the edge of two pages, counts once.
func (c *cursor) advance(ctx context.Context) error {
	before := c.low
	if c.cur != nil {
		before = c.cur.Key
	}
	for {
		if c.next == len(c.items) {
			more, err := c.receive(ctx)
			if err != nil || !more {
				c.cur = nil
				return err
			}
			continue
		}
		e := &c.items[c.next]
		c.next++
		switch {
		case e.Key == before && before != "":
			continue
		case e.Key < before:
			return &unorderedError{c.site}
		}
		if c.first == "" {
			c.first = e.Key
		}
		c.cur = e
		if c.high != "" && e.Key > c.high {
			return c.leave()
		}
		return nil
	}
}

// leave ends the cursor at a key after high. The rest of the page tells whether the store keeps to byte order.
func (c *cursor) leave() error {
	before := c.cur.Key
	c.beyond, c.cur = before, nil
	for _, e := range c.items[c.next:] {
		if e.Key < before {
			return &unorderedError{c.site}
		}
		before = e.Key
	}
	return nil
}

// receive waits for the next page. It reports false when there is none.
func (c *cursor) receive(ctx context.Context) (bool, error) {
	p, open := <-c.pages
	switch {
	case open && p.err != nil:
		return false, p.err
	case !open && ctx.Err() != nil:
		return false, canceled(ctx)
	case !open:
		return false, nil
	}
	c.items, c.next = p.items, 0
	return true, nil
}

// read lists a site into the cursor's channel until a page ends beyond the shard, and goes on after a passing failure where it
// was.
func (r *run) read(ctx context.Context, c *cursor) {
	defer close(c.pages)
	after, failures := c.low, 0
	for {
		moved, err := r.readFrom(ctx, c, after)
		if errors.Is(err, errEnough) {
			return
		}
		if moved != "" {
			after, failures = moved, 0
		}
		if failures++; !r.again(ctx, r.sites[c.site], err, failures) {
			send(ctx, c.pages, page{err: err})
			return
		}
	}
}

// errEnough ends a listing that has nothing more to tell.
var errEnough = errors.New("no more of this listing is needed")

// readFrom returns the last key that it handed on, and why it ended.
func (r *run) readFrom(ctx context.Context, c *cursor, after string) (moved string, err error) {
	for items, err := range r.listers[c.site].List(ctx, s3mesh.ListOptions{Prefix: r.opt.Prefix, After: after}) {
		if err != nil {
			return moved, err
		}
		if len(items) == 0 {
			continue
		}
		if !send(ctx, c.pages, page{items: items}) {
			return moved, errEnough
		}
		if moved = items[len(items)-1].Key; c.high != "" && moved > c.high {
			return moved, errEnough
		}
	}
	return moved, errEnough
}

// send reports false when ctx ended first.
func send(ctx context.Context, pages chan<- page, p page) bool {
	select {
	case pages <- p:
		return true
	case <-ctx.Done():
		return false
	}
}
