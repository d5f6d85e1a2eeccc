package conformance

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/s3mesh/s3mesh"
)

var letterTests = []queueTest{
	{name: "buried is listed and not delivered", run: testBury, ackWait: shortAckWait},
	{name: "one letter per link and key", run: testBuryAgain},
	{name: "letters page by page", run: testLetterPages},
	{name: "one letter by its ID", run: testLetterByID},
}

// letterFor returns the letter of an event.
func letterFor(link s3mesh.Link, e s3mesh.Event, cause string) s3mesh.DeadLetter {
	return s3mesh.DeadLetter{
		Link: link, Event: e, Kind: s3mesh.KindAccessDenied, Cause: cause, Remedy: s3mesh.KindAccessDenied.Remedy(), Attempts: 7,
		First: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Last: time.Date(2026, 1, 2, 4, 4, 5, 6, time.UTC),
	}
}

// bury publishes an event at site A and buries it on the subscription's link.
func (s *queueSuite) bury(sub s3mesh.Subscription, link s3mesh.Link, key, cause string) s3mesh.DeadLetter {
	s.Helper()
	s.publish(s3mesh.LaneLive, change(key, cause))
	d := s.expect(sub, key, cause)
	letter := letterFor(link, d.Event(), cause)
	if err := d.Bury(s.Context(), letter); err != nil {
		s.Fatal("Bury:", err)
	}
	return letter
}

func (s *queueSuite) list(link s3mesh.Link, cursor string, limit int) ([]s3mesh.DeadLetter, string) {
	s.Helper()
	return s.filtered(s3mesh.LetterFilter{Link: link}, cursor, limit)
}

// filtered returns a page of the letters that a filter chooses.
func (s *queueSuite) filtered(filter s3mesh.LetterFilter, cursor string, limit int) ([]s3mesh.DeadLetter, string) {
	s.Helper()
	letters, next, err := s.q.DeadLetters().List(s.Context(), filter, cursor, limit)
	if err != nil {
		s.Fatal("List:", err)
	}
	if len(letters) > limit {
		s.Fatalf("a page of %d letters, limit %d", len(letters), limit)
	}
	return letters, next
}

// replay replays letters, of which so many must be there.
func (s *queueSuite) replay(want int, ids ...string) {
	s.Helper()
	if n, err := s.q.DeadLetters().Replay(s.Context(), ids...); err != nil || n != want {
		s.Fatalf("Replay of %q: %d, %v; want %d", ids, n, err, want)
	}
}

// drop drops letters, of which so many must be there.
func (s *queueSuite) drop(want int, ids ...string) {
	s.Helper()
	if n, err := s.q.DeadLetters().Drop(s.Context(), ids...); err != nil || n != want {
		s.Fatalf("Drop of %q: %d, %v; want %d", ids, n, err, want)
	}
}

func testBury(s *queueSuite) {
	sub := s.live(2)
	want := s.bury(sub, linkAB, "日本 *", "denied")
	for _, link := range []s3mesh.Link{linkAB, {}} {
		got, next := s.list(link, "", 10)
		if diff := cmp.Diff([]s3mesh.DeadLetter{want}, got, cmpopts.IgnoreFields(s3mesh.DeadLetter{}, "ID")); diff != "" || next != "" {
			s.Fatalf("letters of %s (-want +got), next %q:\n%s", link, next, diff)
		}
		if got[0].ID == "" {
			s.Fatal("the letter has no ID")
		}
	}
	if got, _ := s.list(linkAC, "", 10); len(got) != 0 {
		s.Fatalf("letters of %s: %v, want none", linkAC, got)
	}
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
	s.nothing(sub, s.ackWait*3/2)
	if got := s.backlog(linkAC); got.Pending != 1 || got.DeadLetters != 0 {
		s.Fatalf("backlog of %s is %+v, want 1 pending and no dead letters", linkAC, got)
	}
}

