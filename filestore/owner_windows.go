package filestore

import "syscall"

const (
	queryLimitedInformation = 0x1000
	stillActive             = 259
)

func idSpace() uint32 { return 1 }

// startOf returns when a process was started. A process that this one has no permission to inspect seems not to be
// running.
func startOf(pid int) (started uint32, runs bool) {
	process, err := syscall.OpenProcess(queryLimitedInformation, false, uint32(pid))
	if err != nil {
		return 0, false
	}
	defer func() { _ = syscall.CloseHandle(process) }()
	var code uint32
	if err := syscall.GetExitCodeProcess(process, &code); err != nil || code != stillActive {
		return 0, false
	}
	var creation, exit, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &creation, &exit, &kernel, &user); err != nil {
		return 0, false
	}
	return uint32(creation.LowDateTime), true
}
