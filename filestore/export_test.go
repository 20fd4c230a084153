package filestore

import (
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/driftsdk/drift"
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

// WithClock sets the wall clock.
func WithClock(clock func() time.Time) Option { return func(c *config) { c.clock = clock } }

// SetClock stops the wall clock of a quota at a time.
func SetClock(q *Quota, at time.Time) {
	q.file.claim <- struct{}{}
	defer func() { <-q.file.claim }()
	q.clock = func() time.Time { return at }
}

// InAnotherContainer gives a quota an owner whose process the others cannot see.
func InAnotherContainer(q *Quota) { q.owner.space = rand.Uint32() | 1 }

// Disguise makes other processes, which cannot see that of this quota, believe that it has died.
func Disguise(q *Quota) { q.owner.pid, q.owner.started = math.MaxInt32, 1 }

// WindowOf returns the store of the window.
func WindowOf(q *Quota, perMinute int) drift.WindowStore {
	return &windowStore{quota: q, perMinute: uint32(perMinute)}
}

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