func testBuryAgain(s *queueSuite) {
	b, c := s.live(2), s.subscribe(linkAC, s3mesh.LaneLive, 2)
	s.bury(b, linkAB, "k", "first")
	s.expect(c, "k", "first")
	old, _ := s.list(linkAB, "", 10)
	s.bury(b, linkAB, "k", "second")
	d := s.expect(c, "k", "second")
	if err := d.Bury(s.Context(), letterFor(linkAC, d.Event(), "elsewhere")); err != nil {
		s.Fatal("Bury:", err)
	}
	got, _ := s.list(linkAB, "", 10)
	if len(got) != 1 || got[0].Cause != "second" || got[0].Event.ETag != "second" {
		s.Fatalf("letters %+v, want the second alone", got)
	}
	if all, _ := s.list(s3mesh.Link{}, "", 10); len(all) != 2 || all[0].Cause != "second" || all[1].Cause != "elsewhere" {
		s.Fatalf("letters %+v, want the second, then that of the other link", all)
	}
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
	s.replay(0, old[0].ID)
	s.drop(0, old[0].ID)
	_, err := s.q.DeadLetters().Get(s.Context(), old[0].ID)
	s.wantKind("Get of the replaced letter", err, s3mesh.KindNotFound)
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
}

func testLetterPages(s *queueSuite) {
	const letters = 25
	b, c := s.live(1), s.subscribe(linkAC, s3mesh.LaneLive, 1)
	for i := range letters {
		s.bury(b, linkAB, fmt.Sprint(i), "x")
		d := s.next(c)
		if i%5 != 0 {
			s.ack(d)
		} else if err := d.Bury(s.Context(), letterFor(linkAC, d.Event(), "y")); err != nil {
			s.Fatal("Bury:", err)
		}
	}
	for link, want := range map[s3mesh.Link]int{linkAB: letters, linkAC: letters / 5, linkBA: 0, {}: letters * 6 / 5} {
		for _, limit := range []int{1, 5, 10, 1000} {
			s.checkPages(link, limit, want)
		}
	}
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: letters})
	s.settles(linkAC, s3mesh.Backlog{DeadLetters: letters / 5})

	page, next := s.list(linkAB, "", 10)
	s.drop(1, page[9].ID) // the one that the cursor names
	if rest, _ := s.list(linkAB, next, 1000); len(rest) != letters-10 || rest[0].Event.Key != "10" {
		s.Fatalf("%d letters after a removed cursor, want %d", len(rest), letters-10)
	}
	_, _, err := s.q.DeadLetters().List(s.Context(), s3mesh.LetterFilter{Link: linkAB}, "bad cursor", 10)
	s.wantKind("List from a bad cursor", err, s3mesh.KindInvalid)
	_, _, err = s.q.DeadLetters().List(s.Context(), s3mesh.LetterFilter{Link: linkAB}, "", 0)
	s.wantKind("List of no letters", err, s3mesh.KindInvalid)
}

// checkPages reads all letters of a link and expects want of them, in order, each once.
func (s *queueSuite) checkPages(link s3mesh.Link, limit, want int) {
	s.Helper()
	seen, cursor := 0, ""
	last := -1
	for {
		page, next := s.list(link, cursor, limit)
		for _, l := range page {
			var i int
			if _, err := fmt.Sscan(l.Event.Key, &i); err != nil || i < last || (link != s3mesh.Link{} && l.Link != link) {
				s.Fatalf("letter %q of %s after %d, of %s", l.Event.Key, l.Link, last, link)
			}
			last = i
			seen++
		}
		if next == "" {
			break
		}
		cursor = next
	}
	if seen != want {
		s.Fatalf("%d letters of %s in pages of %d, want %d", seen, link, limit, want)
	}
}

func testLetterByID(s *queueSuite) {
	sub := s.live(2)
	s.bury(sub, linkAB, "1", "x")
	s.bury(sub, linkAB, "2", "y")
	page, _ := s.list(linkAB, "", 10)
	for _, want := range page {
		got, err := s.q.DeadLetters().Get(s.Context(), want.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			s.Fatalf("Get of %s: %v (-listed +got):\n%s", want.ID, err, diff)
		}
	}
	s.drop(1, page[0].ID)
	for _, id := range append(noIDs(page[1].ID), page[0].ID) {
		_, err := s.q.DeadLetters().Get(s.Context(), id)
		s.wantKind(fmt.Sprintf("Get of %q", id), err, s3mesh.KindNotFound)
	}
}

// noIDs returns what is not the ID of a letter, though much like this one.
func noIDs(id string) []string {
	sequence := id[strings.LastIndexByte(id, '.')+1:]
	return []string{"", "x", "a.b.c", siteA + "." + siteB + ".99", "..", "0", siteA + "." + siteB + ".0", sequence,
		siteA + "." + siteC + "." + sequence, siteA + "." + siteB + ".0" + sequence, siteA + ".*." + sequence, id + ".1"}
}
