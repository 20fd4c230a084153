//go:build unix

package filestore

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedHere reports whether a file belongs to the user of this process.
func ownedHere(info fs.FileInfo) bool { return ownedBy(info, os.Geteuid()) }

// ownedBy reports whether a file belongs to one of the users.
func ownedBy(info fs.FileInfo, users ...int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	for _, user := range users {
		if int(stat.Uid) == user {
			return true
		}
	}
	return false
}

// replaceableByOthers reports whether other users, root apart, may replace files in a directory.
func replaceableByOthers(dir fs.FileInfo) bool {
	const groupAndAll = 0o022
	writable := dir.Mode().Perm()&groupAndAll != 0 && dir.Mode()&fs.ModeSticky == 0
	return writable || !ownedBy(dir, os.Geteuid(), 0)
}

// replaceableByAll reports whether every user may replace files in a directory.
func replaceableByAll(dir fs.FileInfo) bool {
	return dir.Mode().Perm()&0o002 != 0 && dir.Mode()&fs.ModeSticky == 0
}
