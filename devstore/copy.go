package devstore

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// CopyObject makes a new version also of an object that is copied onto itself with other metadata, as AWS does where
// there are versions. The backend changes the current version in place, under its old ID and time. A folder is left to
// the backend, which keeps no versions of folders.
func (s *store) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (s3response.CopyObjectOutput, error) {
	if err := checkNames(aws.ToString(in.Key)); err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	in.Metadata = mailSafe(in.Metadata)
	bucket, key, versionID, err := backend.ParseCopySource(aws.ToString(in.CopySource))
	if err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	if err := s.checkSource(ctx, bucket, key, versionID); err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	if bucket != aws.ToString(in.Bucket) || key != aws.ToString(in.Key) || strings.HasSuffix(key, "/") ||
		in.MetadataDirective != types.MetadataDirectiveReplace {
		return s.Posix.CopyObject(ctx, in)
	}
	versioning, err := s.GetBucketVersioning(ctx, bucket)
	if err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	if versioning.Status == nil {
		return s.Posix.CopyObject(ctx, in)
	}
	if err := s.checkOwner(ctx, bucket, aws.ToString(in.ExpectedSourceBucketOwner)); err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	return s.rewrite(ctx, in, versionID)
}

// UploadPartCopy refuses delete markers as sources.
func (s *store) UploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (s3response.CopyPartResult, error) {
	bucket, key, versionID, err := backend.ParseCopySource(aws.ToString(in.CopySource))
	if err != nil {
		return s3response.CopyPartResult{}, err
	}
	if err := s.checkSource(ctx, bucket, key, versionID); err != nil {
		return s3response.CopyPartResult{}, err
	}
	return s.Posix.UploadPartCopy(ctx, in)
}

// checkSource refuses a source that is deleted, or a delete marker, which the backend would copy as an object. The
// backend itself tells what else may be wrong with a version.
func (s *store) checkSource(ctx context.Context, bucket, key, versionID string) error {
	head, err := s.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: &versionID})
	if versionID == "" || head != nil && aws.ToBool(head.DeleteMarker) {
		return err
	}
	return nil
}

// checkOwner refuses an owner that is not the bucket's, unless it is empty.
func (s *store) checkOwner(ctx context.Context, bucket, owner string) error {
	if owner == "" {
		return nil
	}
	encoded, err := s.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: &bucket})
	if err != nil {
		return err
	}
	acl, err := auth.ParseACL(encoded)
	if err != nil {
		return err
	}
	if acl.Owner != owner {
		return s3err.GetAPIError(s3err.ErrAccessDenied)
	}
	return nil
}

// rewrite writes what a version holds, or the current one when versionID is empty, as a new version of the same key,
// with the metadata of in.
func (s *store) rewrite(ctx context.Context, in s3response.CopyObjectInput, versionID string) (
	s3response.CopyObjectOutput, error) {
	source, tagging, err := s.openSource(ctx, in, versionID)
	if err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	defer source.Body.Close()
	if aws.ToInt64(source.ContentLength) > maxCopy {
		return s3response.CopyObjectOutput{}, s3err.GetCopySourceObjectTooLargeErr(maxCopy)
	}
	if in.TaggingDirective == types.TaggingDirectiveReplace {
		tagging = aws.ToString(in.Tagging)
	}
	algorithm := in.ChecksumAlgorithm
	if algorithm == "" {
		algorithm = checksumAlgorithm(source)
	}
	put, err := s.Posix.PutObject(ctx, s3response.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, Body: source.Body, ContentLength: source.ContentLength,
		ContentType: in.ContentType, ContentEncoding: in.ContentEncoding, ContentDisposition: in.ContentDisposition,
		ContentLanguage: in.ContentLanguage, CacheControl: in.CacheControl, Expires: in.Expires,
		WebsiteRedirectLocation: in.WebsiteRedirectLocation, Metadata: in.Metadata, Tagging: &tagging,
		ChecksumAlgorithm: algorithm, ObjectLockRetainUntilDate: in.ObjectLockRetainUntilDate,
		ObjectLockMode: in.ObjectLockMode, ObjectLockLegalHoldStatus: in.ObjectLockLegalHoldStatus,
	})
	if err != nil {
		return s3response.CopyObjectOutput{}, err
	}
	return s.copied(ctx, in, source.VersionId, put), nil
}

