package verify_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/resolve"
	"github.com/s3mesh/s3mesh/verify"
)

func TestMain(m *testing.M) {
	devstore.Main()
	goleak.VerifyTestMain(m)
}

// store is a bucket in memory with what the others of this test lack or refuse.
type store struct {
	*memstore.Bucket
	site string
	// less, where set, is the order that the store lists in.
	less func(a, b string) int
	// opaque makes every ETag that of an encrypted object.
	opaque bool

	mu        sync.Mutex
	checksums map[string][]s3mesh.Checksum
	tags      map[string]map[string]string
	onHead    func(key string)
	onGet     func()
	failGet   error // what each Get fails with
	failHead  error
	gets      int
}

func (s *store) Head(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, error) {
	s.mu.Lock()
	hook, fail := s.onHead, s.failHead
	s.mu.Unlock()
	if hook != nil {
		hook(key)
	}
	if fail != nil {
		return s3mesh.Object{}, fail
	}
	o, err := s.Bucket.Head(ctx, key, opt)
	s.mu.Lock()
	defer s.mu.Unlock()
	o.OpaqueETag, o.Tags, o.Checksums = s.opaque, len(s.tags[key]), nil
	if opt.Checksums {
		o.Checksums = s.checksums[key]
	}
	return o, err
}

func (s *store) Get(ctx context.Context, key string, opt s3mesh.ReadOptions) (s3mesh.Object, io.ReadCloser, error) {
	s.mu.Lock()
	s.gets++
	fail, hook := s.failGet, s.onGet
	s.onGet = nil
	s.mu.Unlock()
	if hook != nil {
		hook()
	}
	if fail != nil {
		return s3mesh.Object{}, nil, fail
	}
	return s.Bucket.Get(ctx, key, opt)
}

func (s *store) Tags(_ context.Context, key, _ string) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.tags[key]), nil
}

// List lists in pages of three, in the store's own order.
func (s *store) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		var all []s3mesh.Listed
		for page, err := range s.Bucket.List(ctx, s3mesh.ListOptions{Prefix: opt.Prefix}) {
			if err != nil {
				yield(nil, err)
				return
			}
			all = append(all, page...)
		}
		less := s.less
		if less == nil {
			less = strings.Compare
		}
		slices.SortFunc(all, func(a, b s3mesh.Listed) int { return less(a.Key, b.Key) })
		all = slices.DeleteFunc(all, func(l s3mesh.Listed) bool { return opt.After != "" && less(l.Key, opt.After) <= 0 })
		for page := range slices.Chunk(all, 3) {
			if !yield(page, nil) {
				return
			}
		}
	}
}

// treeOrder is that of SeaweedFS: folder by folder.
func treeOrder(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// mesh is sites in memory, and what to compare them with.
type mesh struct {
	t      *testing.T
	stores map[string]*store
	cfg    verify.Config
	twice  bool      // that a key may be told twice
	now    time.Time // what the stores date writes with, and Run sees a day later
}

// newMesh returns an empty mesh of sites that are all linked.
func newMesh(t *testing.T, sites ...string) *mesh {
	t.Helper()
	m := &mesh{t: t, stores: make(map[string]*store), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	m.cfg = verify.Config{Sites: make(map[string]verify.Site), MaxClockSkew: 2 * time.Second,
		Now: func() time.Time { return m.now.Add(24 * time.Hour) }}
	var all []s3mesh.Site
	for _, name := range sites {
		s := &store{Bucket: memstore.NewBucket(memstore.BucketConfig{Site: name, Clock: func() time.Time { return m.now }}),
			site: name, checksums: map[string][]s3mesh.Checksum{}, tags: map[string]map[string]string{}}
		m.stores[name], m.cfg.Sites[name] = s, s
		all = append(all, s3mesh.Site{Name: name, Bucket: name})
	}
	m.cfg.Set = s3mesh.FullMesh("mesh", all...)
	return m
}

// put writes an object as a client of a site does.
func (m *mesh) put(site, key, body string, attr s3mesh.Attributes) {
	m.t.Helper()
	if _, err := m.stores[site].Application().Put(m.t.Context(), key, []byte(body), attr); err != nil {
		m.t.Error(err)
	}
}

// upload writes an object in two parts.
func (m *mesh) upload(site, key, body string) {
	m.t.Helper()
	half := len(body) / 2
	_, err := m.stores[site].Application().Upload(m.t.Context(), key, s3mesh.Attributes{}, []byte(body[:half]), []byte(body[half:]))
	if err != nil {
		m.t.Error(err)
	}
}

// remove deletes an object as a client of a site does.
func (m *mesh) remove(site, key string) {
	m.t.Helper()
	if err := m.stores[site].Application().Delete(m.t.Context(), key); err != nil {
		m.t.Error(err)
	}
}

// replicate writes what source holds to the others, as s3mesh does.
func (m *mesh) replicate(key, source string, targets ...string) {
	m.t.Helper()
	o, body, err := m.stores[source].Bucket.Get(m.t.Context(), key, s3mesh.ReadOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, target := range targets {
		attr := o.Attributes
		attr.Metadata = maps.Clone(attr.Metadata)
		if attr.Metadata == nil {
			attr.Metadata = map[string]string{}
		}
		stamp := resolve.Stamp{Version: resolve.Read(source, key, o).Version, Written: m.now}
		attr.Metadata[resolve.MetadataName] = stamp.Encode(resolve.Place{Site: target, Key: key}, o.Size)
		m.put(target, key, string(data), attr)
	}
}

// change rewrites the attributes of an object, stamp and all, behind s3mesh's back.
func (m *mesh) change(site, key string, edit func(*s3mesh.Attributes)) {
	m.t.Helper()
	o, err := m.stores[site].Bucket.Head(m.t.Context(), key, s3mesh.ReadOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	edit(&o.Attributes)
	copied := memstore.CopySource{Key: key, Attributes: &o.Attributes}
	if _, err := m.stores[site].Application().Copy(m.t.Context(), key, copied); err != nil {
		m.t.Fatal(err)
	}
}

// run compares, and returns the findings by key.
func (m *mesh) run(opt verify.Options) (verify.Report, map[string]verify.Finding) {
	m.t.Helper()
	found := map[string]verify.Finding{}
	report, err := m.try(m.t.Context(), opt, found)
	if err != nil {
		m.t.Fatal(err)
	}
	return report, found
}

// try compares, and adds the findings to found, each key of which may come once.
func (m *mesh) try(ctx context.Context, opt verify.Options, found map[string]verify.Finding) (verify.Report, error) {
	m.t.Helper()
	cfg := m.cfg
	cfg.Found = func(f verify.Finding) error {
		if _, twice := found[f.Key]; twice && !m.twice {
			m.t.Errorf("%q was found twice", f.Key)
		}
		found[f.Key] = f
		return nil
	}
	return verify.Run(ctx, cfg, opt)
}

// summary is a finding in short: "verdict: site what, what; site what".
func summary(f verify.Finding) string {
	var sites []string
	for _, at := range f.Sites {
		if len(at.Differs) > 0 {
			sites = append(sites, at.Site+" "+strings.Join(at.Differs, ", "))
		}
	}
	return string(f.Verdict) + ": " + strings.Join(sites, "; ")
}

func refused(site string) error {
	return &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Op: "GetObject", Site: site, Err: errors.New("no")}
}

func sortedKeys(found map[string]verify.Finding) []string {
	return slices.SortedFunc(maps.Keys(found), cmp.Compare[string])
}
