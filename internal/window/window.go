// Package window limits calls to a number in any rolling minute at the server, whatever the network delays.
//
// A call takes a slot before it is sent, and the slot comes back a minute after the call was answered. The server counted
// the call before it answered, and counts the next call on that slot after that one was sent; so the two are at least a
// minute apart on its clock. A token bucket alone cannot promise that. One stands before the window all the same: it makes
// callers come back at an even pace after a pause, instead of all at once, or always, with a small burst.
package window

import (
	"container/list"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Length is how long a slot stays taken after its call was answered.
const Length = time.Minute

// Config of a Window.
type Config struct {
	Limit   int  // calls in any minute, at least 1
	Burst   int  // of the token bucket, from 1 to Limit
	Reserve int  // slots that bulk calls leave free, less than Limit
	Kept    bool // something else knows what earlier processes have used, so that no call needs to go first alone
}

// Window is the limiter. Interactive callers go before bulk callers, and within each kind they are served in the order in
// which they came. No goroutine waits on anybody's behalf: a timer admits the next caller when its time comes.
//
// A slot that comes back when nobody waits is only marked, by its own call. What every call changes stands last, away from
// what it only reads: cores that share a client would wait for each other's memory.
type Window struct {
	begin          time.Time
	queued         atomic.Bool // somebody waits
	limit, reserve int
	rate           rate.Limit
	burst          int
	paused         time.Time       // nobody goes before
	bucket         *rate.Limiter   // nil: whoever has a slot needs no token
	interactive    list.List       // of *waiter, in order
	bulk           list.List       // of *waiter, in order
	timer          *time.Timer     // admits waiters
	returns        []time.Duration // when the slots of answered calls come back, since the beginning and in order

	mu      sync.Mutex // for all of it
	slots   []*Slot    // of the calls that are under way, and of those that have been answered since reclaim
	alone   bool       // the next call goes by itself
	probing bool       // that call is under way
}

// batch is how many slots there are before they are sorted out, if no caller needs one.
const batch = 64

type waiter struct {
	deadline time.Time     // zero: none
	ready    chan struct{} // closed when admitted or err is set
	slot     *Slot
	admitted bool
	err      error
}

// LateError is a wait that would outlast the caller's deadline.
type LateError struct{ Wait time.Duration }

func (e *LateError) Error() string { return "the deadline comes before the wait is over" }

// New returns a Window. Its first call goes alone, unless the window was kept: a process does not know what its predecessor
// has used.
func New(c Config) *Window {
	w := &Window{limit: c.Limit, reserve: c.Reserve, rate: rate.Limit(float64(c.Limit) / Length.Seconds()), burst: c.Burst,
		begin: time.Now(), slots: make([]*Slot, 0, batch), alone: !c.Kept}
	if !w.generous() {
		w.bucket = rate.NewLimiter(w.rate, w.burst)
	}
	return w
}

// Slot is the right to one call.
type Slot struct {
	window *Window
	bucket *rate.Limiter // where its token came from; nil: it went without one
	probe  bool
	back   atomic.Int64 // the time.Duration since the window's beginning at which it comes back; 0: the call is under way
}

const unused = math.MinInt64 // back from a call that was not sent

// Acquire waits for a slot. It fails at once with a *LateError where the wait would outlast the context's deadline, as far as
// that is known, and with the context's error when the context ends.
func (w *Window) Acquire(ctx context.Context, bulk bool) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slot := &Slot{window: w} // before the lock, where an allocation could keep others waiting
	w.mu.Lock()
	now := time.Now()
	if w.ahead(bulk) == 0 && w.admit(slot, bulk, now) {
		w.mu.Unlock()
		return slot, nil
	}
	deadline, _ := ctx.Deadline()
	w.reclaim(now)
	if err := w.late(bulk, w.ahead(bulk), deadline, now); err != nil {
		w.mu.Unlock()
		return nil, err
	}
	me := &waiter{deadline: deadline, ready: make(chan struct{}), slot: slot}
	place := w.queue(bulk).PushBack(me)
	w.queued.Store(true) // before the slots are looked at again: whoever does not see it has marked its slot by then
	w.advance(now)
	w.mu.Unlock()

	select {
	case <-me.ready:
		if me.err != nil {
			return nil, me.err
		}
		return me.slot, nil
	case <-ctx.Done():
		w.leave(bulk, place)
		return nil, ctx.Err()
	}
}

