package replicate

import (
	"context"
	"slices"
	"sync"

	"github.com/s3mesh/s3mesh"
)

// echoMemory is how many finished writes each of the two generations of Echoes remembers. A generation of 32,768 entries
// takes about 8 MiB, and covers the seconds between a write and its event many times over.
const echoMemory = 32768

// Echoes remembers what replicators of this process have just written, so that the events caused by those writes are
// recognised and cost no request. Forgetting is harmless: an echo that slips through is one wasted look.
//
// It is safe for concurrent use; the zero value is ready.
type Echoes struct {
	mu       sync.Mutex
	inFlight map[place]*flight
	recent   map[place][]*echo
	older    map[place][]*echo
}

type place struct{ site, key string }

// echo is a finished write that an event is expected of.
type echo struct {
	s3mesh.Written
	taken []string // the consumers that have matched it by ETag
}

// flight is the writes to one key that have not returned yet.
type flight struct {
	writes int
	done   chan struct{} // closed when the last of them returned
}

// Begin announces a write to key at site. The caller must call the returned function when the write returned: with what
// was written, or with nil.
func (e *Echoes) Begin(site, key string) func(*s3mesh.Written) {
	at := place{site, key}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inFlight == nil {
		e.inFlight = make(map[place]*flight)
		e.recent = make(map[place][]*echo)
	}
	f := e.inFlight[at]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		e.inFlight[at] = f
	}
	f.writes++
	return func(w *s3mesh.Written) { e.end(at, f, w) }
}

func (e *Echoes) end(at place, f *flight, w *s3mesh.Written) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w != nil {
		if len(e.recent) >= echoMemory {
			e.recent, e.older = make(map[place][]*echo), e.recent
		}
		e.recent[at] = append(e.recent[at], &echo{Written: *w})
	}
	if f.writes--; f.writes == 0 {
		delete(e.inFlight, at)
		close(f.done)
	}
}

// Caused reports whether a finished write caused the event. Where the event carries a version ID, only that decides.
// Otherwise the ETag does, and each write accounts for one event per consumer: the target of the link that asks, or "" at
// the intake.
func (e *Echoes) Caused(ev s3mesh.Event, consumer string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := place{ev.Site, ev.Key}
	for _, memory := range []map[place][]*echo{e.recent, e.older} {
		for _, w := range memory[at] {
			if w.matches(ev, consumer) {
				return true
			}
		}
	}
	return false
}

func (w *echo) matches(ev s3mesh.Event, consumer string) bool {
	if ev.VersionID != "" && w.VersionID != "" {
		return ev.VersionID == w.VersionID
	}
	if ev.ETag == "" || ev.ETag != w.ETag || slices.Contains(w.taken, consumer) {
		return false
	}
	w.taken = append(w.taken, consumer)
	return true
}

// Await is Caused, after waiting for the writes to the event's key that are in flight.
func (e *Echoes) Await(ctx context.Context, ev s3mesh.Event, consumer string) bool {
	e.mu.Lock()
	f := e.inFlight[place{ev.Site, ev.Key}]
	e.mu.Unlock()
	if f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
			return false
		}
	}
	return e.Caused(ev, consumer)
}

// Wrote reports whether a write to key at site is still remembered.
func (e *Echoes) Wrote(site, key string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := place{site, key}
	return len(e.recent[at]) > 0 || len(e.older[at]) > 0
}
