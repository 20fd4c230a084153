package filestore

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

const (
	fileSize = copies*blockSize + windowSize

	// maxRecent is how many reservations are remembered, so that they can be taken back: more than can be under way.
	maxRecent = 1024

	// What is done without the caller's context, or after it has ended, waits no longer than this for the file.
	refundWait = time.Second
	closeWait  = time.Second
	tellWait   = 100 * time.Millisecond
)

// Quota keeps the calls of a month, and those of the last minute, in a file that processes of one machine share. It is a
// [drift.QuotaStore] and safe for concurrent use.
type Quota struct {
	file     *lockedFile
	account  [sha256.Size]byte
	limit    int
	location *time.Location

	recent []reservation // the last ones of this process, oldest first; guarded by file.do

	owner  owner
	length time.Duration    // of the window
	clock  func() time.Time // the wall clock that processes share, for the window

	buffer []byte // of the window; guarded by file.do

	mu       sync.Mutex         // never held while waiting for another process
	serial   uint32             // of the last slot
	holdings map[uint32]holding // slots by serial, until the file knows what became of them
	pause    pause              // that the file does not know yet
	retry    *time.Timer        // tells the file what it could not be told at once
	closed   bool
}

var _ drift.QuotaStore = (*Quota)(nil)

// reservation is what it takes to take a call back once, in the month in which it was counted.
type reservation struct {
	second     int64
	nanosecond int
	counted    int64
	shown      int64 // the month that the clock showed; another one than counted while the clock is doubted or was set back
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

// WithPlan refuses calls beyond the plan's number in a month. Without it, or with 0 or less, calls are counted and never
// refused. The plan is not kept in the file: another one takes effect when the file is opened with it, and the count goes on.
func WithPlan(plan drift.Plan) Option {
	return func(c *config) { c.plan = max(plan, 0) }
}

// WithAccount binds the file to an account, by any name for it: to open a file with another name is [ErrAccount]. The file
// keeps a hash of the name. The default is "", which is a name like any other.
func WithAccount(name string) Option {
	return func(c *config) { c.account = name }
}

// WithSharedOwnership lets [OpenTokens] use a file that belongs to another user, and a directory in which its group or another
// user may replace files. Use it only if you trust all of them with the tokens: who can replace the file can read what is
// stored in it next.
func WithSharedOwnership() Option {
	return func(c *config) { c.sharedOwnership = true }
}

// WithLocation sets where months begin: at midnight there. The default, also for nil, is UTC.
func WithLocation(location *time.Location) Option {
	return func(c *config) {
		if location != nil {
			c.location = location
		}
	}
}

// OpenQuota opens the file at path, or creates it; its directory must exist. Close it after the clients that use it. A process
// that opens the file twice shares it with itself, as two processes would. An error is an [*Error].
//
// The file must be a regular one that only its owner may read and write; that is how it is created (mode 0600). While another
// process creates or updates it, OpenQuota waits for up to 10 seconds, and then fails with [context.DeadlineExceeded].
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

// fresh is a file in which nothing was counted yet.
func (q *Quota) fresh() []byte {
	b := make([]byte, fileSize)
	for place := range copies {
		r := record{account: q.account, sequence: uint64(place)}
		copy(b[place*blockSize:], r.encode())
	}
	sharedWindow{}.encode(b[copies*blockSize:])
	return b
}

// Reserve counts one call, and returns when that is on disk. Beyond the plan it returns a [*drift.QuotaError] and counts
// nothing. When it cannot write it returns an [*Error], and nothing may go out. It waits for other processes no longer than the
// context allows.
func (q *Quota) Reserve(ctx context.Context, at time.Time) (drift.Usage, error) {
	var usage drift.Usage
	err := q.file.do(ctx, func() error {
		r, place, err := q.load(q.file)
		if err != nil {
			return err
		}
		reserved := r.reserve(at, q.location, q.limit)
		usage = q.usage(r)
		if !reserved {
			return &drift.QuotaError{Usage: usage}
		}
		if err := q.save(r, 1-place); err != nil {
			return err
		}
		q.remember(reservation{at.Unix(), at.Nanosecond(), r.month, monthOf(at, q.location)})
		return nil
	})
	return usage, err
}

// Refund takes back one call that this process reserved at this very time, unless that month is over. What it does not know,
// or has refunded already, it passes over. It waits for other processes for no more than a second, because it is called when
// the caller's context may have ended; if it fails, the count is one too high.
func (q *Quota) Refund(ctx context.Context, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, refundWait)
	defer cancel()
	return q.file.do(ctx, func() error {
		i := q.reserved(at)
		if i < 0 {
			return nil
		}
		r, place, err := q.load(q.file)
		if err != nil {
			return err
		}
		if r.refund(q.recent[i].counted, q.recent[i].shown) {
			if err := q.save(r, 1-place); err != nil {
				return err
			}
		}
		q.recent = slices.Delete(q.recent, i, i+1)
		return nil
	})
}

// Usage returns what is used. It writes nothing.
func (q *Quota) Usage(ctx context.Context, at time.Time) (drift.Usage, error) {
	var usage drift.Usage
	err := q.file.do(ctx, func() error {
		r, _, err := q.load(q.file)
		if err != nil {
			return err
		}
		r.turn(at, q.location)
		usage = q.usage(r)
		if probe := r; r.full(q.limit) && probe.reserve(at, q.location, q.limit) {
			usage.Used = min(usage.Used, usage.Limit-1) // whoever asks first must learn that a call may go
		}
		return nil
	})
	return usage, err
}

// Close gives up the file. Slots of its limiters that are still out come back as those of a process that died do. Everything
// but a second Close fails with [fs.ErrClosed] from then on. Where another process holds the file for more than a second, Close
// fails and has given up nothing: call it again.
func (q *Quota) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := q.release(ctx); err != nil {
		return err
	}
	return q.file.close(ctx)
}

// load returns the record, and where it stands.
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

// reserved finds the last reservation of this time, or returns -1.
func (q *Quota) reserved(at time.Time) int {
	for i, r := range slices.Backward(q.recent) {
		if r.second == at.Unix() && r.nanosecond == at.Nanosecond() {
			return i
		}
	}
	return -1
}

func (q *Quota) remember(r reservation) {
	if len(q.recent) == maxRecent {
		q.recent = slices.Delete(q.recent, 0, 1)
	}
	q.recent = append(q.recent, r)
}
