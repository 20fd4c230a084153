package filestore

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

const (
	fileSize = copies*blockSize + windowSize

	// Operations that have no context, or that run after it has ended, wait this long for the file.
	refundWait = time.Second
	closeWait  = time.Second
	tellWait   = 100 * time.Millisecond
)

// Quota counts the calls of the month, and those of the last minute, in a file that all processes of a machine can
// share. It is a [drift.QuotaStore] and safe for concurrent use.
type Quota struct {
	file     *lockedFile
	account  [sha256.Size]byte
	limit    int
	location *time.Location

	owner  owner
	length time.Duration    // of the window
	clock  func() time.Time // the wall clock that processes share, for the window

	buffer []byte // of the window; guarded by file.do

	mu       sync.Mutex         // never held while waiting for another process
	serial   uint32             // of the latest slot
	holdings map[uint32]holding // slots by serial, until their end is written to the file
	pause    pause              // not yet written to the file
	retry    *time.Timer        // tries again after a failed write
	closed   bool
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

// Option configures [OpenQuota] and [OpenTokens]. Of the options, [WithAccount] applies to both.
type Option func(*config)

type config struct {
	plan     drift.Plan
	account  string
	location *time.Location
	length   time.Duration
	clock    func() time.Time

	sharedOwnership bool
}

// WithPlan refuses calls beyond the plan's number in a month. Without it, or with 0 or less, calls are counted but
// never refused. The file does not store the plan: to change it, open the file with another plan; the count continues.
func WithPlan(plan drift.Plan) Option {
	return func(c *config) { c.plan = max(plan, 0) }
}

// WithAccount binds a new file to an account, under any name that you choose. Opening the file with another name is an
// [ErrAccount]. The file stores a hash of the name. The default is "", a name like any other.
func WithAccount(name string) Option {
	return func(c *config) { c.account = name }
}

// WithSharedOwnership lets [OpenTokens] use a file that belongs to another user, and a directory in which its group or
// another user may replace files. Use it only if you trust all of them with the tokens: who can replace the file can
// read what is stored in it next.
func WithSharedOwnership() Option {
	return func(c *config) { c.sharedOwnership = true }
}

// WithLocation sets the time zone in which months begin. The default, also for nil, is UTC.
func WithLocation(location *time.Location) Option {
	return func(c *config) {
		if location != nil {
			c.location = location
		}
	}
}

// OpenQuota opens the file at path, or creates it; the directory must exist. Close the quota after the clients that use
// it. A process may open the file twice; the two quotas then share it as two processes would. Every error is an
// [*Error].
//
// The file must be a regular file that only its owner can access; OpenQuota creates it so, with mode 0600. While
// another process creates or updates the file, OpenQuota waits up to 10 seconds, then fails with
// [context.DeadlineExceeded].
func OpenQuota(path string, opts ...Option) (*Quota, error) {
	c := config{location: time.UTC, length: window.Length, clock: time.Now}
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	q := &Quota{
		account:  sha256.Sum256([]byte(c.account)),
		limit:    int(c.plan),
		location: c.location,
		owner:    newOwner(),
		length:   c.length,
		clock:    c.clock,
		buffer:   make([]byte, windowSize),
		holdings: make(map[uint32]holding),
	}
	var err error
	q.file, err = openFile(path, q.fresh(), func(f *lockedFile) error {
		_, _, err := q.load(f)
		return err
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// fresh returns the contents of a file with a count of 0.
func (q *Quota) fresh() []byte {
	b := make([]byte, fileSize)
	for place := range copies {
		r := record{account: q.account, sequence: uint64(place)}
		copy(b[place*blockSize:], r.encode())
	}
	sharedWindow{}.encode(b[copies*blockSize:])
	return b
}

// Reserve counts one call, and returns when the new count is on disk. If the plan is used up, it counts nothing and
// returns a [*drift.QuotaError]. If it cannot write, it returns an [*Error], and the call must not go out. It waits for
// other processes until the context ends.
func (q *Quota) Reserve(ctx context.Context) (drift.Reservation, error) {
	counted := &reservation{quota: q}
	err := q.file.do(ctx, func() error {
		r, place, err := q.load(q.file)
		if err != nil {
			return err
		}
		at := q.clock()
		reserved := r.reserve(at, q.location, q.limit)
		counted.usage, counted.counted, counted.shown = q.usage(r), r.month, monthOf(at, q.location)
		if !reserved {
			return &drift.QuotaError{Usage: counted.usage}
		}
		return q.save(r, 1-place)
	})
	if err != nil {
		return nil, err
	}
	return counted, nil
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
		latest, place, err := q.load(q.file)
		if err != nil {
			return err
		}
		if latest.refund(r.counted, r.shown) {
			if err := q.save(latest, 1-place); err != nil {
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
		r, _, err := q.load(q.file)
		if err != nil {
			return err
		}
		at := q.clock()
		r.turn(at, q.location)
		usage = q.usage(r)
		if probe := r; r.full(q.limit) && probe.reserve(at, q.location, q.limit) {
			usage.Used = min(usage.Used, usage.Limit-1) // a client that checks first must see that one call may go
		}
		return nil
	})
	return usage, err
}

// Close closes the file. Slots that its limiters still hold become free a minute later. Every other method then fails
// with [fs.ErrClosed]; a second Close does nothing. If another process holds the file for more than a second, Close
// fails and the file stays open: call Close again.
func (q *Quota) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := q.release(ctx); err != nil {
		return err
	}
	return q.file.close(ctx)
}

// load returns the record, and which of the copies it is.
func (q *Quota) load(f *lockedFile) (record, int, error) {
	var both [copies][]byte
	for place := range both {
		both[place] = make([]byte, recordSize)
		if err := f.read(both[place], int64(place*blockSize)); err != nil {
			return record{}, 0, err
		}
	}
	r, place, err := newest(both)
	if err == nil && r.account != q.account {
		err = ErrAccount
	}
	if err != nil {
		return record{}, 0, wrap(f.path, err)
	}
	return r, place, nil
}

func (q *Quota) save(r record, place int) error {
	r.sequence++
	if err := q.file.write(r.encode(), int64(place*blockSize)); err != nil {
		return err
	}
	return q.file.sync()
}

func (q *Quota) usage(r record) drift.Usage {
	return drift.Usage{Used: r.used, Limit: q.limit, ResetsAt: startOfMonth(r.month+1, q.location)}
}
