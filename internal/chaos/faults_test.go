package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// damage counts what was done to the world.
type damage struct {
	mu     sync.Mutex
	counts map[string]int
}

func (d *damage) add(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[string]int{}
	}
	d.counts[what]++
}

func (d *damage) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Sprintf("faults: %v", d.counts)
}

// span is a range of times.
type span struct{ least, most time.Duration }

func (s span) pick(rng *rand.Rand) time.Duration {
	return s.least + time.Duration(rng.Int64N(int64(s.most-s.least)+1))
}

// The times are such that a region, which tries to deliver an event for 30 s, seldom gives up.
var (
	betweenStoreFaults  = span{300 * time.Millisecond, 4 * time.Second}
	storeFault          = span{500 * time.Millisecond, 5 * time.Second}
	betweenIntakeFaults = span{time.Second, 6 * time.Second}
	intakeFault         = span{300 * time.Millisecond, 3 * time.Second}
	betweenDaemonKills  = span{4 * time.Second, 16 * time.Second}
	daemonDown          = span{0, 3 * time.Second}
	betweenRegionKills  = span{3 * time.Second, 10 * time.Second}
	regionDown          = span{100 * time.Millisecond, 4 * time.Second}
)

// torment lets everything fail, each thing on its own, until ctx ends. When the group is done all is whole again.
func (w *world) torment(ctx context.Context, group *errgroup.Group) {
	for _, r := range w.regions {
		group.Go(func() error { return w.tormentProxy(ctx, r.ToStore, betweenStoreFaults, storeFault) })
		group.Go(func() error { return w.tormentProxy(ctx, r.toIntake, betweenIntakeFaults, intakeFault) })
	}
	group.Go(func() error { return w.tormentDaemon(ctx) })
	group.Go(func() error { return w.tormentRegions(ctx) })
}

func (w *world) tormentProxy(ctx context.Context, p *proxy, between, length span) error {
	rng := w.random("proxy " + p.name)
	for {
		wait, f, long := between.pick(rng), pickFault(rng), length.pick(rng)
		if !pause(ctx, wait) {
			return nil
		}
		w.damage.add(f.name)
		w.log.Info("begin", "place", p.name, "fault", f.name, "toxics", f.toxics)
		if err := f.begin(p); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		pause(ctx, long)
		if err := p.set(); err != nil {
			return fmt.Errorf("end of %s: %w", f.name, err)
		}
		w.log.Info("end", "place", p.name, "fault", f.name)
	}
}

// tormentDaemon kills the daemon, at first and now and then afterwards in the middle of a comparison of the regions.
func (w *world) tormentDaemon(ctx context.Context) error {
	rng := w.random("daemon")
	for kills := 0; ; kills++ {
		wait, down, into := betweenDaemonKills.pick(rng), daemonDown.pick(rng), intoComparison.pick(rng)
		comparing := rng.IntN(2) == 0 || kills == 0
		if !pause(ctx, wait) {
			return nil
		}
		if comparing {
			middle, err := w.beginComparison(ctx, into)
			if err != nil {
				return err
			}
			if middle {
				w.damage.add("comparison killed")
			}
		}
		w.damage.add("daemon killed")
		w.log.Info("kill", "place", "daemon")
		if err := w.daemon.kill(); err != nil {
			return err
		}
		pause(ctx, down)
		if err := w.daemon.start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		w.log.Info("restarted", "place", "daemon")
	}
}

func (w *world) tormentRegions(ctx context.Context) error {
	rng := w.random("regions")
	for {
		wait, r, down := betweenRegionKills.pick(rng), w.regions[rng.IntN(len(w.regions))], regionDown.pick(rng)
		if !pause(ctx, wait) {
			return nil
		}
		w.damage.add("region killed")
		w.log.Info("kill", "place", r.Name)
		r.kill()
		pause(ctx, down)
		if err := r.restart(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		w.log.Info("restarted", "place", r.Name)
	}
}

// fault is something that befalls connections.
type fault struct {
	name   string
	toxics []string
	absent bool // no connections at all
}

func (f fault) begin(p *proxy) error {
	if f.absent {
		p.cut()
		return nil
	}
	return p.set(f.toxics...)
}

func pickFault(rng *rand.Rand) fault {
	stream := []string{"upstream", "downstream"}[rng.IntN(2)]
	switch rng.IntN(7) {
	case 0:
		return fault{name: "latency", toxics: []string{toxic("latency", stream, "latency", rng.IntN(400), "jitter", rng.IntN(200))}}
	case 1:
		return fault{name: "bandwidth", toxics: []string{toxic("bandwidth", stream, "rate", 32+rng.IntN(2000))}}
	case 2:
		return fault{name: "slices", toxics: []string{
			toxic("slicer", stream, "average_size", 100+rng.IntN(1000), "size_variation", 50, "delay", rng.IntN(3000))}}
	case 3:
		return fault{name: "reset", toxics: []string{toxic("reset_peer", stream, "timeout", rng.IntN(300))}}
	case 4:
		// Every connection breaks off after so many bytes: often in the middle of a head or a body.
		return fault{name: "cut off", toxics: []string{toxic("limit_data", stream, "bytes", rng.IntN(1<<rng.IntN(20)+1))}}
	case 5:
		return fault{name: "silence", toxics: []string{toxic("timeout", stream, "timeout", 0)}}
	default:
		return fault{name: "partition", absent: true}
	}
}

// toxic returns what toxiproxy takes. attributes are names and whole numbers in turn.
func toxic(kind, stream string, attributes ...any) string {
	text := ""
	for i := 0; i < len(attributes); i += 2 {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q: %d", attributes[i], attributes[i+1])
	}
	return fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, stream, text)
}
