package redisstore_test

import (
	"os/exec"
	"syscall"
)

// endWithParent ends a process with the test program, however that ends.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
