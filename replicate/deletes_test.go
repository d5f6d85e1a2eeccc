package replicate_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/replicate"
	"github.com/s3mesh/s3mesh/resolve"
)

// delete deletes as a client, and returns the event.
func (f *fixture) delete(t *testing.T, site, key string) s3mesh.Event {
	t.Helper()
	if err := f.sites[site].bucket.Application().Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return f.last(t)
}

// undelete removes the delete marker on top as a client, and returns the event.
func (f *fixture) undelete(t *testing.T, site, key string) s3mesh.Event {
	t.Helper()
	for top, err := range f.sites[site].bucket.History(t.Context(), key) {
		if err != nil || !top.DeleteMarker {
			t.Fatalf("%s holds no delete marker: %+v, %v", site, top, err)
		}
		if err := f.sites[site].bucket.Application().DeleteVersion(t.Context(), key, top.VersionID); err != nil {
			t.Fatal(err)
		}
		break
	}
	return f.last(t)
}

func (f *fixture) last(t *testing.T) s3mesh.Event {
	t.Helper()
	events := f.takeEvents()
	if len(events) == 0 {
		t.Fatal("no event")
	}
	return events[len(events)-1]
}

// must carries an event and checks the result.
func (f *fixture) must(t *testing.T, ev s3mesh.Event, target string, want s3mesh.Result) {
	t.Helper()
	if out := f.carry(t.Context(), ev, target); out.Result != want || out.Err != nil {
		t.Errorf("%s: %v (error %v), want %v", out.Task.Link, out.Result, out.Err, want)
	}
}

// settle delivers events over every link until there are none.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	for round := range 20 {
		events := f.takeEvents()
		if len(events) == 0 {
			return
		}
		for _, ev := range events {
			if strings.HasPrefix(ev.Key, s3mesh.ReservedPrefix) || ev.Principal == "s3mesh" {
				continue
			}
			for _, link := range f.set.From(ev.Site) {
				if out := f.carry(t.Context(), ev, link.Target); out.Err != nil {
					t.Fatalf("round %d: %s: %v", round, link, out.Err)
				}
			}
		}
	}
	t.Fatal("the sites do not settle")
}

// compareAll sends an event for the key over every link, as a comparison of the sites does, and settles.
func (f *fixture) compareAll(t *testing.T, key string) {
	t.Helper()
	f.settle(t)
	for _, link := range f.set.Links {
		ev := s3mesh.Event{Site: link.Source, Target: link.Target, Key: key, Type: s3mesh.EventCreated}
		out := f.engines[link.Target].Replicate(t.Context(), s3mesh.Task{Link: link, Lane: s3mesh.LaneBulk, Event: ev, Attempt: 1})
		if out.Err != nil {
			t.Fatalf("%s: %v", link, out.Err)
		}
	}
	f.settle(t)
}

// holds checks what every site holds under a key; "" for nothing.
func (f *fixture) holds(t *testing.T, key, want string) {
	t.Helper()
	for _, site := range []string{"ap", "eu", "us"} {
		if got := f.body(t, site, key); got != want {
			t.Errorf("%s holds %q, want %q", site, got, want)
		}
	}
}

func TestDeleteIsAppliedOnce(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	f.must(t, f.put(t, "us", "k", "1"), "eu", s3mesh.ResultReplicated)
	f.clock.advance(time.Minute)
	f.takeEvents()
	ev := f.delete(t, "us", "k")
	f.must(t, ev, "eu", s3mesh.ResultDeleted)
	if got := f.body(t, "eu", "k"); got != "" {
		t.Fatalf("eu holds %q", got)
	}
	f.clock.advance(time.Minute)
	f.must(t, ev, "eu", s3mesh.ResultInSync)
	// The marker is no delete of eu's own, though its event comes back.
	for _, echo := range f.takeEvents() {
		if !strings.HasPrefix(echo.Key, s3mesh.ReservedPrefix) {
			f.must(t, echo, "us", s3mesh.ResultInSync)
			f.must(t, echo, "ap", s3mesh.ResultDeleted)
		}
	}
	f.compareAll(t, "k")
	f.holds(t, "k", "")
	if n := markers(t, f, "eu", "k"); n != 1 {
		t.Errorf("eu has %d markers, want 1", n)
	}
}

