package notify

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// bridgeEvent is an event of Amazon S3 as EventBridge delivers it. Keys in it are not URL-encoded.
type bridgeEvent struct {
	Source     string
	DetailType string
	Time       string
	Detail     bridgeDetail
}

// field returns where to decode the field called name, or nil.
func (b *bridgeEvent) field(name string) any {
	switch name {
	case "source":
		return &b.Source
	case "detail-type":
		return &b.DetailType
	case "time":
		return &b.Time
	case "detail":
		return &b.Detail
	default:
		return nil
	}
}

// bridgeDetail is the part that Amazon S3 writes. Which kind of delete it was (deletion-type) makes no difference here.
type bridgeDetail struct {
	EventVersion string `json:"event-version"`
	Bucket       struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string          `json:"key"`
		Size      json.RawMessage `json:"size"`
		ETag      string          `json:"etag"`
		VersionID string          `json:"version-id"`
		Sequencer string          `json:"sequencer"`
	} `json:"object"`
	Requester string `json:"requester"`
}

// bridgeTypes says what the detail-types of Amazon S3 mean. There is no choosing among them: a bucket sends all or none.
var bridgeTypes = map[string]s3mesh.EventType{
	"Object Created":               s3mesh.EventCreated,
	"Object Deleted":               s3mesh.EventRemoved,
	"Object Restore Completed":     s3mesh.EventCreated,
	"Object Restore Initiated":     ignored,
	"Object Restore Expired":       ignored,
	"Object Storage Class Changed": ignored,
	"Object Access Tier Changed":   ignored,
}

// bridge adds the event of an EventBridge event, unless nothing comes of it.
func (d *decoder) bridge(b *bridgeEvent) error {
	if b.Source != "aws.s3" {
		return at("source", fmt.Errorf("%.40q is not aws.s3: narrow the EventBridge rule to it", b.Source))
	}
	kind, known := bridgeTypes[b.DetailType]
	if !known {
		// Tags, ACLs, and what may be added: a change to an object, and a look at its key does no harm.
		if !strings.HasPrefix(b.DetailType, "Object ") {
			return at("detail-type", fmt.Errorf("%.80q is not known: leave it out of the EventBridge rule", b.DetailType))
		}
		kind = s3mesh.EventChanged
	}
	if kind == ignored {
		return nil
	}
	event, err := b.event()
	if err != nil {
		return err
	}
	event.Type = kind
	d.events = append(d.events, event)
	return nil
}

// event returns what an EventBridge event says, all but Type.
func (b *bridgeEvent) event() (s3mesh.Event, error) {
	detail, object := &b.Detail, &b.Detail.Object
	event := s3mesh.Event{
		Bucket:    detail.Bucket.Name,
		Name:      b.DetailType,
		ETag:      unquote(object.ETag),
		VersionID: object.VersionID,
		Sequencer: object.Sequencer,
		Principal: detail.Requester,
	}
	if detail.EventVersion != "" { // events had none at first
		if err := checkMajor(detail.EventVersion, "1"); err != nil {
			return event, at("detail.event-version", err)
		}
	}
	if event.Bucket == "" {
		return event, at("detail.bucket.name", errMissing)
	}
	var err error
	if event.Key, err = decodeKey(object.Key, true); err != nil {
		return event, at("detail.object.key", err)
	}
	if event.Size, err = parseSize(object.Size); err != nil {
		return event, at("detail.object.size", err)
	}
	if event.Time, err = parseTime(b.Time); err != nil {
		return event, at("time", err)
	}
	return event, nil
}
