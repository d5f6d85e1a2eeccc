package natsqueue

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// startJournal starts a journal in dir whose checkpoints find nothing to sync. Its log goes to the buffer.
func startJournal(t *testing.T, dir string) (*journal, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	j := newJournal(dir, slog.New(slog.NewTextHandler(&log, nil)), func() error { return nil })
	go j.run()
	t.Cleanup(func() {
		if err := j.close(); err != nil {
			t.Error("close:", err)
		}
	})
	return j, &log
}

// keep appends one message and releases it.
func keep(t *testing.T, j *journal, subject, data string) {
	t.Helper()
	e, err := j.append(appendRecord(nil, recordPut, subject, []byte(data)))
	if err != nil {
		t.Fatal("append:", err)
	}
	j.release(e)
}

// recovered returns the last message of every subject in the journal, and what was logged.
func recovered(t *testing.T, dir string) (map[string]string, string) {
	t.Helper()
	var log bytes.Buffer
	last := map[string]string{}
	err := leftover{dir: dir, log: slog.New(slog.NewTextHandler(&log, nil))}.replay(func(r record) error {
		last[r.subject] = string(r.data)
		return nil
	})
	if err != nil {
		t.Fatal("replay:", err)
	}
	return last, log.String()
}

func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestJournalEmpty(t *testing.T) {
	dir := t.TempDir()
	startJournal(t, dir)
	if last, log := recovered(t, dir); len(last) > 0 || log != "" {
		t.Errorf("an empty journal holds %v; log %s", last, log)
	}
	// As left by a process killed while it made the file.
	if err := os.WriteFile(filepath.Join(dir, "0"+segmentSuffix), make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	if last, log := recovered(t, dir); len(last) > 0 || log != "" {
		t.Errorf("an unfinished segment holds %v; log %s", last, log)
	}
}

// volatileDisk loses what was not synced: writes reach the file with the next Sync.
type volatileDisk struct {
	disk
	writes []func() error
}

func (v *volatileDisk) WriteAt(p []byte, off int64) (int, error) {
	p = bytes.Clone(p)
	v.writes = append(v.writes, func() error { _, err := v.disk.WriteAt(p, off); return err })
	return len(p), nil
}

func (v *volatileDisk) Sync() error {
	for _, write := range v.writes {
		if err := write(); err != nil {
			return err
		}
	}
	v.writes = nil
	return v.disk.Sync()
}

// TestJournalPowerLoss appends from many goroutines over several segments, and expects all of it on disk at once, the last
// record of each subject last.
func TestJournalPowerLoss(t *testing.T) {
	dir := t.TempDir()
	j, _ := startJournal(t, dir)
	var syncs atomic.Int64
	j.create = func(path string) (disk, error) {
		d, err := createSegment(path)
		return &countingDisk{&volatileDisk{disk: d}, &syncs}, err
	}
	padding := strings.Repeat("x", 32<<10)
	var mu sync.Mutex
	want := map[string]string{}
	var writers sync.WaitGroup
	const rounds, perRound = 30, 20
	for w := range perRound {
		writers.Go(func() {
			for i := range rounds {
				subject, data := fmt.Sprintf("s.%d.%d", w, i%3), fmt.Sprint(i, padding)
				e, err := j.append(appendRecord(nil, recordPut, subject, []byte(data)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[subject] = data
				mu.Unlock()
				defer j.release(e) // until the end: nothing may be given up
			}
		})
	}
	writers.Wait()
	got, log := recovered(t, dir)
	if !maps.Equal(got, want) || log != "" {
		t.Errorf("recovered %d subjects, want %d, with the last data of each; log %s", len(got), len(want), log)
	}
	if n := len(segmentFiles(t, dir)); n < 3 {
		t.Errorf("%d segments, want at least 3", n)
	}
	if n := syncs.Load(); n >= rounds*perRound {
		t.Errorf("%d syncs for %d appends: none was shared", n, rounds*perRound)
	}
}

type countingDisk struct {
	disk
	syncs *atomic.Int64
}

func (c *countingDisk) Sync() error {
	c.syncs.Add(1)
	return c.disk.Sync()
}

// TestJournalGivesUp shows when segments are given up, and that one is used again.
func TestJournalGivesUp(t *testing.T) {
	dir := t.TempDir()
	j, _ := startJournal(t, dir)
	checkpoint := func() {
		t.Helper()
		if err := j.checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	keep(t, j, "before", "1")
	held, err := j.append(appendRecord(nil, recordPut, "held", []byte("2")))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint()
	keep(t, j, "after", "3")
	checkpoint()
	if got, log := recovered(t, dir); len(got) != 3 || log != "" {
		t.Errorf("with an append not released, the journal holds %v; log %s", got, log)
	}
	j.release(held)
	failure := errors.New("no sync today")
	j.persist = func() error { return failure }
	if err := j.checkpoint(); !errors.Is(err, failure) {
		t.Error("checkpoint:", err)
	}
	if got, _ := recovered(t, dir); len(got) != 3 {
		t.Errorf("after a failed sync, the journal holds %v", got)
	}
	j.persist = func() error { return nil }
	checkpoint()
	if got, log := recovered(t, dir); len(got) != 0 || log != "" {
		t.Errorf("with all released and synced, the journal holds %v; log %s", got, log)
	}
	for i := range 5 {
		keep(t, j, "again", fmt.Sprint(i))
		if got, log := recovered(t, dir); len(got) != 1 || got["again"] != fmt.Sprint(i) || log != "" {
			t.Errorf("round %d: the journal holds %v; log %s", i, got, log)
		}
		checkpoint()
	}
	if files := segmentFiles(t, dir); len(files) != 1 {
		t.Errorf("files %v, want one that is used again", files)
	}
}

// TestJournalDiskFull shows that an append fails while there is no room, and that nothing of it comes back.
func TestJournalDiskFull(t *testing.T) {
	dir := t.TempDir()
	j, _ := startJournal(t, dir)
	j.create = func(string) (disk, error) { return nil, syscall.ENOSPC }
	for range 3 {
		_, err := j.append(appendRecord(nil, recordPut, "refused", nil))
		if kindOf(err) != s3mesh.KindThrottled {
			t.Errorf("append on a full disk: %v, want throttled", err)
		}
	}
	j.create = createSegment
	keep(t, j, "kept", "1")
	if got, log := recovered(t, dir); len(got) != 1 || got["kept"] != "1" || log != "" {
		t.Errorf("recovered %v; log %s", got, log)
	}
}

type failingDisk struct {
	disk
	write, sync error
}

func (f *failingDisk) WriteAt(p []byte, off int64) (int, error) {
	if f.write != nil {
		return 0, f.write
	}
	return f.disk.WriteAt(p, off)
}

func (f *failingDisk) Sync() error { return errors.Join(f.sync, f.disk.Sync()) }

// TestJournalBadDisk shows that an append fails when the write or the sync does, that what was on disk before stays, and
// that a file that has failed is not written to again.
func TestJournalBadDisk(t *testing.T) {
	for _, failure := range []failingDisk{{write: syscall.EIO}, {sync: syscall.EIO}} {
		dir := t.TempDir()
		j, _ := startJournal(t, dir)
		bad := &failingDisk{}
		j.create = func(path string) (disk, error) {
			d, err := createSegment(path)
			bad = &failingDisk{disk: d}
			return bad, err
		}
		keep(t, j, "before", "1")
		bad.write, bad.sync = failure.write, failure.sync
		if _, err := j.append(appendRecord(nil, recordPut, "failed", nil)); !errors.Is(err, syscall.EIO) {
			t.Errorf("append on a bad disk: %v", err)
		}
		keep(t, j, "after", "2")
		got, _ := recovered(t, dir)
		delete(got, "failed") // may have reached the disk
		if got["before"] != "1" || got["after"] != "2" || len(got) != 2 {
			t.Errorf("recovered %v", got)
		}
		if n := len(segmentFiles(t, dir)); n != 2 {
			t.Errorf("%d segments, want another one after the failure", n)
		}
	}
}

// TestJournalBounded shows that the journal does not grow without end while checkpoints fail, and goes on when they work
// again.
func TestJournalBounded(t *testing.T) {
	j, _ := startJournal(t, t.TempDir())
	j.mu.Lock()
	for range maxSegments {
		s := &segment{file: &volatileDisk{disk: nopDisk{}}, path: filepath.Join(t.TempDir(), "none")}
		j.sealed = append(j.sealed, s)
	}
	j.mu.Unlock()
	if _, err := j.append(appendRecord(nil, recordPut, "s", nil)); !errors.Is(err, errJournalFull) {
		t.Errorf("append: %v, want %v", err, errJournalFull)
	}
	if err := j.checkpoint(); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	keep(t, j, "s", "1")
}

type nopDisk struct{}

func (nopDisk) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nopDisk) Sync() error                            { return nil }
func (nopDisk) Close() error                           { return nil }

func TestJournalClosed(t *testing.T) {
	j := newJournal(t.TempDir(), slog.Default(), func() error { return nil })
	go j.run()
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.append(appendRecord(nil, recordPut, "s", nil)); kindOf(err) != s3mesh.KindCanceled {
		t.Errorf("append after close: %v, want canceled", err)
	}
}
