package drift

import (
	"context"
	"time"

	"github.com/driftsdk/drift/internal/window"
)

// WindowStore keeps the window of a [SharedLimiter]: which slots are taken, in all processes that share the store. It
// decides nothing but whether a slot is free. The queue, the classes, deadlines and the pace are in the limiter.
// Package filestore has a store in a file, and module redisstore one in Redis.
//
// Implementations must be safe for concurrent use. All times are relative to the store's clock, so that processes need
// not agree on the time. An error fails the call that waits for a slot; Give and Pause are repeated for a minute.
type WindowStore interface {
	// Take takes a slot in one step if the claim allows it. Either way it returns the state.
	Take(ctx context.Context, claim WindowClaim) (WindowState, error)

	// Give returns a slot that Take took. A slot that the store does not know, because its lease has ended, is added for
	// end.Back. It may be called twice for a slot; the first call decides.
	Give(ctx context.Context, slot uint64, end WindowEnd) (WindowState, error)

	// Look returns the state and changes nothing.
	Look(ctx context.Context) (WindowState, error)

	// Pause changes the pause and the lesson, and returns the state.
	Pause(ctx context.Context, pause WindowPause) (WindowState, error)
}

// WindowClaim says under which conditions Take takes a slot. All must hold. In addition:
//
//   - There is no pause.
//   - In the first minute of the window, and in the minute after a pause, slots that were taken since then may only be
//     in flight if no more of them are than [WindowState.Admitted]. So one call goes first, and the number doubles with
//     each round trip. If Admitted is greater than 0, one more may go once Ramp has passed since the last slot.
type WindowClaim struct {
	Class    Class
	Capacity int           // fewer slots must be taken
	Pace     time.Duration // the last slot, of whatever class, must have been taken at least so long ago
	Spacing  time.Duration // the last slot of the class must have been taken at least so long ago
	Ramp     time.Duration // see above
	Lesson   WindowLesson  // must equal the stored one, because the other conditions depend on it

	// Lease is how long the attempt may take. A store that cannot see that a process has died takes the slot of a
	// longer attempt for lost, and frees it a minute and a margin after the lease.
	Lease time.Duration

	// Quota is the client's QuotaStore. A store that also keeps that may reserve a call in the same step, and return
	// the Reservation. If the month is used up, Take then returns a *QuotaError and takes nothing. Otherwise, ignore it.
	Quota QuotaStore
}

// WindowEnd says how the call of a slot ended.
type WindowEnd struct {
	Back    time.Duration // how long the slot stays taken; 0: it is free at once, because nothing was sent
	Refused bool          // the service answered 429
}

// WindowPause is a change of the pause. Its zero value changes nothing.
type WindowPause struct {
	For    time.Duration // the pause lasts at least so long from now; negative: it ends now
	Lesson WindowLesson  // replaces the stored one, unless its Limit is 0
}

// WindowLesson is what 429s have taught about an allowance that others use too. A store keeps it and need not
// understand it.
type WindowLesson struct {
	Limit    int
	Interval time.Duration
}

// WindowState describes a window. If Take took a slot, only Slot and Reservation are set.
type WindowState struct {
	Slot        uint64           // the slot that Take took, unique among all processes; 0: none
	Reservation Reservation      // of the claim's Quota; nil: none
	InFlight    int              // slots that were not given back
	Recent      int              // of these, taken since the last pause began or, without one, since the window was created
	Admitted    int              // slots, taken since then, that were given back with a Back and not Refused
	Before      int              // the same between the last pause and the one before
	Refused     int              // slots among the Returns that were given back as Refused
	Returns     []time.Duration  // when the slots that were given back become free, in ascending order
	Pause       time.Duration    // the rest of the pause; negative: how long ago it ended, at least a minute if there was none
	Age         time.Duration    // how long ago the window was created
	Since       [2]time.Duration // how long ago the last slot was taken, by Class; at least a minute if none was
	Lesson      WindowLesson
	LessonAge   time.Duration // how long ago the lesson was stored or, if later, the pause of that time ends; may be negative
}

