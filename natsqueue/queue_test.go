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
func open(t testing.TB, cfg natsqueue.Config) *natsqueue.Queue {
	t.Helper()
	q, err := natsqueue.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal("Open:", err)
	}
	t.Cleanup(func() { closeQueue(t, q) })
	return q
}

func closeQueue(t testing.TB, q *natsqueue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Close(ctx); err != nil {
		t.Error("Close:", err)
	}
}

func TestConformanceEmbedded(t *testing.T) {
	conformance.TestQueue(t, func(t *testing.T, set s3mesh.ReplicaSet, ackWait time.Duration) s3mesh.Queue {
		return open(t, natsqueue.Config{Set: set, Dir: t.TempDir(), AckWait: ackWait})
	})
}
