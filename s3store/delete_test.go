package s3store_test

import (
	"net/http"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// TestDeleteAnswers checks what the answers to a conditional delete come to.
func TestDeleteAnswers(t *testing.T) {
	opt := s3mesh.DeleteOptions{Condition: s3mesh.IfMatch("e")}
	for _, c := range []struct {
		status int
		code   string
		want   s3mesh.Kind
	}{
		{412, "PreconditionFailed", s3mesh.KindPreconditionFailed},
		{404, "NoSuchKey", s3mesh.KindPreconditionFailed},
		{404, "NoSuchBucket", s3mesh.KindNoSuchBucket},
		{409, "ConditionalRequestConflict", s3mesh.KindConflict},
		{501, "NotImplemented", s3mesh.KindUnsupported},
		{501, "", s3mesh.KindUnsupported},
		{403, "AccessDenied", s3mesh.KindAccessDenied},
	} {
		_, err := serve(t, errorAnswer(c.status, c.code)).Delete(t.Context(), "key", opt)
		if got := s3mesh.KindOf(err); got != c.want {
			t.Errorf("%d %s: %v, want %s", c.status, c.code, err, c.want)
		}
	}
}

// TestRemovalOfUnknownVersion: versitygw has one answer to a version that is not there and to an ID that cannot be.
func TestRemovalOfUnknownVersion(t *testing.T) {
	const ulid, noID = "01M84GKR28H6VH6RXWRG9H1RM6", "not-a-version"
	for _, c := range []struct {
		server, id string
		want       s3mesh.Kind // KindOther for no error
	}{
		{"VERSITYGW", ulid, s3mesh.KindOther}, {"VERSITYGW", noID, s3mesh.KindInvalid}, {"store", ulid, s3mesh.KindInvalid},
	} {
		bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", c.server)
			errorAnswer(http.StatusBadRequest, "InvalidArgument")(w, r)
		})
		_, err := bucket.Delete(t.Context(), "key", s3mesh.DeleteOptions{VersionID: c.id})
		if (err == nil) != (c.want == s3mesh.KindOther) || err != nil && s3mesh.KindOf(err) != c.want {
			t.Errorf("%s, %s: %v", c.server, c.id, err)
		}
	}
}
