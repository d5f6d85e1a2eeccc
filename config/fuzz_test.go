package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3mesh/s3mesh/config"
)

// FuzzParse: no input panics, every fault is complete, and no value of the environment shows in an error. Variables are
// unset, set to the marker, or to one that can be a name, by the length of their name.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(config.Example())
	f.Add([]byte(minimal))
	env := func(name string) (string, bool) {
		switch len(name) % 3 {
		case 0:
			return "", false
		case 1:
			return strings.ToLower(marker), true
		default:
			return marker, true
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// What the file itself holds may be quoted.
		if strings.Contains(strings.ToLower(string(data)), strings.ToLower(marker)) {
			t.Skip()
		}
		parseFuzzed(t, data, env)
	})
}

// FuzzSecretInFile: a secret that is written into the file, whatever surrounds it on its line and follows it, does not
// show in an error either.
func FuzzSecretInFile(f *testing.F) {
	f.Add("", "", "")
	f.Add(`"`, `"`, "version: 1")
	f.Add("${", "}", "name: x")
	f.Add("{a: ", "}", "")
	f.Add("|\n", "", "")
	f.Add("!!int ", "", "sites: [")
	f.Add("*", "", "")
	f.Add("&", " x", "")
	f.Fuzz(func(t *testing.T, before, after, rest string) {
		if strings.ContainsAny(before, "\r\n") || strings.Contains(before+after+rest, "$") {
			t.Skip() // it would not be the value of that field any more
		}
		parseFuzzed(t, []byte(minimal+"    credentials:\n      static:\n        secret_key: "+before+marker+after+"\n"+rest),
			environment(map[string]string{"T": "token"}))
	})
}

func parseFuzzed(t *testing.T, data []byte, env func(string) (string, bool)) {
	t.Helper()
	c, err := config.Parse("mesh.yaml", data, env)
	if err == nil {
		if len(c.Sites) < 2 || len(c.Links) == 0 {
			t.Errorf("loaded without sites or links: %+v", c)
		}
		return
	}
	var faults *config.Error
	if !errors.As(err, &faults) {
		t.Fatalf("got %v, want a *config.Error", err)
	}
	checkFaults(t, faults)
}
