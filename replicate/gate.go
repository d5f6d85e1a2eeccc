package replicate

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/s3mesh/s3mesh"
)

const (
	// failuresToClose is how many tasks in a row must find a site unreachable before its gate closes.
	failuresToClose = 5
	// probeDelay is how long a closed gate waits before one task may try the site again.
	probeDelay = time.Second
)

// Gate holds back the work on sites that do not answer, so that an outage costs no attempts, fills no dead letters and ends
// as soon as one probing task gets through. It is a circuit breaker per site, shared by all links of a process, and safe for
// concurrent use.
type Gate struct {
	sites map[string]circuitbreaker.CircuitBreaker[any]
}

// NewGate returns a gate for the named sites.
func NewGate(sites ...string) *Gate {
	g := &Gate{sites: make(map[string]circuitbreaker.CircuitBreaker[any], len(sites))}
	for _, site := range sites {
		g.sites[site] = circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(failuresToClose).WithSuccessThreshold(1).WithDelay(probeDelay).Build()
	}
	return g
}

// Enter waits until both ends of a link may be tried. Every Enter without an error is followed by one Leave.
func (g *Gate) Enter(ctx context.Context, link s3mesh.Link) error {
	source, target := g.sites[link.Source], g.sites[link.Target]
	for {
		if g.bothReady(source, target) {
			return nil
		}
		wait := max(source.RemainingDelay(), target.RemainingDelay(), 50*time.Millisecond)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (g *Gate) bothReady(source, target circuitbreaker.CircuitBreaker[any]) bool {
	if source.RemainingDelay() > 0 || target.RemainingDelay() > 0 || !source.TryAcquirePermit() {
		return false
	}
	if target.TryAcquirePermit() {
		return true
	}
	if !source.IsClosed() {
		// This gives the one permit back, and the source is probed a delay later. A source that answers hands out permits
		// without counting them: for it, this would be a failure that never happened, and a few close its gate.
		source.RecordFailure()
	}
	return false
}

// Leave tells how the work between the two ends went. An end of which that says nothing, because the work failed before it
// got there, is tried again later if it was being probed.
func (g *Gate) Leave(link s3mesh.Link, err error) {
	site, unreachable := blamed(link, err)
	for _, name := range []string{link.Source, link.Target} {
		switch breaker := g.sites[name]; {
		case err == nil, name == site && !unreachable:
			breaker.RecordSuccess()
		case name == site, !breaker.IsClosed():
			breaker.RecordFailure()
		}
	}
	if third, ok := g.sites[site]; ok && unreachable && site != link.Source && site != link.Target {
		third.RecordFailure()
	}
}

// Closed reports whether work on a site is being held back.
func (g *Gate) Closed(site string) bool {
	breaker, ok := g.sites[site]
	return ok && !breaker.IsClosed()
}

// blamed names the site that err came from, or "" when it says nothing of a site, and whether it could not be reached.
func blamed(link s3mesh.Link, err error) (site string, unreachable bool) {
	kind := s3mesh.KindOf(err)
	if err == nil || kind == s3mesh.KindCanceled {
		return "", false
	}
	unreachable = kind == s3mesh.KindUnreachable
	if site = siteOf(err); site != "" {
		return site, unreachable
	}
	return link.Target, unreachable
}
