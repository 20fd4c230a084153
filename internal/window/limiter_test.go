package window_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift/internal/window"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server counts calls as they arrive, independently of the window.
type server struct {
	limit int

	mu       sync.Mutex
	arrivals []time.Time
	refused  int
}

func (s *server) arrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if n := len(s.arrivals); n >= s.limit && now.Sub(s.arrivals[n-s.limit]) < time.Minute {
		s.refused++
	}
	s.arrivals = append(s.arrivals, now)
}

// busiest is the largest number of arrivals in any minute.
func (s *server) busiest() int {
	most := 0
	for i, first := range s.arrivals {
		n := 0
		for _, at := range s.arrivals[i:] {
			if at.Sub(first) >= time.Minute {
				break
			}
			n++
		}
		most = max(most, n)
	}
	return most
}

// testWindow is a limiter over a window in memory.
type testWindow struct{ *window.Limiter }

// config is that of a window whose first minute is over if it is kept.
type config struct {
	window.Config
	Kept bool
}

func newWindow(c config) *testWindow {
	w := &testWindow{window.New(window.NewMemory(), c.Config)}
	if c.Kept {
		if slot, err := w.Limiter.Acquire(context.Background(), window.Request{}); err == nil {
			_ = slot.Free(context.Background())
		}
		time.Sleep(window.Length)
	}
	return w
}

func (w *testWindow) Acquire(ctx context.Context, bulk bool) (*testSlot, error) {
	slot, err := w.Limiter.Acquire(ctx, window.Request{Bulk: bulk})
	if err != nil {
		return nil, err
	}
	return &testSlot{slot}, nil
}

func (w *testWindow) Pause(until time.Time) {
	_ = w.Limiter.Pause(context.Background(), time.Until(until))
}

type testSlot struct{ slot *window.Slot }

func (s *testSlot) Used() { _ = s.slot.Used(context.Background()) }
func (s *testSlot) Free() { _ = s.slot.Free(context.Background()) }

func full(limit int) config { return config{Config: window.Config{Limit: limit, Burst: limit}} }

func acquire(t *testing.T, w *testWindow, bulk bool) *testSlot {
	t.Helper()
	slot, err := w.Acquire(t.Context(), bulk)
	require.NoError(t, err)
	return slot
}

// use makes a call that is answered at once.
func use(t *testing.T, w *testWindow) {
	t.Helper()
	acquire(t, w, false).Used()
}

// within returns a context that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func requireLate(t *testing.T, err error, wait time.Duration) {
	t.Helper()
	var late *window.LateError
	require.ErrorAs(t, err, &late)
	require.InDelta(t, wait.Seconds(), late.Wait.Seconds(), 0.001)
	require.NotEmpty(t, late.Error())
}

// free returns how many calls can go out now.
func free(t *testing.T, w *testWindow, bulk bool) int {
	t.Helper()
	var slots []*testSlot
	for {
		slot, err := w.Acquire(within(t, time.Nanosecond), bulk)
		if err != nil {
			requireOneOf(t, err)
			break
		}
		slots = append(slots, slot)
	}
	for _, slot := range slots {
		slot.Free()
	}
	return len(slots)
}

func requireOneOf(t *testing.T, err error) {
	t.Helper()
	var late *window.LateError
	require.True(t, errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded), "%v", err)
}

// queue starts n callers one after another, each of which holds its slot for a while, and returns when each was
// admitted.
func queue(t *testing.T, w *testWindow, n int, bulk bool, hold time.Duration) []time.Duration {
	start := time.Now()
	admitted := make([]time.Duration, n)
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			slot, err := w.Acquire(t.Context(), bulk)
			if !assert.NoError(t, err) {
				return
			}
			admitted[i] = time.Since(start)
			time.Sleep(hold)
			slot.Used()
		})
		synctest.Wait()
	}
	callers.Wait()
	return admitted
}

func TestAThousandCalls(t *testing.T) {
	for name, delay := range map[string]func(*rand.Rand) time.Duration{
		"20 to 120 ms":            jitter,
		"1 in 100 up to 3 s late": jitterWithOutliers,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, took := run(t, 100, 1000, 64, delay)
				assert.Zero(t, s.refused)
				assert.LessOrEqual(t, s.busiest(), 100)
				assert.GreaterOrEqual(t, took, 540*time.Second)
				slowest := 2 * 120 * time.Millisecond // both ways, once for the probe and once in each window
				if name != "20 to 120 ms" {
					slowest = 2 * 3 * time.Second
				}
				assert.LessOrEqual(t, took, 540*time.Second*101/100+10*slowest)
			})
		})
	}
}

