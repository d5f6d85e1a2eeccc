package devstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/versity/versitygw/backend/meta"

	"github.com/s3mesh/s3mesh"
)

// TestEndOfInputEndsChild starts a child without the kernel's parent-death signal: the lifeline must do alone.
func TestEndOfInputEndsChild(t *testing.T) {
	cfg, err := complete(Config{Site: "s", Region: "r", Dir: t.TempDir(), Bucket: "photos",
		Client: Credentials{"client", "client-secret"}, Replicator: Credentials{"replicator", "replicator-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := prepare(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.SysProcAttr = nil
	reports := make(chan report, 1)
	go r.run(cfg.order(), reports)
	if rep := <-reports; rep.Addr == "" {
		t.Fatal(rep.Error)
	}
	if err := r.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.finished:
	case <-time.After(10 * time.Second):
		r.Kill()
		t.Fatal("the child outlives its input")
	}
	var exit *exec.ExitError
	if !errors.As(r.Err(), &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", r.Err())
	}
}

func TestChildMustNotStartRegions(t *testing.T) {
	t.Setenv(childVariable, "1")
	if _, err := Start(t.Context(), Config{Site: "s"}); err == nil || !strings.Contains(err.Error(), "devstore.Main") {
		t.Errorf("got %v", err)
	}
}

type failingStorer struct {
	meta.MetadataStorer
	err error
}

func (s failingStorer) StoreAttribute(*os.File, string, string, string, []byte) error { return s.err }

func TestFilesystemWithoutAttributes(t *testing.T) {
	dir := t.TempDir()
	if err := probeAttributes(dir, attributes{}); err != nil {
		t.Errorf("here: %v", err)
	}
	err := probeAttributes(dir, failingStorer{err: syscall.ENOTSUP})
	if s3mesh.KindOf(err) != s3mesh.KindUnsupported || !strings.Contains(err.Error(), dir) ||
		!strings.Contains(err.Error(), "ext4") {
		t.Errorf("without attributes: %v", err)
	}
	if err := probeAttributes(dir, failingStorer{err: syscall.ENOSPC}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestLogLinesKeepTheirLevel(t *testing.T) {
	var out bytes.Buffer
	w := &logWriter{log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	var child bytes.Buffer
	slog.New(slog.NewJSONHandler(&child, nil)).Error("event lost", "error", "refused")
	child.WriteString("plain text\n\n" + strings.Repeat("x", 3*maxLogLine) + "\nunfinished")
	for _, b := range child.Bytes() { // in the smallest of pieces
		if _, err := w.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	type line struct{ Level, Msg, Error, Line string }
	var got []line
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var l line
		if err := decoder.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if len(got) != 3 || got[0] != (line{"ERROR", "event lost", "refused", ""}) ||
		got[1] != (line{"DEBUG", "region says", "", "plain text"}) || len(got[2].Line) != maxLogLine {
		t.Errorf("logged %.300v", got)
	}
}

func TestSequencerGrows(t *testing.T) {
	var s sequencer
	now := time.Now()
	last := s.next(now)
	for _, at := range []time.Time{now, now.Add(-time.Hour), now.Add(time.Hour), now} {
		next := s.next(at)
		if next <= last || len(next) != len(last) {
			t.Errorf("%s after %s", next, last)
		}
		last = next
	}
}
