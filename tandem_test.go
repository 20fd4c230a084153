package drift

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notingLimiter notes what happens to its slots.
type notingLimiter struct {
	acquire  func() error
	outcomes []Outcome
	paused   bool
}

func (l *notingLimiter) Acquire(context.Context, Turn) (Slot, error) { return l, l.acquire() }

func (l *notingLimiter) Done(_ context.Context, result Result) error {
	l.outcomes = append(l.outcomes, result.Outcome)
	return nil
}

func (l *notingLimiter) Pause(context.Context, time.Time) error {
	l.paused = true
	return nil
}

func TestTandem(t *testing.T) {
	fine := func() error { return nil }
	full := errors.New("full")
	front, behind := &notingLimiter{acquire: fine}, &notingLimiter{acquire: fine}
	slot, err := tandem{front, behind}.Acquire(t.Context(), Turn{Class: ClassBulk})
	require.NoError(t, err)
	require.NoError(t, slot.Done(t.Context(), Result{Outcome: OutcomeUnknown}))
	assert.Equal(t, []Outcome{OutcomeUnknown}, front.outcomes)
	assert.Equal(t, []Outcome{OutcomeUnknown}, behind.outcomes)
	require.NoError(t, tandem{front, behind}.Pause(t.Context(), time.Now()))
	assert.True(t, behind.paused)
	assert.False(t, front.paused)

	behind.acquire = func() error { return full }
	_, err = tandem{front, behind}.Acquire(t.Context(), Turn{Class: ClassBulk})
	require.ErrorIs(t, err, full)
	behind.acquire = func() error { panic("broken") }
	assert.Panics(t, func() { _, _ = tandem{front, behind}.Acquire(t.Context(), Turn{Class: ClassBulk}) })
	assert.Equal(t, []Outcome{OutcomeUnknown, OutcomeNotSent, OutcomeNotSent}, front.outcomes, "a slot is never kept")

	front.acquire = func() error { return full }
	_, err = tandem{front, behind}.Acquire(t.Context(), Turn{Class: ClassBulk})
	require.ErrorIs(t, err, full)
	assert.Len(t, front.outcomes, 3)
}
