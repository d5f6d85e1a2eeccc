package replicate

import (
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// failureMemory is how many failing keys a worker counts for. Past it all counts start again, which means more attempts and
// never fewer.
const failureMemory = 100_000

// ResumeWindow is for how long tasks count as ones that may have been left half-way, after it was forgotten which were. It is
// far longer than a queue takes to deliver such a task again.
const ResumeWindow = 10 * time.Minute

// UsesAttempt reports whether a failure of this kind uses up one of a task's attempts: it may pass, and does not merely tell
// that a site is away or busy, that the work was stopped, or that a delete is held.
func UsesAttempt(kind s3mesh.Kind) bool {
	switch kind {
	case s3mesh.KindUnreachable, s3mesh.KindThrottled, s3mesh.KindCanceled, s3mesh.KindHeld:
		return false
	default:
		return kind.Transient()
	}
}

// Hopeless reports whether a task that failed with an error of this kind is to be kept as a dead letter: it can never succeed,
// or has used up its attempts. failed counts its failures that [UsesAttempt], this one included.
func Hopeless(kind s3mesh.Kind, failed, attempts int) bool {
	return !kind.Transient() || UsesAttempt(kind) && failed >= attempts
}

// failures counts, per key, the failures that use up attempts. The counts live as long as the process: after a restart a
// task has all its attempts again. The zero value is ready.
type failures struct {
	mu     sync.Mutex
	counts map[string]*failure
	// spilled is when the memory was full, and unfinished tasks were forgotten.
	spilled time.Time
}

type failure struct {
	count int
	first time.Time
}

// count adds a failure of the event's key at the given time and returns how many there are.
func (f *failures) count(ev s3mesh.Event, at time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.entry(ev, at)
	entry.count++
	return entry.count
}

// entry returns that of the event's key. The lock is held.
func (f *failures) entry(ev s3mesh.Event, at time.Time) *failure {
	if len(f.counts) >= failureMemory {
		f.counts, f.spilled = nil, at
	}
	if f.counts == nil {
		f.counts = make(map[string]*failure)
	}
	entry := f.counts[ev.Key]
	if entry == nil {
		entry = &failure{first: at}
		f.counts[ev.Key] = entry
	}
	return entry
}

// leave remembers that a task of the event's key was left unfinished, without using up an attempt.
func (f *failures) leave(ev s3mesh.Event, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entry(ev, at)
}

// unfinished reports that a task of the event's key was, or may have been, left unfinished.
func (f *failures) unfinished(ev s3mesh.Event, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[ev.Key] != nil || now.Sub(f.spilled) < ResumeWindow
}

// first returns the time of the first counted failure of the event's key, or otherwise if there is none.
func (f *failures) first(ev s3mesh.Event, otherwise time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if entry := f.counts[ev.Key]; entry != nil {
		return entry.first
	}
	return otherwise
}

func (f *failures) forget(ev s3mesh.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.counts, ev.Key)
}
