package reconcile

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	runBuffer = 64 << 10
	// maxText bounds a key or an ETag that is read from a file, in bytes. S3 keys are up to 1,024.
	maxText = 1 << 20
)

// runWriter writes entries in byte order to a file, and marks places in it.
type runWriter struct {
	file   *os.File
	out    *bufio.Writer
	buf    []byte
	offset int64
	count  int
	stride int // entries between marks
	marks  []mark
	latest string
}

func createRun(path string) (*runWriter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &runWriter{file: f, out: bufio.NewWriterSize(f, runBuffer), stride: 1}, nil
}

// put appends an entry, unless the one before has its key.
func (w *runWriter) put(e s3mesh.Listed) error {
	if w.count > 0 && e.Key == w.latest {
		return nil
	}
	w.latest = e.Key
	if w.count%w.stride == 0 {
		w.mark(e.Key)
	}
	w.count++
	b := appendText(w.buf[:0], e.Key)
	b = binary.AppendVarint(b, e.Size)
	b = appendText(b, e.ETag)
	b = binary.AppendVarint(b, e.LastModified.Unix())
	b = binary.AppendVarint(b, int64(e.LastModified.Nanosecond()))
	w.buf = b
	n, err := w.out.Write(b)
	w.offset += int64(n)
	return err
}

// mark notes that the entries from key on begin here.
func (w *runWriter) mark(key string) {
	if len(w.marks) == maxMarks {
		for i := range maxMarks / 2 {
			w.marks[i] = w.marks[2*i]
		}
		clear(w.marks[maxMarks/2:])
		w.marks = w.marks[:maxMarks/2]
		w.stride *= 2
	}
	w.marks = append(w.marks, mark{key, w.offset})
}

func (w *runWriter) close() error { return errors.Join(w.out.Flush(), w.file.Close()) }

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// runReader reads what a runWriter wrote.
type runReader struct {
	file *os.File
	in   *bufio.Reader
}

func openRun(path string, offset int64) (*runReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &runReader{file: f, in: bufio.NewReaderSize(f, runBuffer)}, nil
}

// page returns the next entries after a key. With io.EOF they are the last ones.
func (r *runReader) page(after string) ([]s3mesh.Listed, error) {
	items := make([]s3mesh.Listed, 0, sortedPage)
	for len(items) < sortedPage {
		e, err := r.next()
		if err != nil {
			return items, err
		}
		if e.Key > after {
			items = append(items, e)
		}
	}
	return items, nil
}

// next returns the next entry, or io.EOF after the last one.
func (r *runReader) next() (s3mesh.Listed, error) {
	if _, err := r.in.Peek(1); err != nil {
		return s3mesh.Listed{}, err
	}
	key, err1 := r.text()
	size, err2 := binary.ReadVarint(r.in)
	etag, err3 := r.text()
	seconds, err4 := binary.ReadVarint(r.in)
	nanos, err5 := binary.ReadVarint(r.in)
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		// Not wrapped: an end in the middle of an entry is none that a caller may take for the end.
		return s3mesh.Listed{}, fmt.Errorf("a sorted listing is damaged: %s", err.Error())
	}
	return s3mesh.Listed{Key: key, Size: size, ETag: etag, LastModified: time.Unix(seconds, nanos).UTC()}, nil
}

func (r *runReader) text() (string, error) {
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("a text of %d bytes", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.in, b)
	return string(b), err
}

func (r *runReader) close() { _ = r.file.Close() } // only read from: nothing is lost

// head is the next entry of a run that is being merged.
type head struct {
	entry s3mesh.Listed
	place int // of the run among those that are merged
	from  *runReader
}

// heads is a heap of them, by key, the earlier run first.
type heads []head

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heads) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].entry.Key, h[j].entry.Key), cmp.Compare(h[i].place, h[j].place)) < 0
}

// Push implements [heap.Interface], but is not used: a merge only ever loses runs.
func (h *heads) Push(any) { panic("a merge gains no runs") }

// Pop implements [heap.Interface].
func (h *heads) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}

// mergeRuns yields the entries of several runs in byte order.
func mergeRuns(paths []string) iter.Seq2[s3mesh.Listed, error] {
	return func(yield func(s3mesh.Listed, error) bool) {
		var h heads
		var open []*runReader
		defer func() {
			for _, r := range open {
				r.close()
			}
		}()
		for i, path := range paths {
			r, err := openRun(path, 0)
			if err != nil {
				yield(s3mesh.Listed{}, err)
				return
			}
			open = append(open, r)
			e, err := r.next()
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				yield(s3mesh.Listed{}, err)
				return
			}
			h = append(h, head{e, i, r})
		}
		heap.Init(&h)
		for len(h) > 0 {
			if !yield(h[0].entry, nil) {
				return
			}
			if err := h.step(); err != nil {
				yield(s3mesh.Listed{}, err)
				return
			}
		}
	}
}

// step takes the next entry of the run whose entry is on top.
func (h *heads) step() error {
	e, err := (*h)[0].from.next()
	switch {
	case err == nil:
		(*h)[0].entry = e
		heap.Fix(h, 0)
		return nil
	case errors.Is(err, io.EOF):
		heap.Pop(h)
		return nil
	default:
		return err
	}
}
