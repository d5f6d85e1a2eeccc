package peer

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
)

// Moto starts moto_server, which imitates Amazon Web Services, on the loopback interface. It lets everybody in. Without the
// program the test is skipped, or fails where [RequireEnv] says so.
func Moto(tb testing.TB) Endpoint {
	tb.Helper()
	program := find(tb, "moto_server")
	return serve(tb, func(ctx context.Context, _ Endpoint, address string) *exec.Cmd {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			tb.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, program, "-H", host, "-p", port)
		cmd.Env = append(os.Environ(), "HOME="+tb.TempDir())
		return cmd
	})
}
