//go:build !unix

package filestore

import "io/fs"

// Owners and modes say nothing here.

func ownedHere(fs.FileInfo) bool { return true }

func replaceableByOthers(fs.FileInfo) bool { return false }

func replaceableByAll(fs.FileInfo) bool { return false }
