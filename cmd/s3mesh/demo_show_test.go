package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

// firstOnly is a standard output whose reader stops reading after the first write.
type firstOnly struct {
	first   chan struct{} // closed by the first write
	release chan struct{}
}

func (w *firstOnly) Write(p []byte) (int, error) {
	select {
	case <-w.first:
		<-w.release
	default:
		close(w.first)
	}
	return len(p), nil
}

// TestShowWithoutReader: outcomes are taken, and the show ends, though standard output is stuck.
func TestShowWithoutReader(t *testing.T) {
	t.Parallel()
	out := &firstOnly{first: make(chan struct{}), release: make(chan struct{})}
	card := newDemoCard([]string{"a", "b"})
	d := &demo{folder: &demoFolder{card: card}, cluster: &cluster{addrs: map[string]string{"a": "a:1", "b": "b:1"}}}
	s := newShow(&globals{streams: streams{out: out}, json: true}, d, "http://admin")
	if err := s.welcome(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := arrival{s3mesh.Link{Source: "a", Target: "b"}, "last"}
	s.samples.expect(one)
	ended := make(chan error, 1)
	const extra = 100
	go func() {
		outcome := s3mesh.Outcome{Task: s3mesh.Task{Link: one.link}, Result: s3mesh.ResultInSync}
		for range showAhead + extra {
			s.observe(outcome)
		}
		outcome.Task.Event.Key = one.key
		s.observe(outcome)
		err := s.samples.wait(context.Background())
		s.close()
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * lastLines):
		t.Fatal("still waiting for standard output")
	}
	if got := s.skipped.Load(); got < extra {
		t.Errorf("%d outcomes were counted as not shown, want %d or more", got, extra)
	}
	close(out.release)
	<-s.done
}

// TestArrivals: only what is awaited counts, each once, and only when the target holds it.
func TestArrivals(t *testing.T) {
	t.Parallel()
	a := newArrivals()
	link := s3mesh.Link{Source: "a", Target: "b"}
	for _, key := range []string{"one", "two"} {
		a.expect(arrival{link, key})
	}
	come := func(source, key string, result s3mesh.Result, version *s3mesh.Version) {
		a.observe(s3mesh.Outcome{Task: s3mesh.Task{Link: s3mesh.Link{Source: source, Target: "b"},
			Event: s3mesh.Event{Key: key}}, Result: result, Source: version})
	}
	come("a", "one", s3mesh.ResultReplicated, &s3mesh.Version{})
	come("a", "one", s3mesh.ResultReplicated, &s3mesh.Version{})
	come("a", "another", s3mesh.ResultReplicated, &s3mesh.Version{})
	come("c", "two", s3mesh.ResultReplicated, &s3mesh.Version{})
	come("a", "two", s3mesh.ResultRetry, nil)
	come("a", "two", s3mesh.ResultSourceGone, nil)
	come("a", "two", s3mesh.ResultReplicated, &s3mesh.Version{Deleted: true})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.wait(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("complete without the second: %v", err)
	}
	come("a", "two", s3mesh.ResultSuperseded, &s3mesh.Version{})
	if err := a.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
