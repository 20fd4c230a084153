// Package window limits how many calls a server sees in any rolling minute, regardless of network delays.
//
// A call takes a slot before it is sent, and the slot is free again a minute after the call was answered. The server
// counts the call between the two, so two calls in the same slot are at least a minute apart on its clock. A token
// bucket alone cannot guarantee that. The window has one in addition, which spreads the calls evenly after a pause, or
// always if its burst is small.
package window

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Length is how long a slot stays taken after its call was answered.
const Length = time.Minute

// Config configures a Window.
type Config struct {
	Limit   int  // calls in any minute, at least 1
	Burst   int  // size of the token bucket, from 1 to Limit
	Reserve int  // slots that bulk calls leave free, less than Limit
	Kept    bool // no earlier process made calls that this window does not know; the first call need not go out alone
}

// Window is the limiter. Interactive callers go before bulk callers, and each class is served in order of arrival. No
// goroutine runs in the background: a timer admits the next waiter when its time comes.
type Window struct {
	limit, burst, reserve int
	rate                  rate.Limit

	mu          sync.Mutex // guards everything below
	bucket      *rate.Limiter
	paused      time.Time   // no call goes out before this time
	interactive list.List   // of *waiter, in order of arrival
	bulk        list.List   // of *waiter, in order of arrival
	timer       *time.Timer // admits the next waiter
	taken       int         // slots in use, including those of answered calls
	returns     []time.Time // when the slots of answered calls become free, in order
	probeNext   bool        // the next call goes out alone
	probing     bool        // a call that goes out alone is in progress
}

// waiter is a caller in a queue. Its channel is closed once it has a slot or an error.
type waiter struct {
	deadline time.Time // zero: none
	ready    chan struct{}
	slot     *Slot
	err      error
}

// LateError reports a wait that would outlast the caller's deadline.
type LateError struct{ Wait time.Duration }

func (e *LateError) Error() string { return "the wait would outlast the deadline" }

// New returns a Window. Its first call goes out alone unless c.Kept is set, because a process does not know how many
// calls its predecessor made.
func New(c Config) *Window {
	w := &Window{limit: c.Limit, burst: c.Burst, reserve: c.Reserve, probeNext: !c.Kept}
	w.rate = rate.Limit(float64(c.Limit) / Length.Seconds())
	w.bucket = rate.NewLimiter(w.rate, w.burst)
	return w
}

// lock locks the window, frees the slots whose minute is over, and returns the time.
func (w *Window) lock() (now time.Time) {
	w.mu.Lock()
	now = time.Now()
	for len(w.returns) > 0 && !w.returns[0].After(now) {
		w.returns = w.returns[1:]
		w.taken--
	}
	return now
}

// Acquire waits for a slot. It fails at once with a *LateError if the wait is certain to outlast the context's
// deadline, and with the context's error when the context ends.
func (w *Window) Acquire(ctx context.Context, bulk bool) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slot, place, err := w.enter(ctx, bulk)
	if place == nil {
		return slot, err
	}
	me := place.Value.(*waiter)
	select {
	case <-me.ready:
		return me.slot, me.err
	case <-ctx.Done():
		w.leave(bulk, place)
		return nil, ctx.Err()
	}
}

// enter returns a slot if one is free, an error if the caller would be late, or else the caller's place in the queue.
func (w *Window) enter(ctx context.Context, bulk bool) (*Slot, *list.Element, error) {
	now := w.lock()
	defer w.mu.Unlock()
	ahead := w.ahead(bulk)
	if ahead == 0 {
		if slot := w.admit(bulk, now); slot != nil {
			return slot, nil, nil
		}
	}
	deadline, _ := ctx.Deadline()
	if err := w.late(bulk, ahead, deadline, now); err != nil {
		return nil, nil, err
	}
	place := w.queue(bulk).PushBack(&waiter{deadline: deadline, ready: make(chan struct{})})
	w.advance(now)
	return nil, place, nil
}

// leave removes a caller whose context has ended from the queue. It frees the slot that the caller may have got at the
// same moment.
func (w *Window) leave(bulk bool, place *list.Element) {
	now := w.lock()
	defer w.mu.Unlock()
	w.queue(bulk).Remove(place) // does nothing if the caller has a slot
	if slot := place.Value.(*waiter).slot; slot != nil {
		slot.free(now)
	}
	w.advance(now)
}

// Slot is the right to make one call.
type Slot struct {
	window *Window
	bucket *rate.Limiter // the bucket that its token came from; nil: it has no token
	probe  bool          // its call goes out alone
	done   bool          // it was returned
}

// Free returns the slot at once, because the call was not sent. Only the first Free or Used has an effect.
func (s *Slot) Free() {
	w := s.window
	now := w.lock()
	defer w.mu.Unlock()
	s.free(now)
	w.advance(now)
}

// free returns the token to the bucket that it came from, which a pause may have replaced since. If a probe was not
// sent, the next call becomes the probe.
func (s *Slot) free(now time.Time) {
	if s.done {
		return
	}
	s.done = true
	s.window.taken--
	if s.bucket != nil {
		s.bucket.AllowN(now, -1)
	}
	if s.probe {
		s.window.probing, s.window.probeNext = false, true
	}
}

// Used returns the slot in a minute, because the server may have counted the call. Only the first Free or Used has an
// effect.
func (s *Slot) Used() {
	w := s.window
	now := w.lock()
	defer w.mu.Unlock()
	if s.done {
		return
	}
	s.done = true
	w.returns = append(w.returns, now.Add(Length))
	if s.probe {
		w.probing = false
	}
	w.advance(now)
}

