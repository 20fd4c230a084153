// Package window limits how many calls a server sees in any rolling minute, regardless of network delays.
//
// A call takes a slot before it is sent, and the slot is free again a minute after the call was answered. The server
// counts the call between the two, so two calls in the same slot are at least a minute apart on its clock. A token
// bucket alone cannot guarantee that. The limiter has one in addition, for smaller bursts.
//
// A Store keeps the slots. A Limiter is the queue in front of it.
package window

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Length is how long a slot stays taken after its call was answered.
	Length = time.Minute

	// Margin is how much longer a slot stays taken whose call was not answered: the server may get the request after
	// its caller has left.
	Margin = 3 * time.Second
)

const (
	// leastRamp bounds how many calls are refused at once if others have used up the minute.
	leastRamp = 16

	// rampStep keeps slow answers from holding back other calls in a window's first minute.
	rampStep = 250 * time.Millisecond
)

// Config configures a Limiter.
type Config struct {
	Limit   int           // calls in any minute, at least 1
	Burst   int           // size of the token bucket, from 1 to Limit
	Reserve int           // slots that bulk calls leave free, less than Limit
	Share   int           // one call in so many is a bulk call if one waits; 0: bulk calls have no share
	Recheck time.Duration // other processes use the store, so it is asked again after this time; 0: none do
}

// Limiter is a queue in front of a Store. Interactive callers go before bulk callers, and each class is served in order
// of arrival. Only the first caller of a class asks the store, on its own goroutine.
type Limiter struct {
	store      Store
	memory     *Memory // the store, if it is in memory: most calls need no more than a slot of it
	config     Config
	background background

	mu       sync.Mutex    // guards everything below; not held while a store is asked that other processes use
	bucket   *rate.Limiter // nil: none
	lanes    [2]lane       // by class
	state    State         // the last one that the store returned
	seen     time.Time     // when it did
	stale    bool          // the store may have a slot although the last state has none
	lastBulk time.Time     // when a bulk call last took a slot
	passed   int           // interactive calls that took one since then
	looking  bool

	given gives
	asked gives // before the store was asked for its last answer
	known gives // before it was asked for the last state
}

// gives counts slots that were given back.
type gives struct{ all, unused int }

// Request describes a caller.
type Request struct {
	Bulk  bool
	Since time.Time     // its place in the queue; zero: behind the others
	Lease time.Duration // see Claim
	Quota any           // see Claim

	deadline time.Time
}

// LateError reports a wait that would outlast, or has outlasted, the caller's deadline.
type LateError struct {
	Wait time.Duration // until the caller can be served at the earliest
}

func (e *LateError) Error() string { return "the wait would outlast the deadline" }

// New returns a Limiter. It needs Close if c.Recheck is set.
func New(store Store, c Config) *Limiter {
	memory, _ := store.(*Memory)
	l := &Limiter{store: store, memory: memory, config: c, state: State{Pause: -LongAgo}, seen: time.Now()}
	if c.Burst < c.Limit { // a full bucket delays no call that the window admits
		l.bucket = rate.NewLimiter(rate.Limit(float64(c.Limit)/Length.Seconds()), c.Burst)
	}
	return l
}

// Acquire waits for a slot. It fails at once with a *LateError if the wait is certain to outlast the context's
// deadline, and with the context's error when that is canceled.
func (l *Limiter) Acquire(ctx context.Context, r Request) (*Slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.deadline, _ = ctx.Deadline()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.lane(r.Bulk).idle() && l.mayAsk(r.Bulk, now) {
		if slot, err := l.ask(ctx, r, now); slot != nil || err != nil {
			return slot, err
		}
	} else if err := l.refresh(ctx, r, now); err != nil {
		return nil, err
	}
	w, err := l.join(r)
	if err != nil {
		return nil, err
	}
	return l.wait(ctx, w)
}

// rampInFlight returns how many slots may be in flight in the slow start: of a large limit, a part as large.
func (l *Limiter) rampInFlight() int { return max(leastRamp, l.config.Limit/6) }

// shared reports whether other processes use the store, so that it may take time to answer.
func (l *Limiter) shared() bool { return l.config.Recheck > 0 }

// mayAsk reports whether the first caller of a class may ask the store now.
func (l *Limiter) mayAsk(bulk bool, now time.Time) bool {
	if now.Before(l.pausedUntil()) || l.untilToken(1, now) > 0 {
		return false
	}
	return bulk && l.lane(false).idle() || !bulk && l.untilDue(now) > 0
}

func (l *Limiter) pausedUntil() time.Time { return l.seen.Add(l.state.Pause) }

// limit returns the number of calls that may go out in a minute now.
func (l *Limiter) limit(now time.Time) int {
	return l.state.limitAt(l.state.LessonAge+now.Sub(l.seen), l.config.Limit)
}

