// Package archtest holds no code but a test: the import directions of the project, checked from the sources, so that
// breaking one fails every test run. .golangci.yml states the same rules for editors.
package archtest
