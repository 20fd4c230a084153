package window_test

import (
	"context"
	"errors"
	"math/rand/v2"
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

// server counts calls as they arrive, with bookkeeping of its own.
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

func full(limit int) window.Config { return window.Config{Limit: limit, Burst: limit} }

func acquire(t *testing.T, w *window.Window, bulk bool) *window.Slot {
	t.Helper()
	slot, err := w.Acquire(t.Context(), bulk)
	require.NoError(t, err)
	return slot
}

// use makes a call that is answered at once.
func use(t *testing.T, w *window.Window) {
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

// free is how many calls can go at this moment.
func free(t *testing.T, w *window.Window, bulk bool) int {
	t.Helper()
	var slots []*window.Slot
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

// queue starts n callers, one after the other, each of which holds its slot for a time, and returns when each was admitted.
func queue(t *testing.T, w *window.Window, n int, bulk bool, hold time.Duration) []time.Duration {
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
				slowest := 2 * 120 * time.Millisecond // there and back, once for the probe and once in each window
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
	w, s, start := window.New(full(limit)), &server{limit: limit}, time.Now()
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

func TestColdBurstTakesTwoRoundTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		admitted := queue(t, window.New(full(100)), 50, false, 100*time.Millisecond)
		assert.Zero(t, admitted[0])
		for _, at := range admitted[1:] {
			assert.Equal(t, 100*time.Millisecond, at, "when the first call is answered")
		}
	})
}

func TestFirstInFirstOut(t *testing.T) {
	for name, config := range map[string]window.Config{
		"bucket": {Limit: 100, Burst: 1},
		"window": full(1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				admitted := queue(t, window.New(config), 40, false, 10*time.Millisecond)
				for i := range admitted[1:] {
					assert.Less(t, admitted[i], admitted[i+1])
				}
			})
		})
	}
}

func TestCancelledCallerFreesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(2))
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
		assert.Equal(t, time.Minute, <-patient, "behind two who left, as if they had not been there")
	})
}

func TestEndedContextGetsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := w.Acquire(ctx, false)
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 1, free(t, w, false))
	})
}

// Whichever comes first wakes the caller, and the other happens before it runs.
func TestCancelThatMeetsAdmissionGivesTheSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(1))
		served, gone := 0, 0
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
			if err := <-result; err == nil {
				served++
			} else {
				require.ErrorIs(t, err, context.Canceled)
				gone++
			}
			require.Equal(t, 1, free(t, w, false))
		}
		assert.Positive(t, served)
		assert.Positive(t, gone)
	})
}

func TestDeadlineBeforeTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(2))
		use(t, w)
		time.Sleep(10 * time.Second)
		use(t, w)
		start := time.Now()

		_, err := w.Acquire(within(t, 49*time.Second), false)
		requireLate(t, err, 50*time.Second)
		_, err = w.Acquire(within(t, 50*time.Second), false)
		requireLate(t, err, 50*time.Second)
		assert.Zero(t, time.Since(start), "at once")

		waiting := make(chan *window.Slot)
		go func() { waiting <- acquire(t, w, false) }()
		synctest.Wait()
		_, err = w.Acquire(within(t, 59*time.Second), false)
		requireLate(t, err, 60*time.Second)

		(<-waiting).Used()
		assert.Equal(t, 50*time.Second, time.Since(start), "those who were refused took nothing")
		slot, err := w.Acquire(within(t, 11*time.Second), false)
		require.NoError(t, err)
		assert.Equal(t, 60*time.Second, time.Since(start))
		slot.Used()
	})
}

func TestDeadlineBehindALongQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(10))
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

// Slots under way tell nothing about when they come back, but not sooner than in a minute.
func TestDeadlineBehindCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(2))
		use(t, w)
		held := acquire(t, w, false)
		time.Sleep(time.Minute)
		second := acquire(t, w, false)
		_, err := w.Acquire(within(t, 59*time.Second), false)
		requireLate(t, err, time.Minute)
		_, err = w.Acquire(within(t, 61*time.Second), false)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it may have been possible")
		held.Used()
		second.Used()
	})
}

func TestDeadlineBeforeTheBucketsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(window.Config{Limit: 100, Burst: 1})
		use(t, w)
		_, err := w.Acquire(within(t, 500*time.Millisecond), false)
		requireLate(t, err, 600*time.Millisecond)
		_, err = w.Acquire(within(t, 601*time.Millisecond), false)
		require.NoError(t, err)
	})
}

func TestPauseHoldsEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(100))
		use(t, w)
		w.Pause(time.Now().Add(10 * time.Second))
		w.Pause(time.Now().Add(5 * time.Second)) // no shorter
		w.Pause(time.Now())
		admitted := queue(t, w, 30, false, 100*time.Millisecond)
		for i, at := range admitted {
			assert.InDelta(t, 10+0.6*float64(i), at.Seconds(), 0.001, "one goes first, the rest at the pace of the bucket")
		}
	})
}

func TestCallAfterAPauseGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(100))
		use(t, w)
		w.Pause(time.Now().Add(10 * time.Second))
		admitted := queue(t, w, 4, false, 7*time.Second)
		assert.Equal(t, []time.Duration{10 * time.Second, 17 * time.Second, 17 * time.Second, 17 * time.Second}, admitted)
	})
}

func TestPauseRefusesThoseWhomItMakesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(10))
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
		patient := make(chan *window.Slot)
		go func() { patient <- acquire(t, w, false) }()
		synctest.Wait()
		time.Sleep(time.Second)
		w.Pause(time.Now().Add(2 * time.Minute))
		requireLate(t, <-interactive, 2*time.Minute)
		requireLate(t, <-bulk, 2*time.Minute+6*time.Second) // behind the patient caller
		assert.Equal(t, time.Second, time.Since(start), "at once")
		_, err := w.Acquire(within(t, time.Minute), false)
		requireLate(t, err, 2*time.Minute+6*time.Second)
		probe.Used()
		(<-patient).Used()
		assert.Equal(t, 121*time.Second, time.Since(start))
	})
}

// After a pause the bucket is empty, so whoever stands far behind comes late even if the pause itself is short enough.
func TestPauseRefusesThoseFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(100))
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
		w := window.New(full(100))
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
			w, start := window.New(full(limit)), time.Now()
			use(t, w)
			time.Sleep(time.Minute)
			for range 3 * limit { // calls that never reach the server, as in an outage
				slot := acquire(t, w, false)
				slot.Free()
				slot.Free()
				slot.Used()
			}
			assert.Equal(t, time.Minute, time.Since(start), "limit %d: nobody waited", limit)
			assert.Equal(t, limit, free(t, w, false))
		})
	}
}

// A token must not find its way into the bucket that a pause has emptied.
func TestSlotFreedDuringAPauseDoesNotFillTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(full(100))
		use(t, w)
		var slots []*window.Slot
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
		w := window.New(full(2))
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

func TestBulkLeavesSlotsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := window.New(window.Config{Limit: 100, Burst: 100, Reserve: 10})
		use(t, w)
		assert.Equal(t, 89, free(t, w, true))
		assert.Equal(t, 99, free(t, w, false))
		for range 89 {
			acquire(t, w, true).Used()
		}
		assert.Zero(t, free(t, w, true))
		assert.Equal(t, 10, free(t, w, false))
		_, err := w.Acquire(within(t, 59*time.Second), true)
		requireLate(t, err, time.Minute)
	})
}

func TestInteractiveCallsBesideAJob(t *testing.T) {
	for name, pause := range map[string]time.Duration{"steady": 0, "after a pause": 90 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s, start := window.New(window.Config{Limit: 100, Burst: 100, Reserve: 10}), &server{limit: 100}, time.Now()
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

func TestInvariants(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { invariants(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// caller is what became of one caller.
type caller struct {
	bulk           bool
	came, admitted time.Time
	patient        bool // it has neither a deadline nor another end
}

func (a *caller) overtakenBy(b *caller) bool {
	return a.bulk == b.bulk && !a.admitted.IsZero() && !b.admitted.IsZero() && a.came.Before(b.came) && b.admitted.Before(a.admitted)
}

type pause struct{ from, until time.Time }

func invariants(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	limit := []int{1, 2, 5, 10, 40, 100}[r.IntN(6)]
	config := window.Config{Limit: limit, Burst: 1 + r.IntN(limit), Reserve: r.IntN(limit)}
	w, s := window.New(config), &server{limit: limit}
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
	group.Wait() // hangs, which synctest reports, if somebody is never served

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

func (a *caller) call(t *testing.T, w *window.Window, s *server, r *rand.Rand) {
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
	var w *window.Window
	for i := 0; b.Loop(); i++ {
		if i%100 == 0 {
			w = window.New(full(100))
		}
		slot, err := w.Acquire(b.Context(), false)
		if err != nil {
			b.Fatal(err)
		}
		slot.Used()
	}
}
