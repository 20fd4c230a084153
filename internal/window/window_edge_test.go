package window_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/driftsdk/drift/internal/window"
)

// At the very instant at which a slot comes back, whoever waits for it goes before whoever comes for it.
func TestNewcomerAtTheInstantOfAReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			w := window.New(full(1))
			use(t, w)
			start := time.Now()
			waited, came := make(chan time.Duration, 1), make(chan time.Duration, 1)
			time.AfterFunc(time.Minute, func() { // set before the window's own timer
				acquire(t, w, false).Used()
				came <- time.Since(start)
			})
			go func() {
				acquire(t, w, false).Used()
				waited <- time.Since(start)
			}()
			if !assert.Equal(t, time.Minute, <-waited) || !assert.InDelta(t, 120, (<-came).Seconds(), 0.001) {
				return
			}
		}
	})
}

// One who goes alone after a pause goes without a token only where there is none: the token that is there is not one more.
func TestTokenThatIsThereAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(2))
		use(t, w)
		use(t, w)
		w.Pause(time.Now().Add(time.Second))
		time.Sleep(31 * time.Second) // at 2 a minute, the empty bucket now has exactly one token
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _, _ = w.Acquire(ctx, false) }() // goes first, when the slots come back at 60 s
		synctest.Wait()
		_, err := w.Acquire(within(t, 29500*time.Millisecond), false) // at 60 s there is a slot, and a token only at 61 s
		requireLate(t, err, 30*time.Second+1)
		cancel()
		synctest.Wait()
	})
}

// Of a slot that comes back while somebody begins to wait for it, one of the two has to notice.
func TestSlotThatComesBackWhileSomebodyQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 5000 {
			w := window.New(window.Config{Limit: 1, Burst: 1, Kept: true})
			slot, start := acquire(t, w, false), time.Now()
			var both sync.WaitGroup
			var ready atomic.Int32
			meet := func() {
				ready.Add(1)
				for spin := 0; ready.Load() < 2; spin++ {
					if spin > 10_000 { // there is one core
						runtime.Gosched()
					}
				}
			}
			both.Go(func() {
				meet()
				for range round % 1000 { // a little later each time
					ready.Load()
				}
				slot.Used()
			})
			both.Go(func() {
				meet()
				acquire(t, w, false).Free()
			})
			both.Wait() // hangs, which synctest reports, if neither did
			if !assert.Equal(t, time.Minute, time.Since(start)) {
				return
			}
		}
	})
}

// A slot that was marked before a pause is known of when somebody comes to wait during it.
func TestSlotThatCameBackBeforeAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, start := window.New(full(1)), time.Now()
		use(t, w)
		w.Pause(start.Add(time.Second))
		_, err := w.Acquire(within(t, 30*time.Second), false)
		requireLate(t, err, time.Minute)
		use(t, w) // hangs, which synctest reports, if there is no timer
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// Only the first Used counts, that of a call that went alone above all.
func TestProbeThatEndsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(100))
		first := acquire(t, w, false)
		first.Used()
		w.Pause(time.Now().Add(time.Second))
		time.Sleep(10 * time.Second)
		second := acquire(t, w, false)
		first.Used()
		first.Free()
		assert.Zero(t, free(t, w, false), "the call after the pause is still under way")
		second.Used()
		assert.NotZero(t, free(t, w, false))
	})
}

// A slot that comes back during a pause, when somebody waits already.
func TestSlotThatComesBackDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, start := window.New(full(1)), time.Now()
		slot := acquire(t, w, false)
		w.Pause(start.Add(10 * time.Second))
		time.AfterFunc(time.Second, slot.Used)
		use(t, w)
		assert.Equal(t, 61*time.Second, time.Since(start))
	})
}

// twoBehindAPause is a window of three that is paused, with one call under way and two that wait.
func twoBehindAPause(t *testing.T, pause time.Duration) (*window.Window, *window.Slot, *sync.WaitGroup) {
	t.Helper()
	w, waiting := window.New(window.Config{Limit: 3, Burst: 3, Kept: true}), new(sync.WaitGroup)
	t.Cleanup(waiting.Wait)
	underWay := acquire(t, w, false)
	w.Pause(time.Now().Add(pause))
	for range 2 {
		waiting.Go(func() { use(t, w) })
		synctest.Wait()
	}
	return w, underWay, waiting
}

// Who comes behind others is told how long the wait is by the slots that have been marked, not by what a new call would take.
func TestDeadlineBehindAMarkedSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, first, _ := twoBehindAPause(t, 21*time.Second)
		time.Sleep(time.Second)
		first.Used() // comes back at 61 s
		time.Sleep(19 * time.Second)
		slot, err := w.Acquire(within(t, 50*time.Second), false)
		require.NoError(t, err)
		slot.Used()
		assert.InDelta(t, 61, time.Since(start).Seconds(), 0.001, "the bucket's turn is at 21 s and 20 s for each token")
	})
}

