package drift

import (
	"context"
	"sync"
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

// Usage is the number of a month's calls that have been used.
type Usage struct {
	Used     int
	Limit    int       // 0: unknown; calls are then counted but never rejected
	ResetsAt time.Time // the start of the next month
}

// Remaining returns how many calls are left, at least 0. If there is no limit it returns 0, so check Limit first.
func (u Usage) Remaining() int { return max(0, u.Limit-u.Used) }

func (u Usage) exhausted() bool { return u.Limit > 0 && u.Used >= u.Limit }

// quotaWarnings are the percentages of a month's calls at which Hooks.Quota is called.
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

// QuotaStore counts the calls of a month; see [WithQuotaStore]. Without a store, a client counts in memory, and the
// count starts over in each process. The store's clock decides in which month a call counts. Implementations must be
// safe for concurrent use.
type QuotaStore interface {
	// Reserve counts one call, just before an attempt goes out. If the month's calls are used up, it counts nothing and
	// returns a *QuotaError.
	Reserve(ctx context.Context) (Reservation, error)

	// Usage returns the current usage and counts nothing. A client calls it for [Client.Quota], and before a call if
	// the month's calls were used up at the last attempt.
	Usage(ctx context.Context) (Usage, error)
}

// Reservation is a call that a [QuotaStore] has counted.
type Reservation interface {
	// Usage returns the usage right after the reservation, including its call.
	Usage() Usage

	// Refund takes the call back, because it was provably not sent. A client calls it at most once. The context does
	// not end with the caller's, but after a second.
	Refund(ctx context.Context) error
}

// memoryQuota is the default QuotaStore. It counts by calendar month in UTC.
type memoryQuota struct {
	limit int

	mu    sync.Mutex
	used  int                 // until ends
	ends  time.Time           // of the month
	spare []memoryReservation // one allocation for many calls
}

func newMemoryQuota(plan Plan) *memoryQuota { return &memoryQuota{limit: int(plan)} }

func (q *memoryQuota) Reserve(context.Context) (Reservation, error) { return q.reserve(time.Now()) }

func (q *memoryQuota) reserve(at time.Time) (Reservation, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if usage := q.usage(at); usage.exhausted() {
		return nil, &QuotaError{Usage: usage}
	}
	q.used++
	if len(q.spare) == 0 {
		q.spare = make([]memoryReservation, 32)
	}
	r := &q.spare[0]
	q.spare = q.spare[1:]
	*r = memoryReservation{q, q.usage(at)}
	return r, nil
}

func (q *memoryQuota) Usage(context.Context) (Usage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.usage(time.Now()), nil
}

// usage returns the usage at a time, and starts a new month if the current one is over. It does not go back to an
// earlier month when the clock is set back.
func (q *memoryQuota) usage(at time.Time) Usage {
	if !at.Before(q.ends) {
		q.used, q.ends = 0, monthOf(at).AddDate(0, 1, 0)
	}
	return Usage{Used: q.used, Limit: q.limit, ResetsAt: q.ends}
}

// memoryReservation is a Reservation of a memoryQuota.
type memoryReservation struct {
	quota *memoryQuota
	usage Usage
}

func (r *memoryReservation) Usage() Usage { return r.usage }

// Refund has no effect once the month of the reservation is over.
func (r *memoryReservation) Refund(context.Context) error {
	r.quota.mu.Lock()
	defer r.quota.mu.Unlock()
	if r.quota.ends.Equal(r.usage.ResetsAt) {
		r.quota.used = max(0, r.quota.used-1)
	}
	return nil
}

// serviceQuota remembers that the service has rejected a call because the month's calls are used up. Until the month
// ends or a call succeeds, the client rejects further calls itself, except for one call every 15 minutes.
type serviceQuota struct {
	mu    sync.Mutex
	ends  time.Time // end of the month that is used up; zero: calls are left
	retry time.Time // when the next call may go out
}

const quotaCooldown = 15 * time.Minute

func (q *serviceQuota) exhausted(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ends, q.retry = monthOf(at).AddDate(0, 1, 0), at.Add(quotaCooldown)
}

func (q *serviceQuota) succeeded() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ends = time.Time{}
}

// refuses reports whether the client should reject a call at this time.
func (q *serviceQuota) refuses(at time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !at.Before(q.ends):
		return false
	case at.Before(q.retry):
		return true
	}
	q.retry = at.Add(quotaCooldown)
	return false
}

func monthOf(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}
