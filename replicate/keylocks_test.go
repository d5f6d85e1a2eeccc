package replicate_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
)

// Without versions nothing shows that a replica replaced a later one with the same bytes: the tasks of a key take turns.
func TestTasksOfAKeyTakeTurnsWithoutVersions(t *testing.T) {
	for name, unversioned := range map[string]bool{"versioned": false, "unversioned": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(map[string]siteOptions{"eu": {unversioned: unversioned}})
				earlier := f.put(t, "us", "a", "one")
				f.clock.advance(10 * time.Second)
				later := f.put(t, "ap", "a", "two")
				second := make(chan s3mesh.Outcome, 1)
				overtook := false
				f.sites["eu"].once("PUT", func() {
					go func() { second <- f.carry(t.Context(), later, "eu") }()
					synctest.Wait()
					overtook = len(second) > 0
				})
				if out := f.carry(t.Context(), earlier, "eu"); out.Err != nil {
					t.Fatal(out.Err)
				}
				if out := <-second; out.Err != nil {
					t.Fatal(out.Err)
				}
				if overtook == unversioned {
					t.Errorf("the second task overtook the first: %v", overtook)
				}
				if got := f.body(t, "eu", "a"); got != "two" {
					t.Errorf("eu holds %q", got)
				}
			})
		})
	}
}

// A task that waits for its turn ends with its context.
func TestTurnIsNotAwaitedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(map[string]siteOptions{"eu": {unversioned: true}})
		ev := f.put(t, "us", "a", "one")
		f.sites["eu"].once("PUT", func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if out := f.carry(ctx, ev, "eu"); s3mesh.KindOf(out.Err) != s3mesh.KindUnreachable {
				t.Errorf("%+v", out)
			}
		})
		want(t, f.carry(t.Context(), ev, "eu"), s3mesh.ResultReplicated)
	})
}
