package verify

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// rank places a key in an order that is the same in every run with the same seed, and has nothing to do with the keys' own.
func rank(seed uint64, key string) uint64 {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(key)), seed), key...))
	return binary.BigEndian.Uint64(sum[:])
}

// wanted reports whether a key of a listing is to be compared.
func (r *runner) wanted(key string) bool {
	if !r.Takes(key) {
		return false
	}
	share := r.opt.Sample.Share
	return share == 0 || float64(rank(r.state.Seed, key)) < share*(1<<64)
}

// ranked is a key with its rank.
type ranked struct {
	rank uint64
	key  string
}

// lowest keeps the keys of the lowest ranks, with the highest of these on top.
type lowest struct {
	limit int
	heap  []ranked
	has   map[string]struct{}
}

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (l *lowest) Len() int           { return len(l.heap) }
func (l *lowest) Less(i, j int) bool { return l.heap[i].rank > l.heap[j].rank }
func (l *lowest) Swap(i, j int)      { l.heap[i], l.heap[j] = l.heap[j], l.heap[i] }

// Push implements [heap.Interface]. It is called by package heap alone.
func (l *lowest) Push(x any) {
	if r, ok := x.(ranked); ok {
		l.heap = append(l.heap, r)
	}
}

// Pop implements [heap.Interface].
func (l *lowest) Pop() any {
	last := l.heap[len(l.heap)-1]
	l.heap = l.heap[:len(l.heap)-1]
	return last
}

// offer takes a key when its rank is among the lowest.
func (l *lowest) offer(r ranked) {
	if len(l.heap) == l.limit && r.rank >= l.heap[0].rank {
		return
	}
	if _, known := l.has[r.key]; known {
		return
	}
	l.has[r.key] = struct{}{}
	heap.Push(l, r)
	if len(l.heap) > l.limit {
		if out, ok := heap.Pop(l).(ranked); ok {
			delete(l.has, out.key)
		}
	}
}

// choose lists all sites and returns the keys of a sample of a number of keys, in order, and how many the site with the most
// keys lists. The order of the listings does not matter.
func (r *runner) choose(ctx context.Context) (keys []string, listed int64, err error) {
	chosen := lowest{limit: r.opt.Sample.Keys, has: make(map[string]struct{})}
	offered := make(chan []ranked)
	counts := make([]int64, len(r.names))
	group, ctx := errgroup.WithContext(ctx)
	for i, site := range r.names {
		group.Go(func() error {
			var err error
			counts[i], err = r.offerAll(ctx, site, offered)
			return err
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- group.Wait(); close(offered) }()
	for batch := range offered {
		for _, candidate := range batch {
			chosen.offer(candidate)
		}
	}
	if err := <-ended; err != nil {
		return nil, 0, err
	}
	for _, r := range chosen.heap {
		keys = append(keys, r.key)
	}
	slices.Sort(keys)
	return keys, slices.Max(counts), nil
}

// offerAll sends the keys of a site with their ranks, a page at a time, and returns how many were listed.
func (r *runner) offerAll(ctx context.Context, site string, offered chan<- []ranked) (listed int64, err error) {
	open, closeAll := r.open(ctx, []string{site}, nil)
	defer closeAll()
	for page := range open[0].pages {
		if page.err != nil {
			return listed, page.err
		}
		listed += int64(len(page.keys))
		batch := make([]ranked, 0, len(page.keys))
		for _, k := range page.keys {
			if r.Takes(k.Key) {
				batch = append(batch, ranked{rank(r.state.Seed, k.Key), strings.Clone(k.Key)})
			}
		}
		select {
		case offered <- batch:
		case <-ctx.Done():
			return listed, ctx.Err()
		}
	}
	return listed, ctx.Err()
}

// chosen yields keys that are all to be compared.
func chosen(keys []string) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		for _, key := range keys {
			if !yield(item{key: key, compare: true}, nil) {
				return
			}
		}
	}
}
