package filestore

import (
	"bytes"
	"hash/fnv"
	"os"
	"strconv"
)

// idSpace identifies the boot of the machine and the namespace of process ids.
func idSpace() uint32 {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return 0
	}
	hash := fnv.New32a()
	_, _ = hash.Write(boot)
	_, _ = hash.Write([]byte(namespace))
	return hash.Sum32()
}

// startOf returns when a process was started, in ticks since the machine booted.
func startOf(pid int) (started uint32, runs bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	name := bytes.LastIndexByte(stat, ')') // the name may contain spaces and parentheses
	fields := bytes.Fields(stat[name+1:])
	const state, startTime = 0, 19
	if len(fields) <= startTime || fields[state][0] == 'Z' || fields[state][0] == 'X' {
		return 0, false
	}
	ticks, err := strconv.ParseUint(string(fields[startTime]), 10, 64)
	return uint32(ticks), err == nil
}
