package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/s3mesh/s3mesh"
)

const (
	// askFor is how long the server keeps a request for deliveries open. It bounds how long one that got lost without a
	// word, as when the server at the other end of a cluster died, goes unnoticed.
	askFor = 10 * time.Second
	// askGrace is how much later than that a request is given up here.
	askGrace = 2 * time.Second
	// askPause is how long to wait after the server refused a request, as while the consumer is not there yet.
	askPause = 500 * time.Millisecond
	// closeTimeout bounds the wait for the server to confirm that it sends nothing more.
	closeTimeout = 5 * time.Second
)

// subscription asks the server for exactly as many deliveries as the window has room for, and no more: an event that
// waited here, behind a long task, could be processed elsewhere. A place in the window is free, asked for, or held: by a
// delivery from its arrival until it is ended.
type subscription struct {
	q      *Queue
	link   s3mesh.Link
	lane   s3mesh.Lane
	window int
	nats   *nats.Subscription
	next   string       // the subject that takes requests
	buffer chan arrival // arrived, not yet taken by Next; has room for the window
	done   chan struct{}

	mu      sync.Mutex
	closed  bool
	asked   int
	held    int
	timer   *time.Timer // gives up on what was asked
	refused bool        // the last request was refused
}

// arrival is a message, and when it came: its acknowledgement time-out runs from then.
type arrival struct {
	message *nats.Msg
	at      time.Time
}

func newSubscription(q *Queue, link s3mesh.Link, lane s3mesh.Lane, window int) (*subscription, error) {
	s := &subscription{
		q: q, link: link, lane: lane, window: window,
		next:   "$JS.API.CONSUMER.MSG.NEXT." + q.names.stream(link.Source) + "." + consumer(link.Target, lane),
		buffer: make(chan arrival, window),
		done:   make(chan struct{}),
	}
	sub, err := q.conn.Subscribe(q.conn.NewInbox(), s.receive)
	if err != nil {
		return nil, err
	}
	s.nats = sub
	s.timer = time.AfterFunc(askFor+askGrace, s.askAgain)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask()
	return s, nil
}

// ask requests deliveries for the free places, unless so few have become free that it is better to wait for more. The
// caller holds mu.
func (s *subscription) ask() {
	free := s.window - s.asked - s.held
	idle := s.asked == 0 && len(s.buffer) == 0
	if s.closed || free <= 0 || (!idle && free < (s.window+3)/4) {
		return
	}
	body, err := json.Marshal(map[string]int64{"batch": int64(free), "expires": int64(askFor)})
	if err == nil {
		err = s.q.conn.PublishRequest(s.next, s.nats.Subject, body)
	}
	if err != nil { // disconnected: asked again on reconnection, or by the timer
		return
	}
	s.asked += free
	s.timer.Reset(askFor + askGrace)
}

// askAgain forgets what was asked for, as no answer will come any more.
func (s *subscription) askAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = 0
	s.timer.Reset(askFor + askGrace)
	s.ask()
}

// receive takes what the server sends: a message, or word about a request.
func (s *subscription) receive(m *nats.Msg) {
	if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
		s.answered(status, m.Header)
		return
	}
	s.mu.Lock()
	s.refused = false
	s.asked = max(0, s.asked-1)
	welcome := !s.closed && s.held < s.window
	if welcome {
		s.held++
		s.buffer <- arrival{m, time.Now()}
	}
	s.mu.Unlock()
	if !welcome {
		s.handBack(m)
	}
}

// answered handles the end of a request: expired with a number of places unused, or refused.
func (s *subscription) answered(status string, header nats.Header) {
	unused, err := strconv.Atoi(header.Get("Nats-Pending-Messages"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.asked = max(0, s.asked-unused)
		s.ask()
		return
	}
	if !s.refused && !s.closed {
		s.q.cfg.Log.Warn("no deliveries for now", "link", s.link, "lane", s.lane, "status", status,
			"reason", header.Get("Description"))
	}
	s.refused = true
	s.timer.Reset(askPause)
}

// handBack returns a message that nobody here has seen: it goes to whoever asks next.
func (s *subscription) handBack(m *nats.Msg) {
	if err := s.q.conn.Publish(m.Reply, nak(0)); err != nil {
		s.q.cfg.Log.Debug("a delivery could not be handed back and comes again after its time-out", "error", err)
	}
}

// Next implements s3mesh.Subscription.
func (s *subscription) Next(ctx context.Context) (s3mesh.Delivery, error) {
	for {
		if err := s.ended(ctx); err != nil {
			return nil, err
		}
		select {
		case <-s.done:
		case <-ctx.Done():
		case a := <-s.buffer:
			s.mu.Lock()
			s.ask()
			s.mu.Unlock()
			if d := s.open(ctx, a); d != nil {
				return d, nil
			}
		}
	}
}

func (s *subscription) ended(ctx context.Context) error {
	select {
	case <-s.done:
		return &s3mesh.Error{Kind: s3mesh.KindCanceled, Op: "Next", Site: s.link.Source, Err: errClosed}
	default:
	}
	if err := ctx.Err(); err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindCanceled, Op: "Next", Site: s.link.Source, Err: err}
	}
	return nil
}

// open makes a delivery of an arrival. It returns nil when there is none to make: the arrival waited here so long that it
// has gone to somebody else, or it cannot be read.
func (s *subscription) open(ctx context.Context, a arrival) *delivery {
	waited := time.Since(a.at)
	if waited >= s.q.cfg.AckWait {
		s.release()
		return nil
	}
	d := &delivery{sub: s, message: a.message, newest: s.q.letters.newest.Load()}
	if waited > s.q.cfg.AckWait/4 {
		if err := s.q.conn.Publish(a.message.Reply, progress); err != nil {
			s.q.cfg.Log.Debug("the time-out of a delivery could not be restarted", "error", err)
		}
	}
	if err := d.read(); err != nil {
		d.buryUnread(ctx, err)
		return nil
	}
	return d
}

// release frees a place in the window.
func (s *subscription) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.ask()
}

// Close implements s3mesh.Subscription. Deliveries that Next has not returned are handed back at once; those it has may
// still be ended by their holder, and come again if they are not.
func (s *subscription) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.timer.Stop()
	s.mu.Unlock()
	close(s.done)
	s.q.forget(s)

	err := s.drain()
	for {
		select {
		case a := <-s.buffer:
			s.handBack(a.message)
			continue
		default:
		}
		break
	}
	if s.q.conn.IsConnected() {
		err = errors.Join(err, s.q.conn.FlushTimeout(closeTimeout))
	}
	return failed("Close", s.link.Source, err)
}

// drain ends the subscription at the server, and waits until everything it has sent has been received, and handed back.
func (s *subscription) drain() error {
	if !s.q.conn.IsConnected() {
		return s.nats.Unsubscribe() // the server has given up on us already
	}
	drained := make(chan struct{})
	s.nats.SetClosedHandler(func(string) { close(drained) })
	if err := s.nats.Drain(); err != nil {
		return err
	}
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-drained:
		return nil
	case <-timeout.C:
		return errors.Join(nats.ErrTimeout, s.nats.Unsubscribe())
	}
}
