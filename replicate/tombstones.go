package replicate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// storedTombstone is a tombstone as it was read, with what a write of its successor must find.
type storedTombstone struct {
	resolve.Tombstone
	etag string // empty: there is none yet
}

// condition is what must hold for this tombstone to be replaced.
func (t storedTombstone) condition() s3mesh.Condition {
	if t.etag == "" {
		return s3mesh.IfAbsent()
	}
	return s3mesh.IfMatch(t.etag)
}

// tombstone reads what a site keeps of the deletes replicated to it under key. What cannot be read as a tombstone counts as
// none, and is said: somebody else wrote it.
func (r *Replicator) tombstone(ctx context.Context, site, key string) (storedTombstone, error) {
	none := storedTombstone{Tombstone: resolve.Tombstone{Key: key}}
	obj, body, err := r.Readers[site].Get(ctx, resolve.TombstoneKey(key), s3mesh.ReadOptions{})
	if s3mesh.KindOf(err) == s3mesh.KindNotFound {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer func() { _ = body.Close() }() // only read from: nothing is lost
	data, err := io.ReadAll(io.LimitReader(body, resolve.MaxTombstone+1))
	if err != nil {
		return none, readError(site, key, err)
	}
	none.etag = obj.ETag
	parsed, err := resolve.ParseTombstone(data, key, obj.LastModified)
	if err != nil {
		r.distrust(site, key, "tombstone", err)
		return none, nil
	}
	return storedTombstone{parsed, obj.ETag}, nil
}

// changeTombstone replaces the target's tombstone of key by what change makes of it, where that is something else. It starts
// over when another task was faster.
func (r *Replicator) changeTombstone(ctx context.Context, key string, change func(resolve.Tombstone) resolve.Tombstone) error {
	var err error
	for range rereads {
		var held storedTombstone
		if held, err = r.tombstone(ctx, r.Target, key); err != nil {
			return err
		}
		next := change(held.Tombstone)
		if reflect.DeepEqual(next, held.Tombstone) {
			return nil
		}
		if err = r.putTombstone(ctx, held, next); !changedMeanwhile(err) {
			return err
		}
	}
	return err
}

func (r *Replicator) putTombstone(ctx context.Context, held storedTombstone, next resolve.Tombstone) error {
	data, err := next.Encode()
	if err == nil && len(data) > resolve.MaxTombstone {
		err = errors.New("too many markers")
	}
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindOther, Op: "write tombstone", Site: r.Target, Key: next.Key,
			Err: fmt.Errorf("encode: %w", err)}
	}
	_, err = r.Bucket.Put(ctx, resolve.TombstoneKey(next.Key), s3mesh.PutInput{
		Body: bytes.NewReader(data), Size: int64(len(data)), Condition: held.condition(),
		Attributes: s3mesh.Attributes{ContentType: "application/json"},
	})
	return err
}
