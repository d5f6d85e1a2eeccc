package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestBrake: more deletes than the limit allows are held, across a restart, while writes go on, until the link is resumed.
func TestBrake(t *testing.T) {
	t.Parallel()
	const keys, limit = 40, 10
	m := newMesh(t)
	m.replication = fmt.Sprintf("{deletes: propagate, max_deletes_per_minute: %d}", limit)
	alpha, beta := m.addRegion(t, "alpha"), m.addRegion(t, "beta")
	conf := []string{"-c", m.file}
	p := m.run(t)
	name := func(i int) string { return fmt.Sprintf("brake/%02d", i) }
	want := map[string]string{}
	for i := range keys {
		want[name(i)] = fmt.Sprintf("body %d", i)
	}
	inParallel(t, keys, 4, func(ctx context.Context, i int) error { return alpha.put(ctx, name(i), text(want[name(i)])) })
	awaitListing(t, arrival, m.all(), "brake/", want)
	inParallel(t, keys, 4, func(ctx context.Context, i int) error {
		key := name(i)
		_, err := alpha.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &alpha.Bucket, Key: &key})
		return err
	})
	m.awaitHeld(t, keys-limit, conf...)
	checkLeft(t, beta, keys-limit)

	p.kill(t)
	m.run(t)
	alpha.mustPut(t, "brake/new", text("new")) // writes are not held
	eventually(t, arrival, "the write arrives", func() error { _, err := beta.get(t.Context(), "brake/new"); return err })
	m.awaitHeld(t, keys-limit, conf...)
	checkLeft(t, beta, keys-limit+1)
	if out := m.must(t, append([]string{"status"}, conf...)...).stdout; !strings.Contains(out, "s3mesh link resume alpha beta") {
		t.Errorf("status tells no remedy:\n%s", out)
	}

	out := m.must(t, append([]string{"link", "resume", "alpha", "beta"}, conf...)...).stdout
	if want := fmt.Sprintf("alpha->beta resumed: %d held deletes go on\n", keys-limit); out != want {
		t.Errorf("resume: %q, want %q", out, want)
	}
	awaitListing(t, arrival, m.all(), "brake/", map[string]string{"brake/new": "new"})
	m.awaitHeld(t, 0, conf...)
	m.noLetters(t, conf...)
	if out := m.must(t, append([]string{"link", "resume", "alpha->beta"}, conf...)...).stdout; !strings.Contains(out, "not held") {
		t.Errorf("resumed twice: %q", out)
	}
	if r := m.cli(t, append([]string{"link", "resume", "alpha", "mars"}, conf...)...); r.code != 2 {
		t.Errorf("no such link: exit code %d, %s", r.code, r.stderr)
	}
}

// awaitHeld waits until nothing is left to do on alpha->beta but the held deletes.
func (m *mesh) awaitHeld(t *testing.T, want int64, args ...string) {
	t.Helper()
	eventually(t, arrival, fmt.Sprintf("%d deletes are held", want), func() error {
		for _, l := range m.status(t, args...).Links {
			if l.Source == "alpha" && (l.Held != want || l.BrakeEngaged != (want > 0) || l.Pending+l.InFlight > 0) {
				return fmt.Errorf("%s, %d held, engaged %v", l, l.Held, l.BrakeEngaged)
			}
		}
		return nil
	})
}

func checkLeft(t *testing.T, s *site, want int) {
	t.Helper()
	left, err := s.list(t.Context(), "brake/")
	if err != nil || len(left) != want {
		t.Errorf("%s holds %d keys, want %d: %v", s.Name, len(left), want, err)
	}
}

// TestRefusesUnversioned: with deletes propagated, a bucket without versions ends the process as a faulty configuration does.
func TestRefusesUnversioned(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.replication = "{deletes: propagate}"
	alpha := m.addRegion(t, "alpha")
	m.addRegion(t, "beta")
	_, err := alpha.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &alpha.Bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
	if err != nil {
		t.Fatal(err)
	}
	m.write(t)
	r := m.cli(t, "run", "-c", m.file)
	if r.code != 2 || !strings.Contains(r.stderr, "site alpha: bucket photos does not keep versions") ||
		!strings.Contains(r.stderr, "put-bucket-versioning") {
		t.Errorf("exit code %d:\n%s", r.code, r.stderr)
	}
}
