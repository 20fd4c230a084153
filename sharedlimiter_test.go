package drift_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// sharedLimiters returns limiters that share a store, as processes would. They are closed at the end of the test.
func sharedLimiters(t *testing.T, n int, store drift.WindowStore) []*drift.SharedLimiter {
	limiters := make([]*drift.SharedLimiter, n)
	for i := range limiters {
		limiters[i] = drift.NewSharedLimiter(store, drift.DefaultRateLimit)
		t.Cleanup(func() { assert.NoError(t, limiters[i].Close(context.Background())) })
	}
	return limiters
}

// sharingClients returns clients of a server, each with a limiter of its own over one store.
func sharingClients(t *testing.T, n int, server *oracle) []*drift.Client {
	clients := make([]*drift.Client, n)
	for i, limiter := range sharedLimiters(t, n, testkit.NewSharedWindow()) {
		clients[i] = testkit.Through(t, server.serve, drift.WithLimiter(limiter), testkit.WithoutBudget)
	}
	return clients
}

func TestLimitsOfEightProcesses(t *testing.T) {
	seed := testkit.Seed(t)
	for _, c := range countings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, start := newOracle(c, usualDelays, seed), time.Now()
				testkit.CallAll(t, 125, 64, sharingClients(t, 8, server)...)
				assert.Empty(t, server.refused)
				assertMakespan(t, 9, time.Since(start), server)
			})
		})
	}
}

func TestLimitsOfEightProcessesBesideOthers(t *testing.T) {
	seed := testkit.Seed(t)
	for _, c := range countings {
		for _, others := range []int{30, 60} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := newOracle(c, usualDelays, seed)
					besideOthers(t, server, others, time.Minute, 64, sharingClients(t, 8, server)...)
				})
			})
		}
	}
}

// brokenWindow is a store that can fail, hang or panic.
type brokenWindow struct {
	*testkit.SharedWindow
	err    atomic.Pointer[error]
	panics atomic.Bool
	gives  atomic.Int32
}

func (w *brokenWindow) fail(err error) { w.err.Store(&err) }

func (w *brokenWindow) broken() error {
	if w.panics.Load() {
		panic("broken")
	}
	if err := w.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (w *brokenWindow) Take(ctx context.Context, c drift.WindowClaim) (drift.WindowState, error) {
	if err := w.broken(); err != nil {
		return drift.WindowState{}, err
	}
	return w.SharedWindow.Take(ctx, c)
}

func (w *brokenWindow) Give(ctx context.Context, slot uint64, end drift.WindowEnd) (drift.WindowState, error) {
	w.gives.Add(1)
	if err := w.broken(); err != nil {
		return drift.WindowState{}, err
	}
	return w.SharedWindow.Give(ctx, slot, end)
}

func (w *brokenWindow) Pause(ctx context.Context, p drift.WindowPause) (drift.WindowState, error) {
	if err := w.broken(); err != nil {
		return drift.WindowState{}, err
	}
	return w.SharedWindow.Pause(ctx, p)
}

var answered = drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: 200}

func TestStoreOfSlotsThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenWindow{SharedWindow: testkit.NewSharedWindow()}
		limiter := sharedLimiters(t, 1, store)[0]
		broken := errors.New("the store is away")
		store.fail(broken)
		_, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.ErrorIs(t, err, broken)
		require.ErrorIs(t, limiter.Pause(t.Context(), time.Now().Add(time.Minute)), broken)
		store.err.Store(nil)

		start := time.Now()
		slot, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		assert.InDelta(t, 60, time.Since(start).Seconds(), 1, "the store was told of the pause as soon as it was back")
		require.NoError(t, slot.Done(t.Context(), answered))
	})
}

// A store that panics ends one call. The limiter goes on.
func TestStoreOfSlotsThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenWindow{SharedWindow: testkit.NewSharedWindow()}
		limiter := sharedLimiters(t, 1, store)[0]
		store.panics.Store(true)
		assert.Panics(t, func() { _, _ = limiter.Acquire(t.Context(), drift.Turn{}) })
		store.panics.Store(false)
		slot, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		require.NoError(t, slot.Done(t.Context(), answered))
	})
}

// Done does not wait for the store, which is told again until it knows. Close waits for that.
func TestDoneIsToldUntilTheStoreKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenWindow{SharedWindow: testkit.NewSharedWindow()}
		limiter := sharedLimiters(t, 1, store)[0]
		slot, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		store.fail(errors.New("away"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, slot.Done(ctx, drift.Result{Outcome: drift.OutcomeNotSent}), "even if the caller has left")
		time.Sleep(5500 * time.Millisecond)
		assert.Greater(t, store.gives.Load(), int32(3))
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		closing, err := make(chan error, 1), error(nil)
		go func() { closing <- limiter.Close(t.Context()) }()
		synctest.Wait()
		store.err.Store(nil)
		require.NoError(t, <-closing)
		state, err := store.Look(t.Context())
		require.NoError(t, err)
		assert.Zero(t, state.InFlight)
		assert.Empty(t, state.Returns)
		_ = ctx
	})
}

func TestCloseOfASharedLimiterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenWindow{SharedWindow: testkit.NewSharedWindow()}
		limiter := drift.NewSharedLimiter(store, 100)
		slot, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		store.fail(errors.New("away"))
		require.NoError(t, slot.Done(t.Context(), answered))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, limiter.Close(ctx), context.DeadlineExceeded)
		testkit.AssertTook(t, time.Second, start)
		synctest.Wait() // no goroutine is left, which the bubble would report
	})
}

// What one process is told holds for all.
func TestPauseOfAllProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiters := sharedLimiters(t, 2, testkit.NewSharedWindow())
		here, there := limiters[0], limiters[1]
		start := time.Now()
		require.NoError(t, here.Pause(t.Context(), start.Add(30*time.Second)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := there.Acquire(ctx, drift.Turn{})
		testkit.RequireLocalLimit(t, err, 30*time.Second)
		testkit.AssertTook(t, 0, start)
		assert.Equal(t, 30*time.Second, there.Stats().Pause)

		var waiting sync.WaitGroup
		waiting.Go(func() {
			slot, err := there.Acquire(t.Context(), drift.Turn{})
			if assert.NoError(t, err) {
				assert.NoError(t, slot.Done(t.Context(), answered))
			}
		})
		synctest.Wait()
		assert.Equal(t, 1, there.Stats().Interactive)
		time.Sleep(10 * time.Second)
		require.NoError(t, here.Resume(t.Context()))
		waiting.Wait()
		assert.LessOrEqual(t, time.Since(start), 11*time.Second, "within a second")
	})
}

func TestSharedLimiterThatWasNotMade(t *testing.T) {
	for _, limiter := range []*drift.SharedLimiter{nil, {}} {
		_, err := limiter.Acquire(t.Context(), drift.Turn{})
		assert.ErrorContains(t, err, "NewSharedLimiter")
		assert.Error(t, limiter.Pause(t.Context(), time.Now()))
		assert.Error(t, limiter.Resume(t.Context()))
		assert.NoError(t, limiter.Close(t.Context()))
		assert.Zero(t, limiter.Stats())
	}
}
