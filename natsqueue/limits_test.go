package natsqueue

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
)

var limitsLink = s3mesh.Link{Source: "a", Target: "b"}

// logBuffer is a log that tests read.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// limited opens a queue with these limits, 0 for the default, and returns its log too.
func limited(t *testing.T, dir string, backlog, letters int64) (*Queue, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	q := mustOpen(t, Config{
		Dir: dir, MaxBacklog: backlog, MaxDeadLetters: letters, Log: slog.New(slog.NewTextHandler(log, nil)),
		Set: s3mesh.FullMesh("pair", s3mesh.Site{Name: "a"}, s3mesh.Site{Name: "b"}),
	})
	t.Cleanup(func() { mustClose(t, q) })
	return q, log
}

func mustClose(t *testing.T, q *Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Close(ctx); err != nil {
		t.Error("Close:", err)
	}
}

func publishKeys(t *testing.T, q *Queue, from, to int) {
	t.Helper()
	var events []s3mesh.Event
	for i := from; i < to; i++ {
		events = append(events, s3mesh.Event{Site: "a", Key: fmt.Sprint(i)})
	}
	if err := q.Publish(t.Context(), s3mesh.LaneLive, events...); err != nil {
		t.Fatal("Publish:", err)
	}
}

// dirty returns the marks, which must be of these sites.
func dirty(t *testing.T, q *Queue, sites ...string) []DirtyMark {
	t.Helper()
	marks, err := q.Dirty(t.Context())
	if err != nil {
		t.Fatal("Dirty:", err)
	}
	var got []string
	for _, m := range marks {
		got = append(got, m.Site)
	}
	if !slices.Equal(got, sites) {
		t.Fatalf("dirty sites %v, want %v", got, sites)
	}
	return marks
}

func clean(t *testing.T, q *Queue, m DirtyMark, want bool) {
	t.Helper()
	if ok, err := q.Clean(t.Context(), m); err != nil || ok != want {
		t.Fatalf("Clean: %v, %v; want %v", ok, err, want)
	}
}

func pending(t *testing.T, q *Queue) int64 {
	t.Helper()
	b, err := q.Backlog(t.Context(), limitsLink)
	if err != nil {
		t.Fatal(err)
	}
	return b.Pending + b.InFlight
}

// takeAll acknowledges all that is pending.
func takeAll(t *testing.T, q *Queue, lane s3mesh.Lane, n int64) {
	t.Helper()
	sub, err := q.Subscribe(t.Context(), limitsLink, lane, 64)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		d, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.Now().Add(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it never came to this:", what)
		}
		<-tick.C
	}
}

// TestBacklogLimit fills a site's backlog: what comes then is not kept, and the site is dirty until it is cleaned with its
// latest mark; when the backlog has been worked off, events are kept again.
func TestBacklogLimit(t *testing.T) {
	q, log := limited(t, t.TempDir(), 50, 0)
	publishKeys(t, q, 0, 50)
	dirty(t, q)
	publishKeys(t, q, 50, 70)
	first := dirty(t, q, "a")[0]
	if time.Since(first.At).Abs() > time.Minute {
		t.Errorf("marked at %v", first.At)
	}
	if n := pending(t, q); n != 50 {
		t.Errorf("%d events pending, want 50", n)
	}
	if err := q.Publish(t.Context(), s3mesh.LaneLive, s3mesh.Event{Site: "b", Key: "other site"}); err != nil {
		t.Fatal(err)
	}
	dirty(t, q, "a")
	waitFor(t, "the limit still holds once the server was asked", func() bool { return q.backlogs["a"].added.Load() == 0 })
	publishKeys(t, q, 70, 71) // during the reconcile
	clean(t, q, first, false)
	second := dirty(t, q, "a")[0]
	clean(t, q, second, true)
	dirty(t, q)
	clean(t, q, second, false)
	if n := pending(t, q); n != 50 {
		t.Errorf("%d events pending, want 50", n)
	}
	if n := log.count("the backlog is full"); n != 1 {
		t.Errorf("the full backlog was logged %d times", n)
	}

	takeAll(t, q, s3mesh.LaneLive, 50)
	waitFor(t, "the backlog has room again", func() bool { return log.count("the backlog has room again") == 1 })
	publishKeys(t, q, 100, 150)
	dirty(t, q)
	publishKeys(t, q, 200, 201)
	dirty(t, q, "a")
	if n := log.count("the backlog is full"); n != 2 {
		t.Errorf("the full backlog was logged %d times, want once for each time", n)
	}
	if _, err := q.Clean(t.Context(), DirtyMark{Site: "a"}); s3mesh.KindOf(err) != s3mesh.KindInvalid {
		t.Errorf("Clean of a mark that is none: %v", err)
	}
}

