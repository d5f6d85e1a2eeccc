package reconcile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	stateName    = "reconcile.json"
	stateVersion = 1
	saveEvery    = 2 * time.Second
	// maxCheckpoints and maxCompletions bound the file. What falls out of it costs a comparison from the start.
	maxCheckpoints = 8
	maxCompletions = 1024
)

// state is what is kept between runs. It holds no truth: without it, the next run compares more than it need.
type state struct {
	Version int    `json:"version"`
	Set     string `json:"set"`
	Rules   string `json:"rules"`
	// Runs are those that were cut off, the latest last.
	Runs []*checkpoint `json:"runs"`
	// Opaque and Unordered name the sites whose ETags do not depend on the content alone, and whose listings are not in byte order.
	Opaque    []string     `json:"opaque"`
	Unordered []string     `json:"unordered"`
	Complete  []completion `json:"complete"` // the latest of each link and prefix
}

// completion says that all keys with a prefix were compared over a link.
type completion struct {
	Link    s3mesh.Link `json:"link"`
	Prefix  string      `json:"prefix"`
	Started time.Time   `json:"started"`
	Keys    int64       `json:"keys"` // those of the whole run
}

// checkpoint is how far a run came.
type checkpoint struct {
	Options Options       `json:"options"`
	Links   []s3mesh.Link `json:"links"`
	Started time.Time     `json:"started"`
	// Stopped tells that an operator stopped the run, so that it does not go on by itself.
	Stopped bool     `json:"stopped,omitempty"`
	Shards  []*shard `json:"shards"`
}

// store keeps the state in memory and in a file. Its mutex guards all of it, the checkpoints of runs included.
type store struct {
	mu    sync.Mutex
	state state
	saved time.Time

	writing sync.Mutex // held while the file is being written
	path    string     // empty: nothing is kept
	now     func() time.Time
	log     *slog.Logger
}

func openStore(cfg Config) *store {
	s := &store{now: cfg.Now, log: cfg.Log}
	if cfg.Dir != "" {
		s.path = filepath.Join(cfg.Dir, stateName)
	}
	fresh := state{Version: stateVersion, Set: cfg.Set.Name, Rules: cfg.Rules}
	old, err := s.load()
	switch {
	case err != nil:
		s.log.Warn("cannot read what earlier comparisons left; the next one starts anew", "file", s.path, "error", err)
	case old.Set == fresh.Set && old.Rules == fresh.Rules:
		s.state = old
		return s
	}
	s.state = fresh
	return s
}

// load reads the file. That there is none is no error.
func (s *store) load() (state, error) {
	if s.path == "" {
		return state{}, nil
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return state{}, err
	}
	return st, st.validate()
}

// validate refuses what no program of ours wrote, before a run relies on it.
func (st state) validate() error {
	if st.Version != stateVersion {
		return fmt.Errorf("version %d, where this program knows %d", st.Version, stateVersion)
	}
	for _, ck := range st.Runs {
		if ck == nil || len(ck.Shards) == 0 {
			return errors.New("a run without shards")
		}
		low := ""
		for i, sh := range ck.Shards {
			last := i == len(ck.Shards)-1
			if sh == nil || string(sh.Low) != low || last != (len(sh.High) == 0) || !last && string(sh.High) <= low ||
				len(sh.Tally.ByLink) != len(ck.Links) {
				return errors.New("shards that do not fit together")
			}
			low = string(sh.High)
		}
	}
	return nil
}

// begin returns the checkpoint of a run, and whether an earlier run left it. What that left is forgotten where the run begins
// anew.
func (s *store) begin(opt Options, links []s3mesh.Link, anew bool) (ck *checkpoint, resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if anew {
		s.state.Runs = slices.DeleteFunc(s.state.Runs, func(old *checkpoint) bool { return sameOptions(old.Options, opt) })
	}
	for i, old := range s.state.Runs {
		if sameOptions(old.Options, opt) && slices.Equal(old.Links, links) {
			s.state.Runs = slices.Delete(s.state.Runs, i, i+1)
			old.Stopped = false
			s.state.Runs = append(s.state.Runs, old)
			return old, true
		}
	}
	return &checkpoint{Options: opt, Links: links, Started: s.now()}, false
}

