package chaos

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/reconcile"
)

const (
	// comparisonTime is how long a comparison may take to get to its middle.
	comparisonTime = 10 * time.Second
	comparisonPoll = 10 * time.Millisecond
	// comparisonGoesOn is how long after its start a daemon goes on by itself with what was cut off, at the latest.
	comparisonGoesOn = 15 * time.Second
)

// intoComparison is how long after its first range of keys is done a comparison is killed: before, while and after the file that
// tells how far it is has been written.
var intoComparison = span{0, 400 * time.Millisecond}

// reconcile has the regions compared once since the writes ended, by a daemon that is killed in the middle of it.
func (w *world) reconcile(t *testing.T) {
	t.Helper()
	const attempts = 4
	ended := time.Now()
	for range attempts {
		report := w.compared(t)
		t.Logf("%d keys compared, %d asked for, %d differed; resumed %v, complete %v, began %v after the writes ended", report.Keys,
			report.Checked, report.Differing, report.Resumed, report.Complete, report.Started.Sub(ended).Round(time.Millisecond))
		// One that was cut off amid the faults goes on where it was: what it had compared by then may have changed since.
		if report.Started.Before(ended) {
			continue
		}
		if !report.Complete {
			t.Fatal(report.Error)
		}
		return
	}
	t.Fatal("the comparison that began amid the faults never ends")
}

// compared has the daemon compare the regions, kills it meanwhile, and returns the report of the comparison, with which the next
// one has gone on.
func (w *world) compared(t *testing.T) (report reconcile.Report) {
	t.Helper()
	ctx := t.Context()
	w.allAnswer(t)
	killed, err := w.beginComparison(ctx, intoComparison.pick(w.random("last comparison")))
	if err == nil && killed {
		w.damage.add("comparison killed")
		err = errors.Join(w.daemon.kill(), w.daemon.start(ctx))
	}
	if err != nil {
		t.Fatal(err)
	}
	restarted := time.Now()
	eventually(t, settleTime, "a comparison ends", func() error {
		var s reconcile.Status
		err := w.daemon.admin.ReconcileStatus(ctx, &s)
		if idle := s.Running == nil && s.Last == nil; err == nil && idle && time.Since(restarted) > comparisonGoesOn {
			err = w.askForComparison(ctx) // it was killed before anything of it was on disk
		}
		switch {
		case err != nil:
			t.Fatal(err)
		case s.Running != nil || s.Last == nil:
			return errors.New("it goes on")
		default:
			report = *s.Last
		}
		return nil
	})
	return report
}

// allAnswer waits until the daemon holds no region to be away: the links of such a one are not compared.
func (w *world) allAnswer(t *testing.T) {
	t.Helper()
	eventually(t, settleTime, "all regions answer", func() error {
		status, err := w.daemon.admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range status.Sites {
			if s.Away {
				err = errors.Join(err, fmt.Errorf("%s is away", s.Name))
			}
		}
		return err
	})
}

// beginComparison has the daemon compare the regions, and reports whether some ranges of keys have been done for a while, and
// others not.
func (w *world) beginComparison(ctx context.Context, into time.Duration) (middle bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, comparisonTime)
	defer cancel()
	err = w.askForComparison(ctx)
	for s3mesh.KindOf(err) == s3mesh.KindUnreachable && pause(ctx, comparisonPoll) { // no two regions answer
		err = w.askForComparison(ctx)
	}
	var since time.Time
	for err == nil && pause(ctx, comparisonPoll) {
		var s reconcile.Status
		err = w.daemon.admin.ReconcileStatus(ctx, &s)
		switch p := s.Running; {
		case err != nil || p != nil && (p.ShardsDone == 0 || p.Phase != reconcile.PhaseComparing):
		case p == nil || p.ShardsDone == p.Shards:
			return false, nil
		case since.IsZero():
			since = time.Now()
			w.log.Info("compares", "place", "daemon", "progress", p)
			if p.Resumed {
				w.damage.add("comparison resumed")
			}
		case time.Since(since) >= into:
			return true, nil
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	return false, err
}

// askForComparison begins a comparison, unless one waits already.
func (w *world) askForComparison(ctx context.Context) error {
	var begun reconcile.Progress
	err := w.daemon.admin.StartReconcile(ctx, reconcile.Options{}, &begun)
	if s3mesh.KindOf(err) == s3mesh.KindConflict {
		return nil
	}
	return err
}