// TestBacklogLimitPart keeps of one call what there is room for.
func TestBacklogLimitPart(t *testing.T) {
	q, _ := limited(t, t.TempDir(), 30, 0)
	publishKeys(t, q, 0, 2500) // more than one group
	if n := pending(t, q); n != 30 {
		t.Errorf("%d events pending, want 30", n)
	}
	dirty(t, q, "a")
}

// TestDirtySurvives shows that a mark outlives a restart, that the limit holds at once after it, and that neither a mark nor
// its removal is undone when the process is killed.
func TestDirtySurvives(t *testing.T) {
	dir := t.TempDir()
	q, _ := limited(t, dir, 10, 0)
	publishKeys(t, q, 0, 11)
	mark := dirty(t, q, "a")[0]
	mustClose(t, q)

	q, _ = limited(t, dir, 10, 0)
	publishKeys(t, q, 20, 21)
	if n := pending(t, q); n != 10 {
		t.Errorf("%d events pending after the restart, want 10", n)
	}
	clean(t, q, mark, false) // set again since
	killed := asIfKilled(t, dir)
	clean(t, q, dirty(t, q, "a")[0], true)
	cleaned := asIfKilled(t, dir)
	mustClose(t, q)

	q, _ = limited(t, killed, 10, 0)
	dirty(t, q, "a")
	q, _ = limited(t, cleaned, 10, 0)
	dirty(t, q)
}

// asIfKilled returns a directory with the journal as it is now, and nothing else: the most that a power loss can take.
func asIfKilled(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, journalDir), os.DirFS(filepath.Join(dir, journalDir))); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestLetterLimit has more letters buried than may be: the last ones are not kept, and the source of their link is dirty.
func TestLetterLimit(t *testing.T) {
	q, log := limited(t, t.TempDir(), 0, 5)
	publishKeys(t, q, 0, 8)
	buryAll(t, q, 8)
	counts, err := q.DeadLetters().Count(t.Context(), s3mesh.LetterFilter{})
	if err != nil || len(counts) != 1 || counts[0].Count != 5 {
		t.Fatalf("letters %v, %v; want 5", counts, err)
	}
	if n := pending(t, q); n != 0 {
		t.Errorf("%d events pending, want none", n)
	}
	if n := log.count("too many dead letters"); n != 1 {
		t.Errorf("too many dead letters were logged %d times", n)
	}
	clean(t, q, dirty(t, q, "a")[0], true)
	page, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.DeadLetters().Drop(t.Context(), page[0].ID, page[1].ID, page[2].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "there is room again", func() bool { return log.count("room for dead letters again") == 1 })
	publishKeys(t, q, 10, 12)
	buryAll(t, q, 2)
	dirty(t, q)
}

// buryAll buries the next deliveries.
func buryAll(t *testing.T, q *Queue, n int) {
	t.Helper()
	sub, err := q.Subscribe(t.Context(), limitsLink, s3mesh.LaneLive, n)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		d, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Bury(t.Context(), s3mesh.DeadLetter{Kind: s3mesh.KindTooLarge, Last: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReplayIntoFullBacklog keeps the letters for which there is no room.
func TestReplayIntoFullBacklog(t *testing.T) {
	q, _ := limited(t, t.TempDir(), 4, 0)
	publishKeys(t, q, 0, 4)
	buryAll(t, q, 4)
	waitFor(t, "the backlog is known to be empty", func() bool { return q.backlogs["a"].room() == 4 })
	publishKeys(t, q, 10, 12)
	page, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 10)
	if err != nil || len(page) != 4 {
		t.Fatal(page, err)
	}
	n, err := q.DeadLetters().Replay(t.Context(), page[0].ID, page[1].ID, page[2].ID)
	if n != 0 || s3mesh.KindOf(err) != s3mesh.KindThrottled {
		t.Errorf("Replay of 3 where there is room for 2: %d, %v; want throttled", n, err)
	}
	if n, err := q.DeadLetters().Replay(t.Context(), page[0].ID, page[1].ID); n != 2 || err != nil {
		t.Errorf("Replay of 2 where there is room for 2: %d, %v", n, err)
	}
	left, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 10)
	if err != nil || len(left) != 2 {
		t.Errorf("%d letters left, %v; want 2", len(left), err)
	}
	dirty(t, q)
}
