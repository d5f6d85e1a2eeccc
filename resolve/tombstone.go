package resolve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// TombstonePrefix is where a site keeps its tombstones.
const TombstonePrefix = s3mesh.ReservedPrefix + "tombstones/"

const (
	// maxMarkers bounds the markers that a tombstone remembers. What matters is the one on top, and those that later
	// versions within the clocks' skew were written over.
	maxMarkers = 16
	// maxIntents bounds the intents: each is of a task that is at work, or of one that died.
	maxIntents = 16
	// MaxTombstone bounds an encoded tombstone in bytes: a key of 1,024 bytes, escaped, and its markers.
	MaxTombstone = 64 << 10
)

// Tombstone is what a site keeps of the deletes that s3mesh replicated to it under one key. A delete marker carries no
// metadata, so that only this tells a replicated delete from a client's own. The zero value is that of no tombstone.
type Tombstone struct {
	Key string `json:"key"`
	// Markers are the replicated deletes, the oldest first.
	Markers []Marker `json:"markers,omitempty"`
	// Intents are the deletes about to be made, and those whose maker died; the oldest first.
	Intents []Intent `json:"intents,omitempty"`
}

// Marker says which delete a delete marker of this site stands for.
type Marker struct {
	// ID is the marker's version ID, or empty for a delete that came while the site held nothing under the key, where
	// stores differ in whether they make a marker.
	ID     string         `json:"id"`
	Delete s3mesh.Version `json:"delete"`
	// Withdrawn tells that s3mesh is about to remove the marker, or has done so: that it is gone does not mean that a client
	// took the delete back.
	Withdrawn bool `json:"withdrawn,omitempty"`
	// Tentative tells that nobody has yet made sure that the marker was on top, or that the site held nothing, when this was
	// written.
	Tentative bool `json:"tentative,omitempty"`
}

// Intent is written before a delete marker is made, as nobody knows the marker's ID until it is there.
type Intent struct {
	Delete s3mesh.Version `json:"delete"`
	// ETag is that of the object which the marker is to cover. It is all that S3 compares: another object with the same
	// bytes may be covered in its place.
	ETag string `json:"etag"`
	// Unconditional tells that the store compares nothing, so that the marker may cover anything.
	Unconditional bool `json:"unconditional,omitempty"`
	// Made is when the intent was written; every intent of a process has its own.
	Made time.Time `json:"made"`
}

// IntentLease is how long after it was written an intent may be carried out. A marker that is younger was made by somebody
// else.
const IntentLease = 15 * time.Second

// intentSlack is how much earlier than its intent a marker may seem to have been made: times are whole seconds, of two clocks.
const intentSlack = 3 * time.Second

// Explains reports whether the intent may be that of a marker made at the given time, over an object with this ETag.
func (i Intent) Explains(made time.Time, coveredETag string) bool {
	after := made.Sub(i.Made)
	return (i.Unconditional || i.ETag == coveredETag) && -intentSlack <= after && after <= IntentLease
}

// TombstoneKey returns the key of the tombstone of key. It has the same length for every key, as tombstones of long keys must
// be storable too.
func TombstoneKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return TombstonePrefix + hex.EncodeToString(sum[:])
}

// ParseTombstone reads the tombstone of key, last written when modified says. One that is malformed, of another key, or that
// names what can be no delete is an error.
func ParseTombstone(data []byte, key string, modified time.Time) (Tombstone, error) {
	var t Tombstone
	if err := json.Unmarshal(data, &t); err != nil {
		return Tombstone{}, fmt.Errorf("not a tombstone: %w", err)
	}
	if t.Key != key {
		return Tombstone{}, fmt.Errorf("a tombstone of %q, not of %q", t.Key, key)
	}
	for _, m := range t.Markers {
		if err := checkDelete(m.Delete, modified); err != nil {
			return Tombstone{}, err
		}
	}
	for _, i := range t.Intents {
		if err := checkDelete(i.Delete, modified); err != nil {
			return Tombstone{}, err
		}
		if i.ETag == "" || i.Made.After(modified.Add(maxAhead)) {
			return Tombstone{}, errors.New("an intent without an ETag, or of a time to come")
		}
	}
	return t, nil
}

