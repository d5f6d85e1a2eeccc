package intake

import (
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

// probes is where scratch keys are.
const probes = s3mesh.ReservedPrefix + "probe/"

// maxSeen is how many notifications a [Seen] remembers.
const maxSeen = 256

// Seen remembers the latest notifications of scratch keys, so that whoever wrote one can ask whether its notification came. It
// holds a few hundred. The zero value is ready, and safe for concurrent use.
type Seen struct {
	mu      sync.Mutex
	entries []seen // a ring
	next    int
}

type seen struct {
	site, key string
	at        time.Time
}

// Note remembers those of a site's events that are of keys under ".s3mesh/probe/".
func (s *Seen) Note(site string, events []s3mesh.Event, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range events {
		if !strings.HasPrefix(ev.Key, probes) {
			continue
		}
		if len(s.entries) < maxSeen {
			s.entries = append(s.entries, seen{})
		}
		s.entries[s.next%maxSeen] = seen{site, ev.Key, at}
		s.next++
	}
}

// When returns when a notification of a key at a site came last, and false when none is remembered.
func (s *Seen) When(site, key string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var latest time.Time
	for _, e := range s.entries {
		if e.site == site && e.key == key && e.at.After(latest) {
			latest = e.at
		}
	}
	return latest, !latest.IsZero()
}
