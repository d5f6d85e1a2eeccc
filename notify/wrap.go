package notify

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// SubscriptionError is an Amazon SNS message about the subscription itself. It names no key, but it must not be lost
// either: until a subscription is confirmed, SNS delivers nothing.
type SubscriptionError struct {
	// Type is SNS's: "SubscriptionConfirmation" or "UnsubscribeConfirmation".
	Type     string
	TopicARN string
	// SubscribeURL confirms the subscription when it is fetched, or takes the removal back. It holds a token and is left out
	// of the error's text. Anyone can send a message like this: check that the host is SNS's before fetching it.
	SubscribeURL string
}

// Error says what happened and what to do.
func (e *SubscriptionError) Error() string {
	if e.Type == "UnsubscribeConfirmation" {
		return fmt.Sprintf("this endpoint's subscription to SNS topic %.200q was removed, so no more events arrive: "+
			"fetch the message's SubscribeURL to take that back, and reconcile", e.TopicARN)
	}
	return fmt.Sprintf("SNS topic %.200q asks this endpoint to confirm its subscription, and sends no events before: "+
		"fetch the message's SubscribeURL, or run aws sns confirm-subscription with its Token", e.TopicARN)
}

// snsMessage is what SNS delivers by HTTP, to SQS without raw delivery, and to Lambda.
type snsMessage struct {
	Type         string `json:"Type"`
	Message      string `json:"Message"`
	TopicARN     string `json:"TopicArn"`
	SubscribeURL string `json:"SubscribeURL"`
}

// field returns where to decode the field called name, or nil.
func (m *snsMessage) field(name string) any {
	switch name {
	case "Type":
		return &m.Type
	case "Message":
		return &m.Message
	case "TopicArn":
		return &m.TopicARN
	case "SubscribeURL":
		return &m.SubscribeURL
	default:
		return nil
	}
}

// sns decodes what an SNS message carries.
func (d *decoder) sns(m *snsMessage, wraps int) error {
	switch m.Type {
	case "Notification":
		return at("Message", d.wrapped(m.Message, wraps))
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		return &SubscriptionError{Type: m.Type, TopicARN: m.TopicARN, SubscribeURL: m.SubscribeURL}
	case "":
		return at("Type", errMissing)
	default:
		return at("Type", fmt.Errorf("%.40q is not a type of SNS message", m.Type))
	}
}

// received decodes one element of Messages, as SQS's ReceiveMessage returns them.
func (d *decoder) received(in *json.Decoder, wraps int) error {
	var message struct {
		Body string `json:"Body"`
	}
	if err := in.Decode(&message); err != nil {
		return jsonFault(err)
	}
	return at("Body", d.wrapped(message.Body, wraps))
}

// wrapped decodes a document that is a string of another.
func (d *decoder) wrapped(text string, wraps int) error {
	if text == "" {
		return errMissing
	}
	return d.document([]byte(text), wraps+1)
}

// testEvent is what S3 sends to a new destination of notifications.
type testEvent struct {
	Event  string
	Bucket string
	Time   string
}

// field returns where to decode the field called name, or nil.
func (t *testEvent) field(name string) any {
	switch name {
	case "Event":
		return &t.Event
	case "Bucket":
		return &t.Bucket
	case "Time":
		return &t.Time
	default:
		return nil
	}
}

// test adds the event of a test event. Its bucket may be a placeholder (versitygw).
func (d *decoder) test(t *testEvent) error {
	name := strings.TrimPrefix(t.Event, "s3:")
	if name != "TestEvent" {
		return at("Event", fmt.Errorf("%.40q is not s3:TestEvent", t.Event))
	}
	when, err := parseTime(t.Time)
	if err != nil {
		return at("Time", err)
	}
	d.events = append(d.events, s3mesh.Event{Type: s3mesh.EventTest, Name: name, Bucket: t.Bucket, Time: when})
	return nil
}
