package conformance

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
)

var deliveryTests = []queueTest{
	{name: "event arrives whole", run: testEventArrivesWhole},
	{name: "pending events of a key coalesce", run: testCoalescing},
	{name: "a key is not coalesced across lanes or targets", run: testNoCoalescingAcross},
	{name: "event replaced in flight", run: testReplacedInFlight},
	{name: "late ack of a replaced event", run: testLateAck},
	{name: "odd keys", run: testOddQueueKeys},
	{name: "refused events", run: testRefused},
	{name: "Next and its context", run: testNextContext},
	{name: "Close", run: testClose},
}

func testEventArrivesWhole(s *queueSuite) {
	want := s3mesh.Event{
		Site: siteA, Bucket: "photos", Key: "2026/été.jpg", Type: s3mesh.EventCreated, Name: "ObjectCreated:Put",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 890_123_456, time.UTC), Size: 1 << 40, ETag: "abc-2", VersionID: "v.1",
		Sequencer: "0055AED6DCD90281E5", Principal: "AWS:AROA:session",
	}
	s.publish(s3mesh.LaneLive, want)
	d := s.next(s.live(1))
	if diff := cmp.Diff(want, d.Event()); diff != "" {
		s.Fatal("event changed on the way (-want +got):\n", diff)
	}
	if d.Attempt() != 1 {
		s.Fatalf("attempt %d, want 1", d.Attempt())
	}
	s.ack(d)
	s.settles(linkAB, s3mesh.Backlog{})
}

func testCoalescing(s *queueSuite) {
	for _, etag := range []string{"1", "2", "3"} {
		s.publish(s3mesh.LaneLive, change("k", etag))
	}
	s.publish(s3mesh.LaneLive, change("other", "1"), change("k", "4"), change("k", "5"))
	sub := s.live(10)
	got := map[string]string{}
	for range 2 {
		d := s.next(sub)
		got[d.Event().Key] = d.Event().ETag
		s.ack(d)
	}
	if diff := cmp.Diff(map[string]string{"k": "5", "other": "1"}, got); diff != "" {
		s.Fatal("deliveries (-want +got):\n", diff)
	}
	s.nothing(sub, quiet)
}

func testNoCoalescingAcross(s *queueSuite) {
	targeted := change("k", "targeted")
	targeted.Target = siteB
	s.publish(s3mesh.LaneLive, change("k", "live"))
	s.publish(s3mesh.LaneLive, targeted)
	s.publish(s3mesh.LaneBulk, change("k", "bulk"))
	sub := s.live(10)
	s.ack(s.expect(sub, "k", "live"), s.expect(sub, "k", "targeted"))
	s.ack(s.expect(s.subscribe(linkAB, s3mesh.LaneBulk, 10), "k", "bulk"))
}

func testReplacedInFlight(s *queueSuite) {
	for _, window := range []int{1, 2} {
		sub := s.live(window)
		s.publish(s3mesh.LaneLive, change("k", "1"))
		first := s.expect(sub, "k", "1")
		s.publish(s3mesh.LaneLive, change("k", "2"))
		if window == 1 {
			s.nothing(sub, quiet)
		}
		s.ack(first)
		s.ack(s.expect(sub, "k", "2"))
		s.nothing(sub, quiet)
		if err := sub.Close(); err != nil {
			s.Fatal("Close:", err)
		}
	}
	s.settles(linkAB, s3mesh.Backlog{})
}

func testLateAck(s *queueSuite) {
	sub := s.live(3)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	first := s.expect(sub, "k", "1")
	s.publish(s3mesh.LaneLive, change("k", "2"))
	second := s.expect(sub, "k", "2")
	s.ack(first)
	s.settles(linkAB, s3mesh.Backlog{InFlight: 1, Oldest: s.backlog(linkAB).Oldest})
	s.publish(s3mesh.LaneLive, change("k", "3"))
	s.ack(second)
	s.ack(s.expect(sub, "k", "3"))
	s.nothing(sub, quiet)
	s.settles(linkAB, s3mesh.Backlog{})
}