// leave takes a caller whose context ended out of the queue, or gives back the slot that it got at that very moment.
func (w *Window) leave(bulk bool, place *list.Element) {
	w.mu.Lock()
	defer w.mu.Unlock()
	me := place.Value.(*waiter)
	w.queue(bulk).Remove(place) // does nothing if the caller has been served
	if me.admitted {
		w.free(me.slot)
	}
	w.advance(time.Now())
}

// Free gives the slot back at once: the call was not sent. Only the first Free or Used counts.
func (s *Slot) Free() {
	w := s.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free(s) {
		w.advance(time.Now())
	}
}

// Used gives the slot back in a minute: the call was, or may have been, counted by the server up to now.
func (s *Slot) Used() {
	w := s.window
	if !s.back.CompareAndSwap(0, int64(time.Since(w.begin)+Length)) {
		return
	}
	if !s.probe && !w.queued.Load() {
		return // it is enough that the slot is marked
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.probe {
		w.probing = false
	}
	w.advance(time.Now())
}

// free gives back a slot that was not used, and its token to the bucket that it came from, unless a pause has replaced that.
// A probe that was not sent has told nothing, so the next call is one again. It reports whether the slot was still taken.
func (w *Window) free(slot *Slot) bool {
	if !slot.back.CompareAndSwap(0, unused) {
		return false
	}
	if slot.bucket != nil {
		slot.bucket.AllowN(time.Now(), -1)
	}
	if slot.probe {
		w.probing, w.alone = false, true
	}
	return true
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
	w.reclaim(now)
	w.refuseLate(false, now)
	w.refuseLate(true, now)
	w.advance(now)
}

// refuseLate ends the waits that a new pause makes longer than their deadlines.
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

// advance admits whom it can, and sets the timer for the next one.
func (w *Window) advance(now time.Time) {
	w.serve(false, now)
	w.serve(true, now)
	w.setTimer(now)
	if w.ahead(true) == 0 {
		w.queued.Store(false)
	}
}

// serve admits callers from the front of a queue.
func (w *Window) serve(bulk bool, now time.Time) {
	for place := w.queue(bulk).Front(); place != nil; place = w.queue(bulk).Front() {
		me := place.Value.(*waiter)
		if !w.admit(me.slot, bulk, now) {
			return
		}
		w.queue(bulk).Remove(place)
		me.admitted = true
		close(me.ready)
	}
}

// setTimer wakes the queues when the next caller can go. No bulk caller can go before an interactive one.
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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advance(time.Now())
}

// admit reports whether a caller of this kind can go now. If so, the slot is taken.
func (w *Window) admit(slot *Slot, bulk bool, now time.Time) bool {
	if !w.vacant(bulk, now) || w.probing || now.Before(w.paused) || !w.pay(slot, now) {
		return false
	}
	if w.alone {
		slot.probe, w.probing, w.alone = true, true, false
	}
	if len(w.slots) == cap(w.slots) {
		w.reclaim(now)
		w.slots = slices.Grow(w.slots, len(w.slots)+1) // so that there is time until it is full again
	}
	w.slots = append(w.slots, slot)
	return true
}

// pay takes a token from the bucket, if there is one. The call that goes first after a pause finds it empty on purpose.
func (w *Window) pay(slot *Slot, now time.Time) bool {
	switch {
	case w.bucket == nil:
	case w.generous() && !now.Before(w.paused.Add(Length)):
		w.bucket = nil // the pause is long enough ago
	case w.bucket.AllowN(now, 1):
		slot.bucket = w.bucket
	default:
		return w.alone
	}
	return true
}