func markers(t *testing.T, f *fixture, site, key string) (n int) {
	t.Helper()
	for entry, err := range f.sites[site].bucket.History(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		if entry.DeleteMarker {
			n++
		}
	}
	return n
}

// A delete is a version: whatever comes late, again, or over another link, what is older does not come back.
func TestOlderWritesStayDeleted(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written bool // the write had arrived at eu before the delete did
	}{{"the write was there", true}, {"the delete comes first", false}} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(nil).propagateDeletes()
			write := f.put(t, "us", "k", "1")
			f.must(t, write, "ap", s3mesh.ResultReplicated)
			if tt.written {
				f.must(t, write, "eu", s3mesh.ResultReplicated)
			}
			f.takeEvents()
			f.clock.advance(time.Minute)
			f.must(t, f.delete(t, "us", "k"), "eu", s3mesh.ResultDeleted)
			f.takeEvents()
			f.forget()
			// ap still has the older write, and its event takes the short way for new keys.
			for range 2 {
				f.carry(t.Context(), s3mesh.Event{Site: "ap", Key: "k", Type: s3mesh.EventCreated, Size: 1}, "eu")
				if got := f.body(t, "eu", "k"); got != "" {
					t.Fatalf("%q was brought back", got)
				}
			}
			f.carry(t.Context(), write, "eu")
			f.compareAll(t, "k")
			f.holds(t, "k", "")
		})
	}
}

// forget has the replicators forget what they have written, as a restart does.
func (f *fixture) forget() {
	for _, engine := range f.engines {
		engine.Echoes = &replicate.Echoes{}
	}
}

func TestLaterWriteBeatsDelete(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	f.put(t, "us", "k", "1")
	f.compareAll(t, "k")
	f.clock.advance(time.Minute)
	removed := f.delete(t, "us", "k")
	f.clock.advance(time.Minute)
	written := f.put(t, "eu", "k", "2")
	f.must(t, removed, "eu", s3mesh.ResultConflictLost)
	f.must(t, written, "us", s3mesh.ResultReplicated) // the short way does not look for what it is written over
	f.compareAll(t, "k")
	f.holds(t, "k", "2")
}

// What a client writes on top of a replicated delete is later than it, in the same second too.
func TestWriteOverReplicatedDelete(t *testing.T) {
	f := newFixture(map[string]siteOptions{"eu": {skew: -time.Second}}).propagateDeletes()
	f.put(t, "us", "k", "1")
	f.compareAll(t, "k")
	f.delete(t, "us", "k")
	f.compareAll(t, "k")
	f.put(t, "eu", "k", "2")
	f.compareAll(t, "k")
	f.holds(t, "k", "2")
}

func TestUndelete(t *testing.T) {
	for _, site := range []string{"us", "eu"} { // where it was deleted, and where the delete was replicated to
		t.Run(site, func(t *testing.T) {
			f := newFixture(nil).propagateDeletes()
			f.put(t, "us", "k", "1")
			f.compareAll(t, "k")
			f.clock.advance(time.Minute)
			f.delete(t, "us", "k")
			f.compareAll(t, "k")
			f.holds(t, "k", "")
			f.clock.advance(time.Minute)
			target := map[string]string{"us": "eu", "eu": "us"}[site]
			f.must(t, f.undelete(t, site, "k"), target, s3mesh.ResultUndeleted)
			f.compareAll(t, "k")
			f.holds(t, "k", "1")
			f.clock.advance(time.Minute)
			f.delete(t, "ap", "k")
			f.compareAll(t, "k")
			f.holds(t, "k", "")
		})
	}
}

// A client that deletes at the target in the same moment makes a delete of its own, which no other task takes for the intended.
func TestDeleteRacingADelete(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	f.put(t, "us", "k", "1")
	f.compareAll(t, "k")
	f.clock.advance(time.Minute)
	removed := f.delete(t, "us", "k")
	f.clock.advance(time.Minute)
	f.sites["eu"].once("DELETE", func() {
		f.delete(t, "eu", "k")
		f.carry(t.Context(), removed, "eu") // sees a marker, and an intent that seems to explain it
	})
	f.must(t, removed, "eu", s3mesh.ResultSuperseded)
	in := f.engines["eu"].Inspect(t.Context(), "k", []string{"eu"})
	if v := in.Sites[0].Version; v == nil || v.Origin != "eu" {
		t.Errorf("eu's own delete counts as %+v", v)
	}
}

