package filestore

import (
	"os"
	"time"

	"github.com/gofrs/flock"
)

// What tests outside the package need of its format.
const (
	BlockSize    = blockSize
	RecordSize   = recordSize
	WindowOffset = windowOffset
	WindowSize   = windowSize
)

// WithLength makes the window's minute shorter, for tests in which processes of the system take part.
func WithLength(length time.Duration) Option { return func(c *config) { c.length = length } }

// WithClock sets the wall clock of the window.
func WithClock(clock func() time.Time) Option { return func(c *config) { c.clock = clock } }

var Wrap = wrap

// OnFlush calls fn before each flush, which fails with its error.
func OnFlush(q *Quota, fn func() error) {
	q.file.flush = func(f *os.File) error {
		if err := fn(); err != nil {
			return err
		}
		return syncData(f)
	}
}

func PathOf(q *Quota) string { return q.file.path }

// Lock takes the lock of a quota that is there, and holds it.
func Lock(path string) (unlock func() error, err error) {
	lock := flock.New(path + ".lock")
	_, err = lock.TryLock()
	return lock.Unlock, err
}
