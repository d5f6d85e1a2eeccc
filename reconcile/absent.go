package reconcile

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh"
)

// absence is what a site tells of a key under which it lists no object.
type absence struct {
	known  bool      // the rest is known
	any    bool      // there is a version, or a delete marker
	marker bool      // a delete marker is on top
	since  time.Time // the time of the marker
}

// absentees tells what is known of the keys that a site does not list. It pages through the site's versions along with the
// merge and keeps one page, so that a site without any costs one request, and one with many about one for each page of them.
type absentees struct {
	run  *run
	site int

	next func() ([]s3mesh.ListedVersion, error, bool)
	stop func()
	page []s3mesh.ListedVersion
	// The page tells of all keys after low up to and including high, or, where it is the last one, of all after low.
	low, high string
	valid     bool
	last      bool
	// single tells that pages do not come in byte order, so that each key is asked for by itself.
	single bool
}

// askAbsent asks for the absence of a candidate's key at the sites where it matters. before is the key before it in the merge.
func (w *worker) askAbsent(ctx context.Context, c *candidate, before string) error {
	for site := range w.sites {
		replicatedTo := w.rules.sources[site]&c.held != 0
		deletedFrom := w.cfg.PropagateDeletes && w.rules.targets[site] != 0
		if c.holds(site) || !replicatedTo && !deletedFrom || w.blind[site].Load() {
			continue
		}
		err := w.retry(ctx, w.sites[site], func() (err error) {
			c.absent[site], err = w.absentee[site].look(ctx, before, c.key)
			return err
		})
		if s3mesh.KindOf(err) == s3mesh.KindUnsupported {
			w.blind[site].Store(true)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look returns what is known of key. Keys are asked for in byte order; before lies before key, and nothing between them
// matters.
func (a *absentees) look(ctx context.Context, before, key string) (absence, error) {
	if a.single || a.run.sorted[a.site] != nil {
		return a.lookSingle(ctx, key)
	}
	if !a.covers(key) && a.valid {
		if err := a.fetch(); err != nil { // the page after this one
			return absence{}, err
		}
	}
	if !a.covers(key) && !a.single {
		a.open(ctx, before)
		if err := a.fetch(); err != nil {
			return absence{}, err
		}
	}
	if a.single || !a.covers(key) {
		return a.lookSingle(ctx, key)
	}
	at, found := slices.BinarySearchFunc(a.page, key, func(v s3mesh.ListedVersion, key string) int {
		return strings.Compare(v.Key, key)
	})
	if !found {
		return absence{known: true}, nil
	}
	return absenceOf(a.page[at]), nil
}

func absenceOf(top s3mesh.ListedVersion) absence {
	return absence{known: true, any: true, marker: top.DeleteMarker, since: top.LastModified}
}

func (a *absentees) covers(key string) bool {
	return a.valid && key > a.low && (a.last || key <= a.high)
}

// open starts to page through the versions after a key.
func (a *absentees) open(ctx context.Context, after string) {
	a.close()
	a.next, a.stop = iter.Pull2(a.run.readers[a.site].Versions(ctx,
		s3mesh.ListOptions{Prefix: a.run.opt.Prefix, After: after}))
	a.low, a.high, a.valid = after, after, true
}

// fetch goes on to the next page.
func (a *absentees) fetch() error {
	if a.last {
		return nil
	}
	page, err, ok := a.next()
	switch {
	case err != nil:
		a.close()
		return err
	case !ok:
		a.page, a.low, a.last = nil, a.high, true
		return nil
	case len(page) == 0:
		return a.fetch()
	}
	inOrder := slices.IsSortedFunc(page, func(v, w s3mesh.ListedVersion) int { return strings.Compare(v.Key, w.Key) })
	if !inOrder || page[0].Key < a.high {
		a.single = true
		return nil
	}
	a.page, a.low, a.high = page, a.high, page[len(page)-1].Key
	return nil
}

// maxSinglePages bounds the search for one key among those that start with it, where a store lists in an order of its own.
const maxSinglePages = 4

// lookSingle asks for one key. In byte order its versions come first among those that it is a prefix of.
func (a *absentees) lookSingle(ctx context.Context, key string) (absence, error) {
	pages := 0
	for page, err := range a.run.readers[a.site].Versions(ctx, s3mesh.ListOptions{Prefix: key}) {
		if err != nil {
			return absence{}, err
		}
		for _, v := range page {
			if v.Key == key {
				return absenceOf(v), nil
			}
		}
		if len(page) > 0 && !a.single && a.run.sorted[a.site] == nil {
			break // in byte order it would have come first
		}
		if pages++; pages == maxSinglePages {
			return absence{}, nil
		}
	}
	return absence{known: true}, nil
}

// close ends the listing that is open.
func (a *absentees) close() {
	if a.stop != nil {
		a.stop()
	}
	a.next, a.stop, a.page = nil, nil, nil
	a.low, a.high, a.valid, a.last = "", "", false, false
}
