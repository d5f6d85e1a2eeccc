package devstore

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/s3response"
)

// ListObjects encodes keys where the request asks for it.
func (s *store) ListObjects(ctx context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	out, err := s.Posix.ListObjects(ctx, in)
	if err == nil && wantsEncoding(ctx) {
		out.EncodingType = types.EncodingTypeUrl
		encode(&out.Delimiter, &out.Marker, &out.NextMarker, &out.Prefix)
		encodeObjects(out.Contents, out.CommonPrefixes)
	}
	return out, err
}

// ListObjectsV2 encodes keys where the request asks for it.
func (s *store) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input) (s3response.ListObjectsV2Result, error) {
	out, err := s.Posix.ListObjectsV2(ctx, in)
	if err == nil && wantsEncoding(ctx) {
		out.EncodingType = types.EncodingTypeUrl
		encode(&out.Delimiter, &out.Prefix, &out.StartAfter)
		encodeObjects(out.Contents, out.CommonPrefixes)
	}
	return out, err
}

// ListObjectVersions encodes keys where the request asks for it, and waits for a delete of the key that the prefix is, as
// who asks for the versions of one key names it so. It lists no version twice. It gives the time of a marker in whole
// seconds, as that of an object is given, and as AWS does: the order of what came within a second is told by the version
// IDs, which grow.
func (s *store) ListObjectVersions(ctx context.Context, in *s3.ListObjectVersionsInput) (
	s3response.ListVersionsResult, error) {
	gate := s.gates.of(aws.ToString(in.Bucket), aws.ToString(in.Prefix))
	gate.RLock()
	out, err := s.Posix.ListObjectVersions(ctx, in)
	if err == nil {
		err = s.dropKept(aws.ToString(in.Bucket), &out)
	}
	gate.RUnlock()
	for i := range out.DeleteMarkers {
		if t := out.DeleteMarkers[i].LastModified; t != nil {
			out.DeleteMarkers[i].LastModified = aws.Time(t.Truncate(time.Second))
		}
	}
	if err != nil || !wantsEncoding(ctx) {
		return out, err
	}
	out.EncodingType = types.EncodingTypeUrl
	encode(&out.Delimiter, &out.KeyMarker, &out.NextKeyMarker, &out.Prefix)
	encodeObjects(nil, out.CommonPrefixes)
	for i := range out.Versions {
		encode(&out.Versions[i].Key)
	}
	for i := range out.DeleteMarkers {
		encode(&out.DeleteMarkers[i].Key)
	}
	return out, nil
}

// dropKept drops what is listed as an older version while it is the current one: a write or a delete that would replace it
// is under way, or was when the region was killed.
func (s *store) dropKept(bucket string, out *s3response.ListVersionsResult) error {
	current := map[string]string{} // IDs by key
	var failed error
	kept := func(key, id string, latest bool) bool {
		if latest || failed != nil {
			return false
		}
		if _, ok := current[key]; !ok {
			current[key], failed = s.currentVersion(bucket, key)
		}
		return current[key] == id
	}
	out.Versions = slices.DeleteFunc(out.Versions, func(v s3response.ObjectVersion) bool {
		return kept(aws.ToString(v.Key), aws.ToString(v.VersionId), aws.ToBool(v.IsLatest))
	})
	out.DeleteMarkers = slices.DeleteFunc(out.DeleteMarkers, func(m types.DeleteMarkerEntry) bool {
		return kept(aws.ToString(m.Key), aws.ToString(m.VersionId), aws.ToBool(m.IsLatest))
	})
	return failed
}

// wantsEncoding reports whether the request says encoding-type=url, which the server does not look at: XML cannot hold
// every character that a key may.
func wantsEncoding(ctx context.Context) bool {
	request, ok := ctx.(*fasthttp.RequestCtx)
	return ok && string(request.QueryArgs().Peek("encoding-type")) == string(types.EncodingTypeUrl)
}

func encodeObjects(objects []s3response.Object, prefixes []types.CommonPrefix) {
	for i := range objects {
		encode(&objects[i].Key)
	}
	for i := range prefixes {
		encode(&prefixes[i].Prefix)
	}
}

// encode replaces strings by their URL encoding. Slashes stay, as on AWS.
func encode(fields ...**string) {
	for _, field := range fields {
		if *field != nil {
			*field = aws.String(strings.ReplaceAll(url.QueryEscape(**field), "%2F", "/"))
		}
	}
}
