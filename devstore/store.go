package devstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// store is versitygw's POSIX backend with deletes and tagging serialised with the writes of the same key.
//
// The backend takes a lock to publish an object, but none to delete one: it inspects the current file, copies it to the
// versions, and marks it, by path. A write that comes between is marked in its place, and is lost; and DELETE with
// If-Match decides on a state that may have passed. The lock is a file lock at a place that gateways on one filesystem
// agree on, so that it can be taken from here too.
//
// A write copies the current version to the others before it takes its place, and so, in its way, does a delete. Killed in
// between, the region leaves a version twice: it has not been replaced, and what is among the others under the ID of the
// current version is not there, to whoever looks.
type store struct {
	*posix.Posix
	root     string // where the buckets are
	versions string // where the versions are that are not current
	gates    gates
}

// nullVersion is the ID of a version that was written while the bucket had no versioning, or had it suspended.
const nullVersion = "null"

// PutObject refuses keys that fold, as a form may bring them past refuseFoldingKeys, and names that are too long.
func (s *store) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	if folds(aws.ToString(in.Key)) {
		return s3response.PutObjectOutput{}, s3err.GetAPIError(s3err.ErrInvalidURI)
	}
	if err := checkNames(aws.ToString(in.Key)); err != nil {
		return s3response.PutObjectOutput{}, err
	}
	in.Metadata = mailSafe(in.Metadata)
	return s.Posix.PutObject(ctx, in)
}

// CreateMultipartUpload refuses names that are too long before any part is sent.
func (s *store) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (
	s3response.InitiateMultipartUploadResult, error) {
	if err := checkNames(aws.ToString(in.Key)); err != nil {
		return s3response.InitiateMultipartUploadResult{}, err
	}
	in.Metadata = mailSafe(in.Metadata)
	return s.Posix.CreateMultipartUpload(ctx, in)
}

// PutObjectTagging sets tags under the key's lock.
func (s *store) PutObjectTagging(ctx context.Context, bucket, key, versionID string, tags map[string]string) error {
	unlock, err := s.lock(bucket, key)
	if err != nil {
		return err
	}
	defer unlock.Close()
	return s.Posix.PutObjectTagging(ctx, bucket, key, versionID, tags)
}

// DeleteObjectTagging removes tags under the key's lock.
func (s *store) DeleteObjectTagging(ctx context.Context, bucket, key, versionID string) error {
	unlock, err := s.lock(bucket, key)
	if err != nil {
		return err
	}
	defer unlock.Close()
	return s.Posix.DeleteObjectTagging(ctx, bucket, key, versionID)
}

// lock takes the backend's own lock for publishing an object under key; closing it releases it. The place is that of
// backend/posix/objlock.go. Not to be held around a call that publishes: the backend would wait for itself.
func (s *store) lock(bucket, key string) (io.Closer, error) {
	dir := filepath.Join(s.root, ".vgwlocks", fmt.Sprintf("%x", sha256.Sum256([]byte(bucket))))
	path := filepath.Join(dir, shard(key))
	f, err := lockFile(path)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f, err = lockFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the key: %w", err)
	}
	return f, nil
}

// shard names the lock of a key, which it shares with others of the same bucket.
func shard(key string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("%02x", sum[0])
}

// currentVersion returns the ID of the current version of a key, object or marker, or "" when there is none. A folder has
// no versions.
func (s *store) currentVersion(bucket, key string) (string, error) {
	if strings.HasSuffix(key, "/") {
		return "", nil
	}
	path := filepath.Join(s.root, bucket)
	info, err := os.Stat(filepath.Join(path, key))
	if errors.Is(err, syscall.ENAMETOOLONG) {
		return "", s3err.GetKeyTooLongErr(int64(len(key)), maxKey)
	}
	if err != nil || info.IsDir() {
		return "", ignoreMissing(err)
	}
	id, err := attributes{}.RetrieveAttribute(nil, path, key, attributeVersionID)
	if errors.Is(err, meta.ErrNoSuchKey) {
		return nullVersion, nil
	}
	return string(id), ignoreMissing(err)
}

// versionsOf returns the directory of the versions of a key that are not current, each under its ID. The place is that of
// backend/posix/posix.go.
func (s *store) versionsOf(bucket, key string) string {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
	return filepath.Join(s.versions, bucket, sum[:2], sum[2:4], sum[4:6], sum)
}
