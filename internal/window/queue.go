package window

import (
	"container/list"
	"context"
	"errors"
	"time"
)

// lane is the queue of a class.
type lane struct {
	waiters list.List // of *waiter, in order of their since
	asking  bool      // a caller asks the store
	unknown bool      // the first caller waits for a call in flight to end
}

func (l *Limiter) lane(bulk bool) *lane { return &l.lanes[class(bulk)] }

// idle reports whether no caller waits or asks.
func (l *lane) idle() bool { return !l.asking && l.waiters.Len() == 0 }

// first returns the caller that is next, or nil.
func (l *lane) first() *waiter {
	if front := l.waiters.Front(); front != nil {
		return front.Value.(*waiter)
	}
	return nil
}

// waiter is a caller in a lane.
type waiter struct {
	Request
	joined time.Time
	place  *list.Element
	wake   chan struct{} // has room for one
	err    error         // the caller was refused, and is no longer in the lane
}

// poke makes a caller check whether it is its turn.
func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// signal pokes the callers that are next.
func (l *Limiter) signal() {
	for i := range l.lanes {
		if w := l.lanes[i].first(); w != nil {
			w.poke()
		}
	}
}

// join puts a caller in its place in the queue, or refuses it.
func (l *Limiter) join(r Request) (*waiter, error) {
	now := time.Now()
	if r.Since.IsZero() {
		r.Since = now
	}
	w := &waiter{Request: r, joined: now, wake: make(chan struct{}, 1)}
	waiters := &l.lane(r.Bulk).waiters
	ahead := waiters.Len()
	before := waiters.Back()
	for before != nil && before.Value.(*waiter).Since.After(r.Since) {
		before = before.Prev()
		ahead--
	}
	if err := l.late(w, ahead, now); err != nil {
		return nil, err
	}
	if before == nil {
		w.place = waiters.PushFront(w)
	} else {
		w.place = waiters.InsertAfter(w, before)
	}
	l.signal() // a bulk call may have become due, or a caller has lost its place
	return w, nil
}

// leave removes a caller from the queue.
func (l *Limiter) leave(w *waiter) {
	l.lane(w.Bulk).waiters.Remove(w.place)
	l.signal()
}

// wait waits until it is a caller's turn and the store has a slot. l.mu is locked, except during the wait itself.
func (l *Limiter) wait(ctx context.Context, w *waiter) (*Slot, error) {
	for {
		now := time.Now()
		delay := forever
		if lane := l.lane(w.Bulk); lane.first() == w && !lane.asking {
			if delay = l.delay(w, now); delay <= 0 {
				slot, err := l.ask(ctx, w.Request, now)
				if slot != nil || err != nil {
					l.leave(w)
					return slot, err
				}
				delay = max(l.delay(w, time.Now()), shortestDelay)
			}
		}
		if err := l.sleep(ctx, w, delay); err != nil {
			return nil, err
		}
	}
}

const (
	forever = LongAgo

	// shortestDelay keeps a caller from asking a store without a pause that refuses it for no known reason.
	shortestDelay = time.Millisecond
)

// sleep waits for the delay, a poke, or the context's end.
func (l *Limiter) sleep(ctx context.Context, w *waiter, delay time.Duration) error {
	l.mu.Unlock()
	timer := time.NewTimer(delay)
	select {
	case <-timer.C:
	case <-w.wake:
	case <-ctx.Done():
	}
	timer.Stop()
	l.mu.Lock()
	switch {
	case w.err != nil:
		return w.err
	case ctx.Err() == nil:
		return nil
	}
	ahead := l.position(w)
	l.leave(w)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &LateError{Wait: l.atLeast(w, ahead, time.Now())}
	}
	return ctx.Err()
}

func (l *Limiter) position(w *waiter) (ahead int) {
	for place := w.place.Prev(); place != nil; place = place.Prev() {
		ahead++
	}
	return ahead
}

// delay returns how long the first caller of a lane should wait before it asks the store.
func (l *Limiter) delay(w *waiter, now time.Time) time.Duration {
	due := l.untilDue(now)
	if w.Bulk && due > 0 && !l.lane(false).idle() {
		return due
	}
	if !w.Bulk && due == 0 {
		return forever // until the bulk caller has a slot
	}
	delay := max(l.pausedUntil().Sub(now), l.untilToken(1, now))
	if !l.stale {
		delay = max(delay, l.untilSlot(w.Bulk, now))
	}
	if w.Bulk && due > 0 {
		delay = min(delay, max(due, l.pausedUntil().Sub(now)))
	}
	if l.shared() { // others may have changed everything since
		delay = min(delay, l.config.Recheck-now.Sub(l.seen))
	}
	return delay
}

