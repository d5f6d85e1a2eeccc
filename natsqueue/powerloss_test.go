package natsqueue_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/natsqueue"
)

// TestPowerLoss rolls the embedded server's messages back to what they were before most of the work, and keeps the
// journal: as when the power fails before the server's files were synced. Every event that was published and not
// acknowledged must come, on every link, and every letter be there.
func TestPowerLoss(t *testing.T) {
	for _, test := range []struct {
		name string
		boot bool // the machine was restarted
		// consumers keeps what the consumers remember from the end: ahead of the stream.
		consumers bool
		// torn adds to the messages that were rolled back what a torn write may leave.
		torn []byte
		// whole keeps everything: as when the process alone was killed.
		whole bool
	}{
		{"restarted", true, false, nil, false},
		{"restarted, consumers ahead", true, true, nil, false},
		{"restarted, torn", true, true, make([]byte, 5000), false},
		{"restarted, garbage", true, true, []byte(strings.Repeat("garbage ", 999)), false},
		{"disk lost and found", false, true, nil, false},
		{"killed", false, false, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) { powerLoss(t, test.boot, test.consumers, test.whole, test.torn) })
	}
}

func powerLoss(t *testing.T, boot, consumers, whole bool, torn []byte) {
	t.Helper()
	was, now := t.TempDir(), t.TempDir()
	q, err := natsqueue.Open(t.Context(), natsqueue.Config{Set: pairSet, Dir: was, AckWait: time.Second, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	put := func(from, to int) {
		for i := from; i < to; i++ {
			key := fmt.Sprint("key-", i)
			publish(t, q, key)
			want[key] = true
		}
	}
	put(0, 20)
	copyTree(t, filepath.Join(was, "jetstream"), filepath.Join(now, "jetstream"), nil)
	put(10, 60)
	sub := subscribe(t, q, pairAB)
	for i := range 30 { // so that the consumer is far ahead of the stream when that is rolled back
		d := next(t, sub)
		if i < 4 {
			if err := d.Bury(t.Context(), s3mesh.DeadLetter{Kind: s3mesh.KindTooLarge, Cause: fmt.Sprint("letter ", i)}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		ack(t, d)
	}
	replayed, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{Link: pairAB}, "", 10)
	if err != nil || len(replayed) != 4 {
		t.Fatalf("letters %v, %v", replayed, err)
	}
	if n, err := q.DeadLetters().Replay(t.Context(), replayed[0].ID); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := q.DeadLetters().Drop(t.Context(), replayed[2].ID); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	succeed(t, q, replayed[3].Event.Key)
	wantLetter(t, q)
	put(60, 100)
	copyTree(t, filepath.Join(was, "journal"), filepath.Join(now, "journal"), nil)
	closeQueue(t, q)
	if whole {
		copyTree(t, filepath.Join(was, "jetstream"), filepath.Join(now, "jetstream"), nil)
	}
	if consumers {
		copyTree(t, filepath.Join(was, "jetstream"), filepath.Join(now, "jetstream"), func(name string) bool { return name == "o.dat" })
	}
	if torn != nil {
		tear(t, filepath.Join(now, "jetstream"), torn)
	}
	if boot {
		if err := os.WriteFile(filepath.Join(now, "journal", "boot"), []byte("an earlier one"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	after, err := natsqueue.Open(t.Context(), natsqueue.Config{Set: pairSet, Dir: now, AckWait: time.Second, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeQueue(t, after) })
	wantLetter(t, after) // before its event comes once more, and succeeds
	if lost := collect(t, after, s3mesh.Link{Source: "a", Target: "c"}, want); len(lost) > 0 {
		t.Errorf("%d of %d events were lost to the link that had seen none, such as %q", len(lost), len(want), first(lost))
	}
	pending := map[string]bool{}
	for i := 60; i < 100; i++ {
		pending[fmt.Sprint("key-", i)] = true
	}
	if lost := collect(t, after, pairAB, pending); len(lost) > 0 {
		t.Errorf("%d of %d events were lost to the link that had seen others, such as %q", len(lost), len(pending), first(lost))
	}
}

// wantLetter expects a single letter, that of number 1.
func wantLetter(t *testing.T, q *natsqueue.Queue) {
	t.Helper()
	left, _, err := q.DeadLetters().List(t.Context(), s3mesh.LetterFilter{}, "", 10)
	if err != nil || len(left) != 1 || left[0].Cause != "letter 1" {
		t.Errorf("letters %v, %v; want the one that was neither replayed nor dropped nor superseded", left, err)
	}
}

// succeed has a task of the key end well, in a lane of its own.
func succeed(t *testing.T, q *natsqueue.Queue, key string) {
	t.Helper()
	if err := q.Publish(t.Context(), s3mesh.LaneLarge, s3mesh.Event{Site: "a", Target: "b", Key: key}); err != nil {
		t.Fatal(err)
	}
	sub, err := q.Subscribe(t.Context(), pairAB, s3mesh.LaneLarge, 1)
	if err != nil {
		t.Fatal(err)
	}
	ack(t, next(t, sub))
	if err := sub.Close(); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies the chosen files, or all.
func copyTree(t *testing.T, from, to string, chosen func(name string) bool) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) { // a running server's temporary file
			return nil
		}
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if chosen != nil && !chosen(entry.Name()) {
			return nil
		}
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tear adds to every file of messages, and cuts every consumer's state short.
func tear(t *testing.T, dir string, tail []byte) {
	t.Helper()
	streams := filepath.Join(dir, "$G", "streams", "*")
	states, err := filepath.Glob(filepath.Join(streams, "obs", "*", "o.dat"))
	if err != nil || len(states) == 0 {
		t.Fatal("no consumer's state", err)
	}
	for _, path := range states {
		if err := os.Truncate(path, 3); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(streams, "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of messages", err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, tail...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCleanClose leaves no journal, and nothing to recover.
func TestCleanClose(t *testing.T) {
	dir := t.TempDir()
	q, err := natsqueue.Open(context.Background(), natsqueue.Config{Set: pairSet, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, q, "a", "b")
	closeQueue(t, q)
	entries, err := os.ReadDir(filepath.Join(dir, "journal"))
	if err != nil || len(entries) > 0 {
		t.Errorf("the journal after Close: %v, %v", entries, err)
	}
}
