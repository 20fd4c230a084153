package drift

import (
	"context"
	"errors"
	"sync"
	"time"
)

// tandem is a limiter in front of another one: an attempt needs a slot of both. It serves operations with a limit of
// their own.
type tandem struct{ front, behind Limiter }

// Acquire implements Limiter.
func (t tandem) Acquire(ctx context.Context, turn Turn) (Slot, error) {
	ahead := turn
	ahead.Quota = nil // the call is reserved once
	first, err := t.front.Acquire(ctx, ahead)
	if err != nil {
		return nil, err
	}
	complete := false
	defer func() { // also if the other limiter panics
		if !complete {
			_ = first.Done(context.WithoutCancel(ctx), Result{Outcome: OutcomeNotSent})
		}
	}()
	second, err := t.behind.Acquire(ctx, turn)
	if err != nil {
		return nil, err
	}
	complete = true
	return tandemSlot{first, second}, nil
}

// Pause implements Limiter.
func (t tandem) Pause(ctx context.Context, until time.Time) error { return t.behind.Pause(ctx, until) }

type tandemSlot struct{ front, behind Slot }

// Done implements Slot.
func (s tandemSlot) Done(ctx context.Context, result Result) error {
	return errors.Join(s.front.Done(ctx, result), s.behind.Done(ctx, result))
}

// Reservation implements ReservedSlot.
func (s tandemSlot) Reservation() Reservation {
	if slot, ok := s.behind.(ReservedSlot); ok {
		return slot.Reservation()
	}
	return nil
}

// slots returns the limiter of the call.
func (c *call) slots() Limiter {
	if front, ok := c.in.Limiter.(Limiter); ok {
		return tandem{front, c.limiter}
	}
	return c.limiter
}

// ownLimiters are the limiters of operations with a limit of their own, by name. A client shares them with its views.
type ownLimiters struct {
	mu     sync.Mutex
	byName map[string]*WindowLimiter
}

func (o *ownLimiters) get(name string, perMinute int) Limiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName == nil {
		o.byName = map[string]*WindowLimiter{}
	}
	if o.byName[name] == nil {
		o.byName[name] = NewLimiter(perMinute)
	}
	return o.byName[name]
}

// addWaiting adds the calls that wait for one of these limiters.
func (o *ownLimiters) addWaiting(stats *LimiterStats) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, limiter := range o.byName {
		own := limiter.Stats()
		stats.Interactive += own.Interactive
		stats.Bulk += own.Bulk
	}
}