// A client that writes between the look at the target and the delete there loses nothing, whatever the store checks.
func TestWriteRacingADeleteSurvives(t *testing.T) {
	for name, lacks := range map[string]s3mesh.Capabilities{"conditional": {}, "ignores the condition": {ConditionalDelete: true}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(map[string]siteOptions{"eu": {lacks: lacks}}).propagateDeletes()
			f.put(t, "us", "k", "1")
			f.compareAll(t, "k")
			f.clock.advance(time.Minute)
			removed := f.delete(t, "us", "k")
			f.sites["eu"].once("DELETE", func() { f.clock.advance(time.Minute); f.putAs(t, "eu", "k", "2", "text/2") })
			f.must(t, removed, "eu", s3mesh.ResultConflictLost)
			f.compareAll(t, "k")
			f.holds(t, "k", "2")
		})
	}
}

// Whoever dies between making a delete marker and recording whose it is leaves no delete of the target's own behind.
func TestDeleteCutOff(t *testing.T) {
	for name, lacks := range map[string]s3mesh.Capabilities{"conditional": {}, "ignores the condition": {ConditionalDelete: true}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(map[string]siteOptions{"eu": {lacks: lacks}}).propagateDeletes()
			f.put(t, "us", "k", "1")
			f.compareAll(t, "k")
			f.clock.advance(time.Minute)
			removed := f.delete(t, "us", "k")
			task := s3mesh.Task{Link: s3mesh.Link{Source: "us", Target: "eu"}, Lane: s3mesh.LaneLive, Event: removed, Attempt: 1}
			ctx, kill := context.WithCancel(t.Context())
			f.sites["eu"].once("DELETE", func() {
				f.sites["eu"].on("PUT", func() error { kill(); return ctx.Err() })
				if lacks.ConditionalDelete {
					f.clock.advance(5 * time.Second)
					f.putAs(t, "eu", "k", "2", "text/2") //nolint:contextcheck // a client, which nobody kills
				}
			})
			if out := f.engines["eu"].Replicate(ctx, task); out.Err == nil {
				t.Fatal("it was not cut off")
			}
			f.sites["eu"].on("PUT", nil)
			task.Attempt = 2
			if out := f.engines["eu"].Replicate(t.Context(), task); out.Err != nil {
				t.Fatal(out.Err)
			}
			f.compareAll(t, "k")
			want := ""
			if lacks.ConditionalDelete {
				want = "2"
			}
			f.holds(t, "k", want)
		})
	}
}

func TestBrakeHoldsDeletes(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	var alerts int
	f.engines["eu"].Brake = replicate.NewBrake(f.set.Links, 2, f.clock.now, func(s3mesh.Link) { alerts++ })
	var removed []s3mesh.Event
	for _, key := range []string{"a", "b", "c"} {
		f.put(t, "us", key, key)
		f.compareAll(t, key)
		removed = append(removed, f.delete(t, "us", key))
	}
	for i, ev := range removed {
		out := f.carry(t.Context(), ev, "eu")
		if held := s3mesh.KindOf(out.Err) == s3mesh.KindHeld; held != (i == 2) {
			t.Errorf("delete %d: %v, %v", i+1, out.Result, out.Err)
		}
	}
	if got := f.body(t, "eu", "c"); got != "c" || alerts != 1 {
		t.Errorf("eu holds %q after %d alerts", got, alerts)
	}
	link := s3mesh.Link{Source: "us", Target: "eu"}
	out := f.engines["eu"].Replicate(t.Context(), s3mesh.Task{Link: link, Lane: s3mesh.LaneHeld, Event: removed[2], Attempt: 1})
	if out.Result != s3mesh.ResultDeleted {
		t.Errorf("let go: %v, %v", out.Result, out.Err)
	}
}

