package redisstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

var (
	answered = drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: 200}
	notSent  = drift.Result{Outcome: drift.OutcomeNotSent}
)

// take takes a slot as a limiter with 100 calls a minute would.
func take(t *testing.T, w drift.WindowStore, change func(*drift.WindowClaim)) drift.WindowState {
	t.Helper()
	claim := drift.WindowClaim{Capacity: 100, InFlight: 100, Lease: time.Minute, Ramp: time.Minute}
	if change != nil {
		change(&claim)
	}
	state, err := w.Take(t.Context(), claim)
	require.NoError(t, err)
	return state
}

func give(t *testing.T, w drift.WindowStore, slot uint64, end drift.WindowEnd) drift.WindowState {
	t.Helper()
	state, err := w.Give(t.Context(), slot, end)
	require.NoError(t, err)
	return state
}

func look(t *testing.T, w drift.WindowStore) drift.WindowState {
	t.Helper()
	state, err := w.Look(t.Context())
	require.NoError(t, err)
	return state
}

func pause(t *testing.T, w drift.WindowStore, p drift.WindowPause) drift.WindowState {
	t.Helper()
	state, err := w.Pause(t.Context(), p)
	require.NoError(t, err)
	return state
}

var used = drift.WindowEnd{Back: time.Minute}

// In a new window, the number of calls in flight doubles with each round trip.
func TestWindowStartsSlowly(t *testing.T) {
	w := startRedis(t).open().Window()
	first := take(t, w, nil)
	require.NotZero(t, first.Slot)
	second := take(t, w, nil)
	assert.Zero(t, second.Slot)
	assert.Equal(t, 1, second.InFlight)
	assert.Equal(t, 1, second.Recent)
	give(t, w, first.Slot, used)
	a, b := take(t, w, nil), take(t, w, nil)
	assert.NotZero(t, a.Slot)
	assert.NotZero(t, b.Slot)
	third := take(t, w, nil)
	assert.Zero(t, third.Slot)
	assert.Equal(t, 1, third.Admitted)
	assert.Less(t, third.Age, time.Minute)
	assert.Less(t, third.Pause, -time.Minute)
	assert.Len(t, third.Returns, 1)
	assert.InDelta(t, time.Minute, third.Returns[0], float64(10*time.Second))
}

func TestWindowTakesNoMoreThanItsCapacity(t *testing.T) {
	w := startRedis(t).open(redisstore.WithMinute(100 * time.Millisecond)).Window()
	give(t, w, take(t, w, nil).Slot, drift.WindowEnd{})
	time.Sleep(110 * time.Millisecond) // the slow start is over
	three := func(c *drift.WindowClaim) { c.Capacity = 3 }
	a, b, c := take(t, w, three), take(t, w, three), take(t, w, three)
	assert.Zero(t, take(t, w, three).Slot)
	give(t, w, a.Slot, drift.WindowEnd{}) // not sent: free at once
	assert.NotZero(t, take(t, w, three).Slot)
	give(t, w, b.Slot, drift.WindowEnd{Back: 200 * time.Millisecond})
	give(t, w, b.Slot, drift.WindowEnd{}) // the first word counts
	assert.Zero(t, take(t, w, three).Slot)
	assert.Len(t, look(t, w).Returns, 1)
	time.Sleep(210 * time.Millisecond)
	assert.NotZero(t, take(t, w, three).Slot)
	assert.Zero(t, take(t, w, three).Slot)
	give(t, w, c.Slot, used)
}

func TestWindowSpacesAClass(t *testing.T) {
	w := startRedis(t).open(redisstore.WithMinute(50 * time.Millisecond)).Window()
	bulk := func(c *drift.WindowClaim) { c.Class, c.Spacing = drift.ClassBulk, 100*time.Millisecond }
	give(t, w, take(t, w, bulk).Slot, drift.WindowEnd{})
	time.Sleep(110 * time.Millisecond) // the slow start is over
	require.NotZero(t, take(t, w, bulk).Slot)
	state := take(t, w, bulk)
	require.Zero(t, state.Slot)
	assert.Less(t, state.Since[drift.ClassBulk], 100*time.Millisecond)
	assert.Greater(t, state.Since[drift.ClassInteractive], time.Minute)
	require.NotZero(t, take(t, w, nil).Slot, "the other class")
	time.Sleep(110 * time.Millisecond)
	require.NotZero(t, take(t, w, bulk).Slot)
}

func TestWindowPacesAllClasses(t *testing.T) {
	w := startRedis(t).open(redisstore.WithMinute(50 * time.Millisecond)).Window()
	look(t, w)
	time.Sleep(60 * time.Millisecond)
	paced := func(c *drift.WindowClaim) { c.Pace = 100 * time.Millisecond }
	require.NotZero(t, take(t, w, func(c *drift.WindowClaim) { c.Class = drift.ClassBulk }).Slot)
	assert.Zero(t, take(t, w, paced).Slot)
	time.Sleep(110 * time.Millisecond)
	assert.NotZero(t, take(t, w, paced).Slot)
}

