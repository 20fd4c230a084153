package drift

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/window"
)

// DefaultRateLimit is the number of calls a minute that the product allows each user.
const DefaultRateLimit = 100

// defaultReserve is the number of slots that bulk calls leave free if the limit is 100 or more.
const defaultReserve = 10

// Class is the priority of a call.
type Class int

// The classes of calls.
const (
	ClassInteractive Class = iota // goes before bulk calls
	ClassBulk                     // leaves slots free for interactive calls; see WithBulk
)

// Outcome is how an attempt ended.
type Outcome int

// The outcomes of an attempt.
const (
	OutcomeNotSent  Outcome = iota // provably not sent, so not counted by the service
	OutcomeAnswered                // the headers of the answer arrived
	OutcomeUnknown                 // possibly sent, but no answer arrived
)

// Limiter decides when an attempt may go out; see [WithLimiter]. The default is a [WindowLimiter]. Implementations must
// be safe for concurrent use.
//
// For each attempt a client calls Acquire and, once it knows how the attempt ended, Done of the slot. In between, if
// the service asked for a pause, it calls Pause.
type Limiter interface {
	// Acquire waits until an attempt may go out. If the wait would outlast the context's deadline, it returns a
	// *RateLimitError at once. If the context ends, it returns the context's error.
	Acquire(ctx context.Context, turn Turn) (Slot, error)

	// Pause holds back every attempt until the given time. A client calls it when the service asks for a pause, before
	// Done of the slot of the same attempt. An error does not end the call: the client logs it.
	Pause(ctx context.Context, until time.Time) error
}

// Turn describes the attempt that asks for a slot.
type Turn struct {
	Class     Class
	Operation string        // such as "conversations.get"
	Timeout   time.Duration // how long the attempt may take once it has the slot
	Since     time.Time     // when the call first asked for a slot, so that a retry keeps its place; zero: now
	Quota     QuotaStore    // the client's; a limiter with the same store may return a ReservedSlot
}

// Slot is the right to make one attempt.
type Slot interface {
	// Done returns the slot. A client calls it once, as soon as it knows the outcome: before it reads the body of the
	// answer, and perhaps after the caller's context has ended. The context of Done does not end with the caller's. An
	// error does not end the call: the client logs it.
	Done(ctx context.Context, result Result) error
}

// ReservedSlot is a Slot whose limiter has also reserved a call with [Turn.Quota], in the same step. Reservation returns
// nil if it has not; the client then calls Reserve itself.
type ReservedSlot interface {
	Slot
	Reservation() Reservation
}

// Result is how an attempt ended.
type Result struct {
	Outcome    Outcome
	StatusCode int         // of the answer; 0: none
	Header     http.Header // of the answer; nil: none. Done must not keep or change it.
}

// WindowLimiter allows a number of calls in any 60 seconds, as the service counts them. It serves interactive callers
// before bulk callers, and each class in order of arrival. In its first minute it starts slowly: with one call alone,
// because an earlier process may have used up the minute, then with twice as many in flight after each round trip.
//
// If the service answers 429 although the window has room, others use the same allowance. The limiter then goes on with
// as many calls a minute as the service has admitted, evenly spaced, and tries more again from time to time.
//
// Create one with [NewLimiter]. It needs no Close.
type WindowLimiter struct{ queue *window.Limiter }

// LimiterOption configures a [WindowLimiter] or a [SharedLimiter].
type LimiterOption struct{ apply func(*window.Config) }

// WithBurst sets how many calls may go out at once. The default is perMinute. A smaller number spreads the calls more
// evenly. Numbers are clamped to the range 1 to perMinute.
func WithBurst(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Burst = min(max(calls, 1), c.Limit) }}
}

// WithReserve sets how many of a minute's calls bulk calls leave to interactive calls; see [WithBulk]. The default is a
// tenth of perMinute, but at most 10. Numbers are clamped to the range 0 to perMinute-1.
func WithReserve(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Reserve = min(max(calls, 0), c.Limit-1) }}
}

