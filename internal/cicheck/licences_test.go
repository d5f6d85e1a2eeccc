package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func moduleWith(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLicences(t *testing.T) {
	mit := moduleWith(t, "LICENSE.md", "MIT\n\nPermission is hereby granted,\n free of charge, to any person")
	agpl := moduleWith(t, "COPYING", "   GNU AFFERO GENERAL PUBLIC LICENSE\n   Version 3, 19 November 2007")
	odd := moduleWith(t, "LICENSE", "All rights reserved.")
	none := moduleWith(t, "README.md", "Permission is hereby granted, free of charge")
	tests := []struct {
		name, list, fault string
	}{
		{"permissive", fmt.Sprintf(`{"Module":{"Path":"m","Dir":%q}} {"ImportPath":"fmt"}`, mit), ""},
		{"copyleft", fmt.Sprintf(`{"Module":{"Path":"m","Dir":%q}} {"Module":{"Path":"n","Dir":%q}}`, mit, agpl), "n: under a GNU"},
		{"copyleft behind a replacement", fmt.Sprintf(`{"Module":{"Path":"n","Replace":{"Dir":%q}}}`, agpl), "n: under a GNU"},
		{"unknown", fmt.Sprintf(`{"Module":{"Path":"m","Dir":%q}}`, odd), "m: licence not recognised"},
		{"none", fmt.Sprintf(`{"Module":{"Path":"m","Dir":%q}}`, none), "m: no licence file"},
		{"the main module is ours", `{"Module":{"Path":"m","Main":true}}`, "named no module"},
		{"go list failed", `{"Module":`, "go list"},
		{"go list said nothing", ``, "named no module"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run([]string{"licences"}, strings.NewReader(tt.list), &bytes.Buffer{})
			if tt.fault == "" && err != nil {
				t.Errorf("unexpected error: %v", err)
			}
			if tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
				t.Errorf("got %v, want an error with %q", err, tt.fault)
			}
		})
	}
}