// Pause holds back every call until the given time. Then one call goes out alone, and the others follow at the bucket's
// pace.
func (w *Window) Pause(until time.Time) {
	now := w.lock()
	defer w.mu.Unlock()
	if !until.After(now) || !until.After(w.paused) {
		return
	}
	w.paused, w.probeNext = until, true
	w.bucket = rate.NewLimiter(w.rate, w.burst)
	w.bucket.AllowN(until, w.burst) // empty when the pause ends
	w.refuseLate(false, now)
	w.refuseLate(true, now)
	w.advance(now)
}

// refuseLate rejects the waiters that a new pause makes late.
func (w *Window) refuseLate(bulk bool, now time.Time) {
	ahead := w.ahead(bulk) - w.queue(bulk).Len()
	for place := w.queue(bulk).Front(); place != nil; {
		next := place.Next()
		me := place.Value.(*waiter)
		if me.err = w.late(bulk, ahead, me.deadline, now); me.err != nil {
			w.queue(bulk).Remove(place)
			close(me.ready)
		} else {
			ahead++
		}
		place = next
	}
}

// advance admits the waiters whose time has come, and sets the timer for the next one.
func (w *Window) advance(now time.Time) {
	w.serve(false, now)
	w.serve(true, now)
	w.setTimer(now)
}

// serve admits waiters from the front of a queue.
func (w *Window) serve(bulk bool, now time.Time) {
	for place := w.queue(bulk).Front(); place != nil; place = w.queue(bulk).Front() {
		slot := w.admit(bulk, now)
		if slot == nil {
			return
		}
		me := w.queue(bulk).Remove(place).(*waiter)
		me.slot = slot
		close(me.ready)
	}
}

// setTimer sets the timer for the next waiter. Bulk waiters do not go before interactive ones.
func (w *Window) setTimer(now time.Time) {
	if w.timer != nil {
		w.timer.Stop()
	}
	bulk := w.interactive.Len() == 0
	if w.probing || w.queue(bulk).Len() == 0 {
		return
	}
	if at, known := w.earliest(bulk, 0, now); known {
		w.timer = time.AfterFunc(at.Sub(now), w.wake)
	}
}

func (w *Window) wake() {
	now := w.lock()
	defer w.mu.Unlock()
	w.advance(now)
}

// admit returns a slot if a call of this class can go out now, else nil. A probe goes out without a token if a pause
// has emptied the bucket.
func (w *Window) admit(bulk bool, now time.Time) *Slot {
	if w.open(bulk) <= 0 || w.probing || now.Before(w.paused) {
		return nil
	}
	paid := w.bucket.AllowN(now, 1)
	if !paid && !w.probeNext {
		return nil
	}
	slot := &Slot{window: w, probe: w.probeNext}
	if paid {
		slot.bucket = w.bucket
	}
	w.probing, w.probeNext = w.probeNext, false
	w.taken++
	return slot
}

func (w *Window) queue(bulk bool) *list.List {
	if bulk {
		return &w.bulk
	}
	return &w.interactive
}

// ahead returns how many waiters go before a new caller of this class.
func (w *Window) ahead(bulk bool) int {
	if bulk {
		return w.interactive.Len() + w.bulk.Len()
	}
	return w.interactive.Len()
}

// open returns the number of free slots for a class.
func (w *Window) open(bulk bool) int {
	if bulk {
		return w.limit - w.reserve - w.taken
	}
	return w.limit - w.taken
}

// late returns a *LateError if a caller behind this many waiters cannot go out before its deadline.
func (w *Window) late(bulk bool, ahead int, deadline, now time.Time) error {
	if deadline.IsZero() {
		return nil
	}
	if at, _ := w.earliest(bulk, ahead, now); !at.Before(deadline) {
		return &LateError{Wait: at.Sub(now)}
	}
	return nil
}

// earliest returns the earliest time at which a caller behind this many waiters can go out, unless a waiter leaves or a
// slot is freed. If the time depends on a call in progress, it is not known, and the result is a lower bound.
func (w *Window) earliest(bulk bool, ahead int, now time.Time) (at time.Time, known bool) {
	at, known = w.slotAt(bulk, ahead, now)
	if pace := w.tokenAt(ahead, now); pace.After(at) {
		at = pace
	}
	return at, known
}

// slotAt returns the earliest time at which the caller can get a slot. The slot of a call in progress becomes free
// in a minute at the earliest, and so does each slot that the waiters ahead use.
func (w *Window) slotAt(bulk bool, ahead int, now time.Time) (at time.Time, known bool) {
	rounds := time.Duration(ahead / w.limit) // a lower bound: waiters of the other class may have fewer slots
	missing := ahead%w.limit + 1 - w.open(bulk)
	switch {
	case missing <= 0:
		at, known = now, true
	case missing <= len(w.returns):
		// Computed from now, because the wall clock, on which a deadline may depend, may have been set since.
		at, known = now.Add(w.returns[missing-1].Sub(now)), true
	default:
		at = now.Add(Length)
	}
	return at.Add(rounds * Length), known
}

// tokenAt returns the time at which the pause is over and the bucket has a token. A probe needs no token.
func (w *Window) tokenAt(ahead int, now time.Time) time.Time {
	if w.paused.After(now) {
		now = w.paused
	}
	tokens := w.bucket.TokensAt(now)
	if w.probeNext && tokens < 1 {
		tokens++
	}
	missing := float64(ahead+1) - tokens
	if missing <= 0 {
		return now
	}
	return now.Add(time.Duration(missing / float64(w.rate) * float64(time.Second))) // rounded down, as the bucket does
}
