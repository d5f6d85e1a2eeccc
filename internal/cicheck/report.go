package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// readRequired reads a list of "package test" lines; '#' starts a comment.
func readRequired(name string) (_ []test, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return parseRequired(name, file)
}

func parseRequired(name string, in io.Reader) ([]test, error) {
	var required []test
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		switch fields := strings.Fields(text); len(fields) {
		case 0:
		case 2:
			required = append(required, test{fields[0], fields[1]})
		default:
			return nil, fmt.Errorf("%s:%d: want a package and a test, got %q", name, n, text)
		}
	}
	return required, lines.Err()
}

// counts is how many tests ended how. Subtests are part of their test and are not counted; a package counts only when it
// failed by itself, in its build, its TestMain or a crash.
type counts struct{ passed, failed, skipped int }

func (c tally) counts() counts {
	var n counts
	for t, result := range c {
		switch {
		case t.name == "" && (result != "fail" || c.explains(t.pkg)), t != t.parent():
		case result == "pass":
			n.passed++
		case result == "skip":
			n.skipped++
		default:
			n.failed++
		}
	}
	return n
}

// explains reports whether a test of pkg failed, or was cut off, which is why the package failed.
func (c tally) explains(pkg string) bool {
	for t, result := range c {
		if t.pkg == pkg && t.name != "" && (result == "fail" || result == "run") {
			return true
		}
	}
	return false
}

// missing describes each required test that did not run and pass. A subtest that was skipped counts as its test skipped.
func (c tally) missing(required []test) []string {
	var faults []string
	for _, want := range required {
		result, ran := c[want]
		switch {
		case !ran:
			faults = append(faults, fmt.Sprintf("required test did not run: %v", want))
		case result != "pass":
			faults = append(faults, fmt.Sprintf("required test did not pass (%s): %v", result, want))
		}
		for _, t := range c.skippedUnder(want) {
			faults = append(faults, fmt.Sprintf("part of a required test was skipped: %v", t))
		}
	}
	return faults
}

func (c tally) skippedUnder(want test) []test {
	var skipped []test
	for t, result := range c {
		if result == "skip" && t.pkg == want.pkg && strings.HasPrefix(t.name, want.name+"/") {
			skipped = append(skipped, t)
		}
	}
	slices.SortFunc(skipped, byName)
	return skipped
}

func byName(a, b test) int { return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name)) }

// report prints what failed, what was skipped and which required tests are missing, and the counts alone on the last
// line. The check of the required tests counts as a test itself, so that the last line never hides its failure.
func report(c tally, required []test, out io.Writer) error {
	n, missing := c.counts(), c.missing(required)
	if n.passed+n.failed == 0 {
		missing = append(missing, "no test ran")
	}
	if len(missing) == 0 {
		n.passed++
	} else {
		n.failed++
	}
	w := bufio.NewWriter(out)
	for _, t := range slices.SortedFunc(maps.Keys(c), byName) {
		if label := c.label(t); label != "" {
			fmt.Fprintf(w, "%s: %v\n", label, t)
		}
	}
	for _, fault := range missing {
		fmt.Fprintln(w, fault)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", n.passed, n.failed, n.skipped)
	if err := w.Flush(); err != nil {
		return err
	}
	if n.failed > 0 {
		return errReported
	}
	return nil
}

// label says what is to be told about t, if anything.
func (c tally) label(t test) string {
	switch result := c[t]; {
	case result == "run":
		return "cut off"
	case result == "fail":
		return "failed"
	case result == "skip" && t.name != "":
		return "skipped"
	default:
		return ""
	}
}
