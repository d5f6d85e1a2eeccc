package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// record is one element of Records: a change as S3 tells it, or a message as Lambda gets it from SQS (body) and SNS (Sns,
// beside an "EventSource", which encoding/json takes for eventSource).
type record struct {
	EventVersion string       `json:"eventVersion"`
	EventSource  string       `json:"eventSource"`
	EventTime    string       `json:"eventTime"`
	EventName    string       `json:"eventName"`
	UserIdentity userIdentity `json:"userIdentity"`
	S3           struct {
		ConfigurationID string `json:"configurationId"`
		Bucket          struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string          `json:"key"`
			Size      json.RawMessage `json:"size"`
			ETag      string          `json:"eTag"`
			VersionID string          `json:"versionId"`
			Sequencer string          `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
	Body string     `json:"body"`
	SNS  snsMessage `json:"Sns"`
}

// userIdentity is who made the request. versitygw's own senders capitalise the name, which also tells them apart.
type userIdentity struct {
	PrincipalID     string  `json:"principalId"`
	CapitalisedForm *string `json:"PrincipalId"`
}

// record decodes one element of Records.
func (d *decoder) record(in *json.Decoder, wraps int) error {
	var r record
	if err := in.Decode(&r); err != nil {
		return jsonFault(err)
	}
	switch r.EventSource {
	case "aws:sqs":
		return at("body", d.wrapped(r.Body, wraps))
	case "aws:sns":
		return at("Sns", d.sns(&r.SNS, wraps))
	case "aws:s3", "minio:s3", "ceph:s3":
		return d.change(&r)
	case "":
		return at("eventSource", errMissing)
	default:
		return at("eventSource", fmt.Errorf("%.40q is not one of aws:s3, minio:s3, ceph:s3, aws:sqs and aws:sns", r.EventSource))
	}
}

// dialect is how a store deviates from S3's event message.
type dialect struct {
	rawKey      bool // the key is not URL-encoded
	noSequencer bool // the sequencer does not order the events of a key
}

// dialect tells the store that sent the record.
//
// Ceph RGW (src/rgw, rgw_notify.cc) sends keys as they are, and as sequencer the bytes of a time in memory order, lowest
// first on most machines. versitygw's own senders (s3event, v1.8.0) claim to be Amazon's but send keys as they are, of
// requests for one key and for many alike, and as sequencer a count that starts anew with the process.
func (r *record) dialect() dialect {
	switch {
	case r.EventSource == "ceph:s3":
		return dialect{rawKey: true, noSequencer: true}
	case r.UserIdentity.CapitalisedForm != nil && versitygwSender(r.S3.ConfigurationID):
		return dialect{rawKey: true, noSequencer: true}
	default:
		return dialect{}
	}
}

// versitygwSender reports whether a configuration ID is one that versitygw's own senders put in.
func versitygwSender(configurationID string) bool {
	switch configurationID {
	case "webhook-global", "nats-global", "kafka-global", "rabbitmq-global":
		return true
	default:
		return false
	}
}

// change adds the event of an S3 record, unless nothing comes of it.
func (d *decoder) change(r *record) error {
	// 2.x is compatible with every 2.y by Amazon's promise; 2.1 to 2.5 are seen.
	if err := checkMajor(r.EventVersion, "2"); err != nil {
		return at("eventVersion", err)
	}
	name := strings.TrimPrefix(r.EventName, "s3:")
	kind, err := classify(name)
	if err != nil {
		return at("eventName", err)
	}
	if kind == ignored {
		return nil
	}
	event, err := r.event()
	if err != nil {
		return err
	}
	event.Type, event.Name = kind, name
	if kind == s3mesh.EventChanged {
		event.Sequencer = "" // Amazon gives none, MinIO repeats that of the write
	}
	d.events = append(d.events, event)
	return nil
}

// event returns what a record says, all but Type and Name.
func (r *record) event() (s3mesh.Event, error) {
	store, object := r.dialect(), &r.S3.Object
	event := s3mesh.Event{
		Bucket:    r.S3.Bucket.Name,
		ETag:      unquote(object.ETag),
		VersionID: object.VersionID,
		Principal: r.UserIdentity.PrincipalID,
	}
	if r.UserIdentity.CapitalisedForm != nil {
		event.Principal = cmp.Or(event.Principal, *r.UserIdentity.CapitalisedForm)
	}
	if !store.noSequencer {
		event.Sequencer = object.Sequencer
	}
	if event.Bucket == "" {
		return event, at("s3.bucket.name", errMissing)
	}
	var err error
	if event.Key, err = decodeKey(object.Key, store.rawKey); err != nil {
		return event, at("s3.object.key", err)
	}
	if event.Size, err = parseSize(object.Size); err != nil {
		return event, at("s3.object.size", err)
	}
	if event.Time, err = parseTime(r.EventTime); err != nil {
		return event, at("eventTime", err)
	}
	return event, nil
}

// checkMajor refuses a structure version of another major number than the one this package was written for.
func checkMajor(version, want string) error {
	if version == "" {
		return errMissing
	}
	if major, _, _ := strings.Cut(version, "."); major != want {
		return fmt.Errorf("structure version %.20q is not %s.x: this release of s3mesh cannot read it", version, want)
	}
	return nil
}

// unquote removes the quotes of an ETag as HTTP writes it.
func unquote(etag string) string { return strings.Trim(etag, `"`) }
