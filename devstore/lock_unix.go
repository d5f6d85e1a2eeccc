//go:build !windows

package devstore

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockFile opens the file, creating it if need be, and waits for an exclusive lock on it. The lock is held by the open
// file: closing it, or the end of the process, releases it. Another open file of this process waits like another process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// claimFile locks the file for as long as this process lives, or returns the context's error.
func claimFile(ctx context.Context, path string) error {
	// A bare descriptor, as an os.File would be closed, and the lock released, when nothing refers to it any more.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	const pause = 20 * time.Millisecond
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), unix.Close(fd))
		case <-time.After(pause):
		}
	}
}
