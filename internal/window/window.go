// Package window limits calls to a number in any rolling minute at the server, whatever the network delays.
//
// A call takes a slot before it is sent, and the slot comes back a minute after the call was answered. The server counted
// the call before it answered, and counts the next call on that slot after that one was sent; so the two are at least a
// minute apart on its clock. A token bucket alone cannot promise that. One stands before the window all the same: it makes
// callers come back at an even pace after a pause, instead of all at once.
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

// Config of a Window.
type Config struct {
	Limit   int // calls in any minute, at least 1
	Burst   int // of the token bucket, from 1 to Limit
	Reserve int // slots that bulk calls leave free, less than Limit
}

// Window is the limiter. Callers are served in the order in which they came, but bulk callers that have to leave slots free
// do not hold up the others. No goroutine waits on anybody's behalf: a timer admits the next caller when its time comes.
type Window struct {
	limit, reserve int
	rate           rate.Limit
	burst          int

	mu      sync.Mutex
	bucket  *rate.Limiter
	taken   int         // slots of calls that are under way
	returns []time.Time // when the slots of answered calls come back, in order
	paused  time.Time   // nobody goes before
	alone   bool        // the next call goes by itself
	probing bool        // that call is under way
	waiting list.List   // of *waiter, in order
	timer   *time.Timer // admits waiters
}

type waiter struct {
	bulk     bool
	deadline time.Time     // zero: none
	ready    chan struct{} // closed when slot or err is set
	slot     *Slot
	err      error
}

// LateError is a wait that would outlast the caller's deadline.
type LateError struct{ Wait time.Duration }

func (e *LateError) Error() string { return "the deadline comes before the wait is over" }

// New returns a Window. Its first call goes alone: a process does not know what its predecessor used.
func New(c Config) *Window {
	w := &Window{limit: c.Limit, reserve: c.Reserve, rate: rate.Limit(float64(c.Limit) / Length.Seconds()), burst: c.Burst, alone: true}
	w.bucket = rate.NewLimiter(w.rate, w.burst)
	return w
}

// Slot is the right to one call.
type Slot struct {
	window *Window
	probe  bool
	once   sync.Once
}

// Acquire waits for a slot. It fails at once with a *LateError where the wait would outlast the context's deadline, and with
// the context's error when the context ends.
func (w *Window) Acquire(ctx context.Context, bulk bool) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	now := time.Now()
	if w.waiting.Len() == 0 {
		if slot := w.admit(bulk, now); slot != nil {
			w.mu.Unlock()
			return slot, nil
		}
	}
	deadline, _ := ctx.Deadline()
	if err := w.late(bulk, deadline, w.ahead(bulk), now); err != nil {
		w.mu.Unlock()
		return nil, err
	}
	me := &waiter{bulk: bulk, deadline: deadline, ready: make(chan struct{})}
	place := w.waiting.PushBack(me)
	w.advance(now)
	w.mu.Unlock()

	select {
	case <-me.ready:
		return me.slot, me.err
	case <-ctx.Done():
		w.leave(place)
		return nil, ctx.Err()
	}
}

// leave takes a caller whose context ended out of the queue, or gives back the slot that it got at that very moment.
func (w *Window) leave(place *list.Element) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-place.Value.(*waiter).ready:
		if slot := place.Value.(*waiter).slot; slot != nil {
			w.free(slot)
		}
	default:
		w.waiting.Remove(place)
	}
	w.advance(time.Now())
}

// Free gives the slot back at once: the call was not sent.
func (s *Slot) Free() {
	s.once.Do(func() {
		s.window.mu.Lock()
		defer s.window.mu.Unlock()
		s.window.free(s)
		s.window.advance(time.Now())
	})
}

// Used gives the slot back in a minute: the call was, or may have been, counted by the server up to now.
func (s *Slot) Used() {
	s.once.Do(func() {
		w := s.window
		w.mu.Lock()
		defer w.mu.Unlock()
		now := time.Now()
		w.taken--
		w.returns = append(w.returns, now.Add(Length))
		if s.probe {
			w.probing = false
		}
		w.advance(now)
	})
}

// free gives back a slot that was not used. A probe that was not sent has told nothing, so the next call is one again.
func (w *Window) free(slot *Slot) {
	w.taken--
	if slot.probe {
		w.probing, w.alone = false, true
	}
}