// stateAt returns the last state as it is now, apart from the slots.
func (l *Limiter) stateAt(now time.Time) State {
	s, passed := l.state, now.Sub(l.seen)
	s.Pause -= passed
	s.Age += passed
	s.LessonAge += passed
	for i := range s.Since {
		s.Since[i] += passed
	}
	return s
}

// ask asks the store for a slot. It returns nil if there is none.
func (l *Limiter) ask(ctx context.Context, r Request, now time.Time) (*Slot, error) {
	paid := l.bucket != nil && l.bucket.AllowN(now, 1)
	state, err := l.take(ctx, l.claim(r, now))
	if err == nil && state.Slot != 0 {
		l.passed++
		if r.Bulk {
			l.lastBulk, l.passed = now, 0
		}
		return &Slot{limiter: l, number: state.Slot, taken: now, paid: paid, Reservation: state.Reservation}, nil
	}
	l.repay(paid, now)
	if err != nil {
		return nil, err
	}
	l.learn(state, time.Now())
	return nil, nil
}

func (l *Limiter) take(ctx context.Context, claim Claim) (State, error) {
	if l.memory != nil {
		if slot := l.memory.take(&claim); slot != 0 {
			return State{Slot: slot}, nil
		}
		return l.memory.Look(ctx)
	}
	lane := l.lane(claim.Bulk)
	lane.asking = true
	defer func() {
		lane.asking = false
		l.signal()
	}()
	return l.outside(func() (State, error) { return l.store.Take(ctx, claim) })
}

// repay returns a token to the bucket.
func (l *Limiter) repay(paid bool, now time.Time) {
	if paid {
		l.bucket.AllowN(now, -1)
	}
}

// outside calls the store. The lock is released meanwhile if that may take time.
func (l *Limiter) outside(call func() (State, error)) (State, error) {
	given := l.given
	defer func() { l.asked = given }()
	if l.shared() {
		l.mu.Unlock()
		defer l.mu.Lock()
	}
	return call()
}

func (l *Limiter) claim(r Request, now time.Time) Claim {
	return Claim{Bulk: r.Bulk, Capacity: l.capacity(r.Bulk, now), Pace: l.pace(now), Spacing: l.spacing(r.Bulk, now),
		InFlight: l.rampInFlight(), Ramp: rampStep, Lesson: l.state.Lesson, Lease: r.Lease, Quota: r.Quota, At: now}
}

// capacity returns how many slots may be taken, including that of a new call of the class.
func (l *Limiter) capacity(bulk bool, now time.Time) int {
	limit := l.limit(now)
	if !bulk || l.untilDue(now) == 0 {
		return limit
	}
	return limit - l.config.Reserve*limit/l.config.Limit
}

// pace returns how far apart calls are, for a minute after a pause and as long as the limit is uncertain: then only one
// call at a time finds out that it is too high.
func (l *Limiter) pace(now time.Time) time.Duration {
	limit := l.limit(now)
	learned := l.state.Lesson.Limit > 0 && l.state.LessonAge+now.Sub(l.seen) < 2*Length
	if learned || limit < l.config.Limit || now.Sub(l.pausedUntil()) < Length {
		return Length / time.Duration(limit)
	}
	return 0
}

// spacing returns how far apart calls of a class are. Bulk calls are spaced evenly, so that a slot soon comes back for an
// interactive call.
func (l *Limiter) spacing(bulk bool, now time.Time) time.Duration {
	if !bulk || l.untilDue(now) == 0 {
		return 0
	}
	return Length / time.Duration(max(1, l.capacity(true, now)))
}

// learn takes note of a state of the store.
func (l *Limiter) learn(s State, now time.Time) {
	l.state, l.seen = s, now
	if l.known = l.asked; l.memory != nil {
		l.known = l.given
	}
	l.stale = l.known != l.given
	if at := now.Add(-s.Since[class(true)]); at.After(l.lastBulk) {
		l.lastBulk = at
	}
	l.refuseLate(now)
}

// refresh looks at the store, so that a caller with a deadline is refused at once if it cannot be met.
func (l *Limiter) refresh(ctx context.Context, r Request, now time.Time) error {
	if r.deadline.IsZero() || l.looking || l.shared() && now.Sub(l.seen) < l.config.Recheck {
		return nil
	}
	l.looking = true
	defer func() { l.looking = false }()
	state, err := l.outside(func() (State, error) { return l.store.Look(ctx) })
	if err == nil {
		l.learn(state, time.Now())
	}
	return err
}

// Pause holds back every caller for a time. Then one goes alone, and the others follow at an even pace. If the store
// fails, this process pauses all the same, and the store is told again for a minute.
func (l *Limiter) Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	until := l.pauseHere(d)
	pause := func(ctx context.Context) error { return l.pauseUntil(ctx, until) }
	if !l.shared() {
		return pause(ctx)
	}
	err := attempt(ctx, pause)
	if err != nil {
		l.background.add(task{run: pause, until: time.Now().Add(Length)})
	}
	return err
}

