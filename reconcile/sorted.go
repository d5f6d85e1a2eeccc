package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/s3mesh/s3mesh"
)

const (
	// sortBuffer is how many bytes of keys are sorted in memory at a time, about.
	sortBuffer = 8 << 20
	// entryOverhead is what an entry takes beside its key and ETag.
	entryOverhead = 64
	// fanIn is how many sorted files are merged at a time.
	fanIn = 32
	// maxMarks bounds the index of a sorted file: beyond it every other mark is dropped.
	maxMarks = 8192
	// sortedPage is how many keys a page of a sorted listing has.
	sortedPage = 1000
)

// sort lists a site as a whole into a file in byte order, from which it is merged then.
func (r *run) sort(ctx context.Context, site int) error {
	r.enter(PhaseSorting)
	dir, err := r.sortDir()
	if err != nil {
		return err
	}
	s := &sorter{dir: dir, buffer: sortBuffer}
	if err := r.listInto(ctx, site, s); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	listing, err := s.finish()
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	r.sorted[site], r.listers[site] = listing, listing
	r.store.flag(&r.store.state.Unordered, r.sites[site])
	return nil
}

// sortDir makes a directory for the files of one listing.
func (r *run) sortDir() (string, error) {
	if r.cfg.Dir != "" {
		if err := os.MkdirAll(r.cfg.Dir, 0o700); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(r.cfg.Dir, sortPrefix)
}

// sortPrefix starts the names of the directories that listings are sorted in.
const sortPrefix = "s3mesh-sort-"

// removeSorted removes the sorted listings of the run.
func (r *run) removeSorted() error {
	var errs []error
	for i, s := range r.sorted {
		if s != nil {
			errs = append(errs, os.RemoveAll(filepath.Dir(s.path)))
			r.sorted[i], r.listers[i] = nil, r.readers[i]
		}
	}
	return errors.Join(errs...)
}

// removeLeftovers removes the sorted listings of a process that was killed.
func removeLeftovers(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, sortPrefix+"*"))
	for _, path := range found {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// listInto hands all that a site lists to a sorter. After a passing failure it goes on where it was, in the store's own order.
func (r *run) listInto(ctx context.Context, site int, s *sorter) error {
	after, failures := "", 0
	for {
		moved, err := r.listFrom(ctx, site, after, s)
		if moved != "" {
			after, failures = moved, 0
		}
		if s.err != nil {
			return fmt.Errorf("cannot sort a listing on disk: %w", s.err)
		}
		if failures++; err == nil || !r.again(ctx, r.sites[site], err, failures) {
			return err
		}
	}
}

// listFrom returns the last key that it handed over, and why it ended early.
func (r *run) listFrom(ctx context.Context, site int, after string, s *sorter) (moved string, err error) {
	for items, err := range r.readers[site].List(ctx, s3mesh.ListOptions{Prefix: r.opt.Prefix, After: after}) {
		if err != nil {
			return moved, err
		}
		if s.err = s.add(items, r.cfg.takes); s.err != nil {
			return moved, s.err
		}
		if len(items) > 0 {
			moved = items[len(items)-1].Key
		}
	}
	return moved, nil
}

// sorter sorts entries in bounded memory: sorted runs go to files, which are merged into one.
type sorter struct {
	dir     string
	buffer  int // bytes
	entries []s3mesh.Listed
	size    int
	runs    []string // paths
	made    int      // files so far
	err     error
}

func (s *sorter) add(items []s3mesh.Listed, takes func(string) bool) error {
	for _, e := range items {
		if !takes(e.Key) {
			continue
		}
		s.entries = append(s.entries, e)
		if s.size += len(e.Key) + len(e.ETag) + entryOverhead; s.size >= s.buffer {
			if err := s.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// spill writes what is in memory to a file of its own, and merges files before there are too many to open at once.
func (s *sorter) spill() error {
	slices.SortStableFunc(s.entries, func(a, b s3mesh.Listed) int { return strings.Compare(a.Key, b.Key) })
	_, err := s.write(func(yield func(s3mesh.Listed, error) bool) {
		for _, e := range s.entries {
			if !yield(e, nil) {
				return
			}
		}
	})
	clear(s.entries)
	s.entries, s.size = s.entries[:0], 0
	if err == nil && len(s.runs) >= fanIn*fanIn {
		err = s.mergeSome()
	}
	return err
}

// mergeSome merges the earliest files into one, which is put last: so all grow alike, and an entry is copied only as often as
// there are levels.
func (s *sorter) mergeSome() error {
	n := min(fanIn, len(s.runs))
	merged := slices.Clone(s.runs[:n])
	if _, err := s.write(mergeRuns(merged)); err != nil {
		return err
	}
	s.runs = slices.Delete(s.runs, 0, n)
	return removeAll(merged)
}

func removeAll(paths []string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}

// finish returns the listing in byte order.
func (s *sorter) finish() (*sortedListing, error) {
	if err := s.spill(); err != nil {
		return nil, err
	}
	s.entries = nil
	for len(s.runs) > fanIn {
		if err := s.mergeSome(); err != nil {
			return nil, err
		}
	}
	merged := s.runs
	listing, err := s.write(mergeRuns(merged))
	return listing, errors.Join(err, removeAll(merged))
}

// write writes entries, which come in byte order, to a new file. Of those with the same key one counts.
func (s *sorter) write(entries iter.Seq2[s3mesh.Listed, error]) (listing *sortedListing, err error) {
	s.made++
	path := filepath.Join(s.dir, fmt.Sprintf("run-%d", s.made))
	w, err := createRun(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		if err := w.put(e); err != nil {
			return nil, err
		}
	}
	s.runs = append(s.runs, path)
	return &sortedListing{path: path, marks: w.marks}, nil
}

// sortedListing is a file of entries in byte order. It is safe for concurrent use.
type sortedListing struct {
	path  string
	marks []mark
}

// mark says where in the file the entries from a key on lie.
type mark struct {
	key    string
	offset int64
}

// List implements lister. The prefix is that of the listing that was sorted.
func (l *sortedListing) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		r, err := openRun(l.path, l.offset(opt.After))
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.close()
		for {
			items, err := r.page(opt.After)
			if err == nil {
				err = canceled(ctx)
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			if len(items) > 0 && !yield(items, nil) || err != nil {
				return
			}
		}
	}
}

// offset returns where the entries after a key begin, or somewhat before.
func (l *sortedListing) offset(after string) int64 {
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].key > after })
	if i == 0 {
		return 0
	}
	return l.marks[i-1].offset
}
