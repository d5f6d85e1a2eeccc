package resolve

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/s3mesh/s3mesh"
)

// TombstonePrefix is where a site keeps its tombstones.
const TombstonePrefix = s3mesh.ReservedPrefix + "tombstones/"

const (
	// maxMarkers bounds the markers that a tombstone remembers. What matters is the one on top, and those that later
	// versions within the clocks' skew were written over.
	maxMarkers = 16
	// MaxTombstone bounds an encoded tombstone in bytes: a key of 1,024 bytes, escaped, and its markers.
	MaxTombstone = 32 << 10
)

// Tombstone is what a site keeps of the deletes that s3mesh replicated to it under one key. A delete marker carries no
// metadata, so that only this tells a replicated delete from a client's own. The zero value is that of no tombstone.
type Tombstone struct {
	Key string `json:"key"`
	// Markers are the replicated deletes, the oldest first.
	Markers []Marker `json:"markers,omitempty"`
	// Intent is a delete about to be made.
	Intent *Intent `json:"intent,omitempty"`
}

// Marker says which delete a delete marker of this site stands for.
type Marker struct {
	// ID is the marker's version ID, or empty for a delete that came while the site held nothing under the key, where
	// stores differ in whether they make a marker.
	ID     string         `json:"id"`
	Delete s3mesh.Version `json:"delete"`
}

// Intent is written before a delete marker is made. Until the marker's ID is known, the marker right over the version
// called Over is the one.
type Intent struct {
	Delete s3mesh.Version `json:"delete"`
	Over   string         `json:"over"`
}

// TombstoneKey returns the key of the tombstone of key. It has the same length for every key, as tombstones of long keys must
// be storable too.
func TombstoneKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return TombstonePrefix + hex.EncodeToString(sum[:])
}

// ParseTombstone reads the tombstone of key. One that is malformed or of another key is an error.
func ParseTombstone(data []byte, key string) (Tombstone, error) {
	var t Tombstone
	if err := json.Unmarshal(data, &t); err != nil {
		return Tombstone{}, fmt.Errorf("not a tombstone: %w", err)
	}
	if t.Key != key {
		return Tombstone{}, fmt.Errorf("a tombstone of %q, not of %q", t.Key, key)
	}
	return t, nil
}

// Encode returns the tombstone as it is stored.
func (t Tombstone) Encode() ([]byte, error) { return json.Marshal(t) }

// Of returns the delete that the marker called id stands for; the latest one where several were merged into it.
func (t Tombstone) Of(id string) (v s3mesh.Version, found bool) {
	for _, m := range t.Markers {
		if m.ID == id && (!found || Compare(m.Delete, v) > 0) {
			v, found = m.Delete, true
		}
	}
	return v, found
}

// MarkersOf returns the IDs of the markers that stand, or stood, for a delete.
func (t Tombstone) MarkersOf(v s3mesh.Version) []string {
	var ids []string
	for _, m := range t.Markers {
		if m.ID != "" && m.Delete.Same(v) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Bind records that the marker called id stands for v, and ends the intent to make it.
func (t Tombstone) Bind(id string, v s3mesh.Version) Tombstone {
	t = t.drop(func(m Marker) bool { return m.ID == id && Compare(m.Delete, v) <= 0 })
	if held, found := t.Of(id); !found || Compare(held, v) < 0 {
		t.Markers = append(t.Markers, Marker{id, v})
	}
	if n := len(t.Markers); n > maxMarkers {
		t.Markers = t.Markers[n-maxMarkers:]
	}
	if t.Intent != nil && t.Intent.Delete.Same(v) {
		t.Intent = nil
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