// The same when it is another pause that asks for it.
func TestPauseBehindAMarkedSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w, slot, waiting := twoBehindAPause(t, 5*time.Second)
		waiting.Go(func() {
			slot, err := w.Acquire(within(t, 61500*time.Millisecond), false)
			if assert.NoError(t, err) {
				slot.Used()
			}
		})
		time.Sleep(time.Second)
		slot.Used() // comes back at 61 s
		time.Sleep(time.Second)
		w.Pause(start.Add(6 * time.Second))
		waiting.Wait()
		assert.Equal(t, 61*time.Second, time.Since(start))
	})
}

// For a minute after a pause the bucket counts, however many slots there are.
func TestPaceForAMinuteAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(600))
		w.Pause(time.Now().Add(time.Second))
		for i, at := range queue(t, w, 600, false, 0) {
			assert.InDelta(t, 1+0.1*float64(i), at.Seconds(), 0.001)
		}
	})
}

// A window that was made in real time serves a test in virtual time, which is years behind.
func TestWindowFromAnotherTime(t *testing.T) {
	w := window.New(window.Config{Limit: 1, Burst: 1, Kept: true})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		acquire(t, w, false).Free()
		use(t, w)
		use(t, w)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// Who sets a limit that is never reached must not pay for it with memory.
func TestMemoryOfALimitThatIsNeverReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(1 << 30))
		use(t, w)
		before := heap()
		for range 100 {
			for range 1000 {
				use(t, w)
			}
			time.Sleep(time.Minute)
		}
		assert.Less(t, heap()-before, int64(100_000), "bytes, after 100,000 calls")
		runtime.KeepAlive(w)
	})
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The window does without a bucket where that would change nothing. The oracle never does, and it keeps its books in the most
// obvious way.
func TestAgainstAnOracleThatAlwaysHasABucket(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { compare(t, rand.New(rand.NewPCG(seed, 0))) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type oracle struct {
	window.Config
	bucket         *rate.Limiter
	held           []*held
	paused         time.Time
	alone, probing bool
}

// held is a slot with what the oracle knows of it.
type held struct {
	slot        *window.Slot
	back        time.Time // zero: the call is under way
	paid, probe bool
	bucket      *rate.Limiter
}

func (o *oracle) newBucket() *rate.Limiter { return rate.NewLimiter(rate.Limit(o.Limit)/60, o.Burst) }

// admit returns what a caller gets now, or nil.
func (o *oracle) admit(bulk bool) *held {
	now, limit := time.Now(), o.Limit
	if bulk {
		limit -= o.Reserve
	}
	o.held = slices.DeleteFunc(o.held, func(h *held) bool { return !h.back.IsZero() && !h.back.After(now) })
	if o.probing || now.Before(o.paused) || len(o.held) >= limit {
		return nil
	}
	h := &held{bucket: o.bucket, probe: o.alone, paid: o.bucket.AllowN(now, 1)}
	if !h.paid && !o.alone {
		return nil
	}
	o.probing, o.alone = o.alone, false
	o.held = append(o.held, h)
	return h
}

func (o *oracle) used(h *held) {
	h.back = time.Now().Add(time.Minute)
	o.probing = o.probing && !h.probe
}

func (o *oracle) free(h *held) {
	h.back = time.Now()
	if h.paid {
		h.bucket.AllowN(time.Now(), -1)
	}
	if h.probe {
		o.probing, o.alone = false, true
	}
}

func (o *oracle) pause(until time.Time) {
	if !until.After(o.paused) {
		return
	}
	o.paused, o.alone, o.bucket = until, true, o.newBucket()
	o.bucket.AllowN(until, o.Burst)
}

// compare lets callers come who do not wait, and finds out whether they are admitted when the oracle says so.
func compare(t *testing.T, r *rand.Rand) {
	limit := []int{1, 2, 5, 10, 40, 100}[r.IntN(6)]
	o := &oracle{Config: window.Config{Limit: limit, Burst: limit, Reserve: r.IntN(limit), Kept: r.IntN(2) == 0}}
	o.alone = !o.Kept
	if r.IntN(4) == 0 {
		o.Burst = 1 + r.IntN(limit)
	}
	o.bucket = o.newBucket()
	w := window.New(o.Config)
	longest := time.Duration(1+r.IntN(2*limit)) * time.Minute / time.Duration(limit)
	var under []*held
	for range 8 * limit {
		if r.IntN(3) > 0 {
			time.Sleep(time.Duration(r.Int64N(int64(longest))))
		}
		if r.IntN(8*limit) < 3 {
			until := time.Now().Add(1 + time.Duration(r.Int64N(int64(90*time.Second))))
			w.Pause(until)
			o.pause(until)
		}
		bulk := r.IntN(3) == 0
		expected := o.admit(bulk)
		slot, err := w.Acquire(within(t, time.Nanosecond), bulk)
		if expected == nil != (err != nil) {
			t.Errorf("limit %d, burst %d, reserve %d: the oracle admits: %t, the window: %v", limit, o.Burst, o.Reserve, expected != nil, err)
			return
		}
		if expected != nil {
			expected.slot = slot
			under = append(under, expected)
		}
		for len(under) > 0 && r.IntN(3) > 0 {
			i := r.IntN(len(under))
			h := under[i]
			under = slices.Delete(under, i, i+1)
			if r.IntN(6) == 0 {
				o.free(h)
				h.slot.Free()
			} else {
				o.used(h)
				h.slot.Used()
			}
		}
	}
}
