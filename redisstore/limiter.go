package redisstore

import (
	"cmp"
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/driftsdk/drift"
)

// Limiter is a [drift.Limiter] that all processes of an account share. Within a process, callers are served in order;
// between processes, the first to ask gets the slot. If one process is told to pause, all of them do. Create one with
// [Store.Limiter].
type Limiter struct {
	store  *Store
	shared *drift.SharedLimiter
}

var _ drift.Limiter = (*Limiter)(nil)

// Limiter returns a limiter that allows all processes of the account perMinute calls in any 60 seconds; less than 1
// means 1. All processes should use the same number and options. [Store.Close] closes it.
func (s *Store) Limiter(perMinute int, opts ...drift.LimiterOption) *Limiter {
	l := &Limiter{s, drift.NewSharedLimiter(s.window(), perMinute, opts...)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limiters = append(s.limiters, l.shared)
	return l
}

// Acquire implements [drift.Limiter]. It asks Redis once if a slot is free. If the turn's quota is the limiter's store,
// the same step counts the call of the month. While Redis is away, it returns an [*Error] within the store's timeout,
// or takes a slot of the local share: see [FallBack].
func (l *Limiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	f := l.store.fallback
	if f != nil && f.active() {
		return f.acquire(ctx, turn)
	}
	slot, err := l.shared.Acquire(ctx, turn)
	if f != nil && f.begins(err) {
		return f.acquire(ctx, turn)
	}
	return slot, err
}

// Pause implements [drift.Limiter]. This process pauses even if Redis is away.
func (l *Limiter) Pause(ctx context.Context, until time.Time) error {
	if f := l.store.fallback; f != nil {
		_ = f.local.Pause(ctx, until) // cannot fail: it is in memory
	}
	return l.shared.Pause(ctx, until)
}

// Resume ends a pause of all processes at once, and makes them forget that others use the allowance.
func (l *Limiter) Resume(ctx context.Context) error {
	if f := l.store.fallback; f != nil {
		f.local.Resume()
	}
	return l.shared.Resume(ctx)
}

// Stats returns the numbers of all processes as of the last answer of Redis, and the callers that wait in this one. It
// does not ask Redis. While calls go by the local share, the numbers are those of the share.
func (l *Limiter) Stats() drift.LimiterStats {
	if f := l.store.fallback; f != nil && f.active() {
		return f.local.Stats()
	}
	return l.shared.Stats()
}

// defaultLease is the lease of a call that may take any time.
const defaultLease = time.Minute

// sharedWindow is the store as a [drift.WindowStore].
type sharedWindow struct{ store *Store }

func (s *Store) window() drift.WindowStore { return sharedWindow{s} }

// Take implements [drift.WindowStore].
func (w sharedWindow) Take(ctx context.Context, c drift.WindowClaim) (drift.WindowState, error) {
	counted := c.Quota == drift.QuotaStore(w.store)
	id := newID()
	r, err := w.store.call(ctx, request{
		op: "take", id: text(id), plan: w.store.plan, brief: true, counts: counted,
		args: []any{c.Capacity, micros(c.Spacing), int(c.Class), c.Lesson.Limit, int64(c.Lesson.Interval),
			micros(cmp.Or(c.Lease, defaultLease)), counted, micros(c.Pace), micros(c.Ramp), c.InFlight},
		undo: []string{"give", "refund"},
	})
	switch {
	case err != nil:
		return drift.WindowState{}, err
	case r.status == statusQuota:
		return drift.WindowState{}, &drift.QuotaError{Usage: w.store.usage(r)}
	case len(r.state) > 0:
		return r.window(), nil
	}
	state := drift.WindowState{Slot: id}
	if counted {
		state.Reservation = &reservation{store: w.store, id: text(id), usage: w.store.usage(r)}
	}
	return state, nil
}

// Give implements [drift.WindowStore].
func (w sharedWindow) Give(ctx context.Context, slot uint64, end drift.WindowEnd) (drift.WindowState, error) {
	return w.state(ctx, request{op: "give", id: text(slot), args: []any{micros(end.Back), end.Refused}})
}

// Look implements [drift.WindowStore].
func (w sharedWindow) Look(ctx context.Context) (drift.WindowState, error) {
	return w.state(ctx, request{op: "look"})
}

// Pause implements [drift.WindowStore].
func (w sharedWindow) Pause(ctx context.Context, p drift.WindowPause) (drift.WindowState, error) {
	return w.state(ctx, request{op: "pause", brief: true,
		args: []any{micros(p.For), p.Lesson.Limit, int64(p.Lesson.Interval)}})
}

func (w sharedWindow) state(ctx context.Context, r request) (drift.WindowState, error) {
	got, err := w.store.call(ctx, r)
	if err != nil || len(got.state) == 0 {
		return drift.WindowState{}, err
	}
	return got.window(), nil
}

// longAgo is how long ago something was that never happened. It leaves room for sums.
const longAgo = 100 * 365 * 24 * time.Hour

// window returns the state of the window in a reply.
func (r reply) window() drift.WindowState {
	field := func(i int) int64 { return integer(r.state[i]) }
	since := func(i int) time.Duration {
		if field(i) == 0 {
			return longAgo
		}
		return time.Duration(r.now-field(i)) * time.Microsecond
	}
	state := drift.WindowState{
		InFlight: int(field(0)), Recent: int(field(1)), Admitted: int(field(2)), Before: int(field(3)),
		Refused: int(field(4)), Pause: -since(5), Since: [2]time.Duration{since(7), since(8)},
		Lesson:    drift.WindowLesson{Limit: int(field(9)), Interval: time.Duration(field(10))},
		LessonAge: since(11),
	}
	if field(6) != 0 {
		state.Age = since(6)
	}
	returns, _ := r.state[12].([]any)
	for _, back := range returns {
		state.Returns = append(state.Returns, time.Duration(integer(back))*time.Microsecond)
	}
	return state
}

// newID returns the number of a slot. It is random, so that processes need not agree on one, and never 0.
func newID() uint64 { return rand.Uint64() | 1 }

func text(id uint64) string { return strconv.FormatUint(id, 10) }

// micros rounds away from 0, because that means something else.
func micros(d time.Duration) int64 {
	n := d.Microseconds()
	switch {
	case d > 0 && time.Duration(n)*time.Microsecond < d:
		return n + 1
	case d < 0:
		return min(n, -1)
	}
	return n
}
