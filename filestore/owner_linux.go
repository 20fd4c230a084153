package filestore

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"os"
	"strconv"
)

// startOf returns when a process was started, in ticks since the machine booted, mixed with the id of that boot.
// Without /proc, no process seems to be running.
func startOf(pid int) (started uint64, runs bool) {
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
	if err != nil {
		return 0, false
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ticks, true
	}
	hash := fnv.New64a()
	_, _ = hash.Write(binary.LittleEndian.AppendUint64(boot, ticks))
	return hash.Sum64(), true
}
