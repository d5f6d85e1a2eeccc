package s3mesh

import (
	"cmp"
	"fmt"
	"time"
)

// LogicalTime is a hybrid logical time: the seconds of a clock, and a counter that orders what happened within a second or
// against a clock that ran behind. The zero value is before every other.
type LogicalTime struct {
	Seconds int64  `json:"seconds"`
	Counter uint32 `json:"counter"`
}

// TimeAt returns the logical time of a store's LastModified: whole seconds, as HEAD and LIST give them, counter 0.
func TimeAt(t time.Time) LogicalTime { return LogicalTime{Seconds: t.Unix()} }

// Next returns the smallest logical time after t.
func (t LogicalTime) Next() LogicalTime { return LogicalTime{t.Seconds, t.Counter + 1} }

// Compare returns -1, 0 or +1: seconds first, then the counter.
func (t LogicalTime) Compare(u LogicalTime) int {
	return cmp.Or(cmp.Compare(t.Seconds, u.Seconds), cmp.Compare(t.Counter, u.Counter))
}

// String returns "seconds.counter".
func (t LogicalTime) String() string { return fmt.Sprintf("%d.%d", t.Seconds, t.Counter) }

// NullVersionID is the version ID of objects written while a bucket's versioning was off or suspended. It is not unique:
// such an object is replaced by the next one.
const NullVersionID = "null"

// Version is what a site holds for a key, as the version order sees it: an object or a delete, with the time and the site
// it was first written at. Two sites hold the same version when Origin, VersionID and ETag agree, whatever each store
// calls its own copy.
type Version struct {
	Time LogicalTime `json:"time"`
	// Exact tells that Time was computed from the version history at the origin, and not only read off a LastModified.
	Exact bool `json:"exact"`
	// Origin is the site a client wrote this version at.
	Origin string `json:"origin"`
	// ETag is the ETag at the origin, without quotes. Empty for a delete.
	ETag string `json:"etag,omitempty"`
	// OpaqueETag tells that ETag does not depend on the content alone, as the origin's bucket encrypts.
	OpaqueETag bool `json:"opaque_etag,omitempty"`
	// VersionID is the version ID at the origin. Empty where the origin's bucket is not versioned.
	VersionID string `json:"version_id,omitempty"`
	// Deleted marks a delete: a marker in a versioned bucket.
	Deleted bool `json:"deleted,omitempty"`
}

// Same reports whether v and w are the same version.
func (v Version) Same(w Version) bool {
	if v.Origin != w.Origin || v.Deleted != w.Deleted || v.VersionID != w.VersionID || v.ETag != w.ETag {
		return false
	}
	unique := v.VersionID != "" && v.VersionID != NullVersionID
	return unique || v.Time.Seconds == w.Time.Seconds
}
