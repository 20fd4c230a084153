package filestore

import (
	"context"
	"os"
	"runtime"

	"github.com/gofrs/flock"
)

// tokensLock is the lock of a file of tokens, between processes: a file beside it and, where locks do not keep others
// from reading, the file of tokens itself. The second keeps processes apart when someone removes the first during a
// refresh.
type tokensLock struct {
	beside *flock.Flock
	itself *flock.Flock
}

func newTokensLock(path string) *tokensLock {
	return &tokensLock{flock.New(path + ".lock"), flock.New(path, flock.SetFlag(os.O_RDONLY))}
}

func (l *tokensLock) path() string { return l.beside.Path() }

// acquire waits until the lock is free, or the context ends.
func (l *tokensLock) acquire(ctx context.Context) error {
	if err := lockInPlace(ctx, l.beside); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	if _, err := lookAt(l.itself.Path()); err != nil {
		return nil // there is nothing to refresh
	}
	if err := lockInPlace(ctx, l.itself); err != nil && ctx.Err() != nil {
		l.release()
		return err
	}
	return nil
}

// lockInPlace locks the file that is at its path: another one may have been put there while this process waited.
func lockInPlace(ctx context.Context, lock *flock.Flock) error {
	for {
		if _, err := lock.TryLockContext(ctx, tokensPoll); err != nil {
			return err
		}
		locked, err := lock.Stat()
		if err == nil {
			if here, err := os.Lstat(lock.Path()); err == nil && os.SameFile(locked, here) {
				return nil
			}
		}
		_ = lock.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// try takes the lock if it is free.
func (l *tokensLock) try() bool {
	ctx, cancel := context.WithTimeout(context.Background(), tokensPoll/2)
	defer cancel()
	return l.acquire(ctx) == nil
}

// release ends the lock. If that fails, it ends with the process.
func (l *tokensLock) release() {
	_ = l.itself.Unlock()
	_ = l.beside.Unlock()
}