// In the slow start, one more call may be in flight some time after the last one, if any call was admitted.
func TestWindowRamps(t *testing.T) {
	w := startRedis(t).open().Window()
	ramp := func(c *drift.WindowClaim) { c.Ramp = 100 * time.Millisecond }
	first := take(t, w, ramp).Slot
	time.Sleep(110 * time.Millisecond)
	assert.Zero(t, take(t, w, ramp).Slot, "no call was admitted")
	give(t, w, first, used)
	require.NotZero(t, take(t, w, ramp).Slot)
	require.NotZero(t, take(t, w, ramp).Slot)
	assert.Zero(t, take(t, w, ramp).Slot)
	time.Sleep(110 * time.Millisecond)
	assert.NotZero(t, take(t, w, ramp).Slot)
}

func TestWindowPauses(t *testing.T) {
	s := startRedis(t)
	w, other := s.open().Window(), s.open().Window()
	slot := take(t, w, nil).Slot
	give(t, w, slot, used)
	flying := take(t, w, nil).Slot
	state := pause(t, w, drift.WindowPause{For: 300 * time.Millisecond})
	assert.InDelta(t, 300*time.Millisecond, state.Pause, float64(100*time.Millisecond))
	assert.Equal(t, 1, state.Before)
	assert.Zero(t, state.Admitted)
	assert.Zero(t, state.Recent)
	assert.Equal(t, 1, state.InFlight)
	assert.Zero(t, take(t, other, nil).Slot, "another process pauses too")
	pause(t, other, drift.WindowPause{For: time.Millisecond})
	assert.Zero(t, take(t, w, nil).Slot, "a pause is not shortened")
	give(t, w, flying, used)
	assert.Zero(t, look(t, w).Admitted, "it was taken before the pause")
	time.Sleep(310 * time.Millisecond)
	require.NotZero(t, take(t, w, nil).Slot)
	require.Zero(t, take(t, w, nil).Slot, "one call goes first")
	pause(t, w, drift.WindowPause{For: time.Hour})
	assert.LessOrEqual(t, pause(t, other, drift.WindowPause{For: -1}).Pause, time.Duration(0))
}

func TestWindowKeepsALesson(t *testing.T) {
	w := startRedis(t).open().Window()
	lesson := drift.WindowLesson{Limit: 40, Interval: 1234567891}
	assert.Greater(t, look(t, w).LessonAge, time.Minute)
	state := pause(t, w, drift.WindowPause{For: 50 * time.Millisecond, Lesson: lesson})
	assert.Equal(t, lesson, state.Lesson)
	assert.Negative(t, state.LessonAge, "until the pause ends")
	time.Sleep(60 * time.Millisecond)
	assert.Zero(t, take(t, w, nil).Slot, "a claim that does not know it")
	require.NotZero(t, take(t, w, func(c *drift.WindowClaim) { c.Lesson = lesson }).Slot)
	pause(t, w, drift.WindowPause{})
	assert.Equal(t, lesson, look(t, w).Lesson)
}

func TestWindowCountsRefusals(t *testing.T) {
	w := startRedis(t).open().Window()
	slot := take(t, w, nil).Slot
	state := give(t, w, slot, drift.WindowEnd{Back: time.Minute, Refused: true})
	assert.Equal(t, 1, state.Refused)
	assert.Zero(t, state.Admitted)
	assert.Len(t, state.Returns, 1)
	state = give(t, w, slot, drift.WindowEnd{Back: time.Minute, Refused: true})
	assert.Equal(t, 1, state.Refused, "the second word does not count")
}

// The slot of a process that has died is free a minute and a margin after its lease.
func TestWindowFreesTheSlotsOfTheDead(t *testing.T) {
	w := startRedis(t).open(redisstore.WithMinute(200 * time.Millisecond)).Window() // the margin is 10 ms
	slot := take(t, w, func(c *drift.WindowClaim) { c.Lease = 50 * time.Millisecond }).Slot
	assert.Equal(t, 1, look(t, w).InFlight)
	time.Sleep(60 * time.Millisecond)
	state := look(t, w)
	assert.Zero(t, state.InFlight)
	require.Len(t, state.Returns, 1)
	assert.Less(t, state.Returns[0], 210*time.Millisecond)
	give(t, w, slot, used) // it was only slow
	state = look(t, w)
	require.Len(t, state.Returns, 1)
	assert.Greater(t, state.Returns[0], 50*time.Second, "its own word counts")
	give(t, w, 12345, used)
	assert.Len(t, look(t, w).Returns, 2, "a slot that the store does not know")
}

