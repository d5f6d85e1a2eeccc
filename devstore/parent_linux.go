package devstore

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the child when this process dies: a second belt. The first is the child's standard
// input, which ends with this process on every system.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
