package conformance

import (
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
)

var linkTests = []queueTest{
	{name: "links are independent", run: testLinksIndependent},
	{name: "replaced after one link acknowledged", run: testReplacedHalfAcked},
	{name: "targeted events reach their link only", run: testTargeted},
	{name: "lanes are independent", run: testLanesIndependent},
	{name: "sites are independent", run: testSitesIndependent},
}

var backlogTests = []queueTest{
	{name: "backlog counts", run: testBacklogCounts},
	{name: "held events count apart", run: testBacklogHeld},
	{name: "backlog's oldest", run: testBacklogOldest},
	{name: "backlog's oldest without the event's time", run: testBacklogOldestUntimed},
}

func testLinksIndependent(s *queueSuite) {
	s.publish(s3mesh.LaneLive, change("k", "1"))
	b := s.live(1)
	s.ack(s.expect(b, "k", "1"))
	s.settles(linkAB, s3mesh.Backlog{})
	if got := s.backlog(linkAC); got.Pending != 1 {
		s.Fatalf("backlog of %s is %+v, want 1 pending", linkAC, got)
	}
	c := s.subscribe(linkAC, s3mesh.LaneLive, 1)
	s.retry(s.expect(c, "k", "1"), 0)
	s.nothing(b, quiet)
	s.ack(s.expect(c, "k", "1"))
	s.settles(linkAC, s3mesh.Backlog{})
}

func testReplacedHalfAcked(s *queueSuite) {
	b, c := s.live(4), s.subscribe(linkAC, s3mesh.LaneLive, 4)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.ack(s.expect(b, "k", "1"))
	held := s.expect(c, "k", "1")
	s.publish(s3mesh.LaneLive, change("k", "2"))
	s.ack(s.expect(b, "k", "2"), s.expect(c, "k", "2"), held)
	s.nothing(b, quiet)
	s.nothing(c, quiet)
	s.settles(linkAB, s3mesh.Backlog{})
	s.settles(linkAC, s3mesh.Backlog{})
}

func testTargeted(s *queueSuite) {
	b, c := s.live(4), s.subscribe(linkAC, s3mesh.LaneLive, 4)
	only := change("only", "1")
	only.Target = siteC
	nobody := change("nobody", "1")
	nobody.Target = siteLone // no such link: kept for nobody
	s.publish(s3mesh.LaneLive, only, nobody)
	if d := s.expect(c, "only", "1"); d.Event().Target != siteC {
		s.Fatalf("target %q, want %q", d.Event().Target, siteC)
	} else {
		s.ack(d)
	}
	s.nothing(b, quiet)
	s.nothing(c, quiet)
	s.settles(linkAB, s3mesh.Backlog{})
	s.settles(linkAC, s3mesh.Backlog{})
}

func testLanesIndependent(s *queueSuite) {
	subs := map[s3mesh.Lane]s3mesh.Subscription{}
	for _, lane := range s3mesh.Lanes() {
		subs[lane] = s.subscribe(linkAB, lane, 1)
		s.publish(lane, change(string(lane), "1"))
		s.publish(lane, change(string(lane)+" next", "1"))
	}
	for lane, sub := range subs { // each lane has a window of its own, and it is full
		s.expect(sub, string(lane), "1")
		s.nothing(sub, quiet)
	}
}

func testSitesIndependent(s *queueSuite) {
	elsewhere := change("k", "b")
	elsewhere.Site = siteB
	s.publish(s3mesh.LaneLive, change("k", "a"), elsewhere)
	ab, ba := s.live(4), s.subscribe(linkBA, s3mesh.LaneLive, 4)
	s.ack(s.expect(ab, "k", "a"), s.expect(ba, "k", "b"))
	s.nothing(ab, quiet)
	s.nothing(ba, quiet)
}

