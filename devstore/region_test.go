package devstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3mesh/s3mesh"
	"github.com/s3mesh/s3mesh/devstore"
)

func TestRestartKeepsDataAndPort(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	written := put(t, connect(t, r, cfg.Client), "a/b.txt", "one")
	if aws.ToString(written.VersionId) == "" {
		t.Error("no version ID: the bucket is not versioned")
	}
	cfg.Addr = r.Addr()
	for name, end := range map[string]func(*devstore.Region) error{
		"stop": func(r *devstore.Region) error { return r.Stop(t.Context()) },
		"kill": func(r *devstore.Region) error { r.Kill(); return nil },
	} {
		if err := end(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		within(t, name, r.Done())
		cfg.Client.SecretAccessKey = "secret after " + name
		r = start(t, cfg)
		if r.Addr() != cfg.Addr {
			t.Errorf("after %s: at %s, want %s", name, r.Addr(), cfg.Addr)
		}
		if body := get(t, connect(t, r, cfg.Client), "a/b.txt", *written.VersionId); body != "one" {
			t.Errorf("after %s: body %q", name, body)
		}
	}
}

func TestErrTellsHowItEnded(t *testing.T) {
	r := start(t, config(t))
	if err := r.Err(); err != nil {
		t.Errorf("running: %v", err)
	}
	process, err := os.FindProcess(r.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil { // as somebody else would
		t.Fatal(err)
	}
	within(t, "death", r.Done())
	if r.Err() == nil || r.Stop(t.Context()) == nil {
		t.Error("a crash passes for a wanted end")
	}
	r.Kill() // of a dead region: no harm
}

func TestStopWithIdleConnectionsIsPrompt(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	c := connect(t, r, cfg.Client)
	put(t, c, "k", "v")
	silent, err := net.Dial("tcp", r.Addr()) // never sends a request
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	running := config(t)
	r := start(t, running)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*devstore.Config)
		kind   s3mesh.Kind
		says   string
	}{
		"port in use":       {func(c *devstore.Config) { c.Addr = r.Addr() }, s3mesh.KindConflict, "another port"},
		"directory in use":  {func(c *devstore.Config) { c.Dir = running.Dir }, s3mesh.KindConflict, "another directory"},
		"directory is file": {func(c *devstore.Config) { c.Dir = file }, s3mesh.KindInvalid, "choose a directory"},
		"no address":        {func(c *devstore.Config) { c.Addr = "localhost" }, s3mesh.KindInvalid, "listen address"},
		"foreign address":   {func(c *devstore.Config) { c.Addr = "192.0.2.1:0" }, s3mesh.KindInvalid, "192.0.2.1"},
		"site name":         {func(c *devstore.Config) { c.Site = "US East" }, s3mesh.KindInvalid, "name"},
		"no bucket":         {func(c *devstore.Config) { c.Bucket = "" }, s3mesh.KindInvalid, "bucket"},
		"same accounts":     {func(c *devstore.Config) { c.Replicator = c.Client }, s3mesh.KindInvalid, "different"},
		"no secret":         {func(c *devstore.Config) { c.Client.SecretAccessKey = "" }, s3mesh.KindInvalid, "incomplete"},
		"event URL":         {func(c *devstore.Config) { c.EventURL = "ftp://x" }, s3mesh.KindInvalid, "URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			test.change(&cfg)
			other, err := devstore.Start(t.Context(), cfg)
			if err == nil {
				other.Kill()
				t.Fatal("started")
			}
			if s3mesh.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v: want kind %v and %q", err, test.kind, test.says)
			}
			if strings.Contains(err.Error(), "secret\"") || strings.Contains(err.Error(), "client-secret") {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

func TestStartIsBoundedByItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := devstore.Start(ctx, config(t)); s3mesh.KindOf(err) != s3mesh.KindCanceled {
		t.Errorf("started, or failed otherwise: %v", err)
	}
}

func TestUnversioned(t *testing.T) {
	cfg := config(t)
	cfg.Unversioned = true
	c := connect(t, start(t, cfg), cfg.Client)
	if id := put(t, c, "k", "v").VersionId; aws.ToString(id) != "" {
		t.Errorf("version ID %q", *id)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	cfg := config(t)
	cfg.EventURL, cfg.EventToken = "http://127.0.0.1:9/", token
	r := start(t, cfg)
	shown := fmt.Sprintf("%v %+v %#v", cfg.Client, cfg.Client, cfg.Client)
	if text, err := json.Marshal(cfg.Client); err != nil {
		t.Error(err)
	} else {
		shown += string(text)
	}
	for _, file := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", r.PID(), file))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		shown += string(content)
	}
	if strings.Contains(shown, "secret") || strings.Contains(shown, token) {
		t.Errorf("a secret is shown: %s", shown)
	}
}

func TestBothAccountsMayWrite(t *testing.T) {
	cfg := config(t)
	r := start(t, cfg)
	put(t, connect(t, r, cfg.Replicator), "k", "by replicator")
	if body := get(t, connect(t, r, cfg.Client), "k", ""); body != "by replicator" {
		t.Errorf("body %q", body)
	}
	wrong := devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "guess"}
	if _, err := connect(t, r, wrong).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}); err == nil {
		t.Error("a wrong secret is accepted")
	}
}

// middleVariable makes the test binary start a region, say where it is, and wait to be killed.
const middleVariable = "DEVSTORE_TEST_MIDDLE"

func middleProcess() {
	dir := os.Getenv(middleVariable)
	if dir == "" {
		return
	}
	r, err := devstore.Start(context.Background(), devstore.Config{Site: "orphan", Region: "r", Dir: dir, Bucket: bucket,
		Client:     devstore.Credentials{AccessKeyID: "client", SecretAccessKey: "client-secret"},
		Replicator: devstore.Credentials{AccessKeyID: "replicator", SecretAccessKey: "replicator-secret"}})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, r.Addr())
	<-r.Done()
	os.Exit(2)
}

func TestKilledParentLeavesNoOrphan(t *testing.T) {
	middle := exec.Command(os.Args[0])
	middle.Env = append(os.Environ(), middleVariable+"="+t.TempDir())
	stdout, err := middle.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := middle.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	addr = strings.TrimSpace(addr)
	if err != nil || !listening(addr) {
		t.Errorf("no region: %q, %v", addr, err)
	}
	if err := middle.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := middle.Wait(); err == nil {
		t.Error("the middle process ended well")
	}
	for deadline := time.Now().Add(10 * time.Second); listening(addr); {
		if time.Now().After(deadline) {
			t.Fatalf("10 s after its parent was killed, the region still listens on %s", addr)
		}
	}
}

func listening(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