// keep makes a checkpoint that has shards by now one of those that are saved.
func (s *store) keep(ck *checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.state.Runs, ck) {
		return
	}
	s.state.Runs = append(s.state.Runs, ck)
	if extra := len(s.state.Runs) - maxCheckpoints; extra > 0 {
		s.state.Runs = slices.Delete(s.state.Runs, 0, extra)
	}
}

// stop notes that an operator stopped a run.
func (s *store) stop(opt Options) {
	s.mu.Lock()
	for _, ck := range s.state.Runs {
		if sameOptions(ck.Options, opt) {
			ck.Stopped = true
		}
	}
	s.mu.Unlock()
	s.save()
}

// interrupted returns the options of the runs that were cut off and not stopped by an operator, the earliest first.
func (s *store) interrupted() []Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Options
	for _, ck := range s.state.Runs {
		if !ck.Stopped {
			all = append(all, ck.Options)
		}
	}
	return all
}

// complete notes that a run came to its end, and what needs no more to be kept because of that.
func (s *store) complete(ck *checkpoint, keys int64) {
	s.mu.Lock()
	s.state.Runs = slices.DeleteFunc(s.state.Runs, func(other *checkpoint) bool { return other == ck || ck.covers(other) })
	for _, link := range ck.Links {
		done := completion{Link: link, Prefix: ck.Options.Prefix, Started: ck.Started, Keys: keys}
		s.state.Complete = slices.DeleteFunc(s.state.Complete, func(old completion) bool {
			return old.Link == link && strings.HasPrefix(old.Prefix, done.Prefix) && !old.Started.After(done.Started)
		})
		s.state.Complete = append(s.state.Complete, done)
	}
	if extra := len(s.state.Complete) - maxCompletions; extra > 0 {
		s.state.Complete = slices.Delete(s.state.Complete, 0, extra)
	}
	s.mu.Unlock()
	s.save()
}

// covers reports that there is nothing left to do for an earlier run, as a later one compared all of it and more.
func (ck *checkpoint) covers(earlier *checkpoint) bool {
	foreign := func(l s3mesh.Link) bool { return !slices.Contains(ck.Links, l) }
	return earlier.Started.Before(ck.Started) && strings.HasPrefix(earlier.Options.Prefix, ck.Options.Prefix) &&
		(ck.Options.Full || !earlier.Options.Full) && !slices.ContainsFunc(earlier.Links, foreign)
}

// last returns the latest complete run over a link that covers a prefix; zero when there is none.
func (s *store) last(link s3mesh.Link, prefix string) completion {
	s.mu.Lock()
	defer s.mu.Unlock()
	var latest completion
	for _, c := range s.state.Complete {
		if c.Link == link && strings.HasPrefix(prefix, c.Prefix) && c.Started.After(latest.Started) {
			latest = c
		}
	}
	return latest
}

// flag adds a site to a list of the state.
func (s *store) flag(list *[]string, site string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(*list, site) {
		*list = append(*list, site)
	}
}

func (s *store) flagged(list *[]string, site string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(*list, site)
}

// saveSoon saves unless that was done a moment ago.
func (s *store) saveSoon() {
	s.mu.Lock()
	now := s.now()
	due := now.Sub(s.saved) >= saveEvery || now.Before(s.saved)
	if due {
		s.saved = now
	}
	s.mu.Unlock()
	if due {
		s.save()
	}
}

// save writes the file. A failure costs what the next process compares again, and is no reason to end a run.
func (s *store) save() {
	if s.path == "" {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	text, err := json.Marshal(s.state)
	s.mu.Unlock()
	if err == nil {
		err = replaceFile(s.path, text)
	}
	if err != nil {
		s.log.Warn("cannot keep how far a comparison came; after a restart it starts further back", "file", s.path, "error", err)
	}
}

// replaceFile writes a file so that after a crash it holds either the old text or the new one.
func replaceFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, stateName+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	err = errors.Join(cmp.Or(err, f.Sync()), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sameOptions reports whether two runs compare the same.
func sameOptions(a, b Options) bool {
	return a.Prefix == b.Prefix && a.DryRun == b.DryRun && a.Full == b.Full &&
		slices.Equal(a.From, b.From) && slices.Equal(a.To, b.To)
}