// pauseHere pauses this process, and returns the end of the pause.
func (l *Limiter) pauseHere(d time.Duration) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Add(d).After(l.pausedUntil()) {
		l.state.Pause = d + now.Sub(l.seen)
	}
	return now.Add(d)
}

// pauseUntil tells the store of a pause, unless it is over.
func (l *Limiter) pauseUntil(ctx context.Context, until time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rest := time.Until(until); rest > 0 {
		return l.change(ctx, Pause{For: rest})
	}
	return nil
}

// Resume ends a pause and forgets what refused calls have taught.
func (l *Limiter) Resume(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.change(ctx, Pause{For: -1, Lesson: Lesson{Limit: l.config.Limit, Interval: shortestInterval}})
}

// change changes the pause in the store, and lets the callers know.
func (l *Limiter) change(ctx context.Context, p Pause) error {
	state, err := l.outside(func() (State, error) { return l.store.Pause(ctx, p) })
	if err != nil {
		return err
	}
	l.learn(state, time.Now())
	l.signal()
	return nil
}

// Stats describes the limiter.
type Stats struct {
	Limit    int    // calls that may go out in a minute now
	Free     int    // slots, at most
	InFlight int    // slots of calls that are not answered
	Queued   [2]int // callers that wait, by class
	Pause    time.Duration
}

// Stats returns the current numbers. With a shared store, those of the store are as old as its last answer.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.shared() {
		if s, err := l.store.Look(context.Background()); err == nil {
			l.learn(s, now)
		}
	}
	s := l.stateAt(now)
	stats := Stats{Limit: s.limit(l.config.Limit), InFlight: s.InFlight, Pause: max(0, s.Pause)}
	stats.Free = max(0, stats.Limit-l.taken(now))
	for i := range l.lanes {
		stats.Queued[i] = l.lanes[i].waiters.Len()
	}
	return stats
}

// Close waits until the store knows of all calls that have ended. It returns the context's error if that ends first.
func (l *Limiter) Close(ctx context.Context) error { return l.background.close(ctx) }

// Slot is the right to make one call. Of its methods, only the first call of one has an effect.
type Slot struct {
	Reservation any // see State

	limiter *Limiter
	number  uint64
	taken   time.Time
	paid    bool // with a token of the bucket
	done    bool
}

// Free returns the slot at once, because the call was not sent.
func (s *Slot) Free(ctx context.Context) error { return s.give(ctx, End{}) }

// Used returns the slot in a minute, because the call was answered.
func (s *Slot) Used(ctx context.Context) error { return s.give(ctx, End{Back: Length}) }

// Lost returns the slot in a little more than a minute, because the server may yet count the call.
func (s *Slot) Lost(ctx context.Context) error { return s.give(ctx, End{Back: Length + Margin}) }

// Refused returns the slot in a minute, and slows the limiter down, because the server refused the call.
func (s *Slot) Refused(ctx context.Context) error {
	return s.give(ctx, End{Back: Length, Refused: true})
}

func (s *Slot) give(ctx context.Context, end End) error {
	l := s.limiter
	end.At = time.Now()
	l.mu.Lock()
	done := s.done
	s.done = true
	l.repay(!done && s.paid && end.Back == 0, end.At)
	if !done && !l.shared() {
		defer l.mu.Unlock()
		return l.settle(ctx, s, end)
	}
	l.mu.Unlock()
	if done {
		return nil
	}
	return l.background.do(ctx, task{
		run: func(ctx context.Context) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			end := end
			end.Back = max(0, end.Back-time.Since(end.At))
			return l.settle(ctx, s, end)
		},
		until: end.At.Add(Length),
		frees: end.Back == 0,
	})
}

// settle tells the store how the call of a slot ended, and learns from a refusal.
func (l *Limiter) settle(ctx context.Context, s *Slot, end End) error {
	state, err := l.giveBack(ctx, s.number, end)
	if err != nil {
		return err
	}
	if end.Refused {
		p := Pause{}
		p.Lesson, p.For = state.learn(l.config.Limit, time.Since(s.taken))
		return l.change(ctx, p)
	}
	l.given.all++
	if end.Back == 0 {
		l.given.unused++
	}
	if end.Back == 0 || l.lanes[0].unknown || l.lanes[1].unknown {
		l.stale = true
		l.signal()
	}
	return nil
}

// giveBack returns the state only if the call was refused.
func (l *Limiter) giveBack(ctx context.Context, number uint64, end End) (State, error) {
	if l.memory == nil {
		return l.outside(func() (State, error) { return l.store.Give(ctx, number, end) })
	}
	l.memory.give(number, end)
	if !end.Refused {
		return State{}, nil
	}
	return l.memory.Look(ctx)
}
