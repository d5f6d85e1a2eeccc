package verify

import (
	"context"
	"errors"
	"time"

	"github.com/s3mesh/s3mesh"
)

// looks is how often a key is looked at before it counts as one that changes all the time.
const looks = 4

// firstWait is how long a key that was written lately is left alone before it is looked at again: what was written may be on its
// way. It doubles each time.
const firstWait = 500 * time.Millisecond

// result is what comparing one item came to.
type result struct {
	item
	skipped bool // the key is compared elsewhere, or not at all
	gone    bool // no site holds the key any more
	finding *Finding
	byBytes bool
	read    int64
}

// examine compares one key. What differs is looked at again: a difference is one only when nothing changed in between.
func (r *runner) examine(ctx context.Context, it item) (result, error) {
	done := result{item: it, skipped: !it.compare}
	var before look // nil: nothing was compared yet, or something changed meanwhile
	wait := firstWait
	for n := 1; !done.skipped; n++ {
		now, err := r.look(ctx, it.key)
		if err != nil {
			return done, err
		}
		if done.skipped = now.heldAt(it.unless); done.skipped {
			break
		}
		same := before != nil && now.same(before)
		if !same {
			if before, err = r.tryCompare(ctx, now, &done); err != nil {
				return done, err
			}
		}
		switch {
		case before != nil && done.settled(same, n == looks):
			return done, nil
		case n == looks:
			done.finding = changing(it.key, now)
			return done, nil
		case before == nil || done.finding.Recent:
			if !sleep(ctx, wait) {
				return done, ctx.Err()
			}
			wait *= 2
		}
	}
	return done, nil
}

// settled reports that nothing is to be gained by another look: all is equal, or differs as it did before. What was written
// lately is given all the time that there is.
func (d *result) settled(same, last bool) bool {
	return d.finding == nil || same && (last || !d.finding.Recent)
}

// tryCompare is compare; it returns the look, or nil when something changed meanwhile.
func (r *runner) tryCompare(ctx context.Context, now look, done *result) (look, error) {
	done.finding = nil
	err := r.compare(ctx, now, done)
	if errors.Is(err, errChanged) {
		return nil, nil
	}
	return now, err
}

// heldAt reports whether one of the sites holds an object.
func (l look) heldAt(sites []string) bool {
	for _, site := range sites {
		for i := range l {
			if l[i].site == site && l[i].object != nil {
				return true
			}
		}
	}
	return false
}

// compare compares what a look found. Its error is errChanged when something changed meanwhile, or one that ends the run.
func (r *runner) compare(ctx context.Context, l look, done *result) error {
	present := l.present()
	done.gone = len(present) == 0 && !l.unread()
	if done.gone {
		return nil
	}
	if len(present) < len(l) {
		if err := r.askMarkers(ctx, done.key, l); err != nil {
			return err
		}
	}
	if err := r.askTags(ctx, done.key, present); err != nil {
		return err
	}
	present, err := r.readContents(ctx, present, done)
	if err != nil {
		return err
	}
	if len(present) < len(l) || !alike(present) {
		done.finding = r.judge(done.key, l)
	}
	return nil
}

// readContents is contents, for those objects that can be read: it returns these.
func (r *runner) readContents(ctx context.Context, present []*held, done *result) ([]*held, error) {
	for {
		read, err := r.contents(ctx, done.key, present)
		done.read += read
		done.byBytes = done.byBytes || read > 0
		if err == nil {
			return present, nil
		}
		at := errorSite(err)
		if errors.Is(err, errChanged) || endsRun(err) || at == "" {
			return nil, err
		}
		var others []*held
		for _, h := range present {
			if h.site == at {
				h.err = err
			} else {
				others = append(others, h)
			}
		}
		if len(others) == len(present) {
			return nil, err
		}
		present = others
	}
}

func errorSite(err error) string {
	if e, ok := errors.AsType[*s3mesh.Error](err); ok {
		return e.Site
	}
	return ""
}

// alike reports whether all objects are equal.
func alike(present []*held) bool {
	for _, h := range present {
		if h.err != nil || len(compare(h, present[0])) > 0 {
			return false
		}
	}
	return true
}

func changing(key string, l look) *Finding {
	f := &Finding{Key: key, Verdict: Changing, Recent: true}
	for i := range l {
		f.Sites = append(f.Sites, describe(&l[i]))
	}
	return f
}
