package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/webapi"
)

// flushEvery is how long a line of a stream may wait to be sent.
const flushEvery = 250 * time.Millisecond

// Reconciler compares the sites. Options, progress, differences and reports are JSON that only it and the command line know: this
// package passes them on. All methods are safe for concurrent use.
type Reconciler interface {
	// Start begins a run with options, a JSON object, and returns its progress. KindInvalid for options that it cannot take,
	// KindConflict when it cannot begin because of another run.
	Start(ctx context.Context, options json.RawMessage) (progress any, err error)
	// Status tells the run in progress, the last one, and when the next is due.
	Status() any
	// Stop ends the run in progress, and reports whether there was one.
	Stop() bool
	// DryRun compares without changing anything until done or until ctx ends, calls each with every difference, perhaps from
	// several goroutines, and returns its report. An error before the first difference is told by kind, as that of Start.
	DryRun(ctx context.Context, options json.RawMessage, each func(difference any)) (report any, err error)
}

// StreamLine is one line of the answer to a dry run. Exactly one of its fields is there. A line with Report, or one with Error
// and Kind, is the last; a stream that ends without one was cut off.
type StreamLine struct {
	Difference json.RawMessage `json:"difference,omitempty"`
	Report     json.RawMessage `json:"report,omitempty"`
	*webapi.Failure
}

// Stopped tells whether there was a run to stop.
type Stopped struct {
	Stopped bool `json:"stopped"`
}

func (c Config) startReconcile(w http.ResponseWriter, req *http.Request) {
	options, err := readOptions(w, req)
	if err != nil {
		webapi.Reply(w, nil, err)
		return
	}
	progress, err := c.Reconcile.Start(req.Context(), options)
	webapi.Reply(w, progress, err)
}

func (c Config) reconcileStatus(w http.ResponseWriter, _ *http.Request) {
	webapi.Reply(w, c.Reconcile.Status(), nil)
}

func (c Config) stopReconcile(w http.ResponseWriter, _ *http.Request) {
	webapi.Reply(w, Stopped{c.Reconcile.Stop()}, nil)
}

// dryRun streams a line for each difference, and a last one with the report or the error.
func (c Config) dryRun(w http.ResponseWriter, req *http.Request) {
	options, err := readOptions(w, req)
	if err == nil {
		err = unhurried(w)
	}
	if err != nil {
		webapi.Reply(w, nil, err)
		return
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	s := &stream{w: w, buffer: bufio.NewWriter(w), cancel: cancel}
	stopFlushing := s.flushNowAndThen(ctx)
	report, err := c.Reconcile.DryRun(ctx, options, func(d any) { s.send("difference", d) })
	stopFlushing()
	switch {
	case err != nil && !s.begun:
		webapi.Reply(w, nil, err)
		return
	case err != nil:
		s.line(webapi.Failure{Error: err.Error(), Kind: s3mesh.KindOf(err)})
	default:
		s.send("report", report)
	}
	s.flush()
}

// readOptions returns the body, a JSON object.
func readOptions(w http.ResponseWriter, req *http.Request) (json.RawMessage, error) {
	const op = "read the options of a comparison"
	data, err := readJSON(w, req)
	if err != nil {
		return nil, invalid(op, err)
	}
	if data = bytes.TrimSpace(data); data[0] != '{' {
		return nil, invalid(op, errors.New("the body is not a JSON object"))
	}
	return data, nil
}

// stream writes lines of JSON, a buffer at a time.
type stream struct {
	w      http.ResponseWriter
	cancel context.CancelFunc // ends what the lines come from, once nobody reads them

	mu     sync.Mutex
	buffer *bufio.Writer
	begun  bool
}

func (s *stream) send(field string, value any) { s.line(map[string]any{field: value}) }

func (s *stream) line(value any) {
	data, err := json.Marshal(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-ndjson")
	}
	if err == nil {
		_, err = s.buffer.Write(append(data, '\n'))
	}
	if err != nil {
		s.cancel()
	}
}

func (s *stream) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buffer.Buffered() == 0 {
		return
	}
	if errors.Join(s.buffer.Flush(), http.NewResponseController(s.w).Flush()) != nil {
		s.cancel()
	}
}

// flushNowAndThen sends what was written until stop is called, or ctx ends.
func (s *stream) flushNowAndThen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var flusher sync.WaitGroup
	flusher.Go(func() {
		ticker := time.NewTicker(flushEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				s.flush()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		flusher.Wait()
	}
}

// StartReconcile begins a run with options, and reads its progress into progress.
func (c *Client) StartReconcile(ctx context.Context, options, progress any) error {
	return c.call(ctx, http.MethodPost, "/v1/reconcile", options, progress)
}

// ReconcileStatus reads the state of comparisons into status.
func (c *Client) ReconcileStatus(ctx context.Context, status any) error {
	return c.call(ctx, http.MethodGet, "/v1/reconcile", nil, status)
}

// StopReconcile ends the run in progress, and reports whether there was one.
func (c *Client) StopReconcile(ctx context.Context) (bool, error) {
	var done Stopped
	err := c.call(ctx, http.MethodPost, "/v1/reconcile/stop", nil, &done)
	return done.Stopped, err
}

// DryRun has the sites compared without changing anything, calls each with every difference, and reads the report into report. An
// error of each ends it, and is returned. A stream that is cut off is KindUnreachable.
func (c *Client) DryRun(ctx context.Context, options any, each func(difference json.RawMessage) error, report any) (err error) {
	resp, err := c.send(ctx, http.MethodPost, "/v1/reconcile/dry-run", options)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what is left of it is not wanted
	for lines := json.NewDecoder(resp.Body); ; {
		var line StreamLine
		if err := lines.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return errors.Join(ctx.Err(), &s3mesh.Error{Kind: s3mesh.KindUnreachable, Op: "compare the sites",
				Err: fmt.Errorf("the running process stopped answering: %w", err)})
		}
		switch {
		case line.Failure != nil:
			return &answered{*line.Failure}
		case line.Report != nil:
			return json.Unmarshal(line.Report, report)
		}
		if err := each(line.Difference); err != nil {
			return err
		}
	}
}
