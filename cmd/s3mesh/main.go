// Command s3mesh keeps S3 buckets in many regions, clouds and products identical while every one of them stays writable.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/s3mesh/s3mesh/devstore"
)

// version is set by the linker.
var version = "dev"

func main() {
	devstore.Main()
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup, a terminal that closes ends nothing
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := run(ctx, os.Args[1:], streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
