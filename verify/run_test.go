package verify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/verify"
)

// fill writes keys, most of them equal at all sites, the others at some sites alone. Their names sort differently byte by byte
// and folder by folder.
func (m *mesh) fill() {
	names := slices.Sorted(maps.Keys(m.stores))
	for i, key := range []string{"a", "a-1", "a/1", "a/2", "a0", "b", "b-/x", "b/x", "b/x-", "b/x/1", "c", "c!", "c/", "d", "d-",
		"d/1", "d/1-", "d/1/2", "d1", "e", "e-1", "e/1", "e/2", "z", "z-", "z/1", "z/1!", "z/1/1"} {
		for n, site := range names {
			body := "body"
			switch {
			case i%5 == 1 && n != i%len(names): // at one site only
				continue
			case i%5 == 2 && n == i%len(names): // at all but one
				continue
			case i%7 == 3 && n == 1:
				body = "BODY"
			}
			m.put(site, key, body, s3mesh.Attributes{})
		}
	}
}

// meshes are the orders in which the sites list.
func meshes(t *testing.T) map[string]*mesh {
	t.Helper()
	all := map[string]*mesh{}
	for _, unordered := range []string{"", "b", "ab", "abc"} {
		m := newMesh(t, "a", "b", "c")
		for site := range strings.SplitSeq(unordered, "") {
			if site != "" {
				m.stores[site].less = treeOrder
			}
		}
		m.cfg.Parallel, m.twice = 3, len(unordered) > 1
		m.fill()
		all["unordered "+unordered] = m
	}
	return all
}

// essence is what of a report does not depend on how often the run was cut off.
func essence(r verify.Report) any {
	c := r.Counts
	c.BytesRead = 0 // also what was read of the keys that were cut off
	var findings []string
	for _, f := range r.Findings {
		findings = append(findings, f.Key+" "+summary(f))
	}
	return fmt.Sprintf("%+v %v %v", c, r.Complete, findings)
}

// Whatever order sites list in, every key is compared, and each once.
func TestListingOrders(t *testing.T) {
	var want map[string]string
	for name, m := range meshes(t) {
		report, found := m.run(verify.Options{})
		most := int64(28)
		if m.twice {
			most = 36
		}
		if n := report.Compared; n < 28 || n > most || report.Listed != n || len(found) == 0 {
			t.Errorf("%s: %+v", name, report)
		}
		if want == nil {
			want = summaries(found)
		}
		if got := summaries(found); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: found %v, want %v", name, got, want)
		}
		unordered := strings.Join(slices.Sorted(slices.Values(report.Unordered)), "")
		if unordered != strings.TrimPrefix(name, "unordered ") {
			t.Errorf("%s: %v were found out of order", name, report.Unordered)
		}
	}
}

// A run that is cut off anywhere and taken up again finds the same as one that was not, and tells nothing twice.
func TestResume(t *testing.T) {
	for name, m := range meshes(t) {
		for _, sample := range []string{"100%", "50%", "10"} {
			t.Run(name+" "+sample, func(t *testing.T) {
				m.t = t
				seed := uint64(7)
				opt := verify.Options{Seed: &seed}
				var err error
				if opt.Sample, err = verify.ParseSample(sample); err != nil {
					t.Fatal(err)
				}
				step := 7 // one case has most cuts, and the others some
				if name == "unordered b" && opt.Sample.All() {
					step = 2
				}
				m.cfg.StateFile = ""
				whole, want := m.run(opt)
				for cut, complete := 1, false; !complete; cut += step {
					complete = m.cutOff(opt, cut, whole, want)
				}
			})
		}
	}
}