func TestSmallLimits(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 10} {
		synctest.Test(t, func(t *testing.T) {
			calls := 4*limit + 1
			s, took := run(t, limit, calls, 7, jitter)
			assert.Zero(t, s.refused, "limit %d", limit)
			assert.Equal(t, limit, s.busiest())
			assert.Less(t, took, 4*time.Minute+5*time.Second, "limit %d", limit)
		})
	}
}

func jitter(r *rand.Rand) time.Duration {
	return 20*time.Millisecond + time.Duration(r.Int64N(int64(100*time.Millisecond)))
}

func jitterWithOutliers(r *rand.Rand) time.Duration {
	if r.IntN(100) == 0 {
		return time.Duration(r.Int64N(int64(3 * time.Second)))
	}
	return jitter(r)
}

// run makes calls from workers through a network with delays each way.
func run(t *testing.T, limit, calls, workers int, delay func(*rand.Rand) time.Duration) (*server, time.Duration) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w, s, start := newWindow(full(limit)), &server{limit: limit}, time.Now()
	jobs := make(chan struct{}, calls)
	for range calls {
		jobs <- struct{}{}
	}
	close(jobs)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(worker)))
			for range jobs {
				slot, err := w.Acquire(t.Context(), false)
				if !assert.NoError(t, err) {
					return
				}
				time.Sleep(delay(r))
				s.arrive()
				time.Sleep(delay(r))
				slot.Used()
			}
		})
	}
	group.Wait()
	assert.Len(t, s.arrivals, calls)
	return s, time.Since(start)
}

// In the first minute, the number of calls in flight doubles with each round trip.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admitted := queue(t, newWindow(full(100)), 50, false, 100*time.Millisecond)
		inFlight := make(map[time.Duration]int)
		for _, at := range admitted {
			inFlight[at]++
		}
		assert.Equal(t, map[time.Duration]int{
			0: 1, 100 * time.Millisecond: 2, 200 * time.Millisecond: 4, 300 * time.Millisecond: 8,
			400 * time.Millisecond: 16, 500 * time.Millisecond: 16, 600 * time.Millisecond: 3,
		}, inFlight)
	})
}

// Sixteen calls in flight would be too few for a large limit.
func TestSlowStartOfALargeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		queue(t, newWindow(full(6000)), 1023, false, 100*time.Millisecond)
		assert.Equal(t, time.Second, time.Since(start), "1, 2, 4 … 512 calls at a time")
	})
}

func TestNoSlowStartAfterTheFirstMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: full(100).Config, Kept: true})
		assert.Equal(t, 100, free(t, w, false))
	})
}

func TestFirstInFirstOut(t *testing.T) {
	for name, c := range map[string]config{
		"bucket": {Config: window.Config{Limit: 100, Burst: 1}},
		"window": full(1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				admitted := queue(t, newWindow(c), 40, false, 10*time.Millisecond)
				for i := range admitted[1:] {
					assert.Less(t, admitted[i], admitted[i+1])
				}
			})
		})
	}
}

func TestCancelledCallerFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(2))
		use(t, w)
		use(t, w)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := w.Acquire(ctx, false)
				left <- err
			}()
		}
		synctest.Wait()
		patient := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				acquire(t, w, false).Used()
				patient <- time.Since(start)
			}()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		for range 2 {
			require.ErrorIs(t, <-left, context.Canceled)
		}
		assert.Zero(t, time.Since(start), "they left at once")
		assert.Equal(t, time.Minute, <-patient)
		assert.Equal(t, time.Minute, <-patient, "the two ahead left no trace")
	})
}

func TestEndedContextGetsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.Acquire(ctx, false)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, free(t, w, false))
	})
}

// A caller whose context ends as a slot becomes free must not lose that slot.
func TestCancelThatMeetsAFreeSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(1))
		for round := range 1000 {
			held := acquire(t, w, false)
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() {
				slot, err := w.Acquire(ctx, false)
				if err == nil {
					slot.Free()
				}
				result <- err
			}()
			synctest.Wait()
			if round%2 == 0 {
				held.Free()
				cancel()
			} else {
				cancel()
				held.Free()
			}
			if err := <-result; err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			require.Equal(t, 1, free(t, w, false))
		}
	})
}

func TestDeadlineBeforeTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(2))
		use(t, w)
		time.Sleep(10 * time.Second)
		use(t, w)
		start := time.Now()

		_, err := w.Acquire(within(t, 49*time.Second), false)
		requireLate(t, err, 50*time.Second)
		_, err = w.Acquire(within(t, 50*time.Second), false)
		requireLate(t, err, 50*time.Second)
		assert.Zero(t, time.Since(start), "at once")

		waiting := make(chan *testSlot)
		go func() { waiting <- acquire(t, w, false) }()
		synctest.Wait()
		_, err = w.Acquire(within(t, 59*time.Second), false)
		requireLate(t, err, 60*time.Second)

		(<-waiting).Used()
		assert.Equal(t, 50*time.Second, time.Since(start), "refused callers took no slot")
		slot, err := w.Acquire(within(t, 11*time.Second), false)
		require.NoError(t, err)
		assert.Equal(t, 60*time.Second, time.Since(start))
		slot.Used()
	})
}

func TestDeadlineBehindALongQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(10))
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range 10 {
			use(t, w)
		}
		for range 35 {
			callers.Go(func() { _, _ = w.Acquire(ctx, false) })
		}
		synctest.Wait()
		_, err := w.Acquire(within(t, 3*time.Minute), false)
		requireLate(t, err, 4*time.Minute)
		cancel()
		callers.Wait()
	})
}

// The slot of a call under way comes back at an unknown time, but not within a minute.
func TestDeadlineBehindCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(2))
		use(t, w)
		start, held := time.Now(), acquire(t, w, false)
		time.Sleep(time.Minute)
		second := acquire(t, w, false)
		_, err := w.Acquire(within(t, 59*time.Second), false)
		requireLate(t, err, time.Minute)
		_, err = w.Acquire(within(t, 61*time.Second), false)
		requireLate(t, err, time.Minute) // only then, because a call in flight may still have turned out unsent
		assert.Equal(t, 121*time.Second, time.Since(start))
		held.Used()
		second.Used()
	})
}

func TestDeadlineBeforeTheBucketsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: window.Config{Limit: 100, Burst: 1}})
		use(t, w)
		_, err := w.Acquire(within(t, 500*time.Millisecond), false)
		requireLate(t, err, 600*time.Millisecond)
		_, err = w.Acquire(within(t, 601*time.Millisecond), false)
		require.NoError(t, err)
	})
}

func TestPauseHoldsAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		use(t, w)
		w.Pause(time.Now().Add(10 * time.Second))
		w.Pause(time.Now().Add(5 * time.Second)) // does not shorten the pause
		w.Pause(time.Now())
		admitted := queue(t, w, 30, false, 100*time.Millisecond)
		for i, at := range admitted {
			assert.InDelta(t, 10+0.6*float64(i), at.Seconds(), 0.001, "one goes out alone, the rest at the pace of the bucket")
		}
	})
}

func TestCallAfterAPauseGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		use(t, w)
		w.Pause(time.Now().Add(10 * time.Second))
		admitted := queue(t, w, 4, false, 7*time.Second)
		assert.Equal(t, []time.Duration{10 * time.Second, 17 * time.Second, 17600 * time.Millisecond, 18200 * time.Millisecond}, admitted)
	})
}

func TestPauseRefusesWaitersThatItMakesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(10))
		probe := acquire(t, w, false)
		start := time.Now()
		ask := func(bulk bool) chan error {
			refused := make(chan error, 1)
			go func() {
				_, err := w.Acquire(within(t, 90*time.Second), bulk)
				refused <- err
			}()
			return refused
		}
		interactive, bulk := ask(false), ask(true)
		synctest.Wait()
		patient := make(chan *testSlot)
		go func() { patient <- acquire(t, w, false) }()
		synctest.Wait()
		time.Sleep(time.Second)
		w.Pause(time.Now().Add(2 * time.Minute))
		requireLate(t, <-interactive, 2*time.Minute)
		requireLate(t, <-bulk, 2*time.Minute)
		assert.Equal(t, time.Second, time.Since(start), "at once")
		_, err := w.Acquire(within(t, time.Minute), false)
		requireLate(t, err, 2*time.Minute+6*time.Second)
		probe.Used()
		(<-patient).Used()
		assert.Equal(t, 121*time.Second, time.Since(start))
	})
}

