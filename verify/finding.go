package verify

import (
	"time"

	"github.com/s3mesh/s3mesh"
)

// Verdict is what a key that is not equal everywhere came to.
type Verdict string

// The verdicts. Only the first is a difference that s3mesh should not have left.
const (
	// Differs: a site lacks what the site with the latest version holds, or holds something else.
	Differs Verdict = "differs"
	// Deleted: a client deleted the object at some sites, and deletes are ignored.
	Deleted Verdict = "deleted"
	// Unlinked: sites differ, but no link leads there from the one with the latest version.
	Unlinked Verdict = "unlinked"
	// Changing: the key changed each time it was looked at.
	Changing Verdict = "changing"
	// Unreadable: a site did not let the key be read, and the others agree.
	Unreadable Verdict = "unreadable"
)

// Verdicts returns every verdict.
func Verdicts() []Verdict { return []Verdict{Differs, Deleted, Unlinked, Changing, Unreadable} }

// Finding is a key that is not equal at all sites.
type Finding struct {
	Key     string  `json:"key"`
	Verdict Verdict `json:"verdict"`
	// Reference is the site that the others are compared with: one that holds the latest version, where it was written if that
	// one still holds it.
	Reference string `json:"reference,omitempty"`
	// Recent tells that something was written within the last minute, so that it may be on its way.
	Recent bool     `json:"recent,omitempty"`
	Sites  []AtSite `json:"sites"`
	// Repairs is what would mend the key.
	Repairs []Repair `json:"repairs,omitempty"`
	// NotRepairable tells why there are sites that nothing would mend.
	NotRepairable string `json:"not_repairable,omitempty"`
}

// What a site can differ in, beside the names of attributes in lower case ("content-type") and "metadata NAME".
const (
	DiffMissing    = "missing"     // it holds nothing, and the reference an object
	DiffDeleted    = "deleted"     // so it is, because a client deleted it there
	DiffNotDeleted = "not deleted" // it holds an object, and the latest version is a delete
	DiffSize       = "size"
	DiffContent    = "content"
	DiffTags       = "tags"
	DiffUnreadable = "unreadable"
)

// AtSite is what one site holds under a key.
type AtSite struct {
	Site string `json:"site"`
	// Differs is what is not as at the reference; empty where all is.
	Differs  []string        `json:"differs,omitempty"`
	Version  *s3mesh.Version `json:"version,omitempty"` // nil: no object
	Size     int64           `json:"size,omitempty"`
	ETag     string          `json:"etag,omitempty"`
	Modified time.Time       `json:"modified,omitzero"`
	// DeletedAt is the time of the delete marker that lies on top.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
	Error     string    `json:"error,omitempty"` // why it could not be read
}

// Repair asks for one key to be written anew on one link.
type Repair struct {
	Key    string `json:"key"`
	Source string `json:"source"`
	Target string `json:"target"`
}

// Counts is what a run has come to so far.
type Counts struct {
	Listed   int64             `json:"listed"`   // keys that were listed, also those that the sample leaves out
	Compared int64             `json:"compared"` // keys that were compared
	Equal    int64             `json:"equal"`
	Found    map[Verdict]int64 `json:"found"`
	// ByBytes counts the keys, of those compared, whose bytes were read; BytesRead is how many bytes that took.
	ByBytes   int64 `json:"by_bytes"`
	BytesRead int64 `json:"bytes_read"`
	// Repairs counts what Config.Repair was given, NotRepairable the differing keys of which something remains.
	Repairs       int64 `json:"repairs"`
	NotRepairable int64 `json:"not_repairable"`
}

// shownFindings is how many findings a report holds.
const shownFindings = 100

// Report is the result of a run.
type Report struct {
	Options Options `json:"options"`
	Seed    uint64  `json:"seed"` // of the sample
	Counts
	Started  time.Time `json:"started"` // the first run, where it was cut off and resumed
	Resumed  bool      `json:"resumed"`
	Complete bool      `json:"complete"`
	// Unordered names the sites that list their keys in another order than that of their bytes.
	Unordered []string `json:"unordered,omitempty"`
	// Findings are the first 100 that are neither Deleted nor Unlinked, in the order of their keys, but for those that only
	// unordered sites hold, which come last.
	Findings []Finding `json:"-"`
}

// Progress is how far a run is.
type Progress struct {
	Counts
	Total int64  // keys to compare, where that is known; otherwise 0
	Key   string // the last one that was compared
}
