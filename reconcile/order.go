package reconcile

import (
	"context"

	"github.com/s3mesh/s3mesh"
)

// edgeTries is how often a place in a listing that seems out of order is looked at: a client may write there at that moment.
const edgeTries = 3

// checkOrder makes sure that no key was missed at the edges of the shards, as can happen where a store lists in another than
// byte order: a key that comes before the start of a shard there, and after it here.
//
// Within a shard each merge sees the order. Across shards the key that came next after one must be the first of the following
// one: then the shards are one walk through the whole listing, and all of it was in byte order.
func (r *run) checkOrder(ctx context.Context) error {
	r.store.mu.Lock()
	shards := r.ck.Shards
	r.store.mu.Unlock()
	for i := range len(shards) - 1 {
		for site := range r.sites {
			if r.sorted[site] != nil {
				continue
			}
			this, next := r.edge(shards[i], site), r.edge(shards[i+1], site)
			if string(this.Next) == string(next.First) {
				continue
			}
			last := this.Last
			if len(last) == 0 {
				last = shards[i].Low
			}
			if err := r.checkEdge(ctx, site, string(last), string(shards[i].High)); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkResumed does the same where an earlier attempt was cut off within a shard.
func (r *run) checkResumed(ctx context.Context) error {
	for _, sh := range r.ck.Shards {
		for site := range r.sites {
			last, at := r.edge(sh, site).Last, sh.At
			if sh.Done || len(last) == 0 || string(last) == string(at) || r.sorted[site] != nil {
				continue
			}
			if err := r.checkEdge(ctx, site, string(last), string(at)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) edge(sh *shard, site int) edge {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return sh.Edges[site]
}

// checkEdge reports an unorderedError when the first key after at is another one in a listing that starts there than in one
// that starts at last, an earlier key.
func (r *run) checkEdge(ctx context.Context, site int, last, at string) error {
	for range edgeTries {
		from, err := r.firstAfter(ctx, site, last, at)
		if err != nil {
			return err
		}
		direct, err := r.firstAfter(ctx, site, at, at)
		if err != nil || from == direct {
			return err
		}
	}
	return &unorderedError{site}
}

// firstAfter returns the first key beyond at that a site lists after start; "" for none.
func (r *run) firstAfter(ctx context.Context, site int, start, at string) (string, error) {
	var found string
	err := r.retry(ctx, r.sites[site], func() error {
		found = ""
		for items, err := range r.listers[site].List(ctx, s3mesh.ListOptions{Prefix: r.opt.Prefix, After: start}) {
			if err != nil {
				return err
			}
			for _, e := range items {
				if e.Key > at {
					found = e.Key
					return nil
				}
			}
		}
		return nil
	})
	return found, err
}
