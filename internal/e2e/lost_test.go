package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// byHand has the sites compared only when a test asks for it.
const byHand = "{every: 0s}"

// reconciled is what reconcile --json tells, as far as these tests read it.
type reconciled struct {
	Keys      int64 `json:"keys"`
	Differing int64 `json:"differing"`
}

// reconcile has the sites compared, waits until what differs is replicated, and returns what was found.
func (m *mesh) reconcile(t *testing.T, args ...string) reconciled {
	t.Helper()
	var done reconciled
	decode(t, m.must(t, append([]string{"reconcile", "-c", m.file, "--json"}, args...)...).stdout, &done)
	return done
}

// agree fails the test unless a dry run finds no difference.
func (m *mesh) agree(t *testing.T) {
	t.Helper()
	if r := m.cli(t, "reconcile", "-c", m.file, "--dry-run", "--full"); r.code != 0 {
		t.Errorf("sites differ, exit code %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestLostEvents: one notification in a hundred never arrives; after one reconcile all sites are equal.
func TestLostEvents(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	p := newTap(t, m.intake)
	m.events = p.address
	m.addMinIO(t, "minio")
	m.addRegion(t, "alpha")
	m.addRegion(t, "beta")
	m.run(t)
	sites := m.all()

	p.loseOneIn(100)
	const keys = 1500
	want := map[string]string{}
	for round := range 2 { // the second overwrites every third key, elsewhere
		inParallel(t, keys, 16, func(ctx context.Context, i int) error {
			if round == 1 && i%3 != 0 {
				return nil
			}
			return sites[(i+round)%len(sites)].put(ctx, lostKey(i), text(lostBody(i, round)))
		})
		for i := range keys {
			if round == 0 || i%3 == 0 {
				want[lostKey(i)] = lostBody(i, round)
			}
		}
		m.settled(t, time.Minute, "-c", m.file)
	}
	p.loseOneIn(0)
	if err := sameListing(t.Context(), sites, "lost/"); err == nil {
		t.Fatal("all sites are equal though notifications were lost: nothing is tested")
	}

	found := m.reconcile(t)
	if found.Keys < keys || found.Differing < 10 {
		t.Errorf("reconcile: %+v", found)
	}
	awaitListing(t, arrival, sites, "lost/", want)
	m.noLetters(t, "-c", m.file)
	m.agree(t)
	if again := m.reconcile(t); again.Differing != 0 {
		t.Errorf("the next one finds %d that differ", again.Differing)
	}
}

func lostKey(i int) string         { return fmt.Sprintf("lost/%02d/%04d", i%20, i) }
func lostBody(i, round int) string { return fmt.Sprintf("%d of round %d", i, round) }

// TestRegionDownForABurst: a region is down while 5,000 objects are written elsewhere; when it is back all become equal, and no
// dead letter is made of it.
func TestRegionDownForABurst(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	m.addMinIO(t, "minio")
	m.addRegion(t, "alpha")
	down := m.addRegion(t, "beta")
	m.run(t)
	up := m.all()[:2]

	m.stopRegion(t, down.Name)
	const keys = 5000
	want := map[string]string{}
	for i := range keys {
		want[fmt.Sprintf("burst/%04d", i)] = fmt.Sprint(i)
	}
	inParallel(t, keys, 16, func(ctx context.Context, i int) error {
		return up[i%2].put(ctx, fmt.Sprintf("burst/%04d", i), text(fmt.Sprint(i)))
	})
	awaitListing(t, time.Minute, up, "burst/", want)
	m.noLetters(t, "-c", m.file)

	m.startRegion(t, down.Name)
	awaitListing(t, 2*time.Minute, m.all(), "burst/", want)
	m.settled(t, arrival, "-c", m.file)
	m.noLetters(t, "-c", m.file)
	m.agree(t)
}

// TestDeniedPermission: a bucket policy denies a site's writes under a prefix. They become dead letters with a remedy; once the
// permission is granted they are replayed, and all sites are equal.
func TestDeniedPermission(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.comparing = byHand
	minio := m.addMinIO(t, "minio")
	alpha := m.addRegion(t, "alpha")
	beta := m.addRegion(t, "beta")
	m.takeAlerts(t)
	m.run(t)
	conf := []string{"-c", m.file}
	beta.deny(t, m.regions["beta"].Replicator.AccessKeyID, "secret/")

	const keys = 30
	want := map[string]string{}
	for i := range keys {
		want[fmt.Sprintf("secret/%02d", i)] = fmt.Sprint(i)
	}
	inParallel(t, keys, 4, func(ctx context.Context, i int) error {
		return []*site{minio, alpha}[i%2].put(ctx, fmt.Sprintf("secret/%02d", i), text(fmt.Sprint(i)))
	})
	awaitListing(t, arrival, []*site{minio, alpha}, "secret/", want)
	minio.mustPut(t, "open", text("open"))
	awaitObject(t, m.all(), "open", text("open"))
	m.settled(t, arrival, conf...)

	letters := m.letters(t, conf...)
	if len(letters) != keys {
		t.Fatalf("%d dead letters, want %d", len(letters), keys)
	}
	for _, l := range letters {
		if l.Link.Target != "beta" || l.Kind != "access_denied" || !strings.Contains(l.Remedy, "policy") || want[l.Event.Key] == "" {
			t.Fatalf("dead letter %+v", l)
		}
	}
	m.checkLetterCommands(t, letters)
	m.alerts.check(t, "minio->beta", "alpha->beta")

	beta.grant(t)
	m.must(t, append([]string{"dlq", "replay", "--kind", "access_denied", "--prefix", "secret/"}, conf...)...)
	awaitListing(t, arrival, m.all(), "secret/", want)
	m.settled(t, arrival, conf...)
	m.noLetters(t, conf...)
	m.agree(t)

	// The same again, and nobody replays them.
	beta.deny(t, m.regions["beta"].Replicator.AccessKeyID, "heals/")
	for i := range 5 {
		key := fmt.Sprintf("heals/%d", i)
		alpha.mustPut(t, key, text(key))
		awaitObject(t, []*site{minio}, key, text(key))
	}
	m.settled(t, arrival, conf...)
	if letters := m.letters(t, conf...); len(letters) != 5 {
		t.Fatalf("%d dead letters, want 5", len(letters))
	}
	beta.grant(t)
	eventually(t, 2*time.Minute, "the dead letters to be replayed by themselves", func() error {
		if n := len(m.letters(t, conf...)); n > 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
	m.settled(t, arrival, conf...)
	m.noLetters(t, conf...)
	m.agree(t)
}

// alerts takes what the webhook is sent.
type alerts struct {
	mu   sync.Mutex
	sent []sentAlert
}

type sentAlert struct {
	Alert  string                          `json:"alert"`
	Set    string                          `json:"set"`
	Link   struct{ Source, Target string } `json:"link"`
	Count  int64                           `json:"count"`
	Kind   string                          `json:"kind"`
	Cause  string                          `json:"cause"`
	Remedy string                          `json:"remedy"`
	Key    string                          `json:"key"`
}

// takeAlerts has the mesh tell its alerts to a server of this test.
func (m *mesh) takeAlerts(t *testing.T) {
	t.Helper()
	m.alerts = &alerts{}
	server := httptest.NewServer(m.alerts)
	t.Cleanup(server.Close)
	m.setenv("ALERT_URL", server.URL+"/hook/"+rand.Text())
}

// ServeHTTP takes an alert.
func (a *alerts) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var sent sentAlert
	if err := json.NewDecoder(req.Body).Decode(&sent); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, sent)
}

// check fails the test unless there came exactly one alert of dead letters for each of the links.
func (a *alerts) check(t *testing.T, links ...string) {
	t.Helper()
	eventually(t, arrival, "an alert for each link", func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		told := map[string]int{}
		for _, s := range a.sent {
			told[s.Link.Source+"->"+s.Link.Target]++
			if s.Alert != "dead_letters" || s.Set != "e2e" || s.Count < 1 || s.Kind != "access_denied" || s.Cause == "" ||
				!strings.Contains(s.Remedy, "policy") || s.Key == "" {
				t.Fatalf("alert %+v", s)
			}
		}
		for _, link := range links {
			if told[link] != 1 || len(told) != len(links) {
				return fmt.Errorf("%v", told)
			}
		}
		return nil
	})
}

// checkLetterCommands tries the filters, and what is printed.
func (m *mesh) checkLetterCommands(t *testing.T, letters []letter) {
	t.Helper()
	conf := []string{"-c", m.file}
	ofAlpha := m.letters(t, append(conf, "--link", "alpha->beta", "--prefix", "secret/1")...)
	if len(ofAlpha) != 5 {
		t.Errorf("%d dead letters of alpha->beta under secret/1, want 5", len(ofAlpha))
	}
	if none := m.letters(t, append(conf, "--kind", "too_large")...); len(none) != 0 {
		t.Errorf("too large: %+v", none)
	}
	shown := m.must(t, "dlq", "show", "-c", m.file, letters[0].ID).stdout
	if !strings.Contains(shown, letters[0].Remedy) || !strings.Contains(shown, letters[0].Cause) {
		t.Errorf("dlq show:\n%s", shown)
	}
	if refused := m.cli(t, "dlq", "drop", "-c", m.file, "--all"); refused.code != 2 {
		t.Errorf("dlq drop --all without a terminal or --yes: exit code %d", refused.code)
	}
}

// deny has a bucket policy that denies a user's writes under a prefix, and nothing else.
func (s *site) deny(t *testing.T, user, prefix string) {
	t.Helper()
	bucket := "arn:aws:s3:::" + s.Bucket
	principal := map[string][]string{"AWS": {user}}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []map[string]any{
		{"Effect": "Allow", "Principal": principal, "Action": "s3:*", "Resource": []string{bucket, bucket + "/*"}},
		{"Effect": "Deny", "Principal": principal, "Action": "s3:PutObject", "Resource": bucket + "/" + prefix + "*"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(policy)
	if _, err := s.s3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &s.Bucket, Policy: &text}); err != nil {
		t.Fatal(err)
	}
}

// grant removes the bucket policy.
func (s *site) grant(t *testing.T) {
	t.Helper()
	if _, err := s.s3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: &s.Bucket}); err != nil {
		t.Fatal(err)
	}
}
