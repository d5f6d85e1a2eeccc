package replicate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/resolve"
)

func want(t *testing.T, out s3mesh.Outcome, result s3mesh.Result) {
	t.Helper()
	if out.Result != result {
		t.Fatalf("result %s (error %v), want %s", out.Result, out.Err, result)
	}
}

func wantRequests(t *testing.T, f *fixture, site string, requests map[string]int) {
	t.Helper()
	if diff := cmp.Diff(requests, f.sites[site].takeCounts()); diff != "" {
		t.Errorf("requests at %s (-want +got):\n%s", site, diff)
	}
}

func TestFreshKeyCostsOneGetAndOnePut(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	wantRequests(t, f, "us", map[string]int{"GET": 1})
	wantRequests(t, f, "eu", map[string]int{"PUT": 1})
	obj, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if obj.Attributes.ContentType != "text/plain" || obj.Attributes.Metadata["note"] != "grüße" {
		t.Errorf("the replica carries %+v", obj.Attributes)
	}
}

func TestEchoCostsNothing(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	echo := f.takeEvents()[0]
	for _, site := range f.sites {
		site.takeCounts()
	}
	for _, target := range []string{"us", "ap"} {
		want(t, f.carry(t.Context(), echo, target), s3mesh.ResultInSync)
	}
	for name := range f.sites {
		wantRequests(t, f, name, map[string]int{})
	}
}

// An echo that nobody remembers is one wasted look, and no write.
func TestForgottenEchoWritesNothing(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "ap"), s3mesh.ResultReplicated)
	f.takeEvents()
	echo := s3mesh.Event{Site: "eu", Key: "a", Type: s3mesh.EventCreated}
	for _, target := range []string{"us", "ap"} {
		if out := f.carry(t.Context(), echo, target); out.Result.Wrote() || out.Err != nil {
			t.Errorf("%s: %s, %v", target, out.Result, out.Err)
		}
	}
}

func TestOverwriteReplicates(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	for _, pause := range []time.Duration{0, time.Second, time.Minute} { // within a second, within the skew, beyond
		f.clock.advance(pause)
		body := "after " + pause.String()
		want(t, f.carry(t.Context(), f.put(t, "us", "a", body), "eu"), s3mesh.ResultReplicated)
		if got := f.body(t, "eu", "a"); got != body {
			t.Errorf("eu holds %q", got)
		}
	}
}

func TestOverwriteOfAKnownKeyCostsFourRequests(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	f.sites["us"].takeCounts()
	f.sites["eu"].takeCounts()
	f.clock.advance(time.Minute)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "two"), "eu"), s3mesh.ResultReplicated)
	wantRequests(t, f, "us", map[string]int{"GET": 1})
	wantRequests(t, f, "eu", map[string]int{"HEAD": 1, "PUT": 1, "LIST": 1})
}

func TestRepeatedAndLateEventsWriteNothing(t *testing.T) {
	f := newFixture(nil)
	first := f.put(t, "us", "a", "one")
	f.clock.advance(time.Hour)
	second := f.put(t, "us", "a", "two")
	want(t, f.carry(t.Context(), second, "eu"), s3mesh.ResultReplicated)
	want(t, f.carry(t.Context(), second, "eu"), s3mesh.ResultInSync)
	want(t, f.carry(t.Context(), first, "eu"), s3mesh.ResultInSync)
	if got := f.sites["eu"].takeCounts()["PUT"]; got != 1 {
		t.Errorf("%d writes at eu", got)
	}
}

