package replicate

import (
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// failureMemory is how many failing keys a worker counts for. Past it all counts start again, which means more attempts and
// never fewer.
const failureMemory = 100_000

// failures counts, per key, the failures that use up attempts. The counts live as long as the process: after a restart a
// task has all its attempts again. The zero value is ready.
type failures struct {
	mu     sync.Mutex
	counts map[string]*failure
}

type failure struct {
	count int
	first time.Time
}

// count adds a failure of the event's key at the given time and returns how many there are.
func (f *failures) count(ev s3mesh.Event, at time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil || len(f.counts) >= failureMemory {
		f.counts = make(map[string]*failure)
	}
	entry := f.counts[ev.Key]
	if entry == nil {
		entry = &failure{first: at}
		f.counts[ev.Key] = entry
	}
	entry.count++
	return entry.count
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