func testBacklogCounts(s *queueSuite) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.settles(linkAB, s3mesh.Backlog{})
	for i, lane := range s3mesh.Lanes() {
		for _, key := range []string{"a", "b", "c"} {
			e := change(key, "1")
			e.Time = at.Add(time.Duration(i) * time.Minute)
			s.publish(lane, e, e)
		}
	}
	s.settles(linkAB, s3mesh.Backlog{Pending: 9, Bulk: 6, Held: 3, Oldest: at})
	s.settles(linkBA, s3mesh.Backlog{})

	sub := s.live(1)
	d := s.next(sub)
	s.settles(linkAB, s3mesh.Backlog{Pending: 8, InFlight: 1, Bulk: 6, Held: 3, Oldest: at})
	s.settles(linkAC, s3mesh.Backlog{Pending: 9, Bulk: 6, Held: 3, Oldest: at})
	if err := sub.Close(); err != nil {
		s.Fatal("Close:", err)
	}
	s.ack(d)
	s.settles(linkAB, s3mesh.Backlog{Pending: 8, Bulk: 6, Held: 3, Oldest: at})

	large := s.next(s.subscribe(linkAB, s3mesh.LaneLarge, 1))
	s.settles(linkAB, s3mesh.Backlog{Pending: 7, InFlight: 1, Bulk: 6, Held: 3, Oldest: at})
	s.ack(large)

	e := change("b", "2") // replaces a pending one
	e.Time = at.Add(time.Hour)
	s.publish(s3mesh.LaneBulk, e)
	s.eventually(func() string {
		if b := s.backlog(linkAB); b.Pending+b.InFlight != 7 || b.Bulk != 5 || b.Held != 3 {
			return fmt.Sprintf("backlog is %+v, want 7 events, 5 of them bulk, and 3 held", b)
		}
		return ""
	})
}

func testBacklogOldest(s *queueSuite) {
	base := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	for i, key := range []string{"a", "b", "c"} {
		e := change(key, "1")
		e.Time = base.Add(time.Duration(i) * time.Hour)
		s.publish(s3mesh.LaneLive, e)
	}
	sub := s.live(3)
	a, b, c := s.expect(sub, "a", "1"), s.expect(sub, "b", "1"), s.expect(sub, "c", "1")
	s.settles(linkAB, s3mesh.Backlog{InFlight: 3, Oldest: base})
	s.ack(b) // C has not acknowledged it, so it is still in the stream
	s.settles(linkAB, s3mesh.Backlog{InFlight: 2, Oldest: base})
	s.ack(a)
	s.settles(linkAB, s3mesh.Backlog{InFlight: 1, Oldest: base.Add(2 * time.Hour)})
	s.ack(c)
	s.settles(linkAB, s3mesh.Backlog{})
	s.settles(linkAC, s3mesh.Backlog{Pending: 3, Oldest: base})
}

func testBacklogOldestUntimed(s *queueSuite) {
	before := time.Now().Add(-time.Second)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.eventually(func() string {
		if b := s.backlog(linkAB); b.Pending == 1 && b.Oldest.After(before) && b.Oldest.Before(time.Now().Add(time.Second)) {
			return ""
		}
		return "the time of publication is not the age of an event without a time of its own"
	})
}

// Held events are neither pending nor in flight, delivered or not, and do not make a link late.
func testBacklogHeld(s *queueSuite) {
	for _, key := range []string{"a", "b", "c"} {
		e := change(key, "1")
		e.Target, e.Type, e.Time = siteB, s3mesh.EventRemoved, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s.publish(s3mesh.LaneHeld, e, e)
	}
	s.settles(linkAB, s3mesh.Backlog{Held: 3})
	s.settles(linkAC, s3mesh.Backlog{})
	sub := s.subscribe(linkAB, s3mesh.LaneHeld, 1)
	d := s.expect(sub, "a", "1")
	s.settles(linkAB, s3mesh.Backlog{Held: 3})
	s.retry(d, time.Hour)
	s.ack(s.expect(sub, "b", "1"))
	s.settles(linkAB, s3mesh.Backlog{Held: 2})
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.eventually(func() string {
		if b := s.backlog(linkAB); b.Pending != 1 || b.Held != 2 || time.Since(b.Oldest) > time.Hour {
			return fmt.Sprintf("backlog is %+v, want 1 pending since now, and 2 held", b)
		}
		return ""
	})
}
