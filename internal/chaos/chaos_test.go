package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// settleTime is how long everything may take to come to rest once all is healed. What a killed daemon had in hand comes again
// after 30 s; a task that failed for another reason than an absent site waits up to as long.
const settleTime = 4 * time.Minute

// TestChaos: whatever fails, and whatever notifications are lost, after one reconcile all regions hold the same, and nothing
// that was acknowledged is lost.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	seed, left := firstSeed(), duration()
	if left <= longestRound {
		round(t, seed, left)
		return
	}
	for ; left > 0 && !t.Failed(); left -= longestRound {
		roundApart(t, seed, min(left, longestRound))
		seed++
	}
}

// roundApart runs a round in a process of its own: toxiproxy never gives back what connections that a fault broke off took.
func roundApart(t *testing.T, seed uint64, length time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChaos$", "-test.v", "-test.timeout=30m",
		fmt.Sprintf("-chaos.seed=%d", seed), fmt.Sprintf("-chaos.duration=%v", length),
		fmt.Sprintf("-chaos.deletes=%v", *deletesFlag), fmt.Sprintf("-chaos.keep=%v", *keepFlag))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}

func round(t *testing.T, seed uint64, length time.Duration) {
	t.Helper()
	w := newWorld(t, seed)
	t.Logf("in %s; to do the same again: go test -race ./internal/chaos -run TestChaos -chaos.seed=%d -chaos.duration=%v "+
		"-chaos.deletes=%v", w.dir, seed, length, *deletesFlag)
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	w.torment(ctx, group)
	w.write(ctx, group)
	t.Cleanup(func() { w.history.save(t, filepath.Join(w.dir, "operations.jsonl")) })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	healed := time.Now()
	w.rest(t)
	w.lastWords(t)
	for _, r := range w.regions {
		r.tap.whole.Store(true)
	}
	w.reconcile(t)
	w.rest(t)
	t.Logf("at rest %v after all was healed", time.Since(healed).Round(time.Second))
	w.noLetters(t)
	w.compare(t)
	t.Logf("%v; %v", w.history.summary(), &w.damage)
}

// newWorld starts everything in a folder that is removed if the test passes.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3mesh-chaos-") //nolint:usetesting // it is kept when the test fails
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || *keepFlag {
			t.Logf("everything is left in %s", dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	w := &world{dir: dir, seed: seed, history: &history{}}
	w.start(t)
	return w
}
