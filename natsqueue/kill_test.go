package natsqueue_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

const (
	victimDir       = "S3MESH_TEST_VICTIM_DIR"
	victimRound     = "S3MESH_TEST_VICTIM_ROUND"
	killRounds      = 3
	killAfter       = 400 // acknowledged publishes in a round
	killPublishers  = 8
	killSubscribers = 4
	killAckEvery    = 3 // the victim acknowledges every third delivery
	killPatience    = time.Minute
)

var (
	killSet = s3mesh.FullMesh("kill", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "c"})
	killAB  = s3mesh.Link{Source: "a", Target: "b"}
	killAC  = s3mesh.Link{Source: "a", Target: "c"}
)

// victim publishes until it is killed, and says so: "+key" once a publish was acknowledged, "-key" before it acknowledges
// a delivery on the link to b.
func victim(dir string) {
	ctx := context.Background()
	q, err := natsqueue.Open(ctx, natsqueue.Config{Set: killSet, Dir: dir, AckWait: time.Second})
	must(err)
	sub, err := q.Subscribe(ctx, killAB, s3mesh.LaneLive, 8)
	must(err)
	for p := range killPublishers {
		go func() {
			for i := 0; ; i++ {
				var events []s3mesh.Event
				for j := range 1 + i%4*10 { // one at a time, and many
					events = append(events, s3mesh.Event{Site: "a", Key: fmt.Sprintf("%s/%d/%d/%d", os.Getenv(victimRound), p, i, j)})
				}
				must(q.Publish(ctx, s3mesh.LaneLive, events...))
				for _, e := range events {
					say("+", e.Key)
				}
			}
		}()
	}
	for range killSubscribers - 1 {
		go take(ctx, sub)
	}
	take(ctx, sub)
}

// take acknowledges some deliveries, and has the others come again.
func take(ctx context.Context, sub s3mesh.Subscription) {
	for i := 0; ; i++ {
		d, err := sub.Next(ctx)
		must(err)
		if i%killAckEvery != 0 {
			must(d.Retry(ctx, 2*time.Second))
			continue
		}
		say("-", d.Event().Key)
		must(d.Ack(ctx))
	}
}

func say(what, key string) {
	_, err := os.Stdout.WriteString(what + key + "\n") // one write, so that lines stay whole
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestKilled kills a publishing process with SIGKILL, several times over on the same data, and expects every event whose
// publish was acknowledged on both links, but for those acknowledged there; and that what is published afterwards arrives.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	published, acked := map[string]bool{}, map[string]bool{}
	for round := range killRounds {
		runVictim(t, dir, round, published, acked)
		t.Logf("after round %d: %d published, %d acknowledged", round, len(published), len(acked))
	}
	q := open(t, natsqueue.Config{Set: killSet, Dir: dir, AckWait: time.Second})
	for i := range 100 {
		key := fmt.Sprint("after/", i)
		if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: key}); err != nil {
			t.Fatal(err)
		}
		published[key] = true
	}
	// Nothing was acknowledged on this link.
	unseenC := collect(t, q, killAC, published)
	if len(unseenC) > 0 {
		t.Errorf("%d events were lost to the link without acknowledgements, such as %q", len(unseenC), first(unseenC))
	}
	pending := map[string]bool{}
	for key := range published {
		if !acked[key] {
			pending[key] = true
		}
	}
	if unseenB := collect(t, q, killAB, pending); len(unseenB) > 0 {
		t.Errorf("%d events were lost to the link with acknowledgements, such as %q", len(unseenB), first(unseenB))
	}
}

// runVictim runs a victim until it has published enough, kills it, and notes all it said.
func runVictim(t *testing.T, dir string, round int, published, acked map[string]bool) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), victimDir+"="+dir, victimRound+"="+fmt.Sprint(round))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if key, ok := strings.CutPrefix(line, "+"); ok {
			published[key] = true
			said++
		} else {
			acked[strings.TrimPrefix(line, "-")] = true
		}
		if said == killAfter {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || said < killAfter {
		t.Fatalf("the victim ended by itself (%v) after %d publishes", err, said)
	}
}

// collect takes and acknowledges deliveries until all of want have come, and returns those that have not.
func collect(t *testing.T, q *natsqueue.Queue, link s3mesh.Link, want map[string]bool) map[string]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), killPatience)
	defer cancel()
	sub, err := q.Subscribe(ctx, link, s3mesh.LaneLive, 64)
	if err != nil {
		t.Fatal(err)
	}
	unseen := map[string]bool{}
	for key := range want {
		unseen[key] = true
	}
	for len(unseen) > 0 {
		d, err := sub.Next(ctx)
		if err != nil {
			break
		}
		delete(unseen, d.Event().Key)
		if err := d.Ack(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Close(); err != nil {
		t.Error("Close:", err)
	}
	return unseen
}

func first(keys map[string]bool) string {
	for key := range keys {
		return key
	}
	return ""
}
