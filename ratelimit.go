package drift

import (
	"context"
	"errors"
	"time"

	"github.com/driftsdk/drift/internal/window"
)

// DefaultRateLimit is how many calls a minute the product allows each user.
const DefaultRateLimit = 100

// defaultReserve is how many slots bulk calls leave free if the limit is 100 or more.
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
	OutcomeNotSent  Outcome = iota // provably not sent, so the service has not counted it
	OutcomeAnswered                // the headers of the answer have arrived
	OutcomeUnknown                 // possibly sent, but no answer arrived
)

// Limiter decides when an attempt may go out; see [WithLimiter]. Without one, a client has a [WindowLimiter].
// Implementations must be safe for concurrent use.
type Limiter interface {
	// Acquire waits for the right to make one attempt. If the wait would outlast the context's deadline, it returns a
	// *RateLimitError at once. If the context ends, it returns the context's error.
	Acquire(ctx context.Context, class Class) (Slot, error)

	// Pause holds back every attempt until the given time, because the service has asked for it.
	Pause(until time.Time)
}

// Slot is the right to make one attempt.
type Slot interface {
	// Done gives the slot back. A client calls it once, as soon as it knows the outcome.
	Done(Outcome)
}

// WindowLimiter allows a number of calls in any 60 seconds, as the service sees them. It serves interactive callers
// before bulk callers, and each class in order of arrival. Its first call goes out alone, because an earlier process
// may have used up the minute. [NewLimiter] makes one.
type WindowLimiter struct{ window *window.Window }

// LimiterOption configures a [WindowLimiter].
type LimiterOption struct{ apply func(*window.Config) }

// WithBurst sets how many calls may go out at once, by default as many as in a minute. A smaller number gives a
// smoother pace. A number outside 1 to perMinute becomes the nearest one inside.
func WithBurst(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Burst = min(max(calls, 1), c.Limit) }}
}

// WithReserve sets how many of a minute's calls [WithBulk] leaves to interactive callers, by default a tenth of
// perMinute, but at most 10. A number outside 0 to perMinute-1 becomes the nearest one inside.
func WithReserve(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Reserve = min(max(calls, 0), c.Limit-1) }}
}

// NewLimiter returns a limiter that allows perMinute calls a minute, at least 1. All clients that act for the same user
// should share one: pass it to each with [WithLimiter].
func NewLimiter(perMinute int, opts ...LimiterOption) *WindowLimiter {
	perMinute = max(perMinute, 1)
	c := window.Config{Limit: perMinute, Burst: perMinute, Reserve: min(perMinute/10, defaultReserve)}
	for _, o := range opts {
		if o.apply != nil {
			o.apply(&c)
		}
	}
	return &WindowLimiter{window.New(c)}
}

// Acquire implements [Limiter].
func (l *WindowLimiter) Acquire(ctx context.Context, class Class) (Slot, error) {
	if l == nil || l.window == nil {
		return nil, errors.New("drift: the limiter was not made by NewLimiter")
	}
	slot, err := l.window.Acquire(ctx, class == ClassBulk)
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

// Pause implements [Limiter].
func (l *WindowLimiter) Pause(until time.Time) {
	if l != nil && l.window != nil {
		l.window.Pause(until)
	}
}

type windowSlot struct{ slot *window.Slot }

func (s windowSlot) Done(o Outcome) {
	if o == OutcomeNotSent {
		s.slot.Free()
		return
	}
	s.slot.Used()
}
