package drift

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Plan is the number of calls that an account may make in a calendar month.
type Plan int

// The plans of the product.
const (
	PlanStarter      Plan = 10_000
	PlanProfessional Plan = 25_000
	PlanEnterprise   Plan = 50_000
)

// Usage is what has been used of a month's calls.
type Usage struct {
	Used     int
	Limit    int       // 0: no limit is known, calls are counted and never refused
	ResetsAt time.Time // the start of the next month
}

// Remaining returns how many calls are left, never less than 0; without a limit it is 0 too, so look at Limit first.
func (u Usage) Remaining() int { return max(0, u.Limit-u.Used) }

func (u Usage) exhausted() bool { return u.Limit > 0 && u.Used >= u.Limit }

// QuotaStore counts the calls of a month. A client asks it before every attempt. The one that a client makes itself is in
// memory, so it begins at 0 with each process. Implementations must be safe for concurrent use.
type QuotaStore interface {
	// Reserve counts one call at this time and returns the usage with it. A month that is used up is a *QuotaError, and then
	// nothing is counted.
	Reserve(ctx context.Context, at time.Time) (Usage, error)

	// Refund takes back a call that was reserved at this time and provably not sent. The caller's context may have ended by
	// then; the one given here ends after a second.
	Refund(ctx context.Context, at time.Time) error

	// Usage returns what is used at this time. It counts nothing.
	Usage(ctx context.Context, at time.Time) (Usage, error)
}

// memoryQuota is the QuotaStore of a client that was given none. Its months are those of UTC. Every call asks it twice, so it
// takes no lock.
type memoryQuota struct {
	limit int
	month atomic.Pointer[countedMonth]
}

type countedMonth struct {
	begins, ends time.Time
	used         atomic.Int64
}

func newMemoryQuota(plan Plan) *memoryQuota {
	q := &memoryQuota{limit: int(plan)}
	q.month.Store(new(countedMonth)) // one that is long over
	return q
}

func (q *memoryQuota) Reserve(_ context.Context, at time.Time) (Usage, error) {
	month := q.at(at)
	for {
		used := month.used.Load()
		if usage := q.usage(month, used); usage.exhausted() {
			return usage, &QuotaError{Usage: usage}
		}
		if month.used.CompareAndSwap(used, used+1) {
			return q.usage(month, used+1), nil
		}
	}
}

func (q *memoryQuota) Refund(_ context.Context, at time.Time) error {
	if month := q.month.Load(); !at.Before(month.begins) && at.Before(month.ends) && month.used.Add(-1) < 0 {
		month.used.Add(1)
	}
	return nil
}

func (q *memoryQuota) Usage(_ context.Context, at time.Time) (Usage, error) {
	month := q.at(at)
	return q.usage(month, month.used.Load()), nil
}

// at returns the month that counts. It never goes back: a clock that was set back must not open a used one again.
func (q *memoryQuota) at(at time.Time) *countedMonth {
	for {
		month := q.month.Load()
		if at.Before(month.ends) {
			return month
		}
		next := &countedMonth{begins: monthOf(at)}
		next.ends = next.begins.AddDate(0, 1, 0)
		q.month.CompareAndSwap(month, next)
	}
}

func (q *memoryQuota) usage(month *countedMonth, used int64) Usage {
	return Usage{Used: int(used), Limit: q.limit, ResetsAt: month.ends}
}

// serviceQuota is whether the service says that the month is used up. It is believed until the month ends or a call
// succeeds; so that one can, a call goes out every quarter of an hour.
type serviceQuota struct {
	usedUp atomic.Bool // read on the path of every call

	mu    sync.Mutex
	month time.Time
	ask   time.Time
}

const askAgain = 15 * time.Minute

func (q *serviceQuota) exhausted(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.month, q.ask = monthOf(at), at.Add(askAgain)
	q.usedUp.Store(true)
}

func (q *serviceQuota) succeeded() {
	if q.usedUp.Load() {
		q.usedUp.Store(false)
	}
}

// refuses reports whether a call at this time would only be refused again.
func (q *serviceQuota) refuses(at time.Time) bool {
	if !q.usedUp.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if monthOf(at).After(q.month) {
		q.usedUp.Store(false)
		return false
	}
	if at.Before(q.ask) {
		return true
	}
	q.ask = at.Add(askAgain)
	return false
}

func monthOf(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// quotaWarnings are the parts of a month's calls, in percent, at which Hooks.Quota is called.
var quotaWarnings = [...]int{80, 90, 100}

// crossed reports whether the last call of u reached one of the warnings.
func (u Usage) crossed() bool {
	for _, percent := range quotaWarnings {
		if u.Limit > 0 && u.Used*100 >= u.Limit*percent && (u.Used-1)*100 < u.Limit*percent {
			return true
		}
	}
	return false
}
