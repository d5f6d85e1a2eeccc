package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/s3mesh/s3mesh/devstore"
	"github.com/s3mesh/s3mesh/internal/peer"
)

func TestMain(m *testing.M) {
	devstore.Main()
	code, err := peer.RunWithBinary(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}
