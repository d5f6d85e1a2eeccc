package natsqueue

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
)

// formatVersion is the version of both envelopes. Fields may be added under the same version; a reader refuses a higher
// one.
const formatVersion = 1

// envelope is an event as it is stored.
type envelope struct {
	Version int          `json:"v"`
	Event   s3mesh.Event `json:"event"`
}

func encodeEvent(e s3mesh.Event) ([]byte, error) {
	return json.Marshal(envelope{Version: formatVersion, Event: e})
}

func decodeEvent(data []byte) (s3mesh.Event, error) {
	var e envelope
	if err := decode(data, &e, &e.Version); err != nil {
		return s3mesh.Event{}, fmt.Errorf("stored event: %w", err)
	}
	return e.Event, nil
}

// letterEnvelope is a dead letter as it is stored.
type letterEnvelope struct {
	Version int               `json:"v"`
	Letter  s3mesh.DeadLetter `json:"letter"`
	// Unread is the event as it was stored, when it could not be read: a later program may.
	Unread []byte `json:"unread,omitempty"`
}

func decodeLetter(data []byte) (letterEnvelope, error) {
	var l letterEnvelope
	if err := decode(data, &l, &l.Version); err != nil {
		return letterEnvelope{}, fmt.Errorf("stored dead letter: %w", err)
	}
	return l, nil
}

// decode reads JSON into v, with its version. A later format may not even fit v: then its version is read alone.
func decode(data []byte, v any, version *int) error {
	err := json.Unmarshal(data, v)
	if err != nil {
		var probe struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(data, &probe) != nil {
			return err
		}
		*version = probe.Version
	}
	if *version != formatVersion {
		return fmt.Errorf("format %d, of which this program knows only %d", *version, formatVersion)
	}
	return err
}

// eventTime is the event's own time, or that of its publication.
func eventTime(data []byte, published time.Time) time.Time {
	if e, err := decodeEvent(data); err == nil && !e.Time.IsZero() {
		return e.Time
	}
	return published
}
