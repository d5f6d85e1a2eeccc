package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// announceAgain sends the events that a region may have died with, or gave up to deliver. It stands in for the comparison of
// the sites (reconcile) that finds such keys in production: it tells of these keys and of no others.
func (w *world) announceAgain(t *testing.T) {
	t.Helper()
	n, lost := 0, 0
	for _, r := range w.regions {
		for _, key := range w.history.unannounced(r.Name, r.lost.all()) {
			if err := w.announce(t.Context(), r, key); err != nil {
				t.Fatalf("announce %q of %s: %v", key, r.Name, err)
			}
			n++
		}
		lost += len(r.lost.all())
	}
	t.Logf("%d keys announced again; the regions gave up to deliver %d events", n, lost)
}

// announce tells the daemon of what a region holds under a key, as the region would.
func (w *world) announce(ctx context.Context, r *region, key string) error {
	out, body, err := r.open(ctx, key)
	if err != nil {
		return err
	}
	object := map[string]any{"key": url.QueryEscape(key)}
	name := "ObjectRemoved:DeleteMarkerCreated"
	if out != nil {
		if err := body.Close(); err != nil {
			return err
		}
		name = "ObjectCreated:Put"
		object["size"], object["eTag"] = aws.ToInt64(out.ContentLength), strings.Trim(aws.ToString(out.ETag), `"`)
		object["versionId"] = aws.ToString(out.VersionId)
	}
	message, err := json.Marshal(map[string]any{"Records": []any{map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "eventTime": time.Now().UTC().Format(time.RFC3339),
		"s3": map[string]any{"bucket": map[string]any{"name": r.Bucket}, "object": object},
	}}})
	if err != nil {
		return err
	}
	return w.post(ctx, r.Name, message)
}

func (w *world) post(ctx context.Context, site string, message []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.intake+"/v1/events/"+site, bytes.NewReader(message))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return nil
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