// cutOff cuts a run off at its nth HEAD, and takes it up again. It returns true when there was nothing left to cut off.
func (m *mesh) cutOff(opt verify.Options, nth int, whole verify.Report, want map[string]verify.Finding) (complete bool) {
	t := m.t
	t.Helper()
	m.cfg.StateFile = filepath.Join(t.TempDir(), "deep", "state.json")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	heads := 0
	for _, s := range m.stores {
		s.onHead = func(string) {
			mu.Lock()
			defer mu.Unlock()
			if heads++; heads == nth {
				cancel()
			}
		}
	}
	found := map[string]verify.Finding{}
	report, err := m.try(ctx, opt, found)
	for _, s := range m.stores {
		s.onHead = nil
	}
	if complete = err == nil; !complete {
		if s3mesh.KindOf(err) != s3mesh.KindCanceled || report.Complete {
			t.Fatalf("cut %d: %v, %+v", nth, err, report)
		}
		if _, err := os.Stat(m.cfg.StateFile); err != nil {
			t.Fatalf("cut %d: %v", nth, err)
		}
		if report, err = m.try(t.Context(), opt, found); err != nil || !report.Resumed {
			t.Fatalf("cut %d: taken up: %v, %+v", nth, err, report)
		}
	}
	if got, want := summaries(found), summaries(want); !reflect.DeepEqual(got, want) {
		t.Errorf("cut %d: found %v, want %v", nth, got, want)
	}
	if got, want := essence(report), essence(whole); got != want && !m.twice {
		t.Errorf("cut %d:\n got %v\nwant %v", nth, got, want)
	}
	if left, err := os.ReadDir(filepath.Dir(m.cfg.StateFile)); err != nil || len(left) != 0 {
		t.Errorf("cut %d: left behind: %v, %v", nth, left, err)
	}
	return complete
}

// What is found before a run is cut off is given to be repaired before it is kept that it was found.
func TestRepairsComeBeforeTheState(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	m.fill()
	m.cfg.StateFile = filepath.Join(t.TempDir(), "state.json")
	away := errors.New("away")
	asked := map[verify.Repair]bool{}
	m.cfg.Repair = func(context.Context, []verify.Repair) error { return away }
	report, err := m.try(t.Context(), verify.Options{}, map[string]verify.Finding{})
	if !errors.Is(err, away) || report.Complete {
		t.Fatalf("%v, %+v", err, report)
	}
	m.cfg.Repair = func(_ context.Context, repairs []verify.Repair) error {
		for _, r := range repairs {
			asked[r] = true
		}
		return nil
	}
	report, found := m.run(verify.Options{})
	for key, f := range found {
		for _, r := range f.Repairs {
			if !asked[r] {
				t.Errorf("%q: no repair %v", key, r)
			}
		}
	}
	if len(asked) == 0 || int(report.Repairs) != len(asked) {
		t.Errorf("%d of %d repairs", len(asked), report.Repairs)
	}
}

func TestStateOfAnotherRun(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	m.fill()
	file := filepath.Join(t.TempDir(), "state.json")
	m.cfg.StateFile = file
	stop := func() {
		ctx, cancel := context.WithCancel(t.Context())
		m.cfg.Observe = func(p verify.Progress) {
			if p.Compared == 5 {
				cancel()
			}
		}
		if _, err := m.try(ctx, verify.Options{}, map[string]verify.Finding{}); err == nil {
			t.Fatal("not cut off")
		}
		m.cfg.Observe = nil
	}
	for name, again := range map[string]func() verify.Options{
		"another prefix": func() verify.Options { return verify.Options{Prefix: "a"} },
		"restart":        func() verify.Options { return verify.Options{Restart: true} },
		"damaged": func() verify.Options {
			if err := os.WriteFile(file, []byte(`{"format":1,`), 0o600); err != nil {
				t.Fatal(err)
			}
			return verify.Options{}
		},
	} {
		stop()
		if report, _ := m.run(again()); report.Resumed || !report.Complete {
			t.Errorf("%s: %+v", name, report)
		}
	}
	stop()
	if report, _ := m.run(verify.Options{}); !report.Resumed || report.Compared != 28 {
		t.Errorf("the same: %+v", report)
	}
}

