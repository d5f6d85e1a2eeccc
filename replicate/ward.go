package replicate

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/s3mesh/s3mesh"
)

// observe takes an outcome of the link.
func (w *ward) observe(out s3mesh.Outcome, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.ailments {
		if c.canary == out.Task.Event.Key {
			c.conclude(out, now)
			w.wake()
		}
	}
	if kind := s3mesh.KindOf(out.Err); out.Result == s3mesh.ResultDeadLettered && kind.MayHeal() {
		w.admit(ailment{kind, siteOf(out.Err)}, now)
	}
}

// conclude takes the outcome of the canary.
func (c *course) conclude(out s3mesh.Outcome, now time.Time) {
	switch {
	case out.Result == s3mesh.ResultRetry:
		c.expires = now.Add(out.RetryAfter + canaryPatience)
	case out.Result == s3mesh.ResultDeadLettered:
		c.fail(now)
	case out.Result.Wrote():
		c.canary, c.mended = "", true
	default:
		c.canary, c.due = "", now
	}
}

// fail puts the next letter off for twice as long as the last one.
func (c *course) fail(now time.Time) {
	c.canary, c.due = "", now.Add(c.wait)
	c.wait = min(2*c.wait, canaryMax)
}

// admit begins the course of an ailment that is not known yet. The lock is held.
func (w *ward) admit(a ailment, now time.Time) {
	if c := w.ailments[a]; c != nil {
		c.news = true
		return
	}
	w.ailments[a] = newCourse(now)
	w.wake()
}

func newCourse(now time.Time) *course {
	return &course{wait: 2 * canaryFirst, due: now.Add(canaryFirst)}
}

// wake has the ward looked at.
func (w *ward) wake() {
	select {
	case w.nudge <- struct{}{}:
	default: // it is awake already
	}
}

// await waits until there may be something to do. It reports false when ctx ended.
func (w *ward) await(ctx context.Context) bool {
	var tick <-chan time.Time
	if len(w.list()) > 0 {
		timer := time.NewTimer(healTick)
		defer timer.Stop()
		tick = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.nudge:
	case <-tick:
	}
	return ctx.Err() == nil
}

// list returns the ailments there are.
func (w *ward) list() []ailment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.ailments))
}

// next reports whether all letters of an ailment are to be replayed, or one of them is to be tried.
func (w *ward) next(a ailment, now time.Time) (mended, due bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.ailments[a]
	if c.canary != "" && now.After(c.expires) {
		c.fail(now)
	}
	due = c.canary == "" && !now.Before(c.due)
	if due {
		c.news = false
	}
	return c.mended, due
}

// hasten has a letter of the ailments of a site tried now.
func (w *ward) hasten(site string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, c := range w.ailments {
		if a.site == site {
			c.wait, c.due = canaryFirst, now
		}
	}
}

// begin notes which letter is tried.
func (w *ward) begin(a ailment, key string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.ailments[a]
	c.canary, c.expires = key, now.Add(canaryPatience)
}

// abandon notes that no letter was tried after all.
func (w *ward) abandon(a ailment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ailments[a].canary = ""
}

// postpone puts the next letter off, because the queue could not be asked.
func (w *ward) postpone(a ailment, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ailments[a].due = now.Add(canaryFirst)
}

// restart notes that all letters were replayed. What fails again is tried like any other.
func (w *ward) restart(a ailment, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ailments[a] = newCourse(now)
	w.quiet = now.Add(aftermath)
}

// discharge forgets an ailment of which no letter was found, unless there is one since.
func (w *ward) discharge(a ailment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ailments[a].news {
		delete(w.ailments, a)
	}
}
