package verify_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/verify"
)

func crc(value string, composite bool) []s3mesh.Checksum {
	return []s3mesh.Checksum{{Algorithm: "CRC64NVME", Value: value, Composite: composite}}
}

// Each case makes key "k" at the sites a, b and c, which start with equal replicas of an object written at a.
func TestFindings(t *testing.T) {
	blue := s3mesh.Attributes{ContentType: "text/plain", Metadata: map[string]string{"colour": "blue"}}
	tests := []struct {
		name    string
		prepare func(m *mesh)
		want    string // summary of the finding; empty: equal
		bytes   bool   // that bytes were read
	}{
		{"replicas", func(*mesh) {}, "", false},
		{"native at each site, equal", func(m *mesh) {
			for _, site := range []string{"a", "b", "c"} {
				m.put(site, "k", "body", s3mesh.Attributes{})
			}
		}, "", false},
		{"metadata", func(m *mesh) {
			m.change("b", "k", func(a *s3mesh.Attributes) { a.Metadata["colour"] = "red" })
		}, "differs: b metadata colour", false},
		{"headers", func(m *mesh) {
			m.change("c", "k", func(a *s3mesh.Attributes) { a.ContentType, a.CacheControl, a.Expires = "x/y", "no-store", "never" })
		}, "differs: c content-type, cache-control, expires", false},
		{"what a store cannot hold", func(m *mesh) {
			m.put("a", "k", "body", s3mesh.Attributes{WebsiteRedirect: "/elsewhere"})
			m.replicate("k", "a", "b", "c")
			m.change("b", "k", func(a *s3mesh.Attributes) { a.WebsiteRedirect = "" })
		}, "differs: b website-redirect", false},
		{"tags", func(m *mesh) { m.stores["a"].tags["k"] = map[string]string{"x": "1"} }, "differs: b tags; c tags", false},
		{"equal tags", func(m *mesh) {
			for _, s := range m.stores {
				s.tags["k"] = map[string]string{"x": "1"}
			}
		}, "", false},
		{"size", func(m *mesh) { m.put("b", "k", "longer body", blue) }, "differs: a size; c size", false},
		{"content of the same size", func(m *mesh) { m.put("c", "k", "ydob", blue) },
			"differs: a content; b content", true},
		{"parts that are equal", func(m *mesh) {
			for _, site := range []string{"a", "b", "c"} {
				m.upload(site, "k", "body")
			}
		}, "", true},
		{"parts that are flipped", func(m *mesh) {
			m.upload("a", "k", strings.Repeat("x", 300_000)+"y")
			m.upload("b", "k", strings.Repeat("x", 300_000)+"z")
			m.upload("c", "k", strings.Repeat("x", 300_000)+"z")
		}, "differs: a content", true},
		{"equal checksums of parts", func(m *mesh) {
			for site, s := range m.stores {
				m.upload(site, "k", "body")
				s.checksums["k"] = crc("AAAA-2", true)
			}
		}, "", false},
		{"unequal checksums of the whole", func(m *mesh) {
			for site, s := range m.stores {
				m.upload(site, "k", "body")
				s.checksums["k"] = crc("of "+site, false)
			}
		}, "differs: a content; b content", false},
		{"unequal checksums of parts of equal content", func(m *mesh) {
			for site, s := range m.stores {
				m.upload(site, "k", "body")
				s.checksums["k"] = crc("of "+site, true)
			}
		}, "", true},
		{"opaque ETags of equal content", func(m *mesh) { m.stores["b"].opaque = true }, "", true},
		{"deleted before the latest version was written", func(m *mesh) {
			m.remove("b", "k")
			m.now = m.now.Add(time.Minute)
			m.put("a", "k", "newer", s3mesh.Attributes{})
			m.replicate("k", "a", "c")
		}, "differs: b missing", false},
		{"empty objects", func(m *mesh) {
			for site, s := range m.stores {
				m.put(site, "k", "", s3mesh.Attributes{})
				s.opaque = true
			}
		}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMesh(t, "a", "b", "c")
			m.put("a", "k", "body", blue)
			m.replicate("k", "a", "b", "c")
			m.now = m.now.Add(time.Minute)
			tt.prepare(m)
			report, found := m.run(verify.Options{})
			got := ""
			if f, ok := found["k"]; ok {
				got = summary(f)
			}
			if got != tt.want {
				t.Errorf("found %q, want %q: %+v", got, tt.want, found["k"])
			}
			if (report.BytesRead > 0) != tt.bytes || (report.ByBytes == 1) != tt.bytes {
				t.Errorf("%d bytes of %d keys were read", report.BytesRead, report.ByBytes)
			}
			if !report.Complete || report.Compared != 1 || report.Listed != 1 {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestBytesAreReadWhenAsked(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	m.put("a", "k", "body", s3mesh.Attributes{})
	m.replicate("k", "a", "b", "c")
	report, found := m.run(verify.Options{Bytes: true})
	if len(found) != 0 || report.BytesRead != 12 || report.Equal != 1 {
		t.Errorf("%v, %+v", found, report)
	}
	for site, s := range m.stores {
		s.checksums["k"] = crc("equal", false)
		if site == "c" {
			m.upload(site, "k", "BODY")
		}
	}
	if _, found = m.run(verify.Options{}); summaries(found)["k"] != "" {
		t.Errorf("without Bytes, stored checksums are to be relied on: %v", found)
	}
	if _, found = m.run(verify.Options{Bytes: true}); !strings.Contains(summaries(found)["k"], "content") {
		t.Errorf("with Bytes: %v", found)
	}
}

// An object is read in segments, and only as far as it takes to tell all contents apart.
func TestSegments(t *testing.T) {
	body := strings.Repeat("x", 1000)
	for _, at := range []int{-1, 0, 150, 999} {
		m := newMesh(t, "a", "b", "c")
		m.cfg.SetSegment(100)
		for _, site := range []string{"a", "b", "c"} {
			text := []byte(body)
			if site == "c" && at >= 0 {
				text[at] = 'y'
			}
			m.upload(site, "k", string(text))
		}
		report, found := m.run(verify.Options{})
		if got := summaries(found)["k"]; (at >= 0) != strings.Contains(got, "content") {
			t.Errorf("byte %d differs: found %q", at, got)
		}
		if report.BytesRead != 3000 { // a and b are to be told equal to their end
			t.Errorf("byte %d differs: %d bytes were read", at, report.BytesRead)
		}
	}
	m := newMesh(t, "a", "b")
	m.cfg.SetSegment(100)
	m.upload("a", "k", body)
	m.upload("b", "k", "y"+body[1:])
	if report, found := m.run(verify.Options{}); len(found) != 1 || report.BytesRead != 200 {
		t.Errorf("%v, %d bytes were read of contents that differ at once", found, report.BytesRead)
	}
	if n := m.stores["a"].gets; n != 1 {
		t.Errorf("%d segments were asked for of contents that differ in the first", n)
	}
}

func summaries(found map[string]verify.Finding) map[string]string {
	all := map[string]string{}
	for key, f := range found {
		all[key] = summary(f)
	}
	return all
}

func TestDeletes(t *testing.T) {
	prepare := func(t *testing.T) *mesh {
		t.Helper()
		m := newMesh(t, "a", "b", "c")
		m.put("a", "k", "body", s3mesh.Attributes{})
		m.replicate("k", "a", "b", "c")
		m.now = m.now.Add(time.Minute)
		m.remove("b", "k")
		return m
	}
	t.Run("ignored", func(t *testing.T) {
		m := prepare(t)
		report, found := m.run(verify.Options{})
		if got := summary(found["k"]); got != "deleted: b deleted" || len(found["k"].Repairs) > 0 {
			t.Errorf("%s: %+v", got, found["k"])
		}
		if report.Found[verify.Deleted] != 1 || report.Found[verify.Differs] != 0 || len(report.Findings) != 0 {
			t.Errorf("%+v", report)
		}
	})
	t.Run("propagated", func(t *testing.T) {
		m := prepare(t)
		m.cfg.PropagateDeletes = true
		_, found := m.run(verify.Options{})
		if got := summary(found["k"]); got != "differs: a not deleted; c not deleted" || found["k"].Reference != "b" {
			t.Errorf("%s: %+v", got, found["k"])
		}
	})
	t.Run("everywhere", func(t *testing.T) {
		m := prepare(t)
		m.cfg.PropagateDeletes = true
		m.remove("a", "k")
		m.stores["c"].onHead = func(string) { m.stores["c"].onHead = nil; m.remove("c", "k") } // after it was listed
		report, found := m.run(verify.Options{})
		if len(found) != 0 || report.Compared != 0 {
			t.Errorf("%v, %+v", found, report)
		}
	})
}

func TestOneWay(t *testing.T) {
	m := newMesh(t, "a", "b")
	m.cfg.Set.Links = []s3mesh.Link{{Source: "a", Target: "b"}}
	m.put("a", "from a", "x", s3mesh.Attributes{})
	m.put("b", "from b", "x", s3mesh.Attributes{})
	_, found := m.run(verify.Options{})
	got := summaries(found)
	if got["from a"] != "differs: b missing" || got["from b"] != "unlinked: a missing" {
		t.Errorf("%v", got)
	}
}

func TestRepairs(t *testing.T) {
	ab, ac, ba, bc, ca := s3mesh.Link{Source: "a", Target: "b"}, s3mesh.Link{Source: "a", Target: "c"},
		s3mesh.Link{Source: "b", Target: "a"}, s3mesh.Link{Source: "b", Target: "c"}, s3mesh.Link{Source: "c", Target: "a"}
	red := func(a *s3mesh.Attributes) { a.Metadata["colour"] = "red" }
	tests := []struct {
		name    string
		links   []s3mesh.Link // nil: all
		prepare func(m *mesh)
		want    []s3mesh.Link
		reason  string
	}{
		{"from where it was written", nil, func(m *mesh) { m.change("b", "k", red); m.change("c", "k", red) },
			[]s3mesh.Link{ab, ba, ac, ca}, ""},
		{"over another site, where there is no link", []s3mesh.Link{ab, bc, ca}, func(m *mesh) { m.change("c", "k", red) },
			[]s3mesh.Link{bc, ca}, ""},
		{"no link from an equal site", []s3mesh.Link{ab, bc, ca},
			func(m *mesh) { m.change("b", "k", red); m.change("c", "k", red) }, []s3mesh.Link{ab}, "no link leads to c"},
		{"two replicas, and the original not among them", nil, func(m *mesh) {
			m.put("b", "k", "newer", s3mesh.Attributes{Metadata: map[string]string{}})
			m.replicate("k", "b", "a", "c")
			m.cfg.Set = s3mesh.FullMesh("part", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "c"})
			m.change("c", "k", red)
		}, nil, "nothing tells which"},
		{"from most, where the original is not among them", nil, func(m *mesh) {
			d := newMesh(m.t, "d")
			m.stores["d"], m.cfg.Sites["d"] = d.stores["d"], d.stores["d"]
			m.put("d", "k", "newer", s3mesh.Attributes{Metadata: map[string]string{}})
			m.replicate("k", "d", "a", "b", "c")
			m.change("a", "k", red)
		}, []s3mesh.Link{ba}, ""},
		{"tags", nil, func(m *mesh) { m.stores["a"].tags["k"] = map[string]string{"x": "y"} }, nil, "does not copy tags"},
		{"both ways, where times do not tell", nil, func(m *mesh) {
			m.put("b", "k", "other", s3mesh.Attributes{})
			m.now = m.now.Add(time.Second)
			m.put("a", "k", "later?", s3mesh.Attributes{})
			m.replicate("k", "a", "c")
		}, []s3mesh.Link{ab, ba}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMesh(t, "a", "b", "c")
			if tt.links != nil {
				m.cfg.Set.Links = tt.links
			}
			m.put("a", "k", "body", s3mesh.Attributes{Metadata: map[string]string{}})
			m.replicate("k", "a", "b", "c")
			m.now = m.now.Add(time.Minute)
			tt.prepare(m)
			var asked []s3mesh.Link
			m.cfg.Repair = func(_ context.Context, repairs []verify.Repair) error {
				for _, r := range repairs {
					asked = append(asked, s3mesh.Link{Source: r.Source, Target: r.Target})
				}
				return nil
			}
			report, found := m.run(verify.Options{})
			f := found["k"]
			if !slices.Equal(asked, tt.want) || int(report.Repairs) != len(tt.want) {
				t.Errorf("repairs %v, want %v: %+v", asked, tt.want, f)
			}
			if !strings.Contains(f.NotRepairable, tt.reason) || (f.NotRepairable == "") != (tt.reason == "") {
				t.Errorf("reason %q, want %q", f.NotRepairable, tt.reason)
			}
		})
	}
}

func TestChanging(t *testing.T) {
	t.Run("all the time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, "a", "b")
			m.put("a", "k", "x", s3mesh.Attributes{})
			body := "x"
			m.stores["a"].onHead = func(string) { body += "x"; m.put("a", "k", body, s3mesh.Attributes{}) }
			report, found := m.run(verify.Options{})
			if found["k"].Verdict != verify.Changing || report.Found[verify.Differs] != 0 {
				t.Errorf("%+v", found["k"])
			}
		})
	})
	t.Run("on its way", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMesh(t, "a", "b")
			m.now = time.Now()
			m.cfg.Now = time.Now
			m.put("a", "k", "x", s3mesh.Attributes{})
			go func() {
				time.Sleep(2 * time.Second) //nolint:forbidigo // the clock of the bubble
				m.replicate("k", "a", "b")
			}()
			if _, found := m.run(verify.Options{}); len(found) != 0 {
				t.Errorf("%+v", found["k"])
			}
			synctest.Wait()
		})
	})
	t.Run("overwritten before it is read", func(t *testing.T) {
		m := newMesh(t, "a", "b")
		m.upload("a", "k", "body")
		m.upload("b", "k", "body")
		m.stores["b"].onGet = func() { m.upload("b", "k", "BODY") }
		if _, found := m.run(verify.Options{}); len(found) != 0 {
			t.Errorf("something else was read than had been looked at: %v", summaries(found))
		}
	})
	t.Run("refused while it is read", func(t *testing.T) {
		m := newMesh(t, "a", "b")
		m.upload("a", "k", "body")
		m.upload("b", "k", "BODY")
		heads := 0
		m.stores["b"].onHead = func(string) {
			if heads++; heads == 2 { // the second look, after the reading failed
				m.stores["b"].failGet = nil
			}
		}
		m.stores["b"].failGet = &s3mesh.Error{Kind: s3mesh.KindPreconditionFailed, Site: "b"}
		report, found := m.run(verify.Options{})
		if found["k"].Verdict != verify.Differs || report.Compared != 1 || heads < 3 {
			t.Errorf("%v, %+v, %d heads", found, report, heads)
		}
	})
}

func TestUnreadable(t *testing.T) {
	m := newMesh(t, "a", "b", "c")
	for _, site := range []string{"a", "b", "c"} {
		m.upload(site, "k", "body")
	}
	m.stores["b"].failGet = refused("b")
	report, found := m.run(verify.Options{})
	if got := summary(found["k"]); got != "unreadable: b unreadable" || report.Found[verify.Unreadable] != 1 {
		t.Errorf("%s, %+v", got, report)
	}
	for site, s := range m.stores {
		s.failHead = refused(site)
	}
	if _, found = m.run(verify.Options{}); summary(found["k"]) != "unreadable: a unreadable; b unreadable; c unreadable" {
		t.Errorf("%+v", found["k"])
	}
}

func TestUnreachableEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMesh(t, "a", "b")
		m.put("a", "k", "body", s3mesh.Attributes{})
		m.stores["b"].failHead = &s3mesh.Error{Kind: s3mesh.KindUnreachable, Site: "b"}
		report, err := m.try(t.Context(), verify.Options{}, map[string]verify.Finding{})
		if s3mesh.KindOf(err) != s3mesh.KindUnreachable || report.Complete || report.Compared != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
