package natsqueue

import (
	"context"
	"log/slog"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// TestOlderStore opens a store from before there were held events: what is in it stays, and held events are kept.
func TestOlderStore(t *testing.T) {
	link := s3mesh.Link{Source: "a", Target: "b"}
	cfg := Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Set: s3mesh.FullMesh("pair", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"})}
	q := mustOpen(t, cfg)
	stream, err := q.js.Stream(t.Context(), q.names.stream(link.Source))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteConsumer(t.Context(), consumer(link.Target, s3mesh.LaneHeld)); err != nil {
		t.Fatal(err)
	}
	event := s3mesh.Event{Site: link.Source, Key: "pending", Type: s3mesh.EventCreated}
	if err := q.Publish(t.Context(), s3mesh.LaneLive, event); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	q = mustOpen(t, cfg)
	defer func() {
		if err := q.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	event.Key, event.Target, event.Type = "held", link.Target, s3mesh.EventRemoved
	if err := q.Publish(t.Context(), s3mesh.LaneHeld, event); err != nil {
		t.Fatal(err)
	}
	if b, err := q.Backlog(t.Context(), link); err != nil || b.Pending != 1 || b.Held != 1 {
		t.Errorf("%+v, %v; want 1 pending and 1 held", b, err)
	}
}

func mustOpen(t *testing.T, cfg Config) *Queue {
	t.Helper()
	q, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
