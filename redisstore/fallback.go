package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/driftsdk/drift"
)

// settling is how long the local share goes on after Redis is back, so that every process has told it of its calls
// before one of them makes the first call by the shared window again.
const settling = time.Second

// fallback is what calls go by while Redis is away: a share of the minute, and a count of the month in memory. Its
// goroutine runs as long as Redis has not been told of everything.
type fallback struct {
	store *Store
	local *drift.WindowLimiter

	mu      sync.Mutex
	on      bool
	owed    map[uint64]*localSlot // that Redis does not know of
	unpaid  int                   // calls of the month that Redis does not know of
	batch   uint64                // the number under which Redis gets to know of them
	working bool
	closed  bool
	stop    context.CancelFunc
	stopped chan struct{}
}

// localSlot is a slot of the local share.
type localSlot struct {
	drift.Slot
	fallback *fallback
	id       uint64
	lease    time.Duration

	// Guarded by fallback.mu.
	held bool      // Redis knows that the call is under way
	back time.Time // when the slot becomes free; zero: the call is under way
}

func newFallback(s *Store, perMinute int) *fallback {
	return &fallback{store: s, local: drift.NewLimiter(perMinute), owed: make(map[uint64]*localSlot), batch: newID()}
}

func (f *fallback) active() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

// begins reports whether calls go by the local share because of an error.
func (f *fallback) begins(err error) bool {
	if !errors.Is(err, ErrAway) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.on && !f.closed {
		f.on = true
		// The minute may be used up by others, so the first calls go one after the other.
		_ = f.local.Pause(context.Background(), time.Now().Add(time.Millisecond))
		f.work()
	}
	return f.on
}

func (f *fallback) acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	slot, err := f.local.Acquire(ctx, turn)
	if err != nil {
		return nil, err
	}
	s := &localSlot{Slot: slot, fallback: f, id: newID(), lease: max(turn.Timeout, defaultLease)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owed[s.id] = s
	return s, nil
}

// Done implements [drift.Slot].
func (s *localSlot) Done(ctx context.Context, result drift.Result) error {
	f := s.fallback
	f.mu.Lock()
	defer f.mu.Unlock()
	stays := f.store.length
	switch result.Outcome {
	case drift.OutcomeNotSent:
		stays = 0
	case drift.OutcomeUnknown:
		stays += f.store.margin()
	}
	s.back = time.Now().Add(stays)
	f.work()
	return s.Slot.Done(ctx, result)
}

// work starts the goroutine if there is something to tell Redis.
func (f *fallback) work() {
	if f.working || f.closed || !f.on && len(f.owed) == 0 && f.unpaid == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.working, f.stop, f.stopped = true, cancel, make(chan struct{})
	go f.tell(ctx, f.stopped)
}

// tell tells Redis of the local calls until none are left and Redis has answered for a while.
func (f *fallback) tell(ctx context.Context, stopped chan struct{}) {
	defer close(stopped)
	var since time.Time // when Redis answered again
	for {
		err := f.tellOnce(ctx)
		switch {
		case err != nil:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		if f.ends(since) {
			return
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
			return
		}
	}
}

// ends reports whether the goroutine has nothing left to do. Then calls go by the shared window again.
func (f *fallback) ends(since time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since.IsZero() || time.Since(since) < settling && !f.closed {
		return false
	}
	f.on = false
	for _, s := range f.owed {
		if !s.held || !s.back.IsZero() {
			return false
		}
	}
	f.working = f.unpaid > 0
	return !f.working
}

func (f *fallback) tellOnce(ctx context.Context) error {
	w, slots := sharedWindow{f.store}, f.toTell()
	if _, err := w.Look(ctx); err != nil {
		return err
	}
	for _, s := range slots {
		if err := f.tellOf(ctx, w, s); err != nil {
			return err
		}
	}
	f.mu.Lock()
	calls, batch := f.unpaid, f.batch
	f.mu.Unlock()
	if calls == 0 {
		return nil
	}
	_, err := f.store.call(ctx, request{op: "reserve", id: text(batch), args: []any{calls}, counts: true})
	if err == nil {
		f.mu.Lock()
		f.unpaid, f.batch = f.unpaid-calls, newID()
		f.mu.Unlock()
	}
	return err
}

// toTell returns the slots of which Redis does not know enough. It forgets those of which it need not know any more.
func (f *fallback) toTell() (slots []*localSlot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, s := range f.owed {
		switch {
		case !s.held && !s.back.IsZero() && !time.Now().Before(s.back):
			delete(f.owed, id)
		case !s.held || !s.back.IsZero():
			slots = append(slots, s)
		}
	}
	return slots
}

func (f *fallback) tellOf(ctx context.Context, w sharedWindow, s *localSlot) error {
	f.mu.Lock()
	back := s.back
	f.mu.Unlock()
	if back.IsZero() {
		_, err := f.store.call(ctx, request{op: "hold", id: text(s.id), args: []any{s.lease.Microseconds()}})
		f.mu.Lock()
		defer f.mu.Unlock()
		s.held = s.held || err == nil
		return err
	}
	_, err := w.Give(ctx, s.id, drift.WindowEnd{Back: max(0, time.Until(back))})
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.owed, s.id)
	}
	return err
}

// close waits until Redis has been told of the calls that have ended, or the context ends.
func (f *fallback) close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	working, stop, stopped := f.working, f.stop, f.stopped
	f.mu.Unlock()
	if !working {
		return nil
	}
	defer stop()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		stop()
		<-stopped
		return ctx.Err()
	}
}

// reserve counts a call of the month in memory.
func (f *fallback) reserve() (drift.Reservation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	usage := f.usageNow()
	if usage.Limit > 0 && usage.Used >= usage.Limit {
		return nil, &drift.QuotaError{Usage: usage}
	}
	f.unpaid++
	usage.Used++
	f.work()
	return &localReservation{f, f.batch, usage}, nil
}

func (f *fallback) usage() drift.Usage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usageNow()
}

// usageNow adds the calls in memory to what Redis has last said, unless that was in another month.
func (f *fallback) usageNow() drift.Usage {
	s := f.store
	s.mu.Lock()
	known, now := s.known, time.Now().Add(s.clock.wall)
	s.mu.Unlock()
	month := max(monthOf(now, s.location), known.month)
	usage := drift.Usage{Used: f.unpaid, Limit: s.plan, ResetsAt: startOfMonth(month+1, s.location)}
	if known.month == month {
		usage.Used += known.used
	}
	return usage
}

// localReservation is a call that is counted in memory.
type localReservation struct {
	fallback *fallback
	batch    uint64
	usage    drift.Usage
}

// Usage implements [drift.Reservation].
func (r *localReservation) Usage() drift.Usage { return r.usage }

// Refund takes the call back, unless Redis has been told of it: then the count stays too high by one.
func (r *localReservation) Refund(context.Context) error {
	f := r.fallback
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.batch == f.batch && f.unpaid > 0 {
		r.batch = 0
		f.unpaid--
	}
	return nil
}