// untilDue returns how long it takes until a bulk caller must go next, so that the class gets its share. Calls count as
// well as time: other processes may make the calls, and slots may come back all at once.
func (l *Limiter) untilDue(now time.Time) time.Duration {
	w := l.lane(true).first()
	switch {
	case w == nil || l.config.Share == 0:
		return forever
	case l.passed >= l.config.Share-1:
		return 0
	}
	from := w.joined
	if l.lastBulk.After(from) {
		from = l.lastBulk
	}
	share := time.Duration(l.config.Share) * Length / time.Duration(l.limit(now))
	return max(0, from.Add(share).Sub(now))
}

// untilToken returns how long it takes until the bucket has so many tokens.
func (l *Limiter) untilToken(tokens int, now time.Time) time.Duration {
	if l.bucket == nil {
		return 0
	}
	missing := float64(tokens) - l.bucket.TokensAt(now)
	return max(0, time.Duration(missing/float64(l.bucket.Limit())*float64(time.Second)))
}

// untilSlot returns how long it takes until the store may have a slot, by its last state. If that depends on calls in
// flight, it takes forever.
func (l *Limiter) untilSlot(bulk bool, now time.Time) time.Duration {
	s, lane := l.stateAt(now), l.lane(bulk)
	limit := s.limit(l.config.Limit)
	var wait time.Duration
	ramps := min(s.Age, -s.Pause) < Length && s.Recent > min(s.Admitted, l.rampInFlight()-1)
	if ramps {
		wait = forever
		if s.Admitted > 0 {
			wait = rampStep - min(s.Since[0], s.Since[1])
		}
	}
	if excess := l.taken(now) - l.capacity(bulk, now); excess >= 0 {
		wait = max(wait, l.untilReturn(excess, now))
	}
	if lane.unknown = ramps || wait == forever; lane.unknown && l.given != l.known {
		wait = 0 // one of the calls in flight has ended meanwhile
	}
	wait = max(wait, l.spacing(bulk, now)-s.Since[class(bulk)], l.pace(now)-min(s.Since[0], s.Since[1]))
	if limit < l.config.Limit {
		wait = min(wait, s.growsIn(limit))
	}
	return wait
}

// untilReturn returns how long it takes until so many slots, and one more, have come back.
func (l *Limiter) untilReturn(n int, now time.Time) time.Duration {
	n += l.returned(now)
	if n >= len(l.state.Returns) {
		return forever
	}
	return l.state.Returns[n] - now.Sub(l.seen)
}

// returned returns how many of the slots in the last state have come back since.
func (l *Limiter) returned(now time.Time) (n int) {
	for n < len(l.state.Returns) && l.state.Returns[n] <= now.Sub(l.seen) {
		n++
	}
	return n
}

// taken returns how many slots are taken, by the last state.
func (l *Limiter) taken(now time.Time) int {
	return l.state.InFlight + len(l.state.Returns) - l.returned(now)
}

// late returns a *LateError if a caller behind so many others of its class cannot go out before its deadline.
func (l *Limiter) late(w *waiter, ahead int, now time.Time) error {
	if w.deadline.IsZero() {
		return nil
	}
	if wait := l.atLeast(w, ahead, now); !now.Add(wait).Before(w.deadline) {
		return &LateError{Wait: wait}
	}
	return nil
}

// refuseLate ends the waits of callers that cannot be served before their deadlines.
func (l *Limiter) refuseLate(now time.Time) {
	refused := false
	for i := range l.lanes {
		ahead := 0
		for place := l.lanes[i].waiters.Front(); place != nil; {
			w := place.Value.(*waiter)
			place = place.Next()
			if w.err = l.late(w, ahead, now); w.err != nil {
				l.lanes[i].waiters.Remove(w.place)
				w.poke()
				refused = true
			} else {
				ahead++
			}
		}
	}
	if refused {
		l.signal() // others are next
	}
}

// atLeast returns the shortest time after which a caller behind so many others of its class can go out, unless one of
// them leaves or a slot is freed. The slots that they take come back after a minute.
func (l *Limiter) atLeast(w *waiter, ahead int, now time.Time) time.Duration {
	limit := l.config.Limit
	wait := time.Duration(0)
	taken := max(0, l.taken(now)-(l.given.unused-l.known.unused)-l.background.frees())
	if missing := ahead%limit + 1 - (limit - taken); missing > 0 {
		wait = min(l.untilReturn(missing-1, now), Length)
	}
	wait += time.Duration(ahead/limit) * Length
	paused := l.pausedUntil().Sub(now)
	if w.Bulk || paused > -Length { // see spacing
		wait = max(wait, max(0, paused)+time.Duration(min(ahead, limit))*Length/time.Duration(limit))
	}
	return max(wait, l.untilToken(ahead+1, now))
}
