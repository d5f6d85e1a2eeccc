// Command cicheck reads what `go test -json` writes, and the licences of what we link. It has three uses:
//
//	go test -json ./... | cicheck record FILE    copies the events to FILE and prints the run as plain text
//	cicheck summary REQUIRED FILE...             counts the results in FILEs, and fails unless every test that
//	                                             REQUIRED lists ran and passed
//	go list -deps -json PACKAGES | cicheck licences   fails when a module's licence is missing or not permissive
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

var (
	errUsage = errors.New("usage: cicheck record FILE | summary REQUIRED FILE... | licences")
	// errReported fails the run without a message, because the counts must be the last line.
	errReported = errors.New("not everything passed")
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err == nil {
		return
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(os.Stderr, "cicheck:", err)
	}
	os.Exit(1)
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch verb, args := args[0], args[1:]; {
	case verb == "record" && len(args) == 1:
		return recordTo(args[0], in, out)
	case verb == "summary" && len(args) >= 2:
		return summary(args[0], args[1:], out)
	case verb == "licences" && len(args) == 0:
		return licences(in, out)
	default:
		return errUsage
	}
}

func recordTo(name string, in io.Reader, out io.Writer) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, w.Flush(), file.Close()) }()
	return record(in, w, out)
}

func summary(requiredFile string, resultFiles []string, out io.Writer) error {
	required, err := readRequired(requiredFile)
	if err != nil {
		return err
	}
	results := make(tally)
	for _, name := range resultFiles {
		if err := results.addFile(name); err != nil {
			return err
		}
	}
	return report(results, required, out)
}
