package sim

import (
	"context"
	"io"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/resolve"
)

// retention is longer than all that comes before the sweep of a run.
const retention = 24 * time.Hour

// configureDeletes sets what the propagation of deletes needs, and what the store of a site can do.
func configureDeletes(cfg *replicate.Config, w *world, at int) {
	s := w.sites[at]
	cfg.Capabilities = s3mesh.Capabilities{
		Versioned: !s.Unversioned, ConditionalPut: !s.Lacks.ConditionalPut,
		ConditionalComplete: !s.Lacks.ConditionalComplete, ConditionalDelete: !s.Lacks.ConditionalDelete,
	}
	if w.Variant == NoCondition {
		cfg.Capabilities = s3mesh.AllCapabilities()
	}
	cfg.PropagateDeletes, cfg.TombstoneRetention = w.Deletes, retention
}

// sweep has a site remove its old tombstones, in one step.
func (w *world) sweep(at int) error {
	cfg := w.sites[at].engine.Config
	cfg.Bucket = w.sites[at].reserved
	n, err := replicate.New(cfg).Sweep(background, w.sites[at].reserved)
	w.tracef("sweep   %s: %d tombstones", w.name(at), n)
	return err
}

// tombstone reads a site's tombstone of key; the zero value where there is none.
func (w *world) tombstone(at int, key string) resolve.Tombstone {
	obj, body, err := w.sites[at].reserved.Get(context.Background(), resolve.TombstoneKey(key), s3mesh.ReadOptions{})
	if err != nil {
		return resolve.Tombstone{}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		w.fail("tombstone: %v", err)
	}
	t, err := resolve.ParseTombstone(data, key, obj.LastModified)
	if err != nil {
		w.fail("tombstone: %v", err)
	}
	return t
}

// boundDelete returns the delete that a replicated marker stands for.
func (w *world) boundDelete(at int, key string, marker held) (v s3mesh.Version, ok bool) {
	t := w.tombstone(at, key)
	if v, ok = t.Of(marker.id); ok {
		return v, true
	}
	if intent := t.Explain(marker.object.LastModified, marker.below); intent != nil {
		return intent.Delete, true
	}
	return s3mesh.Version{}, false
}

// tombstoneHash covers a site's tombstone of key.
func (s *site) tombstoneHash(key string) uint64 {
	obj, err := s.reserved.Head(background, resolve.TombstoneKey(key), s3mesh.ReadOptions{})
	if err != nil {
		return hashError(err)
	}
	return hashText(hashStart, obj.ETag)
}