// After a pause the bucket is empty, so a waiter far behind can be late even if the pause itself ends in time.
func TestPauseRefusesWaitersFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		probe := acquire(t, w, false)
		var served, refused atomic.Int32
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				slot, err := w.Acquire(within(t, 20*time.Second), false)
				if err != nil {
					refused.Add(1)
					return
				}
				served.Add(1)
				slot.Used()
			})
			synctest.Wait()
		}
		w.Pause(time.Now().Add(11 * time.Second))
		synctest.Wait()
		assert.EqualValues(t, 35, refused.Load(), "9 s at 0.6 s each, and the first needs no token")
		probe.Used()
		callers.Wait()
		assert.EqualValues(t, 15, served.Load())
	})
}

func TestProbeThatWasNotSentIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		start := time.Now()
		admitted := make([]time.Duration, 4)
		var callers sync.WaitGroup
		for i := range admitted {
			callers.Go(func() {
				slot := acquire(t, w, false)
				admitted[i] = time.Since(start)
				time.Sleep(time.Second)
				if i == 0 {
					slot.Free()
				} else {
					slot.Used()
				}
			})
			synctest.Wait()
		}
		callers.Wait()
		assert.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 2 * time.Second}, admitted)
	})
}

func TestFreedSlotIsFreeAtOnce(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 100} {
		synctest.Test(t, func(t *testing.T) {
			w, start := newWindow(full(limit)), time.Now()
			use(t, w)
			time.Sleep(time.Minute)
			for range 3 * limit { // calls that never reach the server, as in an outage
				slot := acquire(t, w, false)
				slot.Free()
				slot.Free()
				slot.Used()
			}
			assert.Equal(t, time.Minute, time.Since(start), "limit %d: no call waited", limit)
			assert.Equal(t, limit, free(t, w, false))
		})
	}
}

// The token of a call before the pause must not go into the bucket that the pause has emptied.
func TestSlotFreedDuringAPauseDoesNotFillTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		use(t, w)
		var slots []*testSlot
		for range 50 {
			slots = append(slots, acquire(t, w, false))
		}
		w.Pause(time.Now().Add(time.Minute))
		time.Sleep(30 * time.Second)
		for _, slot := range slots {
			slot.Free()
		}
		time.Sleep(30 * time.Second)
		admitted := queue(t, w, 4, false, 0)
		assert.InDelta(t, 1.8, admitted[3].Seconds(), 0.001)
	})
}

func TestUsedSlotComesBackInAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(2))
		slot := acquire(t, w, false)
		time.Sleep(10 * time.Second) // a minute counts from the answer
		slot.Used()
		slot.Used()
		slot.Free()
		assert.Equal(t, 1, free(t, w, false))
		time.Sleep(time.Minute - time.Nanosecond)
		assert.Equal(t, 1, free(t, w, false))
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 2, free(t, w, false))
	})
}

func TestBulkIsSpacedEvenlyAndLeavesSlotsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: window.Config{Limit: 100, Burst: 100, Reserve: 10}, Kept: true})
		admitted := queue(t, w, 181, true, 0)
		for i, at := range admitted {
			assert.InDelta(t, float64(i)*60/90, at.Seconds(), 0.001)
		}
		assert.Equal(t, 10, free(t, w, false))
		assert.Zero(t, free(t, w, true))
	})
}

// However many interactive calls there are, one call in twenty is a bulk call.
func TestShareOfBulkCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: window.Config{Limit: 100, Burst: 100, Reserve: 10, Share: 20}, Kept: true})
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		var served [2]atomic.Int32
		var callers sync.WaitGroup
		for i := range 80 {
			callers.Go(func() {
				for {
					slot, err := w.Acquire(ctx, i%2 == 1)
					if err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
					slot.Used()
					served[i%2].Add(1)
				}
			})
		}
		callers.Wait()
		assert.InDelta(t, 50, served[1].Load(), 3)
		assert.InDelta(t, 950, served[0].Load(), 20)
	})
}

