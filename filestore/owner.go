package filestore

import (
	"math/rand/v2"
	"os"
)

// owner identifies the holder of a slot: an open file of a process. A process id alone is not enough, because the
// system reuses ids.
type owner struct {
	started  uint64 // distinguishes the process from others with the same id; 0: unknown
	pid      uint32
	instance uint32 // distinguishes the files that one process has open
}

func newOwner() owner {
	pid := os.Getpid()
	started, _ := startOf(pid)
	return owner{started: started, pid: uint32(pid), instance: rand.Uint32()}
}

// runs reports whether the owner's process is still running. It sees only processes in its own namespace of ids: if two
// containers share a file, the processes of the other one seem to have ended.
func (o owner) runs() bool {
	started, runs := startOf(int(o.pid))
	return runs && started == o.started
}
