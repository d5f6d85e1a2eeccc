package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// check reads all buckets after everything was delivered, and returns the first thing that is wrong.
func (w *world) check() error {
	if w.problem != nil {
		return w.problem
	}
	if n := len(w.pending) + len(w.transit) + len(w.tasks); n > 0 {
		return fmt.Errorf("%d events are undelivered", n)
	}
	for _, key := range w.Keys {
		if err := w.checkKey(key); err != nil {
			return fmt.Errorf("key %s: %w", key, err)
		}
	}
	return w.checkReplicaWrites()
}

func (w *world) checkKey(key string) error {
	winner, err := w.checkEqual(key)
	if err != nil {
		return err
	}
	if err := w.checkKept(key); err != nil {
		return err
	}
	if err := w.checkWinner(key, winner); err != nil {
		return err
	}
	return w.checkOrder(key, winner)
}

// checkEqual compares what readers get at every site, and returns the write that they get.
func (w *world) checkEqual(key string) (winner int, err error) {
	first := w.reading(0, key)
	for at := 1; at < len(w.sites); at++ {
		if here := w.reading(at, key); here != first {
			return 0, fmt.Errorf("the sites differ: %s has %s, %s has %s", w.name(0), first, w.name(at), here)
		}
	}
	return first.write, nil
}

// reading is what a reader gets.
type reading struct {
	write            int // or nothing
	body, attributes string
}

func (r reading) String() string {
	if r.write == nothing {
		return "nothing"
	}
	return fmt.Sprintf("write %d (%q, %s)", r.write, r.body, r.attributes)
}

func (w *world) reading(at int, key string) reading {
	obj, body, err := w.sites[at].keys.Get(context.Background(), key, s3mesh.ReadOptions{})
	if s3mesh.KindOf(err) == s3mesh.KindNotFound && err != nil {
		return reading{write: nothing}
	}
	if err != nil {
		return reading{write: unknown, attributes: err.Error()}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return reading{write: unknown, attributes: err.Error()}
	}
	attr := obj.Attributes
	attr.Metadata = maps.Clone(attr.Metadata)
	delete(attr.Metadata, stampName)
	return reading{parseIdentity(attr.ContentType), string(data), strings.TrimSpace(fmt.Sprint(attr))}
}

// checkKept looks for every acknowledged object where its client wrote it: buckets with versions lose nothing.
func (w *world) checkKept(key string) error {
	for i := range w.log.writes {
		wr := &w.log.writes[i]
		if wr.key != key || !wr.logged || wr.deletes() || wr.gone || w.sites[wr.site].Unversioned {
			continue
		}
		obj, err := w.sites[wr.site].keys.Head(context.Background(), key, s3mesh.ReadOptions{VersionID: wr.versionID})
		if err != nil || parseIdentity(obj.Attributes.ContentType) != wr.n {
			return fmt.Errorf("%v is not readable any more where it was written (%s)", wr, s3mesh.KindOf(err))
		}
	}
	return nil
}

// live reports that a write may be what readers get: no write that still counts was made over it.
func (l *clientLog) live(wr *write) bool {
	for _, c := range wr.coverers {
		if !l.writes[c].gone {
			return false
		}
	}
	return true
}

// tellable is the difference in time that clocks within the bound must show: a second of skew each, and the whole seconds that
// stores tell.
const tellable = 3 * time.Second

// checkWinner holds for every world: the winner is a write that nobody knowingly overwrote, and no such write is later by more
// than the clocks can be wrong. Where the key ends without an object, a delete must be such a winner.
func (w *world) checkWinner(key string, winner int) error {
	if winner == unknown {
		return errors.New("the winner is no client's write")
	}
	if winner != nothing {
		return w.allowed(key, &w.log.writes[winner])
	}
	var why error
	written := false
	for i := range w.log.writes {
		wr := &w.log.writes[i]
		if wr.key != key || !wr.logged {
			continue
		}
		written = written || !wr.deletes() && !wr.gone
		if !wr.deletes() || wr.undone {
			continue
		}
		if why = w.allowed(key, wr); why == nil {
			return nil
		}
	}
	if written {
		return fmt.Errorf("the key is gone, and no delete explains it (%w)", cmp.Or(why, errNoDelete))
	}
	return nil
}

