package s3store

import (
	"context"
	"net/http"
	"net/url"

	"github.com/s3mesh/s3mesh"
)

// Delete implements [s3mesh.Bucket] in one request. Without versioning a delete under a condition removes the object, and
// Written.VersionID is empty.
//
// MinIO ignores the condition, and where a delete marker is on top already it makes none but returns the ID of that one.
// versitygw checks the condition, but not together with the delete, and takes a delete marker for the object that it
// hides. Both report success, without a version ID, where the key holds nothing; then a second request finds out whether
// the bucket has versions, and if so the error is KindPreconditionFailed.
func (b *Bucket) Delete(ctx context.Context, key string, opt s3mesh.DeleteOptions) (s3mesh.Written, error) {
	r := deletion(key)
	switch {
	case opt.Condition.IsZero() == (opt.VersionID == ""):
		return s3mesh.Written{}, b.client.refuse(r, s3mesh.KindInvalid, "a delete needs either a condition or a version")
	case opt.Condition.Absent():
		return s3mesh.Written{}, b.client.refuse(r, s3mesh.KindInvalid, "what is absent cannot be deleted")
	case opt.VersionID != "":
		return s3mesh.Written{VersionID: opt.VersionID}, b.removeVersion(ctx, r, opt.VersionID)
	}
	setCondition(r.header, opt.Condition)
	resp, err := b.client.do(ctx, r)
	if err != nil {
		return s3mesh.Written{}, err
	}
	defer discard(resp)
	if id := resp.Header.Get("X-Amz-Version-Id"); id != "" {
		return s3mesh.Written{VersionID: currentID(id)}, nil
	}
	versioned, err := b.Versioning(ctx)
	if err == nil && versioned {
		err = b.client.refuse(r, s3mesh.KindPreconditionFailed, "the store made no delete marker: the key held no object")
	}
	return s3mesh.Written{}, err
}

func deletion(key string) request {
	return request{op: opDelete, key: key, method: http.MethodDelete, query: url.Values{}, header: make(http.Header, 6)}
}

// removeVersion removes one version for good, or what is there where versionID is empty. What is not there is no error.
func (b *Bucket) removeVersion(ctx context.Context, r request, versionID string) error {
	if versionID != "" {
		r.query.Set("versionId", versionID)
	}
	resp, err := b.client.do(ctx, r)
	switch {
	case s3mesh.KindOf(err) == s3mesh.KindNotFound, unknownToVersitygw(err, versionID):
		return nil
	case err != nil:
		return err
	}
	discard(resp)
	return nil
}
