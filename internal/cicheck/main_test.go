package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodRun = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p"}
{"Action":"skip","Package":"empty"}
`

const badRun = goodRun + `{"ImportPath":"broken","Action":"build-output","Output":"broken.go:1: nonsense\n"}
{"ImportPath":"broken","Action":"build-fail"}
{"Action":"fail","Package":"broken","FailedBuild":"broken"}
{"Action":"run","Package":"q","Test":"TestC"}
{"Action":"output","Package":"q","Test":"TestC","Output":"    c_test.go:9: loud\n"}
{"Action":"fail","Package":"q","Test":"TestC"}
{"Action":"fail","Package":"q"}
{"Action":"run","Package":"r","Test":"TestD"}
{"Action":"fail","Package":"r"}
`

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSummary(t *testing.T) {
	tests := []struct {
		name, required, events string
		ok                     bool
		want                   []string // each in the output, the last one as its last line
	}{
		{"all well", "p TestA # why\n\n# p TestZ\n", goodRun, true,
			[]string{"skipped: p TestB", "2 passed, 0 failed, 1 skipped"}},
		{"a required subtest", "p TestA/sub\n", goodRun, true, []string{"2 passed, 0 failed, 1 skipped"}},
		{"a required test is skipped", "p TestB\n", goodRun, false,
			[]string{"required test did not pass (skip): p TestB", "1 passed, 1 failed, 1 skipped"}},
		{"a required test is absent", "p TestZ\n", goodRun, false,
			[]string{"required test did not run: p TestZ", "1 passed, 1 failed, 1 skipped"}},
		{"part of a required test is skipped", "p TestA\n",
			goodRun + `{"Action":"skip","Package":"p","Test":"TestA/peer"}`, false,
			[]string{"part of a required test was skipped: p TestA/peer", "1 passed, 1 failed, 1 skipped"}},
		{"failures of each sort", "p TestA\n", badRun, false,
			[]string{"failed: broken", "failed: q TestC", "cut off: r TestD", "2 passed, 3 failed, 1 skipped"}},
		{"a crash outside any test", "p TestA\n", goodRun + `{"Action":"fail","Package":"s"}`, false,
			[]string{"failed: s", "2 passed, 1 failed, 1 skipped"}},
		{"nothing ran", "", `{"Action":"skip","Package":"empty"}`, false, []string{"no test ran", "0 passed, 1 failed, 0 skipped"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run([]string{"summary", write(t, tt.required), write(t, tt.events)}, nil, &out)
			if (err == nil) != tt.ok {
				t.Errorf("error %v, want success: %v", err, tt.ok)
			}
			for _, line := range tt.want {
				if !strings.Contains(out.String(), line+"\n") {
					t.Errorf("%q is not in:\n%s", line, out.String())
				}
			}
			if last := tt.want[len(tt.want)-1] + "\n"; !strings.HasSuffix(out.String(), "\n"+last) && out.String() != last {
				t.Errorf("the last line is not %q:\n%s", last, out.String())
			}
		})
	}
}

func TestSummaryRefusesAMalformedList(t *testing.T) {
	err := run([]string{"summary", write(t, "p TestA\nTestB\n"), write(t, goodRun)}, nil, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), ":2:") {
		t.Errorf("got %v, want an error that names line 2", err)
	}
}

func TestRecord(t *testing.T) {
	var out bytes.Buffer
	name := write(t, "")
	input := badRun + "not JSON\n"
	if err := run([]string{"record", name}, strings.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(copied) != input {
		t.Errorf("the copy differs from the input:\n%s", copied)
	}
	want := "ok  \tp\t0.1s\nbroken.go:1: nonsense\n    c_test.go:9: loud\nnot JSON\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestRunRefusesUnknownUses(t *testing.T) {
	for _, args := range [][]string{nil, {"record"}, {"summary", "only"}, {"licences", "x"}, {"other"}} {
		if err := run(args, strings.NewReader(""), &bytes.Buffer{}); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