var errNoDelete = errors.New("nobody deleted it")

// allowed reports why a write must not win.
func (w *world) allowed(key string, winner *write) error {
	versioned := w.allVersioned()
	if winner.key != key {
		return fmt.Errorf("%v was written under another key", winner)
	}
	if winner.undone {
		return fmt.Errorf("%v won, though it was undone", winner)
	}
	if versioned && !w.log.live(winner) {
		return fmt.Errorf("%v won, though a client had overwritten it by %v", winner, winner.coverers)
	}
	for i := range w.log.writes {
		other := &w.log.writes[i]
		counts := other.key == key && other.logged && !other.gone && w.log.live(other) && !w.mistaken(other)
		if counts && other.began.Sub(winner.at) > tellable {
			return fmt.Errorf("%v won over %v, which nobody had overwritten and which was written %v later",
				winner, other, other.began.Sub(winner.at))
		}
	}
	return nil
}

func (w *world) allVersioned() bool {
	for _, s := range w.sites {
		if s.Unversioned {
			return false
		}
	}
	return true
}

// checkOrder holds where the log tells the exact place of every write: the winner is the greatest. Where deletes are propagated
// it holds for what clocks can tell apart: the exact time of a write over a marker that is being recorded depends on when it is
// asked for, which the sites come to agree on.
func (w *world) checkOrder(key string, winner int) error {
	if !w.allVersioned() || w.log.taken || !w.placed(key) {
		return nil
	}
	best, certain := w.latest(key)
	switch {
	case !certain, best == nil, best.deletes() && winner == nothing, winner == best.n:
		return nil
	case w.Deletes && !w.tellable(winner, best):
		return nil
	case winner == nothing:
		return fmt.Errorf("the key is gone, though %v is the latest", best)
	default:
		return fmt.Errorf("%v won, though %v is the latest", &w.log.writes[winner], best)
	}
}

// tellable reports that a winner is earlier than another write by what clocks can tell. Where the key ended without an object,
// the latest delete counts as the winner.
func (w *world) tellable(winner int, other *write) bool {
	latest := time.Time{}
	for i := range w.log.writes {
		wr := &w.log.writes[i]
		if wr.key == other.key && wr.logged && (wr.n == winner || winner == nothing && wr.deletes()) && wr.at.After(latest) {
			latest = wr.at
		}
	}
	return other.began.Sub(latest) > tellable
}

// latest returns the greatest write of a key in the version order, and whether the log can tell.
func (w *world) latest(key string) (best *write, certain bool) {
	for i := range w.log.writes {
		wr := &w.log.writes[i]
		if wr.key != key || !wr.logged || wr.gone || w.mistaken(wr) {
			continue
		}
		if wr.doubtful {
			return nil, false
		}
		if best == nil || w.compare(wr, best) > 0 {
			best = wr
		}
	}
	return best, true
}

// mistaken reports that the marker of a client's delete stands for another delete. That is so when a later one was merged into
// it, and when it was made in the moments in which s3mesh was about to make one of its own, and died, or has the same store
// answer with the same marker: the docs say so.
func (w *world) mistaken(wr *write) bool {
	if !wr.deletes() {
		return false
	}
	for _, v := range w.versions(wr.site, wr.key) {
		if v.marker && v.id == wr.versionID {
			return w.identify(wr.site, wr.key, v) != wr.n
		}
	}
	return false
}

// compare is the version order, told from the log alone.
func (w *world) compare(a, b *write) int {
	return cmp.Or(a.time.Compare(b.time), cmp.Compare(w.name(a.site), w.name(b.site)), cmp.Compare(a.etag, b.etag))
}

// checkReplicaWrites bounds what all the replicators wrote: each link once for each client write, and as much again for what was
// put back on top.
func (w *world) checkReplicaWrites() error {
	limit := 2 * (len(w.log.writes) + 1) * len(w.set.Links)
	if w.replicaWrites > limit {
		return fmt.Errorf("%d replica writes for %d client writes: the sites never settle", w.replicaWrites, len(w.log.writes))
	}
	return nil
}
