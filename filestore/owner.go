package filestore

import (
	"math/rand/v2"
	"os"
)

// owner is who took a slot: an opened file of a process. A process id alone does not do, because the system gives it out
// again.
type owner struct {
	started  uint64 // tells the process from others that had or will have its id; 0: not known
	pid      uint32
	instance uint32 // tells the files from each other that one process has opened
}

func newOwner() owner {
	pid := os.Getpid()
	started, _ := startOf(pid)
	return owner{started: started, pid: uint32(pid), instance: rand.Uint32()}
}

// runs reports whether the owner's process still runs. It looks into the process's own namespace of ids only: to a container,
// the processes of another one that shares the file have ended.
func (o owner) runs() bool {
	started, runs := startOf(int(o.pid))
	return runs && started == o.started
}
