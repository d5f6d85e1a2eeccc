package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/resolve"
)

// action is what a client does to a key at a site.
type action uint8

const (
	actPut action = iota
	actPutSame
	actBegin    // a multipart upload, to be completed later
	actComplete // the oldest upload that is open at the site
	actRestore  // copies an old version over the current one
	actDelete
	actUndelete // removes the marker on top
	actRemove   // removes a version that is not on top
	actDeleteBatch
	actions
)

var actionNames = [...]string{"put", "put same bytes", "begin upload", "complete upload", "restore", "delete", "undelete",
	"remove version", "delete batch"}

func (a action) String() string { return actionNames[a] }

// settled is how long after it was stamped a replica may be restored by copying: earlier ones are not recognised, as
// ARCHITECTURE.md says.
const settled = 8 * time.Second

// client is an application at one site.
type client struct {
	w    *world
	site int
}

func (w *world) client(at int) client { return client{w, at} }

// do carries out an action, where that is possible. pick chooses among n versions where there is a choice.
func (c client) do(a action, key string, pick func(n int) int) {
	c.w.clients++
	defer func() { c.w.clients-- }()
	switch a {
	case actPut:
		c.put(key, fmt.Sprintf("write %d", len(c.w.log.writes)))
	case actPutSame:
		c.put(key, "same")
	case actBegin:
		c.begin(key)
	case actComplete:
		c.complete()
	case actRestore:
		c.restore(key, pick)
	case actDelete:
		c.remove(key)
	case actUndelete:
		c.undelete(key)
	case actDeleteBatch:
		c.removeAll()
	default:
		c.removeVersion(key, pick)
	}
}

func (c client) app() memstore.Application { return c.w.sites[c.site].keys.Application() }

// attributes are those of the next write: its identity.
func (c client) attributes() s3mesh.Attributes {
	return s3mesh.Attributes{ContentType: identity(len(c.w.log.writes)), Metadata: map[string]string{"note": "grüße"}}
}

func (c client) put(key, body string) {
	w := c.write(actPut, key)
	written, err := c.app().Put(context.Background(), key, []byte(body), c.attributes())
	c.logged(w, written, err)
}

func (c client) begin(key string) {
	n := c.w.log.reserve()
	attr := s3mesh.Attributes{ContentType: identity(n)}
	parts := [][]byte{fmt.Appendf(nil, "part one of %d", n)}
	if c.w.LargeObject == 0 && n%2 == 0 {
		parts = append(parts, []byte("part two"))
	}
	complete, err := c.app().BeginUpload(context.Background(), key, attr, parts...)
	if err != nil {
		c.w.fail("client: %v", err)
		return
	}
	u := upload{n, c.site, key, c.w.clock, complete}
	c.w.log.uploads = append(c.w.log.uploads, u)
}

func (c client) complete() {
	for i, u := range c.w.log.uploads {
		if u.site != c.site {
			continue
		}
		c.w.log.uploads = append(c.w.log.uploads[:i:i], c.w.log.uploads[i+1:]...)
		w := c.write(actComplete, u.key)
		w.n, w.began = u.n, u.began
		written, err := u.complete(context.Background())
		c.logged(w, written, err)
		return
	}
}

func (c client) restore(key string, pick func(n int) int) {
	var old []s3mesh.Object
	for _, v := range c.w.versions(c.site, key) {
		if !v.marker && !v.latest && c.restorable(key, v.object) {
			old = append(old, v.object)
		}
	}
	if len(old) == 0 {
		return
	}
	source := old[pick(len(old))]
	attr := source.Attributes
	attr.ContentType = identity(len(c.w.log.writes))
	w := c.write(actRestore, key)
	written, err := c.app().Copy(context.Background(), key,
		memstore.CopySource{Key: key, VersionID: source.VersionID, Attributes: &attr})
	c.logged(w, written, err)
}

func (c client) restorable(key string, obj s3mesh.Object) bool {
	if c.w.sites[c.site].Unversioned {
		return false
	}
	value, stamped := obj.Attributes.Metadata[stampName]
	if !stamped {
		return true
	}
	stamp, err := resolve.ParseStamp(value, resolve.Place{Site: c.w.name(c.site), Key: key}, obj.Size)
	return err == nil && c.w.clock.Sub(stamp.Written) >= settled
}

func (c client) remove(key string) {
	w := c.write(actDelete, key)
	if err := c.app().Delete(context.Background(), key); err != nil {
		c.w.fail("client: %v", err)
		return
	}
	top, _ := c.w.top(c.site, key)
	c.logged(w, s3mesh.Written{VersionID: top.id}, nil)
}

// removeAll deletes every key in one request, as far as it holds an object.
func (c client) removeAll() {
	var keys []string
	var writes []write
	for _, key := range c.w.Keys {
		if top, ok := c.w.top(c.site, key); ok && !top.marker {
			keys, writes = append(keys, key), append(writes, c.write(actDelete, key))
		}
	}
	if err := c.app().DeleteBatch(context.Background(), keys...); err != nil {
		c.w.fail("client: %v", err)
	}
	for i, key := range keys {
		top, _ := c.w.top(c.site, key)
		c.logged(writes[i], s3mesh.Written{VersionID: top.id}, nil)
	}
}

// undelete removes the marker on top, whoever made it.
func (c client) undelete(key string) {
	top, ok := c.w.top(c.site, key)
	if !ok || !top.marker {
		return
	}
	all := c.w.versions(c.site, key)
	c.take(key, top, len(all) > 1 && !all[1].marker)
}

func (c client) removeVersion(key string, pick func(n int) int) {
	var old []held
	for _, v := range c.w.versions(c.site, key) {
		if !v.latest && !v.marker {
			old = append(old, v)
		}
	}
	if len(old) == 0 || c.w.sites[c.site].Unversioned {
		return
	}
	c.take(key, old[pick(len(old))], false)
}

// take removes a version for good, and logs that its write is gone.
func (c client) take(key string, v held, overObject bool) {
	n := c.w.identify(c.site, key, v)
	if err := c.app().DeleteVersion(context.Background(), key, v.id); err != nil {
		c.w.fail("client: %v", err)
		return
	}
	c.w.log.took(n, c.site, v, overObject)
	c.w.tracef("client  %s %s takes away %s (write %d)", c.w.name(c.site), key, v.id, n)
}

// write begins the log entry of a write: what it covers is what is on top now.
func (c client) write(kind action, key string) write {
	w := write{n: -1, kind: kind, site: c.site, key: key, at: c.w.clock, began: c.w.clock, covered: nothing}
	w.below = c.w.versions(c.site, key)
	if len(w.below) > 0 {
		w.covered = c.w.identify(c.site, key, w.below[0])
	}
	return w
}

// logged ends the log entry of a write.
func (c client) logged(wr write, written s3mesh.Written, err error) {
	if err != nil {
		c.w.fail("client: %v", err)
		return
	}
	if wr.n < 0 {
		wr.n = c.w.log.reserve()
	}
	wr.versionID, wr.etag = written.VersionID, written.ETag
	if top, ok := c.w.top(c.site, wr.key); ok {
		wr.modified = top.object.LastModified
	} else {
		wr.modified = c.w.clock.Add(c.w.sites[c.site].Skew).Truncate(time.Second)
	}
	wr.time, wr.doubtful = c.w.place(wr.modified, c.site, wr.key, wr.below)
	c.w.log.add(wr)
	c.w.tracef("client  %s %s %s: write %d, version %s, over %d", c.w.name(c.site), wr.key, wr.kind, wr.n, wr.versionID, wr.covered)
}
