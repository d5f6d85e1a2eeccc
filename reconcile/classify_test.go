package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// The table of the package comment.
func TestClasses(t *testing.T) {
	old, fresh := now.Add(-48*time.Hour), now.Add(-time.Minute)
	lately := now.Add(-2 * time.Hour) // changed for a multipart object only
	since := now.Add(-time.Hour)
	native := func(w *world, etagA, etagB string, at time.Time) {
		w.sites["a"].put("k", 5, etagA, at)
		w.sites["b"].put("k", 5, etagB, at)
	}
	replica := func(w *world, etagA, etagB string, at time.Time) {
		w.sites["a"].put("k", 5, etagA, at)
		w.sites["b"].replicate("k", w.sites["a"], etagB, at)
	}
	both := []string{"a->b k", "b->a k"}
	goneAtB := func(w *world) { native(w, "e", "f", old); goneAtHead(w.sites["b"]) }
	otherSize := func(w *world) { native(w, "e", "f", old); w.sites["b"].put("k", 6, "f", old) }
	earlier := func(w *world) { replica(w, "e", "", old); w.sites["a"].put("k", 5, "f", fresh) }
	for name, tc := range map[string]struct {
		set   func(w *world)
		full  bool
		heads int
		want  []string
	}{
		"absent":                         {func(w *world) { w.sites["a"].put("k", 5, "e", old) }, false, 0, []string{"a->b k fresh"}},
		"another size":                   {otherSize, false, 0, both},
		"equal, unchanged":               {func(w *world) { native(w, "e", "e", old) }, false, 0, nil},
		"equal, unchanged, full":         {func(w *world) { native(w, "e", "e", old) }, true, 2, nil},
		"equal, changed, native at both": {func(w *world) { native(w, "e", "e", fresh) }, false, 2, nil},
		"equal, changed, a replica":      {func(w *world) { replica(w, "e", "", fresh) }, false, 2, nil},
		"other ETag, not explicable":     {func(w *world) { native(w, "e", "f", old) }, false, 2, both},
		"multipart, unchanged":           {func(w *world) { native(w, "e-2", "f", old) }, false, 0, nil},
		"multipart, within a day":        {func(w *world) { replica(w, "e-2", "f", lately) }, false, 2, nil},
		"multipart, other content":       {func(w *world) { native(w, "e-2", "f", fresh) }, false, 2, both},
		"replica of an earlier version":  {earlier, false, 2, both},
		"same bytes again, over a replica": {func(w *world) {
			replica(w, "e", "", old)
			w.sites["a"].put("k", 5, "e", fresh)
			o := w.sites["a"].objects["k"]
			o.VersionID = "later"
			w.sites["a"].objects["k"] = o
		}, false, 2, nil},
		"same bytes again within a second, without versions": {func(w *world) {
			w.sites["a"].put("k", 5, "e", fresh)
			o := w.sites["a"].objects["k"]
			o.VersionID = ""
			w.sites["a"].objects["k"] = o
			w.sites["b"].replicate("k", w.sites["a"], "e", fresh)
			o.Attributes.ContentType = "text/other"
			w.sites["a"].objects["k"] = o
		}, false, 2, both},
		"gone when asked for":                   {goneAtB, false, 2, []string{"a->b k"}},
		"cannot be asked for: left to the task": {func(w *world) { native(w, "e", "f", old); denied(w.sites["b"]) }, false, 2, both},
		"equal checksums, other ETag": {func(w *world) {
			native(w, "e-2", "f", fresh)
			checksums(w.sites["a"], "CRC64NVME", "x")
			checksums(w.sites["b"], "CRC64NVME", "x")
		}, false, 2, nil},
		"other checksums, equal ETag": {func(w *world) {
			native(w, "e", "e", fresh)
			checksums(w.sites["a"], "SHA256", "x")
			checksums(w.sites["b"], "SHA256", "y")
		}, false, 2, both},
		"other metadata": {func(w *world) {
			native(w, "e", "e", fresh)
			o := w.sites["b"].objects["k"]
			o.Attributes.Metadata = map[string]string{"owner": "me"}
			w.sites["b"].objects["k"] = o
		}, false, 2, both},
		"other content type": {func(w *world) {
			native(w, "e", "e", fresh)
			o := w.sites["b"].objects["k"]
			o.Attributes.ContentType = "text/plain"
			w.sites["b"].objects["k"] = o
		}, false, 2, both},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b")
			tc.set(w)
			rep, found := mustRun(t, w.compared(t, since), Options{Full: tc.full})
			equalStrings(t, "events", w.queue.published(), tc.want...)
			if heads := w.sites["a"].count("HEAD") + w.sites["b"].count("HEAD"); heads != tc.heads {
				t.Errorf("%d HEADs, want %d", heads, tc.heads)
			}
			if len(found) != len(tc.want) || rep.Keys != 1 || rep.Differing != int64(min(1, len(tc.want))) {
				t.Errorf("differences %v, report %+v", found, rep)
			}
		})
	}
}

