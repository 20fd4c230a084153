package filestore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

// childRole names the part that the test binary plays when a test has started it as another process.
const childRole = "FILESTORE_TEST_CHILD"

// children are those parts. They get the path of the quota and run until they return an error or are killed.
var children = map[string]func(path string) error{}

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := children[role](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child prepares the test binary to play a part.
func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(program, path)
	cmd.Env = append(os.Environ(), childRole+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// process is a child that is under way.
type process struct {
	cmd  *exec.Cmd
	said *bufio.Scanner
}

// start starts a child and waits until it says something.
func start(t *testing.T, role, path string, edits ...func(*exec.Cmd)) *process {
	t.Helper()
	cmd := child(t, role, path)
	for _, edit := range edits {
		edit(cmd)
	}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{cmd, bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	require.True(t, p.said.Scan(), "the child says nothing")
	return p
}

// kill ends the child as a crash would.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "drift.quota")
}

func open(t testing.TB, path string, opts ...filestore.Option) *filestore.Quota {
	t.Helper()
	q, err := filestore.OpenQuota(path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

// reserve counts a call at a time by the quota's clock.
func reserve(t testing.TB, q *filestore.Quota, at time.Time) drift.Usage {
	t.Helper()
	return reservation(t, q, at).Usage()
}

func reservation(t testing.TB, q *filestore.Quota, at time.Time) drift.Reservation {
	t.Helper()
	filestore.SetClock(q, at)
	r, err := q.Reserve(t.Context())
	require.NoError(t, err)
	return r
}

// refused checks that no call is left, and returns the usage in the error.
func refused(t testing.TB, q *filestore.Quota, at time.Time) drift.Usage {
	t.Helper()
	filestore.SetClock(q, at)
	r, err := q.Reserve(t.Context())
	require.Nil(t, r)
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
	var quota *drift.QuotaError
	require.ErrorAs(t, err, &quota)
	return quota.Usage
}

func used(t testing.TB, q *filestore.Quota, at time.Time) int {
	t.Helper()
	filestore.SetClock(q, at)
	usage, err := q.Usage(t.Context())
	require.NoError(t, err)
	return usage.Used
}

// background is the context of children.
var background = context.Background()

// noon is a time well within a month.
var noon = time.Date(2026, time.March, 14, 12, 0, 0, 0, time.UTC)
