package redisstore

import (
	"context"
	"time"

	"github.com/driftsdk/drift"
)

var _ drift.QuotaStore = (*Store)(nil)

// reservation is a counted call.
type reservation struct {
	store *Store
	id    string
	usage drift.Usage
}

// Reserve implements [drift.QuotaStore]. The clock of Redis decides in which month the call counts; a month that has
// begun does not end early if that clock is set back. If the month's calls are used up, it returns a
// [*drift.QuotaError]. While Redis is away, it returns an [*Error], or counts in memory: see [FallBack].
func (s *Store) Reserve(ctx context.Context) (drift.Reservation, error) {
	if s.fallback != nil && s.fallback.active() {
		return s.fallback.reserve()
	}
	id := text(newID())
	r, err := s.call(ctx, request{op: "reserve", id: id, plan: s.plan, args: []any{1}, brief: true, counts: true,
		undo: []string{"refund"}})
	switch {
	case s.fallback != nil && s.fallback.begins(err):
		return s.fallback.reserve()
	case err != nil:
		return nil, err
	case r.status == statusQuota:
		return nil, &drift.QuotaError{Usage: s.usage(r)}
	}
	return &reservation{s, id, s.usage(r)}, nil
}

// Usage implements [drift.QuotaStore]. It counts nothing.
func (s *Store) Usage(ctx context.Context) (drift.Usage, error) {
	if s.fallback != nil && s.fallback.active() {
		return s.fallback.usage(), nil
	}
	r, err := s.call(ctx, request{op: "look", counts: true})
	switch {
	case s.fallback != nil && s.fallback.begins(err):
		return s.fallback.usage(), nil
	case err != nil:
		return drift.Usage{}, err
	}
	return s.usage(r), nil
}

func (s *Store) usage(r reply) drift.Usage {
	return drift.Usage{Used: r.used, Limit: s.plan, ResetsAt: time.UnixMicro(r.ends).In(s.location)}
}

func (s *Store) refund(ctx context.Context, id string) error {
	_, err := s.call(ctx, request{op: "refund", id: id, counts: true})
	return err
}

// Usage implements [drift.Reservation].
func (r *reservation) Usage() drift.Usage { return r.usage }

// Refund takes the call back, unless its month is over. A second Refund does nothing, and neither does one after more
// than ten minutes. If Refund fails, the count may be too high by one.
func (r *reservation) Refund(ctx context.Context) error { return r.store.refund(ctx, r.id) }

// monthOf returns the month of a time, in months since the year 0.
func monthOf(at time.Time, location *time.Location) int64 {
	year, month, _ := at.In(location).Date()
	return int64(year)*12 + int64(month) - 1
}

// startOfMonth returns the first instant of a month: midnight, or the next instant if the clocks skip midnight.
func startOfMonth(month int64, location *time.Location) time.Time {
	start := time.Date(int(month/12), time.Month(month%12+1), 1, 0, 0, 0, 0, location)
	if monthOf(start, location) < month {
		_, start = start.ZoneBounds()
	}
	return start
}
