//go:build !linux

package natsqueue

import "os"

// syncData makes the file durable.
func syncData(file *os.File) error { return file.Sync() }
