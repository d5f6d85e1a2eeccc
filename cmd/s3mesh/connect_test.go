//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCardIsNoLink: a link in the place of the card is neither written through nor read.
func TestCardIsNoLink(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path, err := cardPath()
	if err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(t.TempDir(), "victim")
	const content = `{"admin": "http://192.0.2.1", "token": "t"}`
	write(t, victim, content)
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if client, err := lastDemo(); err == nil {
		t.Errorf("read through a link: %s", client.URL)
	}
	remove, err := leaveCard(adminCard{Admin: "http://127.0.0.1:1", Token: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != content {
		t.Errorf("what the link names holds %q, %v", got, err)
	}
	if client, err := lastDemo(); err != nil || client.Token != "mine" {
		t.Errorf("the card of the last demo: %v", err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestCardFolderIsOurs: a folder that somebody else made is refused, and so are one that others can read and a file of theirs.
func TestCardFolderIsOurs(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	path, err := cardPath()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // what is tested
		t.Fatal(err)
	}
	if _, err := cardPath(); err == nil {
		t.Error("a folder that others can read was taken")
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	const other = 54321
	write(t, path, `{"admin": "http://192.0.2.1", "token": "t"}`)
	if err := os.Chown(path, other, other); err != nil {
		t.Fatal(err)
	}
	if _, err := lastDemo(); err == nil {
		t.Error("another user's card was read")
	}
	if err := os.Chown(dir, other, other); err != nil {
		t.Fatal(err)
	}
	if _, err := leaveCard(adminCard{}); err == nil {
		t.Error("another user's folder was taken")
	}
}