// openSource opens a version and reads its tags, in the form of the tagging header. It does so under the key's lock, as
// the backend looks a version up and opens it by path, where a write may put another one in between. The open file is
// the version's own.
func (s *store) openSource(ctx context.Context, in s3response.CopyObjectInput, versionID string) (
	source *s3.GetObjectOutput, tagging string, err error) {
	unlock, err := s.lock(*in.Bucket, *in.Key)
	if err != nil {
		return nil, "", err
	}
	defer unlock.Close()
	source, err = s.GetObject(ctx, &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, VersionId: &versionID,
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch, ChecksumMode: types.ChecksumModeEnabled,
		IfModifiedSince: in.CopySourceIfModifiedSince, IfUnmodifiedSince: in.CopySourceIfUnmodifiedSince})
	if err != nil {
		return nil, "", err
	}
	tags, err := s.GetObjectTagging(ctx, *in.Bucket, *in.Key, versionID)
	if err != nil {
		source.Body.Close()
		return nil, "", err
	}
	return source, tagHeader(tags), nil
}

// tagHeader returns tags in the form of the tagging header. It escapes no more than it must, as the backend measures
// names and values before it unescapes them.
func tagHeader(tags map[string]string) string {
	escape := strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "=", "%3D")
	pairs := make([]string, 0, len(tags))
	for name, value := range tags {
		pairs = append(pairs, escape.Replace(name)+"="+escape.Replace(value))
	}
	return strings.Join(pairs, "&")
}

// copied answers a copy that was written. The version may be gone again; the copy was a success all the same.
func (s *store) copied(ctx context.Context, in s3response.CopyObjectInput, sourceID *string,
	put s3response.PutObjectOutput) s3response.CopyObjectOutput {
	out := s3response.CopyObjectOutput{
		VersionId: &put.VersionID, CopySourceVersionId: sourceID,
		CopyObjectResult: &s3response.CopyObjectResult{
			ETag: &put.ETag, ChecksumType: put.ChecksumType, ChecksumCRC32: put.ChecksumCRC32,
			ChecksumCRC32C: put.ChecksumCRC32C, ChecksumCRC64NVME: put.ChecksumCRC64NVME, ChecksumSHA1: put.ChecksumSHA1,
			ChecksumSHA256: put.ChecksumSHA256, ChecksumSHA512: put.ChecksumSHA512, ChecksumMD5: put.ChecksumMD5,
			ChecksumXXHASH64: put.ChecksumXXHASH64, ChecksumXXHASH3: put.ChecksumXXHASH3,
			ChecksumXXHASH128: put.ChecksumXXHASH128,
		},
	}
	head, err := s.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, VersionId: &put.VersionID})
	if err == nil {
		out.CopyObjectResult.LastModified = head.LastModified
	}
	return out
}

// checksumAlgorithm returns the algorithm of an object's checksum, or "" when it has none.
func checksumAlgorithm(o *s3.GetObjectOutput) types.ChecksumAlgorithm {
	for algorithm, sum := range map[types.ChecksumAlgorithm]*string{
		types.ChecksumAlgorithmCrc32:     o.ChecksumCRC32,
		types.ChecksumAlgorithmCrc32c:    o.ChecksumCRC32C,
		types.ChecksumAlgorithmCrc64nvme: o.ChecksumCRC64NVME,
		types.ChecksumAlgorithmSha1:      o.ChecksumSHA1,
		types.ChecksumAlgorithmSha256:    o.ChecksumSHA256,
		types.ChecksumAlgorithmSha512:    o.ChecksumSHA512,
		types.ChecksumAlgorithmMd5:       o.ChecksumMD5,
		types.ChecksumAlgorithmXxhash64:  o.ChecksumXXHASH64,
		types.ChecksumAlgorithmXxhash3:   o.ChecksumXXHASH3,
		types.ChecksumAlgorithmXxhash128: o.ChecksumXXHASH128,
	} {
		if sum != nil {
			return algorithm
		}
	}
	return ""
}
