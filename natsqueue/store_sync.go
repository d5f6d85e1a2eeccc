package natsqueue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// clockGrain is how recent a change may be for the next one to bear the same time.
const clockGrain = time.Second

// What the server writes without syncing it, and can do without: the state of a consumer, and the index of a stream.
const (
	consumerState = "o.dat"
	streamIndex   = "index.db"
)

// storeSync syncs the embedded server's files. The server itself would sync a message when it stores it, and another time
// when it forgets it; here, one sync covers all of that since the last one. Not safe for concurrent use.
type storeSync struct {
	dir    string
	synced map[string]version
}

// version tells whether a file has changed.
type version struct {
	size  int64
	mtime time.Time
}

func newStoreSync(dir string) *storeSync {
	return &storeSync{dir: dir, synced: map[string]version{}}
}

// messages syncs what holds messages: all that the server has acknowledged.
func (s *storeSync) messages() error {
	return s.sync(func(path string, entry fs.DirEntry) bool {
		if entry.IsDir() {
			return entry.Name() == "msgs"
		}
		return strings.HasSuffix(path, ".blk")
	})
}

// everything syncs all files: those of new and changed streams and consumers too.
func (s *storeSync) everything() error {
	return s.sync(func(string, fs.DirEntry) bool { return true })
}

// sync syncs the chosen files and directories that have changed. The server goes on working meanwhile: what it removes is
// not missed, and what it writes after a file was looked at is for the next time.
func (s *storeSync) sync(chosen func(string, fs.DirEntry) bool) error {
	seen := map[string]version{}
	err := s.walk(func(path string, entry fs.DirEntry) error {
		before, known := s.synced[path]
		if !chosen(path, entry) {
			if known {
				seen[path] = before
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		now := version{info.Size(), info.ModTime()}
		if age := time.Since(now.mtime); age > clockGrain || age < 0 {
			seen[path] = now
		}
		if known && before == now {
			return nil
		}
		return syncPath(path)
	})
	if err == nil {
		s.synced = seen
	}
	return err
}

// forgetUnsynced removes what the server may have written ahead of its messages before the power failed. A consumer that
// remembers to have seen more than the stream now holds would skip what comes next; without its state, it is given
// everything again that is still in the stream.
func (s *storeSync) forgetUnsynced() error {
	return s.walk(func(path string, entry fs.DirEntry) error {
		if name := entry.Name(); name == consumerState || name == streamIndex {
			return os.Remove(path)
		}
		return nil
	})
}

// walk visits what is there, and passes over what vanishes meanwhile.
func (s *storeSync) walk(visit func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = visit(path, entry)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// syncPath syncs a file, or the entries of a directory.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
