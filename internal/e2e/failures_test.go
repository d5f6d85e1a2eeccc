package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestWrongCredentials: what cannot be written for want of permission becomes dead letters that tell what to do; with the
// credentials mended, replaying them does the work, and they are gone.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	alpha := m.addRegion(t, "alpha")
	m.addRegion(t, "beta")
	m.addRegion(t, "gamma")
	conf := []string{"-c", m.file}
	good := slices.Clone(m.env)
	m.setenv("BETA_SECRET", "a-wrong-secret") // of two, the last counts
	p := m.run(t)

	const keys = 20
	want := map[string]string{}
	for i := range keys {
		want[fmt.Sprintf("denied/%02d", i)] = fmt.Sprintf("body %d", i)
	}
	inParallel(t, keys, 4, func(ctx context.Context, i int) error {
		return alpha.put(ctx, fmt.Sprintf("denied/%02d", i), text(fmt.Sprintf("body %d", i)))
	})
	awaitListing(t, arrival, []*site{alpha, m.sites[2].site}, "denied/", want)
	m.settled(t, arrival, conf...)
	letters := m.letters(t, conf...)
	if len(letters) != keys {
		t.Fatalf("%d dead letters, want %d", len(letters), keys)
	}
	for _, l := range letters {
		checkDenied(t, l, want)
	}
	checkLetterText(t, m, letters[0])
	checkReplayFailsAgain(t, m, letters[0])

	p.kill(t)
	m.env = good
	m.run(t)
	// Some may be gone already: a task that is delivered again after a kill, and ends well, does away with the letter of its key.
	var done struct{ Replayed, Gone int }
	decode(t, m.must(t, append([]string{"dlq", "replay", "--all", "--json"}, conf...)...).stdout, &done)
	t.Logf("replay: %+v", done)
	awaitListing(t, arrival, m.all(), "denied/", want)
	m.settled(t, arrival, conf...)
	m.noLetters(t, conf...)
}

// checkDenied: the letter tells of a key of want what is wrong on alpha->beta, when, and what to do.
func checkDenied(t *testing.T, l letter, want map[string]string) {
	t.Helper()
	if l.Link.Source != "alpha" || l.Link.Target != "beta" || l.Kind != "access_denied" || want[l.Event.Key] == "" ||
		!strings.Contains(l.Remedy, "credentials") || l.Cause == "" || l.Attempts != 1 || l.ID == "" ||
		l.First.IsZero() || l.Last.Before(l.First) {
		t.Fatalf("dead letter %+v", l)
	}
}

func checkLetterText(t *testing.T, m *mesh, l letter) {
	t.Helper()
	out := m.must(t, "dlq", "list", "-c", m.file, "--link", "alpha->beta").stdout
	if !strings.Contains(out, l.Cause) || !strings.Contains(out, l.Remedy) || !strings.Contains(out, l.Event.Key) {
		t.Errorf("dlq list does not show %+v:\n%s", l, out)
	}
	if none := m.letters(t, "-c", m.file, "--link", "beta->alpha"); len(none) > 0 {
		t.Errorf("another link's letters: %+v", none)
	}
}

// checkReplayFailsAgain: a letter that is replayed with nothing mended is a letter again, and the only one of its key.
func checkReplayFailsAgain(t *testing.T, m *mesh, l letter) {
	t.Helper()
	conf := []string{"-c", m.file}
	before := len(m.letters(t, conf...))
	m.must(t, append([]string{"dlq", "replay", l.ID}, conf...)...)
	eventually(t, arrival, "the letter is back", func() error {
		letters := m.letters(t, conf...)
		for _, now := range letters {
			if now.Event.Key == l.Event.Key && now.Last.After(l.Last) && len(letters) == before {
				return nil
			}
		}
		return fmt.Errorf("%d letters", len(letters))
	})
	m.settled(t, arrival, conf...)
	if r := m.cli(t, append([]string{"dlq", "replay", "no-such-letter"}, conf...)...); r.code == 0 {
		t.Errorf("replaying a letter that is not there: exit code 0, %s", r.stdout)
	}
}
