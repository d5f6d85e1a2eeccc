package notify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/notify"
)

// photo is the key that the captured samples write: what URL encoding changes, a literal percent escape, and text beyond
// the basic plane.
const photo = "2026/a b+c%25 café 😀.jpg"

const md5Hello = "5d41402abc4b2a76b9719d911017c592"

// clock reads a time of a sample.
func clock(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// event returns base with some fields changed.
func event(base s3mesh.Event, change func(*s3mesh.Event)) s3mesh.Event {
	change(&base)
	return base
}

var (
	amazon = s3mesh.Event{
		Bucket: "amzn-s3-demo-bucket", Key: photo, Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: clock("2026-03-01T08:30:15.123Z"), Size: 1024, ETag: "d41d8cd98f00b204e9800998ecf8427e",
		VersionID: "096fKKXTRTtl3on89fVO.nfljtsv6qko", Sequencer: "0055AED6DCD90281E5",
		Principal: "AWS:AROAEXAMPLEROLEID00:replicator",
	}
	bridged = s3mesh.Event{
		Bucket: "amzn-s3-demo-bucket1", Key: "example-key", Type: s3mesh.EventRemoved, Name: "Object Deleted",
		Time: clock("2021-11-12T00:00:00Z"), ETag: "d41d8cd98f00b204e9800998ecf8427e",
		VersionID: "1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF", Sequencer: "617f0837b476e463", Principal: "123456789012",
	}
	bridgedCreate = event(bridged, func(e *s3mesh.Event) {
		e.Key, e.Type, e.Name, e.Size = "a+b%20 é.jpg", s3mesh.EventCreated, "Object Created", 5
	})
	ceph = s3mesh.Event{
		Bucket: "mybucket1", Key: "photos/a+b 100%25.jpg", Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: clock("2019-11-22T13:47:35.124724Z"), Size: 1024, ETag: "37b51d194a7513e45b56f6524f2d51f2", Principal: "tester",
	}
	minio = s3mesh.Event{
		Bucket: "photos", Key: photo, Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: clock("2026-11-23T12:44:24.042Z"), Size: 5, ETag: md5Hello,
		VersionID: "da825fe7-609e-4a18-bc8c-1e29bfc12868", Sequencer: "18EAAD398682D7F7", Principal: "meshadmin",
	}
	versitygw = s3mesh.Event{
		Bucket: "photos", Key: photo, Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: clock("2026-11-23T12:45:36Z"), Size: 5, ETag: md5Hello, Principal: "meshaccess",
	}
	moto = s3mesh.Event{
		Bucket: "photos", Key: photo, Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: clock("2026-11-23T12:45:18.747802Z"), Size: 5, ETag: md5Hello,
	}
)

func testEvent(bucket, at string) []s3mesh.Event {
	return []s3mesh.Event{{Type: s3mesh.EventTest, Name: "TestEvent", Bucket: bucket, Time: clock(at)}}
}

// samples says what each file of testdata means. A file that is not here fails TestSamples.
var samples = map[string][]s3mesh.Event{
	"aws-put": {amazon},
	"aws-several": {
		amazon,
		event(amazon, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name, e.Size = "a+b/", s3mesh.EventRemoved, "ObjectRemoved:DeleteMarkerCreated", 0
		}),
		event(amazon, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name, e.Size, e.Sequencer = "b.jpg", s3mesh.EventChanged, "ObjectTagging:Put", 0, ""
		}),
		event(amazon, func(e *s3mesh.Event) { e.Key, e.Name = "c.jpg", "ObjectRestore:Completed" }),
		event(amazon, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name, e.VersionID = "old", s3mesh.EventRemoved, "LifecycleExpiration:Delete", "null"
		}),
		event(amazon, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name = "lost", s3mesh.EventRemoved, "ReducedRedundancyLostObject"
		}),
		event(amazon, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name, e.Sequencer = "notes", s3mesh.EventChanged, "ObjectAnnotation:Put", ""
		}),
	},
	"aws-ignored":    nil,
	"aws-test-event": testEvent("amzn-s3-demo-bucket", "2014-10-13T15:57:02.089Z"),

	"eventbridge-created": {bridgedCreate},
	"eventbridge-deleted": {bridged},
	"eventbridge-tags": {event(bridged, func(e *s3mesh.Event) {
		e.Type, e.Name = s3mesh.EventChanged, "Object Tags Added"
	})},
	"eventbridge-restore-initiated": nil,

	"ceph": {
		ceph,
		event(ceph, func(e *s3mesh.Event) { e.Key, e.VersionID = "myimage1.jpg", "W8-8LIxJWDRjMSMKMGdZ0rMmSHDvPcT" }),
		event(ceph, func(e *s3mesh.Event) { e.Key, e.Name = "synced", "ObjectSynced:Create" }),
		event(ceph, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name, e.Size = "gone", s3mesh.EventRemoved, "Replication:Delete", 0
		}),
		event(ceph, func(e *s3mesh.Event) {
			e.Key, e.Type, e.Name = "expired", s3mesh.EventRemoved, "ObjectLifecycle:Expiration:Current"
		}),
	},

	"devstore": {event(amazon, func(e *s3mesh.Event) {
		e.Bucket, e.Principal, e.Sequencer, e.VersionID = "photos", "s3mesh-client", "", "01M8471FZX5W3ECGY5WNA7HB39"
	})},

	"minio-put": {minio},
	"minio-get": nil,
	"minio-put-tagging": {event(minio, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Time, e.Sequencer = s3mesh.EventChanged, "ObjectCreated:PutTagging", clock("2026-11-23T12:44:24.051Z"), ""
	})},
	"minio-complete-multipart": {event(minio, func(e *s3mesh.Event) {
		e.Key, e.Name, e.Time, e.Size = "big/mp.bin", "ObjectCreated:CompleteMultipartUpload", clock("2026-11-23T12:44:24.066Z"), 100
		e.ETag, e.Sequencer = "bccb8986cc6b395e4f045d410c776698-1", "18EAAD3987F1C6C8"
		e.VersionID = "19f27863-1310-4f6c-8680-04ac3892dcc3"
	})},
	"minio-delete-marker": {event(minio, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Time = s3mesh.EventRemoved, "ObjectRemoved:DeleteMarkerCreated", clock("2026-11-23T12:44:24.069Z")
		e.Size, e.ETag, e.VersionID, e.Sequencer = 0, "", "d248eec8-77e2-4130-98f8-9656290ae358", "18EAAD39881C7A18"
	})},
	"minio-delete-version": {event(minio, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Time = s3mesh.EventRemoved, "ObjectRemoved:Delete", clock("2026-11-23T12:44:24.073Z")
		e.Size, e.ETag, e.Sequencer = 0, "", "18EAAD3988578F92"
	})},
	"minio-delete-missing": nil,

	"versitygw-test-event": testEvent("Test-Bucket", "2026-11-23T12:45:35Z"),
	"versitygw-put":        {versitygw},
	"versitygw-put-tagging": {event(versitygw, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Size, e.ETag = s3mesh.EventChanged, "ObjectTagging:Put", 0, ""
	})},
	"versitygw-copy": {event(versitygw, func(e *s3mesh.Event) {
		e.Key, e.Name, e.Size, e.VersionID = "copy.jpg", "ObjectCreated:Copy", 0, "01M8471FZX5W3ECGY5WNA7HB39"
	})},
	"versitygw-delete": {event(versitygw, func(e *s3mesh.Event) {
		e.Key, e.Type, e.Name, e.Size, e.ETag = "copy.jpg", s3mesh.EventRemoved, "ObjectRemoved:Delete", 0, ""
		e.Time = clock("2026-11-23T12:45:37Z")
	})},
	"versitygw-delete-objects": {event(versitygw, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Size, e.ETag = s3mesh.EventRemoved, "ObjectRemoved:DeleteObjects", 0, ""
		e.Time = clock("2026-11-23T12:45:37Z")
	})},

	"moto-test-event":     testEvent("photos", "2026-11-23T12:45:18.721502Z"),
	"moto-sns-test-event": testEvent("photos", "2026-11-23T12:45:18.7217Z"),
	"moto-put":            {moto},
	"moto-delete": {event(moto, func(e *s3mesh.Event) {
		e.Type, e.Name, e.Time = s3mesh.EventRemoved, "ObjectRemoved:Delete", clock("2026-11-23T12:45:18.7547Z")
	})},
	"moto-sns-put": {event(moto, func(e *s3mesh.Event) { e.Time = clock("2026-11-23T12:45:18.7481Z") })},
	"moto-receive-message": {event(moto, func(e *s3mesh.Event) {
		e.Key, e.Time = "again.jpg", clock("2026-11-23T12:45:18.829968Z")
	})},
	"moto-eventbridge-created": {event(moto, func(e *s3mesh.Event) {
		e.Name, e.Time, e.VersionID = "Object Created", clock("2026-11-23T12:45:18Z"), "null"
		e.Sequencer, e.Principal = "617f08299329d189", "123456789012"
	})},

	"sns-http":   {amazon},
	"lambda-sns": {amazon},
	"lambda-sqs": {amazon, amazon, bridgedCreate},
}

func TestSamples(t *testing.T) {
	for name, body := range sampleFiles(t) {
		t.Run(name, func(t *testing.T) {
			want, ok := samples[name]
			got, err := notify.Decode(body)
			if strings.HasSuffix(name, "-confirmation") {
				var subscription *notify.SubscriptionError
				if !errors.As(err, &subscription) || got != nil {
					t.Fatalf("Decode = %v, %v, want a SubscriptionError", got, err)
				}
				return
			}
			if !ok {
				t.Fatal("the file is not listed in samples")
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSampleFilesExist keeps the table from outliving its files.
func TestSampleFilesExist(t *testing.T) {
	files := sampleFiles(t)
	for name := range samples {
		if _, ok := files[name]; !ok {
			t.Errorf("testdata/%s.json is gone", name)
		}
	}
}

func sampleFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil {
		tb.Fatal(err)
	}
	files := make(map[string][]byte, len(paths))
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = body
	}
	return files
}
