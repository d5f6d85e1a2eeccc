package natsqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/conformance"
	"github.com/s3mesh/s3mesh/natsqueue"
)

// open opens a queue that ends with the test.
func open(tb testing.TB, cfg natsqueue.Config) *natsqueue.Queue {
	tb.Helper()
	q, err := natsqueue.Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal("Open:", err)
	}
	tb.Cleanup(func() { closeQueue(tb, q) })
	return q
}

func closeQueue(tb testing.TB, q *natsqueue.Queue) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Close(ctx); err != nil {
		tb.Error("Close:", err)
	}
}

func TestConformanceEmbedded(t *testing.T) {
	conformance.TestQueue(t, func(t *testing.T, set s3mesh.ReplicaSet, ackWait time.Duration) s3mesh.Queue {
		t.Helper()
		return open(t, natsqueue.Config{Set: set, Dir: t.TempDir(), AckWait: ackWait})
	})
}
