package peer

import (
	"bytes"
	"context"
	"errors"
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

const (
	startTimeout = 30 * time.Second
	pollInterval = 20 * time.Millisecond
	// RequireEnv is the environment variable that makes a missing peer a failure rather than a skip. CI sets it to 1.
	RequireEnv = "S3MESH_REQUIRE_PEERS"
)

// find returns the path of a peer's binary: from PATH, the module's .tools/bin, or GOPATH/bin. Without one it skips t, or
// fails it where peers are required.
func find(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	dirs := []string{filepath.Join(build.Default.GOPATH, "bin")}
	if root := moduleRoot(); root != "" {
		dirs = append([]string{filepath.Join(root, ".tools", "bin")}, dirs...)
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s is not installed: run `make tools`", name)
	}
	t.Skipf("%s is not installed: run `make tools`", name)
	return ""
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

// freeAddress returns a loopback address that nothing listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start runs cmd until the end of t, and returns once healthURL answers 200.
func start(t testing.TB, cmd *exec.Cmd, healthURL string) {
	t.Helper()
	output := &tail{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", filepath.Base(cmd.Path), err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("kill %s: %v", filepath.Base(cmd.Path), err)
		}
		<-exited
	})
	if err := awaitHealthy(healthURL, exited); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, output)
	}
}

func awaitHealthy(url string, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
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
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
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
