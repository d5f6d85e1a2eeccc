package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// linkStatus is what status --json tells of a link.
type linkStatus struct {
	Source      string `json:"source"`
	Target      string `json:"target"`
	Pending     int64  `json:"pending"`
	InFlight    int64  `json:"in_flight"`
	Held        int64  `json:"held"`
	DeadLetters int64  `json:"dead_letters"`
	Done        int64  `json:"done"`
	LastError   string `json:"last_error"`
}

func (w *world) links(ctx context.Context) ([]linkStatus, error) {
	var status struct {
		Links []linkStatus `json:"links"`
	}
	err := w.daemon.ask(ctx, func(d *json.Decoder) error { return d.Decode(&status) }, "status")
	if err == nil && len(status.Links) == 0 {
		err = errors.New("status tells of no links")
	}
	return status.Links, err
}

// rest waits until no link has anything to do, and stays so.
func (w *world) rest(t *testing.T) {
	t.Helper()
	const looks = 5
	quiet, done := 0, int64(-1)
	eventually(t, settleTime, "nothing left to do", func() error {
		links, err := w.links(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var busy []error
		var sum int64
		for _, l := range links {
			sum += l.Done
			if l.Pending+l.InFlight+l.Held > 0 {
				busy = append(busy, fmt.Errorf("%+v", l))
			}
		}
		if quiet++; len(busy) > 0 || sum != done {
			quiet, done = 0, sum
		}
		if quiet < looks {
			return errors.Join(append(busy, errors.New("not quiet for long enough"))...)
		}
		return nil
	})
}

// noLetters fails the test when a task was given up: everything here passes.
func (w *world) noLetters(t *testing.T) {
	t.Helper()
	err := w.daemon.ask(t.Context(), func(d *json.Decoder) error {
		var letter json.RawMessage
		err := d.Decode(&letter)
		if err == nil {
			t.Errorf("dead letter: %s", letter)
		}
		return err
	}, "dlq", "list")
	if err != nil {
		t.Error(err)
	}
}
