package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/build"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// ErrNotInstalled tells that a peer's binary was not found.
var ErrNotInstalled = errors.New("not installed")

const (
	startTimeout = 30 * time.Second
	pollInterval = 20 * time.Millisecond
	// RequireEnv is the environment variable that makes a missing peer a failure rather than a skip. CI sets it to 1.
	RequireEnv = "S3MESH_REQUIRE_PEERS"
)

// find returns the path of a peer's binary. Without one it skips tb, or fails it where peers are required.
func find(tb testing.TB, name string) string {
	tb.Helper()
	path, err := lookUp(name)
	if err == nil {
		return path
	}
	if os.Getenv(RequireEnv) == "1" {
		tb.Fatal(err)
	}
	tb.Skip(err)
	return ""
}

// lookUp returns the path of a peer's binary: from PATH, what `make tools` installed, or GOPATH/bin.
func lookUp(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	dirs := []string{filepath.Join(build.Default.GOPATH, "bin")}
	if root := moduleRoot(); root != "" {
		tools := filepath.Join(root, ".tools")
		dirs = append([]string{filepath.Join(tools, "bin"), filepath.Join(tools, "moto", "bin")}, dirs...)
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is %w: run `make tools`", name, ErrNotInstalled)
}

func moduleRoot() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		break
	}
	return ""
}

// FreeAddress returns a loopback address that nothing listens on.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// launch runs cmd and returns once healthURL answers, be it that it lets nobody in. stop kills it.
func launch(ctx context.Context, cmd *exec.Cmd, healthURL string) (stop func() error, err error) {
	output := &tail{}
	cmd.Stdout, cmd.Stderr = output, output
	name := filepath.Base(cmd.Path)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait(); close(exited) }()
	stop = func() error {
		err := cmd.Process.Kill()
		<-exited //nolint:errcheck // a killed process always ends with an error
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", name, err)
		}
		return nil
	}
	if err := awaitHealthy(ctx, healthURL, exited); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", name, err, output), stop())
	}
	return stop, nil
}

func awaitHealthy(ctx context.Context, url string, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if healthy(ctx, client, url) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("not healthy in time")
		case err := <-exited:
			return errors.Join(errors.New("ended by itself"), err)
		case <-poll.C:
		}
	}
}

func healthy(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode < http.StatusInternalServerError
}

// tail keeps the end of what a process prints.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (o *tail) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	if over := o.buf.Len() - tailSize; over > 0 {
		o.buf.Next(over)
	}
	return len(p), nil
}

func (o *tail) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// serve starts the server that command makes, and ends it with the test.
func serve(tb testing.TB, command func(ctx context.Context, endpoint Endpoint, address string) *exec.Cmd) Endpoint {
	tb.Helper()
	address, err := FreeAddress(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	endpoint := Endpoint{URL: "http://" + address, Region: "us-east-1", AccessKey: "peer-root", SecretKey: "peer-secret"}
	stop, err := launch(tb.Context(), command(context.WithoutCancel(tb.Context()), endpoint, address), endpoint.URL+"/")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := stop(); err != nil {
			tb.Error(err)
		}
	})
	return endpoint
}
