package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

const secret = "hunter2"

var (
	pairSet = s3mesh.FullMesh("pair", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "c"})
	pairAB  = s3mesh.Link{Source: "a", Target: "b"}
	quiet   = slog.New(slog.DiscardHandler)
)

// external is a NATS server as an operator would run one, with a user and a password.
type external struct {
	t       *testing.T
	options *server.Options
	server  *server.Server
}

func startExternal(t *testing.T) *external {
	t.Helper()
	e := &external{t: t, options: &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, Username: "s3mesh", Password: secret,
	}}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *external) start() {
	e.t.Helper()
	srv, err := server.NewServer(e.options)
	if err != nil {
		e.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		e.t.Fatal("the external server did not start")
	}
	e.server = srv
	if addr, ok := srv.Addr().(*net.TCPAddr); ok {
		e.options.Port = addr.Port // the same after a restart
	}
}

func (e *external) stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

func (e *external) url() string {
	return fmt.Sprintf("nats://s3mesh:%s@127.0.0.1:%d", secret, e.options.Port)
}

// jetstream returns an administrator's view of the server.
func (e *external) jetstream() jetstream.JetStream {
	e.t.Helper()
	conn, err := nats.Connect(e.url())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		e.t.Fatal(err)
	}
	return js
}

func (e *external) open(set s3mesh.ReplicaSet, own ...string) *natsqueue.Queue {
	e.t.Helper()
	return open(e.t, natsqueue.Config{Set: set, URL: e.url(), Own: own, Log: quiet})
}

func publish(t *testing.T, q *natsqueue.Queue, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: key}); err != nil {
			t.Fatal("Publish:", err)
		}
	}
}

func subscribe(t *testing.T, q *natsqueue.Queue, link s3mesh.Link) s3mesh.Subscription {
	t.Helper()
	sub, err := q.Subscribe(t.Context(), link, s3mesh.LaneLive, 4)
	if err != nil {
		t.Fatal("Subscribe:", err)
	}
	return sub
}

func next(t *testing.T, sub s3mesh.Subscription) s3mesh.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d, err := sub.Next(ctx)
	if err != nil {
		t.Fatal("Next:", err)
	}
	return d
}

func ack(t *testing.T, d s3mesh.Delivery) {
	t.Helper()
	if err := d.Ack(t.Context()); err != nil {
		t.Fatal("Ack:", err)
	}
}

// eventually fails unless check comes to return "".
func eventually(t *testing.T, check func() (problem string)) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for problem := check(); problem != ""; problem = check() {
		if time.Now().After(deadline) {
			t.Fatal(problem)
		}
		<-ticker.C
	}
}

// TestSharedServer has the owner of site a and a process of site b meet on one server: b subscribes before a's stream
// exists, two processes share the deliveries, and the stream is empty once every link has acknowledged.
func TestSharedServer(t *testing.T) {
	e := startExternal(t)
	early := e.open(pairSet, "b")
	sub := subscribe(t, early, pairAB)
	owner := e.open(pairSet, "a")
	publish(t, owner, "1")
	ack(t, next(t, sub))

	if err := sub.Close(); err != nil {
		t.Fatal("Close:", err)
	}
	publish(t, early, "2") // anyone may publish to a site, as reconcile does
	sub = subscribe(t, owner, pairAB)
	ack(t, next(t, sub))

	publish(t, owner, "2", "3") // "2" replaces what b has acknowledged and c has not
	other := subscribe(t, owner, s3mesh.Link{Source: "a", Target: "c"})
	for range 2 {
		ack(t, next(t, sub))
	}
	for range 3 {
		ack(t, next(t, other))
	}
	js := e.jetstream()
	eventually(t, func() string {
		stream, err := js.Stream(t.Context(), "pair_a")
		if err != nil {
			return err.Error()
		}
		if left := stream.CachedInfo().State.Msgs; left != 0 {
			return fmt.Sprintf("%d messages left in the stream after all were acknowledged", left)
		}
		return ""
	})
}

// TestStaleConsumers shows that a link that is no more does not keep events, and that a new one gets them.
func TestStaleConsumers(t *testing.T) {
	e := startExternal(t)
	before := e.open(pairSet)
	publish(t, before, "old")
	if _, err := before.Backlog(t.Context(), s3mesh.Link{Source: "a", Target: "c"}); err != nil {
		t.Fatal(err)
	}
	closeQueue(t, before)

	set := s3mesh.FullMesh("pair", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}, s3mesh.Site{Name: "d"})
	after := e.open(set)
	ack(t, next(t, subscribe(t, after, pairAB)))
	js := e.jetstream()
	for stream, want := range map[string][]string{
		"pair_a":   {"b_live", "b_bulk", "b_large", "b_held", "d_live", "d_bulk", "d_large", "d_held"},
		"pair_DLQ": {"a_b", "a_d", "b_a", "b_d", "d_a", "d_b", "c_a", "c_b"}, // c is nobody's: its counters stay, and keep nothing
	} {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for name := range s.ConsumerNames(t.Context()).Name() {
			got[name] = true
		}
		for _, name := range want {
			if !got[name] {
				t.Errorf("stream %s has no consumer %s", stream, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("stream %s has consumers %v, want %v", stream, got, want)
		}
	}
}

// TestConnectionLost shows that a publisher is told at once that the server is gone, and that everything goes on by itself
// when it is back.
func TestConnectionLost(t *testing.T) {
	e := startExternal(t)
	q := e.open(pairSet)
	sub := subscribe(t, q, pairAB)
	publish(t, q, "1")
	held := next(t, sub)
	e.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	event := s3mesh.Event{Site: "a", Key: "lost"}
	if err := q.Publish(ctx, s3mesh.LaneLive, event); s3mesh.KindOf(err) != s3mesh.KindUnreachable {
		t.Errorf("Publish without a server: %v, want unreachable", err)
	}
	if _, err := q.Backlog(ctx, pairAB); s3mesh.KindOf(err) != s3mesh.KindUnreachable {
		t.Errorf("Backlog without a server: %v, want unreachable", err)
	}
	if err := held.Ack(ctx); s3mesh.KindOf(err) != s3mesh.KindUnreachable {
		t.Errorf("Ack without a server: %v, want unreachable", err)
	}
	if ctx.Err() != nil {
		t.Error("the errors took until the deadline")
	}
	e.start()
	eventually(t, func() string {
		if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "a", Key: "2"}); err != nil {
			return err.Error()
		}
		return ""
	})
	if d := next(t, sub); d.Event().Key != "2" {
		t.Errorf("delivered %q, want the event published after the reconnection", d.Event().Key)
	}
}

