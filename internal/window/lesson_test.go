package window_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/window"
)

// refuse makes a call that the service refuses, and waits out the pause that the service asks for.
func refuse(t *testing.T, w *testWindow, pause time.Duration) {
	t.Helper()
	slot := acquire(t, w, false)
	require.NoError(t, w.Limiter.Pause(context.Background(), pause))
	require.NoError(t, slot.slot.Refused(context.Background()))
}

func TestRefusalTeachesTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: full(100).Config, Kept: true})
		for range 40 {
			use(t, w)
		}
		refuse(t, w, time.Second)
		assert.Equal(t, 50, w.Stats().Limit, "one refusal is weak evidence")
		time.Sleep(time.Minute + 2*time.Second) // it has grown back, and the minute is over
		for range 40 {
			use(t, w)
		}
		refuse(t, w, time.Second)
		assert.Equal(t, 40, w.Stats().Limit)
		for _, step := range []struct{ after, limit int }{{1, 40}, {2, 41}, {2, 43}, {2, 47}, {8, 100}} {
			time.Sleep(time.Duration(step.after) * time.Second)
			assert.Equal(t, step.limit, w.Stats().Limit)
		}
	})
}

// Refused calls that were sent before the first of them came back do not slow the limiter down once more.
func TestRefusalsOfOneBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: full(100).Config, Kept: true})
		var slots []*testSlot
		for range 64 {
			slots = append(slots, acquire(t, w, false))
		}
		for i, slot := range slots {
			if i < 30 {
				slot.Used()
				continue
			}
			time.Sleep(time.Millisecond)
			require.NoError(t, w.Limiter.Pause(context.Background(), time.Second))
			require.NoError(t, slot.slot.Refused(context.Background()))
		}
		assert.Equal(t, 30, w.Stats().Limit)
		time.Sleep(2*time.Second + time.Millisecond)
		assert.Equal(t, 31, w.Stats().Limit, "the first step still takes a second")
	})
}

// Someone has used up the minute before: nothing is known about the pace.
func TestRefusalOfTheFirstCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		refuse(t, w, 10*time.Second)
		assert.Equal(t, 100, w.Stats().Limit)
		assert.Equal(t, 10*time.Second, w.Stats().Pause)
	})
}

// If the call after a pause is refused as well, the next pause is longer than the service asks for.
func TestRefusalAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: full(100).Config, Kept: true})
		use(t, w)
		for _, pause := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
			refuse(t, w, time.Second)
			assert.Equal(t, time.Duration(pause)*time.Second, w.Stats().Pause)
			time.Sleep(w.Stats().Pause)
		}
	})
}

func TestLimitNeverBelowOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: window.Config{Limit: 1, Burst: 1}, Kept: true})
		for range 10 {
			refuse(t, w, time.Second)
			assert.Equal(t, 1, w.Stats().Limit)
		}
	})
}
