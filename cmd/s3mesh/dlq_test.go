package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/memstore"
)

// post is a process with dead letters, and a command line to ask it with.
type post struct {
	t     *testing.T
	queue *memstore.Queue
	url   string
	now   time.Time
	// replay, when set, is called before letters are replayed.
	replay func()
}

func newPost(t *testing.T) *post {
	t.Helper()
	set := s3mesh.FullMesh("photos", s3mesh.Site{Name: "us", Bucket: "b"}, s3mesh.Site{Name: "eu", Bucket: "b"})
	p := &post{t: t, queue: memstore.NewQueue(set), now: time.Now().Add(-24 * time.Hour)} // its clock is not ours
	nothing := func(s3mesh.Link) bool { return false }
	log := slog.New(slog.DiscardHandler)
	reporter := &admin.Reporter{Set: set, Queue: p.queue, Record: admin.NewRecorder(set.Links, log), Engaged: nothing,
		Away: func(string) bool { return false }, Now: func() time.Time { return p.now }}
	server := httptest.NewServer(admin.Handler(admin.Config{Token: "the-admin-token", Status: reporter.Status,
		Letters: hookedLetters{p.queue.DeadLetters(), p},
		Metrics: admin.NewMetrics(admin.MetricsConfig{Queue: p.queue, Engaged: nothing, Log: log})}))
	t.Cleanup(server.Close)
	t.Setenv("S3MESH_ADMIN_TOKEN", "the-admin-token")
	p.url = server.URL
	return p
}

type hookedLetters struct {
	s3mesh.DeadLetters
	p *post
}

func (h hookedLetters) Replay(ctx context.Context, ids ...string) (int, error) {
	n, err := h.DeadLetters.Replay(ctx, ids...)
	if h.p.replay != nil {
		h.p.replay()
	}
	return n, err
}

