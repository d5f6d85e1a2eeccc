package devstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// stagingDir is where in a bucket the backend keeps files until they are whole. No listing shows it.
const stagingDir = ".sgwtmp"

// clearStaging removes the files that a killed region had not finished in any of the buckets in dir: bodies, copies, and
// delete markers. It takes as long as there were requests in flight then, and multipart uploads are open now.
func clearStaging(dir string) error {
	buckets, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, bucket := range buckets {
		staging := filepath.Join(dir, bucket.Name(), stagingDir)
		if err := removeFiles(staging); err != nil {
			return err
		}
		uploads := filepath.Join(staging, "multipart") // a directory for each key, with a directory for each upload
		keys, err := os.ReadDir(uploads)
		if err := ignoreMissing(err); err != nil {
			return err
		}
		for _, key := range keys {
			if err := removeFiles(filepath.Join(uploads, key.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeFiles removes the files in dir, if there is one, and leaves its directories.
func removeFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err := ignoreMissing(err); err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		if err := removeFile(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes a file, if there is one.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
