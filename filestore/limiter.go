package filestore

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/window"
)

// maxReserve is how many slots bulk calls leave free if the limit is 100 or more.
const maxReserve = 10

// limiter waits in two steps: in a queue for the process's own window, which keeps the pace and the pauses, and then
// for a slot in the file. Only the first caller of each class asks the file. So callers are served in order, and a
// process reads the file no more often than necessary.
type limiter struct {
	quota          *Quota
	window         *window.Window
	limit, reserve int

	mu          sync.Mutex
	interactive list.List // of *caller, in order
	bulk        list.List // of *caller, in order
	outlook     outlook
	paused      time.Time     // the end of the last pause
	served      int           // slots taken since the service asked for that pause
	changed     chan struct{} // closed when the first callers should ask the file again
}

var _ drift.Limiter = (*limiter)(nil)

// caller is a call of Acquire that waits in the queue or asks the file.
type caller struct {
	bulk     bool
	deadline time.Time // zero: none
	place    *list.Element
	ready    chan struct{} // closed when the caller is the first of its class, or err is set
	err      error
}

// Limiter returns a limiter that uses the window in the file. All processes and runs that use the file make at most
// perMinute calls in any 60 seconds, as the service counts them. A number below 1 counts as 1, and one above 1,000 as
// 1,000. Call Limiter once, and pass the result to every client that uses the quota, with [drift.WithLimiter]. Separate
// limiters share the window, but not the queue of callers.
//
// Within a process, callers are served in order, interactive ones first; between processes, the first to ask gets the
// slot. Calls with [drift.WithBulk] leave a tenth of perMinute free, at most 10. If the service asks one process to
// pause, all of them do. If a process dies, the slots of its calls become free a minute after another process notices.
//
// If the file cannot be read or written, Acquire returns an [*Error].
func (q *Quota) Limiter(perMinute int) drift.Limiter {
	limit := min(max(perMinute, 1), maxPerMinute)
	reserve := min(limit/10, maxReserve)
	return &limiter{
		quota:   q,
		window:  window.New(window.Config{Limit: limit, Burst: limit, Reserve: reserve, Kept: true}),
		limit:   limit,
		reserve: reserve,
		changed: make(chan struct{}),
	}
}

// Acquire implements [drift.Limiter].
func (l *limiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	me := &caller{bulk: turn.Class == drift.ClassBulk, deadline: deadline, ready: make(chan struct{})}
	l.join(me)
	defer l.leave(me)
	if err := l.comeFirst(ctx, me); err != nil {
		return nil, err
	}
	for {
		changed := l.watch()
		slot, again, err := l.ask(ctx, me)
		if err != nil {
			return nil, err
		}
		if slot != nil {
			return slot, nil
		}
		if err := wait(ctx, changed, again); err != nil {
			return nil, err
		}
	}
}

// Pause implements [drift.Limiter].
func (l *limiter) Pause(_ context.Context, until time.Time) error {
	d := time.Until(until)
	if d <= 0 {
		return nil
	}
	l.pause(until)
	l.wake()
	l.quota.pauseFor(d)
	return nil
}

// pause pauses this process.
func (l *limiter) pause(until time.Time) {
	l.window.Pause(until)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); until.After(now) && until.After(l.paused) {
		l.paused, l.served = until, 0
		l.refuseLate(now)
	}
}

func (l *limiter) join(me *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	me.place = l.line(me.bulk).PushBack(me)
	if l.line(me.bulk).Front() == me.place {
		close(me.ready)
	}
}

func (l *limiter) leave(me *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.line(me.bulk)
	first := line.Front() == me.place
	line.Remove(me.place) // does nothing if the caller was refused
	if !first {
		return
	}
	if next := line.Front(); next != nil {
		close(next.Value.(*caller).ready)
	} else if !me.bulk {
		l.change()
	}
}

