package notify_test

import (
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/notify"
)

// decodeOne decodes a message that holds one event.
func decodeOne(t interface {
	Helper()
	Fatalf(string, ...any)
}, body string) s3mesh.Event {
	t.Helper()
	events, err := notify.Decode([]byte(body))
	if err != nil || len(events) != 1 {
		t.Fatalf("Decode(%s) = %v, %v, want one event", body, events, err)
	}
	return events[0]
}

func TestEventNames(t *testing.T) {
	for name, want := range map[string]s3mesh.EventType{
		"ObjectCreated:Post":                              s3mesh.EventCreated,
		"ObjectCreated:SomethingNew":                      s3mesh.EventCreated,
		"ObjectCreated:DeleteTagging":                     s3mesh.EventChanged,
		"ObjectCreated:PutRetention":                      s3mesh.EventChanged,
		"ObjectCreated:PutLegalHold":                      s3mesh.EventChanged,
		"ObjectRemoved:DeleteAllVersions":                 s3mesh.EventRemoved,
		"ObjectRemoved:SomethingNew":                      s3mesh.EventRemoved,
		"LifecycleExpiration:DeleteMarkerCreated":         s3mesh.EventRemoved,
		"LifecycleDelMarkerExpiration:Delete":             s3mesh.EventRemoved,
		"ObjectSynced:Delete":                             s3mesh.EventRemoved,
		"Replication:Create":                              s3mesh.EventCreated,
		"ObjectTagging:Delete":                            s3mesh.EventChanged,
		"ObjectAcl:Put":                                   s3mesh.EventChanged,
		"ObjectAnnotation:Delete":                         s3mesh.EventChanged,
		"ObjectRestore:Post":                              "",
		"ObjectRestore:Delete":                            "",
		"ObjectAccessed:Head":                             "",
		"ObjectTransition:Complete":                       "",
		"ObjectLifecycle:Expiration:AbortMultipartUpload": "",
		"Scanner:BigPrefix":                               "",
		"BucketCreated:*":                                 "",
	} {
		for _, prefix := range []string{"", "s3:"} {
			events, err := notify.Decode([]byte(records(s3Record("k", `"eventName":`+quote(prefix+name)))))
			switch {
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case want == "" && len(events) != 0:
				t.Errorf("%s gives %v, want nothing", name, events)
			case want != "" && (len(events) != 1 || events[0].Type != want || events[0].Name != name):
				t.Errorf("%s gives %v, want one %s event", name, events, want)
			}
		}
	}
}

// TestIgnoredNeedNoKey checks that an event that names no object, such as one about a bucket, is no error.
func TestIgnoredNeedNoKey(t *testing.T) {
	for _, body := range []string{
		records(`{"eventVersion":"2.0","eventSource":"minio:s3","eventName":"s3:BucketRemoved:*"}`),
		bridgeEvent("Object Access Tier Changed", `{}`),
	} {
		if events, err := notify.Decode([]byte(body)); err != nil || len(events) != 0 {
			t.Errorf("Decode(%s) = %v, %v, want nothing", body, events, err)
		}
	}
}

// TestVersitygwNeedsBothSigns checks that no Amazon notification is taken for versitygw's because of its name alone.
func TestVersitygwNeedsBothSigns(t *testing.T) {
	const named = `"s3":{"configurationId":"webhook-global","bucket":{"name":"b"},"object":{"key":"a+b","sequencer":"A0"}}`
	for identity, want := range map[string]s3mesh.Event{
		`{"principalId":"p"}`: {Key: "a b", Sequencer: "A0", Principal: "p"},
		`{"PrincipalId":"p"}`: {Key: "a+b", Principal: "p"},
		`{"PrincipalId":""}`:  {Key: "a+b"}, // an anonymous request
	} {
		got := decodeOne(t, records(s3Record("k", named, `"userIdentity":`+identity)))
		if got.Key != want.Key || got.Sequencer != want.Sequencer || got.Principal != want.Principal {
			t.Errorf("%s: key %q, sequencer %q, principal %q", identity, got.Key, got.Sequencer, got.Principal)
		}
	}
}

func TestFields(t *testing.T) {
	got := decodeOne(t, records(s3Record("k", `"eventTime":"2026-01-02T03:04:05.678+02:00"`, `"eventVersion":"2.99"`)))
	if want := time.Date(2026, 1, 2, 1, 4, 5, 678e6, time.UTC); got.Time != want {
		t.Errorf("time %v, want %v in UTC", got.Time, want)
	}
	if got := decodeOne(t, records(s3Record("k"))); !got.Time.IsZero() {
		t.Errorf("time %v of an event that tells none", got.Time)
	}
	for version, want := range map[string]string{`null`: "", `"null"`: "null", `""`: "", `"v1"`: "v1"} {
		object := `"s3":{"bucket":{"name":"b"},"object":{"key":"k","eTag":"\"abc-2\"","versionId":` + version + `}}`
		if got := decodeOne(t, records(s3Record("k", object))); got.VersionID != want || got.ETag != "abc-2" {
			t.Errorf("versionId %s gives %q with ETag %q, want %q", version, got.VersionID, got.ETag, want)
		}
	}
	longest := strings.Repeat("é", 512)
	if got := decodeOne(t, records(s3Record(url.QueryEscape(longest)))); got.Key != longest {
		t.Errorf("a key of 1024 bytes gives %q", got.Key)
	}
	if got := decodeOne(t, inSNS(records(s3Record("k")), 4)); got.Key != "k" {
		t.Errorf("wrapped 4 times: %v", got)
	}
}

// TestKeysSurvive checks that any key comes back as it was, whatever the form and however deep it is wrapped.
func TestKeysSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringN(1, -1, 1024).Filter(utf8.ValidString).Draw(t, "key")
		forms := map[string]string{
			"encoded":          records(s3Record(url.QueryEscape(key))),
			"slashes left out": records(s3Record(strings.ReplaceAll(url.QueryEscape(key), "%2F", "/"))),
			"raw":              records(s3Record(key, `"eventSource":"ceph:s3"`)),
			"EventBridge":      bridgeEvent("Object Created", `{"bucket":{"name":"b"},"object":{"key":`+quote(key)+`}}`),
		}
		wraps := rapid.IntRange(0, 4).Draw(t, "wraps")
		for form, body := range forms {
			if got := decodeOne(t, inSNS(body, wraps)); got.Key != key {
				t.Fatalf("%s: %q became %q", form, key, got.Key)
			}
		}
	})
}

// TestHostileRecords checks that memory is bounded by the message's size, not by how many records it claims to have.
func TestHostileRecords(t *testing.T) {
	body := []byte(records(strings.TrimSuffix(strings.Repeat("null,", notify.MaxBody/6), ",")))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := notify.Decode(body); err == nil {
		t.Fatal("decoded")
	}
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(8*len(body)); got > limit {
		t.Errorf("%d bytes allocated for a message of %d, limit %d", got, len(body), limit)
	}
}
