package notify_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/notify"
)

// FuzzDecode checks what holds of every message: an error is classified and comes alone, and an event can be acted upon.
func FuzzDecode(f *testing.F) {
	for _, body := range sampleFiles(f) {
		f.Add(body)
	}
	for _, test := range faults {
		if len(test.body) < 1<<16 {
			f.Add([]byte(test.body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := slices.Clone(body)
		events, err := notify.Decode(body)
		if !slices.Equal(before, body) {
			t.Fatal("the message was changed")
		}
		if err != nil {
			checkFailure(t, events, err)
			return
		}
		for _, event := range events {
			checkEvent(t, event)
		}
	})
}

func checkFailure(t *testing.T, events []s3mesh.Event, err error) {
	t.Helper()
	var e *s3mesh.Error
	if events != nil || !errors.As(err, &e) || e.Op != "decode notification" {
		t.Fatalf("%d events with error %v", len(events), err)
	}
	var subscription *notify.SubscriptionError
	if want := errors.As(err, &subscription); (e.Kind == s3mesh.KindUnsupported) != want || (e.Kind == s3mesh.KindInvalid) == want {
		t.Fatalf("kind %s of %v", e.Kind, err)
	}
}

func checkEvent(t *testing.T, event s3mesh.Event) {
	t.Helper()
	switch event.Type {
	case s3mesh.EventTest:
		if event.Key != "" {
			t.Errorf("test event of key %q", event.Key)
		}
	case s3mesh.EventCreated, s3mesh.EventRemoved, s3mesh.EventChanged:
		if event.Key == "" || len(event.Key) > 1024 || !utf8.ValidString(event.Key) || event.Bucket == "" {
			t.Errorf("event of bucket %q, key %q", event.Bucket, event.Key)
		}
	default:
		t.Errorf("type %q", event.Type)
	}
	if event.Site != "" || event.Target != "" || event.Name == "" || event.Size < 0 {
		t.Errorf("event %+v", event)
	}
	checkRoundTrip(t, event)
}

// checkRoundTrip checks that the event can be written as JSON, as queues do, and read again.
func checkRoundTrip(t *testing.T, event s3mesh.Event) {
	t.Helper()
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	var back s3mesh.Event
	if err := json.Unmarshal(text, &back); err != nil || back.Key != event.Key || !back.Time.Equal(event.Time) {
		t.Errorf("%s came back as %+v: %v", text, back, err)
	}
}
