package devstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// DeleteObject deletes under the key's lock. It refuses keys that fold, as a list of keys brings them past
// refuseFoldingKeys. Where there is no object, and no marker either, it leaves no marker, other than AWS.
func (s *store) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	if folds(aws.ToString(in.Key)) {
		return nil, s3err.GetAPIError(s3err.ErrInvalidURI)
	}
	unlock, err := s.lock(aws.ToString(in.Bucket), aws.ToString(in.Key))
	if err != nil {
		return nil, err
	}
	defer unlock.Close()
	gate := s.gates.of(aws.ToString(in.Bucket), aws.ToString(in.Key))
	gate.Lock()
	defer gate.Unlock()
	if aws.ToString(in.VersionId) != "" {
		return s.removeVersion(ctx, in)
	}
	if err := s.checkDeleted(ctx, in); err != nil {
		return nil, err
	}
	return s.Posix.DeleteObject(ctx, in)
}

// checkDeleted refuses If-Match where there is no object, which to the backend is a success.
func (s *store) checkDeleted(ctx context.Context, in *s3.DeleteObjectInput) error {
	if in.IfMatch == nil {
		return nil
	}
	_, err := s.Posix.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	if errors.Is(err, s3err.GetAPIError(s3err.ErrNoSuchKey)) {
		return s3err.GetPreconditionFailedErr(s3err.ConditionIfMatch)
	}
	return err
}

// removeVersion removes one version for good. A version that is not there is a success, as on AWS; to the backend it is an
// error, the same as that for an ID which cannot be.
func (s *store) removeVersion(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	head, headErr := s.Posix.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, VersionId: in.VersionId})
	if _, missing := errors.AsType[s3err.NoSuchVersionError](headErr); missing {
		return &s3.DeleteObjectOutput{VersionId: in.VersionId}, nil
	}
	if in.IfMatch != nil || in.IfMatchLastModifiedTime != nil || in.IfMatchSize != nil {
		return s.Posix.DeleteObject(ctx, in)
	}
	restored, err := s.restoreBelow(aws.ToString(in.Bucket), aws.ToString(in.Key), *in.VersionId)
	if err != nil {
		return nil, fmt.Errorf("restore the version below: %w", err)
	}
	if !restored {
		return s.Posix.DeleteObject(ctx, in)
	}
	marker := head != nil && aws.ToBool(head.DeleteMarker)
	return &s3.DeleteObjectOutput{VersionId: in.VersionId, DeleteMarker: &marker}, nil
}

// restoreBelow puts the version below the current one in its place, when that is the one with this ID and there is one
// below. It is one rename, where the backend removes, copies, and then sets one attribute after the other: killed in
// between, it would leave no object, or one without its ETag and metadata.
func (s *store) restoreBelow(bucket, key, versionID string) (restored bool, err error) {
	path := filepath.Join(s.root, bucket)
	current, err := attributes{}.RetrieveAttribute(nil, path, key, attributeVersionID)
	if err != nil || string(current) != versionID {
		return false, ignoreMissing(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
	dir := filepath.Join(s.versions, bucket, sum[:2], sum[2:4], sum[4:6], sum) // as in backend/posix/posix.go
	below, err := os.ReadDir(dir)
	if err != nil || len(below) == 0 {
		return false, ignoreMissing(err)
	}
	latest := slices.MaxFunc(below, func(a, b os.DirEntry) int {
		return strings.Compare(strings.TrimPrefix(a.Name(), "null"), strings.TrimPrefix(b.Name(), "null"))
	})
	return true, os.Rename(filepath.Join(dir, latest.Name()), filepath.Join(path, key))
}

// ignoreMissing drops the error that there is no such file, or no such attribute of it.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, meta.ErrNoSuchKey) {
		return nil
	}
	return err
}

// DeleteObjects deletes one object after the other. A failure is reported for its object and stops none of the others.
func (s *store) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	result := s3response.DeleteResult{Deleted: []types.DeletedObject{}, Error: []types.Error{}}
	for _, o := range in.Delete.Objects {
		out, err := s.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: in.Bucket, Key: o.Key, VersionId: o.VersionId})
		if err != nil {
			result.Error = append(result.Error, s3err.ObjectDeleteError(o.Key, o.VersionId, err))
			continue
		}
		deleted := types.DeletedObject{Key: o.Key, VersionId: o.VersionId, DeleteMarker: out.DeleteMarker}
		if aws.ToBool(out.DeleteMarker) {
			deleted.DeleteMarkerVersionId = out.VersionId
		}
		result.Deleted = append(result.Deleted, deleted)
	}
	return result, nil
}
