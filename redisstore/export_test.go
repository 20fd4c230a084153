package redisstore

import (
	"context"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// WithMinute makes a minute shorter.
func WithMinute(d time.Duration) Option { return func(c *config) { c.length = d } }

// ShortLimiter is Limiter for a store with a shorter minute: limit calls in each of those.
//
// The queue in front of the store knows only real minutes. So it is told that it may make as many calls in one as fit
// into the shorter ones, most of which are always taken.
func (s *Store) ShortLimiter(limit int, opts ...drift.LimiterOption) *Limiter {
	factor := int(window.Length / s.length)
	w := shortWindow{s.window(), factor, limit * (factor - 1)}
	l := &Limiter{s, drift.NewSharedLimiter(w, limit*factor, opts...)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limiters = append(s.limiters, l.shared)
	return l
}

type shortWindow struct {
	drift.WindowStore
	factor int
	always int // taken
}

func (w shortWindow) Take(ctx context.Context, c drift.WindowClaim) (drift.WindowState, error) {
	c.Capacity -= w.always
	s, err := w.WindowStore.Take(ctx, c)
	return w.state(s), err
}

func (w shortWindow) Give(ctx context.Context, slot uint64, end drift.WindowEnd) (drift.WindowState, error) {
	end.Back /= time.Duration(w.factor)
	s, err := w.WindowStore.Give(ctx, slot, end)
	return w.state(s), err
}

func (w shortWindow) Look(ctx context.Context) (drift.WindowState, error) {
	s, err := w.WindowStore.Look(ctx)
	return w.state(s), err
}

func (w shortWindow) Pause(ctx context.Context, p drift.WindowPause) (drift.WindowState, error) {
	s, err := w.WindowStore.Pause(ctx, p)
	return w.state(s), err
}

// state says how long ago things were as if minutes were long.
func (w shortWindow) state(s drift.WindowState) drift.WindowState {
	if s.Slot != 0 {
		return s
	}
	s.InFlight += w.always
	if s.Pause < 0 {
		s.Pause = max(s.Pause, -time.Minute) * time.Duration(w.factor)
	}
	s.Age = min(s.Age, time.Minute) * time.Duration(w.factor)
	return s
}

// Window returns the store as a drift.WindowStore.
func (s *Store) Window() drift.WindowStore { return s.window() }

// SetLockLife sets after how long the lock of a dead holder ends.
func (t *Tokens) SetLockLife(d time.Duration) { t.life = d }
