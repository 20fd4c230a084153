package filestore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

func acquire(t *testing.T, l drift.Limiter, class drift.Class) drift.Slot {
	t.Helper()
	slot, err := l.Acquire(t.Context(), class)
	require.NoError(t, err)
	return slot
}

// use makes n calls that are answered at once.
func use(t *testing.T, l drift.Limiter, n int) {
	t.Helper()
	for range n {
		acquire(t, l, drift.ClassInteractive).Done(drift.OutcomeAnswered)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// late checks that a caller with this much time is refused at once, and returns what it is told to wait.
func late(t *testing.T, l drift.Limiter, class drift.Class, d time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	_, err := l.Acquire(within(t, d), class)
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, drift.ErrRateLimited)
	assert.True(t, limited.Local)
	assert.Zero(t, time.Since(start))
	return limited.RetryAfter
}

// waits returns how long a caller waits for a slot that it uses.
func waits(t *testing.T, l drift.Limiter) time.Duration {
	t.Helper()
	start := time.Now()
	use(t, l, 1)
	return time.Since(start)
}

// tally is what the service counts.
type tally struct {
	mu    sync.Mutex
	times []time.Time
}

func (l *tally) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, time.Now())
}

// checkBusiest checks that no length of time has seen more than limit.
func checkBusiest(t *testing.T, times []time.Time, limit int, length time.Duration) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := limit; i < len(times); i++ {
		require.GreaterOrEqual(t, times[i].Sub(times[i-limit]), length, "call %d of %d", i, len(times))
	}
}

func TestNoMoreThanTheLimitInAnyMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		limiters := []drift.Limiter{open(t, path).Limiter(20), open(t, path).Limiter(20), open(t, path).Limiter(20)}
		var served tally
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 120 {
			wg.Go(func() {
				slot := acquire(t, limiters[i%len(limiters)], drift.ClassInteractive)
				served.add()
				time.Sleep(time.Duration(i%7) * 300 * time.Millisecond)
				switch i % 10 {
				case 3:
					slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeUnknown})
				default:
					slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
				}
			})
		}
		wg.Wait()
		checkBusiest(t, served.times, 20, time.Minute)
		assert.Len(t, served.times, 120)
		assert.Less(t, time.Since(start), 5*time.Minute+20*time.Second, "nor much less")
	})
}

func TestRestartKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		q, err := filestore.OpenQuota(path)
		require.NoError(t, err)
		use(t, q.Limiter(100), 60)
		require.NoError(t, q.Close())

		time.Sleep(30 * time.Second)
		l := open(t, path).Limiter(100)
		start := time.Now()
		use(t, l, 40)
		assert.Zero(t, time.Since(start), "no call goes first alone, and 40 slots are free")
		late(t, l, drift.ClassInteractive, 29*time.Second)
		assert.InDelta(t, 30, waits(t, l).Seconds(), 0.001)
	})
}

func TestLimitsOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, newPath(t)).Limiter(-1)
		use(t, l, 1)
		late(t, l, drift.ClassInteractive, 59*time.Second)
		late(t, l, drift.ClassBulk, 59*time.Second)

		l = open(t, newPath(t)).Limiter(1_000_000)
		for range 999 {
			acquire(t, l, drift.ClassInteractive)
		}
		slot := acquire(t, l, drift.ClassInteractive)
		late(t, l, drift.ClassInteractive, 59*time.Second)
		slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
		assert.Zero(t, waits(t, l))
	})
}

func TestSlotsComeBack(t *testing.T) {
	for _, test := range []struct {
		outcome drift.Outcome
		after   time.Duration // from Done
	}{
		{drift.OutcomeAnswered, time.Minute},
		{drift.OutcomeUnknown, time.Minute},
		{drift.OutcomeNotSent, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			path := newPath(t)
			here, there := open(t, path).Limiter(1), open(t, path).Limiter(1)
			slot := acquire(t, here, drift.ClassInteractive)
			time.Sleep(5 * time.Minute)
			late(t, there, drift.ClassInteractive, 59*time.Second) // it stays taken while the call is under way
			slot.Done(test.outcome)
			slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
			assert.InDelta(t, test.after.Seconds(), waits(t, there).Seconds(), 0.001)
		})
	}
}

func TestSlotGivenBackUnusedWakesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		here, there := open(t, path).Limiter(10), open(t, path).Limiter(10)
		use(t, there, 9)
		slot := acquire(t, here, drift.ClassInteractive)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			acquire(t, here, drift.ClassInteractive).Done(drift.OutcomeNotSent)
			assert.Equal(t, 700*time.Millisecond, time.Since(start), "of this process: at once")
		})
		time.Sleep(700 * time.Millisecond)
		slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
		wg.Wait()

		slot = acquire(t, here, drift.ClassInteractive)
		start = time.Now()
		wg.Go(func() {
			acquire(t, there, drift.ClassInteractive).Done(drift.OutcomeNotSent)
			assert.LessOrEqual(t, time.Since(start), 1800*time.Millisecond, "of another one: within a second")
		})
		time.Sleep(800 * time.Millisecond)
		slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
		wg.Wait()
	})
}

func TestCallersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		other := open(t, path).Limiter(10)
		for range 10 { // their slots come back one at a time
			use(t, other, 1)
			time.Sleep(time.Second)
		}
		l := open(t, path).Limiter(10)
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		call := func(name int, class drift.Class) {
			wg.Go(func() {
				slot := acquire(t, l, class)
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
			})
			synctest.Wait()
		}
		for i := range 5 {
			call(100+i, drift.ClassBulk)
			call(i, drift.ClassInteractive)
		}
		wg.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4, 100, 101, 102, 103}, order[:9])
		assert.Equal(t, 104, order[9], "bulk calls leave one of ten slots free")
	})
}

func TestInteractiveCallersGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		const limit = 9 // of which none is kept from bulk calls
		other := open(t, path).Limiter(limit)
		for range limit - 2 { // their slots come back one at a time
			use(t, other, 1)
			time.Sleep(time.Second)
		}
		use(t, other, 2) // and these at once
		time.Sleep(300 * time.Millisecond)
		l := open(t, path).Limiter(limit)
		start := time.Now()
		var mu sync.Mutex
		served := map[drift.Class][]float64{}
		var wg sync.WaitGroup
		for i := range limit {
			wg.Go(func() {
				class := drift.ClassBulk
				if i < limit-1 {
					class = drift.ClassInteractive
				}
				slot := acquire(t, l, class)
				mu.Lock()
				served[class] = append(served[class], time.Since(start).Seconds())
				mu.Unlock()
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
			})
		}
		synctest.Wait()
		late(t, l, drift.ClassInteractive, 59*time.Second)
		late(t, l, drift.ClassBulk, 59*time.Second)
		wg.Wait()
		assert.InDeltaSlice(t,
			[]float64{52.7, 53.7, 54.7, 55.7, 56.7, 57.7, 58.7, 59.7}, served[drift.ClassInteractive], 0.01)
		assert.InDeltaSlice(t, []float64{59.7}, served[drift.ClassBulk], 0.01)
	})
}

func TestBulkCallerKnowsWhoIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		use(t, open(t, path).Limiter(2), 2)
		l := open(t, path).Limiter(2)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := l.Acquire(ctx, drift.Turn{})
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		synctest.Wait()
		assert.Equal(t, 3*time.Minute, late(t, l, drift.ClassBulk, 179*time.Second).Round(time.Second))
		cancel()
		wg.Wait()
	})
}

func TestBulkCallsLeaveSlotsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		a, b := open(t, path).Limiter(100), open(t, path).Limiter(100)
		for range 45 {
			acquire(t, a, drift.ClassBulk).Done(drift.OutcomeAnswered)
			acquire(t, b, drift.ClassBulk).Done(drift.OutcomeAnswered)
		}
		late(t, a, drift.ClassBulk, 59*time.Second)
		late(t, b, drift.ClassBulk, 59*time.Second)
		start := time.Now()
		use(t, a, 5)
		use(t, b, 5)
		assert.Zero(t, time.Since(start))
		late(t, a, drift.ClassInteractive, 59*time.Second)
	})
}

func TestBulkCallerDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		other, l := open(t, path).Limiter(10), open(t, path).Limiter(10)
		for range 9 {
			acquire(t, other, drift.ClassBulk).Done(drift.OutcomeAnswered)
		}
		var wg sync.WaitGroup
		start := time.Now()
		for range 3 {
			wg.Go(func() {
				acquire(t, l, drift.ClassBulk).Done(drift.OutcomeAnswered)
				assert.GreaterOrEqual(t, time.Since(start), time.Minute)
			})
		}
		synctest.Wait()
		assert.Zero(t, waits(t, l))
		wg.Wait()
	})
}

func TestDeadlineThatCannotBeMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		other := open(t, path).Limiter(10)
		for range 10 {
			use(t, other, 1)
			time.Sleep(time.Second)
		}
		l := open(t, path).Limiter(10) // slots come back in 50, 51, ... 59 seconds
		assert.Equal(t, 50*time.Second, late(t, l, drift.ClassInteractive, 50*time.Second).Round(time.Millisecond))

		var wg sync.WaitGroup
		start := time.Now()
		for range 3 {
			wg.Go(func() { acquire(t, l, drift.ClassInteractive).Done(drift.OutcomeAnswered) })
			synctest.Wait()
		}
		wait := late(t, l, drift.ClassInteractive, 52*time.Second)
		assert.Equal(t, 53*time.Second, wait.Round(time.Millisecond), "with three ahead")
		wg.Go(func() {
			slot, err := l.Acquire(within(t, 54*time.Second), drift.Turn{})
			if assert.NoError(t, err) {
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
				assert.InDelta(t, 53, time.Since(start).Seconds(), 0.01)
			}
		})
		wg.Wait()
	})
}

func TestNobodyIsRefusedForOldNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		other, l := open(t, path).Limiter(10), open(t, path).Limiter(10)
		use(t, other, 8)
		slots := []drift.Slot{acquire(t, other, drift.ClassInteractive), acquire(t, other, drift.ClassInteractive)}
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { acquire(t, l, drift.ClassInteractive).Done(drift.OutcomeAnswered) })
		time.Sleep(300 * time.Millisecond)
		for _, slot := range slots {
			slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
		}
		time.Sleep(100 * time.Millisecond)
		slot, err := l.Acquire(within(t, 10*time.Second), drift.Turn{})
		require.NoError(t, err)
		slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
		assert.LessOrEqual(t, time.Since(start), 1100*time.Millisecond)
		wg.Wait()
	})
}

func TestManyMinutesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		use(t, open(t, path).Limiter(2), 2)
		l := open(t, path).Limiter(2)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				_, err := l.Acquire(ctx, drift.Turn{})
				assert.ErrorIs(t, err, context.Canceled)
			})
			synctest.Wait()
		}
		assert.Equal(t, 3*time.Minute, late(t, l, drift.ClassInteractive, 179*time.Second).Round(time.Second))
		cancel()
		wg.Wait()
	})
}

func TestDeadlineThatCannotBeMetAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		other := open(t, path).Limiter(10)
		use(t, other, 10)
		l := open(t, path).Limiter(10)
		start := time.Now()
		var wg sync.WaitGroup
		for range 4 { // the first in line, and those behind
			wg.Go(func() {
				_, err := l.Acquire(within(t, 90*time.Second), drift.Turn{})
				assert.ErrorIs(t, err, drift.ErrRateLimited)
				assert.LessOrEqual(t, time.Since(start), 11*time.Second)
			})
		}
		time.Sleep(10 * time.Second)
		other.Pause(time.Now().Add(2 * time.Minute))
		wg.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		use(t, open(t, path).Limiter(10), 10)
		l := open(t, path).Limiter(10)
		start := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := l.Acquire(within(t, 90*time.Second), drift.Turn{})
				assert.ErrorIs(t, err, drift.ErrRateLimited)
				assert.Equal(t, 10500*time.Millisecond, time.Since(start), "a pause of this process: at once")
			})
		}
		time.Sleep(10500 * time.Millisecond)
		l.Pause(time.Now().Add(2 * time.Minute))
		wg.Wait()
	})
}

func TestContextEndsTheWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		use(t, open(t, path).Limiter(10), 10)
		l := open(t, path).Limiter(10)
		gone := errors.New("gone")
		start := time.Now()
		var wg sync.WaitGroup
		slots := make([]drift.Slot, 20)
		ctx, cancel := context.WithCancelCause(t.Context())
		for i := range slots {
			wg.Go(func() {
				if i%2 == 0 {
					_, err := l.Acquire(ctx, drift.Class(i/2%2))
					assert.ErrorIs(t, err, context.Canceled)
					assert.Equal(t, 333*time.Millisecond, time.Since(start))
					return
				}
				slots[i] = acquire(t, l, drift.ClassInteractive)
				assert.InDelta(t, 60, time.Since(start).Seconds(), 0.001, "nobody's slot is lost with those who left")
			})
		}
		time.Sleep(333 * time.Millisecond)
		cancel(gone)
		wg.Wait()

		_, err := l.Acquire(ctx, drift.Turn{})
		require.ErrorIs(t, err, context.Canceled)
		for i, slot := range slots {
			if i%2 == 1 {
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeNotSent})
			}
		}
		assert.Zero(t, waits(t, l))
	})
}

func TestPauseHoldsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		here, there := open(t, path).Limiter(60), open(t, path).Limiter(60)
		here.Pause(time.Now())
		here.Pause(time.Now().Add(-time.Hour))
		assert.Zero(t, waits(t, here))

		here.Pause(time.Now().Add(30 * time.Second))
		here.Pause(time.Now().Add(10 * time.Second)) // a shorter one changes nothing
		late(t, here, drift.ClassInteractive, 29*time.Second)
		late(t, there, drift.ClassInteractive, 29*time.Second)
		restarted := open(t, path).Limiter(60)
		late(t, restarted, drift.ClassBulk, 29*time.Second)

		start := time.Now()
		var wg sync.WaitGroup
		for _, l := range []drift.Limiter{here, there, restarted} {
			wg.Go(func() {
				slot := acquire(t, l, drift.ClassInteractive)
				assert.InDelta(t, 30, time.Since(start).Seconds(), 0.01)
				time.Sleep(3 * time.Second)
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
			})
			synctest.Wait()
			wg.Go(func() {
				slot := acquire(t, l, drift.ClassInteractive)
				assert.InDelta(t, 33, time.Since(start).Seconds(), 0.01, "one call goes first")
				slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
			})
			synctest.Wait()
		}
		wg.Wait()
	})
}

func TestPaceAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, newPath(t)).Limiter(60)
		use(t, l, 3)
		start := time.Now()
		l.Pause(start.Add(10 * time.Second))
		var served tally
		var wg sync.WaitGroup
		call := func(ctx context.Context, outcome drift.Outcome) {
			wg.Go(func() {
				slot, err := l.Acquire(ctx, drift.Turn{})
				if assert.NoError(t, err) {
					served.add()
					slot.Done(outcome)
				}
			})
			synctest.Wait()
		}
		for i := range 8 {
			outcome := drift.OutcomeAnswered
			if i < 2 {
				outcome = drift.OutcomeNotSent
			}
			call(t.Context(), outcome)
		}
		late(t, l, drift.ClassInteractive, 17*time.Second) // eight are ahead, one a second
		call(within(t, 18500*time.Millisecond), drift.OutcomeAnswered)
		time.Sleep(10500 * time.Millisecond)              // two were not sent, and one was
		late(t, l, drift.ClassInteractive, 6*time.Second) // six are ahead
		call(within(t, 7*time.Second), drift.OutcomeAnswered)
		wg.Wait()
		for i, want := range []float64{10, 10, 10, 11, 12, 13, 14, 15, 16, 17} {
			assert.InDelta(t, want, served.times[i].Sub(start).Seconds(), 0.01, "call %d", i)
		}
	})
}

func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		var shift time.Duration
		clock := filestore.WithClock(func() time.Time { return time.Now().Add(shift) })
		limiter := func() drift.Limiter { return open(t, path, clock).Limiter(10) }
		use(t, limiter(), 10)
		limiter().Pause(time.Now().Add(30 * time.Second))

		shift = -time.Hour
		l := limiter()
		late(t, l, drift.ClassInteractive, 59*time.Second)
		assert.InDelta(t, 60, waits(t, l).Seconds(), 0.001, "back: a minute at most")

		l = limiter()
		use(t, l, 9)
		shift = time.Hour
		use(t, l, 1)
		late(t, l, drift.ClassInteractive, 54*time.Second) // forward: a process still keeps its own calls apart
	})
}

