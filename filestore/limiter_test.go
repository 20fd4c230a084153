package filestore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/filestore"
)

var (
	answered = drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: 200}
	notSent  = drift.Result{Outcome: drift.OutcomeNotSent}
)

func acquire(t *testing.T, l drift.Limiter, class drift.Class) drift.Slot {
	t.Helper()
	slot, err := l.Acquire(t.Context(), drift.Turn{Class: class})
	require.NoError(t, err)
	return slot
}

func done(t *testing.T, slot drift.Slot, result drift.Result) {
	t.Helper()
	require.NoError(t, slot.Done(context.WithoutCancel(t.Context()), result))
}

// use makes n calls that are answered at once.
func use(t *testing.T, l drift.Limiter, n int) {
	t.Helper()
	for range n {
		done(t, acquire(t, l, drift.ClassInteractive), answered)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// late checks that a caller with this much time is refused at once, and returns what it is told to wait.
func late(t *testing.T, l drift.Limiter, class drift.Class, d time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	_, err := l.Acquire(within(t, d), drift.Turn{Class: class})
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, drift.ErrRateLimited)
	assert.True(t, limited.Local)
	assert.Less(t, time.Since(start), 10*time.Millisecond, "no longer than a Done in the background holds the lock")
	return limited.RetryAfter
}

// waits returns how long a caller waits for a slot that it uses.
func waits(t *testing.T, l drift.Limiter) time.Duration {
	t.Helper()
	start := time.Now()
	use(t, l, 1)
	return time.Since(start)
}

// checkBusiest checks that no length of time has seen more than limit.
func checkBusiest(t *testing.T, times []time.Time, limit int, length time.Duration) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i := limit; i < len(times); i++ {
		require.GreaterOrEqual(t, times[i].Sub(times[i-limit]), length, "call %d of %d", i, len(times))
	}
}

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storetest.TestSharedLimiter(t, func(t *testing.T, perMinute int) func() drift.Limiter {
			path := newPath(t)
			return func() drift.Limiter { return open(t, path).Limiter(perMinute) }
		})
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
		assert.Less(t, time.Since(start), time.Second, "40 slots are free")
		time.Sleep(time.Second)
		late(t, l, drift.ClassInteractive, 27*time.Second)
		assert.InDelta(t, 29, waits(t, l).Seconds(), 1)
	})
}

func TestLimitsOutOfRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, newPath(t)).Limiter(-1)
		use(t, l, 1)
		late(t, l, drift.ClassInteractive, 59*time.Second)
		late(t, l, drift.ClassBulk, 59*time.Second)

		l = open(t, newPath(t)).Limiter(1_000_000)
		use(t, l, 1000)
		time.Sleep(time.Second)
		late(t, l, drift.ClassInteractive, 59*time.Second)
	})
}

// Another process wakes up for a slot within a second.
func TestSlotThatAnotherProcessFrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		here, there := open(t, path).Limiter(1), open(t, path).Limiter(1)
		slot := acquire(t, here, drift.ClassInteractive)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			done(t, acquire(t, there, drift.ClassInteractive), notSent)
			assert.LessOrEqual(t, time.Since(start), 1800*time.Millisecond)
		})
		time.Sleep(800 * time.Millisecond)
		done(t, slot, notSent)
		wg.Wait()
	})
}

func TestMinuteAndMonthInOneStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		q := open(t, path, filestore.WithPlan(2))
		l := q.Limiter(10)
		flushes := 0
		filestore.OnFlush(q, func() error { flushes++; return nil })
		reserved := func() (drift.Slot, drift.Reservation) {
			slot, err := l.Acquire(t.Context(), drift.Turn{Quota: q})
			require.NoError(t, err)
			return slot, slot.(drift.ReservedSlot).Reservation()
		}
		slot, r := reserved()
		assert.Equal(t, 1, flushes)
		assert.Equal(t, 1, r.Usage().Used)
		done(t, slot, notSent)
		require.NoError(t, r.Refund(t.Context()))

		for want := range 2 {
			slot, r = reserved()
			assert.Equal(t, want+1, r.Usage().Used)
			done(t, slot, answered)
		}
		_, err := l.Acquire(t.Context(), drift.Turn{Quota: q})
		var quota *drift.QuotaError
		require.ErrorAs(t, err, &quota)
		assert.Equal(t, 2, quota.Usage.Used)
		use(t, l, 8) // the refused call took no slot

		other := open(t, newPath(t))
		slot, err = open(t, newPath(t)).Limiter(10).Acquire(t.Context(), drift.Turn{Quota: other})
		require.NoError(t, err)
		assert.Nil(t, slot.(drift.ReservedSlot).Reservation(), "the count of another file")
	})
}

