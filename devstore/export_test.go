package devstore

import (
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// DeleteSteps returns the steps of a delete of key, and the ID of the marker, for tests that end between them. Each is to
// be called while the region of the directory does nothing with the key.
func DeleteSteps(dir, bucket, key string, status types.BucketVersioningStatus) ([]func() error, string, error) {
	s := &store{root: filepath.Join(dir, "objects"), versions: filepath.Join(dir, "versions")}
	current, err := s.currentVersion(bucket, key)
	m := s.marking(bucket, key, current, status)
	return m.steps(), m.versionID, err
}

// VersionFile returns the file of a version of key that is not current.
func VersionFile(dir, bucket, key, id string) string {
	return filepath.Join((&store{versions: filepath.Join(dir, "versions")}).versionsOf(bucket, key), id)
}
