package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
)

// requestTimeout bounds one request to the server where the caller's context has no deadline.
const requestTimeout = 10 * time.Second

// Queue is an s3mesh.Queue on JetStream. All methods are safe for concurrent use.
type Queue struct {
	cfg      Config
	names    subjects
	embedded *embedded // nil with an external server
	conn     *nats.Conn
	js       jetstream.JetStream

	backlogs map[string]*gauge // by site
	letters  letterGauge
	stop     chan struct{} // closed by Close
	watched  chan struct{} // closed once nothing is measured any more; nil until it is

	mu     sync.Mutex
	closed bool
	subs   map[*subscription]struct{}
	calls  sync.WaitGroup // publishes under way
}

var _ s3mesh.Queue = (*Queue)(nil)

// Open starts the embedded server, or connects to the external one, and creates the streams and consumers of the sites
// that this process owns. When it returns, no event published by anyone to these sites can miss a link.
//
// A bad configuration is KindInvalid, a directory that another process uses KindConflict, a server that does not answer
// KindUnreachable.
func Open(ctx context.Context, cfg Config) (*Queue, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, invalid("Open", "", err)
	}
	q := newQueue(cfg)
	if err := q.open(ctx); err != nil {
		return nil, errors.Join(failed("Open", "", err), q.shutdown(context.WithoutCancel(ctx)))
	}
	return q, nil
}

func newQueue(cfg Config) *Queue {
	q := &Queue{
		cfg: cfg, names: subjects{cfg.Set.Name}, subs: map[*subscription]struct{}{}, stop: make(chan struct{}),
		backlogs: map[string]*gauge{},
		letters:  letterGauge{gauge: gauge{limit: cfg.MaxDeadLetters}, links: map[s3mesh.Link]int64{}},
	}
	for _, site := range cfg.Set.Sites {
		q.backlogs[site.Name] = &gauge{limit: cfg.MaxBacklog}
	}
	return q
}

func (q *Queue) open(ctx context.Context) (err error) {
	if q.cfg.Dir != "" {
		if q.embedded, err = startEmbedded(q.cfg); err != nil {
			return err
		}
	}
	if err := q.connect(); err != nil {
		return err
	}
	q.js, err = jetstream.New(q.conn, jetstream.WithDefaultTimeout(requestTimeout),
		jetstream.WithPublishAsyncTimeout(requestTimeout))
	if err != nil {
		return err
	}
	if err := q.createStreams(ctx); err != nil {
		return err
	}
	if q.embedded != nil {
		if err := q.recover(ctx); err != nil {
			return fmt.Errorf("recovery of the event journal: %w", err)
		}
		if err := q.embedded.recovered(); err != nil {
			return err
		}
	}
	q.measure(ctx, func(*gauge) bool { return true })
	q.watched = make(chan struct{})
	go q.watch()
	return nil
}

// Close lets publishes under way finish, hands back deliveries that no caller has taken, and disconnects; an embedded
// server is shut down. When ctx ends first, what is left is cut off: publishes fail, and are not acknowledged to anyone.
// Calls after Close are KindCanceled.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.mu.Unlock()
	close(q.stop)

	var errs []error
	for _, s := range q.subscriptions() {
		errs = append(errs, s.Close())
	}
	done := make(chan struct{})
	go func() { q.calls.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		errs = append(errs, ctx.Err())
	}
	return failed("Close", "", errors.Join(append(errs, q.shutdown(ctx))...))
}

// shutdown stops the connection and the embedded server, as far as they were started.
func (q *Queue) shutdown(ctx context.Context) error {
	if q.conn != nil {
		q.conn.Close()
	}
	if q.watched != nil {
		<-q.watched
	}
	if q.embedded != nil {
		return q.embedded.stop(ctx)
	}
	return nil
}

// enter registers a publish, which Close waits for.
func (q *Queue) enter() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.calls.Add(1)
	return nil
}

// Subscribe implements s3mesh.Queue. It does not need the link's consumer to exist yet: deliveries begin once the owner
// of the source has created it. A link that is not in the replica set, or a window below 1, is KindInvalid.
func (q *Queue) Subscribe(ctx context.Context, link s3mesh.Link, lane s3mesh.Lane, window int) (s3mesh.Subscription, error) {
	if err := errors.Join(q.checkLink(link), checkLane(lane)); err != nil {
		return nil, invalid("Subscribe", link.Source, err)
	}
	if window < 1 {
		return nil, invalid("Subscribe", link.Source, fmt.Errorf("window %d: at least 1", window))
	}
	if err := ctx.Err(); err != nil {
		return nil, failed("Subscribe", link.Source, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, failed("Subscribe", link.Source, errClosed)
	}
	s, err := newSubscription(q, link, lane, window)
	if err != nil {
		return nil, failed("Subscribe", link.Source, err)
	}
	q.subs[s] = struct{}{}
	return s, nil
}

func (q *Queue) subscriptions() []*subscription {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]*subscription, 0, len(q.subs))
	for s := range q.subs {
		all = append(all, s)
	}
	return all
}

func (q *Queue) subscribed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.subs) > 0
}

func (q *Queue) forget(s *subscription) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.subs, s)
}

// DeadLetters implements s3mesh.Queue.
func (q *Queue) DeadLetters() s3mesh.DeadLetters { return letters{q} }

func (q *Queue) checkLink(link s3mesh.Link) error {
	if !slices.Contains(q.cfg.Set.Links, link) {
		return fmt.Errorf("link %s is not in replica set %s", link, q.cfg.Set.Name)
	}
	return nil
}

func checkLane(lane s3mesh.Lane) error {
	if !slices.Contains(s3mesh.Lanes(), lane) {
		return fmt.Errorf("lane %q is not one of %v", lane, s3mesh.Lanes())
	}
	return nil
}

// withTimeout gives ctx a deadline if it has none.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, requestTimeout)
}
