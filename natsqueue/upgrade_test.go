package natsqueue

import (
	"context"
	"log/slog"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// TestOlderStore opens a store from before there were held events, marks of dirty sites, and letters that are read many at a
// time: what is in it stays, and all of that works.
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
	if err := q.js.DeleteStream(t.Context(), q.names.stream(dirtySites)); err != nil {
		t.Fatal(err)
	}
	older := q.lettersConfig()
	older.AllowDirect = false
	if _, err := q.js.UpdateStream(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	putLetters(t, q, 1, 3)
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
	if b, err := q.Backlog(t.Context(), link); err != nil || b.Pending != 1 || b.Held != 1 || b.DeadLetters != 2 {
		t.Errorf("%+v, %v; want 1 pending, 1 held and 2 dead letters", b, err)
	}
	page, next, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 10)
	if err != nil || len(page) != 2 || next != "" {
		t.Errorf("letters %v, next %q, %v; want 2", page, next, err)
	}
	dirty(t, q)
}

func mustOpen(t *testing.T, cfg Config) *Queue {
	t.Helper()
	q, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
