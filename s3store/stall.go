package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// limits is how long a store may keep a request waiting. A store that hangs still takes connections, so that nothing but
// time tells.
type limits struct {
	answer   time.Duration // from the last byte of a request to the head of its answer
	complete time.Duration // the same, and any piece of the answer, for CompleteMultipartUpload: a store may join the parts
	stall    time.Duration // between two pieces of a body, either way
}

func defaultLimits() limits {
	return limits{answer: 15 * time.Second, complete: 5 * time.Minute, stall: 30 * time.Second}
}

// toAnswer returns how long the answer to req is awaited. The end of a streamed body may still be in the buffers of the
// network when all of it is written, so that its answer has the time of a body.
func (l limits) toAnswer(req *http.Request) time.Duration {
	switch {
	case completes(req):
		return l.complete
	case hasBody(req) && req.GetBody == nil:
		return l.stall
	}
	return l.answer
}

// toContinue returns how long the next piece of the answer to req is awaited. A store may join the parts of an upload when
// it has already answered 200.
func (l limits) toContinue(req *http.Request) time.Duration {
	if completes(req) {
		return l.complete
	}
	return l.stall
}

// completes reports whether req is a CompleteMultipartUpload.
func completes(req *http.Request) bool {
	return req.Method == http.MethodPost && req.URL.Query().Has("uploadId")
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// stalledError says what a store did not do in time.
type stalledError struct {
	what  string
	after time.Duration
}

func (e *stalledError) Error() string { return fmt.Sprintf("%s for %v", e.what, e.after) }

// wait cancels its request when it lasts longer than its limit.
type wait struct {
	limit time.Duration
	timer *time.Timer

	mu   sync.Mutex
	over bool
}

func newWait(cancel context.CancelCauseFunc, limit time.Duration, what string) *wait {
	timer := time.AfterFunc(limit, func() { cancel(&stalledError{what: what, after: limit}) })
	timer.Stop()
	return &wait{limit: limit, timer: timer}
}

func (w *wait) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.timer.Reset(w.limit)
	}
}

func (w *wait) stop() { w.timer.Stop() }

// end stops the wait for good: a transport may still read a body when it has the answer.
func (w *wait) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// impatient is a transport that gives up on a store which hangs, with a *stalledError. Only the time spent waiting for
// the store counts: not that in which the source of a body has no data, nor that in which nobody reads an answer.
type impatient struct {
	http.RoundTripper
	limits limits
}

// RoundTrip implements [http.RoundTripper].
func (t *impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	answer := newWait(cancel, t.limits.toAnswer(req), "no answer from the store")
	sent := req.WithContext(ctx)
	if hasBody(req) {
		taken := newWait(cancel, t.limits.stall, "the store took nothing of the body")
		defer taken.end()
		sent.Body = &sentBody{ReadCloser: req.Body, taken: taken, answer: answer}
		if req.GetBody != nil {
			sent.GetBody = func() (io.ReadCloser, error) {
				again, err := req.GetBody()
				return &sentBody{ReadCloser: again, taken: taken, answer: answer}, err
			}
		}
	}
	answer.start()
	defer answer.end()
	resp, err := t.RoundTripper.RoundTrip(sent)
	if err != nil {
		err = explain(ctx, err)
		cancel(nil)
		return nil, err
	}
	more := newWait(cancel, t.limits.toContinue(req), "the store sent nothing more of its answer")
	resp.Body = &receivedBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, more: more}
	return resp, nil
}

// explain returns why the request of ctx was given up, if it was, and else err.
func explain(ctx context.Context, err error) error {
	if stalled, ok := errors.AsType[*stalledError](context.Cause(ctx)); ok {
		return stalled
	}
	return err
}

// sentBody watches that the transport, which reads it, gets rid of what it read.
type sentBody struct {
	io.ReadCloser
	taken, answer *wait
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	b.answer.stop()
	b.taken.stop()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
		b.taken.start()
	case errors.Is(err, io.EOF):
		b.answer.start()
	}
	return n, err
}

// receivedBody watches that what is asked for comes.
type receivedBody struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // the context of the request that this is the answer to
	cancel context.CancelCauseFunc
	more   *wait
}

// Read implements io.Reader.
func (b *receivedBody) Read(p []byte) (int, error) {
	b.more.start()
	n, err := b.ReadCloser.Read(p)
	b.more.stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain(b.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (b *receivedBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
