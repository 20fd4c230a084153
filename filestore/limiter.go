package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/driftsdk/drift"
)

// Limiter returns a limiter that uses the window in the file. All processes and runs that use the file make at most
// perMinute calls in any 60 seconds, as the service counts them. A number below 1 counts as 1, and one above 1,000 as
// 1,000. Call Limiter once, and pass the result to every client that uses the quota, with [drift.WithLimiter]. Separate
// limiters share the window, but not the queue of callers. [Quota.Close] closes the limiter.
//
// The file keeps perMinute: another number is an [ErrSettings] of Acquire. If a client has the limiter and its quota,
// both take one step, and a call is counted in the month and the minute with one flush. If a process dies, the slots of
// its calls become free 63 seconds after another process notices. If the file cannot be read or written, Acquire
// returns an [*Error].
func (q *Quota) Limiter(perMinute int, opts ...drift.LimiterOption) *drift.SharedLimiter {
	perMinute = min(max(perMinute, 1), maxPerMinute)
	store := &windowStore{quota: q, perMinute: uint32(perMinute), change: q.change}
	l := drift.NewSharedLimiter(store, perMinute, opts...)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limiters = append(q.limiters, l)
	return l
}

// windowStore is the window in the file, for one limiter.
type windowStore struct {
	quota     *Quota
	perMinute uint32
	change    bool // perMinute goes into the file; guarded by file.do
}

var _ drift.WindowStore = (*windowStore)(nil)

// Take implements [drift.WindowStore].
func (s *windowStore) Take(ctx context.Context, claim drift.WindowClaim) (state drift.WindowState, err error) {
	q := s.quota
	err = q.file.do(ctx, func() error {
		w, now, err := s.load()
		if err != nil {
			return err
		}
		var counted record
		if claim.Quota == drift.QuotaStore(q) { // if the month is used up, nobody waits for a slot
			if counted, state.Reservation, err = q.reserve(); err != nil {
				return err
			}
		}
		if !w.allows(claim, now, q.length) {
			state = w.state(now)
			return s.save(w)
		}
		serial := q.hold(w, claim, now)
		if err = s.save(w); err == nil && state.Reservation != nil {
			err = q.save(counted)
		}
		if err != nil {
			q.drop(serial)
			return err
		}
		state.Slot = uint64(q.owner.instance)<<32 | uint64(serial)
		return nil
	})
	if err != nil {
		return drift.WindowState{}, err
	}
	return state, nil
}

// hold takes a slot.
func (q *Quota) hold(w *minuteWindow, claim drift.WindowClaim, now int64) (serial uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.serial++
	lease := min(claim.Lease, longestLease)
	q.held[q.serial] = &holding{pauses: w.pauses, until: time.Now().Add(lease)}
	taken := slot{owner: q.owner, serial: q.serial, pauses: w.pauses, inFlight: true, until: now + int64(lease)}
	w.slots = append(w.slots, taken)
	w.last[class(claim)] = now
	if w.first == 0 {
		w.first = now
	}
	return q.serial
}

// drop forgets a slot, which the next merge removes from the file.
func (q *Quota) drop(serial uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, serial)
}

// Give implements [drift.WindowStore].
func (s *windowStore) Give(ctx context.Context, slot uint64, end drift.WindowEnd) (drift.WindowState, error) {
	s.quota.end(uint32(slot), end)
	return s.update(ctx, func(*minuteWindow, int64) {})
}

// end notes how the call of a slot ended. The next merge tells the file.
func (q *Quota) end(serial uint32, end drift.WindowEnd) {
	q.mu.Lock()
	defer q.mu.Unlock()
	h := q.held[serial]
	switch {
	case h == nil || h.ended:
	case end.Back <= 0:
		delete(q.held, serial)
	default:
		h.ended, h.refused, h.admitted = true, end.Refused, !end.Refused
		h.until = time.Now().Add(end.Back)
	}
}

// Look implements [drift.WindowStore].
func (s *windowStore) Look(ctx context.Context) (drift.WindowState, error) {
	return s.update(ctx, func(*minuteWindow, int64) {})
}

// Pause implements [drift.WindowStore].
func (s *windowStore) Pause(ctx context.Context, p drift.WindowPause) (drift.WindowState, error) {
	return s.update(ctx, func(w *minuteWindow, now int64) { w.change(p, now) })
}

// update changes the window and returns its state.
func (s *windowStore) update(
	ctx context.Context, change func(w *minuteWindow, now int64),
) (state drift.WindowState, err error) {
	err = s.quota.file.do(ctx, func() error {
		w, now, err := s.load()
		if err != nil {
			return err
		}
		change(w, now)
		state = w.state(now)
		return s.save(w)
	})
	return state, err
}

// load returns the window, if its limit is that of this process.
func (s *windowStore) load() (*minuteWindow, int64, error) {
	w, now, err := s.quota.loadWindow()
	if err != nil {
		return nil, 0, err
	}
	if w.perMinute == 0 || s.change {
		w.perMinute = s.perMinute
	}
	if w.perMinute != s.perMinute {
		return nil, 0, wrap(s.quota.file.path,
			fmt.Errorf("%w: it allows %d calls a minute, not %d", ErrSettings, w.perMinute, s.perMinute))
	}
	return w, now, nil
}

func (s *windowStore) save(w *minuteWindow) error {
	err := s.quota.saveWindow(w)
	if err == nil {
		s.change = false
	}
	return err
}

// loadWindow reads the window and brings it up to date. A damaged window counts as full.
func (q *Quota) loadWindow() (*minuteWindow, int64, error) {
	if err := q.file.read(q.buffer, windowOffset); err != nil {
		return nil, 0, err
	}
	now := q.clock().UnixNano()
	w := decodeWindow(q.buffer)
	if w == nil {
		w = fullWindow(now, now+int64(q.length+q.length/marginPart))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	w.merge(q.owner, q.held, time.Now(), now)
	w.settle(q.owner, now, q.length)
	return w, now, nil
}

// saveWindow writes the window, and forgets the slots that are free.
func (q *Quota) saveWindow(w *minuteWindow) error {
	if err := q.file.write(w.encode(q.buffer), windowOffset); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for serial, h := range q.held {
		h.told = h.telling
		if h.told && !h.until.After(now) {
			delete(q.held, serial)
		}
	}
	return nil
}

// release gives back the slots of calls in flight, as if this process had died.
func (q *Quota) release(ctx context.Context) error {
	if !q.endAll() {
		return nil
	}
	err := q.file.do(ctx, func() error {
		w, _, err := q.loadWindow()
		if err != nil {
			return err
		}
		return q.saveWindow(w)
	})
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// endAll ends the calls in flight, and reports whether there is something to tell the file.
func (q *Quota) endAll() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, h := range q.held {
		if !h.ended {
			h.ended, h.until = true, time.Now().Add(q.length+q.length/marginPart)
		}
	}
	return len(q.held) > 0
}
