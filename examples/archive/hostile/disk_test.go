package hostile

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mount mounts a small file system, or skips the test.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	return dir
}

// On a full disk a sync stops, loses nothing, and goes on when there is space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	root := mount(t, "size=1500k")
	dir := filepath.Join(root, "archive")
	s := start(t, 22)
	s.seed(400)
	for id := range s.files { // so that files fill it, too
		s.files[id] = append(s.files[id], make([]byte, 20_000)...)
	}
	status, out := s.command(t.Context(), "sync", "-dir", dir)
	assert.Equal(t, 1, status, out)
	assert.Regexp(t, "no space left|full", out)
	messages := len(look(t, dir).messages)
	status, out = s.command(t.Context(), "sync", "-dir", dir)
	assert.Equal(t, 1, status, out)
	require.NoError(t, exec.Command("mount", "-o", "remount,size=100m", root).Run())
	assert.GreaterOrEqual(t, len(look(t, dir).messages), messages)
	s.sync(t, dir, 0)
	s.same(t, look(t, dir))
	assert.Len(t, look(t, dir).files, len(s.files))
	used, err := exec.Command("du", "-sk", dir).Output()
	require.NoError(t, err)
	var kilobytes int
	_, err = fmt.Sscan(string(used), &kilobytes)
	require.NoError(t, err)
	require.NoError(t, exec.Command("mount", "-o", fmt.Sprintf("remount,size=%dk", kilobytes+300), root).Run())
	s.begin(s.person("full@example.com", "Full"))
	p := person{s.lastID, []string{"person3@example.com", "number3\""}}
	status, _ = s.command(t.Context(), "forget", "-dir", dir, "-yes", "person3@example.com")
	assert.Equal(t, 1, status, "the database needs as much space again")
	require.NoError(t, exec.Command("mount", "-o", "remount,size=100m", root).Run())
	status, out = s.command(t.Context(), "forget", "-dir", dir, "-yes", "person3@example.com")
	assert.Equal(t, 0, status, out)
	for _, trace := range p.traces {
		assert.Empty(t, found(t, dir, trace))
	}
}

// An archive on a disk that nobody can write to can be read.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	root := mount(t, "size=50m")
	dir := filepath.Join(root, "archive")
	s := start(t, 24)
	s.seed(50)
	s.sync(t, dir, 0)
	require.NoError(t, exec.Command("mount", "-o", "remount,ro", root).Run())
	for _, args := range [][]string{{"status"}, {"export", "-out", filepath.Join(t.TempDir(), "out")}} {
		status, out := s.command(t.Context(), append(args, "-dir", dir)...)
		assert.Equal(t, 0, status, "%s: %s", args[0], out)
	}
	for _, args := range [][]string{{"sync"}, {"plan"}, {"forget", "-yes"}} {
		args = append(args, "-dir", dir)
		if args[0] == "forget" {
			args = append(args, "person3@example.com")
		}
		status, out := s.command(t.Context(), args...)
		assert.Equal(t, 1, status, "%s: %s", args[0], out)
		assert.Contains(t, strings.ToLower(out), "read-only", args[0])
	}
}

// An estimate from a hundred conversations is close.
func TestEstimate(t *testing.T) {
	t.Parallel()
	wrong := 0
	accounts := variable("DRIFT_ESTIMATES", 1)
	for seed := range uint64(accounts) {
		s, dir := start(t, 30+seed), filepath.Join(t.TempDir(), "archive")
		s.seed(800)
		status, out := s.command(t.Context(), "plan", "-dir", dir, "-json")
		require.Equal(t, 0, status, out)
		_, rest, _ := strings.Cut(out, `"calls_total":`)
		var estimate int
		_, err := fmt.Sscanf(strings.TrimSpace(rest), "%d", &estimate)
		require.NoError(t, err, out)
		before := s.total
		s.sync(t, dir, 0)
		made := s.total - before
		off := 100 * float64(estimate-made) / float64(made)
		t.Logf("estimated %d, made %d: %+.1f %%", estimate, made, off)
		assert.Less(t, max(off, -off), 10.0)
		if max(off, -off) > 5 {
			wrong++
		}
	}
	assert.LessOrEqual(t, wrong, max(accounts/10, 1))
}

// A sync without news makes two calls.
func TestNothingNewIsCheap(t *testing.T) {
	t.Parallel()
	s, dir := start(t, 40), filepath.Join(t.TempDir(), "archive")
	s.seed(300)
	s.sync(t, dir, 0)
	before := s.total
	s.sync(t, dir, 0)
	assert.LessOrEqual(t, s.total-before, 2)
}
