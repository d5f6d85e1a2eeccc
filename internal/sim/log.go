package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// What a write can cover beside another write.
const (
	nothing = -1 // the key held nothing
	unknown = -2 // a version that the log cannot name
)

// write is what a client wrote: an object or a delete.
type write struct {
	n         int
	kind      action
	site      int
	key       string
	began, at time.Time // by the true clock; they differ for multipart uploads
	modified  time.Time // what the store says
	versionID string
	etag      string
	covered   int    // the write that was on top
	below     []held // all that the site held, the latest first

	logged bool
	// time is its exact place in the version order; doubtful where the log cannot tell it.
	time     s3mesh.LogicalTime
	doubtful bool
	coverers []int // the writes made over it
	gone     bool  // its version was taken away by a client
	undone   bool  // a delete: and an object came to light
}

func (w *write) deletes() bool { return w.kind == actDelete }

// upload is a multipart upload of a client that is not complete.
type upload struct {
	n        int
	site     int
	key      string
	began    time.Time
	complete func(context.Context) (s3mesh.Written, error)
}

// clientLog is what the clients know: the writes that were acknowledged to them.
type clientLog struct {
	writes  []write // by number
	uploads []upload
	// taken tells that clients removed versions for good, so that histories are shorter than what happened.
	taken bool
}

func newClientLog() *clientLog { return &clientLog{} }

// hasUploads reports that a client wrote in parts.
func (l *clientLog) hasUploads() bool {
	return slices.ContainsFunc(l.writes, func(w write) bool { return w.kind == actComplete })
}

// identity is the content type of write n.
func identity(n int) string { return "op/" + strconv.Itoa(n) }

func parseIdentity(contentType string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(contentType, "op/"))
	if err != nil {
		return unknown
	}
	return n
}

// reserve returns the number of a write to come.
func (l *clientLog) reserve() int {
	l.writes = append(l.writes, write{})
	return len(l.writes) - 1
}

// add logs an acknowledged write.
func (l *clientLog) add(w write) {
	w.logged = true
	if w.covered >= 0 {
		covered := &l.writes[w.covered]
		covered.coverers = append(covered.coverers, w.n)
	}
	l.writes[w.n] = w
}

// place returns the exact place in the version order of a write that was modified then over all that lies below: it is later
// than all of it. It is doubtful where the log cannot tell what some of it is.
func (w *world) place(modified time.Time, at int, key string, below []held) (t s3mesh.LogicalTime, doubtful bool) {
	var latest *s3mesh.LogicalTime
	numbers := make([]int, 0, len(below)+1)
	for _, v := range below {
		numbers = append(numbers, w.identify(at, key, v))
	}
	if known, ok := w.tombstone(at, key).Confirmed(""); ok { // the site held nothing, and knew of a delete
		numbers = append(numbers, w.deleteBy(w.siteIndex(known.Origin), key, known.VersionID))
	}
	for _, n := range numbers {
		if n < 0 {
			doubtful = true
			continue
		}
		wr := &w.log.writes[n]
		doubtful = doubtful || wr.doubtful
		if latest == nil || wr.time.Compare(*latest) > 0 {
			latest = &wr.time
		}
	}
	return resolve.Native(modified, latest), doubtful
}

// placed works out again, from what the buckets hold in the end, where each write of a key stands, and tells whether that is
// what it was when it was written. It changes when a client's own marker comes to stand for a later delete as well.
func (w *world) placed(key string) bool {
	for at := range w.sites {
		all := w.versions(at, key)
		for i, v := range all {
			n := w.identify(at, key, v)
			if n < 0 || w.log.writes[n].site != at || w.log.writes[n].versionID != v.id {
				continue
			}
			if t, _ := w.place(w.log.writes[n].modified, at, key, all[i+1:]); t != w.log.writes[n].time {
				return false
			}
		}
	}
	return true
}

// took logs that a client removed a version of write n, over an object or not. What was written at that site over it has lost
// the proof that it was: histories only reach as far back as they are kept.
func (l *clientLog) took(n, site int, v held, overObject bool) {
	l.taken = l.taken || !v.marker || !overObject
	for i := range l.writes { // nor can a restore be told any more whose original is gone
		if r := &l.writes[i]; !v.marker && r.kind == actRestore && r.site == site {
			r.gone = true
		}
	}
	if n < 0 {
		return
	}
	wr := &l.writes[n]
	wr.gone = wr.gone || v.marker || wr.site == site
	wr.undone = wr.undone || v.marker && overObject
	if !v.marker {
		wr.coverers = slices.DeleteFunc(wr.coverers, func(c int) bool { return l.writes[c].site == site })
	}
}

// withdrawn logs that s3mesh removes a marker. Where a store ignores If-Match on DELETE, a client's delete in the same moment
// has the same marker, and goes with it: the docs say so.
func (w *world) withdrawn(at int, key, id string) {
	if id == "" || !w.Sites[at].Lacks.ConditionalDelete {
		return
	}
	if n := w.deleteBy(at, key, id); n >= 0 {
		w.log.writes[n].gone = true
	}
}

// held is one version that a site holds.
type held struct {
	id     string
	marker bool
	latest bool
	below  string // the ETag of the version right below it
	object s3mesh.Object
}

// versions returns what a site holds for a key, the latest first.
func (w *world) versions(at int, key string) []held {
	var all []held
	store := w.sites[at].store(key)
	for e, err := range store.History(context.Background(), key) {
		if err != nil {
			w.fail("history: %v", err)
			return nil
		}
		if n := len(all); n > 0 {
			all[n-1].below = e.ETag
		}
		all = append(all, w.held(at, key, e))
	}
	return all
}

// top returns the version on top.
func (w *world) top(at int, key string) (held, bool) {
	all := w.versions(at, key)
	if len(all) == 0 {
		return held{}, false
	}
	return all[0], true
}

func (w *world) held(at int, key string, e s3mesh.HistoryEntry) held {
	v := held{id: e.VersionID, marker: e.DeleteMarker, latest: e.Latest}
	v.object.LastModified = e.LastModified
	if !e.DeleteMarker {
		obj, err := w.sites[at].store(key).Head(context.Background(), key, s3mesh.ReadOptions{VersionID: e.VersionID})
		if err != nil {
			w.fail("head: %v", err)
		}
		v.object = obj
	}
	return v
}

// identify returns the write that a version at a site is, itself or a replica of it.
func (w *world) identify(at int, key string, v held) int {
	if !v.marker {
		return parseIdentity(v.object.Attributes.ContentType)
	}
	site, id := at, v.id
	if bound, ok := w.boundDelete(at, key, v); ok {
		site, id = w.siteIndex(bound.Origin), bound.VersionID
	}
	return w.deleteBy(site, key, id)
}

// deleteBy returns the delete of a key that a client made at a site.
func (w *world) deleteBy(site int, key, id string) int {
	for i := range w.log.writes {
		wr := &w.log.writes[i]
		if wr.logged && wr.deletes() && wr.site == site && wr.key == key && wr.versionID == id {
			return i
		}
	}
	return unknown
}

func (w *write) String() string {
	return fmt.Sprintf("write %d (%s at site %d, L %v)", w.n, w.kind, w.site, w.time)
}
