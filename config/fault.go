package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/s3mesh/s3mesh"
)

// Fault is one thing that is wrong with a file, or unwise (see [Config.Warnings]). It never holds a secret.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`           // from 1
	Column  int    `json:"column"`         // from 1, in characters
	Path    string `json:"path,omitempty"` // such as "sites[1].endpoint"; empty for the file as a whole
	Message string `json:"message"`        // what is wrong
	Remedy  string `json:"remedy"`         // what to do about it
}

// String returns "file:line:column: path: message; remedy".
func (f Fault) String() string {
	place := ""
	if f.Path != "" {
		place = f.Path + ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s; %s", f.File, f.Line, f.Column, place, f.Message, f.Remedy)
}

// Error is everything that is wrong with one file. Its kind, by s3mesh.KindOf, is s3mesh.KindInvalid.
type Error struct {
	Faults []Fault // at least one, in the order of the file
}

// Error returns a line for each fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the error's kind as an error.
func (e *Error) Unwrap() error {
	return &s3mesh.Error{Kind: s3mesh.KindInvalid, Op: "load configuration"}
}

// position is a place in the file: line and column, both from 1. The zero position is unknown.
type position struct{ line, column int }

// report collects faults and knows where in the file each path stands.
type report struct {
	file     string
	at       map[string]position // of every path that the file holds
	fromEnv  map[string]bool     // paths whose value comes from the environment, and must not be quoted
	bad      map[string]bool     // paths whose value is absent or wrong, so that nothing more is to be said about it
	tainted  map[string]bool     // the bad paths and everything around them
	faults   []Fault
	warnings []Fault
}

func newReport(file string) *report {
	return &report{
		file: file, at: map[string]position{}, fromEnv: map[string]bool{}, bad: map[string]bool{},
		tainted: map[string]bool{},
	}
}

func (r *report) has(path string) bool {
	_, ok := r.at[path]
	return ok
}

// clean reports whether the values at path and under it are free of faults so far.
func (r *report) clean(path string) bool { return !r.tainted[path] }

// spoil marks the value at path as bad.
func (r *report) spoil(path string) {
	r.bad[path] = true
	for ; path != ""; path = around(path) {
		r.tainted[path] = true
	}
	r.tainted[""] = true
}

// around returns the path of what holds the value at path.
func around(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// quote returns the value at path as a fault may show it.
func (r *report) quote(path, value string) string {
	if r.fromEnv[path] {
		return "its value"
	}
	return fmt.Sprintf("%.64q", value)
}

// addAt adds a fault at a known place.
func (r *report) addAt(pos position, path, message, remedy string) {
	r.faults = append(r.faults, r.fault(pos, path, message, remedy))
}

// unreadable adds a fault of the value at path, about which nothing else can then be said.
func (r *report) unreadable(path, message, remedy string) {
	r.spoil(path)
	r.addAt(r.find(path), path, message, remedy)
}

// invalid adds a fault of the value at path, unless that value already has one.
func (r *report) invalid(path, message, remedy string) {
	if r.clean(path) {
		r.unreadable(path, message, remedy)
	}
}

func (r *report) warn(path, message, remedy string) {
	r.warnings = append(r.warnings, r.fault(r.find(path), path, message, remedy))
}

func (r *report) fault(pos position, path, message, remedy string) Fault {
	return Fault{r.file, max(1, pos.line), max(1, pos.column), path, message, remedy}
}

// find returns the place of path, or of the nearest thing around it that the file holds.
func (r *report) find(path string) position {
	for path != "" {
		if pos, ok := r.at[path]; ok {
			return pos
		}
		path = around(path)
	}
	return r.at[""]
}

func inOrder(faults []Fault) []Fault {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return faults
}
