package fetch

import (
	"context"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/store"
)

// Quota counts the calls of a month in the archive, so that the count outlives the process. It implements
// [drift.QuotaStore]. The count is stored together with what the calls returned.
type Quota struct {
	store *store.Store
	limit int // 0: unknown

	mu     sync.Mutex
	month  time.Time // its beginning
	used   int       // in this month
	calls  int       // in this run
	stored bool      // used is in the archive
}

// NewQuota returns the count of an archive. Calls beyond plan, less those that are kept free for other programs, are
// not sent. A plan of 0 means that the plan is not known.
func NewQuota(s *store.Store, plan drift.Plan, keepFree int) *Quota {
	limit := int(plan)
	if limit > 0 {
		limit = max(limit-keepFree, 1)
	}
	return &Quota{store: s, limit: limit}
}

// Calls returns how many calls this run has made.
func (q *Quota) Calls() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.calls
}

// Reserve implements [drift.QuotaStore].
func (q *Quota) Reserve(ctx context.Context) (drift.Reservation, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	usage, err := q.usage(ctx)
	if err != nil {
		return nil, err
	}
	if usage.Limit > 0 && usage.Used >= usage.Limit {
		return nil, &drift.QuotaError{Usage: usage}
	}
	q.add(1)
	usage.Used++
	return &reservation{q, usage}, nil
}

// Usage implements [drift.QuotaStore].
func (q *Quota) Usage(ctx context.Context) (drift.Usage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.usage(ctx)
}

func (q *Quota) add(calls int) {
	q.used, q.calls, q.stored = q.used+calls, q.calls+calls, false
}

func (q *Quota) usage(ctx context.Context) (drift.Usage, error) {
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if month.After(q.month) {
		used, err := q.store.Usage(ctx, month.Format(monthFormat))
		if err != nil {
			return drift.Usage{}, err
		}
		q.month, q.used = month, used
	}
	return drift.Usage{Used: q.used, Limit: q.limit, ResetsAt: q.month.AddDate(0, 1, 0)}, nil
}

const monthFormat = "2006-01"

// save stores the count, if there were calls since it was stored.
func (q *Quota) save(tx *store.Tx) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stored || q.month.IsZero() {
		return nil
	}
	q.stored = true
	return tx.SetUsage(q.month.Format(monthFormat), q.used)
}

// reservation is a call that was counted.
type reservation struct {
	quota *Quota
	usage drift.Usage
}

// Usage implements [drift.Reservation].
func (r *reservation) Usage() drift.Usage { return r.usage }

// Refund implements [drift.Reservation].
func (r *reservation) Refund(context.Context) error {
	r.quota.mu.Lock()
	defer r.quota.mu.Unlock()
	r.quota.add(-1)
	return nil
}