// checkDelete reports why v cannot be a delete that a store knew of when it was at the time told.
func checkDelete(v s3mesh.Version, told time.Time) error {
	if !v.Deleted || v.ETag != "" || v.VersionID == "" || !plausible(v.Time, told) {
		return fmt.Errorf("not a delete that was made by %v: %+v", told, v)
	}
	return s3mesh.ValidateName(v.Origin)
}

// Encode returns the tombstone as it is stored: with the latest of its markers and intents.
func (t Tombstone) Encode() ([]byte, error) {
	if n := len(t.Markers); n > maxMarkers {
		t.Markers = t.Markers[n-maxMarkers:]
	}
	if n := len(t.Intents); n > maxIntents {
		t.Intents = t.Intents[n-maxIntents:]
	}
	return json.Marshal(t)
}

// Of returns the delete that the marker called id stands for; the latest one where several were merged into it.
func (t Tombstone) Of(id string) (v s3mesh.Version, found bool) {
	return t.latest(func(m Marker) bool { return m.ID == id })
}

// Confirmed is Of without what is tentative. With an empty ID it is the delete that was known at the site when the first
// version was written there.
func (t Tombstone) Confirmed(id string) (v s3mesh.Version, found bool) {
	return t.latest(func(m Marker) bool { return m.ID == id && !m.Tentative })
}

func (t Tombstone) latest(which func(Marker) bool) (v s3mesh.Version, found bool) {
	for _, m := range t.Markers {
		if which(m) && (!found || Compare(m.Delete, v) > 0) {
			v, found = m.Delete, true
		}
	}
	return v, found
}

// MarkersOf returns the IDs of the markers that stand for a delete, as far as s3mesh has not removed them itself.
func (t Tombstone) MarkersOf(v s3mesh.Version) []string {
	var ids []string
	for _, m := range t.Markers {
		if m.ID != "" && !m.Withdrawn && !m.Tentative && m.Delete.Same(v) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Bind records that the marker called id stands for v, beside what it stands for already.
func (t Tombstone) Bind(id string, v s3mesh.Version) Tombstone {
	t = t.drop(func(m Marker) bool { return m.ID == id && m.Delete.Same(v) })
	t.Markers = append(t.Markers, Marker{ID: id, Delete: v})
	return t
}

// Intend records an intent.
func (t Tombstone) Intend(i Intent) Tombstone {
	t.Intents = append(slices.Clone(t.Intents), i)
	return t
}

// End forgets an intent that was carried out, or given up.
func (t Tombstone) End(i Intent) Tombstone {
	t.Intents = slices.DeleteFunc(slices.Clone(t.Intents), func(other Intent) bool { return other.Made.Equal(i.Made) })
	if len(t.Intents) == 0 {
		t.Intents = nil
	}
	return t
}

// Explain returns the intent that a marker made at the given time, over an object with this ETag, may come from: of several
// that with the latest delete; nil for none.
func (t Tombstone) Explain(made time.Time, coveredETag string) *Intent {
	var found *Intent
	for i := range t.Intents {
		intent := &t.Intents[i]
		if intent.Explains(made, coveredETag) && (found == nil || Compare(intent.Delete, found.Delete) > 0) {
			found = intent
		}
	}
	return found
}

// Expect records that the marker called id is about to stand for v too. Bind confirms it.
func (t Tombstone) Expect(id string, v s3mesh.Version) Tombstone {
	t.Markers = append(slices.Clone(t.Markers), Marker{ID: id, Delete: v, Tentative: true})
	return t
}

// Unexpect forgets what Expect recorded.
func (t Tombstone) Unexpect(id string, v s3mesh.Version) Tombstone {
	return t.drop(func(m Marker) bool { return m.Tentative && m.ID == id && m.Delete.Same(v) })
}

// Withdraw records that s3mesh is about to remove the marker called id.
func (t Tombstone) Withdraw(id string) Tombstone {
	t.Markers = slices.Clone(t.Markers)
	for i := range t.Markers {
		t.Markers[i].Withdrawn = t.Markers[i].Withdrawn || t.Markers[i].ID == id
	}
	return t
}

// Unbind forgets the marker called id.
func (t Tombstone) Unbind(id string) Tombstone {
	return t.drop(func(m Marker) bool { return m.ID == id })
}

func (t Tombstone) drop(which func(Marker) bool) Tombstone {
	t.Markers = slices.DeleteFunc(slices.Clone(t.Markers), which)
	return t
}
