package filestore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

// rejected opens a file that must not be opened, and must be left as it is.
func rejected(t *testing.T, path string, reason error, opts ...filestore.Option) {
	t.Helper()
	before, errBefore := os.ReadFile(path)
	_, err := filestore.OpenQuota(path, opts...)
	require.ErrorIs(t, err, reason)
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
	assert.True(t, filepath.IsAbs(named.Path))
	after, errAfter := os.ReadFile(path)
	assert.Equal(t, errBefore == nil, errAfter == nil)
	assert.Equal(t, before, after)
}

func TestFileIsPrivateAndComplete(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.WriteFile(path+".new", []byte("of a process that died"), 0o644))
	open(t, path)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for i, name := range []string{"drift.quota", "drift.quota.lock"} {
		assert.Equal(t, name, entries[i].Name())
		info, err := entries[i].Info()
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, fs.FileMode(0o600), info.Mode())
		}
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.EqualValues(t, filestore.WindowOffset+filestore.WindowSize, info.Size())
}

func TestOnlyOneCreates(t *testing.T) {
	path := newPath(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			q, err := filestore.OpenQuota(path)
			if assert.NoError(t, err) {
				reserve(t, q, noon)
				assert.NoError(t, q.Close())
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 20, used(t, open(t, path), noon))
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	q := open(t, "drift.quota")
	reserve(t, q, noon)
	t.Chdir(t.TempDir())
	assert.Equal(t, 2, reserve(t, q, noon).Used)
}

func TestUnsafeFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	open(t, good)

	t.Run("directory", func(t *testing.T) {
		rejected(t, dir, filestore.ErrUnsafe)
		rejected(t, "", filestore.ErrUnsafe)
	})
	t.Run("symbolic link", func(t *testing.T) {
		link := filepath.Join(dir, "link")
		require.NoError(t, os.Symlink(good, link))
		rejected(t, link, filestore.ErrUnsafe)
	})
	t.Run("symbolic link to nothing", func(t *testing.T) {
		link := filepath.Join(dir, "dangling")
		require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), link))
		rejected(t, link, filestore.ErrUnsafe)
		assert.NoFileExists(t, filepath.Join(dir, "nothing"))
	})
	t.Run("lock that is a symbolic link", func(t *testing.T) {
		path := filepath.Join(dir, "locked")
		require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), path+".lock"))
		rejected(t, path, filestore.ErrUnsafe)
		assert.NoFileExists(t, filepath.Join(dir, "nothing"))
	})
	t.Run("missing directory", func(t *testing.T) {
		rejected(t, filepath.Join(dir, "no", "file"), fs.ErrNotExist)
	})
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o620, 0o604, 0o602, 0o610, 0o666} {
		t.Run(mode.String(), func(t *testing.T) {
			require.NoError(t, os.Chmod(good, mode))
			rejected(t, good, filestore.ErrUnsafe)
		})
	}
	require.NoError(t, os.Chmod(good, 0o600))
}

func TestDamagedFiles(t *testing.T) {
	path := newPath(t)
	q, err := filestore.OpenQuota(path)
	require.NoError(t, err)
	reserve(t, q, noon)
	require.NoError(t, q.Close())
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	swapped := append([]byte("DRIFT?!?"), good[8:]...)
	copy(swapped[filestore.BlockSize:], "DRIFT?!?")

	for name, contents := range map[string][]byte{
		"empty":            {},
		"one byte":         good[:1],
		"one record":       good[:filestore.RecordSize],
		"one block":        good[:filestore.BlockSize],
		"without a window": good[:filestore.WindowOffset],
		"one byte less":    good[:len(good)-1],
		"one byte more":    append(append([]byte{}, good...), 0),
		"zeros":            make([]byte, len(good)),
		"no magic":         swapped,
		"another file":     []byte("{}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, contents, 0o600))
			rejected(t, path, filestore.ErrCorrupt)
		})
	}
	t.Run("cut short while it is open", func(t *testing.T) {
		require.NoError(t, os.WriteFile(path, good, 0o600))
		q, err := filestore.OpenQuota(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, filestore.BlockSize+1))
		_, err = q.Reserve(t.Context())
		require.ErrorIs(t, err, filestore.ErrCorrupt)
		_, err = q.Limiter(10).Acquire(t.Context(), drift.Turn{})
		require.ErrorIs(t, err, filestore.ErrCorrupt)
		client, err := drift.NewClient(drift.WithToken("token"), drift.WithQuotaStore(q))
		require.NoError(t, err)
		_, err = client.Tags.Get(t.Context(), 1)
		require.EqualError(t, err, "drift: tags.get: not sent: the quota store failed: the file is damaged")
		require.NoError(t, q.Close())
	})
}

func TestEachBitFlipped(t *testing.T) {
	path := newPath(t)
	const calls = 5
	q := open(t, path)
	for range calls {
		reserve(t, q, noon)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	flip := func(bit int) {
		at := int64(bit/8%filestore.RecordSize + bit/8/filestore.RecordSize*filestore.BlockSize)
		b := make([]byte, 1)
		_, err := f.ReadAt(b, at)
		require.NoError(t, err)
		b[0] ^= 1 << (bit % 8)
		_, err = f.WriteAt(b, at)
		require.NoError(t, err)
	}

	const bits = 2 * filestore.RecordSize * 8
	for bit := range bits {
		flip(bit)
		count := used(t, q, noon) // the other copy is good
		if bit%100 == 0 {
			require.Equal(t, count, used(t, open(t, path), noon))
		}
		flip(bit)
		if bit < bits/2 {
			require.Equal(t, calls, count, "the newer copy: never too low, bit %d", bit)
		} else {
			require.Equal(t, calls+1, count, "the older copy: one too high, bit %d", bit)
		}
	}

	for range 200 { // one in each copy
		older, newer := rand.IntN(bits/2), bits/2+rand.IntN(bits/2)
		flip(older)
		flip(newer)
		rejected(t, path, filestore.ErrCorrupt)
		_, err := q.Reserve(t.Context())
		require.ErrorIs(t, err, filestore.ErrCorrupt)
		flip(older)
		flip(newer)
	}
	assert.Equal(t, calls, used(t, q, noon))
}

func TestDamagedCopyIsWrittenAnew(t *testing.T) {
	for copies := range 2 {
		path := newPath(t)
		reserve(t, open(t, path), noon)
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("damage"), int64(copies*filestore.BlockSize+50))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		q := open(t, path)
		before := used(t, q, noon)
		for i := range 3 {
			assert.Equal(t, before+1+i, reserve(t, q, noon).Used)
		}
	}
}

