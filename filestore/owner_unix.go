//go:build unix && !linux

package filestore

import (
	"errors"
	"syscall"
)

func idSpace() uint32 { return 1 }

// startOf cannot find out when a process was started. If another program gets the id of a dead process, the slots of
// the dead process stay taken until that program ends.
func startOf(pid int) (started uint32, runs bool) {
	err := syscall.Kill(pid, 0)
	return 0, err == nil || errors.Is(err, syscall.EPERM)
}