// oddQueueKeys are keys that have a meaning, or none, somewhere on the way.
var oddQueueKeys = []string{
	" ", ".", "..", "*", ">", "a.*.>", "$JS.API", "_", "a b\tc\nd", "日本語/🎉", "\u202etxt.exe", "é", "e\u0301",
	"/lead", "a//b", `quote"\back`, "<html>&amp;", "a\x00b", "%2F+", strings.Repeat("k", 1024), strings.Repeat("é", 512),
}

func testOddQueueKeys(s *queueSuite) {
	pending := map[string]bool{}
	for _, key := range oddQueueKeys {
		s.publish(s3mesh.LaneLive, change(key, "1"))
		pending[key] = true
	}
	sub := s.live(4)
	for range oddQueueKeys {
		d := s.next(sub)
		if !pending[d.Event().Key] {
			s.Fatalf("delivered %q, which was not pending", d.Event().Key)
		}
		delete(pending, d.Event().Key)
		s.ack(d)
	}
	s.nothing(sub, quiet)
}

func testRefused(s *queueSuite) {
	ctx := s.Context()
	elsewhere := change("k", "1")
	elsewhere.Site = "nowhere"
	wildcard := change("k", "1")
	wildcard.Target = "*"
	for name, bad := range map[string]s3mesh.Event{
		"no key": change("", "1"), "not UTF-8": change("a\xff", "1"), "unknown site": elsewhere, "wildcard target": wildcard,
	} {
		s.wantKind(name, s.q.Publish(ctx, s3mesh.LaneLive, change("good", "1"), bad), s3mesh.KindInvalid)
	}
	s.wantKind("lane", s.q.Publish(ctx, "fast", change("k", "1")), s3mesh.KindInvalid)
	s.wantKind("lane", s.q.Publish(ctx, "*", change("k", "1")), s3mesh.KindInvalid)
	for name, sub := range map[string]struct {
		link   s3mesh.Link
		lane   s3mesh.Lane
		window int
	}{
		"no such link": {s3mesh.Link{Source: siteLone, Target: siteA}, s3mesh.LaneLive, 1},
		"no such lane": {linkAB, "fast", 1},
		"no window":    {linkAB, s3mesh.LaneLive, 0},
	} {
		_, err := s.q.Subscribe(ctx, sub.link, sub.lane, sub.window)
		s.wantKind(name, err, s3mesh.KindInvalid)
	}
	_, err := s.q.Backlog(ctx, s3mesh.Link{Source: siteLone, Target: siteA})
	s.wantKind("Backlog", err, s3mesh.KindInvalid)

	lone := change("k", "1")
	lone.Site = siteLone
	s.publish(s3mesh.LaneLive, lone) // a site without links
	s.publish(s3mesh.LaneLive)       // no events
	s.settles(linkAB, s3mesh.Backlog{})

	canceled, cancel := context.WithCancel(ctx)
	cancel()
	s.wantKind("Publish with a cancelled context", s.q.Publish(canceled, s3mesh.LaneLive, change("k", "1")), s3mesh.KindCanceled)
}

func testNextContext(s *queueSuite) {
	sub := s.live(1)
	ctx, cancel := context.WithCancel(s.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := sub.Next(ctx)
		failed <- err
	}()
	cancel()
	err := <-failed
	s.wantKind("Next", err, s3mesh.KindCanceled)
	if !errors.Is(err, context.Canceled) {
		s.Fatalf("Next returned %v, want the context's error", err)
	}
	s.publish(s3mesh.LaneLive, change("k", "1"))
	_, err = sub.Next(ctx)
	s.wantKind("Next with an event waiting", err, s3mesh.KindCanceled)
	s.ack(s.expect(sub, "k", "1")) // the cancelled calls took nothing
}

func testClose(s *queueSuite) {
	sub := s.live(2)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	held := s.expect(sub, "k", "1")
	waiting := make(chan error, 1)
	go func() {
		_, err := sub.Next(s.Context())
		waiting <- err
	}()
	for range 2 {
		if err := sub.Close(); err != nil {
			s.Fatal("Close:", err)
		}
	}
	s.wantKind("Next during Close", <-waiting, s3mesh.KindCanceled)
	_, err := sub.Next(s.Context())
	s.wantKind("Next after Close", err, s3mesh.KindCanceled)
	s.ack(held) // a holder may still finish
	s.settles(linkAB, s3mesh.Backlog{})
}
