package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3mesh/s3mesh/internal/peer"
)

const (
	pollInterval   = 25 * time.Millisecond
	commandTimeout = time.Minute
	// startTimeout is generous: the program is built with the race detector, and the machine may be busy.
	startTimeout = time.Minute
	stopTimeout  = 10 * time.Second // what the demo promises
)

// machine is where the processes of one test run: folders and an environment that no other test shares.
type machine struct {
	dir string
	env []string

	mu      sync.Mutex
	secrets []string
}

// newMachine returns a machine. At the end of the test nothing may run on it any more.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	tmp := filepath.Join(m.dir, "tmp")
	for _, dir := range []string{tmp, filepath.Join(m.dir, "run")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.env = []string{"HOME=" + m.dir, "TMPDIR=" + tmp, "XDG_RUNTIME_DIR=" + filepath.Join(m.dir, "run"),
		"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	t.Cleanup(func() { eventually(t, stopTimeout, "every process has ended", m.idle) })
	return m
}

// temporary returns what the processes left in their folder for temporary files.
func (m *machine) temporary(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// setenv adds to the environment of later processes. A secret may never show in what they print.
func (m *machine) setenv(name, secret string) {
	m.env = append(m.env, name+"="+secret)
	m.hide(secret)
}

// hide makes every process checked for not printing the secrets.
func (m *machine) hide(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets = append(m.secrets, secrets...)
}

// idle returns an error that names the processes that run on the machine.
func (m *machine) idle() error {
	if left := m.processes(); len(left) > 0 {
		return fmt.Errorf("left: %q", left)
	}
	return nil
}

// processes returns the command lines of what runs on the machine, whoever started it: the folder for temporary files is in
// its environment.
func (m *machine) processes() []string {
	mark := []byte("TMPDIR=" + filepath.Join(m.dir, "tmp") + "\x00")
	environs, _ := filepath.Glob("/proc/[0-9]*/environ") // the one error is a bad pattern
	var found []string
	for _, file := range environs {
		data, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(data, mark) {
			continue // gone, or not ours
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if err == nil && len(line) > 0 { // empty: dead, and not yet waited for
			found = append(found, strings.Trim(string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))), " "))
		}
	}
	return found
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Getenv(peer.BinaryEnv), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = m.env, m.dir, 5*time.Second
	return cmd
}

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// cli runs a command to its end.
func (m *machine) cli(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := m.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("s3mesh %q: %v", args, err)
	}
	r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	m.inspectOutput(t, fmt.Sprintf("s3mesh %q", args), r.stdout+r.stderr)
	return r
}

// must runs a command that has to succeed.
func (m *machine) must(t *testing.T, args ...string) result {
	t.Helper()
	r := m.cli(t, args...)
	if r.code != 0 {
		t.Fatalf("s3mesh %q: exit code %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r
}

// inspectOutput fails the test when output tells a secret or a data race.
func (m *machine) inspectOutput(t *testing.T, who, output string) {
	t.Helper()
	m.mu.Lock()
	secrets := slices.Clone(m.secrets)
	m.mu.Unlock()
	for _, secret := range secrets {
		if at := strings.Index(output, secret); at >= 0 {
			t.Errorf("%s printed the secret %q: ...%s", who, secret, output[max(0, at-200):at+len(secret)])
		}
	}
	if at := strings.Index(output, "DATA RACE"); at >= 0 {
		t.Errorf("%s has a data race:\n%s", who, output[at:min(len(output), at+4000)])
	}
}

// output keeps what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// lines returns the whole lines printed so far.
func (o *output) lines() []string {
	text := o.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(text[:end], "\n")
}

// process is a program that goes on running.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{}
}

// launch starts the program. At the end of the test it is killed, and what it printed is looked through, less the first
// public lines, which are asked to tell secrets.
func (m *machine) launch(t *testing.T, public int, args ...string) *process {
	t.Helper()
	p := &process{cmd: m.command(context.Background(), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill(t)
		lines := strings.SplitAfter(p.stdout.String(), "\n")
		shown := strings.Join(lines[min(public, len(lines)):], "") + p.stderr.String()
		m.inspectOutput(t, fmt.Sprintf("s3mesh %q", args), shown)
		if t.Failed() {
			p.keep(t, args, shown)
		}
	})
	return p
}

// keep shows the end of what the process printed, and keeps all of it in a file where the test run was asked to.
func (p *process) keep(t *testing.T, args []string, shown string) {
	t.Helper()
	const tail = 4000
	t.Logf("the end of what s3mesh %q printed:\n%s", args, shown[max(0, len(shown)-tail):])
	file := filepath.Join(t.ArtifactDir(), fmt.Sprintf("output-%d.txt", p.cmd.Process.Pid))
	if err := os.WriteFile(file, []byte(shown), 0o600); err != nil {
		t.Error(err)
	}
}

// kill ends the process as a crash would.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("kill: %v", err)
	}
	<-p.done
}

// stop asks the process to end, and returns its exit code.
func (p *process) stop(t *testing.T, with syscall.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(with); err != nil {
		t.Fatalf("signal: %v", err)
	}
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(stopTimeout):
		t.Fatalf("still running %v after %v\n%s", stopTimeout, with, p.stderr.String())
		return 0
	}
}

// firstLine waits for the first line on stdout and decodes it.
func (p *process) firstLine(t *testing.T, into any) {
	t.Helper()
	eventually(t, startTimeout, "the first line on stdout", func() error {
		if lines := p.stdout.lines(); len(lines) > 0 {
			return json.Unmarshal([]byte(lines[0]), into)
		}
		select {
		case <-p.done:
			t.Fatalf("ended with %v:\n%s", p.cmd.ProcessState, p.stderr.String())
		default:
		}
		return errors.New("nothing yet")
	})
}

// eventually waits until check returns nil.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.After(limit)
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}
