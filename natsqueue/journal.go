package natsqueue

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// checkpointEvery is how often the embedded server's files are synced, and the journal up to there given up.
	checkpointEvery = 10 * time.Second
	// checkpointFrom is the number of full segments that brings the next checkpoint forward.
	checkpointFrom = 4
	// maxSegments bounds the journal at 512 MiB, when checkpoints fail or cannot keep up.
	maxSegments = 64
)

var errJournalFull = errors.New("the journal is full, as its events could not be synced to the event stream: see the log")

// journal keeps what is published on disk until the embedded server's own files, which it writes without syncing them,
// have been synced: see [journal.checkpoint]. Concurrent appends share one write and one sync. All methods are safe for
// concurrent use.
type journal struct {
	dir     string
	log     *slog.Logger
	persist func() error                    // syncs what the server has acknowledged
	create  func(path string) (disk, error) // createSegment
	turn    chan struct{}                   // held by who writes; guards active, next and buf

	active *segment // nil until the next record
	next   uint64   // the sequence of the next segment
	buf    []byte

	mu      sync.Mutex
	closed  bool
	pending *group
	sealed  []*segment // full ones, oldest first
	spare   *segment   // given up, to be used again

	kick, stop, done chan struct{}
}

// group is appends that go to disk together.
type group struct {
	entries []*entry
	written chan struct{} // closed once err is set
	err     error
}

// entry is the records of one append: on disk, and held until it is released.
type entry struct {
	records []byte
	segment *segment
}

func newJournal(dir string, log *slog.Logger, persist func() error) *journal {
	return &journal{
		dir: dir, log: log, persist: persist, create: createSegment, next: 1,
		turn: make(chan struct{}, 1), kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// append returns when the records are on disk. The entry must be released once the server has answered for its
// messages, or the caller has been told that the publish failed.
func (j *journal) append(records []byte) (*entry, error) {
	e := &entry{records: records}
	g, err := j.join(e)
	if err != nil {
		return nil, err
	}
	select {
	case <-g.written:
	case j.turn <- struct{}{}:
		j.commit()
		<-j.turn
		<-g.written // by this commit, or by an earlier one
	}
	if g.err != nil {
		j.release(e)
		return nil, fmt.Errorf("journal: %w", g.err)
	}
	return e, nil
}

func (j *journal) join(e *entry) (*group, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, errClosed
	}
	if j.pending == nil {
		j.pending = &group{written: make(chan struct{})}
	}
	j.pending.entries = append(j.pending.entries, e)
	return j.pending, nil
}

// release says that the journal need not outlast the next sync of the server's files for this entry's sake.
func (j *journal) release(e *entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.segment != nil {
		e.segment.held--
		e.segment = nil
	}
}

// commit writes the pending group, if there is one. The caller holds the turn.
func (j *journal) commit() {
	j.mu.Lock()
	g := j.pending
	j.pending = nil
	full := len(j.sealed) >= maxSegments
	j.mu.Unlock()
	switch {
	case g == nil:
		return
	case full:
		g.err = errJournalFull
	default:
		g.err = j.write(g.entries)
	}
	close(g.written)
}

func (j *journal) write(entries []*entry) error {
	for _, e := range entries {
		if j.active != nil && j.active.size+int64(len(j.buf)+len(e.records)+recordHeader+bodyHeader) > segmentSize {
			if err := j.seal(); err != nil {
				return err
			}
		}
		if j.active == nil {
			if err := j.begin(); err != nil {
				return err
			}
		}
		stamp(e.records, j.active.sequence)
		j.buf = append(j.buf, e.records...)
		j.mu.Lock()
		e.segment = j.active
		e.segment.held++
		j.mu.Unlock()
	}
	return j.flush()
}

// begin makes a segment the active one. Its header goes to disk with its first records.
func (j *journal) begin() error {
	j.mu.Lock()
	s := j.spare
	j.spare = nil
	j.mu.Unlock()
	if s == nil {
		path := filepath.Join(j.dir, fmt.Sprintf("%016x%s", j.next, segmentSuffix))
		file, err := j.create(path)
		if err != nil {
			return err
		}
		s = &segment{path: path, file: file}
	}
	s.sequence, s.size = j.next, 0
	j.next++
	j.active = s
	j.buf = append(j.buf[:0], encodeHeader(s.sequence)...)
	return nil
}

// flush writes what has been gathered, and syncs it. After a failure nobody knows what of the file is on disk: it is not
// written to again, but kept for what it holds.
func (j *journal) flush() error {
	_, err := j.active.file.WriteAt(j.buf, j.active.size)
	if err == nil {
		err = j.active.file.Sync()
	}
	j.active.size += int64(len(j.buf))
	j.buf = j.buf[:0]
	if err != nil {
		j.retireActive()
	}
	return err
}

// seal ends the active segment.
func (j *journal) seal() error {
	end := appendRecord(nil, recordEnd, "", nil)
	stamp(end, j.active.sequence)
	j.buf = append(j.buf, end...)
	if err := j.flush(); err != nil {
		return err
	}
	j.retireActive()
	return nil
}

func (j *journal) retireActive() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sealed = append(j.sealed, j.active)
	j.active = nil
	if len(j.sealed) >= checkpointFrom {
		select {
		case j.kick <- struct{}{}:
		default:
		}
	}
}

// run makes checkpoints until close.
func (j *journal) run() {
	defer close(j.done)
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-j.stop:
			return
		case <-tick.C:
		case <-j.kick:
		}
		if err := j.checkpoint(); err != nil {
			j.log.Error("the event stream could not be synced: the journal grows until it can", "error", err)
		}
	}
}

// checkpoint syncs the server's files, and gives up the segments of which the server had acknowledged everything before:
// the oldest ones only, so that a newer record of a subject is never given up before an older one.
func (j *journal) checkpoint() error {
	j.turn <- struct{}{}
	if j.active != nil {
		if err := j.seal(); err != nil {
			j.log.Warn("a segment of the journal could not be ended", "error", err)
		}
	}
	<-j.turn
	j.mu.Lock()
	settled := 0
	for settled < len(j.sealed) && j.sealed[settled].held == 0 {
		settled++
	}
	j.mu.Unlock()
	if err := j.persist(); err != nil {
		return err
	}
	j.mu.Lock()
	given := j.sealed[:settled:settled]
	j.sealed = j.sealed[settled:]
	j.mu.Unlock()
	var errs []error
	for _, s := range given {
		errs = append(errs, j.giveUp(s))
	}
	return errors.Join(errs...)
}

// giveUp keeps one segment to be used again, and removes the others.
func (j *journal) giveUp(s *segment) error {
	_, err := s.file.WriteAt(make([]byte, segmentHeader), 0)
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil { // one that cannot be written is no use
		j.mu.Lock()
		keep := j.spare == nil
		if keep {
			j.spare = s
		}
		j.mu.Unlock()
		if keep {
			return nil
		}
	}
	return errors.Join(s.file.Close(), os.Remove(s.path))
}

// close ends appends and checkpoints. The files stay.
func (j *journal) close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	<-j.done
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	j.commit() // of appends that came before
	var errs []error
	for _, s := range slices.Concat(j.sealed, []*segment{j.active, j.spare}) {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}