// Pause keeps everybody back until then. After it one call goes first, the rest at the bucket's pace.
func (w *Window) Pause(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !until.After(now) || !until.After(w.paused) {
		return
	}
	w.paused, w.alone = until, true
	w.bucket = rate.NewLimiter(w.rate, w.burst)
	w.bucket.AllowN(until, w.burst)
	w.refuseLate(now)
	w.advance(now)
}

// refuseLate ends the waits that a new pause makes longer than their deadlines.
func (w *Window) refuseLate(now time.Time) {
	for place := w.waiting.Front(); place != nil; {
		next := place.Next()
		me := place.Value.(*waiter)
		if me.err = w.late(me.bulk, me.deadline, 0, now); me.err != nil {
			w.waiting.Remove(place)
			close(me.ready)
		}
		place = next
	}
}

// advance admits whom it can, and sets the timer for the next one.
func (w *Window) advance(now time.Time) {
	for place := w.waiting.Front(); place != nil; {
		next := place.Next()
		me := place.Value.(*waiter)
		if me.slot = w.admit(me.bulk, now); me.slot != nil {
			w.waiting.Remove(place)
			close(me.ready)
		} else if !me.bulk {
			break
		}
		place = next
	}
	w.setTimer(now)
}

// setTimer wakes the queue when the first caller of either kind can go.
func (w *Window) setTimer(now time.Time) {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	var wake time.Time
	for place := w.waiting.Front(); place != nil && !w.probing; place = place.Next() {
		me := place.Value.(*waiter)
		if at, ok := w.next(me.bulk, now); ok && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
		if !me.bulk {
			break
		}
	}
	if wake.IsZero() {
		return
	}
	w.timer = time.AfterFunc(wake.Sub(now), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.advance(time.Now())
	})
}

// admit returns a slot if a caller of this kind can go now, else nil.
func (w *Window) admit(bulk bool, now time.Time) *Slot {
	w.reclaim(now)
	if w.probing || now.Before(w.paused) || w.open(bulk) <= 0 {
		return nil
	}
	// The call that goes first after a pause finds the bucket empty on purpose.
	if !w.bucket.AllowN(now, 1) && !w.alone {
		return nil
	}
	slot := &Slot{window: w, probe: w.alone}
	w.probing, w.alone = w.alone, false
	w.taken++
	return slot
}

// ahead is how many waiting callers go before a new one of this kind.
func (w *Window) ahead(bulk bool) int {
	n := 0
	for place := w.waiting.Front(); place != nil; place = place.Next() {
		if bulk || !place.Value.(*waiter).bulk {
			n++
		}
	}
	return n
}

// open is how many slots there are for a caller of this kind.
func (w *Window) open(bulk bool) int {
	n := w.limit - w.taken - len(w.returns)
	if bulk {
		n -= w.reserve
	}
	return n
}

// reclaim takes back the slots whose minute is over.
func (w *Window) reclaim(now time.Time) {
	n := 0
	for n < len(w.returns) && !w.returns[n].After(now) {
		n++
	}
	w.returns = w.returns[:copy(w.returns, w.returns[n:])]
}

// next is when a caller at the front could go, unless a slot is given back earlier; false: only a slot given back helps.
func (w *Window) next(bulk bool, now time.Time) (time.Time, bool) {
	at, ok := w.slotAt(bulk, 0, now)
	if !ok {
		return at, false
	}
	if w.paused.After(at) {
		at = w.paused
	}
	if missing := 1 - w.bucket.TokensAt(at); missing > 0 && !w.alone {
		at = at.Add(time.Duration(missing/float64(w.rate)*float64(time.Second)) + 1) // rounded up, or the timer comes too early
	}
	return at, true
}

// slotAt is the earliest time at which a caller with this many others ahead can have a slot, as far as that is known: slots
// of calls under way come back a minute from now at the earliest, unless their calls are not sent.
func (w *Window) slotAt(bulk bool, ahead int, now time.Time) (at time.Time, known bool) {
	missing := ahead + 1 - w.open(bulk)
	switch {
	case missing <= 0:
		return now, true
	case missing <= len(w.returns):
		return w.returns[missing-1], true
	default:
		return now.Add(Length), false
	}
}

// late returns a *LateError if a caller with this many others ahead cannot go before its deadline.
func (w *Window) late(bulk bool, deadline time.Time, ahead int, now time.Time) error {
	if deadline.IsZero() {
		return nil
	}
	w.reclaim(now)
	earliest, _ := w.slotAt(bulk, ahead, now)
	if w.paused.After(earliest) {
		earliest = w.paused
	}
	if earliest.Before(deadline) {
		return nil
	}
	return &LateError{Wait: earliest.Sub(now)}
}