func TestStoresWithDifferentAccountsShareNothing(t *testing.T) {
	s := startRedis(t)
	a, b := s.open(redisstore.WithAccount("a")), s.open(redisstore.WithAccount("b"))
	require.NotZero(t, take(t, a.Window(), nil).Slot)
	require.NotZero(t, take(t, b.Window(), nil).Slot)
	pause(t, a.Window(), drift.WindowPause{For: time.Hour})
	assert.Negative(t, look(t, b.Window()).Pause)
	_, err := a.Reserve(t.Context())
	require.NoError(t, err)
	usage, err := b.Usage(t.Context())
	require.NoError(t, err)
	assert.Zero(t, usage.Used)
	keys, err := s.client().Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		assert.Regexp(t, `^drift:\{[ab]\}:[a-z]+$`, key)
	}
}

// commands counts what a client sends.
type commands struct {
	mu    sync.Mutex
	names []string
}

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.mu.Lock()
		c.names = append(c.names, cmd.Name())
		c.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *commands) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.names
	c.names = nil
	return names
}

func TestOneCommandBeforeACallAndOneAfterIt(t *testing.T) {
	s := startRedis(t)
	client, sent := s.client(), new(commands)
	store := open(t, client, redisstore.WithPlan(drift.PlanStarter))
	require.NoError(t, store.Ping(t.Context()))
	client.AddHook(sent)
	l := store.Limiter(100)
	slot, err := l.Acquire(t.Context(), drift.Turn{Timeout: time.Minute, Quota: store})
	require.NoError(t, err)
	assert.Equal(t, []string{"evalsha"}, sent.take(), "one round trip decides minute and month")
	reservation := slot.(drift.ReservedSlot).Reservation()
	require.NotNil(t, reservation)
	assert.Equal(t, 1, reservation.Usage().Used)
	assert.Equal(t, 10_000, reservation.Usage().Limit)
	require.NoError(t, slot.Done(t.Context(), answered))
	require.NoError(t, store.Close(t.Context()))
	assert.Equal(t, []string{"evalsha"}, sent.take(), "which nobody waits for")
}

func TestUsedUpMonthTakesNoSlot(t *testing.T) {
	store := startRedis(t).open(redisstore.WithPlan(1))
	l := store.Limiter(100)
	slot, err := l.Acquire(t.Context(), drift.Turn{Quota: store})
	require.NoError(t, err)
	require.NoError(t, slot.Done(t.Context(), answered))
	_, err = l.Acquire(t.Context(), drift.Turn{Quota: store})
	var exhausted *drift.QuotaError
	require.ErrorAs(t, err, &exhausted)
	assert.Equal(t, 1, exhausted.Usage.Used)
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
	require.Eventually(t, func() bool { return look(t, store.Window()).InFlight == 0 }, time.Second, time.Millisecond)
	_, err = l.Acquire(t.Context(), drift.Turn{})
	require.NoError(t, err, "a call with another quota")
}

func TestDeadlineThatCannotBeMet(t *testing.T) {
	l := startRedis(t).open().Limiter(1)
	slot, err := l.Acquire(t.Context(), drift.Turn{})
	require.NoError(t, err)
	require.NoError(t, slot.Done(t.Context(), answered))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	start := time.Now()
	_, err = l.Acquire(ctx, drift.Turn{})
	var late *drift.RateLimitError
	require.ErrorAs(t, err, &late)
	assert.True(t, late.Local)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(start), time.Second, "at once")
}

// A caller that leaves while Redis is slow costs nobody a slot.
func TestCallerThatLeavesReturnsItsSlot(t *testing.T) {
	s := startRedis(t)
	p := startProxy(t, s.addr, 30*time.Millisecond)
	client := redis.NewClient(&redis.Options{Addr: p.addr()})
	t.Cleanup(func() { _ = client.Close() })
	store := open(t, client, redisstore.WithTimeout(time.Second), redisstore.WithPlan(100))
	require.NoError(t, store.Ping(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	start := time.Now()
	_, err := store.Limiter(100).Acquire(ctx, drift.Turn{Quota: store})
	require.ErrorIs(t, err, context.Canceled)
	assert.Less(t, time.Since(start), 50*time.Millisecond, "at once")
	require.NoError(t, store.Close(t.Context()), "which waits for it")
	direct := s.open()
	state := look(t, direct.Window())
	assert.Zero(t, state.InFlight)
	assert.Empty(t, state.Returns)
	usage, err := direct.Usage(t.Context())
	require.NoError(t, err)
	assert.Zero(t, usage.Used)
}

func TestClosedStore(t *testing.T) {
	store := startRedis(t).open()
	l := store.Limiter(100)
	require.NoError(t, store.Close(t.Context()))
	require.NoError(t, store.Close(t.Context()))
	_, err := l.Acquire(t.Context(), drift.Turn{})
	require.ErrorIs(t, err, drift.ErrClosed)
	_, err = store.Reserve(t.Context())
	require.ErrorIs(t, err, drift.ErrClosed)
	require.False(t, errors.Is(err, redisstore.ErrAway))
}
