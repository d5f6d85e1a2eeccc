package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// module is the part of `go list -json` that matters here.
type module struct {
	Path    string
	Dir     string
	Main    bool
	Replace *module
}

// permissive are phrases of the licences we link under, each with the licence's name.
var permissive = []struct{ phrase, name string }{
	{"apache license", "Apache-2.0"},
	{"permission is hereby granted, free of charge", "MIT"},
	{"redistribution and use in source and binary forms", "BSD"},
	{"permission to use, copy, modify, and/or distribute", "ISC"},
	{"permission to use, copy, modify, and distribute", "ISC"},
	{"mozilla public license", "MPL-2.0"},
	{"this is free and unencumbered software released into the public domain", "Unlicense"},
}

// licences reads `go list -deps -json` and returns an error that names every module under a licence we may not link.
func licences(in io.Reader, out io.Writer) error {
	modules, err := linkedModules(in)
	if err != nil {
		return err
	}
	if len(modules) == 0 {
		return errors.New("licences: go list named no module")
	}
	var faults []error
	found := make(map[string]int)
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		name, err := licenceOf(modules[path])
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
			continue
		}
		found[name]++
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, err := fmt.Fprintf(out, "%4d modules under %s\n", found[name], name); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// linkedModules returns the folder of each module, by its path.
func linkedModules(in io.Reader) (map[string]string, error) {
	dirs := make(map[string]string)
	for decoder := json.NewDecoder(in); ; {
		var pkg struct{ Module *module }
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		m := pkg.Module
		if m == nil || m.Main {
			continue
		}
		dirs[m.Path] = m.Dir
		if m.Replace != nil {
			dirs[m.Path] = m.Replace.Dir
		}
	}
}

// licenceOf names the licence of the module in dir.
func licenceOf(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !isLicenceFile(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", err
		}
		return classify(string(text))
	}
	return "", errors.New("no licence file")
}

func isLicenceFile(name string) bool {
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "UNLICENSE", "COPYING"},
		func(start string) bool { return strings.HasPrefix(strings.ToUpper(name), start) })
}

func classify(text string) (string, error) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	// Only a licence's own heading: others name the GNU licences in passing.
	if head := text[:min(len(text), 200)]; strings.Contains(head, "gnu ") && strings.Contains(head, "general public license") {
		return "", errors.New("under a GNU General Public Licence")
	}
	for _, licence := range permissive {
		if strings.Contains(text, licence.phrase) {
			return licence.name, nil
		}
	}
	return "", errors.New("licence not recognised")
}
