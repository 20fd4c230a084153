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
// before bulk callers, and each class in order of arrival. Its first call goes out alone, because an earlier process
// may have used up the minute. Create one with [NewLimiter].
type WindowLimiter struct{ window *window.Window }

// LimiterOption configures a [WindowLimiter].
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

// NewLimiter returns a limiter that allows perMinute calls in any 60 seconds; less than 1 means 1. All clients that act
// for the same user should share a limiter: pass it to each of them with [WithLimiter].
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
func (l *WindowLimiter) Acquire(ctx context.Context, turn Turn) (Slot, error) {
	if l == nil || l.window == nil {
		return nil, errors.New("drift: the limiter was not made by NewLimiter")
	}
	slot, err := l.window.Acquire(ctx, turn.Class == ClassBulk)
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
func (l *WindowLimiter) Pause(_ context.Context, until time.Time) error {
	if l != nil && l.window != nil {
		l.window.Pause(until)
	}
	return nil
}

type windowSlot struct{ slot *window.Slot }

func (s windowSlot) Done(_ context.Context, result Result) error {
	if result.Outcome == OutcomeNotSent {
		s.slot.Free()
	} else {
		s.slot.Used()
	}
	return nil
}
