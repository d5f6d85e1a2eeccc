package devstore

import (
	"context"
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
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// DeleteObject deletes under the key's lock. It refuses keys that fold, as a list of keys brings them past
// refuseFoldingKeys. Where there is no object, and no marker either, it leaves no marker, other than AWS.
func (s *store) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	bucket, key := aws.ToString(in.Bucket), aws.ToString(in.Key)
	if folds(key) {
		return nil, s3err.GetAPIError(s3err.ErrInvalidURI)
	}
	unlock, err := s.lock(bucket, key)
	if err != nil {
		return nil, err
	}
	defer unlock.Close()
	gate := s.gates.of(bucket, key)
	gate.Lock()
	defer gate.Unlock()
	if aws.ToString(in.VersionId) != "" {
		return s.removeVersion(ctx, in)
	}
	if err := s.checkDeleted(ctx, in); err != nil {
		return nil, err
	}
	versioning, err := s.GetBucketVersioning(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if versioning.Status == nil || strings.HasSuffix(key, "/") { // a folder has no versions
		return s.Posix.DeleteObject(ctx, in)
	}
	return s.mark(bucket, key, *versioning.Status)
}

// checkDeleted refuses conditions that what is current does not meet. To the backend they hold where there is no object.
func (s *store) checkDeleted(ctx context.Context, in *s3.DeleteObjectInput) error {
	if unconditional(in) {
		return nil
	}
	head, err := s.Posix.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	if errors.Is(err, s3err.GetAPIError(s3err.ErrNoSuchKey)) {
		return meets(&s3.HeadObjectOutput{ContentLength: aws.Int64(-1)}, in) // which nothing meets
	}
	if err != nil {
		return err
	}
	return meets(head, in)
}

func unconditional(in *s3.DeleteObjectInput) bool {
	return in.IfMatch == nil && in.IfMatchLastModifiedTime == nil && in.IfMatchSize == nil
}

// meets returns the error for the first condition that does not hold for what head describes.
func meets(head *s3.HeadObjectOutput, in *s3.DeleteObjectInput) error {
	return backend.EvaluateObjectDeletePreconditions(aws.ToString(head.ETag), aws.ToTime(head.LastModified),
		aws.ToInt64(head.ContentLength), backend.ObjectDeletePreconditions{IfMatch: in.IfMatch,
			IfMatchLastModTime: in.IfMatchLastModifiedTime, IfMatchSize: in.IfMatchSize})
}

// removeVersion removes one version for good. A version that is not there is a success, as on AWS; to the backend it is an
// error, the same as that for an ID which cannot be.
func (s *store) removeVersion(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	current, err := s.currentVersion(aws.ToString(in.Bucket), aws.ToString(in.Key))
	if err != nil {
		return nil, err
	}
	if current == *in.VersionId {
		return s.removeCurrent(ctx, in)
	}
	_, err = s.Posix.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, VersionId: in.VersionId})
	if _, missing := errors.AsType[s3err.NoSuchVersionError](err); missing {
		return &s3.DeleteObjectOutput{VersionId: in.VersionId}, nil
	}
	return s.Posix.DeleteObject(ctx, in)
}

// removeCurrent removes the current version for good, which makes the one below it current.
func (s *store) removeCurrent(ctx context.Context, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	if err := s.checkDeleted(ctx, in); err != nil {
		return nil, err
	}
	_, err := attributes{}.RetrieveAttribute(nil, filepath.Join(s.root, *in.Bucket), *in.Key, attributeDeleteMarker)
	if err != nil && !errors.Is(err, meta.ErrNoSuchKey) {
		return nil, err
	}
	marker := err == nil
	restored, err := s.restoreBelow(*in.Bucket, *in.Key, *in.VersionId)
	if err != nil {
		return nil, fmt.Errorf("restore the version below: %w", err)
	}
	if !restored {
		return s.Posix.DeleteObject(ctx, in)
	}
	return &s3.DeleteObjectOutput{VersionId: in.VersionId, DeleteMarker: &marker}, nil
}

// restoreBelow puts the version below the current one in its place, when there is one below. It is one rename, where the
// backend removes, copies, and then sets one attribute after the other: killed in between, it would leave no object, or
// one without its ETag and metadata. What a killed write kept of the current version goes first: it is not below.
func (s *store) restoreBelow(bucket, key, current string) (restored bool, err error) {
	dir := s.versionsOf(bucket, key)
	if err := removeFile(filepath.Join(dir, current)); err != nil {
		return false, err
	}
	below, err := os.ReadDir(dir)
	if err != nil || len(below) == 0 {
		return false, ignoreMissing(err)
	}
	latest := slices.MaxFunc(below, func(a, b os.DirEntry) int {
		return strings.Compare(strings.TrimPrefix(a.Name(), nullVersion), strings.TrimPrefix(b.Name(), nullVersion))
	})
	return true, os.Rename(filepath.Join(dir, latest.Name()), filepath.Join(s.root, bucket, key))
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
