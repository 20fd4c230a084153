package drift

import (
	"context"
	"errors"
	"time"

	"github.com/driftsdk/drift/internal/window"
)

// DefaultRateLimit is how many calls the product allows per user in a minute.
const DefaultRateLimit = 100

// defaultReserve is how many slots calls with WithBulk leave free, of a limit of 100 or more.
const defaultReserve = 10

// Class tells a limiter what kind of call waits.
type Class int

// The classes of calls.
const (
	ClassInteractive Class = iota
	ClassBulk              // WithBulk: leaves slots free for the others
)

// Outcome tells a limiter what became of a call.
type Outcome int

// The outcomes of an attempt.
const (
	OutcomeNotSent  Outcome = iota // provably not sent: the service has not counted it
	OutcomeAnswered                // the answer's headers have come
	OutcomeUnknown                 // sent, or may have been, and no answer came
)

// Limiter decides when an attempt may go out. Implementations must be safe for concurrent use. [WindowLimiter] is the one
// that clients have by default.
type Limiter interface {
	// Acquire waits for the right to one attempt. It returns when the context ends, with the context's error, and at once,
	// with a *RateLimitError, where the wait would outlast the context's deadline.
	Acquire(ctx context.Context, class Class) (Slot, error)

	// Pause keeps every attempt back until then: the service has asked for it.
	Pause(until time.Time)
}

// Slot is the right to one attempt.
type Slot interface {
	// Done gives the slot back. It must be called once, as soon as the outcome is known.
	Done(Outcome)
}

// WindowLimiter allows a number of calls in any 60 seconds, measured where it counts: at the service. Callers of a class are
// served in order, interactive ones before bulk. Its first call goes alone, because nobody knows what an earlier process has
// used. [NewLimiter] makes one.
type WindowLimiter struct{ window *window.Window }

// LimiterOption configures a [WindowLimiter].
type LimiterOption struct{ apply func(*window.Config) }

// WithBurst sets how many calls may go out at once, perMinute by default; a smaller number gives a smoother pace. Numbers
// out of range are moved into it.
func WithBurst(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Burst = min(max(calls, 1), c.Limit) }}
}

// WithReserve sets how many calls of each minute [WithBulk] leaves free: by default a tenth of perMinute, at most 10.
// Numbers out of range are moved into it.
func WithReserve(calls int) LimiterOption {
	return LimiterOption{func(c *window.Config) { c.Reserve = min(max(calls, 0), c.Limit-1) }}
}

// NewLimiter returns a limiter for clients that act for the same user; a number below 1 counts as 1. Give it to each of them
// with [WithLimiter].
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
		return nil, errors.New("drift: this limiter was not made by NewLimiter")
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
