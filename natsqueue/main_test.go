package natsqueue_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also serves as the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
