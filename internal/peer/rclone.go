package peer

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Rclone starts `rclone serve s3` on the loopback interface, over a directory that goes with the test. It has no versions.
// Without the binary the test is skipped, or fails where [RequireEnv] says so.
func Rclone(tb testing.TB) Endpoint {
	tb.Helper()
	binary, dir := find(tb, "rclone"), tb.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		tb.Fatal(err)
	}
	return serve(tb, func(ctx context.Context, endpoint Endpoint, address string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, binary, "serve", "s3", "--config", "", "--addr", address,
			"--auth-key", endpoint.AccessKey+","+endpoint.SecretKey, data)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
		return cmd
	})
}
