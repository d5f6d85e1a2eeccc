// Package notify turns what stores send when a key changes into [s3mesh.Event] values. It is pure: bytes in, events out,
// with no I/O, no clock and no state.
//
// It reads, alone or wrapped in one another:
//
//   - S3 event messages, structure 2.x: Amazon S3, MinIO, Ceph RGW, versitygw, moto, and s3mesh's own embedded store
//     (but not MinIO's ListenNotification stream, whose keys alone of MinIO's are not URL-encoded, with no sign of it)
//   - EventBridge events of Amazon S3
//   - S3 test events
//   - Amazon SNS envelopes (HTTP delivery, or SQS without raw delivery), and Lambda's SNS event
//   - Amazon SQS: a message body, the output of ReceiveMessage, and Lambda's SQS event
package notify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/s3mesh/s3mesh"
)

// MaxBody is the largest message that [Decode] takes, in bytes. It is the most that one SQS message or SNS notification
// can hold (1 MiB since August 2025); no store sends larger ones. A Lambda invocation can be larger, and then has to be taken
// apart first: its records' bodies, one by one, are what partial batch responses are about anyway.
const MaxBody = 1 << 20

// maxWraps bounds how many envelopes may surround a notification. AWS makes 2: Lambda's SQS event or ReceiveMessage's
// output, and an SNS envelope in it.
const maxWraps = 4

// Decode returns the events of one message, in the order of its records, with Site empty and Key decoded.
//
// A message is taken whole or not at all: one bad record of many makes it an error, so that nobody acknowledges a message
// of which a part was dropped. Errors are *[s3mesh.Error] of [s3mesh.KindInvalid] whose cause starts with the place, such
// as Records[3].s3.object.key. The one exception is an SNS message about the subscription itself, which only its receiver
// can act on: [s3mesh.KindUnsupported] with a *[SubscriptionError] as its cause.
//
// Records that are known to change nothing a replica holds (reads, restore requests, transitions between storage classes)
// are left out, so that a good message may hold no event: no events and no error. A test event is one event of type
// [s3mesh.EventTest], without a key.
//
// Decode keeps no reference to body. It is safe for concurrent use. Its memory is bounded by a small multiple of [MaxBody].
func Decode(body []byte) ([]s3mesh.Event, error) {
	if len(body) > MaxBody {
		return nil, failure(fmt.Errorf("has %d bytes, more than the %d allowed", len(body), MaxBody))
	}
	var d decoder
	if err := d.document(body, 0); err != nil {
		return nil, failure(err)
	}
	return d.events, nil
}

// decoder collects the events of one message.
type decoder struct {
	events []s3mesh.Event
}

// envelope holds the fields that tell the forms of a message apart, all but Records and Messages, which are read as they
// come.
type envelope struct {
	snsMessage
	testEvent
	bridgeEvent
	arrays int // how many of Records and Messages were there
}

// field returns where to decode the field called name, which only counts in exactly this spelling.
func (e *envelope) field(name string) any {
	return cmp.Or(e.snsMessage.field(name), e.testEvent.field(name), e.bridgeEvent.field(name), any(&skipped{}))
}

// skipped takes any JSON value and keeps nothing of it.
type skipped struct{}

// UnmarshalJSON does nothing.
func (*skipped) UnmarshalJSON([]byte) error { return nil }

// document decodes one JSON document, which is inside wraps others. It goes field by field and record by record, so that
// memory does not grow with the number of (possibly tiny, possibly hostile) records, and the first fault ends it.
func (d *decoder) document(body []byte, wraps int) error {
	if wraps > maxWraps {
		return fmt.Errorf("wrapped more than %d times", maxWraps)
	}
	if err := validText(body); err != nil {
		return err
	}
	in := json.NewDecoder(bytes.NewReader(body))
	if err := expect(in, '{', "a JSON object"); err != nil {
		return err
	}
	var env envelope
	for in.More() {
		if err := d.field(in, &env, wraps); err != nil {
			return err
		}
	}
	if _, err := in.Token(); err != nil {
		return jsonFault(err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return d.dispatch(&env, wraps)
}

// field decodes one field of a document.
func (d *decoder) field(in *json.Decoder, env *envelope, wraps int) error {
	token, err := in.Token()
	if err != nil {
		return jsonFault(err)
	}
	name, _ := token.(string) // the decoder lets nothing else stand before a colon
	switch name {
	case "Records":
		env.arrays++
		return elements(in, name, func() error { return d.record(in, wraps) })
	case "Messages":
		env.arrays++
		return elements(in, name, func() error { return d.received(in, wraps) })
	default:
		target := env.field(name)
		if err := in.Decode(target); err != nil {
			if _, foreign := target.(*skipped); foreign {
				name = fmt.Sprintf("%.40q", name)
			}
			return at(name, jsonFault(err))
		}
		return nil
	}
}

// elements calls each for every element of the array that comes next, which must have one at least.
func elements(in *json.Decoder, name string, each func() error) error {
	if err := expect(in, '[', "an array"); err != nil {
		return at(name, err)
	}
	i := 0
	for ; in.More(); i++ {
		if err := each(); err != nil {
			return at(fmt.Sprintf("%s[%d]", name, i), err)
		}
	}
	if i == 0 {
		return at(name, errors.New("is empty"))
	}
	if _, err := in.Token(); err != nil {
		return at(name, jsonFault(err))
	}
	return nil
}

// dispatch decodes a document by the fields it was found to have.
func (d *decoder) dispatch(env *envelope, wraps int) error {
	switch {
	case env.arrays == 1:
		return nil
	case env.arrays > 1:
		return errors.New("has several arrays of Records or Messages")
	case env.DetailType != "":
		return d.bridge(&env.bridgeEvent)
	case env.testEvent.Event != "":
		return d.test(&env.testEvent)
	case env.Type != "":
		return d.sns(&env.snsMessage, wraps)
	default:
		return errors.New("is no known notification: none of Records, Messages, detail-type, Event and Type is there")
	}
}