func TestOtherAccount(t *testing.T) {
	path := newPath(t)
	reserve(t, open(t, path, filestore.WithAccount("org-7")), noon)
	rejected(t, path, filestore.ErrAccount)
	rejected(t, path, filestore.ErrAccount, filestore.WithAccount("org-8"))
	assert.Equal(t, 1, used(t, open(t, path, filestore.WithAccount("org-7")), noon))
	contents, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.NotContains(t, string(contents), "org-7")

	unnamed := newPath(t)
	open(t, unnamed)
	rejected(t, unnamed, filestore.ErrAccount, filestore.WithAccount("org-7"))
}

func TestOtherVersion(t *testing.T) {
	for copies := range 2 {
		path := newPath(t)
		reserve(t, open(t, path), noon)
		contents, err := os.ReadFile(path)
		require.NoError(t, err)
		b := contents[copies*filestore.BlockSize:][:filestore.RecordSize]
		binary.LittleEndian.PutUint32(b[8:], 3)
		binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], crc32.MakeTable(crc32.Castagnoli)))
		require.NoError(t, os.WriteFile(path, contents, 0o600))
		rejected(t, path, filestore.ErrVersion)
	}
}

// A file of version 1 ended its record after 128 bytes, and had a window of another form.
func TestFirstVersion(t *testing.T) {
	path := newPath(t)
	require.NoError(t, open(t, path, filestore.WithPlan(drift.PlanStarter)).Close())
	contents, err := os.ReadFile(path)
	require.NoError(t, err)
	for copies := range 2 {
		b := contents[copies*filestore.BlockSize:][:filestore.RecordSize]
		clear(b[96:])
		binary.LittleEndian.PutUint32(b[8:], 1)
		binary.LittleEndian.PutUint64(b[48:], uint64(7+copies))
		binary.LittleEndian.PutUint64(b[56:], 2026*12+2)
		binary.LittleEndian.PutUint64(b[64:], uint64(40+copies))
		binary.LittleEndian.PutUint64(b[72:], uint64(noon.UnixMilli()))
		binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], crc32.MakeTable(crc32.Castagnoli)))
	}
	binary.LittleEndian.PutUint32(contents[filestore.WindowOffset+8:], 1)
	require.NoError(t, os.WriteFile(path, contents, 0o600))

	synctest.Test(t, func(t *testing.T) {
		q := open(t, path, filestore.WithPlan(drift.PlanProfessional))
		usage := reserve(t, q, noon)
		assert.Equal(t, 42, usage.Used)
		assert.Equal(t, int(drift.PlanProfessional), usage.Limit, "the file had no plan")
		assert.Equal(t, 43, reserve(t, open(t, path), noon).Used)
		late(t, open(t, path).Limiter(10), drift.ClassInteractive, 59*time.Second)
	})
	rejected(t, path, filestore.ErrSettings, filestore.WithPlan(drift.PlanStarter))
}

func TestErrorText(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := filestore.OpenQuota(path)
	require.EqualError(t, err, "filestore: "+path+": the file is damaged: it has 0 bytes instead of 40960")

	full := fmt.Errorf("in the way: %w", &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC})
	err = filestore.Wrap(path, full)
	require.EqualError(t, err, "filestore: "+path+": write: "+syscall.ENOSPC.Error())
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.Same(t, err, filestore.Wrap(path, err))
	require.False(t, errors.Is(err, filestore.ErrCorrupt))
}

// A process that is stopped while it has the lock holds up all others, but not without a word.
func TestLockThatIsHeldForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		var log bytes.Buffer
		q := open(t, path, filestore.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		unlock, err := filestore.Lock(path)
		require.NoError(t, err)
		_, err = q.Reserve(within(t, 2*time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "filestore: "+path+": waiting for its lock: context deadline exceeded")
		assert.Empty(t, log.String(), "not after two seconds")

		start := time.Now()
		_, err = q.Limiter(10).Acquire(within(t, 5*time.Second), drift.Turn{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var named *filestore.Error
		require.ErrorAs(t, err, &named)
		assert.Equal(t, path, named.Path)
		assert.Equal(t, 5*time.Second, time.Since(start))
		assert.Equal(t, 1, strings.Count(log.String(), "level=WARN"))
		assert.Contains(t, log.String(), path+".lock")

		_, err = filestore.OpenQuota(path, filestore.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2, strings.Count(log.String(), "level=WARN"))
		require.NoError(t, unlock())
		reserve(t, q, noon)
	})
}

func TestOpenWaitsForTheLock(t *testing.T) {
	path := newPath(t)
	other := flock.New(path + ".lock")
	_, err := other.TryLock()
	require.NoError(t, err)
	time.AfterFunc(20*time.Millisecond, func() { assert.NoError(t, other.Unlock()) })
	open(t, path)
}
