package reconcile

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// maxFailures is how often in a row a request may fail for a passing reason. Then the run ends, and is taken up again later.
	maxFailures = 8
	pauseFirst  = 250 * time.Millisecond
	pauseMax    = 30 * time.Second
)

// retry repeats a request to a site ("" for the queue) that fails for a passing reason.
func (r *run) retry(ctx context.Context, site string, request func() error) error {
	for failures := 1; ; failures++ {
		err := request()
		if err == nil || !r.again(ctx, site, err, failures) {
			return err
		}
	}
}

// again reports whether to repeat a request that failed so many times in a row, after it has waited for a while.
func (r *run) again(ctx context.Context, site string, err error, failures int) bool {
	kind := s3mesh.KindOf(err)
	if ctx.Err() != nil || !kind.Transient() || kind == s3mesh.KindCanceled || failures >= maxFailures {
		return false
	}
	r.cfg.Log.Debug("a request of a comparison failed and is repeated", "site", site, "failures", failures, "error", err)
	wait := min(pauseMax, pauseFirst<<failures)
	if sleep(ctx, wait/2+rand.N(wait/2)) != nil {
		return false
	}
	if site == "" || r.cfg.Ready == nil {
		return true
	}
	return r.cfg.Ready(ctx, site) == nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return canceled(ctx)
	}
}
