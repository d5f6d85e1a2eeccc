package s3mesh

import "time"

// EventType says what a store announced. It chooses no action: processing reads the current state of the key.
type EventType string

// The event types that notifications are mapped to.
const (
	// EventCreated is any write of an object: PUT, POST, copy, completed multipart upload, restore.
	EventCreated EventType = "created"
	// EventRemoved is a delete: of an object, or the creation or removal of a delete marker.
	EventRemoved EventType = "removed"
	// EventChanged is a change of something beside the body: tags, ACL, retention.
	EventChanged EventType = "changed"
	// EventTest is sent by stores when notifications are set up. It names no key and is dropped.
	EventTest EventType = "test"
)

// Event says that a key changed at a site. It is a hint: it may be late, repeated, reordered or wrong, and nothing is
// decided from it but what to look at, and in which lane.
type Event struct {
	// Site is where the key changed. Decoders leave it empty; the intake that received the event knows it.
	Site string `json:"site,omitempty"`
	// Target, when set, restricts the event to one link, Site->Target. Replay and reconcile set it.
	Target string `json:"target,omitempty"`

	Bucket string    `json:"bucket,omitempty"`
	Key    string    `json:"key"` // decoded: the key as a client wrote it
	Type   EventType `json:"type"`
	// Name is the store's own name of the event, such as "ObjectCreated:Put", without the "s3:" prefix.
	Name string    `json:"name,omitempty"`
	Time time.Time `json:"time"` // zero when the store does not tell
	Size int64     `json:"size,omitempty"`
	ETag string    `json:"etag,omitempty"` // without quotes
	// VersionID is empty where the bucket is not versioned or the store does not tell.
	VersionID string `json:"version_id,omitempty"`
	// Sequencer orders the events of one key of one bucket, where a store gives it; a hexadecimal string.
	Sequencer string `json:"sequencer,omitempty"`
	// Principal is who made the request, in the store's own form: an access key ID, or AWS:<role id>:<session>.
	Principal string `json:"principal,omitempty"`

	// Fresh tells that Target was seen to hold no version of the key, nor a delete marker, so that a conditional write without
	// a look at it is likely to succeed. Reconcile sets it.
	Fresh bool `json:"fresh,omitempty"`
	// Repair tells that the content or the metadata at Target was seen to differ from the same version at Site, so that a version
	// stamp which says that they are the same is not to be relied on. Verify sets it.
	Repair bool `json:"repair,omitempty"`
}

// Lane keeps classes of work apart, so that one class never delays another.
type Lane string

// The lanes. Each has its own consumers and concurrency on every link.
const (
	LaneLive  Lane = "live"  // notifications
	LaneBulk  Lane = "bulk"  // replay, backfill, reconcile
	LaneLarge Lane = "large" // objects past a size threshold
	LaneHeld  Lane = "held"  // deletes that a link's brake holds back until an operator resumes the link
)

// Lanes returns every lane.
func Lanes() []Lane { return []Lane{LaneLive, LaneBulk, LaneLarge, LaneHeld} }

// Task is one event to be carried over one link.
type Task struct {
	Link  Link
	Lane  Lane
	Event Event
	// Attempt counts the deliveries of this task, from 1.
	Attempt int
	// Resumes tells that an earlier task of the key may have stopped half-way, and that this one took its place.
	Resumes bool
}
