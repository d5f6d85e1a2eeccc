package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// fate is what the writer knows of an operation.
type fate string

const (
	acknowledged fate = "acknowledged"
	unknown      fate = "unknown" // it may have happened
	refused      fate = "refused" // it has not happened
	void         fate = "void"    // acknowledged, and had nothing to do: a delete where nothing was
)

// operation is one write or delete of a key, as its writer saw it. Times are those of the one clock that all processes share.
type operation struct {
	ID     string `json:"id"` // in the metadata of what it wrote
	Writer string `json:"writer"`
	Region string `json:"region"`
	Key    string `json:"key"`
	Delete bool   `json:"delete,omitempty"`
	// Batch is the ID of the first of several deletes in one request.
	Batch string `json:"batch,omitempty"`

	// Saw is the ID of the operation whose result its writer saw under the key before, if it looked.
	Saw string `json:"saw,omitempty"`

	// SameBytes tells that it wrote the bytes that its writer had written under the key before: what it changed is the metadata.
	SameBytes bool `json:"same_bytes,omitempty"`

	Size        int    `json:"size"`
	SHA256      string `json:"sha256,omitempty"`
	ContentType string `json:"content_type,omitempty"`

	Begin     time.Time `json:"begin"`
	End       time.Time `json:"end"`
	Fate      fate      `json:"fate"`
	VersionID string    `json:"version_id,omitempty"`
	ETag      string    `json:"etag,omitempty"`
	Error     string    `json:"error,omitempty"`
	// Killed tells that the region was killed, or down, in the meantime.
	Killed bool `json:"killed,omitempty"`
}

// latest returns the last moment at which the operation may have happened. The second result is false when there is none: its
// writer gave up, and the region may have gone on.
func (o *operation) latest() (time.Time, bool) {
	return o.End, o.Fate == acknowledged || o.Fate == unknown && o.Killed
}

// possible reports whether the operation may have happened.
func (o *operation) possible() bool { return o.Fate == acknowledged || o.Fate == unknown }

func (o *operation) String() string {
	what := fmt.Sprintf("put %d bytes", o.Size)
	if o.Delete {
		what = "delete"
	}
	return fmt.Sprintf("%s %s to %s %s %s at %s: %s, version %q, saw %q, killed %v %s", o.ID, o.Begin.Format("15:04:05.000"),
		o.End.Format("15:04:05.000"), what, o.Fate, o.Region, o.SHA256, o.VersionID, o.Saw, o.Killed, o.Error)
}

// history is the writers' log. It is safe for concurrent use.
type history struct {
	mu         sync.Mutex
	operations []*operation
}

func (h *history) add(ops ...*operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, ops...)
}

// byKey returns the operations of each key, in the order in which they began.
func (h *history) byKey() map[string][]*operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := map[string][]*operation{}
	for _, o := range h.operations {
		keys[o.Key] = append(keys[o.Key], o)
	}
	for _, ops := range keys {
		slices.SortStableFunc(ops, func(a, b *operation) int { return a.Begin.Compare(b.Begin) })
	}
	return keys
}

func (h *history) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	fates, bytes, large, deletes, same, stray := map[fate]int{}, 0, 0, 0, 0, 0
	for _, o := range h.operations {
		fates[o.Fate]++
		bytes += o.Size
		if o.Size >= partSize {
			large++
		}
		if o.Delete {
			deletes++
		}
		if o.SameBytes {
			same++
		}
		if o.Fate != acknowledged && o.Fate != void && !o.Killed {
			stray++
		}
	}
	return fmt.Sprintf("%d operations: %v, %d deletes, %d of metadata alone, %d MiB, %d objects in parts, %d failed though the "+
		"region was up", len(h.operations), fates, deletes, same, bytes>>20, large, stray)
}

// save writes the log to a file, a line for each operation.
func (h *history) save(t *testing.T, path string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	encoder := json.NewEncoder(f)
	for _, o := range h.operations {
		if err := encoder.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
