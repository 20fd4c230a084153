// Package testkit holds what the tests of several packages share: clients without a network, networks that answer to
// order, limiters and stores that keep books, and every operation of the API by reflection.
//
// Only the tests of this module import it.
package testkit

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Root returns the directory of the module, at or above the working directory. It passes over nested modules.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			first, _, _ := strings.Cut(string(text), "\n")
			if strings.TrimSpace(first) == "module github.com/driftsdk/drift" {
				return dir
			}
		}
		parent := filepath.Dir(dir)
		require.NotEqual(t, parent, dir, "the working directory is outside of the module")
		dir = parent
	}
}

// Must returns value, and panics if there is an error.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// UnderRaceDetector reports whether the test was built with -race, which makes it some ten times slower.
func UnderRaceDetector() bool {
	build, _ := debug.ReadBuildInfo()
	return slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

var seed = flag.Uint64("seed", 0, "the seed of tests that choose at random; 0 chooses one")

// Seed returns the seed of the flag -seed, or a random one, and logs it so that a failure can be repeated.
func Seed(t testing.TB) uint64 {
	t.Helper()
	chosen := cmp.Or(*seed, rand.Uint64())
	t.Logf("-seed=%d", chosen)
	return chosen
}
