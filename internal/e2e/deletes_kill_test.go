package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// testKilledDeleting: the process is killed with -9 again and again while clients write and delete at all sites. In the end
// all sites hold the same, and of the keys of one client what that did last.
func testKilledDeleting(t *testing.T, d *deletesMesh) {
	t.Helper()
	const kills, opsPerKill = 3, 120
	sites := d.all()
	b := startDeleteBurst(t, sites)
	for n := range kills {
		b.await(t, (n+1)*opsPerKill)
		d.p.kill(t)
		d.start()
	}
	want := b.end(t, (kills+1)*opsPerKill)
	awaitListing(t, redelivery, sites, "burst/own/", want)
	eventually(t, redelivery, "the shared keys are equal", func() error { return sameListing(t.Context(), sites, "burst/shared/") })
	d.quiet(t)
	awaitListing(t, redelivery, sites, "burst/own/", want)
	if err := sameListing(t.Context(), sites, "burst/shared/"); err != nil {
		t.Errorf("no longer equal: %v", err)
	}
	for i := range sharedKeys {
		d.checkAgree(t, sharedKey(i))
	}
}

const sharedKeys = 8 // that all clients of a burst write and delete

func sharedKey(i int) string { return fmt.Sprintf("burst/shared/%d", i%sharedKeys) }

// deleteBurst is clients that write and delete without a pause, each keys of its own and some that all of them use.
type deleteBurst struct {
	acked atomic.Int64
	stop  context.CancelFunc
	group *errgroup.Group

	mu    sync.Mutex
	own   map[string]string // what was acknowledged last, less what was deleted
	total int               // of the clients' own keys
}

func startDeleteBurst(t *testing.T, sites []*site) *deleteBurst {
	t.Helper()
	const clients = 6
	b := &deleteBurst{group: &errgroup.Group{}, own: map[string]string{}}
	stopped, stop := context.WithCancel(t.Context())
	b.stop = stop
	t.Cleanup(stop)
	for c := range clients {
		b.group.Go(func() error {
			for i := 0; stopped.Err() == nil; i++ {
				// What was begun is finished: it does not end with stopped.
				if err := b.act(context.WithoutCancel(stopped), sites[c%len(sites)], c, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return b
}

// act is what client c does as the i-th: puts and deletes of four keys in turn, and every fifth time of a shared one.
func (b *deleteBurst) act(ctx context.Context, s *site, c, i int) error {
	const round, keys = 20, 4
	key, own := fmt.Sprintf("burst/own/%d/%04d", c, i/round*keys+i%keys), true
	if i%5 == 4 {
		key, own = sharedKey(c+i/5), false
	}
	body, deletes := fmt.Sprintf("%s: %d by %d", key, i, c), (i/keys)%2 == 1
	var err error
	if deletes {
		err = s.remove(ctx, key)
	} else {
		err = s.put(ctx, key, text(body))
	}
	if err != nil {
		return err
	}
	b.acked.Add(1)
	if !own {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.own[key] = body; deletes {
		delete(b.own, key)
		b.total++
	}
	return nil
}

// await waits until so much was acknowledged.
func (b *deleteBurst) await(t *testing.T, ops int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d writes and deletes", ops), func() error {
		if n := b.acked.Load(); n < int64(ops) {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
}

// end stops the clients after so many writes and deletes, and returns what their own keys must hold.
func (b *deleteBurst) end(t *testing.T, ops int) map[string]string {
	t.Helper()
	b.await(t, ops)
	b.stop()
	if err := b.group.Wait(); err != nil {
		t.Fatalf("a client was refused: %v", err)
	}
	t.Logf("%d acknowledged, %d deletes of keys that one client uses, of which %d are left", b.acked.Load(), b.total, len(b.own))
	if b.total == 0 || len(b.own) == 0 {
		t.Errorf("nothing deleted, or nothing left: %v", slices.Sorted(maps.Keys(b.own)))
	}
	return maps.Clone(b.own)
}