// The same key written in two regions within one second: the same one wins everywhere, and it is told.
func TestConflictEndsEqual(t *testing.T) {
	f := newFixture(nil)
	inUS, inEU := f.put(t, "us", "a", "from us"), f.put(t, "eu", "a", "from eu")
	want(t, f.carry(t.Context(), inEU, "us"), s3mesh.ResultConflictLost)
	want(t, f.carry(t.Context(), inUS, "eu"), s3mesh.ResultConflictWon)
	want(t, f.carry(t.Context(), inEU, "ap"), s3mesh.ResultReplicated) // by now eu holds us's version, and ap takes it from there
	want(t, f.carry(t.Context(), inUS, "ap"), s3mesh.ResultInSync)
	for name := range f.sites {
		if got := f.body(t, name, "a"); got != "from us" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

// What a client writes over a replica is later than it, though its clock is behind, and is no conflict.
func TestWriteOverAReplicaWinsAgainstTheClock(t *testing.T) {
	f := newFixture(map[string]siteOptions{"eu": {skew: -2 * time.Second}})
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	onTop := f.put(t, "eu", "a", "two")
	want(t, f.carry(t.Context(), onTop, "us"), s3mesh.ResultReplicated)
	if got := f.body(t, "us", "a"); got != "two" {
		t.Errorf("us holds %q", got)
	}
}

// A client that writes at the target between the look and the write is not overwritten by what is older.
func TestRacingClientAtTheTargetSurvives(t *testing.T) {
	f := newFixture(nil)
	old := f.put(t, "us", "a", "old")
	f.clock.advance(time.Minute)
	f.sites["eu"].once("PUT", func() { f.put(t, "eu", "a", "newer") })
	out := f.carry(t.Context(), old, "eu")
	if out.Result != s3mesh.ResultConflictLost {
		t.Errorf("result %s, %v", out.Result, out.Err)
	}
	if got := f.body(t, "eu", "a"); got != "newer" {
		t.Errorf("eu holds %q", got)
	}
}

// S3 compares ETags: a client that writes the same bytes with other metadata between the look and the write is not noticed by
// the condition. Its write is put on top again, and reaches everybody.
func TestRacingClientWithTheSameBytesSurvives(t *testing.T) {
	for _, failing := range []bool{false, true} {
		f := newFixture(nil)
		want(t, f.carry(t.Context(), f.put(t, "us", "a", "same"), "eu"), s3mesh.ResultReplicated)
		f.clock.advance(time.Minute)
		second := f.put(t, "us", "a", "same")
		f.clock.advance(time.Minute)
		f.sites["eu"].once("PUT", func() { f.putAs(t, "eu", "a", "same", "text/newer") })
		if failing { // the first attempt ends right after its write
			f.sites["eu"].on("LIST", func() error { return fault(s3mesh.KindUnreachable, "eu") })
		}
		out := f.carry(t.Context(), second, "eu")
		if failing {
			want(t, out, s3mesh.ResultRetry)
			f.sites["eu"].on("LIST", nil)
			again := s3mesh.Task{Link: out.Task.Link, Lane: s3mesh.LaneLive, Event: second, Attempt: 2}
			out = f.engines["eu"].Replicate(t.Context(), again)
		}
		want(t, out, s3mesh.ResultConflictLost)
		for _, ev := range f.takeEvents() {
			for _, link := range f.set.From(ev.Site) {
				if out := f.carry(t.Context(), ev, link.Target); out.Err != nil {
					t.Fatal(out.Err)
				}
			}
		}
		for name, site := range f.sites {
			obj, err := site.Head(t.Context(), "a", s3mesh.ReadOptions{})
			if err != nil || obj.Attributes.ContentType != "text/newer" {
				t.Errorf("failing %v: %s holds %q, %v", failing, name, obj.Attributes.ContentType, err)
			}
		}
	}
}

// Deleting a version by its ID at one site neither deletes nor rolls back anything elsewhere.
func TestVersionDeletedByIDRollsNothingBack(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	second := f.put(t, "us", "a", "two")
	want(t, f.carry(t.Context(), second, "eu"), s3mesh.ResultReplicated)
	if err := f.sites["us"].bucket.Application().DeleteVersion(t.Context(), "a", second.VersionID); err != nil {
		t.Fatal(err)
	}
	events := f.takeEvents()
	want(t, f.carry(t.Context(), events[len(events)-1], "eu"), s3mesh.ResultSuperseded)
	if got := f.body(t, "eu", "a"); got != "two" {
		t.Errorf("eu holds %q", got)
	}
}

// A source that is overwritten while an older look at it is compared with a newer target must not be taken for later.
func TestTargetIsReadBeforeTheSource(t *testing.T) {
	f := newFixture(nil)
	first := f.put(t, "us", "a", "one")
	want(t, f.carry(t.Context(), first, "eu"), s3mesh.ResultReplicated)
	// While the second task looks, a third write is replicated by another replicator.
	second := f.put(t, "us", "a", "two")
	f.sites["us"].once("GET", func() {
		f.sites["us"].on("GET", nil)
		third := f.put(t, "us", "a", "three")
		want(t, f.carry(t.Context(), third, "eu"), s3mesh.ResultReplicated)
	})
	out := f.carry(t.Context(), second, "eu")
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	if got := f.body(t, "eu", "a"); got != "three" {
		t.Errorf("eu holds %q after %s", got, out.Result)
	}
}

func TestSourceGone(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	if err := f.sites["us"].bucket.Application().Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultSourceGone)
	if got := f.sites["eu"].takeCounts(); len(got) > 0 {
		t.Errorf("requests at eu: %v", got)
	}
}

// A delete stays at its site, and counts there as a version: an older write does not bring the key back, a newer one does.
func TestDeletedAtTheTarget(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	f.clock.advance(time.Minute)
	if err := f.sites["eu"].bucket.Application().Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultSuperseded)
	f.clock.advance(time.Minute)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "two"), "eu"), s3mesh.ResultReplicated)
	if got := f.body(t, "eu", "a"); got != "two" {
		t.Errorf("eu holds %q", got)
	}
}

