package devstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/s3mesh/s3mesh"
)

const (
	// childVariable marks a process as a region's child. It carries no configuration.
	childVariable = "S3MESH_DEVSTORE_CHILD"
	// stopCommand on the child's standard input asks it to finish what is in flight and exit.
	stopCommand = "stop"
	// startLimit bounds a start whatever its context says: a program that does not call Main would never report.
	startLimit = time.Minute
	// stopGrace is how long Stop waits before it kills. It exceeds what the child allows its requests.
	stopGrace = 5 * time.Second
	// maxReport bounds the child's answer, in bytes.
	maxReport = 64 << 10
)

// inherited are the environment variables a child gets. It needs none; these steer the Go runtime. The rest of the
// environment may hold credentials that are no business of the child.
var inherited = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK", "GOCOVERDIR", "TMPDIR"}

// Region is a running S3 server in a process of its own. Its methods are safe for concurrent use.
type Region struct {
	site string
	addr string
	cmd  *exec.Cmd

	stdin    io.WriteCloser
	askOnce  sync.Once
	asked    atomic.Bool   // the process was told to end
	launched chan struct{} // closed once cmd.Start returned
	finished chan struct{} // closed once the process has ended
	exit     error         // valid once finished is closed
}

// Start starts a region and returns when its port answers S3 requests and its bucket exists, or with a *[s3mesh.Error]
// that says what to mend: KindInvalid for the configuration, KindConflict for a port or directory in use,
// KindUnsupported for an unsuitable filesystem.
//
// ctx bounds the start only, to a minute at most. The region ends by [Region.Stop], by [Region.Kill], or with this
// process, however this process ends. The program must call [Main] first thing in main.
func Start(ctx context.Context, cfg Config) (*Region, error) {
	r, err := start(ctx, cfg)
	if err == nil {
		return r, nil
	}
	if e := (*s3mesh.Error)(nil); errors.As(err, &e) {
		return nil, err
	}
	return nil, &s3mesh.Error{Kind: s3mesh.KindOf(err), Op: "start region", Site: cfg.Site, Err: err}
}

func start(ctx context.Context, cfg Config) (*Region, error) {
	if os.Getenv(childVariable) != "" {
		return nil, errors.New("a region's child must not start regions: call devstore.Main first thing in main")
	}
	cfg, err := complete(cfg)
	if err != nil {
		return nil, &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "start region", Site: cfg.Site, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := prepare(ctx, cfg)
	if err != nil {
		return nil, err
	}
	reports := make(chan report, 1)
	go r.run(cfg.order(), reports)
	select {
	case rep := <-reports:
		return r.accept(rep)
	case <-ctx.Done():
		r.Kill()
		return nil, ctx.Err()
	}
}

// complete fills in defaults and makes the directory absolute: the child changes its working directory.
func complete(cfg Config) (Config, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.validate(); err != nil {
		return cfg, err
	}
	dir, err := filepath.Abs(cfg.Dir)
	cfg.Dir = dir
	return cfg, err
}

func prepare(ctx context.Context, cfg Config) (*Region, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program to run: %w", err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self) // it outlives the start
	cmd.Args = []string{"s3mesh-region:" + cfg.Site}
	cmd.Env = childEnvironment()
	cmd.Stderr = &logWriter{log: cfg.Logger.With("site", cfg.Site)}
	cmd.WaitDelay = time.Second
	dieWithParent(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &Region{site: cfg.Site, cmd: cmd, stdin: stdin, launched: make(chan struct{}), finished: make(chan struct{})}, nil
}

func childEnvironment() []string {
	env := []string{childVariable + "=1"}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(inherited, name) {
			env = append(env, variable)
		}
	}
	return env
}

// run starts the child, hands over its order, passes on its report, and waits for its end.
//
// It keeps its OS thread for as long as the child lives: on Linux the kernel sends the parent-death signal when the
// *thread* that forked ends, and the Go runtime ends threads whose goroutine exits while locked to them.
func (r *Region) run(o order, reports chan<- report) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(r.finished)

	stdout, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	close(r.launched)
	if err != nil {
		r.exit = err
		reports <- report{Error: "start the child process: " + err.Error()}
		return
	}
	reports <- r.exchange(o, stdout)
	err = r.cmd.Wait()
	if err != nil || !r.asked.Load() {
		r.exit = fmt.Errorf("region %s ended: %w", r.site, exitCause(err))
	}
}

func exitCause(err error) error {
	if err == nil {
		return errors.New("nobody asked it to")
	}
	return err
}

// exchange writes the order and reads the report. The child's standard input stays open: its end is the child's end.
func (r *Region) exchange(o order, stdout io.Reader) report {
	line, err := json.Marshal(o)
	if err != nil {
		return report{Error: "encode the order: " + err.Error()}
	}
	if _, err := r.stdin.Write(append(line, '\n')); err != nil {
		return report{Error: "the child process did not take its order; does main call devstore.Main first? " + err.Error()}
	}
	var rep report
	if err := json.NewDecoder(io.LimitReader(stdout, maxReport)).Decode(&rep); err != nil {
		return report{Error: "the child process did not report; does main call devstore.Main first? " + err.Error()}
	}
	return rep
}

func (r *Region) accept(rep report) (*Region, error) {
	if rep.Addr == "" {
		r.Kill()
		return nil, &s3mesh.Error{Kind: rep.Kind, Op: "start region", Site: r.site, Err: errors.New(rep.Error)}
	}
	r.addr = rep.Addr
	return r, nil
}

// Addr returns the host and port the region listens on. As Config.Addr of a later Start, it restarts the region there.
func (r *Region) Addr() string { return r.addr }

// Endpoint returns the region's base URL, for path-style requests.
func (r *Region) Endpoint() string { return "http://" + r.addr }

// PID returns the process ID of the region.
func (r *Region) PID() int { return r.cmd.Process.Pid }

// Done is closed when the region's process has ended, for whatever reason.
func (r *Region) Done() <-chan struct{} { return r.finished }

// Err returns nil while the region runs and after it ended because it was asked to by Stop, else why it ended.
func (r *Region) Err() error {
	select {
	case <-r.finished:
		return r.exit
	default:
		return nil
	}
}

// Stop lets requests in flight finish, for 2 seconds at most, and ends the region. When it has not ended after 5
// seconds, or when ctx ends, the region is killed, and Stop returns why. Stopping a region that has ended returns how it
// ended.
func (r *Region) Stop(ctx context.Context) error {
	r.askOnce.Do(func() {
		r.asked.Store(true)
		// An error means that the child has closed its end, and so is ending already.
		_, _ = io.WriteString(r.stdin, stopCommand+"\n")
	})
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	select {
	case <-r.finished:
		return r.exit
	case <-ctx.Done():
		r.Kill()
		return fmt.Errorf("region %s was killed, as it did not stop in time: %w", r.site, ctx.Err())
	}
}

// Kill ends the region at once, as a crash would, and returns when its process is gone. What it had acknowledged is kept.
func (r *Region) Kill() {
	r.asked.Store(true)
	<-r.launched
	if r.cmd.Process != nil {
		// The one error there is says that the process has ended.
		_ = r.cmd.Process.Kill()
	}
	<-r.finished
}
