package devstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/oklog/ulid/v2"
)

// mark puts a delete marker on top of what is current, if anything is.
func (s *store) mark(bucket, key string, status types.BucketVersioningStatus) (*s3.DeleteObjectOutput, error) {
	current, err := s.currentVersion(bucket, key)
	if err != nil {
		return nil, err
	}
	if current == "" {
		return &s3.DeleteObjectOutput{}, nil
	}
	m := s.marking(bucket, key, current, status)
	for _, step := range m.steps() {
		if err := step(); err != nil {
			return nil, fmt.Errorf("put a delete marker: %w", err)
		}
	}
	return &s3.DeleteObjectOutput{DeleteMarker: aws.Bool(true), VersionId: &m.versionID}, nil
}

// marking makes a delete marker the current version of a key, in steps that can end anywhere, as they do when the region
// is killed. Only the last, a rename, changes what a client reads.
//
// The backend copies the current file to the other versions, marks the file itself, and then gives it a version ID of its
// own. Killed in between, it leaves a marker with the ID of the object.
type marking struct {
	versionID string // of the marker
	current   string // the file of the key
	kept      string // its name among the other versions; "" when the marker takes the place of its version
	staged    string // where the marker is made
}

// marking returns what is to be done to put a marker over the version current. Markers are staged at one place for all
// keys of a lock, so that no more of them are left behind than there are locks.
func (s *store) marking(bucket, key, current string, status types.BucketVersioningStatus) marking {
	m := marking{versionID: nullVersion, current: filepath.Join(s.root, bucket, key),
		staged: filepath.Join(s.root, bucket, stagingDir, "marker-"+shard(key))}
	if status == types.BucketVersioningStatusEnabled {
		m.versionID = ulid.Make().String() // from where the backend's come: within a process each is greater than the last
	}
	if current != m.versionID {
		m.kept = filepath.Join(s.versionsOf(bucket, key), current)
	}
	return m
}

func (m marking) steps() []func() error {
	return []func() error{m.clear, m.stage, m.keep, m.publish}
}

// clear removes the marker that a killed region had made.
func (m marking) clear() error { return removeFile(m.staged) }

// stage makes the marker: an empty file without an ETag, as no condition on an object holds for it.
func (m marking) stage() error {
	if err := os.MkdirAll(filepath.Dir(m.staged), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(m.staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = attributes{}.StoreAttribute(f, "", "", attributeDeleteMarker, nil)
	if err == nil && m.versionID != nullVersion {
		err = attributes{}.StoreAttribute(f, "", "", attributeVersionID, []byte(m.versionID))
	}
	return errors.Join(err, f.Close())
}

// keep gives the current file its second name, as one of the other versions. Until the marker is published the version is
// there twice, which listings and removals of versions take into account, as writes of the backend do the same. A copy
// that a killed write left there goes first.
func (m marking) keep() (err error) {
	if m.kept == "" {
		return nil
	}
	const attempts = 10 // removing the last version of another key may take a directory away
	for range attempts {
		err = errors.Join(os.MkdirAll(filepath.Dir(m.kept), 0o755), removeFile(m.kept))
		if err == nil {
			err = os.Link(m.current, m.kept)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// publish makes the marker the current version.
func (m marking) publish() error { return os.Rename(m.staged, m.current) }
