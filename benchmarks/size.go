package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// sizes are those of a stripped program that makes one call, in bytes.
type sizes struct{ client, hand int64 }

const mostSize = 1.33

func (s sizes) ratio() float64 { return float64(s.client) / float64(s.hand) }

// measureSizes builds the programs of internal/size, as .ci/size does.
func measureSizes() (s sizes, err error) {
	dir, err := os.MkdirTemp("", "size")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	if s.client, err = sizeOf("onecall", dir); err != nil {
		return s, err
	}
	s.hand, err = sizeOf("byhand", dir)
	return s, err
}

func sizeOf(program, dir string) (int64, error) {
	path := filepath.Join(dir, program)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./internal/size/"+program)
	build.Dir = ".." // like -write, this needs the working directory that go -C sets
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w: %s", err, output)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
