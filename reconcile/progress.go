package reconcile

import (
	"time"

	"github.com/s3mesh/s3mesh"
)

// Phase is what a run is doing.
type Phase string

// The phases, in their order.
const (
	PhaseWaiting   Phase = "waiting"   // for another run to end, or for a site to answer
	PhasePlanning  Phase = "planning"  // finds ranges of the keyspace
	PhaseSorting   Phase = "sorting"   // lists a site whose listing is not in byte order
	PhaseComparing Phase = "comparing" // merges the listings
	PhaseDone      Phase = "done"      // ended, well or not
)

// Progress is a snapshot of a run. Counts go on across interruptions.
type Progress struct {
	Run     string  `json:"run"` // the run's ID
	Options Options `json:"options"`
	Phase   Phase   `json:"phase"`
	// Resumed tells that the run goes on where an earlier one was cut off.
	Resumed bool `json:"resumed"`
	// Throttled tells that the run waits at the moment, as a link has much to do already.
	Throttled bool `json:"throttled"`

	Keys    int64 `json:"keys"`    // compared
	Checked int64 `json:"checked"` // of these, the ones whose objects were asked
	// Differing counts keys that differ on any link, and Links the same by link.
	Differing int64          `json:"differing"`
	Links     []LinkProgress `json:"links"`
	// DeletedHere counts keys that a site does not hold because they were deleted there later than they were written anywhere, where
	// deletes are not propagated. They do not differ.
	DeletedHere int64 `json:"deleted_here"`
	// Skipped counts keys that are not UTF-8: no queue holds them.
	Skipped int64 `json:"skipped"`

	ShardsDone int `json:"shards_done"`
	Shards     int `json:"shards"`

	Started time.Time `json:"started"` // of the first attempt, where the run was cut off
	// ETA is when the comparison is likely to be done; zero while nobody can tell.
	ETA time.Time `json:"eta,omitzero"`
}

// LinkProgress is what a run found on one link.
type LinkProgress struct {
	Link      s3mesh.Link `json:"link"`
	Differing int64       `json:"differing"` // keys
	Bytes     int64       `json:"bytes"`     // of the source's objects that differ: what there is to copy at most
}

// Report is what a run came to.
type Report struct {
	Progress
	Finished time.Time `json:"finished"`
	// Complete tells that all keys were compared.
	Complete bool `json:"complete"`
	// Error is why the run ended early; empty when it is complete.
	Error string `json:"error,omitempty"`
}

// tally is what was counted in a range of the keyspace.
type tally struct {
	Keys        int64   `json:"keys"`
	Checked     int64   `json:"checked"`
	Differing   int64   `json:"differing"`
	DeletedHere int64   `json:"deleted_here"`
	Skipped     int64   `json:"skipped"`
	ByLink      []count `json:"by_link"` // in the order of the run's links
}

type count struct {
	Keys  int64 `json:"keys"`
	Bytes int64 `json:"bytes"`
}

func newTally(links int) tally { return tally{ByLink: make([]count, links)} }

// add adds another tally over the same links.
func (t *tally) add(u tally) {
	t.Keys += u.Keys
	t.Checked += u.Checked
	t.Differing += u.Differing
	t.DeletedHere += u.DeletedHere
	t.Skipped += u.Skipped
	for i, c := range u.ByLink {
		t.ByLink[i].Keys += c.Keys
		t.ByLink[i].Bytes += c.Bytes
	}
}

// reset makes the tally zero again.
func (t *tally) reset() {
	links := t.ByLink
	clear(links)
	*t = tally{ByLink: links}
}

// estimate returns when a run ends that has got from share before to share now of all its work since it began.
func estimate(began, now time.Time, before, share float64) time.Time {
	elapsed := now.Sub(began)
	if share <= before || share <= 0 || elapsed <= 0 {
		return time.Time{}
	}
	left := float64(elapsed) * (1 - min(share, 1)) / (share - before)
	if left > float64(maxETA) {
		return time.Time{}
	}
	return now.Add(time.Duration(left)).Truncate(time.Second)
}

// maxETA is beyond what an estimate says anything.
const maxETA = 365 * 24 * time.Hour
