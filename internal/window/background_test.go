package window_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/window"
)

// slowStore is a store in memory, and far away.
type slowStore struct {
	*window.Memory
	delay time.Duration
	takes time.Duration // how long Take takes

	mu     sync.Mutex
	broken error
}

func (s *slowStore) breakWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

func (s *slowStore) wait(ctx context.Context) error {
	s.mu.Lock()
	err := s.broken
	s.mu.Unlock()
	select {
	case <-time.After(s.delay):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Take returns what was so when it was called.
func (s *slowStore) Take(ctx context.Context, claim window.Claim) (window.State, error) {
	state, err := s.Memory.Take(ctx, claim)
	time.Sleep(s.takes)
	return state, err
}

func (s *slowStore) Give(ctx context.Context, slot uint64, end window.End) (window.State, error) {
	if err := s.wait(ctx); err != nil {
		return window.State{}, err
	}
	return s.Memory.Give(ctx, slot, end)
}

func (s *slowStore) Pause(ctx context.Context, p window.Pause) (window.State, error) {
	if err := s.wait(ctx); err != nil {
		return window.State{}, err
	}
	return s.Memory.Pause(ctx, p)
}

func newShared(t *testing.T, store window.Store) *testWindow {
	l := window.New(store, window.Config{Limit: 1, Burst: 1, Recheck: time.Second})
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return &testWindow{l}
}

// A slot that was given back unused is free, although the store does not know yet: a short deadline is not refused.
func TestSlotThatIsAboutToBeFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShared(t, &slowStore{Memory: window.NewMemory(), delay: 300 * time.Millisecond})
		acquire(t, w, false).Free()
		start := time.Now()
		slot, err := w.Acquire(within(t, 900*time.Millisecond), false)
		require.NoError(t, err)
		assert.Equal(t, 300*time.Millisecond, time.Since(start))
		slot.Free()
	})
}

// A slot that was freed while the store was asked is not forgotten until the store is asked again.
func TestSlotFreedWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShared(t, &slowStore{Memory: window.NewMemory(), takes: 300 * time.Millisecond})
		slot := acquire(t, w, false)
		start := time.Now()
		time.AfterFunc(200*time.Millisecond, slot.Free)
		acquire(t, w, false).Free()
		assert.Equal(t, 600*time.Millisecond, time.Since(start))
	})
}

// A pause that the store was not told of in time is repeated, for as long as it lasts.
func TestPauseThatTheStoreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Memory: window.NewMemory()}
		here, there := newShared(t, store), newShared(t, store)
		gone := errors.New("gone")
		store.breakWith(gone)
		start := time.Now()
		require.ErrorIs(t, here.Limiter.Pause(t.Context(), 30*time.Second), gone)
		time.Sleep(2 * time.Second)
		store.breakWith(nil)
		time.Sleep(2 * time.Second)
		acquire(t, there, false).Free()
		assert.InDelta(t, 30, time.Since(start).Seconds(), 0.01)
	})
}

// A store that hangs holds up a pause for a second.
func TestPauseOfAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShared(t, &slowStore{Memory: window.NewMemory(), delay: time.Hour})
		start := time.Now()
		require.ErrorIs(t, w.Limiter.Pause(context.Background(), 2*time.Second), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// A caller that waits for a call in flight to end is not forgotten when another one looks at the store meanwhile.
func TestLookDoesNotForgetWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(1))
		slot := acquire(t, w, false)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			acquire(t, w, false).Free()
			assert.Equal(t, time.Second+window.Length, time.Since(start))
		})
		synctest.Wait()
		_, err := w.Acquire(within(t, time.Second/2), false)
		requireOneOf(t, err)
		time.Sleep(time.Second)
		slot.Used()
		wg.Wait()
	})
}