// SharedLimiter is a [WindowLimiter] over a store that several processes share. Within a process, callers are served in
// order; between processes, the first to ask gets the slot. If one process is told to pause, all of them do.
//
// Create one with [NewSharedLimiter].
type SharedLimiter struct{ queue *window.Limiter }

// sharedRecheck is how long a limiter goes by what a store has said before it asks again.
const sharedRecheck = time.Second

// NewSharedLimiter returns a limiter that allows all processes that use the store perMinute calls in any 60 seconds; less
// than 1 means 1. All processes should use the same number and options. Call Close at the end.
func NewSharedLimiter(store WindowStore, perMinute int, opts ...LimiterOption) *SharedLimiter {
	c := limiterConfig(perMinute, opts)
	c.Recheck = sharedRecheck
	return &SharedLimiter{window.New(sharedWindow{store}, c)}
}

// Acquire implements [Limiter]. It asks the store once if a slot is free. If the store fails, it returns its error.
func (l *SharedLimiter) Acquire(ctx context.Context, turn Turn) (Slot, error) {
	if l == nil || l.queue == nil {
		return nil, errNotMade
	}
	return acquire(ctx, l.queue, turn)
}

// Pause implements [Limiter]. This process pauses even if the store fails.
func (l *SharedLimiter) Pause(ctx context.Context, until time.Time) error {
	if l == nil || l.queue == nil {
		return errNotMade
	}
	return l.queue.Pause(ctx, time.Until(until))
}

// Resume ends a pause of all processes at once, and makes them forget that others use the allowance.
func (l *SharedLimiter) Resume(ctx context.Context) error {
	if l == nil || l.queue == nil {
		return errNotMade
	}
	return l.queue.Resume(ctx)
}

// Stats returns the numbers of all processes as of the last answer of the store, and the callers that wait in this one.
// It does not ask the store.
func (l *SharedLimiter) Stats() LimiterStats {
	if l == nil || l.queue == nil {
		return LimiterStats{}
	}
	return limiterStats(l.queue.Stats())
}

// Close waits until the store knows of all calls that have ended, because no call waits for that. If the context ends
// first, it returns the context's error; the store then frees those slots later than necessary. Close the clients
// first. The store stays open.
func (l *SharedLimiter) Close(ctx context.Context) error {
	if l == nil || l.queue == nil {
		return nil
	}
	return l.queue.Close(ctx)
}

// sharedWindow makes a WindowStore a store of package window.
type sharedWindow struct{ store WindowStore }

func (w sharedWindow) Take(ctx context.Context, c window.Claim) (window.State, error) {
	claim := WindowClaim{Capacity: c.Capacity, Pace: c.Pace, Spacing: c.Spacing, Ramp: c.Ramp,
		Lesson: WindowLesson(c.Lesson), Lease: c.Lease}
	if c.Bulk {
		claim.Class = ClassBulk
	}
	claim.Quota, _ = c.Quota.(QuotaStore)
	return windowState(w.store.Take(ctx, claim))
}

func (w sharedWindow) Give(ctx context.Context, slot uint64, end window.End) (window.State, error) {
	return windowState(w.store.Give(ctx, slot, WindowEnd(end)))
}

func (w sharedWindow) Look(ctx context.Context) (window.State, error) {
	return windowState(w.store.Look(ctx))
}

func (w sharedWindow) Pause(ctx context.Context, p window.Pause) (window.State, error) {
	return windowState(w.store.Pause(ctx, WindowPause{p.For, WindowLesson(p.Lesson)}))
}

func windowState(s WindowState, err error) (window.State, error) {
	return window.State{
		Slot: s.Slot, Reservation: s.Reservation, InFlight: s.InFlight, Recent: s.Recent, Admitted: s.Admitted,
		Before: s.Before, Refused: s.Refused, Returns: s.Returns, Pause: s.Pause, Age: s.Age, Since: s.Since,
		Lesson: window.Lesson(s.Lesson), LessonAge: s.LessonAge,
	}, err
}