func TestDamagedWindowIsTakenForFull(t *testing.T) {
	for name, damage := range map[string]func(f *os.File) error{
		"bit": func(f *os.File) error { _, err := f.WriteAt([]byte{0xff}, filestore.WindowOffset+100); return err },
		"zeros": func(f *os.File) error {
			_, err := f.WriteAt(make([]byte, filestore.WindowSize), filestore.WindowOffset)
			return err
		},
		"count": func(f *os.File) error {
			_, err := f.WriteAt([]byte{0xff, 0xff, 0xff}, filestore.WindowOffset+12)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := newPath(t)
				q := open(t, path)
				l := q.Limiter(10)
				long := acquire(t, l, drift.ClassInteractive)
				short := acquire(t, l, drift.ClassInteractive)
				use(t, l, 3)
				reserve(t, q, noon)

				f, err := os.OpenFile(path, os.O_RDWR, 0)
				require.NoError(t, err)
				require.NoError(t, damage(f))
				require.NoError(t, f.Close())

				late(t, open(t, path).Limiter(10), drift.ClassInteractive, 59*time.Second)
				late(t, open(t, path).Limiter(1000), drift.ClassInteractive, 59*time.Second)
				time.Sleep(30 * time.Second)
				short.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
				fresh := open(t, path).Limiter(10)
				assert.InDelta(t, 30, waits(t, fresh).Seconds(), 0.001)
				use(t, fresh, 7)
				// the one under way has its slot again, and the other's is coming
				late(t, fresh, drift.ClassInteractive, 29*time.Second)
				assert.Equal(t, 2, reserve(t, q, noon).Used)
				long.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
			})
		})
	}
}

func TestDoneDoesNotWaitForTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		here, there := open(t, path).Limiter(3), open(t, path).Limiter(3)
		slots := []drift.Slot{acquire(t, here, 0), acquire(t, here, 0)}
		other := flock.New(path + ".lock")
		locked, err := other.TryLock()
		require.NoError(t, err)
		require.True(t, locked)
		start := time.Now()
		slots[0].Done(drift.OutcomeAnswered)
		slots[1].Done(drift.OutcomeNotSent)
		here.Pause(time.Now().Add(3 * time.Second))
		assert.Less(t, time.Since(start), time.Second)
		require.NoError(t, other.Unlock())

		time.Sleep(2 * time.Second) // by then the file knows, though nobody here has used it
		late(t, there, drift.ClassInteractive, 500*time.Millisecond)
		time.Sleep(2 * time.Second)
		assert.Zero(t, waits(t, there))
		time.Sleep(20 * time.Second)
		assert.Zero(t, waits(t, there))
		use(t, there, 1)
		assert.InDelta(t, 60, time.Since(start).Seconds(), 0.01, "the answered one, a minute after its answer")
	})
}

func TestCloseGivesSlotsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		q, err := filestore.OpenQuota(path)
		require.NoError(t, err)
		acquire(t, q.Limiter(1), drift.ClassInteractive)
		l := open(t, path).Limiter(1)
		time.Sleep(time.Hour)
		late(t, l, drift.ClassInteractive, 59*time.Second)
		require.NoError(t, q.Close())
		assert.InDelta(t, 60, waits(t, l).Seconds(), 0.001)
	})
}

func TestLimiterWithoutItsFile(t *testing.T) {
	q, err := filestore.OpenQuota(newPath(t))
	require.NoError(t, err)
	l := q.Limiter(10)
	slot := acquire(t, l, drift.ClassInteractive)
	require.NoError(t, os.RemoveAll(filepath.Dir(filestore.PathOf(q))))
	_, err = l.Acquire(t.Context(), drift.Turn{})
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
	slot.Done(context.Background(), drift.Result{Outcome: drift.OutcomeAnswered})
	require.Error(t, q.Close())
}
