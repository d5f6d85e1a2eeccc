package replicate_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/memstore"
	"github.com/s3mesh/s3mesh/replicate"
)

// Without versions nothing shows that a replica replaced a later one with the same bytes: the tasks of a key take turns, on
// whatever links they come.
func TestTasksOfAKeyTakeTurns(t *testing.T) {
	for name, turns := range map[string]*replicate.Turns{"in turn": {}, "at once": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(map[string]siteOptions{"eu": {unversioned: true}})
				queue := memstore.NewQueue(f.set)
				earlier := f.put(t, "us", "a", "one")
				f.clock.advance(10 * time.Second)
				later := f.put(t, "ap", "a", "two")
				looked := 0
				f.sites["eu"].once("PUT", func() {
					f.sites["ap"].takeCounts()
					publish(t, queue, later)
					synctest.Wait()
					looked = len(f.sites["ap"].takeCounts())
				})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 2)
				for _, source := range []string{"us", "ap"} {
					w := replicate.NewWorker(replicate.WorkerConfig{Link: s3mesh.Link{Source: source, Target: "eu"}, Lane: s3mesh.LaneLive,
						Queue: queue, Replicator: f.engines["eu"], Gate: replicate.NewGate("ap", "eu", "us"), Turns: turns, Concurrency: 2,
						Attempts: 3, Observe: func(s3mesh.Outcome) {}, Log: slog.New(slog.DiscardHandler)})
					go func() { ended <- w.Run(ctx) }()
				}
				publish(t, queue, earlier)
				pass(time.Minute)
				if (looked > 0) == (turns != nil) {
					t.Errorf("the second task sent %d requests while the first one wrote", looked)
				}
				if got := f.body(t, "eu", "a"); got != "two" {
					t.Errorf("eu holds %q", got)
				}
				cancel()
				for range 2 {
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

func publish(t *testing.T, queue *memstore.Queue, ev s3mesh.Event) {
	t.Helper()
	if err := queue.Publish(t.Context(), s3mesh.LaneLive, ev); err != nil {
		t.Error(err)
	}
}
