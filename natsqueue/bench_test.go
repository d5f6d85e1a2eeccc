package natsqueue_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

var benchSet = s3mesh.FullMesh("bench", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"})

func benchEvent(i int64) s3mesh.Event {
	return s3mesh.Event{
		Site: "a", Bucket: "photos", Key: fmt.Sprintf("2026/album/%08d.jpg", i), Type: s3mesh.EventCreated,
		Name: "ObjectCreated:Put", ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 4096, Sequencer: "0055AED6DCD90281E5",
	}
}

// BenchmarkPublish measures durable publishes of one event each from a number of concurrent publishers, and publishes of
// many events at once.
func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) { benchPublish(b, publishers, 1) })
	}
	for _, events := range []int{100, 1000} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) { benchPublish(b, 1, events) })
	}
}

func benchPublish(b *testing.B, publishers, events int) {
	b.Helper()
	q := open(b, natsqueue.Config{Set: benchSet, Dir: b.TempDir()})
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range publishers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				chunk := make([]s3mesh.Event, events)
				for j := range chunk {
					chunk[j] = benchEvent(i*int64(events) + int64(j))
				}
				if err := q.Publish(b.Context(), s3mesh.LaneLive, chunk...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkPublishToNext measures the time from the call of Publish to the return of Next, and to the acknowledgement.
func BenchmarkPublishToNext(b *testing.B) {
	q := open(b, natsqueue.Config{Set: benchSet, Dir: b.TempDir()})
	sub := benchSubscribe(b, q, 16)
	b.ReportAllocs()
	var i int64
	for b.Loop() {
		i++
		if err := q.Publish(b.Context(), s3mesh.LaneLive, benchEvent(i)); err != nil {
			b.Fatal(err)
		}
		d, err := sub.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := d.Ack(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkNextAck measures how fast workers of one link take and acknowledge a backlog.
func BenchmarkNextAck(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { benchNextAck(b, workers) })
	}
}

func benchNextAck(b *testing.B, workers int) {
	b.Helper()
	q := open(b, natsqueue.Config{Set: benchSet, Dir: b.TempDir()})
	chunk := make([]s3mesh.Event, b.N)
	for i := range chunk {
		chunk[i] = benchEvent(int64(i))
	}
	if err := q.Publish(b.Context(), s3mesh.LaneLive, chunk...); err != nil {
		b.Fatal(err)
	}
	sub := benchSubscribe(b, q, 64)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				d, err := sub.Next(b.Context())
				if err == nil {
					err = d.Ack(b.Context())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchSubscribe(b *testing.B, q *natsqueue.Queue, window int) s3mesh.Subscription {
	b.Helper()
	sub, err := q.Subscribe(b.Context(), s3mesh.Link{Source: "a", Target: "b"}, s3mesh.LaneLive, window)
	if err != nil {
		b.Fatal(err)
	}
	return sub
}