func goneAtHead(f *fakeSite) {
	f.before = func(op, key string) error {
		if op == "HEAD" {
			return &s3mesh.Error{Kind: s3mesh.KindNotFound, Op: op, Site: f.name, Key: key}
		}
		return nil
	}
}

func denied(f *fakeSite) {
	f.before = func(op, key string) error {
		if op == "HEAD" {
			return &s3mesh.Error{Kind: s3mesh.KindAccessDenied, Op: op, Site: f.name, Key: key}
		}
		return nil
	}
}

func checksums(f *fakeSite, algorithm, value string) {
	f.checksum = func(string) []s3mesh.Checksum { return []s3mesh.Checksum{{Algorithm: algorithm, Value: value}} }
}

// An SSE-KMS site is asked for each key once; then its ETags explain themselves, also in the next process.
func TestOpaqueSiteIsRemembered(t *testing.T) {
	w := newWorld("a", "b")
	w.Dir = t.TempDir()
	old := now.Add(-time.Hour)
	for _, key := range []string{"k1", "k2", "k3"} {
		w.sites["a"].put(key, 5, "md5-of-"+key[1:], old)
		o := w.sites["a"].objects[key]
		o.ETag = "e" + key
		w.sites["a"].objects[key] = o
		w.sites["b"].replicate(key, w.sites["a"], "opaque"+key, old)
		o = w.sites["b"].objects[key]
		o.OpaqueETag = true
		w.sites["b"].objects[key] = o
	}
	mustRun(t, New(w.Config), Options{})
	if got := w.sites["b"].count("HEAD"); got != 3 {
		t.Fatalf("%d HEADs at first, want 3", got)
	}
	w.Now = func() time.Time { return now.Add(time.Hour) }
	rep, _ := mustRun(t, New(w.Config), Options{})
	if got := w.sites["b"].count("HEAD"); got != 3 || rep.Checked != 0 {
		t.Errorf("%d HEADs after the second run, %d checked; want no more", got, rep.Checked)
	}
	equalStrings(t, "events", w.queue.published())
}

// While a third site is filled, the two that hold a key are compared too: a change of metadata that was lost between them would
// never be found later.
func TestHoldersAreComparedWhileAnotherIsFilled(t *testing.T) {
	w := newWorld("a", "b", "c")
	for _, site := range []string{"a", "b"} {
		w.sites[site].put("k", 5, "e", now.Add(-time.Hour))
	}
	o := w.sites["b"].objects["k"]
	o.Attributes.ContentType = "text/plain"
	w.sites["b"].objects["k"] = o
	_, found := mustRun(t, New(w.Config), Options{})
	equalStrings(t, "events", w.queue.published(), "a->b k", "b->a k", "a->c k fresh", "b->c k fresh")
	for _, d := range found {
		want := ReasonVersion
		if d.Link.Target == "c" {
			want = ReasonAbsent
		}
		if d.Reason != want {
			t.Errorf("%v: %s, want %s", d.Link, d.Reason, want)
		}
	}
}

// Sites that hold the same send one event to a target, and share the keys.
func TestOneSourcePerGroup(t *testing.T) {
	w := newWorld("a", "b", "c")
	for i := range 200 {
		key := string(rune('a'+i%26)) + string(rune('a'+i/26))
		for _, site := range []string{"a", "b"} {
			w.sites[site].put(key, 5, "e", now.Add(-time.Hour))
		}
	}
	rep, _ := mustRun(t, New(w.Config), Options{})
	from := map[string]int{}
	for _, ev := range w.queue.events {
		from[ev.Site]++
		if ev.Target != "c" || ev.Bucket != "bucket-"+ev.Site || !ev.Time.IsZero() || ev.Size != 5 || ev.ETag != "e" {
			t.Fatalf("unexpected event %+v", ev)
		}
	}
	if from["a"]+from["b"] != 200 || from["a"] < 60 || from["b"] < 60 || rep.Checked != 200 {
		t.Errorf("events by source %v, %d checked", from, rep.Checked)
	}
}

