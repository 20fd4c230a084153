//go:build unix && !linux

package filestore

import (
	"errors"
	"syscall"
)

// startOf does not know when a process was started. Should another program get the id of one that died, then the slots that
// it had stay taken until that program ends.
func startOf(pid int) (started uint64, runs bool) {
	err := syscall.Kill(pid, 0)
	return 0, err == nil || errors.Is(err, syscall.EPERM)
}
