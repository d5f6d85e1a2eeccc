package natsqueue

import (
	"os"
	"syscall"
)

// syncData makes the file's data durable, without its times.
func syncData(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
