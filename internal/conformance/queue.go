package conformance

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// OpenQueue returns an empty queue of the replica set with the given acknowledgement time-out, which ends with the test.
type OpenQueue func(t *testing.T, set s3mesh.ReplicaSet, ackWait time.Duration) s3mesh.Queue

// TestQueue runs the suite. open is called once for every subtest; subtests run in parallel.
func TestQueue(t *testing.T, open OpenQueue) { //nolint:tparallel // the caller decides for the whole
	t.Helper()
	groups := [][]queueTest{
		deliveryTests, windowTests, redeliveryTests, linkTests, backlogTests, letterTests, letterFilterTests, letterEndTests,
		loadTests,
	}
	for _, group := range groups {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				wait := test.ackWait
				if wait == 0 {
					wait = longAckWait
				}
				test.run(&queueSuite{T: t, q: open(t, queueSet(), wait), ackWait: wait})
			})
		}
	}
}

// queueTest is one test of the suite.
type queueTest struct {
	name    string
	run     func(*queueSuite)
	ackWait time.Duration // longAckWait when zero
}

const (
	longAckWait  = 30 * time.Second // never runs out in a test
	shortAckWait = time.Second      // does
	patience     = 15 * time.Second // for what must come, below longAckWait, which must not be what brings it
	quiet        = 150 * time.Millisecond
)

// The sites of the suite: three in a full mesh, and one without links.
const (
	siteA, siteB, siteC, siteLone = "us-east-1", "eu-west-1", "ap-south-1", "lone"
)

var (
	linkAB = s3mesh.Link{Source: siteA, Target: siteB}
	linkAC = s3mesh.Link{Source: siteA, Target: siteC}
	linkBA = s3mesh.Link{Source: siteB, Target: siteA}
)

func queueSet() s3mesh.ReplicaSet {
	set := s3mesh.FullMesh("media", s3mesh.Site{Name: siteA}, s3mesh.Site{Name: siteB}, s3mesh.Site{Name: siteC})
	set.Sites = append(set.Sites, s3mesh.Site{Name: siteLone})
	return set
}

// queueSuite is one queue under test. Its methods fail the test on any error.
type queueSuite struct {
	*testing.T
	q       s3mesh.Queue
	ackWait time.Duration
}

// change returns an event at site A, told from others of its key by its ETag.
func change(key, etag string) s3mesh.Event {
	return s3mesh.Event{Site: siteA, Key: key, ETag: etag, Type: s3mesh.EventCreated}
}

func (s *queueSuite) publish(lane s3mesh.Lane, events ...s3mesh.Event) {
	s.Helper()
	if err := s.q.Publish(s.Context(), lane, events...); err != nil {
		s.Fatal("Publish:", err)
	}
}

func (s *queueSuite) subscribe(link s3mesh.Link, lane s3mesh.Lane, window int) s3mesh.Subscription {
	s.Helper()
	sub, err := s.q.Subscribe(s.Context(), link, lane, window)
	if err != nil {
		s.Fatal("Subscribe:", err)
	}
	s.Cleanup(func() { _ = sub.Close() }) // its errors are tested elsewhere
	return sub
}

// live subscribes to the live lane of A->B.
func (s *queueSuite) live(window int) s3mesh.Subscription {
	s.Helper()
	return s.subscribe(linkAB, s3mesh.LaneLive, window)
}

// next returns the next delivery, which must come.
func (s *queueSuite) next(sub s3mesh.Subscription) s3mesh.Delivery {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	d, err := sub.Next(ctx)
	if err != nil {
		s.Fatal("Next:", err)
	}
	return d
}

// expect returns the next delivery, which must be of this key and ETag.
func (s *queueSuite) expect(sub s3mesh.Subscription, key, etag string) s3mesh.Delivery {
	s.Helper()
	d := s.next(sub)
	if e := d.Event(); e.Key != key || e.ETag != etag {
		s.Fatalf("delivered %q %q, want %q %q", e.Key, e.ETag, key, etag)
	}
	return d
}

// nothing fails if a delivery comes within d. Only time can show that none does.
func (s *queueSuite) nothing(sub s3mesh.Subscription, d time.Duration) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), d)
	defer cancel()
	got, err := sub.Next(ctx)
	switch {
	case err == nil:
		s.Fatalf("delivered %q %q, attempt %d; want nothing", got.Event().Key, got.Event().ETag, got.Attempt())
	case !errors.Is(err, context.DeadlineExceeded):
		s.Fatal("Next:", err)
	}
}

func (s *queueSuite) ack(deliveries ...s3mesh.Delivery) {
	s.Helper()
	for _, d := range deliveries {
		if err := d.Ack(s.Context()); err != nil {
			s.Fatal("Ack:", err)
		}
	}
}

func (s *queueSuite) retry(d s3mesh.Delivery, after time.Duration) {
	s.Helper()
	if err := d.Retry(s.Context(), after); err != nil {
		s.Fatal("Retry:", err)
	}
}

// eventually fails unless check comes to return "".
func (s *queueSuite) eventually(check func() (problem string)) {
	s.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			s.Fatal(problem)
		}
		<-ticker.C
	}
}

func (s *queueSuite) backlog(link s3mesh.Link) s3mesh.Backlog {
	s.Helper()
	b, err := s.q.Backlog(s.Context(), link)
	if err != nil {
		s.Fatal("Backlog:", err)
	}
	return b
}

// settles fails unless the link's backlog comes to be want.
func (s *queueSuite) settles(link s3mesh.Link, want s3mesh.Backlog) {
	s.Helper()
	s.eventually(func() string {
		got := s.backlog(link)
		same := got.Oldest.Equal(want.Oldest)
		got.Oldest = want.Oldest
		if same && got == want {
			return ""
		}
		return fmt.Sprintf("backlog of %s is %+v, want %+v", link, s.backlog(link), want)
	})
}

// wantKind fails unless err is an *s3mesh.Error of the kind.
func (s *queueSuite) wantKind(what string, err error, kind s3mesh.Kind) {
	s.Helper()
	var e *s3mesh.Error
	if !errors.As(err, &e) || e.Kind != kind {
		s.Fatalf("%s returned %v, want an *s3mesh.Error of kind %s", what, err, kind)
	}
}
