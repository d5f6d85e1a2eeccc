package replicate_test

import (
	"context"
	"slices"
	"testing"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
)

type published map[s3mesh.Lane][]string

func (p published) Publish(_ context.Context, lane s3mesh.Lane, events ...s3mesh.Event) error {
	for _, ev := range events {
		p[lane] = append(p[lane], ev.Site+"/"+ev.Key)
	}
	return nil
}

func planner(set s3mesh.ReplicaSet) (*replicate.Planner, published) {
	queue := published{}
	return replicate.NewPlanner(replicate.PlannerConfig{
		Set: set, Filter: replicate.Filter{Include: []string{"a/"}, Exclude: []string{"a/tmp/"}}, Queue: queue,
		Echoes: &replicate.Echoes{}, Principals: map[string]string{"us": "AKIAMESH"}, LargeObject: 1000,
	}), queue
}

var sites = []s3mesh.Site{{Name: "us", Bucket: "b-us"}, {Name: "eu", Bucket: "b-eu"}, {Name: "ap", Bucket: "b-ap"}}

func TestPlannerChoosesLanesAndDropsTheRest(t *testing.T) {
	p, queue := planner(s3mesh.FullMesh("test", sites...))
	err := p.Accept(t.Context(), "us", []s3mesh.Event{
		{Key: "a/small", Size: 999, Bucket: "b-us"},
		{Key: "a/large", Size: 1000},
		{Key: "a/tmp/x"},
		{Key: "b/x"},
		{Key: ".s3mesh/x"},
		{Key: "a/echo", Principal: "AKIAMESH"},
		{Key: "a/client", Principal: "AKIAOTHER"},
		{Type: s3mesh.EventTest},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(queue[s3mesh.LaneLive], []string{"us/a/small", "us/a/client"}) ||
		!slices.Equal(queue[s3mesh.LaneLarge], []string{"us/a/large"}) || len(queue) != 2 {
		t.Errorf("%v", queue)
	}
}

// In a chain, the event of a replica is what carries it further.
func TestPlannerKeepsEchoesOfAChain(t *testing.T) {
	p, queue := planner(s3mesh.ReplicaSet{Name: "test", Sites: sites,
		Links: []s3mesh.Link{{Source: "ap", Target: "us"}, {Source: "us", Target: "eu"}}})
	if err := p.Accept(t.Context(), "us", []s3mesh.Event{{Key: "a/x", Principal: "AKIAMESH"}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(queue[s3mesh.LaneLive], []string{"us/a/x"}) {
		t.Errorf("%v", queue)
	}
}

func TestPlannerRefusesEventsOfAnotherBucket(t *testing.T) {
	p, queue := planner(s3mesh.FullMesh("test", sites...))
	err := p.Accept(t.Context(), "us", []s3mesh.Event{{Key: "a/x"}, {Key: "a/y", Bucket: "b-eu"}})
	if s3mesh.KindOf(err) != s3mesh.KindInvalid || len(queue) != 0 {
		t.Errorf("%v, published %v", err, queue)
	}
	if err := p.Accept(t.Context(), "nowhere", nil); s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("unknown site: %v", err)
	}
}

func TestFilter(t *testing.T) {
	for key, taken := range map[string]bool{"x": true, ".s3mesh/tombstones/x": false, ".s3meshing": true, "": true} {
		if (replicate.Filter{}).Takes(key) != taken {
			t.Errorf("%q: %v", key, !taken)
		}
	}
}

// An event that comes before its write returned is recognised once the write has.
func TestEchoBeforeTheWriteReturned(t *testing.T) {
	var echoes replicate.Echoes
	ended := echoes.Begin("eu", "a")
	ev := s3mesh.Event{Site: "eu", Key: "a", VersionID: "v7"}
	if echoes.Caused(ev, "") {
		t.Error("recognised before the write is known")
	}
	answer := make(chan bool)
	go func() { answer <- echoes.Await(context.Background(), ev, "us") }()
	ended(&s3mesh.Written{ETag: "e", VersionID: "v7"})
	if !<-answer {
		t.Error("not recognised")
	}
	if other := (s3mesh.Event{Site: "eu", Key: "a", ETag: "e", VersionID: "v8"}); echoes.Caused(other, "") {
		t.Error("a client's write of the same bytes was taken for an echo")
	}
}

// Without version IDs each write accounts for one event per consumer.
func TestEchoWithoutVersions(t *testing.T) {
	var echoes replicate.Echoes
	echoes.Begin("eu", "a")(&s3mesh.Written{ETag: "e"})
	ev := s3mesh.Event{Site: "eu", Key: "a", ETag: "e"}
	for _, consumer := range []string{"us", "ap"} {
		if !echoes.Caused(ev, consumer) || echoes.Caused(ev, consumer) {
			t.Errorf("%s: not exactly one echo", consumer)
		}
	}
	echoes.Begin("eu", "b")(nil)
	if echoes.Caused(s3mesh.Event{Site: "eu", Key: "b", ETag: ""}, "us") {
		t.Error("a write that failed has an echo")
	}
}
