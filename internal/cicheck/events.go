package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is one line of `go test -json` (go doc test2json). Lines of a failed build have an ImportPath and no Package.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// test names a test, a fuzz target or a subtest; with an empty name, the package as a whole.
type test struct{ pkg, name string }

func (t test) String() string { return strings.TrimSpace(t.pkg + " " + t.name) }

// parent returns the top-level test that t belongs to.
func (t test) parent() test {
	name, _, _ := strings.Cut(t.name, "/")
	return test{t.pkg, name}
}

// eachEvent calls visit with every line of in and what it says. Lines that are not JSON, such as those of a build that
// fails early, are passed on as the output of nothing.
func eachEvent(in io.Reader, visit func(line []byte, e event) error) error {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				e = event{Action: "output", Output: string(line)}
			}
			if visitErr := visit(line, e); visitErr != nil {
				return visitErr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// record copies the events from in to raw and prints them on out as go test would without -v: a line per package, and the
// output of those tests that fail, when they are done. It holds the output of the tests that are running, no more.
func record(in io.Reader, raw, out io.Writer) error {
	held := make(map[test][]string)
	return eachEvent(in, func(line []byte, e event) error {
		if _, err := raw.Write(line); err != nil {
			return err
		}
		t := test{e.Package, e.Test}
		switch {
		case e.Output != "" && e.Test == "":
			return printPackage(out, e.Output)
		case e.Output != "":
			held[t] = append(held[t], e.Output)
		case e.Action == "fail":
			_, err := io.WriteString(out, strings.Join(held[t], ""))
			delete(held, t)
			return err
		case e.Action == "pass" || e.Action == "skip":
			delete(held, t)
		}
		return nil
	})
}

// printPackage leaves out the bare verdict that precedes a package's result line.
func printPackage(out io.Writer, text string) error {
	if text == "PASS\n" || text == "FAIL\n" {
		return nil
	}
	_, err := io.WriteString(out, text)
	return err
}

// tally is the last result of every test and package: "pass", "fail" or "skip". A test that started and never ended,
// because the process died, has "run".
type tally map[test]string

func (c tally) addFile(name string) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := eachEvent(file, func(_ []byte, e event) error { c.add(e); return nil }); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (c tally) add(e event) {
	switch e.Action {
	case "run", "pass", "fail", "skip":
		c[test{e.Package, e.Test}] = e.Action
	case "build-fail":
		c[test{e.ImportPath, ""}] = "fail"
	}
}
