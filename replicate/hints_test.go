package replicate_test

import (
	"context"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh"
)

// asked carries an event that reconcile or verify made, over one link, in the bulk lane.
func (f *fixture) asked(ctx context.Context, ev s3mesh.Event, target string) s3mesh.Outcome {
	ev.Target = target
	return f.engines[target].Replicate(ctx, s3mesh.Task{
		Link: s3mesh.Link{Source: ev.Site, Target: target}, Lane: s3mesh.LaneBulk, Event: ev, Attempt: 1})
}

func TestBackfillOfFreshKeyCostsOneGetAndOnePut(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	ev.Fresh = true
	want(t, f.asked(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	wantRequests(t, f, "us", map[string]int{"GET": 1})
	wantRequests(t, f, "eu", map[string]int{"PUT": 1})
}

// A key that is there after all, as a live event was faster, is looked at and not written again.
func TestFreshIsOnlyAHint(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	f.put(t, "eu", "a", "two")
	ev.Fresh = true
	out := f.asked(t.Context(), ev, "eu")
	if out.Err != nil || out.Result.Wrote() && f.body(t, "eu", "a") != "one" {
		t.Fatalf("%+v", out)
	}
	again := f.asked(t.Context(), ev, "eu")
	if again.Err != nil || again.Result.Wrote() {
		t.Errorf("written twice: %+v", again)
	}
}

// What reconcile asks for is not taken for the echo of a replica that was written just now.
func TestBackfillFromAReplicaIsNoEcho(t *testing.T) {
	f := newFixture(map[string]siteOptions{"eu": {unversioned: true}})
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	object, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ev := s3mesh.Event{Site: "eu", Key: "a", Type: s3mesh.EventCreated, ETag: object.ETag, Size: object.Size, Fresh: true}
	want(t, f.asked(t.Context(), ev, "ap"), s3mesh.ResultReplicated)
	if got := f.body(t, "ap", "a"); got != "one" {
		t.Errorf("ap holds %q", got)
	}
}

// A replica that says it is the source's version, and is not, is written again when somebody saw that.
func TestRepair(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	stamped, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ruined := stamped.Attributes
	ruined.ContentType = "application/ruined"
	if _, err := f.sites["eu"].bucket.Put(t.Context(), "a", s3mesh.PutInput{Body: strings.NewReader("one"), Size: 3,
		Attributes: ruined, Condition: s3mesh.IfMatch(stamped.ETag)}); err != nil {
		t.Fatal(err)
	}
	want(t, f.asked(t.Context(), ev, "eu"), s3mesh.ResultInSync)
	ev.Repair = true
	want(t, f.asked(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	repaired, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if repaired.Attributes.ContentType != "text/plain" {
		t.Errorf("content type %q after the repair", repaired.Attributes.ContentType)
	}
}

// The site that a version comes from is not repaired from a replica.
func TestRepairLeavesTheOrigin(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	back := s3mesh.Event{Site: "eu", Key: "a", Type: s3mesh.EventCreated, Repair: true}
	want(t, f.asked(t.Context(), back, "us"), s3mesh.ResultInSync)
}

// A site that lost what it wrote itself has it restored from a replica.
func TestBackfillRestoresTheOrigin(t *testing.T) {
	f := newFixture(map[string]siteOptions{"us": {unversioned: true}})
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	if err := f.sites["us"].bucket.Application().Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	object, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ev := s3mesh.Event{Site: "eu", Key: "a", Type: s3mesh.EventCreated, ETag: object.ETag, Size: object.Size, Fresh: true}
	want(t, f.asked(t.Context(), ev, "us"), s3mesh.ResultReplicated)
	if got := f.body(t, "us", "a"); got != "one" {
		t.Errorf("us holds %q", got)
	}
}
