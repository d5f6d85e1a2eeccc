package devstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/versity/versitygw/backend/meta"

	"github.com/s3mesh/s3mesh"
)

const (
	// The backend's own names of some attributes.
	attributeVersionID    = "version-id"
	attributeDeleteMarker = "delete-marker"
	// attributeWritten stands for a file's modification time, which the backend gives as LastModified. It is listed,
	// read and set like an attribute, so that it goes along wherever the backend copies the attributes of a version.
	attributeWritten = "s3mesh-written"
)

// attributes keeps what belongs to an object beside its body in extended attributes of its file, as versitygw does, and
// mends what the backend makes of them: it copies an overwritten object to its place among the versions without its
// modification time. So LastModified of a version changes when it is overwritten, which on AWS it does not, and which would
// change its place in the version order. Here it is kept.
//
// It is stateless, and thus safe for concurrent use.
type attributes struct{ meta.XattrMeta }

var _ meta.MetadataStorer = attributes{}

// ListAttributes lists the modification time last: setting others must not follow its restoration.
func (a attributes) ListAttributes(bucket, object string) ([]string, error) {
	names, err := a.XattrMeta.ListAttributes(bucket, object)
	if err != nil {
		return nil, err
	}
	return append(names, attributeWritten), nil
}

// RetrieveAttribute reads an attribute of f or, when f is nil, of the path.
func (a attributes) RetrieveAttribute(f *os.File, bucket, object, attribute string) ([]byte, error) {
	if attribute != attributeWritten {
		return a.XattrMeta.RetrieveAttribute(f, bucket, object, attribute)
	}
	info, err := stat(f, filepath.Join(bucket, object))
	if err != nil {
		return nil, err
	}
	return info.ModTime().MarshalBinary()
}

func stat(f *os.File, path string) (os.FileInfo, error) {
	if f != nil {
		return f.Stat()
	}
	return os.Stat(path)
}

// StoreAttribute sets an attribute of f or, when f is nil, of the path.
func (a attributes) StoreAttribute(f *os.File, bucket, object, attribute string, value []byte) error {
	path := filepath.Join(bucket, object)
	if f != nil {
		path = f.Name()
	}
	if attribute == attributeWritten {
		var written time.Time
		if err := written.UnmarshalBinary(value); err != nil {
			return err
		}
		return os.Chtimes(path, time.Time{}, written)
	}
	return a.XattrMeta.StoreAttribute(f, bucket, object, attribute, value)
}

// probeAttributes finds out whether files in dir can carry attributes.
func probeAttributes(dir string, storer meta.MetadataStorer) error {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "open directory",
			Err: fmt.Errorf("%w; choose a directory that can be written to", err)}
	}
	defer os.Remove(f.Name())
	err = storer.StoreAttribute(f, dir, filepath.Base(f.Name()), "probe", []byte("1"))
	if err := errors.Join(err, f.Close()); err != nil {
		return attributeError(dir, err)
	}
	return nil
}

func attributeError(dir string, err error) error {
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, errors.ErrUnsupported) {
		return &s3mesh.Error{Kind: s3mesh.KindUnsupported, Op: "open directory", Err: fmt.Errorf("the filesystem of %s "+
			"lacks user extended attributes, in which the S3 server keeps what belongs to an object: choose a directory on "+
			"ext4, XFS, Btrfs, ZFS or APFS, or on tmpfs with Linux 6.6 or later", dir)}
	}
	return &s3mesh.Error{Kind: s3mesh.KindOther, Op: "open directory", Err: fmt.Errorf("set an extended attribute: %w", err)}
}