// A burst of interactive calls beside a job finds the reserve, and then one slot after the other.
func TestBurstBesideAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(config{Config: window.Config{Limit: 100, Burst: 100, Reserve: 10, Share: 20}, Kept: true})
		ctx, stop := context.WithCancel(t.Context())
		var job sync.WaitGroup
		for range 8 {
			job.Go(func() {
				for ctx.Err() == nil {
					if slot, err := w.Acquire(ctx, true); err == nil {
						slot.Used()
					}
				}
			})
		}
		time.Sleep(5*time.Minute + 100*time.Millisecond)
		admitted := queue(t, w, 20, false, 0)
		assert.Zero(t, admitted[9])
		assert.LessOrEqual(t, admitted[19], 8*time.Second)
		stop()
		job.Wait()
	})
}

func TestInteractiveCallsBesideAJob(t *testing.T) {
	for name, pause := range map[string]time.Duration{"steady": 0, "after a pause": 90 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s, start := newWindow(config{Config: window.Config{Limit: 100, Burst: 100, Reserve: 10}}), &server{limit: 100}, time.Now()
				call := func(bulk bool) {
					slot := acquire(t, w, bulk)
					time.Sleep(70 * time.Millisecond)
					s.arrive()
					time.Sleep(70 * time.Millisecond)
					slot.Used()
				}
				var job sync.WaitGroup
				for range 1000 {
					job.Go(func() { call(true) })
				}
				time.Sleep(time.Second)
				if pause > 0 {
					w.Pause(time.Now().Add(pause))
					time.Sleep(pause + time.Second)
				}
				for range 60 {
					asked := time.Now()
					slot := acquire(t, w, false)
					assert.Less(t, time.Since(asked), time.Second)
					time.Sleep(70 * time.Millisecond)
					s.arrive()
					slot.Used()
					time.Sleep(7 * time.Second)
				}
				job.Wait()
				assert.LessOrEqual(t, s.busiest(), 100)
				assert.Zero(t, s.refused)
				assert.Less(t, time.Since(start)-pause, 740*time.Second, "the job is not starved")
			})
		})
	}
}

// At the instant at which a slot comes back, a waiter goes before a newcomer.
func TestNewcomerAtTheInstantOfAReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 300 {
			w := newWindow(full(1))
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

// A probe goes out without a token only if there is none, so a token in the bucket is not an additional one.
func TestProbeTakesATokenIfThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(2))
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

// A slot given back before a pause counts for a caller that arrives during the pause.
func TestSlotGivenBackBeforeAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, start := newWindow(full(1)), time.Now()
		use(t, w)
		w.Pause(start.Add(time.Second))
		_, err := w.Acquire(within(t, 30*time.Second), false)
		requireLate(t, err, time.Minute)
		use(t, w) // hangs, which synctest reports, if there is no timer
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// A probe whose slot is given back twice must not end the next probe.
func TestProbeThatEndsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(100))
		first := acquire(t, w, false)
		first.Used()
		w.Pause(time.Now().Add(time.Second))
		time.Sleep(10 * time.Second)
		second := acquire(t, w, false)
		first.Used()
		first.Free()
		assert.Zero(t, free(t, w, false), "the call after the pause is still under way")
		second.Used()
		time.Sleep(time.Second)
		assert.NotZero(t, free(t, w, false))
	})
}

// A slot given back during a pause counts for a caller that waits already.
func TestSlotGivenBackDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, start := newWindow(full(1)), time.Now()
		slot := acquire(t, w, false)
		w.Pause(start.Add(10 * time.Second))
		time.AfterFunc(time.Second, slot.Used)
		use(t, w)
		assert.Equal(t, 61*time.Second, time.Since(start))
	})
}

// twoBehindAPause returns a paused window of three slots, with one call under way and two waiting.
func twoBehindAPause(t *testing.T, pause time.Duration) (*testWindow, *testSlot, *sync.WaitGroup) {
	t.Helper()
	w, waiting := newWindow(config{Config: window.Config{Limit: 3, Burst: 3}, Kept: true}), new(sync.WaitGroup)
	t.Cleanup(waiting.Wait)
	underWay := acquire(t, w, false)
	w.Pause(time.Now().Add(pause))
	for range 2 {
		waiting.Go(func() { use(t, w) })
		synctest.Wait()
	}
	return w, underWay, waiting
}

// The wait of a caller behind others is computed from the slots given back, which come back before that of a new call.
func TestDeadlineBehindASlotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, first, _ := twoBehindAPause(t, 21*time.Second)
		start := time.Now()
		time.Sleep(time.Second)
		first.Used() // comes back at 61 s
		time.Sleep(19 * time.Second)
		slot, err := w.Acquire(within(t, 50*time.Second), false)
		require.NoError(t, err)
		slot.Used()
		assert.InDelta(t, 61, time.Since(start).Seconds(), 0.001, "the bucket has a token at 21 s, and one more every 20 s")
	})
}