// TestUnreadableEvent buries an event in a format of the future, whole, and lets no other wait for it.
func TestUnreadableEvent(t *testing.T) {
	e := startExternal(t)
	q := e.open(pairSet)
	js := e.jetstream()
	future := `{"v":2,"event":{"key":["k"]}}`
	for i, payload := range []string{future, "not JSON", ""} {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("pair.a.live._.%032x", i), []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, q, "good")
	sub := subscribe(t, q, pairAB)
	d := next(t, sub)
	if d.Event().Key != "good" {
		t.Fatalf("delivered %q", d.Event().Key)
	}
	ack(t, d)
	page, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{Link: pairAB}, "", 10)
	if err != nil || len(page) != 3 {
		t.Fatalf("letters %+v, %v; want 3", page, err)
	}
	for _, l := range page {
		if l.Kind != s3mesh.KindInvalid || l.Cause == "" || l.Link != pairAB {
			t.Errorf("letter %+v, want kind invalid with its cause", l)
		}
	}
	if n, err := q.DeadLetters().Replay(t.Context(), page[0].ID); n != 0 || s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("Replay of an unreadable event: %v, want invalid", err)
	}
	stream, err := js.Stream(t.Context(), "pair_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stream.GetLastMsgForSubject(t.Context(), fmt.Sprintf("pair.DLQ.a.b.%032x", 0))
	if err != nil || !strings.Contains(string(raw.Data), `"unread":"`) {
		t.Errorf("the unreadable event is not kept as it was: %s, %v", raw.Data, err)
	}
	b, err := q.Backlog(t.Context(), pairAB)
	if err != nil || b != (s3mesh.Backlog{DeadLetters: 3}) {
		t.Errorf("backlog %+v, %v; want 3 dead letters alone", b, err)
	}
}

// TestOpenRefuses shows the errors of Open, and that none holds a secret.
func TestOpenRefuses(t *testing.T) {
	e := startExternal(t)
	e.options.Password = "changed"
	dir := t.TempDir()
	open(t, natsqueue.Config{Set: pairSet, Dir: dir})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cfg  natsqueue.Config
		want s3mesh.Kind
	}{
		"nowhere":       {natsqueue.Config{Set: pairSet}, s3mesh.KindInvalid},
		"two places":    {natsqueue.Config{Set: pairSet, Dir: dir, URL: e.url()}, s3mesh.KindInvalid},
		"bad set name":  {natsqueue.Config{Set: s3mesh.ReplicaSet{Name: "A.*"}, Dir: dir}, s3mesh.KindInvalid},
		"unknown site":  {natsqueue.Config{Set: pairSet, Own: []string{"x"}, Dir: dir}, s3mesh.KindInvalid},
		"replicas":      {natsqueue.Config{Set: pairSet, Replicas: 2, URL: e.url()}, s3mesh.KindInvalid},
		"bad URL":       {natsqueue.Config{Set: pairSet, URL: "nats://u:" + secret + "@ho st:1"}, s3mesh.KindInvalid},
		"wrong port":    {natsqueue.Config{Set: pairSet, URL: "nats://u:" + secret + "@127.0.0.1:1"}, s3mesh.KindUnreachable},
		"wrong user":    {natsqueue.Config{Set: pairSet, URL: strings.Replace(e.url(), "s3mesh:", "x:", 1)}, s3mesh.KindAccessDenied},
		"in use":        {natsqueue.Config{Set: pairSet, Dir: dir}, s3mesh.KindConflict},
		"not a folder":  {natsqueue.Config{Set: pairSet, Dir: file}, s3mesh.KindInvalid},
		"no such creds": {natsqueue.Config{Set: pairSet, URL: e.url(), CredentialsFile: file + "x"}, s3mesh.KindInvalid},
	} {
		_, err := natsqueue.Open(t.Context(), test.cfg)
		var typed *s3mesh.Error
		if !errors.As(err, &typed) || typed.Kind != test.want {
			t.Errorf("%s: %v, want kind %s", name, err, test.want)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
}
