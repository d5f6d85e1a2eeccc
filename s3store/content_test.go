package s3store_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/internal/peer"
)

// TestHeadChecksums checks what the headers come to, and that only who asks gets them.
func TestHeadChecksums(t *testing.T) {
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
		w.Header().Set("X-Amz-Tagging-Count", "3")
		w.Header().Set("Content-Length", "7")
		if r.URL.Path == "/bucket/typed" {
			w.Header().Set("X-Amz-Checksum-Type", "COMPOSITE")
			w.Header().Set("X-Amz-Checksum-Crc32c", "typed=")
		} else {
			w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
			w.Header().Set("X-Amz-Checksum-Crc64nvme", "whole=")
			w.Header().Set("X-Amz-Checksum-Sha256", "parts=-2")
		}
		if got, want := r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED", r.URL.Path != "/bucket/unasked"; got != want {
			t.Errorf("%s: asked %v, want %v", r.URL.Path, got, want)
		}
	})
	for key, want := range map[string][]s3mesh.Checksum{
		"unasked": nil,
		"typed":   {{Algorithm: "CRC32C", Value: "typed=", Composite: true}},
		"both":    {{Algorithm: "CRC64NVME", Value: "whole="}, {Algorithm: "SHA256", Value: "parts=-2", Composite: true}},
	} {
		head, err := bucket.Head(t.Context(), key, s3mesh.ReadOptions{Checksums: key != "unasked"})
		if err != nil || !slices.Equal(head.Checksums, want) || head.Tags != 3 {
			t.Errorf("%s: %+v, %v; want %+v and 3 tags", key, head, err, want)
		}
	}
	part, err := bucket.Head(t.Context(), "typed", s3mesh.ReadOptions{Checksums: true, Part: 1})
	if err != nil || part.Checksums != nil {
		t.Errorf("%+v, %v; the checksum of a part is not the object's", part, err)
	}
}

func TestTags(t *testing.T) {
	const some = `<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value/></Tag><Tag><Key>c</Key><Value> d </Value></Tag></TagSet></Tagging>`
	for _, c := range []struct {
		status int
		answer string
		head   int
		tags   map[string]string
		want   s3mesh.Kind // KindOther for no error
	}{
		{200, some, 0, map[string]string{"a&b": "", "c": " d "}, s3mesh.KindOther},
		{200, `<Tagging><TagSet/></Tagging>`, 0, nil, s3mesh.KindOther},
		{404, `<Error><Code>NoSuchTagSet</Code></Error>`, 0, nil, s3mesh.KindOther},
		{404, `<Error><Code>NoSuchKey</Code></Error>`, 0, nil, s3mesh.KindNotFound},
		{405, `<Error><Code>MethodNotAllowed</Code></Error>`, 200, nil, s3mesh.KindUnsupported},
		{405, `<Error><Code>MethodNotAllowed</Code></Error>`, 404, nil, s3mesh.KindNotFound},
		{501, `<Error><Code>NotImplemented</Code></Error>`, 0, nil, s3mesh.KindUnsupported},
		{403, `<Error><Code>AccessDenied</Code></Error>`, 0, nil, s3mesh.KindAccessDenied},
		{200, `<Tagging><TagSet>`, 0, nil, s3mesh.KindUnreachable},
	} {
		bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method != http.MethodHead:
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.answer)
			case r.URL.Path == "/bucket":
			default:
				w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
				w.Header().Set("Content-Length", "7")
				w.WriteHeader(c.head)
			}
		})
		tags, err := bucket.Tags(t.Context(), "key", "version")
		if c.want == s3mesh.KindOther {
			if err != nil || !maps.Equal(tags, c.tags) {
				t.Errorf("%s: %q, %v; want %q", c.answer, tags, err, c.tags)
			}
		} else if err == nil || s3mesh.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.answer, err, c.want)
		}
	}
}

// TestLockedAnswers checks that an object lock is told from a missing permission and from a bad request.
func TestLockedAnswers(t *testing.T) {
	for _, c := range []struct {
		status        int
		code, message string
		want          s3mesh.Kind
	}{
		{403, "AccessDenied", "Access Denied because object protected by object lock.", s3mesh.KindLocked},
		{403, "AccessDenied", "forbidden by object lock", s3mesh.KindLocked},
		{400, "InvalidRequest", "Object is WORM protected and cannot be overwritten", s3mesh.KindLocked},
		{400, "InvalidRequest", "Bucket is missing Object Lock Configuration", s3mesh.KindInvalid},
		{403, "AccessDenied", "Access Denied", s3mesh.KindAccessDenied},
		{403, "AccessDenied", `no policy allows s3:PutObject on "Access Denied because object protected by object lock."`,
			s3mesh.KindAccessDenied},
	} {
		bucket := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", c.code, c.message)
		})
		_, err := bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{VersionID: "version"})
		if err == nil || s3mesh.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.message, err, c.want)
		}
		if err := put(t, bucket, "key", "value"); s3mesh.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %s", c.message, err, c.want)
		}
	}
}

// testLocked removes a version that is under a legal hold, and then once it is not.
func testLocked(t *testing.T, endpoint peer.Endpoint) {
	t.Helper()
	name, client := "locked", endpoint.S3()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	written, err := endpoint.Application(name).Put(t.Context(), "key", []byte("value"), s3mesh.Attributes{})
	if err != nil {
		t.Fatal(err)
	}
	hold := func(status types.ObjectLockLegalHoldStatus) {
		t.Helper()
		_, err := client.PutObjectLegalHold(t.Context(), &s3.PutObjectLegalHoldInput{
			Bucket: &name, Key: aws.String("key"), LegalHold: &types.ObjectLockLegalHold{Status: status},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg, _ := config(t, endpoint, name)
	bucket := open(t, cfg)
	hold(types.ObjectLockLegalHoldStatusOn)
	_, err = bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{VersionID: written.VersionID})
	if err == nil || s3mesh.KindOf(err) != s3mesh.KindLocked {
		t.Errorf("%v, want %s", err, s3mesh.KindLocked)
	}
	// Other than a version, the key is not locked.
	_, err = bucket.Put(t.Context(), "key", s3mesh.PutInput{Condition: s3mesh.IfMatch(written.ETag)})
	if err != nil {
		t.Error(err)
	}
	until := types.ObjectLockRetention{
		Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(time.Hour)),
	}
	_, err = client.PutObjectRetention(t.Context(), &s3.PutObjectRetentionInput{
		Bucket: &name, Key: aws.String("key"), VersionId: &written.VersionID, Retention: &until,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{VersionID: written.VersionID})
	if err == nil || s3mesh.KindOf(err) != s3mesh.KindLocked {
		t.Errorf("under retention: %v, want %s", err, s3mesh.KindLocked)
	}
}
