package chaos

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/admin"
	"github.com/s3mesh/s3mesh/internal/peer"
)

const (
	startTimeout   = time.Minute // the program is built with the race detector, and the machine busy
	stopTimeout    = 30 * time.Second
	commandTimeout = time.Minute
)

// daemon is the program under test. Its methods but command are used by one goroutine at a time.
type daemon struct {
	dir, file string
	env       []string
	admin     *admin.Client
	log       *os.File
	cmd       *exec.Cmd
	done      chan struct{}
}

func (w *world) newDaemon(t *testing.T) *daemon {
	t.Helper()
	address := freeAddress(t)
	d := &daemon{dir: w.dir, file: filepath.Join(w.dir, "mesh.yaml"), log: w.file(t, "daemon.jsonl"),
		admin: &admin.Client{URL: "http://" + address, Token: rand.Text()}}
	d.env = []string{"HOME=" + w.dir, "TMPDIR=" + w.dir, "PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1 atexit_sleep_ms=0",
		"INTAKE_TOKEN=" + w.token, "ADMIN_TOKEN=" + d.admin.Token}
	for _, r := range w.regions {
		d.env = append(d.env, r.Prefix()+"AWS_ACCESS_KEY_ID="+r.config.Replicator.AccessKeyID,
			r.Prefix()+"AWS_SECRET_ACCESS_KEY="+r.config.Replicator.SecretAccessKey)
	}
	var text bytes.Buffer
	err := meshFile.Execute(&text, map[string]any{"Regions": w.regions, "Queue": filepath.Join(w.dir, "queue"),
		"Intake": w.intake, "Admin": address, "Deletes": *deletesFlag})
	if err == nil {
		err = os.WriteFile(d.file, text.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections() // which the API's client uses
	})
	return d
}

func (d *daemon) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv(peer.BinaryEnv), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = d.env, d.dir, 5*time.Second
	return cmd
}

// start runs the daemon, and returns once it is ready.
func (d *daemon) start(ctx context.Context) error {
	d.cmd = d.command(context.WithoutCancel(ctx), "run", "-c", d.file, "--json", "--log-level", "debug")
	first := &firstLine{found: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = first, d.log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	cmd, done := d.cmd, make(chan struct{})
	d.done = done
	go func() {
		_ = cmd.Wait() // the state tells
		close(done)
	}()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-first.found:
		return nil
	case <-done:
		return fmt.Errorf("the daemon did not start: %v", cmd.ProcessState)
	case <-timer.C:
		return errors.Join(errors.New("the daemon is not ready in time"), d.kill())
	}
}

// kill ends the daemon as a crash would. One that had ended by itself is an error.
func (d *daemon) kill() error {
	select {
	case <-d.done:
		return fmt.Errorf("the daemon had ended by itself: %v", d.cmd.ProcessState)
	default:
	}
	err := d.cmd.Process.Kill()
	<-d.done
	return err
}

// stop asks the daemon to end, and fails unless it ends well.
func (d *daemon) stop() error {
	if d.cmd == nil {
		return nil
	}
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-d.done:
	case <-timer.C:
		return errors.Join(errors.New("the daemon does not stop"), d.kill())
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		return errors.Join(err, fmt.Errorf("the daemon ended with %v", d.cmd.ProcessState))
	}
	return nil
}

// ask runs a command that asks the daemon, and decodes each line of its answer.
func (d *daemon) ask(ctx context.Context, line func(*json.Decoder) error, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var stderr bytes.Buffer
	cmd := d.command(ctx, append(args, "--json", "-c", d.file)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("s3mesh %q: %w\n%s", args, err, stderr.String())
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		if err := line(decoder); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// linesOf returns what the daemon logged of a key, at most limit lines.
func (d *daemon) linesOf(key string, limit int) ([]string, error) {
	f, err := os.Open(d.log.Name())
	if err != nil {
		return nil, err
	}
	var found []string
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<20); lines.Scan() && len(found) < limit; {
		var entry struct{ Key string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Key == key {
			found = append(found, lines.Text())
		}
	}
	return found, errors.Join(lines.Err(), f.Close())
}

// firstLine closes found once a whole line was written to it, and drops what follows.
type firstLine struct {
	once  sync.Once
	found chan struct{}
}

func (l *firstLine) Write(p []byte) (int, error) {
	if bytes.IndexByte(p, '\n') >= 0 {
		l.once.Do(func() { close(l.found) })
	}
	return len(p), nil
}
