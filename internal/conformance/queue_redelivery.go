package conformance

import (
	"fmt"
	"time"

	"github.com/s3mesh/s3mesh"
)

var windowTests = []queueTest{
	{name: "window limits what is handed out", run: testWindow},
	{name: "subscribers share the deliveries", run: testSubscribersShare},
	{name: "a busy subscriber holds back nothing from others", run: testBusySubscriber},
	{name: "closing hands back what was not taken", run: testCloseHandsBack},
}

var redeliveryTests = []queueTest{
	{name: "retry comes after its delay with the attempt counted", run: testRetry},
	{name: "retry delays nothing else", run: testRetryDelaysNothing},
	{name: "retry of a replaced event gives the new one", run: testRetryReplaced},
	{name: "acknowledged is not delivered again", run: testAckedStaysAcked, ackWait: shortAckWait},
	{name: "holder dies", run: testHolderDies, ackWait: shortAckWait},
	{name: "extend keeps a delivery", run: testExtend, ackWait: shortAckWait},
}

func testWindow(s *queueSuite) {
	const window = 3
	for i := range 10 {
		s.publish(s3mesh.LaneLive, change(fmt.Sprint(i), "1"))
	}
	sub := s.live(window)
	var held []s3mesh.Delivery
	for range window {
		held = append(held, s.next(sub))
	}
	s.nothing(sub, quiet)
	s.ack(held[1])
	extra := s.next(sub)
	s.nothing(sub, quiet)
	s.retry(extra, time.Hour)
	s.next(sub)
	s.nothing(sub, quiet)
}

func testSubscribersShare(s *queueSuite) {
	const events = 60
	subs := []s3mesh.Subscription{s.live(1), s.live(1), s.live(1)}
	seen := map[string]bool{}
	for i := range events {
		s.publish(s3mesh.LaneLive, change(fmt.Sprint(i), "1"))
	}
	for len(seen) < events { // every subscriber in turn: each has its share
		for _, sub := range subs {
			d := s.next(sub)
			if seen[d.Event().Key] {
				s.Fatalf("%q was delivered twice", d.Event().Key)
			}
			seen[d.Event().Key] = true
			s.ack(d)
		}
	}
	s.settles(linkAB, s3mesh.Backlog{})
}

func testBusySubscriber(s *queueSuite) {
	busy := s.live(1)
	s.publish(s3mesh.LaneLive, change("large", "1"))
	held := s.next(busy)
	idle := s.live(1)
	for i := range 5 {
		s.publish(s3mesh.LaneLive, change(fmt.Sprint(i), "1"))
		s.ack(s.expect(idle, fmt.Sprint(i), "1"))
	}
	s.ack(held)
}

func testCloseHandsBack(s *queueSuite) {
	first := s.live(8)
	for i := range 8 {
		s.publish(s3mesh.LaneLive, change(fmt.Sprint(i), "1"))
	}
	s.ack(s.next(first))
	if err := first.Close(); err != nil {
		s.Fatal("Close:", err)
	}
	second := s.live(8)
	for range 7 { // sooner than the acknowledgement time-out, or next fails
		s.ack(s.next(second))
	}
	s.settles(linkAB, s3mesh.Backlog{})
}

func testRetry(s *queueSuite) {
	const delay = 400 * time.Millisecond
	sub := s.live(1)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.retry(s.next(sub), 0)
	d := s.expect(sub, "k", "1")
	if d.Attempt() != 2 {
		s.Fatalf("attempt %d after one retry, want 2", d.Attempt())
	}
	start := time.Now()
	s.retry(d, delay)
	d = s.expect(sub, "k", "1")
	if took := time.Since(start); took < delay-10*time.Millisecond {
		s.Fatalf("came again after %v, want %v", took, delay)
	}
	if d.Attempt() != 3 {
		s.Fatalf("attempt %d after two retries, want 3", d.Attempt())
	}
	s.ack(d)
	s.settles(linkAB, s3mesh.Backlog{})
}

func testRetryDelaysNothing(s *queueSuite) {
	sub := s.live(1)
	s.publish(s3mesh.LaneLive, change("slow", "1"))
	s.retry(s.next(sub), time.Hour)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.ack(s.expect(sub, "k", "1"))
	s.publish(s3mesh.LaneLive, change("slow", "2")) // nor a newer event of the same key
	s.ack(s.expect(sub, "slow", "2"))
	s.nothing(sub, quiet)
	s.settles(linkAB, s3mesh.Backlog{})
}

func testRetryReplaced(s *queueSuite) {
	sub := s.live(1)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	old := s.next(sub)
	s.publish(s3mesh.LaneLive, change("k", "2"))
	s.retry(old, 0)
	d := s.expect(sub, "k", "2")
	if d.Attempt() != 1 {
		s.Fatalf("attempt %d of a new event, want 1", d.Attempt())
	}
	s.ack(d)
	s.nothing(sub, quiet)
	s.settles(linkAB, s3mesh.Backlog{})
}

func testAckedStaysAcked(s *queueSuite) {
	sub := s.live(4)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	s.ack(s.next(sub))
	s.nothing(sub, s.ackWait*3/2)
}

func testHolderDies(s *queueSuite) {
	first := s.live(1)
	s.publish(s3mesh.LaneLive, change("closed", "1"))
	s.next(first)
	if err := first.Close(); err != nil {
		s.Fatal("Close:", err)
	}
	sub := s.live(2)
	s.ack(s.expect(sub, "closed", "1"))

	s.publish(s3mesh.LaneLive, change("forgotten", "1"))
	s.expect(sub, "forgotten", "1")
	d := s.expect(sub, "forgotten", "1")
	if d.Attempt() != 2 {
		s.Fatalf("attempt %d, want 2", d.Attempt())
	}
	s.ack(d)
	s.settles(linkAB, s3mesh.Backlog{})
}

func testExtend(s *queueSuite) {
	holder := s.live(1)
	s.publish(s3mesh.LaneLive, change("k", "1"))
	d := s.expect(holder, "k", "1")
	other := s.live(1)
	for range 8 { // twice the time-out
		s.nothing(other, s.ackWait/4)
		if err := d.Extend(s.Context()); err != nil {
			s.Fatal("Extend:", err)
		}
	}
	if again := s.expect(other, "k", "1"); again.Attempt() != 2 {
		s.Fatalf("attempt %d, want 2", again.Attempt())
	}
}
