package drift

import (
	"context"
	"sync"
	"time"
)

// attemptTimers end attempts that take too long. A timer for each attempt, set and stopped again, would cost time on every
// call; so a timer goes on running after its attempt, serves the next one, and is set anew only when it fires. The pool may
// lose one: it then fires once more for nobody.
type attemptTimers struct {
	after time.Duration
	idle  sync.Pool // of *attemptTimer
}

// attemptTimer is for one attempt at a time.
type attemptTimer struct {
	mu    sync.Mutex
	end   context.CancelCauseFunc // ends the attempt; nil: there is none
	cause error                   // that it ends with
	due   time.Time               // when it has taken too long
	fires time.Time               // zero: the timer is not set
}

func (t *attemptTimers) start(end context.CancelCauseFunc) *attemptTimer {
	now := time.Now()
	timer, ok := t.idle.Get().(*attemptTimer)
	if !ok || timer.strange(now, t.after) {
		timer = new(attemptTimer)
	}
	timer.arm(t.after, end, errAttemptTimeout)
	return timer
}

// arm gives the attempt this much time from now. A timer that is still set must not have been given more.
func (t *attemptTimer) arm(after time.Duration, end context.CancelCauseFunc, cause error) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end, t.cause, t.due = end, cause, now.Add(after)
	if t.fires.IsZero() {
		t.set(now, after)
	}
}

func (t *attemptTimer) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = nil
}

// strange reports whether the timer was set by another clock, that of a test in virtual time, and cannot be relied on.
func (t *attemptTimer) strange(now time.Time, after time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.fires.Sub(now)
	return !t.fires.IsZero() && (left < -after || left > after)
}

func (t *attemptTimers) stop(timer *attemptTimer) {
	timer.disarm()
	t.idle.Put(timer)
}

// set is called with the lock held.
func (t *attemptTimer) set(now time.Time, after time.Duration) {
	t.fires = now.Add(after)
	time.AfterFunc(after, t.fire)
}

func (t *attemptTimer) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fires = time.Time{}
	if t.end == nil {
		return
	}
	now := time.Now()
	if left := t.due.Sub(now); left > 0 {
		t.set(now, left)
		return
	}
	t.end(t.cause)
}
