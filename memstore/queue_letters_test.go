package memstore_test

import (
	"fmt"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
)

// TestListIsBounded looks for one letter behind very many: a call ends without it rather than look on.
func TestListIsBounded(t *testing.T) {
	const letters = 12_000
	set := s3mesh.FullMesh("set", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"})
	q := memstore.NewQueue(set)
	sub, err := q.Subscribe(t.Context(), set.Links[0], s3mesh.LaneLive, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range letters {
		if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		d, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Bury(t.Context(), s3mesh.DeadLetter{}); err != nil {
			t.Fatal(err)
		}
	}
	found, empty, cursor := 0, 0, ""
	for more := true; more; {
		page, next, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{Prefix: fmt.Sprint(letters - 1)}, cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		found += len(page)
		if len(page) == 0 {
			empty++
		}
		cursor, more = next, next != ""
	}
	if found != 1 || empty != 2 {
		t.Errorf("%d letters, after %d empty pages; want 1 after 2", found, empty)
	}
}
