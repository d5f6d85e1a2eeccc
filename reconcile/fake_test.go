package reconcile

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time of every test's start.
var now = time.Unix(1_795_000_000, 0).UTC()

// fakeSite is a bucket that lists what a test says, in the order that it says.
type fakeSite struct {
	name string
	// order compares keys as the store lists them; nil: bytes.
	order func(a, b string) int
	// repeat has the last key of each page come again as the first of the next.
	repeat bool
	page   int // of a listing, in keys
	// folderPage is the page of a listing of folders: 7 unless set.
	folderPage int

	mu       sync.Mutex
	objects  map[string]s3mesh.Object
	markers  map[string]time.Time // delete markers on top, by key
	counts   map[string]int       // requests by operation
	before   func(op, key string) error
	versions error // what Versions answers
	checksum func(key string) []s3mesh.Checksum
}

func newFakeSite(name string) *fakeSite {
	return &fakeSite{name: name, page: 7, objects: map[string]s3mesh.Object{}, markers: map[string]time.Time{},
		counts: map[string]int{}}
}

// put makes the site hold an object that a client wrote at a time.
func (f *fakeSite) put(key string, size int64, etag string, at time.Time) {
	f.objects[key] = s3mesh.Object{Size: size, ETag: etag, LastModified: at, VersionID: "v-" + f.name + "-" + etag}
}

// replicate makes the site hold a replica of what another holds, under an ETag of its own where one is given.
func (f *fakeSite) replicate(key string, from *fakeSite, etag string, at time.Time) {
	o := from.objects[key]
	version := resolve.Read(from.name, key, o).Version
	stamp := resolve.Stamp{Version: version, Written: at}
	o.LastModified, o.VersionID = at, "r-"+f.name
	if etag != "" {
		o.ETag = etag
	}
	o.Attributes.Metadata = map[string]string{
		resolve.MetadataName: stamp.Encode(resolve.Place{Site: f.name, Key: key}, o.Size)}
	f.objects[key] = o
}

func (f *fakeSite) request(op, key string) error {
	f.mu.Lock()
	f.counts[op]++
	before := f.before
	f.mu.Unlock()
	if before != nil {
		return before(op, key)
	}
	return nil
}

func (f *fakeSite) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[op]
}

func (f *fakeSite) compare(a, b string) int {
	if f.order != nil {
		return f.order(a, b)
	}
	return strings.Compare(a, b)
}

func (f *fakeSite) Head(ctx context.Context, key string, _ s3mesh.ReadOptions) (s3mesh.Object, error) {
	if err := errors.Join(f.request("HEAD", key), ctx.Err()); err != nil {
		return s3mesh.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	if !ok {
		return o, &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: "HeadObject", Site: f.name, Key: key}
	}
	if f.checksum != nil {
		o.Checksums = f.checksum(key)
	}
	return o, nil
}

// keys returns what lies after a key in the store's order.
func (f *fakeSite) keys(opt s3mesh.ListOptions, markers bool) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var keys []string
	take := func(key string) {
		if strings.HasPrefix(key, opt.Prefix) && (opt.After == "" || f.compare(key, opt.After) > 0) {
			keys = append(keys, key)
		}
	}
	for key := range f.objects {
		take(key)
	}
	if markers {
		for key := range f.markers {
			take(key)
		}
	}
	slices.SortFunc(keys, f.compare)
	return keys
}

func (f *fakeSite) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		again := ""
		for {
			if err := errors.Join(f.request("LIST", opt.After), ctx.Err()); err != nil {
				yield(nil, err)
				return
			}
			keys := f.keys(opt, false)
			truncated := len(keys) > f.page
			keys = keys[:min(len(keys), f.page)]
			var page []s3mesh.Listed
			if f.repeat && again != "" {
				page = append(page, f.entry(again))
			}
			for _, key := range keys {
				page = append(page, f.entry(key))
			}
			if len(page) > 0 && !yield(page, nil) || !truncated {
				return
			}
			opt.After = keys[len(keys)-1]
			again = opt.After
		}
	}
}

func (f *fakeSite) entry(key string) s3mesh.Listed {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[key]
	return s3mesh.Listed{Key: key, Size: o.Size, ETag: o.ETag, LastModified: o.LastModified}
}

