package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh/internal/peer"
)

// profiler is what is added to the program for the profile.
//
//go:embed testdata/profile.go
var profiler []byte

// profileResult is where s3mesh's CPU time goes during a live run between two stores.
type profileResult struct {
	File    string  `json:"file"`
	Seconds float64 `json:"seconds"` // of the run
	// Parts is by what the work is for, Work by what the processor does. Both are shares of CPU time, the largest first.
	Parts []share `json:"parts"`
	Work  []share `json:"work"`
}

// profile builds the program with a profiler, and profiles it during a live run.
func (b *bench) profile(ctx context.Context, kind string, r *storesReport) (err error) {
	program, err := b.buildProfiled(ctx)
	if err != nil {
		return err
	}
	address, err := peer.FreeAddress(ctx)
	if err != nil {
		return err
	}
	f, err := b.newFixture(ctx, kind, 2, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.replicate(ctx, program, nil, "S3MESH_BENCH_PROFILER="+address); err != nil {
		return err
	}
	if _, err := post(ctx, "http://"+address+"/start"); err != nil {
		return err
	}
	var round liveRound
	if err := b.liveRun(ctx, f, "live/", &round); err != nil {
		return err
	}
	data, err := post(ctx, "http://"+address+"/stop")
	if err != nil {
		return err
	}
	file := filepath.Join(b.out, "live-"+kind+".pprof")
	if err := errors.Join(os.MkdirAll(b.out, 0o755), os.WriteFile(file, data, 0o600)); err != nil {
		return err
	}
	samples, err := readProfile(ctx, file)
	if err != nil {
		return err
	}
	r.Profile = &profileResult{File: filepath.Base(file), Seconds: round.Live,
		Parts: shares(samples, parts()), Work: shares(samples, works())}
	return f.halt(ctx)
}

// buildProfiled builds the program with the profiler's file beside its own.
func (b *bench) buildProfiled(ctx context.Context) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	added, overlay := filepath.Join(b.dir, "profile.go"), filepath.Join(b.dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "cmd", "s3mesh", "profile.go"): added}})
	if err != nil {
		return "", err
	}
	err = errors.Join(os.WriteFile(added, profiler, 0o600), os.WriteFile(overlay, text, 0o600))
	if err != nil {
		return "", err
	}
	program := filepath.Join(b.dir, "s3mesh-profiled")
	_, err = goCommand(ctx, "-C", root, "build", "-overlay", overlay, "-o", program, "./cmd/s3mesh")
	return program, err
}

// moduleRoot returns the project's folder, whose packages are built.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	root := strings.TrimSpace(string(out))
	if root == "" {
		return "", errors.New("start it in the project's folder: some measurements need a build of their own")
	}
	return root, nil
}

// readProfile returns the samples of a profile.
func readProfile(ctx context.Context, file string) ([]sample, error) {
	text, err := goCommand(ctx, "tool", "pprof", "-traces", "-unit", "us", file)
	if err != nil {
		return nil, err
	}
	return parseTraces(string(text))
}

// goCommand runs the go command and returns what it writes to stdout; what it writes to stderr is part of an error.
func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, errOut.String())
	}
	return out, nil
}

func post(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // only read from: nothing is lost
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, data)
	}
	return data, err
}
