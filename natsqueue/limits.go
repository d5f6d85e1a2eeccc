package natsqueue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// measureEvery is how often the server is asked how much it holds.
const measureEvery = time.Second

// gauge estimates how many messages a stream holds: what the server said last, and all that was added since. It is never
// too low by more than what other processes added since. Safe for concurrent use.
type gauge struct {
	limit   int64
	counted atomic.Int64
	added   atomic.Int64
	full    atomic.Bool // and it has been logged
}

// room returns how many messages may be added.
func (g *gauge) room() int64 { return max(0, g.limit-g.counted.Load()-g.added.Load()) }

func (g *gauge) add(n int64) { g.added.Add(n) }

// busy reports whether the estimate is worth being made anew.
func (g *gauge) busy() bool { return g.added.Load() > 0 || g.full.Load() }

// measure asks the server through count.
func (g *gauge) measure(count func() (uint64, error)) error {
	before := g.added.Load()
	n, err := count()
	if err != nil {
		return err
	}
	g.counted.Store(int64(n))
	g.added.Add(-before)
	return nil
}

// overflows reports, once, that the gauge is full.
func (g *gauge) overflows() bool { return g.full.CompareAndSwap(false, true) }

// recedes reports, once, that there is room again. That is not said at the first free place, or it would be over and over.
func (g *gauge) recedes() bool { return g.room() > g.limit/10 && g.full.CompareAndSwap(true, false) }

// letterGauge is what is known of the dead letters without asking.
type letterGauge struct {
	gauge
	newest atomic.Uint64 // the sequence of a letter that is not later than any letter yet to come

	mu     sync.Mutex
	links  map[s3mesh.Link]int64 // about how many each link has; 0 only where there is none, but for other processes' latest
	buried int64                 // letters kept by this process, ever
}

// kept notes a letter.
func (g *letterGauge) kept(link s3mesh.Link, sequence uint64) {
	g.add(1)
	g.saw(sequence)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.links[link]++
	g.buried++
}

func (g *letterGauge) saw(sequence uint64) {
	for {
		old := g.newest.Load()
		if old >= sequence || g.newest.CompareAndSwap(old, sequence) {
			return
		}
	}
}

// has reports whether a link has letters.
func (g *letterGauge) has(link s3mesh.Link) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.links[link] > 0
}

// measureLinks asks the server through count. A letter that is buried meanwhile makes the answer void: the next one tells.
func (g *letterGauge) measureLinks(links []s3mesh.Link, count func(s3mesh.Link) (int64, error)) error {
	for _, link := range links {
		g.mu.Lock()
		before := g.buried
		g.mu.Unlock()
		n, err := count(link)
		if err != nil {
			return err
		}
		g.mu.Lock()
		if g.buried == before {
			g.links[link] = n
		}
		g.mu.Unlock()
	}
	return nil
}

// admit returns what to keep of messages: those for which the backlog of their site has room, and a mark for each site that
// has none left.
func (q *Queue) admit(messages []*nats.Msg) []*nats.Msg {
	admitted := make([]*nats.Msg, 0, len(messages))
	marked := map[string]bool{}
	for _, m := range messages {
		site := q.names.site(m.Subject)
		g := q.backlogs[site]
		switch {
		case g.room() > 0:
			g.add(1)
			admitted = append(admitted, m)
		case !marked[site]:
			marked[site] = true
			if g.overflows() {
				q.cfg.Log.Warn("the backlog is full: until there is room, events are not kept, and a reconcile has to find what changed",
					"site", site, "limit", g.limit)
			}
			admitted = append(admitted, q.mark(site))
		}
	}
	return admitted
}

// watch keeps the gauges up to date until the queue is closed.
func (q *Queue) watch() {
	defer close(q.watched)
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-q.stop:
			return
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
			q.measure(ctx, gaugeBusy)
			cancel()
		}
	}
}

func gaugeBusy(g *gauge) bool { return g.busy() }

// measure makes the chosen gauges' estimates anew. Without an answer they stay what they were.
func (q *Queue) measure(ctx context.Context, chosen func(*gauge) bool) {
	for site, g := range q.backlogs {
		if !chosen(g) {
			continue
		}
		q.unmeasured(g.measure(func() (uint64, error) {
			state, err := q.state(ctx, site)
			return state.Msgs, err
		}))
		if g.recedes() {
			q.cfg.Log.Info("the backlog has room again; what was not kept is found by a reconcile", "site", site)
		}
	}
	if q.subscribed() || chosen(&q.letters.gauge) {
		q.measureLetters(ctx)
	}
}

func (q *Queue) measureLetters(ctx context.Context) {
	var last uint64
	err := q.letters.measure(func() (uint64, error) {
		state, err := q.state(ctx, deadLetters)
		last = state.LastSeq
		return state.Msgs, err
	})
	if err != nil {
		q.unmeasured(err)
		return
	}
	q.letters.saw(last)
	if q.letters.recedes() {
		q.cfg.Log.Info("there is room for dead letters again; what was not kept is found by a reconcile")
	}
	q.unmeasured(q.letters.measureLinks(q.cfg.Set.Links, func(link s3mesh.Link) (int64, error) {
		if q.letters.counted.Load() == 0 {
			return 0, nil
		}
		return q.countLetters(ctx, link)
	}))
}

// unmeasured notes why an estimate stays as it was: the owner of a stream may not have created it yet, or the server is away,
// which everything else says aloud.
func (q *Queue) unmeasured(err error) {
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		q.cfg.Log.Debug("the event stream could not be measured", "error", err)
	}
}

// state returns the state of a site's stream.
func (q *Queue) state(ctx context.Context, site string) (jetstream.StreamState, error) {
	stream, err := q.js.Stream(ctx, q.names.stream(site))
	if err != nil {
		return jetstream.StreamState{}, err
	}
	return stream.CachedInfo().State, nil
}

// countLetters returns how many letters a link has.
func (q *Queue) countLetters(ctx context.Context, link s3mesh.Link) (int64, error) {
	c, err := q.js.Consumer(ctx, q.names.stream(deadLetters), counter(link))
	if err != nil {
		return 0, err
	}
	return int64(c.CachedInfo().NumPending), nil
}