func TestSweep(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	for _, key := range []string{"old", "new"} {
		f.put(t, "us", key, "1")
		f.compareAll(t, key)
		if key == "new" {
			f.clock.advance(retention + time.Minute)
		}
		f.delete(t, "us", key)
		f.compareAll(t, key)
	}
	eu := f.sites["eu"].bucket
	if n, err := f.engines["eu"].Sweep(t.Context(), eu); n != 1 || err != nil {
		t.Fatalf("%d removed, %v", n, err)
	}
	var left []string
	for page, err := range eu.List(t.Context(), s3mesh.ListOptions{Prefix: resolve.TombstonePrefix}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, listed := range page {
			left = append(left, listed.Key)
		}
	}
	if !slices.Equal(left, []string{resolve.TombstoneKey("new")}) {
		t.Errorf("left: %q", left)
	}
	for entry, err := range eu.History(t.Context(), resolve.TombstoneKey("old")) {
		t.Errorf("a version is left: %+v, %v", entry, err)
	}
	f.compareAll(t, "old")
	f.holds(t, "old", "")
	if n := markers(t, f, "us", "old"); n != 1 {
		t.Errorf("forgetting made us have %d markers", n)
	}
}

// What one link's brake holds does not come over another.
func TestNoWayRoundTheBrake(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	f.put(t, "us", "k", "1")
	f.compareAll(t, "k")
	brake := replicate.NewBrake(f.set.Links, 100, f.clock.now, func(s3mesh.Link) {})
	f.engines["eu"].Brake = brake
	brake.Engage(s3mesh.Link{Source: "us", Target: "eu"})
	removed := f.delete(t, "us", "k")
	f.must(t, removed, "ap", s3mesh.ResultDeleted)
	relayed := s3mesh.Event{Site: "ap", Key: "k", Type: s3mesh.EventRemoved}
	f.must(t, relayed, "eu", s3mesh.ResultHeld)
	if got := f.body(t, "eu", "k"); got != "1" {
		t.Fatalf("eu holds %q", got)
	}
	link := s3mesh.Link{Source: "us", Target: "eu"}
	brake.Resume(link)
	out := f.engines["eu"].Replicate(t.Context(), s3mesh.Task{Link: link, Lane: s3mesh.LaneHeld, Event: removed, Attempt: 1})
	if out.Result != s3mesh.ResultDeleted {
		t.Errorf("let go: %v, %v", out.Result, out.Err)
	}
}

// A tombstone that a client forged makes nobody write what no client wrote.
func TestForgedTombstone(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	forged := `{"key":"k","markers":[{"id":"","delete":{"time":{"seconds":1795000001},"exact":true,` +
		`"origin":"eu","version_id":"z"}}]}`
	f.putAs(t, "eu", resolve.TombstoneKey("k"), forged, "application/json")
	f.put(t, "us", "k", "precious")
	f.compareAll(t, "k")
	f.holds(t, "k", "precious")
}

// Of a tombstone that is kept, the versions that it replaced are removed all the same.
func TestSweepKeepsOnlyWhatCounts(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	for range 3 {
		f.put(t, "us", "k", "1")
		f.compareAll(t, "k")
		f.clock.advance(time.Minute)
		f.delete(t, "us", "k")
		f.compareAll(t, "k")
		f.clock.advance(time.Minute)
	}
	if n, err := f.engines["eu"].Sweep(t.Context(), f.sites["eu"].bucket); n != 0 || err != nil {
		t.Fatalf("%d removed, %v", n, err)
	}
	versions := 0
	for _, err := range f.sites["eu"].bucket.History(t.Context(), resolve.TombstoneKey("k")) {
		if err != nil {
			t.Fatal(err)
		}
		versions++
	}
	if versions != 1 {
		t.Errorf("%d versions are left", versions)
	}
	f.compareAll(t, "k")
	f.holds(t, "k", "")
}

// With deletes propagated a fresh small object costs two requests more: the look at what it covered.
func TestFreshKeyWithDeletesCostsFour(t *testing.T) {
	f := newFixture(nil).propagateDeletes()
	ev := f.put(t, "us", "k", "1")
	f.sites["us"].takeCounts()
	f.must(t, ev, "eu", s3mesh.ResultReplicated)
	if got := f.sites["us"].takeCounts(); len(got) != 1 || got["GET"] != 1 {
		t.Errorf("at the source: %v", got)
	}
	if got := f.sites["eu"].takeCounts(); len(got) != 3 || got["PUT"] != 1 || got["LIST"] != 1 || got["GET"] != 1 {
		t.Errorf("at the target: %v", got)
	}
}