// comeFirst waits until no caller of the same class is ahead.
func (l *limiter) comeFirst(ctx context.Context, me *caller) error {
	if !me.deadline.IsZero() && l.behind(me) {
		o, err := l.quota.look(ctx)
		if err != nil {
			return err
		}
		l.learn(o) // which refuses this caller too, if it is not the first of its class
		if err := l.lateFirst(me, time.Now()); err != nil {
			return err
		}
	}
	select {
	case <-me.ready:
		return me.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask asks for a slot once. If there is none, it returns how long to wait before asking again.
func (l *limiter) ask(ctx context.Context, me *caller) (*slot, time.Duration, error) {
	recheck := l.quota.recheck()
	local, err := l.window.Acquire(ctx, me.bulk)
	if err != nil {
		return nil, 0, lateError(err)
	}
	if me.bulk && l.interactiveWaits() {
		local.Free()
		return nil, recheck, nil
	}
	serial, taken, outlook, err := l.quota.take(ctx, l.capacity(me.bulk))
	if taken {
		return &slot{limiter: l, local: local, serial: serial, paused: l.serve()}, 0, nil
	}
	local.Free()
	if err != nil {
		return nil, 0, err
	}
	l.learn(outlook)
	now := time.Now()
	at := outlook.slotAt(0, l.capacity(me.bulk), l.limit, l.quota.length, now)
	return nil, min(at.Sub(now), recheck), l.lateFirst(me, now)
}

// wait waits until it is time to ask again.
func wait(ctx context.Context, changed <-chan struct{}, again time.Duration) error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// learn stores the outlook that the file gave. A pause of another process applies to this one too.
func (l *limiter) learn(o outlook) {
	if !o.paused.IsZero() {
		l.pause(o.paused)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outlook = o
	l.refuseLate(time.Now())
}

// refuseLate ends the waits of callers that cannot be served before their deadlines. The first caller of a class finds
// that out when it asks.
func (l *limiter) refuseLate(now time.Time) {
	for _, bulk := range []bool{false, true} {
		line := l.line(bulk)
		ahead := l.ahead(bulk)
		for place := line.Front(); place != nil; {
			next := place.Next()
			me := place.Value.(*caller)
			if place != line.Front() {
				me.err = l.late(me, ahead, now)
			}
			if me.err != nil {
				line.Remove(place)
				close(me.ready)
			} else {
				ahead++
			}
			place = next
		}
	}
}

// lateFirst returns an error if a caller that is the first of its class cannot be served before its deadline.
func (l *limiter) lateFirst(me *caller, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.line(me.bulk).Front() != me.place {
		return nil
	}
	return l.late(me, l.ahead(me.bulk), now)
}

// late returns an error if a caller with this many others ahead cannot be served before its deadline.
func (l *limiter) late(me *caller, ahead int, now time.Time) error {
	if me.deadline.IsZero() {
		return nil
	}
	at := l.outlook.slotAt(ahead, l.capacity(me.bulk), l.limit, l.quota.length, now)
	if paced := l.paced(ahead); paced.After(at) {
		at = paced
	}
	if at.Before(me.deadline) {
		return nil
	}
	return tooLate(at.Sub(now))
}

// paced returns the earliest time at which the pace after the last pause admits a caller with this many others ahead.
func (l *limiter) paced(ahead int) time.Time {
	interval := window.Length / time.Duration(l.limit)
	return l.paused.Add(time.Duration(l.served+ahead) * interval)
}

// behind reports whether any caller is ahead of this one.
func (l *limiter) behind(me *caller) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line(me.bulk).Front() != me.place || l.ahead(me.bulk) > 0
}

// ahead returns how many callers of the other class go before the first one of this class.
func (l *limiter) ahead(bulk bool) int {
	if bulk {
		return l.interactive.Len()
	}
	return 0
}

func (l *limiter) line(bulk bool) *list.List {
	if bulk {
		return &l.bulk
	}
	return &l.interactive
}

// capacity returns how many slots may be taken, including the new one, for a call of this class.
func (l *limiter) capacity(bulk bool) int {
	if bulk {
		return l.limit - l.reserve
	}
	return l.limit
}

func (l *limiter) interactiveWaits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.interactive.Len() > 0
}

// serve counts a slot that was taken, and returns which pause it follows.
func (l *limiter) serve() (paused time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.served++
	return l.paused
}

// unserve undoes serve for a slot that was not used.
func (l *limiter) unserve(paused time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if paused.Equal(l.paused) {
		l.served--
	}
	l.change()
}

func (l *limiter) watch() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change()
}

// change wakes the first callers of both classes. The caller of change holds l.mu.
func (l *limiter) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// slot allows one call.
type slot struct {
	limiter *limiter
	local   *window.Slot
	serial  uint32
	paused  time.Time
	once    sync.Once
}

// Done implements [drift.Slot].
func (s *slot) Done(_ context.Context, result drift.Result) error {
	s.once.Do(func() {
		if result.Outcome != drift.OutcomeNotSent {
			s.local.Used()
			s.limiter.quota.give(s.serial, true)
			return
		}
		s.local.Free()
		s.limiter.quota.give(s.serial, false)
		s.limiter.unserve(s.paused)
	})
	return nil
}

func lateError(err error) error {
	var late *window.LateError
	if errors.As(err, &late) {
		return tooLate(late.Wait)
	}
	return err
}

func tooLate(wait time.Duration) error {
	return &drift.RateLimitError{Local: true, RetryAfter: wait, Err: context.DeadlineExceeded}
}