func TestSample(t *testing.T) {
	m := newMesh(t, "a", "b")
	for i := range 400 {
		m.put("a", fmt.Sprintf("key-%03d", i), "x", s3mesh.Attributes{})
	}
	seeds := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	one, two := seeds.Uint64(), seeds.Uint64()
	for text, near := range map[string]int{"25%": 100, "50": 50, "1000": 400} {
		sample, err := verify.ParseSample(text)
		if err != nil || sample.String() != text {
			t.Fatalf("%s: %v, %v", text, sample, err)
		}
		first, found := m.run(verify.Options{Sample: sample, Seed: &one})
		_, again := m.run(verify.Options{Sample: sample, Seed: &one})
		_, other := m.run(verify.Options{Sample: sample, Seed: &two})
		slack := 0
		if sample.Share > 0 {
			slack = 30
		}
		if n := len(found); n < near-slack || n > near+slack || first.Seed != one || first.Listed != 400 {
			t.Errorf("%s: %d keys of %d, seed %d", text, n, first.Listed, first.Seed)
		}
		if !slices.Equal(sortedKeys(found), sortedKeys(again)) {
			t.Errorf("%s: the same seed chose other keys", text)
		}
		if near < 400 && slices.Equal(sortedKeys(found), sortedKeys(other)) {
			t.Errorf("%s: another seed chose the same keys", text)
		}
	}
	for _, text := range []string{"", "%", "0%", "101%", "NaN%", "-1%", "0", "1000001", "1.5", "x"} {
		if sample, err := verify.ParseSample(text); err == nil {
			t.Errorf("%q was read as %v", text, sample)
		}
	}
	if sample, err := verify.ParseSample("100%"); err != nil || !sample.All() {
		t.Errorf("%v, %v", sample, err)
	}
}

func TestPrefixAndFilter(t *testing.T) {
	m := newMesh(t, "a", "b")
	for _, key := range []string{"x/1", "x/2", "y/1", s3mesh.ReservedPrefix + "z"} {
		m.put("a", key, "x", s3mesh.Attributes{})
	}
	m.cfg.Takes = func(key string) bool { return !strings.HasPrefix(key, s3mesh.ReservedPrefix) && key != "x/2" }
	if report, found := m.run(verify.Options{}); len(found) != 2 || report.Listed != 4 || report.Compared != 2 {
		t.Errorf("%v, %+v", found, report)
	}
	if _, found := m.run(verify.Options{Prefix: "x/"}); len(found) != 1 {
		t.Errorf("%v", found)
	}
}

func TestConfigFaults(t *testing.T) {
	m := newMesh(t, "a", "b")
	one := m.cfg
	one.Set = s3mesh.ReplicaSet{Sites: one.Set.Sites[:1]}
	closed := m.cfg
	closed.Sites = map[string]verify.Site{"a": m.stores["a"]}
	for _, cfg := range []verify.Config{{}, one, closed} {
		if _, err := verify.Run(t.Context(), cfg, verify.Options{}); s3mesh.KindOf(err) != s3mesh.KindInvalid {
			t.Errorf("%v", err)
		}
	}
}

// flaky is a site whose listing breaks off after each page.
type flaky struct {
	*store
	denied bool
}

func (f flaky) List(ctx context.Context, opt s3mesh.ListOptions) iter.Seq2[[]s3mesh.Listed, error] {
	return func(yield func([]s3mesh.Listed, error) bool) {
		if f.denied {
			yield(nil, refused(f.site))
			return
		}
		for page, err := range f.store.List(ctx, opt) {
			if yield(page, err) && len(page) == 3 {
				yield(nil, &s3mesh.Error{Kind: s3mesh.KindUnreachable, Site: f.site})
			}
			return
		}
	}
}

func TestListingBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "a", "b", "c")
		m.fill()
		_, want := m.run(verify.Options{})
		m.cfg.Sites["b"] = flaky{store: m.stores["b"]}
		report, found := m.run(verify.Options{})
		if report.Compared != 28 || !reflect.DeepEqual(summaries(found), summaries(want)) {
			t.Errorf("%v, want %v", summaries(found), summaries(want))
		}
		m.cfg.Sites["b"] = flaky{m.stores["b"], true}
		for _, sample := range []verify.Sample{{}, {Keys: 3}} {
			_, err := m.try(t.Context(), verify.Options{Sample: sample}, map[string]verify.Finding{})
			if s3mesh.KindOf(err) != s3mesh.KindAccessDenied {
				t.Errorf("sample %v: %v", sample, err)
			}
		}
	})
}
