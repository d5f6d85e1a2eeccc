package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
)

var letterEndTests = []queueTest{
	{name: "replay", run: testReplay},
	{name: "replay of several", run: testReplaySeveral},
	{name: "replay what is not there", run: testReplayMissing},
	{name: "replay forgets what was seen", run: testReplayFresh},
	{name: "buried again while replayed", run: testReplayRace, ackWait: longAckWait},
	{name: "drop", run: testDrop},
	{name: "success makes a letter out of date", run: testSuperseded},
	{name: "success says nothing of a later letter", run: testNotSuperseded},
	{name: "success says nothing of a repair", run: testSupersededRepair},
}

func testReplay(s *queueSuite) {
	live := s.live(4)
	buried := s.bury(live, linkAB, "k", "denied")
	s.ack(s.next(s.subscribe(linkAC, s3mesh.LaneLive, 1)))
	letters, _ := s.list(linkAB, "", 10)
	s.replay(1, letters[0].ID)
	bulk := s.subscribe(linkAB, s3mesh.LaneBulk, 4)
	d := s.next(bulk)
	want := buried.Event
	want.Target = siteB
	if diff := cmp.Diff(want, d.Event()); diff != "" || d.Attempt() != 1 {
		s.Fatalf("attempt %d, replayed event (-want +got):\n%s", d.Attempt(), diff)
	}
	s.ack(d)
	s.nothing(live, quiet)
	s.nothing(s.subscribe(linkAC, s3mesh.LaneBulk, 1), quiet)
	if left, _ := s.list(s3mesh.Link{}, "", 10); len(left) != 0 {
		s.Fatalf("letters %+v after the replay, want none", left)
	}
	s.settles(linkAB, s3mesh.Backlog{})
	s.settles(linkAC, s3mesh.Backlog{})
	s.replay(0, letters[0].ID)
	s.nothing(bulk, quiet)
}

// testReplaySeveral replays letters of two links at once: each for its link only, and once, though named twice; those that
// are gone are passed over.
func testReplaySeveral(s *queueSuite) {
	b, c := s.live(1), s.subscribe(linkAC, s3mesh.LaneLive, 1)
	const keys = 10
	for i := range keys {
		s.bury(b, linkAB, fmt.Sprint(i), "x")
		d := s.next(c)
		if err := d.Bury(s.Context(), letterFor(linkAC, d.Event(), "y")); err != nil {
			s.Fatal("Bury:", err)
		}
	}
	ab, _ := s.list(linkAB, "", 100)
	ac, _ := s.list(linkAC, "", 100)
	s.drop(2, ab[1].ID, ab[4].ID)
	ids := []string{ac[3].ID, "x", ab[5].ID, ab[0].ID, ab[5].ID}
	for _, l := range ab[:5] {
		ids = append(ids, l.ID)
	}
	s.replay(5, ids...) // 0, 2, 3 and 5 of one link, 3 of the other
	s.replay(0, ids...)
	s.settles(linkAB, s3mesh.Backlog{Pending: 4, Bulk: 4, DeadLetters: 4, Oldest: s.backlog(linkAB).Oldest})
	s.settles(linkAC, s3mesh.Backlog{Pending: 1, Bulk: 1, DeadLetters: 9, Oldest: s.backlog(linkAC).Oldest})
	pending := map[string]bool{"0": true, "2": true, "3": true, "5": true}
	bulk := s.subscribe(linkAB, s3mesh.LaneBulk, 1)
	for range 4 {
		d := s.next(bulk)
		if !pending[d.Event().Key] {
			s.Fatalf("%q was delivered and not replayed, or twice", d.Event().Key)
		}
		delete(pending, d.Event().Key)
		s.ack(d)
	}
	s.ack(s.expect(s.subscribe(linkAC, s3mesh.LaneBulk, 1), "3", "x"))
	s.nothing(bulk, quiet)
	s.nothing(b, quiet)
}

func testReplayMissing(s *queueSuite) {
	s.bury(s.live(1), linkAB, "k", "x")
	page, _ := s.list(linkAB, "", 1)
	for _, id := range noIDs(page[0].ID) {
		s.replay(0, id)
		s.drop(0, id)
	}
	s.replay(0)
	s.drop(0)
	s.replay(0, noIDs(page[0].ID)...)
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
	canceled, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := s.q.DeadLetters().Replay(canceled, page[0].ID)
	s.wantKind("Replay with a cancelled context", err, s3mesh.KindCanceled)
	_, err = s.q.DeadLetters().Drop(canceled, page[0].ID)
	s.wantKind("Drop with a cancelled context", err, s3mesh.KindCanceled)
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
}

// testReplayFresh shows that an event is not said to be fresh when it was buried and replayed: the target may hold the key by
// then. That it is a repair stays.
func testReplayFresh(s *queueSuite) {
	e := change("k", "1")
	e.Fresh, e.Repair = true, true
	s.publish(s3mesh.LaneLive, e)
	d := s.next(s.live(1))
	if !d.Event().Fresh || !d.Event().Repair {
		s.Fatalf("delivered %+v, want it fresh and a repair", d.Event())
	}
	if err := d.Bury(s.Context(), letterFor(linkAB, d.Event(), "x")); err != nil {
		s.Fatal("Bury:", err)
	}
	page, _ := s.list(linkAB, "", 1)
	s.replay(1, page[0].ID)
	got := s.next(s.subscribe(linkAB, s3mesh.LaneBulk, 1))
	if got.Event().Fresh || !got.Event().Repair {
		s.Fatalf("replayed %+v, want a repair that is not fresh", got.Event())
	}
	s.ack(got)
}

