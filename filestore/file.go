package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	lockPoll = time.Millisecond // between attempts to lock the file, which is held for about as long as one flush takes
	openWait = 10 * time.Second // how long OpenQuota, which has no context, waits for the lock
	lockWarn = 3 * time.Second  // after so long a wait for the lock is logged
)

// lockedFile is a file of fixed size that processes share. Only one goroutine of a process at a time holds or requests
// the lock between processes, so the lock also protects state within the process.
type lockedFile struct {
	path   string
	lock   *flock.Flock
	claim  chan struct{} // full while a goroutine has the file; unlike with a mutex, a context can end the wait
	file   *os.File
	info   fs.FileInfo
	flush  func(*os.File) error
	logger *slog.Logger
	closed bool
}

// openFile opens the file, or creates it with these contents, and calls check under the lock.
func openFile(
	path string, contents []byte, logger *slog.Logger, check func(*lockedFile) error,
) (*lockedFile, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap(path, err)
	}
	f := &lockedFile{path: path, lock: flock.New(path + ".lock"), claim: make(chan struct{}, 1), flush: syncData,
		logger: logger}
	for _, path := range []string{path, f.lock.Path()} {
		if _, err := lookAt(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, wrap(path, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), openWait)
	defer cancel()
	if err := f.acquire(ctx); err != nil {
		return nil, err
	}
	if err = f.open(contents); err == nil {
		err = check(f)
	}
	if unlock := f.lock.Unlock(); err == nil {
		err = unlock
	}
	if err != nil {
		if f.file != nil {
			_ = f.file.Close()
		}
		return nil, wrap(path, err)
	}
	return f, nil
}

func (f *lockedFile) open(contents []byte) error {
	before, err := lookAt(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(f.path, contents); err == nil {
			before, err = lookAt(f.path)
		}
	}
	if err != nil {
		return err
	}
	if f.file, err = os.OpenFile(f.path, os.O_RDWR, 0); err != nil {
		return err
	}
	if f.info, err = f.file.Stat(); err != nil {
		return err
	}
	if !os.SameFile(before, f.info) {
		return fmt.Errorf("%w: it was replaced while being opened", ErrUnsafe)
	}
	if f.info.Size() != int64(len(contents)) {
		return fmt.Errorf("%w: it has %d bytes instead of %d", ErrCorrupt, f.info.Size(), len(contents))
	}
	return nil
}

// lookAt rejects anything but a regular file that only its owner can access. It does not follow links.
func lookAt(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: it is not a regular file (%v)", ErrUnsafe, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("%w: other users can access it (%v)", ErrUnsafe, info.Mode())
	}
	return info, nil
}

// create makes the file complete and durable before it gets its name, so that half of one is never found.
func create(path string, contents []byte) error {
	if err := writeSuccessor(path, contents); err != nil {
		return err
	}
	return installSuccessor(path)
}

// successorOf returns the name of the file that is to take the place of another.
func successorOf(path string) string { return path + ".new" }

// writeSuccessor makes the successor of a file complete and durable, in the place of an earlier one if that is there.
// What could not be written completely is removed.
func writeSuccessor(path string, contents []byte) error {
	file, err := openSuccessor(successorOf(path))
	if err != nil {
		return err
	}
	_, err = file.WriteAt(contents, 0)
	if err == nil {
		err = file.Truncate(int64(len(contents)))
	}
	complete := err == nil
	if complete {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if !complete {
		_ = os.Remove(successorOf(path))
	}
	return err
}

func openSuccessor(path string) (*os.File, error) {
	if before, err := lookAt(path); err == nil && ownedHere(before) {
		if file, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			if info, err := file.Stat(); err == nil && os.SameFile(before, info) {
				return file, nil
			}
			_ = file.Close()
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that died here
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func installSuccessor(path string) error {
	if err := os.Rename(successorOf(path), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir flushes a new name to disk, if the system supports that.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	if closed := dir.Close(); err == nil {
		err = closed
	}
	return err
}

// do calls fn while this goroutine has the file and no other goroutine or process does. If the context ends first, the
// error matches the context's.
func (f *lockedFile) do(ctx context.Context, fn func() error) error {
	select {
	case f.claim <- struct{}{}:
	case <-ctx.Done():
		return f.lockError(ctx.Err())
	}
	defer func() { <-f.claim }()
	if f.closed {
		return wrap(f.path, fs.ErrClosed)
	}
	if err := f.acquire(ctx); err != nil {
		return err
	}
	err := f.inPlace()
	if err == nil {
		err = fn()
	}
	if unlock := f.lock.Unlock(); err == nil && unlock != nil {
		err = wrap(f.path, unlock)
	}
	return err
}

// acquire waits for the lock between processes. If that takes long, it logs a warning: a process that is stopped while
// it has the lock holds up all others.
func (f *lockedFile) acquire(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, lockWarn)
	defer cancel()
	_, err := f.lock.TryLockContext(patient, lockPoll)
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		f.logger.LogAttrs(ctx, slog.LevelWarn, "filestore: another process holds the lock of a file",
			slog.String("path", f.lock.Path()))
		_, err = f.lock.TryLockContext(ctx, lockPoll)
	}
	if err != nil {
		return f.lockError(err)
	}
	return nil
}

func (f *lockedFile) lockError(err error) error {
	return wrap(f.path, fmt.Errorf("waiting for its lock: %w", err))
}

// inPlace returns an error if the file was deleted or replaced: a count in a file without a name would be lost.
func (f *lockedFile) inPlace() error {
	info, err := os.Lstat(f.path)
	if err != nil {
		return wrap(f.path, err)
	}
	if !os.SameFile(info, f.info) {
		return wrap(f.path, fmt.Errorf("%w: it was replaced", ErrCorrupt))
	}
	return nil
}

func (f *lockedFile) read(b []byte, offset int64) error {
	_, err := f.file.ReadAt(b, offset)
	switch {
	case errors.Is(err, io.EOF):
		return wrap(f.path, fmt.Errorf("%w: it was truncated", ErrCorrupt))
	case err != nil:
		return wrap(f.path, err)
	}
	return nil
}

func (f *lockedFile) write(b []byte, offset int64) error {
	if _, err := f.file.WriteAt(b, offset); err != nil {
		return wrap(f.path, err)
	}
	return nil
}

// sync returns when all writes would survive a crash of the machine.
func (f *lockedFile) sync() error {
	if err := f.flush(f.file); err != nil {
		return wrap(f.path, err)
	}
	return nil
}

// close waits for the goroutine that has the file, then closes it.
func (f *lockedFile) close(ctx context.Context) error {
	select {
	case f.claim <- struct{}{}:
	case <-ctx.Done():
		return wrap(f.path, ctx.Err())
	}
	defer func() { <-f.claim }()
	if f.closed {
		return nil
	}
	f.closed = true
	if err := f.file.Close(); err != nil {
		return wrap(f.path, err)
	}
	return nil
}
