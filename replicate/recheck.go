package replicate

import (
	"context"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

// holding is the state of the target right after a write.
func (r *Replicator) holding(v s3mesh.Version, w s3mesh.Written) state {
	return state{site: r.Target, version: &v, object: s3mesh.Object{ETag: w.ETag, VersionID: w.VersionID}}
}

// recheck looks at what a write under If-Match has covered. S3 compares ETags, and a client that writes the same bytes with
// other metadata changes no ETag: the condition then holds for a version that nobody looked at. Where that version is later
// than what covers it, it is written again on top, as a replica of itself, and announced, as the event of the client's own
// write may have been processed while it was covered. looked is the version ID that the write was decided on, or "" when
// that is not known any more. Without versions there is nothing to look at.
func (r *Replicator) recheck(ctx context.Context, out *s3mesh.Outcome, top state, looked string) error {
	for range rereads {
		if top.object.VersionID == "" {
			return nil
		}
		covered, err := r.below(ctx, out.Task.Event.Key, top.object.VersionID, looked)
		if err != nil || covered == nil {
			return err
		}
		decision, err := r.decide(ctx, out.Task, covered, top)
		if err != nil || decision != resolve.Copy {
			covered.close()
			return err
		}
		r.Log.Info("a client's write was covered and is put on top again", "site", r.Target, "key", out.Task.Event.Key,
			"version", *covered.version)
		written, err := r.write(ctx, out, covered, s3mesh.IfMatch(top.object.ETag))
		covered.close()
		if err != nil {
			return err
		}
		looked, top = top.object.VersionID, r.holding(*covered.version, written)
		out.Result, out.Target = s3mesh.ResultConflictLost, covered.version
		if err := r.announce(ctx, out.Task.Event.Key); err != nil {
			return err
		}
	}
	return nil
}

// resumeRecheck takes up a recheck that an earlier attempt may not have come to the end of.
func (r *Replicator) resumeRecheck(ctx context.Context, out *s3mesh.Outcome, target state) error {
	if out.Task.Attempt <= 1 || !target.holdsObject() || native(target) {
		return nil
	}
	if target.version.Origin == r.Target {
		return r.announce(ctx, out.Task.Event.Key)
	}
	return r.recheck(ctx, out, target, "")
}

// announce tells the target's links of what it holds.
func (r *Replicator) announce(ctx context.Context, key string) error {
	return r.Announce(ctx, s3mesh.Event{Site: r.Target, Key: key, Type: s3mesh.EventCreated, Name: "s3mesh:Recheck", Time: r.Now()})
}

// below opens the object right below the target's version called id, or returns nil when there is none, or when it is the
// one called looked.
func (r *Replicator) below(ctx context.Context, key, id, looked string) (*openState, error) {
	reached := false
	for entry, err := range r.Bucket.History(ctx, key) {
		switch {
		case err != nil:
			return nil, err
		case !reached:
			reached = entry.VersionID == id
			continue
		case entry.DeleteMarker || entry.VersionID == looked:
			return nil, nil //nolint:nilnil // nothing below is an answer
		}
		obj, body, err := r.Bucket.Get(ctx, key, s3mesh.ReadOptions{VersionID: entry.VersionID})
		if err != nil {
			return nil, err
		}
		v := resolve.Read(r.Target, key, obj).Version
		return &openState{state{r.Target, &v, obj}, body}, nil
	}
	return nil, nil //nolint:nilnil // nothing below is an answer
}
