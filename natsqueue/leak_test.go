package natsqueue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

const stayKeys, stayRounds = 40, 60

// TestNothingStays overwrites few keys very often while both links acknowledge late, or retry, so that events are
// replaced in every state they can be in; in the end each link must have been given each key's last event, and the server
// must hold nothing: no message, and nothing pending at any consumer.
func TestNothingStays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	e := startExternal(t)
	q := e.open(pairSet)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen := &acknowledged{last: map[string]bool{}}
	var workers sync.WaitGroup
	links := pairSet.From("a")
	for i := range 4 {
		sub, random := subscribe(t, q, links[i%2]), rand.New(rand.NewPCG(seed, uint64(i)))
		workers.Go(func() { dawdle(ctx, t, sub, random, seen.of(links[i%2])) })
	}
	random := rand.New(rand.NewPCG(seed, 99))
	for round := range stayRounds {
		for _, key := range random.Perm(stayKeys) {
			event := s3mesh.Event{Site: "a", Key: fmt.Sprint(key), ETag: fmt.Sprint(round)}
			if err := q.Publish(t.Context(), s3mesh.LaneLive, event); err != nil {
				t.Fatal("Publish:", err)
			}
		}
	}
	js := e.jetstream()
	eventually(t, func() string { return left(t.Context(), js, q) })
	stop()
	workers.Wait()
	if n := len(seen.last); n != stayKeys*len(links) {
		t.Errorf("the last events of %d keys and links were acknowledged, want %d", n, stayKeys*len(links))
	}
}

// left tells what the server still holds of site a.
func left(ctx context.Context, js jetstream.JetStream, q *natsqueue.Queue) string {
	stream, err := js.Stream(ctx, "pair_a")
	if err != nil {
		return err.Error()
	}
	if n := stream.CachedInfo().State.Msgs; n != 0 {
		return fmt.Sprintf("%d messages left in the stream", n)
	}
	for _, link := range pairSet.From("a") {
		if b, err := q.Backlog(ctx, link); err != nil || b != (s3mesh.Backlog{}) {
			return fmt.Sprintf("backlog of %s: %+v, %v", link, b, err)
		}
	}
	return ""
}

// dawdle retries some deliveries, and acknowledges the others up to three deliveries later.
func dawdle(ctx context.Context, t *testing.T, sub s3mesh.Subscription, random *rand.Rand, note func(s3mesh.Event)) {
	t.Helper()
	var held []s3mesh.Delivery
	for {
		wait, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		d, err := sub.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // nothing came: let go of what is held
		case random.IntN(4) == 0:
			if err := d.Retry(t.Context(), time.Duration(random.IntN(20))*time.Millisecond); err != nil {
				t.Error("Retry:", err)
			}
			continue
		default:
			held = append(held, d)
		}
		for len(held) > 0 && (err != nil || len(held) > 3 || random.IntN(2) == 0) {
			note(held[0].Event())
			if err := held[0].Ack(t.Context()); err != nil {
				t.Error("Ack:", err)
			}
			held = held[1:]
		}
	}
}

// acknowledged notes the links and keys whose last event was acknowledged.
type acknowledged struct {
	mu   sync.Mutex
	last map[string]bool
}

func (a *acknowledged) of(link s3mesh.Link) func(s3mesh.Event) {
	return func(e s3mesh.Event) {
		if e.ETag == fmt.Sprint(stayRounds-1) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.last[fmt.Sprint(link, " ", e.Key)] = true
		}
	}
}