// Processes in containers do not see each other. Each takes those of the others for dead as soon as their attempts must
// have ended, but whose slot it is knows better.
func TestContainers(t *testing.T) {
	const limit, containers, length = 10, 4, time.Minute
	for name, disguise := range map[string]func(*filestore.Quota){
		"other process ids": filestore.InAnotherContainer,
		"ids that mislead":  filestore.Disguise,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := newPath(t)
				var mu sync.Mutex
				var arrivals []time.Time
				var wg sync.WaitGroup
				for i := range containers {
					q := open(t, path)
					disguise(q)
					l := q.Limiter(limit)
					for worker := range 5 {
						wg.Go(func() {
							for call := range 4 {
								slot, err := l.Acquire(t.Context(), drift.Turn{Timeout: 30 * time.Second})
								require.NoError(t, err)
								time.Sleep(time.Duration((i+7*worker+11*call)%29) * time.Second)
								mu.Lock()
								arrivals = append(arrivals, time.Now())
								mu.Unlock()
								done(t, slot, answered)
							}
						})
					}
				}
				wg.Wait()
				assert.Len(t, arrivals, 80)
				checkBusiest(t, arrivals, limit, length)
			})
		})
	}
}

func TestClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		var shift atomic.Int64
		clock := filestore.WithClock(func() time.Time { return time.Now().Add(time.Duration(shift.Load())) })
		limiter := func() drift.Limiter { return open(t, path, clock).Limiter(10) }
		use(t, limiter(), 10)
		require.NoError(t, limiter().Pause(t.Context(), time.Now().Add(30*time.Second)))

		time.Sleep(time.Second) // by then the file knows
		shift.Store(int64(-time.Hour))
		l := limiter()
		late(t, l, drift.ClassInteractive, 59*time.Second)
		assert.InDelta(t, 63, waits(t, l).Seconds(), 0.001, "back: 63 seconds at most")

		time.Sleep(2 * time.Minute)
		l = limiter()
		use(t, l, 9)
		time.Sleep(time.Second) // by then the file knows
		shift.Store(int64(time.Hour))
		use(t, l, 1)
		time.Sleep(time.Second)
		late(t, l, drift.ClassInteractive, 58*time.Second) // forward: a process still keeps its own calls apart
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
				reserve(t, open(t, path), noon)
				time.Sleep(time.Second) // by then the file knows

				f, err := os.OpenFile(path, os.O_RDWR, 0)
				require.NoError(t, err)
				require.NoError(t, damage(f))
				require.NoError(t, f.Close())

				late(t, open(t, path).Limiter(10), drift.ClassInteractive, 59*time.Second)
				time.Sleep(30 * time.Second)
				done(t, short, answered)
				fresh := open(t, path).Limiter(10)
				assert.InDelta(t, 33, waits(t, fresh).Seconds(), 0.001)
				use(t, fresh, 7)
				time.Sleep(time.Second)
				// the one in flight has its slot again, and the other's is coming
				late(t, fresh, drift.ClassInteractive, 25*time.Second)
				assert.Equal(t, 2, reserve(t, open(t, path), noon).Used)
				done(t, long, answered)
			})
		})
	}
}

// Done returns at once even if the file is busy, and the file learns of it later.
func TestDoneDoesNotWaitForTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		here, there := open(t, path).Limiter(2), open(t, path).Limiter(2)
		use(t, here, 1)
		slot := acquire(t, here, drift.ClassInteractive)
		unlock, err := filestore.Lock(path)
		require.NoError(t, err)
		start := time.Now()
		done(t, slot, notSent)
		assert.Zero(t, time.Since(start))
		time.Sleep(5 * time.Second)
		require.NoError(t, unlock())
		time.Sleep(2 * time.Second)
		assert.Zero(t, waits(t, there))
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
		assert.InDelta(t, 63, waits(t, l).Seconds(), 0.001)
	})
}

// A Close that the file keeps waiting can be repeated.
func TestCloseWhileTheFileIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		q := open(t, path)
		l := q.Limiter(1)
		slot := acquire(t, l, drift.ClassInteractive)
		unlock, err := filestore.Lock(path)
		require.NoError(t, err)
		done(t, slot, answered)
		require.ErrorIs(t, q.Close(), context.DeadlineExceeded)
		require.NoError(t, unlock())
		require.NoError(t, q.Close())
		late(t, open(t, path).Limiter(1), drift.ClassInteractive, 50*time.Second)
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
	done(t, slot, answered)
	require.Error(t, q.Close())
}
