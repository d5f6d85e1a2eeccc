package reconcile

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/s3mesh/s3mesh"
)

const (
	// flushKeys is after how many keys a shard's progress is noted.
	flushKeys = 4096
	// maxCandidates and maxDoubtful bound what a shard holds back, in keys, before it is asked for and published.
	maxCandidates = 512
	maxDoubtful   = 256
	// flushEvery bounds the same in time.
	flushEvery = saveEvery
)

// candidate is a key that differs, or may.
type candidate struct {
	key      string
	held     uint64          // the sites that list an object
	listed   []s3mesh.Listed // by site
	doubtful bool
	absent   []absence // by site
	class    []int     // by site: those with the same number hold the same; absentClass where there is nothing
	checked  bool      // class comes from the objects, not from the listings
	confused bool      // two objects claim to be one version, and are not alike
}

// absentClass is the class of a site that holds no object.
const absentClass = -1

// worker compares one shard.
type worker struct {
	*run
	shard    *shard
	merger   *merger
	absentee []*absentees // by site
	batch    []*candidate
	doubtful int
	local    tally
	seen     int // keys since the last flush
	flushed  time.Time
}

// compare compares a shard from where its checkpoint stands.
func (r *run) compare(ctx context.Context, sh *shard) error {
	low, at, high := string(sh.Low), string(sh.At), string(sh.High) // this goroutine is the only one to change them
	if at == "" {
		at = low
	}
	m, err := r.merge(ctx, at, high)
	if err != nil {
		return err
	}
	defer m.stop()
	w := &worker{run: r, shard: sh, merger: m, local: newTally(len(r.links)), flushed: r.cfg.Now()}
	for i := range r.sites {
		w.absentee = append(w.absentee, &absentees{run: r, site: i})
	}
	defer w.close()
	return w.all(ctx, at)
}

func (w *worker) close() {
	for _, a := range w.absentee {
		a.close()
	}
}

// all goes through the keys of the shard after a key.
func (w *worker) all(ctx context.Context, before string) error {
	for {
		more, err := w.merger.advance(ctx)
		if err != nil {
			return err
		}
		if !more {
			return w.flush(ctx, before, true)
		}
		if err := w.one(ctx, before); err != nil {
			return err
		}
		before = w.merger.key
		w.seen++
		full := len(w.batch) >= maxCandidates || w.doubtful >= maxDoubtful
		if full || w.seen%flushKeys == 0 && (len(w.batch) == 0 || w.cfg.Now().Sub(w.flushed) >= flushEvery) {
			if err := w.flush(ctx, before, false); err != nil {
				return err
			}
		}
	}
}

// one compares the current key. before is the one before it.
func (w *worker) one(ctx context.Context, before string) error {
	m := w.merger
	if !w.cfg.takes(m.key) {
		return nil
	}
	if !utf8.ValidString(m.key) {
		w.local.Skipped++
		w.cfg.Log.Debug("a key is not UTF-8 and cannot be replicated", "key", m.key)
		return nil
	}
	w.local.Keys++
	if w.rules.equal(m.row, m.held) {
		return nil
	}
	c := w.rules.classify(m)
	if c == nil {
		return nil
	}
	if err := w.askAbsent(ctx, c, before); err != nil {
		return err
	}
	if c.doubtful {
		w.doubtful++
	}
	w.batch = append(w.batch, c)
	return nil
}

// flush asks what is in doubt, publishes what differs, and only then notes that all up to key is compared.
func (w *worker) flush(ctx context.Context, key string, done bool) error {
	if len(w.batch) > 0 {
		if err := w.askAll(ctx); err != nil {
			return err
		}
		if err := w.publishBatch(ctx); err != nil {
			return err
		}
	}
	w.batch, w.doubtful, w.seen, w.flushed = w.batch[:0], 0, 0, w.cfg.Now()
	w.commit(key, done)
	if !w.opt.DryRun {
		w.store.saveSoon()
	}
	return nil
}

// commit notes how far the shard is.
func (w *worker) commit(key string, done bool) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.shard.At, w.shard.Done = []byte(key), done
	w.shard.Tally.add(w.local)
	w.local.reset()
	for i, c := range w.merger.cursors {
		e := &w.shard.Edges[i]
		if len(e.First) == 0 {
			e.First = []byte(c.first)
		}
		if c.last != "" {
			e.Last = []byte(c.last)
		}
		if done {
			e.Next = []byte(c.beyond)
		}
	}
}