// The same holds when a second pause recomputes the waits.
func TestPauseBehindASlotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, slot, waiting := twoBehindAPause(t, 5*time.Second)
		start := time.Now()
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

// For a minute after a pause the bucket sets the pace, however many slots are free.
func TestPaceForAMinuteAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(600))
		w.Pause(time.Now().Add(time.Second))
		for i, at := range queue(t, w, 600, false, 0) {
			assert.InDelta(t, 1+0.1*float64(i), at.Seconds(), 0.001)
		}
	})
}

// A window made in real time serves a test in virtual time, which is years behind.
func TestWindowFromAnotherTime(t *testing.T) {
	w := newWindow(full(1))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		acquire(t, w, false).Free()
		use(t, w)
		use(t, w)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

// A limit that is never reached must not cost memory.
func TestMemoryOfALimitThatIsNeverReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(full(1 << 30))
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

func TestInvariants(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { invariants(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// caller records the fate of one caller.
type caller struct {
	bulk           bool
	came, admitted time.Time
	patient        bool // it has no deadline and is not cancelled
}

func (a *caller) overtakenBy(b *caller) bool {
	return a.bulk == b.bulk && !a.admitted.IsZero() && !b.admitted.IsZero() &&
		a.came.Before(b.came) && b.admitted.Before(a.admitted)
}

type pause struct{ from, until time.Time }

func invariants(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	limit := []int{1, 2, 5, 10, 40, 100}[r.IntN(6)]
	c := config{Config: window.Config{Limit: limit, Burst: 1 + r.IntN(limit), Reserve: r.IntN(limit)}}
	w, s := newWindow(c), &server{limit: limit}
	callers := make([]*caller, 3*limit+r.IntN(3*limit))
	var group sync.WaitGroup
	for i := range callers {
		callers[i] = &caller{bulk: r.IntN(3) == 0}
		group.Go(func() { callers[i].call(t, w, s, rand.New(rand.NewPCG(seed, uint64(i+1)))) })
	}
	var pauses []pause
	for range r.IntN(4) {
		time.Sleep(time.Duration(r.Int64N(int64(time.Minute))))
		p := pause{time.Now(), time.Now().Add(time.Duration(r.Int64N(int64(time.Minute))))}
		pauses = append(pauses, p)
		w.Pause(p.until)
	}
	group.Wait() // hangs, which synctest reports, if a caller is never served

	assert.LessOrEqual(t, s.busiest(), limit)
	assert.Zero(t, s.refused)
	for _, a := range callers {
		assert.False(t, a.patient && a.admitted.IsZero(), "a patient caller was not served")
		for _, p := range pauses {
			assert.False(t, a.admitted.After(p.from) && a.admitted.Before(p.until), "admitted during a pause")
		}
		for _, b := range callers {
			if a.overtakenBy(b) {
				t.Error("a later caller was served earlier")
			}
		}
	}
	time.Sleep(time.Minute + time.Second)
	assert.GreaterOrEqual(t, free(t, w, false), 1, "nothing was lost")
}

func (a *caller) call(t *testing.T, w *testWindow, s *server, r *rand.Rand) {
	time.Sleep(time.Duration(r.Int64N(int64(3 * time.Minute))))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch r.IntN(4) {
	case 0:
		time.AfterFunc(time.Duration(r.Int64N(int64(2*time.Minute))), cancel)
	case 1:
		ctx = within(t, time.Duration(r.Int64N(int64(2*time.Minute))))
	default:
		a.patient = true
	}
	a.came = time.Now()
	slot, err := w.Acquire(ctx, a.bulk)
	if err != nil {
		assert.False(t, a.patient, "%v", err)
		return
	}
	a.admitted = time.Now()
	time.Sleep(jitterWithOutliers(r))
	if r.IntN(10) == 0 {
		slot.Free()
		return
	}
	s.arrive()
	time.Sleep(jitterWithOutliers(r))
	slot.Used()
}

func BenchmarkAcquire(b *testing.B) {
	b.ReportAllocs()
	var w *testWindow
	for i := 0; b.Loop(); i++ {
		if i%100 == 0 {
			w = newWindow(full(100))
		}
		slot, err := w.Acquire(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		slot.Used()
	}
}