// generous reports whether the bucket has a token for everybody who has a slot, a minute after a pause and later. Until a
// minute ago it let no more through than it was filled with; since then there were fewer calls than the limit, because there is
// a slot, and the limit is what it was filled with in that minute. One that began full has more.
func (w *Window) generous() bool { return w.burst == w.limit }

func (w *Window) queue(bulk bool) *list.List {
	if bulk {
		return &w.bulk
	}
	return &w.interactive
}

// ahead is how many waiting callers go before a new one of this kind.
func (w *Window) ahead(bulk bool) int {
	if bulk {
		return w.interactive.Len() + w.bulk.Len()
	}
	return w.interactive.Len()
}

// capacity is how many calls of this kind there may be in a minute.
func (w *Window) capacity(bulk bool) int {
	if bulk {
		return w.limit - w.reserve
	}
	return w.limit
}

// vacant reports whether there is a slot for a caller of this kind.
func (w *Window) vacant(bulk bool, now time.Time) bool {
	if w.open(bulk) <= 0 {
		w.reclaim(now)
	}
	return w.open(bulk) > 0
}

// open is how many slots there are for a caller of this kind, as far as reclaim knows.
func (w *Window) open(bulk bool) int { return w.capacity(bulk) - len(w.slots) - len(w.returns) }

// reclaim sorts out the slots that have been marked, and takes back those whose minute is over.
func (w *Window) reclaim(now time.Time) {
	known := len(w.returns)
	w.slots = slices.DeleteFunc(w.slots, func(slot *Slot) bool {
		switch back := slot.back.Load(); back {
		case 0:
			return false
		case unused:
			return true
		default:
			w.returns = append(w.returns, time.Duration(back))
			return true
		}
	})
	slices.Sort(w.returns[known:])
	if !slices.IsSorted(w.returns[max(0, known-1):]) { // one was marked a moment late
		slices.Sort(w.returns)
	}
	over, _ := slices.BinarySearch(w.returns, now.Sub(w.begin)+1)
	w.returns = slices.Delete(w.returns, 0, over)
}

// late returns a *LateError if a caller with this many others ahead cannot go before its deadline. The slots have been sorted
// out.
func (w *Window) late(bulk bool, ahead int, deadline, now time.Time) error {
	if deadline.IsZero() {
		return nil
	}
	if at, _ := w.earliest(bulk, ahead, now); !at.Before(deadline) {
		return &LateError{Wait: at.Sub(now)}
	}
	return nil
}

// earliest is the soonest that a caller with this many others ahead can go, if nobody leaves the queue and no slot is given
// back unused; not known: only a slot given back tells.
func (w *Window) earliest(bulk bool, ahead int, now time.Time) (at time.Time, known bool) {
	at, known = w.slotAt(bulk, ahead, now)
	if pace := w.tokenAt(ahead, now); pace.After(at) {
		at = pace
	}
	return at, known
}

// slotAt is when there is a slot: one that is under way comes back a minute from now at the soonest, and so does each slot
// that the callers ahead use.
func (w *Window) slotAt(bulk bool, ahead int, now time.Time) (at time.Time, known bool) {
	rounds := time.Duration(ahead / w.limit) // some of those ahead may be of the other class: never more rounds than there are
	missing := ahead%w.limit + 1 - w.open(bulk)
	switch {
	case missing <= 0:
		at, known = now, true
	case missing <= len(w.returns):
		at, known = now.Add(w.returns[missing-1]-now.Sub(w.begin)), true // a deadline may go by a clock that has been set since
	default:
		at = now.Add(Length)
	}
	return at.Add(rounds * Length), known
}

// tokenAt is when the pause is over and the bucket has a token, which a call that goes alone can do without.
func (w *Window) tokenAt(ahead int, now time.Time) time.Time {
	if w.paused.After(now) {
		now = w.paused
	}
	if w.bucket == nil {
		return now
	}
	tokens := w.bucket.TokensAt(now)
	if w.alone && tokens < 1 {
		tokens++
	}
	missing := float64(ahead+1) - tokens
	if missing <= 0 {
		return now
	}
	return now.Add(time.Duration(missing/float64(w.rate)*float64(time.Second)) + 1) // rounded up, or the timer comes too early
}
