package filestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/driftsdk/drift"
)

const (
	fileSize = copies*blockSize + windowSize

	// Operations that have no context, or that run after it has ended, wait this long for the file.
	refundWait = time.Second
	closeWait  = time.Second
)

// Quota counts the calls of the month, and those of the last minute, in a file that all processes of a machine can
// share. It is a [drift.QuotaStore] and safe for concurrent use.
type Quota struct {
	file     *lockedFile
	account  [sha256.Size]byte
	settings settings
	change   bool // see WithChangedSettings
	location *time.Location

	owner  owner
	length time.Duration    // of the window
	clock  func() time.Time // the wall clock that processes share

	buffer []byte // of the window; guarded by file.do

	mu       sync.Mutex          // never held while waiting for another process
	serial   uint32              // of the latest slot
	held     map[uint32]*holding // slots of this process, by serial, until they are free
	limiters []*drift.SharedLimiter
}

var _ drift.QuotaStore = (*Quota)(nil)

// reservation is a counted call.
type reservation struct {
	quota    *Quota
	usage    drift.Usage
	counted  int64 // the month in which it counts
	shown    int64 // the month on the clock; differs from counted while the clock is doubted or set back
	refunded bool  // guarded by file.do
}

// OpenQuota opens the file at path, or creates it; the directory must exist. Close the quota after the clients that use
// it. A process may open the file twice; the two quotas then share it as two processes would. Every error is an
// [*Error].
//
// The file must be a regular file that only its owner can access; OpenQuota creates it so, with mode 0600. While
// another process creates or updates the file, OpenQuota waits up to 10 seconds, then fails with
// [context.DeadlineExceeded].
func OpenQuota(path string, opts ...Option) (*Quota, error) {
	c := newConfig(opts)
	q := &Quota{
		account:  sha256.Sum256([]byte(c.account)),
		settings: settings{int(c.plan), zoneName(c.location)},
		change:   c.change,
		location: c.location,
		owner:    newOwner(),
		length:   c.length,
		clock:    c.clock,
		buffer:   make([]byte, windowSize),
		held:     make(map[uint32]*holding),
	}
	if _, err := openFile(path, q.fresh(), c.logger, q.open); err != nil {
		return nil, err
	}
	return q, nil
}

// fresh returns the contents of a file with a count of 0.
func (q *Quota) fresh() []byte {
	b := make([]byte, fileSize)
	for place := range copies {
		r := record{account: q.account, settings: q.settings, sequence: uint64(place)}
		copy(b[place*blockSize:], r.encode())
	}
	new(minuteWindow).encode(b[windowOffset:])
	return b
}

// open checks the file and adds the settings that it lacks.
func (q *Quota) open(f *lockedFile) error {
	q.file = f
	r, err := q.read()
	if err != nil {
		return err
	}
	agreed := r.settings.agreed(q.settings, q.change)
	if err := agreed.check(q.settings); err != nil {
		return wrap(f.path, err)
	}
	if agreed == r.settings {
		return nil
	}
	r.settings = agreed
	return q.save(r)
}

// Reserve counts one call, and returns when the new count is on disk. If the plan is used up, it counts nothing and
// returns a [*drift.QuotaError]. If it cannot write, it returns an [*Error], and the call must not go out. It waits for
// other processes until the context ends.
func (q *Quota) Reserve(ctx context.Context) (drift.Reservation, error) {
	var counted drift.Reservation
	err := q.file.do(ctx, func() error {
		r, reserved, err := q.reserve()
		if err != nil {
			return err
		}
		counted = reserved
		return q.save(r)
	})
	if err != nil {
		return nil, err
	}
	return counted, nil
}

// reserve counts a call, and returns the record that is to be saved.
func (q *Quota) reserve() (record, drift.Reservation, error) {
	r, err := q.load()
	if err != nil {
		return record{}, nil, err
	}
	at := q.clock()
	reserved := r.reserve(at, q.location)
	counted := &reservation{quota: q, usage: q.usage(r), counted: r.month, shown: monthOf(at, q.location)}
	if !reserved {
		return record{}, nil, &drift.QuotaError{Usage: counted.usage}
	}
	return r, counted, nil
}

// Usage implements [drift.Reservation].
func (r *reservation) Usage() drift.Usage { return r.usage }

// Refund takes the call back, unless its month is over. A second Refund does nothing. It waits at most a second for
// other processes. If Refund fails, the count is too high by one.
func (r *reservation) Refund(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refundWait)
	defer cancel()
	q := r.quota
	return q.file.do(ctx, func() error {
		if r.refunded {
			return nil
		}
		latest, err := q.load()
		if err != nil {
			return err
		}
		if latest.refund(r.counted, r.shown) {
			if err := q.save(latest); err != nil {
				return err
			}
		}
		r.refunded = true
		return nil
	})
}

// Usage returns how many calls of the month are used. It writes nothing.
func (q *Quota) Usage(ctx context.Context) (drift.Usage, error) {
	var usage drift.Usage
	err := q.file.do(ctx, func() error {
		r, err := q.load()
		if err != nil {
			return err
		}
		at := q.clock()
		r.turn(at, q.location)
		usage = q.usage(r)
		if probe := r; r.full() && probe.reserve(at, q.location) {
			usage.Used = min(usage.Used, usage.Limit-1) // a client that checks first must see that one call may go
		}
		return nil
	})
	return usage, err
}

// Close closes the limiters and the file. Slots of calls that are still in flight become free 63 seconds later. Every
// other method then fails with [fs.ErrClosed]; a second Close does nothing. If another process holds the file for more
// than a second, Close fails and the file stays open: call Close again.
func (q *Quota) Close() error {
	q.mu.Lock()
	limiters := q.limiters
	q.mu.Unlock()
	for _, l := range limiters {
		_ = bounded(closeWait, l.Close) // what it has not told the file, release does
	}
	err := bounded(closeWait, q.release)
	if errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if closed := bounded(closeWait, q.file.close); err == nil {
		err = closed
	}
	return err
}

func bounded(d time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return fn(ctx)
}

// load returns the newest record, if its settings are those of this process.
func (q *Quota) load() (record, error) {
	r, err := q.read()
	if err != nil {
		return record{}, err
	}
	if err := r.settings.check(q.settings); err != nil {
		return record{}, wrap(q.file.path, err)
	}
	return r, nil
}

// read returns the newest record.
func (q *Quota) read() (record, error) {
	var both [copies][]byte
	for place := range both {
		both[place] = make([]byte, recordSize)
		if err := q.file.read(both[place], int64(place*blockSize)); err != nil {
			return record{}, err
		}
	}
	r, err := newest(both)
	if err == nil && r.account != q.account {
		err = ErrAccount
	}
	if err != nil {
		return record{}, wrap(q.file.path, err)
	}
	return r, nil
}

// save writes a record over the other copy.
func (q *Quota) save(r record) error {
	r.sequence++
	if err := q.file.write(r.encode(), int64((1-r.place)*blockSize)); err != nil {
		return err
	}
	return q.file.sync()
}

func (q *Quota) usage(r record) drift.Usage {
	return drift.Usage{Used: r.used, Limit: r.settings.plan, ResetsAt: startOfMonth(r.month+1, q.location)}
}