func (f *fakeSite) Versions(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.ListedVersion, error] {
	return func(yield func([]s3mesh.ListedVersion, error) bool) {
		for {
			if err := errors.Join(f.request("VERSIONS", opt.After), f.versions, ctx.Err()); err != nil {
				yield(nil, err)
				return
			}
			keys := f.keys(opt, true)
			truncated := len(keys) > f.page
			var page []s3mesh.ListedVersion
			for _, key := range keys[:min(len(keys), f.page)] {
				v := s3mesh.ListedVersion{Key: key}
				f.mu.Lock()
				if at, marked := f.markers[key]; marked {
					v.DeleteMarker, v.LastModified = true, at
				}
				f.mu.Unlock()
				page = append(page, v)
			}
			if len(page) > 0 && !yield(page, nil) || !truncated {
				return
			}
			opt.After = page[len(page)-1].Key
		}
	}
}

func (f *fakeSite) Folders(ctx context.Context, prefix string) (folders []string, more bool, err error) {
	if err := errors.Join(f.request("FOLDERS", prefix), ctx.Err()); err != nil {
		return nil, false, err
	}
	seen := 0
	for _, key := range f.keys(s3mesh.ListOptions{Prefix: prefix}, false) {
		name, _, nested := strings.Cut(key[len(prefix):], "/")
		folder := prefix + name + "/"
		if nested && slices.Contains(folders, folder) {
			continue
		}
		if seen++; seen > cmp.Or(f.folderPage, 7) {
			return folders, true, nil
		}
		if nested {
			folders = append(folders, folder)
		}
	}
	return folders, false, nil
}

// fakeQueue keeps what is published.
type fakeQueue struct {
	mu      sync.Mutex
	events  []s3mesh.Event
	lanes   map[s3mesh.Lane]int
	before  func() error
	backlog func(s3mesh.Link) int64
}

func (q *fakeQueue) Publish(ctx context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	if q.before != nil {
		if err := q.before(); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes == nil {
		q.lanes = map[s3mesh.Lane]int{}
	}
	q.lanes[lane] += len(events)
	q.events = append(q.events, events...)
	return ctx.Err()
}

func (q *fakeQueue) Backlog(_ context.Context, link s3mesh.Link) (s3mesh.Backlog, error) {
	if q.backlog == nil {
		return s3mesh.Backlog{}, nil
	}
	return s3mesh.Backlog{Pending: q.backlog(link)}, nil
}

// published returns the events as "source->target key[ fresh][ removed]", sorted, each once.
func (q *fakeQueue) published() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []string
	for _, ev := range q.events {
		text := ev.Site + "->" + ev.Target + " " + ev.Key
		if ev.Fresh {
			text += " fresh"
		}
		if ev.Type == s3mesh.EventRemoved {
			text += " removed"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// world is some sites and a queue.
type world struct {
	Config
	sites map[string]*fakeSite
	queue *fakeQueue
}

func newWorld(names ...string) *world {
	w := &world{sites: map[string]*fakeSite{}, queue: &fakeQueue{}}
	w.Config = Config{Sites: map[string]Site{}, Queue: w.queue, MaxClockSkew: 2 * time.Second,
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	var sites []s3mesh.Site
	for _, name := range names {
		w.sites[name] = newFakeSite(name)
		w.Sites[name] = w.sites[name]
		sites = append(sites, s3mesh.Site{Name: name, Bucket: "bucket-" + name})
	}
	w.Set = s3mesh.FullMesh("test", sites...)
	return w
}

// compared has the world look as if a complete run had begun at a time.
func (w *world) compared(t *testing.T, at time.Time) *Reconciler {
	t.Helper()
	r := New(w.Config)
	r.store.complete(&checkpoint{Links: w.Set.Links, Started: at}, 0)
	return r
}

// run compares, and fails the test when that fails.
func mustRun(t *testing.T, r *Reconciler, opt Options) (Report, []Difference) {
	t.Helper()
	var found []Difference
	rep, err := r.Run(t.Context(), opt, func(d Difference) { found = append(found, d) })
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Complete {
		t.Fatal("the report is not complete")
	}
	return rep, found
}

func equalStrings(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// permanent is an error that ends a run at once.
func permanent() error { return &s3mesh.Error{Kind: s3mesh.KindNoSuchBucket, Op: "test"} }
