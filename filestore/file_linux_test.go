package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

func init() {
	children["opens a new file on a full disk"] = openOnFullDisk
	children["reserves on a full disk"] = reserveOnFullDisk
}

const nobody = 65534

// unprivileged calls fn as a user who may not do everything. A root's own thread becomes nobody, to the file system,
// for that time.
func unprivileged(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, syscall.Setfsuid(nobody))
	defer func() { require.NoError(t, syscall.Setfsuid(0)) }()
	fn()
}

// openTo makes a directory that nobody may use, and gives it what is in it.
func openTo(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, -1))
	}))
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "drift.quota")
	q, err := filestore.OpenQuota(path)
	require.NoError(t, err)
	reserve(t, q, noon)
	require.NoError(t, q.Close())
	openTo(t, dir)

	for _, mode := range []fs.FileMode{0o000, 0o200, 0o400} {
		t.Run("file "+mode.String(), func(t *testing.T) {
			require.NoError(t, os.Chmod(path, mode))
			unprivileged(t, func() { permissionDenied(t, path) })
		})
	}
	require.NoError(t, os.Chmod(path, 0o600))
	t.Run("lock", func(t *testing.T) {
		require.NoError(t, os.Chmod(path+".lock", 0))
		unprivileged(t, func() { permissionDenied(t, path) })
		require.NoError(t, os.Chmod(path+".lock", 0o600))
	})
	t.Run("read-only directory", func(t *testing.T) {
		require.NoError(t, os.Chmod(dir, 0o500))
		unprivileged(t, func() {
			permissionDenied(t, filepath.Join(dir, "new.quota"))
			q := open(t, path)
			assert.Equal(t, 2, reserve(t, q, noon).Used, "a file that is there already is as good as ever")
		})
		require.NoError(t, os.Chmod(dir, 0o700))
		assert.NoFileExists(t, filepath.Join(dir, "new.quota"))
	})
	t.Run("directory without a lock, read-only", func(t *testing.T) {
		require.NoError(t, os.Remove(path+".lock"))
		require.NoError(t, os.Chmod(dir, 0o500))
		unprivileged(t, func() { permissionDenied(t, path) })
		require.NoError(t, os.Chmod(dir, 0o700))
	})
	assert.Equal(t, 2, used(t, open(t, path), noon))
}

func permissionDenied(t *testing.T, path string) {
	t.Helper()
	_, err := filestore.OpenQuota(path)
	require.ErrorIs(t, err, fs.ErrPermission)
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
}

func TestOtherKindsOfFile(t *testing.T) {
	path := newPath(t)
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	_, err := filestore.OpenQuota(path)
	require.ErrorIs(t, err, filestore.ErrUnsafe)
	_, err = filestore.OpenQuota("/dev/null")
	require.Error(t, err)
	assert.NoFileExists(t, "/dev/null.lock")
}

// A limit on the size of files stops writes as a full disk does, with another number.
func TestFullDisk(t *testing.T) {
	t.Run("new file", func(t *testing.T) {
		path := newPath(t)
		require.NoError(t, child(t, "opens a new file on a full disk", path).Run())
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		assert.Len(t, entries, 1, "the lock, and nothing half done")
		open(t, path)
	})
	t.Run("during a run", func(t *testing.T) {
		path := newPath(t)
		require.NoError(t, child(t, "reserves on a full disk", path).Run())
		assert.Equal(t, 3, used(t, open(t, path), time.Now()))
	})
}

// limitFileSize returns what lifts the limit again.
func limitFileSize(bytes uint64) (lift func() error, err error) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	limit := syscall.Rlimit{Cur: bytes, Max: old.Max}
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

func openOnFullDisk(path string) error {
	if _, err := limitFileSize(filestore.BlockSize); err != nil {
		return err
	}
	_, err := filestore.OpenQuota(path)
	return mustBeFull(err)
}

func reserveOnFullDisk(path string) error {
	q, err := filestore.OpenQuota(path)
	if err != nil {
		return err
	}
	if err := reserveTimes(q, 2); err != nil {
		return err
	}
	limiter := q.Limiter(10)
	lift, err := limitFileSize(10)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := q.Reserve(background); mustBeFull(err) != nil {
			return mustBeFull(err)
		}
		if _, err := limiter.Acquire(background, drift.Turn{}); mustBeFull(err) != nil {
			return mustBeFull(err)
		}
	}
	if err := lift(); err != nil {
		return err
	}
	if usage, err := q.Usage(background); err != nil || usage.Used != 2 {
		return fmt.Errorf("used %d, %w", usage.Used, err)
	}
	if err := reserveTimes(q, 1); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(background, 5*time.Second)
	defer cancel()
	for range 10 { // no slot was lost
		slot, err := limiter.Acquire(ctx, drift.Turn{})
		if err == nil {
			err = slot.Done(ctx, answered)
		}
		if err != nil {
			return err
		}
	}
	return q.Close()
}

func reserveTimes(q *filestore.Quota, n int) error {
	for range n {
		if _, err := q.Reserve(background); err != nil {
			return err
		}
	}
	return nil
}

func mustBeFull(err error) error {
	var named *filestore.Error
	if !errors.As(err, &named) || !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("not the error of a full disk: %w", err)
	}
	return nil
}
