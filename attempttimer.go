package drift

import (
	"context"
	"sync"
	"time"
)

// attemptTimers end attempts that take too long. A timer for each attempt, set and stopped again, would cost time on every
// call; so a timer goes on running after its attempt, serves the next one, and is set anew only when it fires.
type attemptTimers struct {
	after time.Duration
	idle  sync.Pool // of *attemptTimer
}

// attemptTimer is for one attempt at a time.
type attemptTimer struct {
	mu      sync.Mutex
	end     context.CancelCauseFunc // ends the attempt; nil: there is none
	due     time.Time
	running bool
}

func (t *attemptTimers) start(end context.CancelCauseFunc) *attemptTimer {
	timer, ok := t.idle.Get().(*attemptTimer)
	if !ok {
		timer = new(attemptTimer)
	}
	timer.mu.Lock()
	defer timer.mu.Unlock()
	timer.end, timer.due = end, time.Now().Add(t.after)
	if !timer.running {
		timer.set(t.after)
	}
	return timer
}

func (t *attemptTimers) stop(timer *attemptTimer) {
	timer.mu.Lock()
	defer timer.mu.Unlock()
	timer.end = nil
	t.idle.Put(timer)
}

func (t *attemptTimer) set(after time.Duration) {
	t.running = true
	time.AfterFunc(after, t.fire)
}

func (t *attemptTimer) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = false
	if t.end == nil {
		return
	}
	if left := time.Until(t.due); left > 0 {
		t.set(left)
		return
	}
	t.end(errAttemptTimeout)
}
