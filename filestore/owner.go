package filestore

import (
	"math/rand/v2"
	"os"
)

// owner identifies the holder of a slot: an open file of a process. A process id alone is not enough, because the
// system reuses ids, and containers have ids of their own.
type owner struct {
	space    uint32 // distinguishes sets of process ids; 0: unknown
	started  uint32 // distinguishes the process from others with the same id; 0: unknown
	pid      uint32
	instance uint32 // distinguishes the files that one process has open
}

func newOwner() owner {
	pid := os.Getpid()
	started, _ := startOf(pid)
	return owner{space: idSpace(), started: started, pid: uint32(pid), instance: rand.Uint32()}
}

// sees reports whether this process can find out if the process of another owner is running.
func (o owner) sees(other owner) bool { return o.space != 0 && o.space == other.space }

// runs reports whether the owner's process is still running.
func (o owner) runs() bool {
	started, runs := startOf(int(o.pid))
	return runs && started == o.started
}
