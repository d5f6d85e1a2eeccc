//go:build !linux

package devstore

import "os/exec"

// dieWithParent does nothing here: the child ends with its standard input.
func dieWithParent(*exec.Cmd) {}
