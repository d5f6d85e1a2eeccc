package verify

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/s3mesh/s3mesh"
)

// item is a key to compare, or a place in the listings where nothing is to be compared.
type item struct {
	key     string
	compare bool
	// unless names sites of which none may hold the key: otherwise it was compared when their listings were.
	unless []string
	// listed counts the keys from the item before to this one, unless this one was compared elsewhere.
	listed int64
	// at is the last key of the listing of each of sites, up to this item.
	sites, at []string
	// unordered names the sites whose listings had been found out of order, nil where none had.
	unordered []string
}

// listing is one site's keys as they come in.
type listing struct {
	site  string
	pages chan listedPage
	keys  []s3mesh.Listed // the rest of the current page
	last  string          // the last key that was taken
	any   bool            // last is set
}

// listedPage is a page of a listing, or the error that ended it.
type listedPage struct {
	keys []s3mesh.Listed
	err  error
}

// head returns the next key. done tells that the listing has ended, ordered that the key is not before the one taken last. A key
// that is listed twice is passed over.
func (l *listing) head() (key string, done, ordered bool, err error) {
	for {
		for len(l.keys) == 0 {
			page, open := <-l.pages
			if !open || page.err != nil {
				return "", true, true, page.err
			}
			l.keys = page.keys
		}
		key = l.keys[0].Key
		if !l.any || key != l.last {
			return key, false, !l.any || key > l.last, nil
		}
		l.keys = l.keys[1:]
	}
}

func (l *listing) take() {
	l.last, l.any = l.keys[0].Key, true
	l.keys = l.keys[1:]
}

// open starts to list sites, each after its key in after, a page ahead. closeAll ends that, and must be called.
func (r *runner) open(ctx context.Context, sites []string, after map[string]string) (all []*listing, closeAll func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for _, site := range sites {
		last, resumed := after[site]
		l := &listing{site: site, pages: make(chan listedPage, 1), last: last, any: resumed}
		all = append(all, l)
		group.Go(func() {
			defer close(l.pages)
			if err := r.list(ctx, site, last, l.pages); err != nil {
				select {
				case l.pages <- listedPage{err: err}:
				case <-ctx.Done():
				}
			}
		})
	}
	return all, func() { cancel(); group.Wait() }
}

// list sends the pages of a site's listing. Where that breaks off, it goes on from there.
func (r *runner) list(ctx context.Context, site, after string, pages chan<- listedPage) error {
	for {
		progress := false
		err := retry(ctx, func() error {
			for page, err := range r.Sites[site].List(ctx, s3mesh.ListOptions{Prefix: r.opt.Prefix, After: after}) {
				if err != nil {
					return err
				}
				if len(page) == 0 {
					continue
				}
				select {
				case pages <- listedPage{keys: page}:
					after, progress = page[len(page)-1].Key, true
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
		if err == nil || !progress || ctx.Err() != nil {
			return err
		}
	}
}

// passEvery is after how many keys that are not compared a place to go on from is told.
const passEvery = 10_000

// merge yields the keys that the sites of this pass list, in the order of their bytes, each once. A site that turns out to
// list in another order is left out from there on: a pass of its own follows, see [runner.unorderedPass].
func (r *runner) merge(ctx context.Context) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		sites := r.ordered(r.state.Unordered)
		open, closeAll := r.open(ctx, sites, r.state.At)
		defer closeAll()
		m := merger{sites: sites, listings: slices.Clone(open), all: open, unordered: r.state.Unordered}
		var next item
		for {
			key, ok, err := m.next()
			if err != nil {
				yield(item{}, err)
				return
			}
			if !ok {
				break
			}
			next.key, next.compare = key, r.wanted(key)
			if next.listed++; !next.compare && next.listed < passEvery {
				continue
			}
			m.place(&next)
			if !yield(next, nil) {
				return
			}
			next = item{}
		}
		next.compare = false
		m.place(&next)
		yield(next, nil)
	}
}

// merger is the state of a merge.
type merger struct {
	sites     []string
	all       []*listing // in the order of sites
	listings  []*listing // those that go on
	holders   []*listing // of the lowest key
	unordered []string   // replaced, never changed
}

// next takes the lowest key from all listings; ok is false at their end.
func (m *merger) next() (lowest string, ok bool, err error) {
	m.holders = m.holders[:0]
	for i := 0; i < len(m.listings); {
		l := m.listings[i]
		key, done, ordered, err := l.head()
		if err != nil {
			return "", false, err
		}
		if done || !ordered {
			m.listings = slices.Delete(m.listings, i, i+1)
			if !ordered {
				m.unordered = append(slices.Clone(m.unordered), l.site)
			}
			continue
		}
		i++
		switch order := strings.Compare(key, lowest); {
		case len(m.holders) == 0 || order < 0:
			lowest, m.holders = key, append(m.holders[:0], l)
		case order == 0:
			m.holders = append(m.holders, l)
		}
	}
	for _, l := range m.holders {
		l.take()
	}
	return lowest, len(m.holders) > 0, nil
}

// place notes in an item how far the listings were read.
func (m *merger) place(it *item) {
	it.sites, it.unordered = m.sites, m.unordered
	it.at = make([]string, len(m.all))
	for i, l := range m.all {
		it.at[i] = l.last
	}
}

// unorderedPass yields the keys that a site lists out of order, from where the merge left it. Each is to be compared unless
// one of the sites that came before holds it. A key that only such sites hold may be compared twice: when another of them listed
// it before that one's order was seen to be broken.
func (r *runner) unorderedPass(ctx context.Context, site string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		before := slices.Concat(r.ordered(r.state.Unordered), r.state.Unordered[:slices.Index(r.state.Unordered, site)])
		open, closeAll := r.open(ctx, []string{site}, r.state.At)
		defer closeAll()
		unordered := r.state.Unordered
		for {
			key, done, _, err := open[0].head()
			if err != nil {
				yield(item{}, err)
				return
			}
			if done {
				return
			}
			open[0].take()
			next := item{key: key, compare: r.wanted(key), unless: before, listed: 1,
				sites: []string{site}, at: []string{key}, unordered: unordered}
			if !yield(next, nil) {
				return
			}
		}
	}
}

// ordered returns the sites that are not among unordered, in the order of the set.
func (r *runner) ordered(unordered []string) []string {
	var sites []string
	for _, site := range r.names {
		if !slices.Contains(unordered, site) {
			sites = append(sites, site)
		}
	}
	return sites
}
