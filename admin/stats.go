package admin

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Recorder is the one place that outcomes come to: it counts them for the status and writes them to the log. It is safe
// for concurrent use.
type Recorder struct {
	log   *slog.Logger
	mu    sync.Mutex
	links map[s3mesh.Link]*tally
}

type tally struct {
	results map[s3mesh.Result]int64
	bytes   int64
	lastErr string
}

// NewRecorder returns a recorder with every count of the given links at zero.
func NewRecorder(links []s3mesh.Link, log *slog.Logger) *Recorder {
	r := &Recorder{log: log, links: make(map[s3mesh.Link]*tally, len(links))}
	for _, l := range links {
		r.links[l] = &tally{results: make(map[s3mesh.Result]int64)}
	}
	return r
}

// Observe takes one outcome.
func (r *Recorder) Observe(out s3mesh.Outcome) {
	r.count(out)
	r.write(out)
}

func (r *Recorder) count(out s3mesh.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.links[out.Task.Link]
	if t == nil {
		return
	}
	t.results[out.Result]++
	t.bytes += out.Bytes
	if out.Err != nil {
		t.lastErr = out.Err.Error()
	}
}

func (r *Recorder) write(out s3mesh.Outcome) {
	level := slog.LevelDebug
	switch {
	case out.Result == s3mesh.ResultDeadLettered:
		level = slog.LevelError
	case out.Err != nil && s3mesh.KindOf(out.Err) != s3mesh.KindCanceled:
		level = slog.LevelWarn
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"link", out.Task.Link.String(), "key", out.Task.Event.Key, "result", out.Result,
		"attempt", out.Task.Attempt, "bytes", out.Bytes, "lag", out.Lag().Round(time.Millisecond).String()}
	if out.Err != nil {
		kind := s3mesh.KindOf(out.Err)
		attrs = append(attrs, "kind", kind.String(), "error", out.Err, "remedy", kind.Remedy())
	}
	if out.RetryAfter > 0 {
		attrs = append(attrs, "retry_after", out.RetryAfter.Round(time.Millisecond).String())
	}
	r.log.Log(context.Background(), level, "task", attrs...)
}

// fill adds the counts of a link to its status.
func (r *Recorder) fill(s *LinkStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.links[s.Link]
	if t == nil {
		return
	}
	s.Results = make(map[s3mesh.Result]int64, len(s3mesh.Results()))
	for _, result := range s3mesh.Results() {
		n := t.results[result]
		s.Results[result] = n
		switch result {
		case s3mesh.ResultRetry:
			s.Retries = n
		case s3mesh.ResultDeadLettered:
			s.Failed = n
		case s3mesh.ResultHeld: // not done yet
		default:
			s.Done += n
		}
	}
	s.Bytes, s.LastError = t.bytes, t.lastErr
}
