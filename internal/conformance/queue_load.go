package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

var loadTests = []queueTest{
	{name: "each key's last event arrives under load", run: testLoad},
}

const (
	loadPublishers  = 8
	loadSubscribers = 4
	loadKeys        = 500 // of each publisher
	loadRounds      = 3
)

// testLoad has publishers overwrite their own keys again and again, in chunks of random sizes, while subscribers
// acknowledge and retry. Every key's last event must come.
func testLoad(s *queueSuite) {
	seed := uint64(time.Now().UnixNano())
	s.Logf("seed %d", seed)
	done := &lastSeen{missing: loadPublishers * loadKeys, keys: map[string]bool{}, all: make(chan struct{})}
	ctx, stop := context.WithCancel(s.Context())
	defer stop()
	var wg sync.WaitGroup
	for i := range loadSubscribers {
		sub := s.live(16)
		wg.Go(func() { s.loadSubscribe(ctx, sub, rand.New(rand.NewPCG(seed, uint64(i))), done) })
	}
	for i := range loadPublishers {
		wg.Go(func() { s.loadPublish(i, rand.New(rand.NewPCG(seed, uint64(100+i)))) })
	}
	select {
	case <-done.all:
	case <-time.After(4 * patience):
		s.Error(done.String())
	}
	s.settles(linkAB, s3mesh.Backlog{})
	stop()
	wg.Wait()
}

func (s *queueSuite) loadPublish(publisher int, random *rand.Rand) {
	for round := range loadRounds {
		order := random.Perm(loadKeys)
		for len(order) > 0 {
			n := min(1+random.IntN(50), len(order))
			var chunk []s3mesh.Event
			for _, key := range order[:n] {
				chunk = append(chunk, change(fmt.Sprintf("%d/%d", publisher, key), fmt.Sprint(round)))
			}
			order = order[n:]
			if err := s.q.Publish(s.Context(), s3mesh.LaneLive, chunk...); err != nil {
				s.Error("Publish:", err)
				return
			}
		}
	}
}

func (s *queueSuite) loadSubscribe(ctx context.Context, sub s3mesh.Subscription, random *rand.Rand, done *lastSeen) {
	for {
		d, err := sub.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.Error("Next:", err)
			}
			return
		}
		switch random.IntN(10) {
		case 0:
			err = d.Retry(s.Context(), time.Duration(random.IntN(50))*time.Millisecond)
		default:
			err = d.Ack(s.Context())
			done.saw(d.Event())
		}
		if err != nil {
			s.Error("ending a delivery:", err)
			return
		}
	}
}

// lastSeen notes which keys' last events have come.
type lastSeen struct {
	mu      sync.Mutex
	keys    map[string]bool
	missing int
	all     chan struct{} // closed when none is missing
}

func (l *lastSeen) saw(e s3mesh.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.ETag != fmt.Sprint(loadRounds-1) || l.keys[e.Key] {
		return
	}
	l.keys[e.Key] = true
	if l.missing--; l.missing == 0 {
		close(l.all)
	}
}

func (l *lastSeen) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("the last events of %d keys did not come", l.missing)
}
