package e2e

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	kills         = 3
	writesPerKill = 150
	// redelivery is the acknowledgement time-out, after which what a killed process had in hand comes again, and as much
	// again for the work.
	redelivery = 60 * time.Second
)

// TestKilledMidBurst: run is killed with -9 again and again while clients write. Every write that a client saw acknowledged
// is at both other sites in the end.
func TestKilledMidBurst(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, name := range []string{"alpha", "beta", "gamma"} {
		m.addRegion(t, name)
	}
	p := m.run(t)
	b := startBurst(t, m.all())
	for n := range kills {
		b.await(t, (n+1)*writesPerKill)
		p.kill(t)
		p = m.run(t)
	}
	want := b.end(t, (kills+1)*writesPerKill)
	awaitListing(t, redelivery, m.all(), "burst/", want)
	m.settled(t, redelivery, "-c", m.file)
	m.noLetters(t, "-c", m.file)
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
}

// burst is eight clients that write without a pause, each new keys and, every third time, one of its own again.
type burst struct {
	acked  atomic.Int64
	stop   context.CancelFunc
	group  *errgroup.Group
	mu     sync.Mutex
	bodies map[string]string // what was acknowledged last
}

func startBurst(t *testing.T, sites []*site) *burst {
	t.Helper()
	const writers = 8
	b := &burst{group: &errgroup.Group{}, bodies: map[string]string{}}
	stopped, stop := context.WithCancel(t.Context())
	b.stop = stop
	t.Cleanup(stop)
	for w := range writers {
		b.group.Go(func() error {
			for i := 0; stopped.Err() == nil; i++ {
				key := fmt.Sprintf("burst/%d/%04d", w, i-i%3/2) // every third write is to the key before
				// A write that was begun is finished: it does not end with stopped.
				if err := b.write(context.WithoutCancel(stopped), sites[w%len(sites)], key, fmt.Sprintf("%s: write %d", key, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return b
}

func (b *burst) write(ctx context.Context, s *site, key, body string) error {
	if err := s.put(ctx, key, text(body)); err != nil {
		return err
	}
	b.mu.Lock()
	b.bodies[key] = body
	b.mu.Unlock()
	b.acked.Add(1)
	return nil
}

// await waits until so many writes were acknowledged.
func (b *burst) await(t *testing.T, writes int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d writes", writes), func() error {
		if n := b.acked.Load(); n < int64(writes) {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

// end stops the clients after so many writes, and returns what each key must hold.
func (b *burst) end(t *testing.T, writes int) map[string]string {
	t.Helper()
	b.await(t, writes)
	b.stop()
	if err := b.group.Wait(); err != nil {
		t.Fatalf("a client was refused: %v", err)
	}
	t.Logf("%d writes acknowledged, to %d keys", b.acked.Load(), len(b.bodies))
	return maps.Clone(b.bodies)
}
