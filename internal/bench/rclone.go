package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/s3mesh/s3mesh/internal/peer"
)

// rcloneModTime is the user metadata in which rclone keeps an object's time, as it writes one: without it, every object would
// differ at every store.
const rcloneModTime = "mtime"

// nothingTransferred is the code that rclone exits with, where asked to, when it had nothing to transfer.
const nothingTransferred = 9

// rcloneTimes is what rclone takes for the same between two stores, in seconds.
type rcloneTimes struct {
	Version     string    `json:"version"`
	Start       float64   `json:"start_s"` // until it tells its version: part of all its times
	Sync        float64   `json:"sync_s"`
	Check       []float64 `json:"check_s"`
	CheckMedian float64   `json:"check_median_s"`
}

// rclone is the peer, with its defaults, and two stores as remotes.
type rclone struct {
	binary   string
	env      []string
	from, to string
}

// newRclone finds rclone: in PATH, or where `make tools` puts it. through has endpoints in place of the stores' own. Where it is
// not installed, the error is [peer.ErrNotInstalled].
func newRclone(stores []*store, through map[string]string) (*rclone, error) {
	binary, err := exec.LookPath("rclone")
	if err != nil {
		binary, err = exec.LookPath(filepath.Join(".tools", "bin", "rclone"))
	}
	if err != nil {
		return nil, fmt.Errorf("rclone is %w: run `make tools`", peer.ErrNotInstalled)
	}
	r := &rclone{binary: binary, env: os.Environ()}
	for i, s := range stores {
		endpoint := s.endpoint
		if through[s.name] != "" {
			endpoint = through[s.name]
		}
		remote := fmt.Sprintf("RCLONE_CONFIG_SITE%d_", i)
		r.env = append(r.env, remote+"TYPE=s3", remote+"PROVIDER=Other", remote+"ENDPOINT="+endpoint, remote+"REGION="+regionName,
			remote+"ACCESS_KEY_ID="+s.client.AccessKeyID, remote+"SECRET_ACCESS_KEY="+s.client.SecretAccessKey,
			remote+"FORCE_PATH_STYLE=true", remote+"NO_CHECK_BUCKET=true")
	}
	r.from, r.to = "site0:"+bucketName, "site1:"+bucketName
	return r, nil
}

// run times a command from the first store to the second, and fails where they differ.
func (r *rclone) run(ctx context.Context, command string, flags ...string) (seconds float64, err error) {
	begin := time.Now()
	_, err = r.command(ctx, append(append([]string{command, "--config", ""}, flags...), r.from, r.to)...)
	return time.Since(begin).Seconds(), err
}

// sync times `rclone sync`, and fails unless it finds nothing to transfer.
func (r *rclone) sync(ctx context.Context, flags ...string) (seconds float64, err error) {
	seconds, err = r.run(ctx, "sync", append(flags, "--error-on-no-transfer")...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, errors.New("rclone sync found something to transfer between equal stores")
	case errors.As(err, &exit) && exit.ExitCode() == nothingTransferred:
		return seconds, nil
	}
	return 0, err
}

// times takes what is measured once.
func (r *rclone) times(ctx context.Context) (*rcloneTimes, error) {
	begin := time.Now()
	version, err := r.command(ctx, "version")
	if err != nil {
		return nil, err
	}
	t := &rcloneTimes{Start: time.Since(begin).Seconds()}
	t.Version, _, _ = strings.Cut(version, "\n")
	t.Sync, err = r.sync(ctx)
	return t, err
}

func (r *rclone) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.binary, args...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rclone %s: %w\n%s", strings.Join(args, " "), err, out[:min(len(out), maxLog)])
	}
	return string(out), nil
}
