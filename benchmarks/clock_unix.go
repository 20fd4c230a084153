//go:build unix

package main

import (
	"syscall"
	"time"
)

func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return time.Since(begin)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
