package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BinaryEnv names the s3mesh program under test. While [RunWithBinary] runs tests it is set.
const BinaryEnv = "S3MESH_BIN"

// RunWithBinary runs the tests of a package that starts the real program: the one that BinaryEnv names or, when it is not set,
// one that is built for them, with the race detector.
func RunWithBinary(m *testing.M) (code int, err error) {
	if given := os.Getenv(BinaryEnv); given != "" {
		path, err := filepath.Abs(given)
		if err == nil {
			err = os.Setenv(BinaryEnv, path)
		}
		if err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "s3mesh-bin-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "s3mesh")
	build := exec.CommandContext(context.Background(), "go", "build", "-race", "-o", path, "github.com/s3mesh/s3mesh/cmd/s3mesh")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	if err := os.Setenv(BinaryEnv, path); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
