package devstore

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
)

// eventMessage and what it holds are a notification as AWS S3 sends it, less what s3mesh has no use for. See "Event
// message structure" in the Amazon S3 User Guide.
type eventMessage struct {
	Records []eventRecord `json:"Records"`
}

type eventRecord struct {
	EventVersion string        `json:"eventVersion"`
	EventSource  string        `json:"eventSource"`
	AWSRegion    string        `json:"awsRegion"`
	EventTime    string        `json:"eventTime"`
	EventName    string        `json:"eventName"`
	UserIdentity eventIdentity `json:"userIdentity"`
	S3           eventS3       `json:"s3"`
}

type eventIdentity struct {
	PrincipalID string `json:"principalId"`
}

type eventS3 struct {
	SchemaVersion   string      `json:"s3SchemaVersion"`
	ConfigurationID string      `json:"configurationId"`
	Bucket          eventBucket `json:"bucket"`
	Object          eventObject `json:"object"`
}

type eventBucket struct {
	Name string `json:"name"`
	ARN  string `json:"arn"`
}

type eventObject struct {
	Key       string `json:"key"` // URL-encoded, a space as "+"
	Size      int64  `json:"size,omitempty"`
	ETag      string `json:"eTag,omitempty"` // without quotes
	VersionID string `json:"versionId,omitempty"`
	Sequencer string `json:"sequencer"`
}

// occasion is what an event tells beside the object.
type occasion struct {
	name, region, principal, bucket string
	at                              time.Time
}

// newRecord completes o, whose key and ETag are as the server has them, to a record.
func newRecord(when occasion, o eventObject) eventRecord {
	o.Key = url.QueryEscape(o.Key)
	o.ETag = strings.Trim(o.ETag, `"`)
	return eventRecord{
		EventVersion: "2.1",
		EventSource:  "aws:s3",
		AWSRegion:    when.region,
		EventTime:    when.at.UTC().Format("2006-01-02T15:04:05.000Z"),
		EventName:    when.name,
		UserIdentity: eventIdentity{when.principal},
		S3: eventS3{
			SchemaVersion:   "1.0",
			ConfigurationID: "s3mesh-devstore",
			Bucket:          eventBucket{Name: when.bucket, ARN: "arn:aws:s3:::" + when.bucket},
			Object:          o,
		},
	}
}

// sequencer gives growing hexadecimal strings of equal length, also over restarts unless the clock is set back. Events of
// writes that raced on a key may bear them in another order than that of the commits, as on AWS.
type sequencer struct {
	mu   sync.Mutex
	last int64
}

func (s *sequencer) next(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, now.UnixNano())
	return fmt.Sprintf("%016X", s.last)
}
