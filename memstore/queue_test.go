package memstore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/memstore"
)

func TestQueueConformance(t *testing.T) {
	conformance.TestQueue(t, func(_ *testing.T, set s3mesh.ReplicaSet, ackWait time.Duration) s3mesh.Queue {
		q := memstore.NewQueue(set)
		q.AckWait = ackWait
		return q
	})
}

// TestQueueInFakeTime shows that time-outs and delays follow the clock of a synctest bubble, to the nanosecond.
func TestQueueInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := s3mesh.FullMesh("set", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"})
		q := memstore.NewQueue(set)
		if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: "k"}); err != nil {
			t.Fatal(err)
		}
		sub, err := q.Subscribe(t.Context(), set.Links[0], s3mesh.LaneLive, 10)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i, want := range []time.Duration{0, q.AckWait, q.AckWait + 24*time.Hour} {
			d, err := sub.Next(t.Context())
			if err != nil || d.Attempt() != i+1 || time.Since(start) != want {
				t.Fatalf("delivery %d after %v, attempt %d, %v; want %v", i, time.Since(start), d.Attempt(), err, want)
			}
			if i == 1 {
				if err := d.Retry(t.Context(), 24*time.Hour); err != nil {
					t.Fatal(err)
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), q.AckWait-1)
		defer cancel()
		if d, err := sub.Next(ctx); err == nil {
			t.Fatalf("delivered %+v while in flight", d.Event())
		}
	})
}
