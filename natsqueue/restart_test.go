package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

// TestRestart keeps what is pending, in flight, waiting for a retry and buried across a restart, and what is acknowledged
// away.
func TestRestart(t *testing.T) {
	cfg := natsqueue.Config{Set: pairSet, Dir: t.TempDir(), AckWait: 2 * time.Second}
	before := open(t, cfg)
	publish(t, before, "acked", "held", "retried", "buried", "pending")
	sub := subscribe(t, before, pairAB)
	ack(t, next(t, sub))
	next(t, sub)
	if err := next(t, sub).Retry(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := next(t, sub).Bury(t.Context(), s3mesh.DeadLetter{Kind: s3mesh.KindTooLarge, Cause: "too large"}); err != nil {
		t.Fatal(err)
	}
	letters, _, err := before.DeadLetters().List(t.Context(), s3mesh.LetterFilter{Link: pairAB}, "", 10)
	if err != nil || len(letters) != 1 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	closeQueue(t, before)

	after := open(t, cfg)
	sub = subscribe(t, after, pairAB)
	got := map[string]int{}
	for range 3 {
		d := next(t, sub)
		got[d.Event().Key] = d.Attempt()
		ack(t, d)
	}
	if got["held"] != 2 || got["retried"] != 2 || got["pending"] == 0 {
		t.Errorf("attempts after the restart: %v, want held and retried twice, and pending", got)
	}
	if n, err := after.DeadLetters().Replay(t.Context(), letters[0].ID); err != nil || n != 1 {
		t.Error("Replay of a letter listed before the restart:", err)
	}
	b, err := after.Backlog(t.Context(), pairAB)
	if err != nil || b.Pending+b.InFlight != 1 || b.DeadLetters != 0 {
		t.Errorf("backlog %+v, %v; want the replayed event alone", b, err)
	}
}

// TestClosed shows that a closed queue says so, and that a publish is never acknowledged and lost on the way.
func TestClosed(t *testing.T) {
	cfg := natsqueue.Config{Set: pairSet, Dir: t.TempDir()}
	q := open(t, cfg)
	var mu sync.Mutex
	published := map[string]bool{}
	var publishers sync.WaitGroup
	started := make(chan struct{}, 100)
	for p := range 20 {
		publishers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprint(p, "/", i)
				err := q.Publish(context.Background(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: key})
				if err != nil {
					if s3mesh.KindOf(err) != s3mesh.KindCanceled {
						t.Error("Publish during Close:", err)
					}
					return
				}
				mu.Lock()
				published[key] = true
				mu.Unlock()
				if i == 3 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 20 {
		<-started
	}
	closeQueue(t, q)
	publishers.Wait()
	closeQueue(t, q)
	if _, err := q.Subscribe(t.Context(), pairAB, s3mesh.LaneLive, 1); s3mesh.KindOf(err) != s3mesh.KindCanceled {
		t.Errorf("Subscribe after Close: %v, want canceled", err)
	}
	if lost := collect(t, open(t, cfg), pairAB, published); len(lost) > 0 {
		t.Errorf("%d of %d events were acknowledged and lost", len(lost), len(published))
	}
}

// TestCloseInTime shows that Close keeps its deadline, and that the rest is done soon after.
func TestCloseInTime(t *testing.T) {
	cfg := natsqueue.Config{Set: pairSet, Dir: t.TempDir()}
	q := open(t, cfg)
	subscribe(t, q, pairAB)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error("Close:", err)
	}
	eventually(t, func() string {
		again, err := natsqueue.Open(t.Context(), cfg)
		if err != nil {
			return err.Error()
		}
		closeQueue(t, again)
		return ""
	})
}
