package drift

import (
	"context"
	"sync"
	"time"
)

// tandem is a limiter in front of another one: an attempt needs a slot of both. It serves operations with a limit of
// their own.
type tandem struct{ front, behind Limiter }

// Acquire implements Limiter.
func (t tandem) Acquire(ctx context.Context, class Class) (Slot, error) {
	first, err := t.front.Acquire(ctx, class)
	if err != nil {
		return nil, err
	}
	complete := false
	defer func() { // also if the other limiter panics
		if !complete {
			first.Done(OutcomeNotSent)
		}
	}()
	second, err := t.behind.Acquire(ctx, class)
	if err != nil {
		return nil, err
	}
	complete = true
	return tandemSlot{first, second}, nil
}

// Pause implements Limiter.
func (t tandem) Pause(until time.Time) { t.behind.Pause(until) }

type tandemSlot struct{ front, behind Slot }

// Done implements Slot.
func (s tandemSlot) Done(outcome Outcome) {
	s.front.Done(outcome)
	s.behind.Done(outcome)
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
	byName map[string]Limiter
}

func (o *ownLimiters) get(name string, perMinute int) Limiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byName == nil {
		o.byName = map[string]Limiter{}
	}
	if o.byName[name] == nil {
		o.byName[name] = NewLimiter(perMinute)
	}
	return o.byName[name]
}
