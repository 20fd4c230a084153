package window

import (
	"context"
	"sync"
	"time"
)

// Store keeps a window, for one process or for several. Its methods are safe for concurrent use. All times are relative
// to the store's clock, so that processes need not agree on the time.
type Store interface {
	// Take takes a slot if the claim allows it. Either way it returns the state of the window.
	Take(ctx context.Context, claim Claim) (State, error)

	// Give returns a slot that Take took.
	Give(ctx context.Context, slot uint64, end End) (State, error)

	// Look returns the state and changes nothing.
	Look(ctx context.Context) (State, error)

	// Pause changes the pause and the lesson, and returns the state.
	Pause(ctx context.Context, pause Pause) (State, error)
}

// Claim says under which conditions Take takes a slot. In addition, it takes none during a pause. In the minute after a
// pause, and after the window was created, of the slots taken since then no more may be in flight than calls were
// admitted, plus one: so one call goes first, and the number doubles with each round trip. See also Ramp.
type Claim struct {
	Bulk     bool          // the class of the call
	Capacity int           // fewer slots must be taken
	Pace     time.Duration // the last slot must have been taken this long ago
	Spacing  time.Duration // the last slot of the class must have been taken this long ago
	Ramp     time.Duration // so long after the last slot one more may be in flight, if any call was admitted
	Lesson   Lesson        // must be the stored one, because the conditions depend on it
	Lease    time.Duration // how long the slot stays in flight if its holder dies
	Quota    any           // see State.Reservation
}

// End says how the call of a slot ended.
type End struct {
	Back    time.Duration // how long the slot stays taken; 0: it is free at once
	Refused bool          // the service refused the call, because its limit was reached
}

// Pause is a change of the pause. The zero value changes nothing.
type Pause struct {
	For    time.Duration // the pause lasts at least so long from now; negative: it ends now
	Lesson Lesson        // replaces the stored one, unless its Limit is 0
}

// State describes a window. If Take took a slot, only that and the Reservation are set.
type State struct {
	Slot        uint64           // the slot that Take took; 0: none
	Reservation any              // of the claim's quota, if the store counted the call there in the same step
	InFlight    int              // slots of calls that are not answered
	Recent      int              // of these, taken since the last pause, or since the window was created
	Admitted    int              // calls that the service admitted since then
	Before      int              // calls that it admitted between the last pause and the one before
	Refused     int              // slots, among the Returns, of calls that the service refused
	Returns     []time.Duration  // when the other slots become free, in order
	Pause       time.Duration    // the rest of the pause; 0 or negative: it ended so long ago
	Age         time.Duration    // how long ago the window was created
	Since       [2]time.Duration // how long ago the last slot of each class was taken: interactive, bulk
	Lesson      Lesson
	LessonAge   time.Duration // how long ago the lesson was stored, or the pause of that time ended; negative: it will end
}

// LongAgo is how long ago something was that never happened.
const LongAgo = time.Duration(1 << 60)

// Memory is a Store in memory. Its clock is the monotonic one.
type Memory struct {
	created time.Time

	mu       sync.Mutex
	pauses   uint64 // a slot's number is how many there had been
	inFlight int
	recent   int // of these, taken since the last pause
	admitted int // since the last pause
	before   int // between that and the pause before
	refused  int
	returns  []entry // in order
	paused   time.Time
	last     [2]time.Time
	lesson   Lesson
	learned  time.Time
}

// entry is a slot of a call that has ended.
type entry struct {
	back    time.Time
	refused bool
}

// NewMemory returns an empty window.
func NewMemory() *Memory { return &Memory{created: time.Now()} }

// Take implements Store.
func (m *Memory) Take(_ context.Context, claim Claim) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.advance()
	if !m.allows(claim, now) {
		return m.state(now), nil
	}
	m.inFlight++
	m.recent++
	m.last[class(claim.Bulk)] = now
	return State{Slot: 1 + m.pauses}, nil
}

func (m *Memory) allows(claim Claim, now time.Time) bool {
	return !now.Before(m.paused) && claim.Lesson == m.lesson &&
		m.inFlight+len(m.returns) < claim.Capacity &&
		now.Sub(m.last[class(claim.Bulk)]) >= claim.Spacing && m.idle(now) >= claim.Pace &&
		(!m.ramps(now) || m.recent <= m.admitted || m.admitted > 0 && m.idle(now) >= claim.Ramp)
}

// idle is how long ago the last slot was taken.
func (m *Memory) idle(now time.Time) time.Duration { return now.Sub(later(m.last[0], m.last[1])) }

// ramps reports whether the window is young, or a pause has just ended.
func (m *Memory) ramps(now time.Time) bool {
	return now.Sub(m.created) < Length || now.Sub(m.paused) < Length
}

// Give implements Store.
func (m *Memory) Give(_ context.Context, slot uint64, end End) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.advance()
	recent := slot == 1+m.pauses
	m.inFlight--
	if recent {
		m.recent--
	}
	if end.Back > 0 {
		m.insert(entry{now.Add(end.Back), end.Refused})
	}
	switch {
	case end.Refused:
		m.refused++
		return m.state(now), nil
	case end.Back > 0 && recent:
		m.admitted++
	}
	return State{}, nil
}

func (m *Memory) insert(e entry) {
	at := len(m.returns)
	for at > 0 && m.returns[at-1].back.After(e.back) {
		at--
	}
	m.returns = append(m.returns, entry{})
	copy(m.returns[at+1:], m.returns[at:])
	m.returns[at] = e
}

// Look implements Store.
func (m *Memory) Look(context.Context) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state(m.advance()), nil
}

// Pause implements Store.
func (m *Memory) Pause(_ context.Context, p Pause) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.advance()
	switch until := now.Add(p.For); {
	case p.For > 0 && m.paused.After(now):
		m.paused = later(m.paused, until)
	case p.For > 0:
		m.paused, m.recent = until, 0
		m.admitted, m.before = 0, m.admitted
		m.pauses++
	case p.For < 0 && m.paused.After(now):
		m.paused = now
	}
	if p.Lesson.Limit > 0 {
		m.lesson, m.learned = p.Lesson, later(now, m.paused)
	}
	return m.state(now), nil
}

// advance frees the slots whose time has come, and returns the time.
func (m *Memory) advance() (now time.Time) {
	now = time.Now()
	for len(m.returns) > 0 && !m.returns[0].back.After(now) {
		if m.returns[0].refused {
			m.refused--
		}
		m.returns = m.returns[1:]
	}
	return now
}

func (m *Memory) state(now time.Time) State {
	s := State{InFlight: m.inFlight, Recent: m.recent, Admitted: m.admitted, Before: m.before,
		Refused: m.refused, Age: now.Sub(m.created), Pause: -LongAgo, Lesson: m.lesson, LessonAge: since(now, m.learned)}
	if !m.paused.IsZero() {
		s.Pause = m.paused.Sub(now)
	}
	for i, at := range m.last {
		s.Since[i] = since(now, at)
	}
	s.Returns = make([]time.Duration, len(m.returns))
	for i, e := range m.returns {
		s.Returns[i] = e.back.Sub(now)
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// since leaves room for sums.
func since(now, at time.Time) time.Duration { return min(now.Sub(at), LongAgo) }

// class is the index of a class.
func class(bulk bool) int {
	if bulk {
		return 1
	}
	return 0
}
