package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"github.com/s3mesh/s3mesh/admin"
)

const (
	readyTimeout = 20 * time.Second
	stopTimeout  = 30 * time.Second
	// quietPoll is how often the process is asked how much it has to do, and busyPoll the same while it is more than manyLeft:
	// the answer costs it the more, the more that is.
	quietPoll = 20 * time.Millisecond
	busyPoll  = 250 * time.Millisecond
	manyLeft  = 500
	// maxLog is how much of what the program logs is kept for the report of a failure, in bytes.
	maxLog = 16 << 10
)

// meshFile is the mesh.yaml of a measurement: defaults but for what has no default, and no comparison that comes by itself, as it
// would disturb.
var meshFile = template.Must(template.New("mesh.yaml").Parse(`version: 1
name: bench
sites:
{{- range .Sites}}
  - name: {{.Name}}
    endpoint: {{.Endpoint}}
    region: {{$.Region}}
    bucket: {{$.Bucket}}
    credentials:
      static:
        access_key: ${BENCH_ACCESS_KEY}
        secret_key: ${BENCH_SECRET_KEY}
    dedicated_credentials: {{.Dedicated}}
{{- end}}
queue:
  dir: {{.Queue}}
reconcile:
  every: 0s
intake:
  listen: {{.Intake}}
  token: ${BENCH_TOKEN}
admin:
  listen: 127.0.0.1:0
  token: ${BENCH_TOKEN}
`))

type meshSite struct {
	Name, Endpoint string
	Dedicated      bool
}

// meshConfig says which program to run, on what.
type meshConfig struct {
	program string
	dir     string
	intake  string // host and port
	token   string
	stores  []*store
	through map[string]string // endpoints in place of the stores' own, by store
	env     []string
}

// mesh is a running s3mesh.
type mesh struct {
	cmd    *exec.Cmd
	exited chan error
	log    *bytes.Buffer // to be read after exited
	status *admin.Client
}

// startMesh runs `s3mesh run` and returns once it is ready.
func startMesh(ctx context.Context, cfg meshConfig) (*mesh, error) {
	file, err := cfg.write()
	if err != nil {
		return nil, err
	}
	// It is ended by stop alone, so that it ends in order.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), cfg.program, "run", "-c", file, "--json")
	m := &mesh{cmd: cmd, exited: make(chan error, 1), log: &bytes.Buffer{}}
	keys := cfg.stores[0].replicator
	m.cmd.Env = append(append(os.Environ(), "BENCH_TOKEN="+cfg.token, "BENCH_ACCESS_KEY="+keys.AccessKeyID,
		"BENCH_SECRET_KEY="+keys.SecretAccessKey), cfg.env...)
	m.cmd.Stderr = &limitedWriter{to: m.log, left: maxLog}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start s3mesh: %w", err)
	}
	hello := make(chan string, 1)
	go m.watch(stdout, hello)
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case address := <-hello:
		m.status = &admin.Client{URL: "http://" + address, Token: cfg.token}
		return m, nil
	case err := <-m.exited:
		return nil, fmt.Errorf("s3mesh ended: %w\n%s", err, m.log)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("s3mesh is not ready: %w", ctx.Err()), m.stop())
	}
}

// write writes the configuration and returns its path.
func (cfg meshConfig) write() (string, error) {
	var sites []meshSite
	for _, s := range cfg.stores {
		site := meshSite{Name: s.name, Endpoint: s.endpoint, Dedicated: s.dedicated()}
		if through := cfg.through[s.name]; through != "" {
			site.Endpoint = through
		}
		sites = append(sites, site)
	}
	var text bytes.Buffer
	err := meshFile.Execute(&text, map[string]any{"Sites": sites, "Region": regionName, "Bucket": bucketName,
		"Queue": filepath.Join(cfg.dir, "queue"), "Intake": cfg.intake})
	if err != nil {
		return "", err
	}
	file := filepath.Join(cfg.dir, "mesh.yaml")
	return file, os.WriteFile(file, text.Bytes(), 0o600)
}

// watch passes on the address of the API from the first line of stdout, and waits for the end of the process.
func (m *mesh) watch(stdout io.Reader, hello chan<- string) {
	var ready struct{ Admin string }
	if err := json.NewDecoder(stdout).Decode(&ready); err == nil {
		hello <- ready.Admin
	}
	_, err := io.Copy(io.Discard, stdout)
	m.exited <- errors.Join(m.cmd.Wait(), err)
}

// stop ends the process in an orderly way, or kills it where that takes too long, which is an error.
func (m *mesh) stop() error {
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, <-m.exited)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case err := <-m.exited:
		if err != nil {
			return fmt.Errorf("s3mesh ended: %w\n%s", err, m.log)
		}
		return nil
	case <-timer.C:
		return errors.Join(errors.New("s3mesh did not stop in time"), m.cmd.Process.Kill(), <-m.exited)
	}
}

// quiet waits until the process has nothing left to do. A retry or a dead letter is an error: the numbers would be those
// of failing.
func (m *mesh) quiet(ctx context.Context) error {
	for {
		left, err := m.left(ctx)
		if err != nil || left == 0 {
			return err
		}
		every := quietPoll
		if left > manyLeft {
			every = busyPoll
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

// left is how many events the process has yet to deal with.
func (m *mesh) left(ctx context.Context) (n int64, err error) {
	status, err := m.status.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, link := range status.Links {
		if link.Retries > 0 || link.Failed > 0 {
			return 0, fmt.Errorf("link %s: %d retries, %d dead letters: %s", link.Link, link.Retries, link.Failed, link.LastError)
		}
		n += link.Pending + link.InFlight
	}
	return n, nil
}

// limitedWriter keeps the first bytes written to it.
type limitedWriter struct {
	to   *bytes.Buffer
	left int
}

// Write implements io.Writer and never fails.
func (w *limitedWriter) Write(p []byte) (int, error) {
	kept := p[:min(len(p), w.left)]
	w.left -= len(kept)
	w.to.Write(kept)
	return len(p), nil
}
