package filestore

import (
	"os"
	"syscall"
)

// syncData calls fdatasync. The file never grows, so only its data must be flushed.
func syncData(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var flushed error
	err = conn.Control(func(fd uintptr) {
		for {
			if flushed = syscall.Fdatasync(int(fd)); flushed != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", flushed)
}