func TestOptionsRestrictLinks(t *testing.T) {
	for name, tc := range map[string]struct {
		served []string
		opt    Options
		want   []string
	}{
		"all":     {nil, Options{}, []string{"a->b x/k", "a->c x/k", "a->b y", "a->c y"}},
		"served":  {[]string{"b"}, Options{}, []string{"a->b x/k", "a->b y"}},
		"to":      {nil, Options{To: []string{"c"}}, []string{"a->c x/k", "a->c y"}},
		"from":    {nil, Options{From: []string{"b"}}, nil},
		"prefix":  {nil, Options{Prefix: "x/"}, []string{"a->b x/k", "a->c x/k"}},
		"dry run": {nil, Options{DryRun: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("a", "b", "c")
			w.Served, w.Dir = tc.served, t.TempDir()
			for _, key := range []string{"x/k", "y", s3mesh.ReservedPrefix + "z", "no\xff"} {
				w.sites["a"].put(key, 1, "e", now)
			}
			r := New(w.Config)
			rep, found := mustRun(t, r, tc.opt)
			var plain []string
			for _, ev := range w.queue.events {
				plain = append(plain, ev.Site+"->"+ev.Target+" "+ev.Key)
			}
			slices.Sort(plain)
			equalStrings(t, "events", plain, tc.want...)
			if tc.opt.DryRun && (len(found) != 4 || !r.store.last(w.Set.Links[0], "").Started.IsZero()) {
				t.Errorf("a dry run found %d differences, want 4, and must not count as complete", len(found))
			}
			if tc.opt.Prefix == "" && rep.Skipped != 1 {
				t.Errorf("%d keys skipped, want 1", rep.Skipped)
			}
		})
	}
	r := New(newWorld("a", "b").Config)
	for _, opt := range []Options{{From: []string{"nowhere"}}, {From: []string{"a"}, To: []string{"a"}}} {
		if _, err := r.Run(t.Context(), opt, nil); s3mesh.KindOf(err) != s3mesh.KindInvalid {
			t.Errorf("%+v: %v, want an error of kind invalid", opt, err)
		}
	}
}

// Two sites look the same, and a third does not: any of the three versions may be the latest, also one of the two that look the
// same, so that all are carried to all.
func TestLookAlikesAreNotOneVersion(t *testing.T) {
	w := newWorld("a", "b", "c")
	for name, etag := range map[string]string{"a": "e", "b": "e", "c": "f"} {
		w.sites[name].put("k", 5, etag, now.Add(-time.Minute))
	}
	mustRun(t, w.compared(t, now.Add(-time.Hour)), Options{})
	equalStrings(t, "events", w.queue.published(), "a->b k", "a->c k", "b->a k", "b->c k", "c->a k", "c->b k")
}

// A site that does not answer does not keep the others from being compared; that it was left out is told.
func TestAwaySitesAreLeftOut(t *testing.T) {
	w := newWorld("a", "b", "c")
	w.sites["a"].put("k", 5, "e", now)
	w.Away = func(site string) bool { return site == "c" }
	rep, err := New(w.Config).Run(t.Context(), Options{}, nil)
	if s3mesh.KindOf(err) != s3mesh.KindUnreachable || !strings.Contains(err.Error(), "c") || rep.Complete {
		t.Errorf("%v, %+v", err, rep)
	}
	equalStrings(t, "events", w.queue.published(), "a->b k fresh")
	w.Away = func(site string) bool { return site != "a" }
	if _, err := New(w.Config).Run(t.Context(), Options{}, nil); s3mesh.KindOf(err) != s3mesh.KindUnreachable {
		t.Errorf("nothing to compare: %v", err)
	}
}

// A client that wrote over a replica and kept its stamp made a version of its own, which the replicators tell from the history.
func TestCopiedStampIsNoSameVersion(t *testing.T) {
	w := newWorld("a", "b")
	w.sites["a"].put("k", 5, "e", now.Add(-2*time.Minute))
	w.sites["b"].replicate("k", w.sites["a"], "e", now.Add(-time.Minute))
	o := w.sites["b"].objects["k"]
	o.Attributes.ContentType = "text/other"
	w.sites["b"].objects["k"] = o
	mustRun(t, w.compared(t, now.Add(-time.Hour)), Options{})
	equalStrings(t, "events", w.queue.published(), "a->b k", "b->a k")
}