// testReplayRace buries the replayed events again at once, while they are still being replayed. In the end every key must
// have its letter.
func testReplayRace(s *queueSuite) {
	const keys, rounds = 20, 10
	live, bulk := s.live(1), s.subscribe(linkAB, s3mesh.LaneBulk, keys)
	for i := range keys {
		s.bury(live, linkAB, fmt.Sprint(i), "x")
	}
	ctx, stop := context.WithCancel(s.Context())
	var diggers sync.WaitGroup
	for range 4 {
		diggers.Go(func() {
			for {
				d, err := bulk.Next(ctx)
				if err != nil {
					return
				}
				if err := d.Bury(s.Context(), letterFor(linkAB, d.Event(), time.Now().String())); err != nil {
					s.Error("Bury:", err)
				}
			}
		})
	}
	for range rounds {
		page, _ := s.list(linkAB, "", 1000)
		ids := make([]string, len(page))
		for i, l := range page {
			ids[i] = l.ID
		}
		if _, err := s.q.DeadLetters().Replay(s.Context(), ids...); err != nil {
			s.Error("Replay:", err)
		}
	}
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: keys})
	stop()
	diggers.Wait()
}

func testDrop(s *queueSuite) {
	sub := s.live(1)
	for i := range 5 {
		s.bury(sub, linkAB, fmt.Sprint(i), "x")
	}
	page, _ := s.list(linkAB, "", 10)
	s.drop(2, page[1].ID, page[3].ID, page[1].ID)
	s.drop(1, page[0].ID, page[1].ID)
	rest, _ := s.list(linkAB, "", 10)
	if diff := cmp.Diff([]s3mesh.DeadLetter{page[2], page[4]}, rest); diff != "" {
		s.Fatalf("letters that were not dropped (-want +got):\n%s", diff)
	}
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 2})
	s.nothing(s.subscribe(linkAB, s3mesh.LaneBulk, 1), quiet)
	s.bury(sub, linkAB, "1", "again")
	s.settles(linkAB, s3mesh.Backlog{DeadLetters: 3})
}

func testSuperseded(s *queueSuite) {
	b, c := s.live(1), s.subscribe(linkAC, s3mesh.LaneLive, 1)
	for _, key := range []string{"k", "other"} {
		s.bury(b, linkAB, key, "x")
		d := s.next(c)
		if err := d.Bury(s.Context(), letterFor(linkAC, d.Event(), "y")); err != nil {
			s.Fatal("Bury:", err)
		}
	}
	for _, lane := range s3mesh.Lanes() {
		sub := b
		if lane != s3mesh.LaneLive {
			sub = s.subscribe(linkAB, lane, 1)
		}
		s.publish(lane, change("k", "2"))
		s.ack(s.expect(sub, "k", "2"))
		s.settles(linkAB, s3mesh.Backlog{DeadLetters: 1})
		if left, _ := s.list(linkAB, "", 10); len(left) != 1 || left[0].Event.Key != "other" {
			s.Fatalf("letters %+v after a success in lane %s, want that of the other key", left, lane)
		}
		s.publish(s3mesh.LaneLive, change("k", "3"))
		if err := s.expect(b, "k", "3").Bury(s.Context(), letterFor(linkAB, change("k", "3"), "x")); err != nil {
			s.Fatal("Bury:", err)
		}
	}
	if left, _ := s.list(linkAC, "", 10); len(left) != 2 {
		s.Fatalf("letters of the other link: %+v, want both", left)
	}
}

// testNotSuperseded has a letter buried in one lane while a task of its key is under way in another: it may tell of a later
// state than the one that the task has read.
func testNotSuperseded(s *queueSuite) {
	live, bulk := s.live(1), s.subscribe(linkAB, s3mesh.LaneBulk, 1)
	s.publish(s3mesh.LaneBulk, change("k", "1"))
	d := s.expect(bulk, "k", "1")
	s.bury(live, linkAB, "k", "2")
	s.ack(d)
	s.publish(s3mesh.LaneBulk, change("k", "3"))
	d = s.expect(bulk, "k", "3")
	s.settlesWith(linkAB, 1)
	s.retry(d, 0) // failed: says nothing
	s.settlesWith(linkAB, 1)
	s.ack(s.expect(bulk, "k", "3"))
	s.settlesWith(linkAB, 0)
}

// settlesWith fails unless a link comes to have so many letters.
func (s *queueSuite) settlesWith(link s3mesh.Link, letters int64) {
	s.Helper()
	s.eventually(func() string {
		if got := s.backlog(link).DeadLetters; got != letters {
			return fmt.Sprintf("%d dead letters, want %d", got, letters)
		}
		return ""
	})
}

// testSupersededRepair has a repair fail: a task that relies on what versions say of themselves does not make up for it.
func testSupersededRepair(s *queueSuite) {
	sub := s.live(1)
	repair := change("k", "1")
	repair.Repair = true
	s.publish(s3mesh.LaneLive, repair)
	if err := s.next(sub).Bury(s.Context(), letterFor(linkAB, repair, "x")); err != nil {
		s.Fatal("Bury:", err)
	}
	s.publish(s3mesh.LaneLive, change("k", "2"))
	s.ack(s.expect(sub, "k", "2"))
	page, _ := s.list(linkAB, "", 10)
	if len(page) != 1 {
		s.Fatal("the letter of a repair went with a success that was none")
	}
	repair.ETag = "3"
	s.publish(s3mesh.LaneLive, repair)
	s.ack(s.expect(sub, "k", "3"))
	_, err := s.q.DeadLetters().Get(s.Context(), page[0].ID)
	if e, ok := errors.AsType[*s3mesh.Error](err); !ok || e.Kind != s3mesh.KindNotFound {
		s.Fatalf("the letter after the repair: %v, want it gone", err)
	}
}
