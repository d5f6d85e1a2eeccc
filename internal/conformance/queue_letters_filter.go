package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
)

var letterFilterTests = []queueTest{
	{name: "letters by filter", run: testLetterFilters},
	{name: "letters of links that are not", run: testLetterNoLink},
	{name: "cursor outlives its letter", run: testLetterCursor},
}

// filterEpoch is the last attempt of the first letter of [queueSuite.buryMany].
var filterEpoch = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

// filterKinds are the kinds of the letters of [queueSuite.buryMany], in turn.
var filterKinds = []s3mesh.Kind{s3mesh.KindAccessDenied, s3mesh.KindTooLarge, s3mesh.KindOther}

// filterKeys are prefixes that have a meaning, or none, somewhere on the way.
var filterKeys = []string{"plain/", "a.*.>", "*", ">", "%2F", "\x00", "日本", "e\u0301", `"\`, " ", "<&"}

// buryMany buries letters of odd keys, several kinds, sites and times on two links, and returns them in that order.
func (s *queueSuite) buryMany() []s3mesh.DeadLetter {
	s.Helper()
	var all []s3mesh.DeadLetter
	subs := []s3mesh.Subscription{s.live(1), s.subscribe(linkAC, s3mesh.LaneLive, 1)}
	for i, key := range filterKeys {
		for j := range 3 {
			s.publish(s3mesh.LaneLive, change(fmt.Sprint(key, j), "1"))
			for k, link := range []s3mesh.Link{linkAB, linkAC} {
				d := s.next(subs[k])
				n := len(all)
				l := letterFor(link, d.Event(), "x")
				l.Kind, l.Last = filterKinds[n%3], filterEpoch.Add(time.Duration(n)*time.Second)
				l.Site = []string{siteA, siteB, siteC, ""}[(i+j)%4]
				if err := d.Bury(s.Context(), l); err != nil {
					s.Fatal("Bury:", err)
				}
				all = append(all, l)
			}
		}
	}
	return all
}

func testLetterFilters(s *queueSuite) {
	all := s.buryMany()
	mid := filterEpoch.Add(20 * time.Second)
	filters := []s3mesh.LetterFilter{
		{},
		{Link: linkAC},
		{Link: linkBA},
		{Kinds: []s3mesh.Kind{s3mesh.KindTooLarge}},
		{Kinds: []s3mesh.Kind{s3mesh.KindOther, s3mesh.KindAccessDenied}},
		{Kinds: []s3mesh.Kind{s3mesh.KindCorrupted}},
		{Site: siteC},
		{Site: "nowhere"},
		{Since: mid},
		{Before: mid},
		{Since: mid, Before: mid},
		{Since: mid, Before: mid.Add(1)},
		{Since: mid.Add(-5 * time.Second), Before: mid.Add(5 * time.Second)},
		{Link: linkAB, Kinds: []s3mesh.Kind{s3mesh.KindOther}, Site: siteB, Since: filterEpoch.Add(1), Prefix: "*"},
	}
	for _, key := range append(filterKeys, "p", "plain/2", "none", "*0", "\x00\x00") {
		filters = append(filters, s3mesh.LetterFilter{Prefix: key}, s3mesh.LetterFilter{Prefix: key, Link: linkAB})
	}
	for _, f := range filters {
		var want []s3mesh.DeadLetter
		for _, l := range all {
			if f.Matches(l) {
				want = append(want, l)
			}
		}
		for _, limit := range []int{1, 7, 1000} {
			s.wantLetters(f, limit, want)
		}
		s.wantCounts(f, want)
	}
}

// wantLetters reads all pages of a filter's letters: these, and no others, in this order.
func (s *queueSuite) wantLetters(f s3mesh.LetterFilter, limit int, want []s3mesh.DeadLetter) {
	s.Helper()
	var got []s3mesh.DeadLetter
	for cursor, more := "", true; more; {
		page, next := s.filtered(f, cursor, limit)
		for _, l := range page {
			l.ID = ""
			got = append(got, l)
		}
		cursor, more = next, next != ""
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		s.Fatalf("letters of %+v in pages of %d (-want +got):\n%s", f, limit, diff)
	}
}

// wantCounts expects Count to tell of these letters.
func (s *queueSuite) wantCounts(f s3mesh.LetterFilter, letters []s3mesh.DeadLetter) {
	s.Helper()
	var want []s3mesh.LetterCount
	for _, l := range letters {
		i := slices.IndexFunc(want, func(c s3mesh.LetterCount) bool { return c.Link == l.Link && c.Kind == l.Kind })
		if i < 0 {
			want = append(want, s3mesh.LetterCount{Link: l.Link, Kind: l.Kind})
			i = len(want) - 1
		}
		want[i].Count++
	}
	slices.SortFunc(want, func(a, b s3mesh.LetterCount) int {
		return cmp.Or(cmp.Compare(a.Link.Target, b.Link.Target), cmp.Compare(a.Kind, b.Kind)) // one source
	})
	got, err := s.q.DeadLetters().Count(s.Context(), f)
	if err != nil {
		s.Fatal("Count:", err)
	}
	if !slices.Equal(got, want) {
		s.Fatalf("counts of %+v: %v, want %v", f, got, want)
	}
}

// testLetterNoLink asks for the letters of links that cannot be: there are none, and it is no error.
func testLetterNoLink(s *queueSuite) {
	s.bury(s.live(1), linkAB, "k", "x")
	for _, link := range []s3mesh.Link{
		{Source: "*", Target: "*"}, {Source: siteA, Target: "*"}, {Source: siteA}, {Target: siteB}, {Source: ">", Target: ">"},
		{Source: siteA + "." + siteB, Target: "x"}, {Source: siteA, Target: "nowhere"}, {Source: " ", Target: "\r\n"},
	} {
		s.wantLetters(s3mesh.LetterFilter{Link: link}, 10, nil)
		s.wantCounts(s3mesh.LetterFilter{Link: link}, nil)
	}
}

// testLetterCursor removes letters between pages: those before the cursor, the one that it names, and some after it.
func testLetterCursor(s *queueSuite) {
	sub := s.live(1)
	for i := range 20 {
		s.bury(sub, linkAB, fmt.Sprint(i), "x")
	}
	page, _ := s.list(linkAB, "", 20)
	for _, at := range []int{9, 4, 0} {
		_, next := s.list(linkAB, "", at+1)
		var gone []string
		for i := range at + 2 { // and one after it
			gone = append(gone, page[i].ID)
		}
		s.drop(len(gone), gone...)
		rest, end := s.list(linkAB, next, 1000)
		want := page[at+2:]
		if diff := gocmp.Diff(want, rest); diff != "" || end != "" {
			s.Fatalf("after a cursor whose letter is gone, and the next (-want +got), next %q:\n%s", end, diff)
		}
		page = want
	}
	all, _ := s.list(linkAB, "", 1000)
	_, err := s.q.DeadLetters().Drop(s.Context(), all[0].ID, all[len(all)-1].ID)
	if err != nil {
		s.Fatal("Drop:", err)
	}
	if rest, next := s.list(linkAB, all[len(all)-1].ID, 10); len(rest) != 0 || next != "" {
		s.Fatalf("after the last letter: %v, next %q", rest, next)
	}
}
