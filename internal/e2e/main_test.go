package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/s3mesh/s3mesh/devstore"
)

// binaryEnv names the program under test. When it is not set, the tests build it, with the race detector.
const binaryEnv = "S3MESH_BIN"

func TestMain(m *testing.M) {
	devstore.Main()
	code, err := runWithBinary(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runWithBinary(m *testing.M) (code int, err error) {
	if given := os.Getenv(binaryEnv); given != "" {
		path, err := filepath.Abs(given)
		if err == nil {
			err = os.Setenv(binaryEnv, path)
		}
		if err != nil {
			return 0, err
		}
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "s3mesh-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "s3mesh")
	build := exec.Command("go", "build", "-race", "-o", path, "github.com/s3mesh/s3mesh/cmd/s3mesh")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	if err := os.Setenv(binaryEnv, path); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
