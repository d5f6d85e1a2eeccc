package natsqueue

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	segmentSuffix = ".segment"
	bootFile      = "boot"
	bootIDFile    = "/proc/sys/kernel/random/boot_id"
)

// leftover is the journal of a process that did not end by Close.
type leftover struct {
	dir string
	log *slog.Logger
	// unclean says that there is one, if only to tell that the server's files may be incomplete.
	unclean bool
	// powerLost says that the machine may have been down since: what was written and not synced may be lost.
	powerLost bool
}

// findLeftover looks for the journal of an earlier process, and marks the directory as in use by this one.
func findLeftover(dir string, log *slog.Logger) (leftover, error) {
	l := leftover{dir: dir, log: log}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return l, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return l, err
	}
	l.unclean = len(entries) > 0
	before, err := os.ReadFile(filepath.Join(dir, bootFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	now, err := os.ReadFile(bootIDFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	l.powerLost = l.unclean && (len(now) == 0 || !bytes.Equal(before, now))
	return l, nil
}

// begin marks the directory as in use, in this boot of the machine. Whoever finds the mark knows that no Close came.
func (l leftover) begin() error {
	now, err := os.ReadFile(bootIDFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path := filepath.Join(l.dir, bootFile)
	if err := os.WriteFile(path, now, 0o600); err != nil {
		return err
	}
	return errors.Join(syncPath(path), syncPath(l.dir), syncPath(filepath.Dir(l.dir)))
}

// replay calls apply with every record in the order of their writing. What cannot be read is logged, and the rest goes
// on: refusing to start would help nobody, and the records are all independent.
func (l leftover) replay(apply func(record) error) error {
	all, err := l.segments()
	if err != nil {
		return err
	}
	for i, s := range all {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return err
		}
		gaps, ended, err := scanRecords(data, s.sequence, apply)
		if err != nil {
			return err
		}
		last := i == len(all)-1
		for _, g := range gaps {
			l.damaged(last, s.path, "offset", g.offset, "bytes", g.length)
		}
		if !ended && !last {
			l.damaged(false, s.path, "missing", "its end")
		}
	}
	return nil
}

// damaged reports damage. In the last segment it is usually what was written when the power failed, and nobody was told
// that it was on disk; anywhere else it is none of that.
func (l leftover) damaged(last bool, path string, where ...any) {
	where = append(where, "file", path)
	if last {
		l.log.Warn("the last write to the event journal is incomplete; what could be read was recovered", where...)
		return
	}
	l.log.Error("the event journal is damaged and events may be lost; check the disk, and write objects that changed just "+
		"before the crash once more where sites differ", where...)
}

type found struct {
	path     string
	sequence uint64
}

// segments returns those in use, in order.
func (l leftover) segments() ([]found, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), segmentSuffix) {
			continue
		}
		path := filepath.Join(l.dir, e.Name())
		sequence, err := readHeader(path)
		if errors.Is(err, errHeader) {
			l.damaged(false, path, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if sequence != 0 {
			all = append(all, found{path, sequence})
		}
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Compare(a.sequence, b.sequence) })
	return all, nil
}

func readHeader(path string) (uint64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	header := make([]byte, segmentHeader)
	n, err := file.ReadAt(header, 0)
	if errors.Is(err, io.EOF) {
		err = nil // it was being made
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return decodeHeader(header[:n])
}

// removeSegments empties the journal: all that it held is in the server's files, and those are synced.
func removeSegments(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), segmentSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(err, syncPath(dir))
}

// removeMark says that the process ended by Close, with everything on disk and no segment left.
func removeMark(dir string) error {
	return errors.Join(os.Remove(filepath.Join(dir, bootFile)), syncPath(dir))
}
