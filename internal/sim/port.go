package sim

import (
	"context"
	"io"
	"iter"

	"github.com/s3mesh/s3mesh"
)

// port is a site's bucket as the replicators reach it. Every request is a point where the world can turn.
type port struct {
	w    *world
	site int
}

var _ s3mesh.Bucket = port{}

// Head implements [s3mesh.Reader].
func (p port) Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	if p.w.coarse && opt.VersionID != "" && !p.w.running.dead {
		return p.w.pinnedHead(ctx, p, key, opt)
	}
	v := p.w.ask(p.site, opHead, key)
	if v.err != nil {
		return s3mesh.Object{}, p.w.refused(v)
	}
	obj, err := p.w.sites[p.site].store(key).Head(ctx, key, opt)
	if err == nil && opt.VersionID == "" {
		obj = p.w.variant.look(p, key, obj)
	}
	p.w.answered(v, hashObject(obj, err))
	return obj, err
}

// Get implements [s3mesh.Reader]. A part of an object is read without a stop: it is pinned to a version that the task has
// already seen, and several parts are read by goroutines of their own.
func (p port) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	if opt.Range != nil {
		return p.w.sites[p.site].store(key).Get(ctx, key, opt)
	}
	v := p.w.ask(p.site, opGet, key)
	if v.err != nil {
		return s3mesh.Object{}, nil, p.w.refused(v)
	}
	obj, body, err := p.w.sites[p.site].store(key).Get(ctx, key, opt)
	p.w.answered(v, hashObject(obj, err))
	return obj, body, err
}

// History implements [s3mesh.Reader]. Histories here are shorter than a page, so that one is one request.
func (p port) History(ctx context.Context, key string) iter.Seq2[s3mesh.HistoryEntry, error] {
	if p.w.coarse && p.w.running.reason == "conflict" && !p.w.running.dead { // asked for reports only
		return p.w.sites[p.site].store(key).History(ctx, key)
	}
	return func(yield func(s3mesh.HistoryEntry, error) bool) {
		v := p.w.ask(p.site, opHistory, key)
		if v.err != nil {
			yield(s3mesh.HistoryEntry{}, p.w.refused(v))
			return
		}
		hash := uint64(opHistory)
		entries := p.w.scratch[:0]
		for e, err := range p.w.sites[p.site].store(key).History(ctx, key) {
			if err != nil {
				p.w.answered(v, hashError(err))
				yield(s3mesh.HistoryEntry{}, err)
				return
			}
			entries = append(entries, e)
			hash = mix(hash, hashEntry(e))
		}
		p.w.answered(v, hash)
		// The consumer may make other requests between two entries, so the scratch list cannot be lent to it.
		own := append([]s3mesh.HistoryEntry(nil), entries...)
		p.w.scratch = entries
		for _, e := range p.w.variant.history(p, own) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Put implements [s3mesh.Bucket].
func (p port) Put(ctx context.Context, key string, in s3mesh.PutInput) (s3mesh.Written, error) {
	v := p.w.askWrite(p.site, opPut, key, in.Condition)
	if v.err != nil && !v.lost {
		return s3mesh.Written{}, p.w.refused(v)
	}
	store := p.w.sites[p.site].store(key)
	written, err := p.w.variant.put(key, in.Condition, func() (s3mesh.Written, error) { return store.Put(ctx, key, in) })
	return p.w.wrote(v, key, written, err)
}

// BeginUpload implements [s3mesh.Bucket].
func (p port) BeginUpload(ctx context.Context, key string, attr s3mesh.Attributes) (s3mesh.Upload, error) {
	v := p.w.ask(p.site, opBegin, key)
	if v.err != nil && !v.lost {
		return nil, p.w.refused(v)
	}
	upload, err := p.w.sites[p.site].store(key).BeginUpload(ctx, key, attr)
	if v.err != nil {
		return nil, p.w.refused(v)
	}
	p.w.answered(v, hashError(err))
	if err != nil {
		return nil, err
	}
	return portUpload{upload, p, key}, nil
}

// Delete implements [s3mesh.Bucket].
func (p port) Delete(ctx context.Context, key string, opt s3mesh.DeleteOptions) (s3mesh.Written, error) {
	v := p.w.askWrite(p.site, opDelete, key, opt.Condition)
	if v.err != nil && !v.lost {
		return s3mesh.Written{}, p.w.refused(v)
	}
	p.w.withdrawn(p.site, key, opt.VersionID)
	written, err := p.w.sites[p.site].store(key).Delete(ctx, key, opt)
	return p.w.wrote(v, key, written, err)
}

// portUpload is a multipart upload of a replicator. Its parts are no points of their own: nobody else sees them.
type portUpload struct {
	s3mesh.Upload
	p   port
	key string
}

// Complete implements [s3mesh.Upload].
func (u portUpload) Complete(ctx context.Context, etags []string, cond s3mesh.Condition) (s3mesh.Written, error) {
	v := u.p.w.askWrite(u.p.site, opComplete, u.key, cond)
	if v.err != nil && !v.lost {
		return s3mesh.Written{}, u.p.w.refused(v)
	}
	written, err := u.p.w.variant.put(u.key, cond, func() (s3mesh.Written, error) { return u.Upload.Complete(ctx, etags, cond) })
	return u.p.w.wrote(v, u.key, written, err)
}

// PutPart implements [s3mesh.Upload].
func (u portUpload) PutPart(ctx context.Context, number int, body io.Reader, size int64) (string, error) {
	return u.Upload.PutPart(ctx, number, body, size)
}

// Abort implements [s3mesh.Upload]. A dead process aborts nothing.
func (u portUpload) Abort(ctx context.Context) error {
	if t := u.p.w.running; t == nil || t.dead {
		return u.p.w.died(u.p.site, opBegin, u.key)
	}
	return u.Upload.Abort(ctx)
}

// refused ends a request that was not answered by the store.
func (w *world) refused(v verdict) error {
	w.answered(v, hashError(v.err))
	return v.err
}

// pinnedHead reads a named version, which never changes.
func (w *world) pinnedHead(ctx context.Context, p port, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	obj, err := w.sites[p.site].store(key).Head(ctx, key, opt)
	w.answered(verdict{}, hashObject(obj, err))
	return obj, err
}

// wrote ends a write: counted when it took effect, even when nobody learns of it.
func (w *world) wrote(v verdict, key string, written s3mesh.Written, err error) (s3mesh.Written, error) {
	if err == nil {
		w.countWrite(key)
		w.running.announced = false
		w.changed(w.running.entry.target, key)
	}
	if v.err != nil {
		return s3mesh.Written{}, w.refused(v)
	}
	w.answered(v, hashWritten(written, err))
	return written, err
}
