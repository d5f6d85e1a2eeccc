package s3store

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/s3mesh/s3mesh"
)

// noTags is the code of products that have no empty set of tags.
const noTags = "NoSuchTagSet"

// Tags returns the tags of the current object under key, or of the version with this ID: none is no error. It takes one request
// and the permission s3:GetObjectTagging, or s3:GetObjectVersionTagging. A missing object is KindNotFound, a store without
// tags KindUnsupported.
func (b *Bucket) Tags(ctx context.Context, key, versionID string) (map[string]string, error) {
	r := request{op: opGetTagging, key: key, method: http.MethodGet, query: url.Values{"tagging": {""}}}
	if versionID != "" {
		r.query.Set("versionId", versionID)
	}
	resp, err := b.client.do(ctx, r)
	if response, ok := errors.AsType[*responseError](err); ok && response.Code == noTags {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, b.explainTagless(ctx, r, err)
	}
	defer discard(resp)
	var answer tagging
	if err := decodeXML(resp.Body, maxAnswer, &answer); err != nil {
		return nil, b.client.fail(ctx, r, brokenOff(err))
	}
	tags := make(map[string]string, len(answer.Tags))
	for _, tag := range answer.Tags {
		tags[tag.Key] = tag.Value
	}
	return tags, nil
}

// explainTagless tells a delete marker from a store without tags: versitygw answers alike to both.
func (b *Bucket) explainTagless(ctx context.Context, r request, err error) error {
	if response, ok := errors.AsType[*responseError](err); !ok || response.status != http.StatusMethodNotAllowed {
		return err
	}
	_, headErr := b.Head(ctx, r.key, s3mesh.ReadOptions{VersionID: r.query.Get("versionId")})
	if s3mesh.KindOf(headErr) != s3mesh.KindNotFound {
		return err
	}
	return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: r.op, Site: b.client.site, Key: r.key, Err: err}
}