// bury makes a dead letter of a key, whose last attempt was some time before now.
func (p *post) bury(link s3mesh.Link, key string, kind s3mesh.Kind, ago time.Duration) {
	p.t.Helper()
	ctx := p.t.Context()
	sub, err := p.queue.Subscribe(ctx, link, s3mesh.LaneLive, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	event := s3mesh.Event{Site: link.Source, Target: link.Target, Key: key, Type: s3mesh.EventCreated,
		Name: "ObjectCreated:Put", Size: 5}
	if err := p.queue.Publish(ctx, s3mesh.LaneLive, event); err != nil {
		p.t.Fatal(err)
	}
	d, err := sub.Next(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	letter := s3mesh.DeadLetter{Link: link, Event: d.Event(), Kind: kind, Site: link.Target,
		Cause: link.Target + ": put: " + kind.String(), Remedy: kind.Remedy(), Attempts: 3,
		First: p.now.Add(-ago - time.Minute), Last: p.now.Add(-ago)}
	if err := errors.Join(d.Bury(ctx, letter), sub.Close()); err != nil {
		p.t.Fatal(err)
	}
}

// s3mesh runs a command line.
func (p *post) s3mesh(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	var out, errs bytes.Buffer
	code = run(p.t.Context(), append(args, "--admin", p.url), streams{&out, &errs})
	return code, out.String(), errs.String()
}

// ok runs a command line that must succeed.
func (p *post) ok(args ...string) string {
	p.t.Helper()
	code, stdout, stderr := p.s3mesh(args...)
	if code != exitOK {
		p.t.Fatalf("%v: exit code %d, %s", args, code, stderr)
	}
	return stdout
}

func (p *post) left() (keys []string, ids []string) {
	p.t.Helper()
	for line := range strings.Lines(p.ok("dlq", "list", "--json")) {
		var l s3mesh.DeadLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatal(err)
		}
		keys, ids = append(keys, l.Event.Key), append(ids, l.ID)
	}
	return keys, ids
}

var (
	usEU = s3mesh.Link{Source: "us", Target: "eu"}
	euUS = s3mesh.Link{Source: "eu", Target: "us"}
)

func newFilledPost(t *testing.T) *post {
	t.Helper()
	p := newPost(t)
	p.bury(usEU, "albums/a", s3mesh.KindAccessDenied, 72*time.Hour)
	p.bury(usEU, "albums/b\x1b[31m", s3mesh.KindUnstorable, 2*time.Hour)
	p.bury(euUS, "c", s3mesh.KindAccessDenied, time.Minute)
	return p
}

func TestDLQListInFull(t *testing.T) {
	out := newFilledPost(t).ok("dlq", "list")
	for _, want := range []string{`us.eu.1  us->eu  "albums/a"`, "access_denied, 3 attempts", "(3d)",
		"cause   eu: put: access_denied", "remedy  check the site's credentials", "3 dead letters\n", "us->eu  access_denied  1\n",
		"eu->us  access_denied  1\n",
		"us->eu  unstorable  1\n", "such as  us: put: access_denied", `albums/b\x1b[31m`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("a key steers the terminal")
	}
	if out := newPost(t).ok("dlq", "list"); out != "0 dead letters\n" {
		t.Errorf("of none: %q", out)
	}
}

func TestDLQListAsTable(t *testing.T) {
	p := newPost(t)
	for i := range 30 {
		p.bury(usEU, fmt.Sprintf("k/%02d", i), s3mesh.KindAccessDenied, time.Minute)
	}
	p.bury(usEU, strings.Repeat("ü", 100), s3mesh.KindLocked, 0)
	out := p.ok("dlq", "list")
	rows := regexp.MustCompile(`(?m)^us\.eu\.\d+ +us->eu +".*" +access_denied +3 +1m$`).FindAllString(out, -1)
	if len(rows) != 30 || !strings.Contains(out, "ID ") || !strings.Contains(out, `"`+strings.Repeat("ü", 60)+`"…`) {
		t.Errorf("%d rows in\n%s", len(rows), out)
	}
	if !strings.Contains(out, "us->eu  access_denied  30\n") || !strings.Contains(out, "31 dead letters\n") {
		t.Errorf("no counts in\n%s", out)
	}
	out = p.ok("dlq", "list", "--limit", "12")
	if n := strings.Count(out, "us.eu."); n != 12 || !strings.Contains(out, "12 listed, of 31 dead letters\n") ||
		!strings.Contains(out, "us->eu  access_denied  30\n") {
		t.Errorf("%d rows in\n%s", n, out)
	}
	if n := strings.Count(p.ok("dlq", "list", "--limit", "12", "--json"), "\n"); n != 12 {
		t.Errorf("%d lines of JSON", n)
	}
}

func TestDLQFilters(t *testing.T) {
	p := newFilledPost(t)
	for flags, want := range map[string]int{
		"": 3, "--link us->eu": 2, "--link eu->us": 1, "--prefix albums/": 2, "--kind access_denied": 2,
		"--kind access_denied --kind unstorable": 3, "--kind locked": 0, "--site eu": 2, "--older-than 1h": 2, "--newer-than 1h": 1,
		"--older-than 1h --newer-than 48h": 1, "--link us->eu --kind access_denied --older-than 71h": 1,
	} {
		args := append([]string{"dlq", "list", "--json"}, strings.Fields(flags)...)
		if n := strings.Count(p.ok(args...), "\n"); n != want {
			t.Errorf("%q: %d letters, want %d", flags, n, want)
		}
	}
	for flags, want := range map[string]string{
		"--link us": "source->target", "--link us->mars": "us->eu", "--site mars": "eu", "--kind denied": "access_denied",
		"--older-than -1h": "15m", "--older-than 2h --newer-than 1h": "nothing is both", "--limit -1": "--limit",
		"--older-than 3days": "3days", "--limit 1 --count": "limit",
	} {
		code, stdout, stderr := p.s3mesh(append([]string{"dlq", "list"}, strings.Fields(flags)...)...)
		if code != exitUsage || !strings.Contains(stderr, want) || stdout != "" {
			t.Errorf("%q: exit code %d, %s%s", flags, code, stdout, stderr)
		}
	}
}

func TestDLQCount(t *testing.T) {
	p := newFilledPost(t)
	out := p.ok("dlq", "list", "--count")
	if !strings.HasPrefix(out, "3 dead letters\n") ||
		!strings.Contains(out, "us->eu  unstorable  1\n  remedy   rename the object") ||
		strings.Contains(out, "albums") {
		t.Errorf("%s", out)
	}
	out = p.ok("dlq", "list", "--count", "--json", "--kind", "unstorable")
	const want = `{"link":{"source":"us","target":"eu"},"kind":"unstorable","count":1,"remedy":"rename`
	if !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("%s", out)
	}
}