// Copying an old version over the current one is how clients undo. It copies an old replica's stamp too.
func TestRestoredVersionIsAClientsWrite(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	old, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.clock.advance(time.Minute)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "two"), "eu"), s3mesh.ResultReplicated)
	f.clock.advance(time.Minute)
	if _, err := f.sites["eu"].bucket.Application().Put(t.Context(), "a", []byte("one"), old.Attributes); err != nil {
		t.Fatal(err)
	}
	restored := f.takeEvents()
	want(t, f.carry(t.Context(), restored[len(restored)-1], "us"), s3mesh.ResultReplicated)
	if got := f.body(t, "us", "a"); got != "one" {
		t.Errorf("us holds %q", got)
	}
}

func TestUnversionedSites(t *testing.T) {
	all := map[string]siteOptions{"us": {unversioned: true}, "eu": {unversioned: true}, "ap": {unversioned: true}}
	f := newFixture(all)
	for _, body := range []string{"one", "two", "three"} { // all within one second
		want(t, f.carry(t.Context(), f.put(t, "us", "a", body), "eu"), s3mesh.ResultReplicated)
		if got := f.body(t, "eu", "a"); got != body {
			t.Errorf("eu holds %q", got)
		}
	}
	f.clock.advance(time.Minute)
	want(t, f.carry(t.Context(), f.put(t, "eu", "a", "four"), "us"), s3mesh.ResultReplicated)
	if got := f.body(t, "us", "a"); got != "four" {
		t.Errorf("us holds %q", got)
	}
}

func TestUnreachableOriginChangesNothing(t *testing.T) {
	f := newFixture(nil)
	inUS, inAP := f.put(t, "us", "a", "from us"), f.put(t, "ap", "a", "from ap")
	want(t, f.carry(t.Context(), inUS, "eu"), s3mesh.ResultReplicated)
	f.sites["us"].on("LIST", func() error { return fault(s3mesh.KindUnreachable, "us") })
	out := f.carry(t.Context(), inAP, "eu")
	if out.Result != s3mesh.ResultRetry || s3mesh.KindOf(out.Err) != s3mesh.KindUnreachable {
		t.Fatalf("%s, %v", out.Result, out.Err)
	}
	f.sites["us"].on("LIST", nil)
	want(t, f.carry(t.Context(), inAP, "eu"), s3mesh.ResultConflictLost)
}

func TestCorruptedBodyIsNotReplicated(t *testing.T) {
	f := newFixture(nil)
	ev := f.put(t, "us", "a", "one")
	f.engines["eu"].Readers = map[string]s3mesh.Reader{"us": flipped{f.sites["us"]}, "eu": f.sites["eu"]}
	out := f.carry(t.Context(), ev, "eu")
	if s3mesh.KindOf(out.Err) != s3mesh.KindCorrupted || f.body(t, "eu", "a") != "" {
		t.Errorf("%s, %v; eu holds %q", out.Result, out.Err, f.body(t, "eu", "a"))
	}
}

// Nothing about a stamp may make a replica of a key be taken for one of another.
func TestCopiedReplicaIsNative(t *testing.T) {
	f := newFixture(nil)
	want(t, f.carry(t.Context(), f.put(t, "us", "a", "one"), "eu"), s3mesh.ResultReplicated)
	obj, err := f.sites["eu"].Head(t.Context(), "a", s3mesh.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(obj.Attributes.Metadata[resolve.MetadataName], "v1 ") {
		t.Fatalf("no stamp: %v", obj.Attributes.Metadata)
	}
	if _, err := f.sites["eu"].bucket.Application().Put(t.Context(), "b", []byte("one"), obj.Attributes); err != nil {
		t.Fatal(err)
	}
	events := f.takeEvents()
	out := f.carry(t.Context(), events[len(events)-1], "us")
	want(t, out, s3mesh.ResultReplicated)
	if out.Source.Origin != "eu" {
		t.Errorf("the copy counts as a version of %s", out.Source.Origin)
	}
}
