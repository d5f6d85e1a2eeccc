package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/notify"
)

// s3Record returns an S3 record with the key as given, already encoded, and more fields, such as `"eventTime":"…"`.
func s3Record(key string, more ...string) string {
	fields := append([]string{
		`"eventVersion":"2.1"`, `"eventSource":"aws:s3"`, `"eventName":"ObjectCreated:Put"`,
		`"s3":{"bucket":{"name":"b"},"object":{"key":` + quote(key) + `}}`,
	}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

func records(of ...string) string { return `{"Records":[` + strings.Join(of, ",") + `]}` }

// quote returns s as a JSON string.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// inSNS wraps message in as many SNS envelopes.
func inSNS(message string, times int) string {
	for range times {
		message = `{"Type":"Notification","Message":` + quote(message) + `}`
	}
	return message
}

// s3Object returns an S3 record with this object, in JSON.
func s3Object(object string) string {
	return `{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectRemoved:Delete",` +
		`"s3":{"bucket":{"name":"b"},"object":` + object + `}}`
}

func bridgeEvent(detailType, detail string) string {
	return fmt.Sprintf(`{"source":"aws.s3","detail-type":%q,"detail":%s}`, detailType, detail)
}

// faults lists messages with the beginning of their error: the place, and the trouble.
var faults = map[string]struct{ body, want string }{
	"empty":               {``, "the message is empty or ends too early"},
	"cut off":             {`{"Records":[{"eventVersion":"2.1"`, "Records[0]: is empty or ends too early"},
	"cut off between":     {`{"Records":[` + s3Record("k"), "Records: is empty or ends too early"},
	"not JSON":            {`<xml/>`, "the message is not JSON"},
	"array":               {`[]`, "the message is not a JSON object"},
	"null":                {`null`, "the message is not a JSON object"},
	"string":              {`"Records"`, "the message is not a JSON object"},
	"trailing garbage":    {records(s3Record("k")) + `x`, "the message something follows"},
	"trailing object":     {records(s3Record("k")) + `{}`, "the message something follows"},
	"empty object":        {`{}`, "the message is no known notification"},
	"unknown shape":       {`{"hello":"world"}`, "the message is no known notification"},
	"field in other case": {`{"records":[]}`, "the message is no known notification"},
	"no records":          {`{"Records":[]}`, "Records: is empty"},
	"null records":        {`{"Records":null}`, "Records: is not an array"},
	"records an object":   {`{"Records":{}}`, "Records: is not an array"},
	"records twice": {
		`{"Records":[` + s3Record("k") + `],"Records":[` + s3Record("l") + `]}`,
		"the message has several arrays",
	},
	"record null":           {records("null"), "Records[0].eventSource: is missing"},
	"record a number":       {records(s3Record("k"), "7"), "Records[1]: is number where an object belongs"},
	"no messages":           {`{"Messages":[]}`, "Messages: is empty"},
	"message without body":  {`{"Messages":[{"MessageId":"1"}]}`, "Messages[0].Body: is missing"},
	"message a string":      {`{"Messages":["x"]}`, "Messages[0]: is string where an object belongs"},
	"invalid UTF-8":         {records(s3Record("k", "\"x\":\"\xff\"")), "the message is not UTF-8"},
	"half a surrogate pair": {records(`{"eventSource":"ceph:s3","x":"\ud83d"}`), "the message is not UTF-8"},
	"swapped surrogates":    {records(`{"eventSource":"ceph:s3","x":"\ude00\ud83d"}`), "the message is not UTF-8"},
	"wrapped half surrogate": {
		inSNS(records(`{"eventSource":"ceph:s3","x":"\ud83d\\ude00"}`), 1), "Message: is not UTF-8",
	},

	"no source": {records(`{"eventVersion":"2.1"}`), "Records[0].eventSource: is missing"},
	"unknown source": {
		records(s3Record("k", `"eventSource":"aws:dynamodb"`)),
		`Records[0].eventSource: "aws:dynamodb" is not one of`,
	},
	"no version": {records(s3Record("k", `"eventVersion":""`)), "Records[0].eventVersion: is missing"},
	"version 3": {
		records(s3Record("k", `"eventVersion":"3.0"`)),
		`Records[0].eventVersion: structure version "3.0" is not 2.x`,
	},
	"version 20": {
		records(s3Record("k", `"eventVersion":"20.1"`)),
		`Records[0].eventVersion: structure version "20.1"`,
	},
	"no name": {records(s3Record("k", `"eventName":"s3:"`)), "Records[0].eventName: is missing"},
	"unknown family": {
		records(s3Record("k", `"eventName":"ObjectPainted:Red"`)),
		`Records[0].eventName: "ObjectPainted:Red" is not known`,
	},
	"family alone": {
		records(s3Record("k", `"eventName":"ObjectCreated"`)),
		`Records[0].eventName: "ObjectCreated" is not known`,
	},
	"no s3": {
		records(`{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put"}`),
		"Records[0].s3.bucket.name: is missing",
	},
	"bucket a number": {
		records(s3Record("k", `"s3":{"bucket":{"name":7}}`)),
		"Records[0].s3.bucket.name: is number where a string belongs",
	},
	"no key":   {records(s3Record("")), "Records[0].s3.object.key: is missing"},
	"key null": {records(s3Object(`{"key":null}`)), "Records[0].s3.object.key: is missing"},
	"key a number": {
		records(s3Record("k", `"s3":{"object":{"key":12}}`)),
		"Records[0].s3.object.key: is number where a string belongs",
	},
	"bad escape": {
		records(s3Record("a"), s3Record("b"), s3Record("c"), s3Record("100%")),
		"Records[3].s3.object.key: is not URL-encoded",
	},
	"key not UTF-8": {records(s3Record("%ff")), "Records[0].s3.object.key: is not UTF-8"},
	"key too long":  {records(s3Record(strings.Repeat("k", 1025))), "Records[0].s3.object.key: has 1025 bytes"},
	"raw key too long": {
		records(s3Record(strings.Repeat("é", 513), `"eventSource":"ceph:s3"`)), "Records[0].s3.object.key: has 1026 bytes",
	},
	"bad time": {
		records(s3Record("k", `"eventTime":"yesterday"`)),
		`Records[0].eventTime: "yesterday" is not an RFC 3339 time`,
	},
	"time out of range": {
		records(s3Record("k", `"eventTime":"9999-12-31T23:59:59-01:00"`)),
		"Records[0].eventTime",
	},
	"size negative": {
		records(s3Object(`{"key":"k","size":-1}`)),
		"Records[0].s3.object.size: is not a number",
	},
	"size an object": {
		records(s3Object(`{"key":"k","size":{}}`)),
		"Records[0].s3.object.size: is not a number",
	},
	"principal a number": {
		records(s3Record("k", `"userIdentity":{"principalId":1}`)),
		"Records[0].userIdentity.principalId: is number where a string belongs",
	},

	"test event of another name": {
		`{"Service":"Amazon S3","Event":"s3:Other"}`,
		`Event: "s3:Other" is not s3:TestEvent`,
	},
	"test event with bad time": {`{"Event":"s3:TestEvent","Time":"now"}`, "Time: "},

	"EventBridge of EC2": {
		`{"source":"aws.ec2","detail-type":"Object Created"}`,
		`source: "aws.ec2" is not aws.s3`,
	},
	"EventBridge of CloudTrail": {
		bridgeEvent("AWS API Call via CloudTrail", "{}"),
		`detail-type: "AWS API Call via CloudTrail"`,
	},
	"EventBridge no bucket": {
		bridgeEvent("Object Created", `{"object":{"key":"k"}}`),
		"detail.bucket.name: is missing",
	},
	"EventBridge no key": {
		bridgeEvent("Object Created", `{"bucket":{"name":"b"}}`),
		"detail.object.key: is missing",
	},
	"EventBridge of a future": {
		bridgeEvent("Object Created", `{"event-version":"2.0"}`),
		"detail.event-version: structure version",
	},
	"EventBridge key a list": {
		bridgeEvent("Object Created", `{"object":{"key":[]}}`),
		"detail.object.key: is array where a string belongs",
	},

	"SNS without message": {`{"Type":"Notification"}`, "Message: is missing"},
	"SNS with text":       {`{"Type":"Notification","Message":"hello"}`, "Message: is not JSON"},
	"SNS of another type": {`{"Type":"Other","Message":"{}"}`, `Type: "Other"`},
	"SNS message an object": {
		`{"Type":"Notification","Message":{}}`,
		"Message: is object where a string belongs",
	},
	"Lambda SNS empty": {records(`{"EventSource":"aws:sns","Sns":{}}`), "Records[0].Sns.Type: is missing"},
	"Lambda SQS empty": {records(`{"eventSource":"aws:sqs"}`), "Records[0].body: is missing"},
	"wrapped fault": {
		records(`{"eventSource":"aws:sqs","body":` + quote(inSNS(records(s3Record("%zz")), 1)) + `}`),
		`Records[0].body.Message.Records[0].s3.object.key: is not URL-encoded: invalid URL escape "%zz"`,
	},
	"wrapped too often": {
		inSNS(records(s3Record("k")), 5),
		"Message.Message.Message.Message.Message: wrapped more than 4 times",
	},
	"one bad record of many": {
		records(s3Record("a"), s3Record("b"), `{"eventSource":"aws:s3"}`),
		"Records[2].eventVersion: is missing",
	},
	"more than allowed": {
		records(s3Record("k", `"x":"`+strings.Repeat("x", notify.MaxBody)+`"`)),
		"the message has 1048",
	},
}

func TestFaults(t *testing.T) {
	for name, test := range faults {
		t.Run(name, func(t *testing.T) {
			events, err := notify.Decode([]byte(test.body))
			var e *s3mesh.Error
			if !errors.As(err, &e) || e.Kind != s3mesh.KindInvalid || e.Op != "decode notification" {
				t.Fatalf("Decode = %v, %v, want an *s3mesh.Error of KindInvalid", events, err)
			}
			if !strings.HasPrefix(e.Err.Error(), test.want) {
				t.Errorf("error %q, want it to start with %q", e.Err, test.want)
			}
			if events != nil {
				t.Errorf("events %v beside an error", events)
			}
		})
	}
}

// TestSubscription checks that an operator learns what SNS wants, and that the token stays out of what is logged.
func TestSubscription(t *testing.T) {
	for name, does := range map[string]string{
		"sns-subscription-confirmation": "asks this endpoint to confirm its subscription",
		"sns-unsubscribe-confirmation":  "was removed",
	} {
		_, err := notify.Decode(sampleFiles(t)[name])
		var subscription *notify.SubscriptionError
		if !errors.As(err, &subscription) || s3mesh.KindOf(err) != s3mesh.KindUnsupported {
			t.Fatalf("%s: %v, want a SubscriptionError of KindUnsupported", name, err)
		}
		if u, err := url.Parse(subscription.SubscribeURL); err != nil || u.Query().Get("Token") == "" {
			t.Errorf("%s: SubscribeURL %q", name, subscription.SubscribeURL)
		}
		text := err.Error()
		if !strings.Contains(text, does) || !strings.Contains(text, "arn:aws:sns:us-west-2:123456789012:MyTopic") {
			t.Errorf("%s: error %q", name, text)
		}
		if strings.Contains(text, "2336412f37fEXAMPLE") {
			t.Errorf("%s: the error shows the token: %q", name, text)
		}
	}
}