// WithBulkShare makes one call in so many a bulk call, if one is waiting, however many interactive calls there are. The
// default is 20. With 0 or less, interactive calls can hold back bulk calls for any length of time.
func WithBulkShare(oneIn int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Share = max(oneIn, 0) }}
}

const defaultBulkShare = 20

func limiterConfig(perMinute int, opts []LimiterOption) window.Config {
	perMinute = max(perMinute, 1)
	c := window.Config{
		Limit: perMinute, Burst: perMinute, Reserve: min(perMinute/10, defaultReserve), Share: defaultBulkShare,
	}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(&c)
		}
	}
	return c
}

// NewLimiter returns a limiter that allows perMinute calls in any 60 seconds; less than 1 means 1. All clients that act
// for the same user should share a limiter: pass it to each of them with [WithLimiter].
func NewLimiter(perMinute int, opts ...LimiterOption) *WindowLimiter {
	return &WindowLimiter{window.New(window.NewMemory(), limiterConfig(perMinute, opts))}
}

var errNotMade = errors.New("drift: the limiter was not made by NewLimiter or NewSharedLimiter")

// Acquire implements [Limiter].
func (l *WindowLimiter) Acquire(ctx context.Context, turn Turn) (Slot, error) {
	if l == nil || l.queue == nil {
		return nil, errNotMade
	}
	return acquire(ctx, l.queue, turn)
}

// Pause implements [Limiter].
func (l *WindowLimiter) Pause(ctx context.Context, until time.Time) error {
	if l == nil || l.queue == nil {
		return errNotMade
	}
	return l.queue.Pause(ctx, time.Until(until))
}

// Resume ends a pause at once, and makes the limiter forget that others use the allowance.
func (l *WindowLimiter) Resume() {
	if l != nil && l.queue != nil {
		_ = l.queue.Resume(context.Background()) // cannot fail: its store is in memory
	}
}

// Stats returns the current numbers.
func (l *WindowLimiter) Stats() LimiterStats {
	if l == nil || l.queue == nil {
		return LimiterStats{}
	}
	return limiterStats(l.queue.Stats())
}

// LimiterStats describes a limiter.
type LimiterStats struct {
	Limit       int           // calls a minute at present; less than the configured number after a 429
	Free        int           // slots that are free
	InFlight    int           // calls that are not answered yet
	Interactive int           // interactive calls that wait for a slot
	Bulk        int           // bulk calls that wait for a slot
	Pause       time.Duration // the rest of a pause; 0: there is none
}

func limiterStats(s window.Stats) LimiterStats {
	return LimiterStats{Limit: s.Limit, Free: s.Free, InFlight: s.InFlight, Interactive: s.Queued[0], Bulk: s.Queued[1],
		Pause: s.Pause}
}

func acquire(ctx context.Context, queue *window.Limiter, turn Turn) (Slot, error) {
	slot, err := queue.Acquire(ctx, window.Request{Bulk: turn.Class == ClassBulk, Since: turn.Since, Lease: turn.Timeout,
		Quota: turn.Quota})
	if err != nil {
		return nil, limitError(err)
	}
	return windowSlot{slot}, nil
}

func limitError(err error) error {
	var late *window.LateError
	if errors.As(err, &late) {
		return &RateLimitError{Local: true, RetryAfter: late.Wait, Err: context.DeadlineExceeded}
	}
	return err
}

// windowSlot is a slot of either limiter.
type windowSlot struct{ slot *window.Slot }

// Done implements Slot.
func (s windowSlot) Done(ctx context.Context, result Result) error {
	switch {
	case result.Outcome == OutcomeNotSent:
		return s.slot.Free(ctx)
	case result.StatusCode == http.StatusTooManyRequests:
		return s.slot.Refused(ctx)
	case result.Outcome == OutcomeAnswered:
		return s.slot.Used(ctx)
	default:
		return s.slot.Lost(ctx)
	}
}

// Reservation implements ReservedSlot.
func (s windowSlot) Reservation() Reservation {
	r, _ := s.slot.Reservation.(Reservation)
	return r
}
