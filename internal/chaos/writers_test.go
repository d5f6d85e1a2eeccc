package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	ownWriters = 3 // per region, each with keys of its own
	hotWriters = 2 // per region, all with the same keys
	largest    = 64 << 20
	// roundBytes bounds what the writers of a round write; three regions keep it.
	roundBytes = 400 << 20
	// remembered is how large a body may be that is written again with other metadata, and bounds what a writer keeps of a key.
	remembered = 8 << 10
)

// between is the pause between the operations of one writer.
var between = span{0, 60 * time.Millisecond}

// keyNames are keys that software gets wrong.
var keyNames = []string{
	"plain", "with space", " space at both ends ", "plus+plus", "plus + space", "100% sure", "literal%2Bplus", "%zz", "a&b=c?d#e;f",
	"key?versionId=null", "äöü/日本語/🍞.jpg", "e\u0301 decomposed", "soft\u00adhyphen", ".hidden", "...", "dir/.hidden", "dot.",
	"back\\slash", "<xml>&amp;</xml>", `double"quote`, "tab\tkey", "UPPER", "upper", "--flag",
	strings.Repeat(strings.Repeat("k", 200)+"/", 4) + strings.Repeat("x", 150),
}

// hotNames are the keys that every region writes at once, the first more than the others. Now and then all of them move on to
// other ones, so that many keys are left at a moment when they are contended.
var hotNames = []string{"0", "1", "ü +%2F", ".x", "a b", "deep/er"}

const hotTime = 1500 * time.Millisecond

// writer is one client of one region. Its operations follow one another.
type writer struct {
	id     string
	region *region
	client client
	rng    *rand.Rand
	names  []string
	prefix string
	hot    bool
	begun  time.Time
	count  int
	// written is what it last wrote under each key, or tried to, where that is small.
	written map[string][]byte
	// budget is what all writers may still write, in bytes.
	budget  *atomic.Int64
	history *history
}

// write starts the writers. What they begin they finish, also when ctx ends.
func (w *world) write(ctx context.Context, group *errgroup.Group) {
	budget, begun := &atomic.Int64{}, time.Now()
	budget.Store(roundBytes)
	for _, r := range w.regions {
		for i := range ownWriters + hotWriters {
			id := fmt.Sprintf("%s.%d", r.Name, i)
			c := &writer{id: id, region: r, client: r.client, rng: w.random("writer " + id), names: keyNames, prefix: id + "/",
				hot: i >= ownWriters, begun: begun, budget: budget, written: map[string][]byte{},
				history: w.history}
			if c.hot {
				c.names = hotNames
			}
			if i%2 == 0 {
				c.client = r.once
			}
			w.writers = append(w.writers, c)
			group.Go(func() error {
				for pause(ctx, between.pick(c.rng)) {
					c.step(ctx)
				}
				return nil
			})
		}
	}
}

// step is one operation. What it is depends on the seed alone, but for the keys that are contended just now.
func (c *writer) step(ctx context.Context) {
	if c.hot {
		c.prefix = fmt.Sprintf("hot.%d/", time.Since(c.begun)/hotTime)
	}
	key, what := c.key(), c.rng.IntN(100)
	if *deletesFlag && what < 20 {
		if what < 4 {
			c.removeSeveral(ctx, key)
			return
		}
		o := c.operation(key)
		o.Delete, o.Saw = true, c.look(ctx, key)
		c.perform(ctx, func(ctx context.Context) error { return c.client.remove(ctx, o) }, o)
		c.history.add(o)
		return
	}
	c.put(ctx, key)
}

func (c *writer) key() string {
	if c.hot && c.rng.IntN(3) == 0 {
		return c.prefix + c.names[0]
	}
	return c.prefix + c.names[c.rng.IntN(len(c.names))]
}

func (c *writer) operation(key string) *operation {
	c.count++
	return &operation{ID: fmt.Sprintf("%s.%d", c.id, c.count), Writer: c.id, Region: c.region.Name, Key: key}
}

func (c *writer) put(ctx context.Context, key string) {
	body, same := c.body(c.size()), false
	if small := len(body) <= remembered; small {
		if before, ok := c.written[key]; c.rng.IntN(4) == 0 && ok {
			body, same = before, true
		}
		c.written[key] = body
	}
	c.putBody(ctx, key, body, same)
}

// lastWords has the writers change metadata alone once all is at rest. Nothing but a reconcile makes up for what is lost of that.
func (w *world) lastWords(t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	for _, c := range w.writers {
		group.Go(func() {
			for _, name := range c.names {
				key := c.prefix + name
				if body, ok := c.written[key]; ok && c.rng.IntN(2) == 0 {
					c.putBody(t.Context(), key, body, true)
				}
			}
		})
	}
	group.Wait()
}

// putBody writes a body. same tells that the writer has written it under the key before.
func (c *writer) putBody(ctx context.Context, key string, body []byte, same bool) {
	o := c.operation(key)
	o.SameBytes = same
	o.ContentType = []string{"text/plain", "image/jpeg", "application/x-chaos; of=\"" + c.id + "\""}[c.rng.IntN(3)]
	sum := sha256.Sum256(body)
	o.Size, o.SHA256, o.Saw = len(body), hex.EncodeToString(sum[:]), c.look(ctx, key)
	c.perform(ctx, func(ctx context.Context) error { return c.client.put(ctx, o, body) }, o)
	c.history.add(o)
}

// look sees, before every other operation on a contended key, what is there: the operation knows of it, and comes after it.
func (c *writer) look(ctx context.Context, key string) string {
	if !c.hot || c.rng.IntN(2) == 0 {
		return ""
	}
	return c.client.operationAt(ctx, key)
}

// removeSeveral deletes up to four keys in one request.
func (c *writer) removeSeveral(ctx context.Context, key string) {
	keys := map[string]bool{key: true}
	for range c.rng.IntN(4) {
		keys[c.key()] = true
	}
	var ops []*operation
	for _, name := range c.names { // the order of a map is another each time
		if key := c.prefix + name; keys[key] {
			o := c.operation(key)
			o.Delete = true
			ops = append(ops, o)
		}
	}
	for _, o := range ops {
		o.Batch = ops[0].ID
	}
	c.perform(ctx, func(ctx context.Context) error { return c.client.removeAll(ctx, ops) }, ops...)
	c.history.add(ops...)
}

// size picks a size: small, mostly. The third write of a round's first writer is as large as they come.
func (c *writer) size() int {
	size, p := 0, c.rng.IntN(1000)
	switch {
	case c.count == 2 && c.id == "alpha.0":
		size = largest
	case p < 80:
	case p < 700 || c.hot && p < 900:
		size = 1 + c.rng.IntN(4<<10)
	case p < 900:
		size = 4<<10 + c.rng.IntN(60<<10)
	case p < 985 || c.hot && p < 995:
		size = 64<<10 + c.rng.IntN(1<<20)
	case p < 997:
		size = 1<<20 + c.rng.IntN(8<<20)
	default:
		size = 8<<20 + c.rng.IntN(24<<20)
	}
	if c.budget.Add(-int64(size)) < 0 {
		size %= 4 << 10
	}
	return size
}

// body returns random bytes, or on contended keys sometimes the same bytes as others, so that the ETag tells them not apart.
func (c *writer) body(size int) []byte {
	if c.hot && c.rng.IntN(6) == 0 {
		return []byte("the same for all")
	}
	body := make([]byte, size)
	var key [32]byte
	copy(key[:], fmt.Sprintf("%s %d %d", c.id, c.count, c.rng.Uint64()))
	_, _ = rand.NewChaCha8(key).Read(body) // never fails
	return body
}