func TestDLQShow(t *testing.T) {
	p := newFilledPost(t)
	out := p.ok("dlq", "show", "us.eu.1")
	for _, want := range []string{"us.eu.1", `"albums/a"`, "us->eu", "access_denied", "failed at    eu", "attempts     3",
		"created ObjectCreated:Put", "5 bytes", "remedy", "s3mesh dlq replay us.eu.1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	var letter s3mesh.DeadLetter
	err := json.Unmarshal([]byte(p.ok("dlq", "show", "us.eu.2", "--json")), &letter)
	if err != nil || letter.Kind != s3mesh.KindUnstorable {
		t.Errorf("%+v, %v", letter, err)
	}
	if code, _, stderr := p.s3mesh("dlq", "show", "us.eu.77"); code != exitFailed || !strings.Contains(stderr, "us.eu.77") {
		t.Errorf("one that is gone: %d, %s", code, stderr)
	}
}

func TestDLQReplay(t *testing.T) {
	p := newFilledPost(t)
	if out := p.ok("dlq", "replay", "us.eu.1", "us.eu.1"); out != "1 dead letter replayed\n" {
		t.Errorf("%q", out)
	}
	code, out, stderr := p.s3mesh("dlq", "replay", "us.eu.1", "us.eu.2")
	if code != exitFailed || out != "1 dead letter replayed\n" || !strings.Contains(stderr, "1 of the 2 letters") {
		t.Errorf("one of two is gone: %d, %q, %q", code, out, stderr)
	}
	if out := p.ok("dlq", "replay", "--kind", "locked", "--json"); out != `{"replayed":0,"gone":0}`+"\n" {
		t.Errorf("%q", out)
	}
	if out := p.ok("dlq", "replay", "--all"); out != "1 dead letter replayed\n" {
		t.Errorf("%q", out)
	}
	if keys, _ := p.left(); len(keys) > 0 {
		t.Errorf("left %q", keys)
	}
	b, err := p.queue.Backlog(t.Context(), usEU)
	if err != nil || b.Pending != 2 {
		t.Errorf("%+v, %v", b, err)
	}
}

// What fails again while letters are replayed is not replayed by the same command.
func TestDLQReplayEnds(t *testing.T) {
	p := newPost(t)
	const n = 2300
	for i := range n {
		p.bury(usEU, fmt.Sprintf("k/%04d", i), s3mesh.KindAccessDenied, time.Minute)
	}
	again := 0
	p.replay = func() {
		if again++; again > 5 {
			return
		}
		for i := range 100 {
			p.bury(usEU, fmt.Sprintf("again/%d/%d", again, i), s3mesh.KindAccessDenied, -time.Second)
		}
	}
	if out := p.ok("dlq", "replay", "--all"); out != fmt.Sprintf("%d dead letters replayed\n", n) {
		t.Errorf("%q", out)
	}
	if keys, _ := p.left(); len(keys) != 300 {
		t.Errorf("%d left", len(keys))
	}
}

func TestDLQDrop(t *testing.T) {
	p := newFilledPost(t)
	code, stdout, stderr := p.s3mesh("dlq", "drop", "--all")
	if code != exitUsage || !strings.Contains(stderr, "--yes") || stdout != "" {
		t.Errorf("nobody was asked: %d, %s%s", code, stdout, stderr)
	}
	if keys, _ := p.left(); len(keys) != 3 {
		t.Fatalf("left %q", keys)
	}
	if out := p.ok("dlq", "drop", "--kind", "unstorable", "-y"); out != "1 dead letter dropped\n" {
		t.Errorf("%q", out)
	}
	if out := p.ok("dlq", "drop", "us.eu.1", "--yes", "--json"); out != `{"dropped":1,"gone":0}`+"\n" {
		t.Errorf("%q", out)
	}
	if keys, _ := p.left(); strings.Join(keys, " ") != "c" {
		t.Errorf("left %q", keys)
	}
	if b, err := p.queue.Backlog(t.Context(), usEU); err != nil || b.Pending != 0 {
		t.Errorf("%+v, %v: what is dropped is not replicated", b, err)
	}
}

func TestDLQDropAsks(t *testing.T) {
	p := newFilledPost(t)
	box := letterBox{client: &admin.Client{URL: p.url, Token: "the-admin-token"}, now: p.now}
	for answer, want := range map[string]error{"y\n": nil, " YES \n": nil, "\n": errDeclined, "n\n": errDeclined,
		"yep\n": errDeclined, "y": errDeclined, "": errDeclined} {
		var out strings.Builder
		err := confirmDrop(t.Context(), newSettling(box, nil, nil), &out, strings.NewReader(answer))
		asked := out.String()
		if !errors.Is(err, want) || !strings.HasPrefix(asked, "Drop 3 dead letters? ") || !strings.HasSuffix(asked, "[y/N] ") {
			t.Errorf("%q: %v, %q", answer, err, out.String())
		}
	}
	in, out, err := os.Pipe() // nobody answers
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := confirmDrop(ctx, newSettling(box, []string{"us.eu.1"}, nil), &strings.Builder{}, in); !errors.Is(err, errDeclined) {
		t.Errorf("interrupted: %v", err)
	}
	if err := errors.Join(out.Close(), in.Close()); err != nil {
		t.Error(err)
	}
}
