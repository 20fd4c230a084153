package filestore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/filestore"
)

func TestReserveCounts(t *testing.T) {
	path := newPath(t)
	q := open(t, path, filestore.WithPlan(drift.PlanStarter))
	want := drift.Usage{Used: 1, Limit: 10_000, ResetsAt: time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC)}
	assert.Equal(t, want, reserve(t, q, noon))
	want.Used = 2
	assert.Equal(t, want, reserve(t, q, noon.Add(time.Second)))

	usage, err := q.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, want, usage)

	again := open(t, path)
	assert.Equal(t, 2, used(t, again, noon), "another process")
	reserve(t, again, noon)
	assert.Equal(t, 3, used(t, q, noon))

	require.NoError(t, q.Close())
	require.NoError(t, again.Close())
	assert.Equal(t, 3, used(t, open(t, path), noon), "a restart")
}

func TestEachCallIsFlushedOnce(t *testing.T) {
	path := newPath(t)
	q, other := open(t, path), open(t, path)
	flushes := 0
	filestore.OnFlush(q, func() error {
		flushes++
		contents, err := os.ReadFile(path)
		require.NoError(t, err)
		copies := newPath(t)
		require.NoError(t, os.WriteFile(copies, contents, 0o600))
		assert.Equal(t, flushes, used(t, open(t, copies), noon), "flushed after it was written")
		return nil
	})
	l := q.Limiter(10)
	for range 5 {
		reserve(t, q, noon)
		use(t, l, 1)
		used(t, q, noon)
	}
	assert.Equal(t, 5, flushes)

	filestore.OnFlush(q, func() error { return syscall.ENOSPC })
	_, err := q.Reserve(t.Context())
	require.ErrorIs(t, err, syscall.ENOSPC)
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
	assert.Contains(t, []int{5, 6}, used(t, other, noon), "never too low, at most one too high")
}

func TestWithoutPlanNothingIsRefused(t *testing.T) {
	for _, opts := range [][]filestore.Option{
		nil, {nil}, {filestore.WithPlan(0)}, {filestore.WithPlan(-1)}, {filestore.WithLocation(nil)},
	} {
		q := open(t, newPath(t), opts...)
		usage := reserve(t, q, noon)
		assert.Equal(t, drift.Usage{Used: 1, ResetsAt: time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC)}, usage)
	}
}

func TestMonthIsUsedUp(t *testing.T) {
	q := open(t, newPath(t), filestore.WithPlan(2))
	first := reservation(t, q, noon)
	reserve(t, q, noon)
	for range 2 {
		assert.Equal(t, 2, refused(t, q, noon).Used)
	}
	require.NoError(t, first.Refund(t.Context()))
	assert.Equal(t, 2, reserve(t, q, noon).Used)
}

func TestLastCallOfTheMonthGoesToOne(t *testing.T) {
	path := newPath(t)
	a, b := open(t, path, filestore.WithPlan(50)), open(t, path, filestore.WithPlan(50))
	for range 49 {
		reserve(t, a, noon)
	}
	filestore.SetClock(b, noon)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		q := a
		if i%2 == 1 {
			q = b
		}
		wg.Go(func() {
			_, err := q.Reserve(t.Context())
			if err == nil {
				passed.Add(1)
			} else {
				assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, passed.Load())
}

func TestRefund(t *testing.T) {
	ctx := t.Context()
	later := noon.Add(time.Millisecond)
	t.Run("once", func(t *testing.T) {
		q := open(t, newPath(t))
		r := reservation(t, q, noon)
		reserve(t, q, later)
		for range 3 {
			require.NoError(t, r.Refund(ctx))
		}
		assert.Equal(t, 1, used(t, q, noon))
	})
	t.Run("of a month that is over", func(t *testing.T) {
		q := open(t, newPath(t))
		april := noon.AddDate(0, 1, 0)
		old, latest := reservation(t, q, noon), reservation(t, q, april)
		require.NoError(t, old.Refund(ctx))
		assert.Equal(t, 1, used(t, q, april))
		require.NoError(t, latest.Refund(ctx))
		assert.Zero(t, used(t, q, april))
	})
	t.Run("after another process has counted", func(t *testing.T) {
		path := newPath(t)
		r := reservation(t, open(t, path), noon)
		q := open(t, path)
		reserve(t, q, noon)
		require.NoError(t, r.Refund(ctx))
		assert.Equal(t, 1, used(t, q, noon))
	})
}

func TestMonthsBeginAtMidnightThere(t *testing.T) {
	for _, test := range []struct {
		zone  string
		begin time.Time // of the month after, in UTC
	}{
		{"UTC", time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC)},
		{"UTC", time.Date(2028, time.March, 1, 0, 0, 0, 0, time.UTC)}, // after 29 February
		{"Pacific/Kiritimati", time.Date(2026, time.March, 31, 10, 0, 0, 0, time.UTC)},
		{"Etc/GMT+12", time.Date(2026, time.April, 1, 12, 0, 0, 0, time.UTC)},                // Baker Island
		{"Europe/Berlin", time.Date(2024, time.March, 31, 22, 0, 0, 0, time.UTC)},            // the day had 23 hours
		{"Europe/Berlin", time.Date(2027, time.October, 31, 23, 0, 0, 0, time.UTC)},          // the day had 25 hours
		{"Europe/Berlin", time.Date(2026, time.December, 31, 23, 0, 0, 0, time.UTC)},         // the year too
		{"America/Asuncion", time.Date(2017, time.October, 1, 4, 0, 0, 0, time.UTC)},         // the 1st had no midnight
		{"Australia/Lord_Howe", time.Date(2026, time.September, 30, 13, 30, 0, 0, time.UTC)}, // half an hour off
	} {
		t.Run(test.zone, func(t *testing.T) {
			location, err := time.LoadLocation(test.zone)
			require.NoError(t, err)
			q := open(t, newPath(t), filestore.WithLocation(location))
			last := test.begin.Add(-time.Millisecond)
			var before drift.Reservation
			for i := range 3 {
				before = reservation(t, q, last)
				usage := before.Usage()
				assert.Equal(t, i+1, usage.Used)
				assert.True(t, usage.ResetsAt.Equal(test.begin), "resets at %v, want %v", usage.ResetsAt, test.begin)
			}
			assert.Zero(t, used(t, q, test.begin))
			assert.Equal(t, 1, reserve(t, q, test.begin).Used)
			late := reservation(t, q, last)
			assert.Equal(t, 2, late.Usage().Used, "a call that was late to reserve counts in the month there is")
			assert.Equal(t, 3, reserve(t, q, test.begin.Add(time.Millisecond)).Used)
			require.NoError(t, late.Refund(t.Context()))
			assert.Equal(t, 2, used(t, q, test.begin), "and is taken back there")
			require.NoError(t, before.Refund(t.Context()))
			assert.Equal(t, 2, used(t, q, test.begin))
		})
	}
}

func TestMonthsFollowEachOther(t *testing.T) {
	location, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	q := open(t, newPath(t), filestore.WithLocation(location))
	at := time.Date(2026, time.January, 1, 0, 0, 0, 0, location)
	for at.Year() < 2028 {
		usage := reserve(t, q, at)
		assert.Equal(t, at.Day() == 1, usage.Used == 1, "used %d at %v", usage.Used, at)
		at = at.AddDate(0, 0, 1)
	}
}

func TestClockThatWasSetBackStaysInTheMonth(t *testing.T) {
	q := open(t, newPath(t), filestore.WithPlan(2))
	reserve(t, q, noon)
	assert.Equal(t, 2, reserve(t, q, time.Unix(0, 0)).Used)
	for _, at := range []time.Time{noon.AddDate(0, -1, 0), time.Unix(0, 0), {}} {
		assert.Equal(t, time.Date(2026, time.April, 1, 0, 0, 0, 0, time.UTC), refused(t, q, at).ResetsAt)
	}
	assert.Equal(t, 1, reserve(t, q, noon.AddDate(0, 1, 0)).Used)
}

func TestClockThatJumps(t *testing.T) {
	day := 24 * time.Hour
	t.Run("40 days are believed", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, noon)
		assert.Equal(t, 1, reserve(t, q, noon.Add(40*day)).Used)
	})
	far := time.Date(2038, time.January, 19, 3, 14, 8, 0, time.UTC)
	for _, jump := range []time.Time{noon.Add(40*day + time.Millisecond), far} {
		t.Run("beyond "+jump.Sub(noon).String(), func(t *testing.T) {
			path := newPath(t)
			q := open(t, path)
			reserve(t, q, noon)
			assert.Equal(t, 2, reserve(t, q, jump).Used, "doubted: the month goes on")
			assert.Equal(t, 3, reserve(t, q, jump.Add(time.Minute)).Used)
			q = open(t, path)
			assert.Equal(t, 4, reserve(t, q, jump.Add(2*time.Minute-time.Millisecond)).Used, "for another process too")
			assert.Equal(t, 4, reserve(t, q, jump.Add(2*time.Minute)).Used, "settled: the new month has the three calls made in doubt")
			assert.Equal(t, 5, reserve(t, q, jump).Used)
			assert.Equal(t, 1, reserve(t, q, jump.AddDate(0, 1, 0)).Used)
		})
	}
	t.Run("and back again", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, noon)
		reserve(t, q, far)
		assert.Equal(t, 3, reserve(t, q, noon.Add(time.Hour)).Used)
		assert.Equal(t, 4, reserve(t, q, far.Add(time.Hour)).Used, "doubted anew")
		assert.Equal(t, 2, reserve(t, q, noon.Add(20*day)).Used, "April, and the call made in doubt may have been in it")
	})
	t.Run("a refunded call proves nothing", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, noon)
		for i := range 3 {
			r := reservation(t, q, far.Add(time.Duration(i)*time.Hour))
			assert.Equal(t, 2, r.Usage().Used)
			require.NoError(t, r.Refund(t.Context()))
		}
		assert.Equal(t, 1, used(t, q, far.Add(day)))
	})
	t.Run("in doubt across the end of a month", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC))
		year := time.Date(2027, time.January, 1, 0, 0, 0, 0, time.UTC)
		reserve(t, q, year.Add(-30*time.Second))
		reserve(t, q, year.Add(10*time.Second))
		assert.Equal(t, 3, reserve(t, q, year.Add(2*time.Minute)).Used, "never too low: those in doubt count in January too")
	})
	t.Run("further", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, noon)
		reserve(t, q, far)
		assert.Equal(t, 2, reserve(t, q, far.Add(50*day)).Used, "the first jump is settled, with one call, and the second doubted")
		assert.Equal(t, 2, reserve(t, q, far.Add(50*day+2*time.Minute)).Used, "the second is settled")
	})
	t.Run("less far than before", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, noon)
		reserve(t, q, far)
		nearer := far.AddDate(-5, 0, 0)
		assert.Equal(t, 3, reserve(t, q, nearer).Used)
		assert.Equal(t, 4, reserve(t, q, nearer.Add(time.Minute)).Used)
		assert.Equal(t, 4, reserve(t, q, nearer.Add(2*time.Minute)).Used)
	})
	t.Run("refund of a call made in doubt", func(t *testing.T) {
		q := open(t, newPath(t))
		before := reservation(t, q, noon)
		reserve(t, q, far)
		doubted := reservation(t, q, far.Add(time.Minute))
		settled := far.Add(time.Hour)
		assert.Equal(t, 3, reserve(t, q, settled).Used)
		require.NoError(t, doubted.Refund(t.Context()))
		require.NoError(t, before.Refund(t.Context()))
		assert.Equal(t, 2, used(t, q, settled))
	})
	t.Run("with the month used up", func(t *testing.T) {
		q := open(t, newPath(t), filestore.WithPlan(2))
		reserve(t, q, noon)
		reserve(t, q, noon)
		assert.Equal(t, 1, used(t, q, far), "a caller that looks first learns that one call may go")
		r := reservation(t, q, far)
		assert.Equal(t, 3, used(t, q, far))
		refused(t, q, far) // a single one may go
		require.NoError(t, r.Refund(t.Context()))
		reserve(t, q, far.Add(time.Second))
		refused(t, q, far.Add(time.Minute))
		assert.Equal(t, 2, reserve(t, q, far.Add(3*time.Minute)).Used)
	})
	t.Run("from the beginning of the epoch", func(t *testing.T) {
		q := open(t, newPath(t))
		reserve(t, q, time.Unix(3, 0))
		assert.Equal(t, 2, reserve(t, q, noon).Used)
		assert.Equal(t, 2, reserve(t, q, noon.Add(5*time.Minute)).Used)
	})
}

func TestNobodyWaitsLongerThanTheContext(t *testing.T) {
	path := newPath(t)
	q := open(t, path)
	r := reservation(t, q, noon)
	other := flock.New(path + ".lock")
	locked, err := other.TryLock()
	require.NoError(t, err)
	require.True(t, locked)

	const patience = 30 * time.Millisecond
	wait := map[string]func(ctx context.Context) error{
		"Reserve": func(ctx context.Context) error { _, err := q.Reserve(ctx); return err },
		"Usage":   func(ctx context.Context) error { _, err := q.Usage(ctx); return err },
		"Refund":  func(ctx context.Context) error { return r.Refund(ctx) },
		"Acquire": func(ctx context.Context) error {
			_, err := q.Limiter(10).Acquire(ctx, drift.Turn{})
			return err
		},
	}
	for name, call := range wait {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
			assert.GreaterOrEqual(t, time.Since(start), patience)
			assert.Less(t, time.Since(start), patience+time.Second/2)

			ctx, cancel = context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, call(ctx), context.Canceled)
		})
	}
	t.Run("Refund without a deadline", func(t *testing.T) {
		start := time.Now()
		require.Error(t, r.Refund(context.Background()))
		assert.Less(t, time.Since(start), 5*time.Second)
	})
	require.NoError(t, other.Unlock())
	for name, call := range wait {
		t.Run(name+" with a context that has ended", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for range 20 {
				require.ErrorIs(t, call(ctx), context.Canceled)
			}
		})
	}
	assert.Equal(t, 1, used(t, q, noon))
}

func TestLockIsFreeAgain(t *testing.T) {
	path := newPath(t)
	q := open(t, path)
	other := flock.New(path + ".lock")
	_, err := other.TryLock()
	require.NoError(t, err)
	time.AfterFunc(20*time.Millisecond, func() { assert.NoError(t, other.Unlock()) })
	assert.Equal(t, 1, reserve(t, q, noon).Used)
}

func TestClosed(t *testing.T) {
	q := open(t, newPath(t))
	limiter := q.Limiter(10)
	slot := acquire(t, limiter, drift.ClassInteractive)
	r := reservation(t, q, noon)
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())

	_, err := q.Reserve(t.Context())
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = q.Usage(t.Context())
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, r.Refund(t.Context()), fs.ErrClosed)
	_, err = limiter.Acquire(t.Context(), drift.Turn{})
	require.ErrorIs(t, err, fs.ErrClosed)
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
	require.ErrorIs(t, slot.Done(t.Context(), answered), fs.ErrClosed)
	require.ErrorIs(t, limiter.Pause(t.Context(), time.Now().Add(time.Minute)), fs.ErrClosed)
}

func TestFileThatVanishes(t *testing.T) {
	path := newPath(t)
	q, err := filestore.OpenQuota(path)
	require.NoError(t, err)
	reserve(t, q, noon)
	acquire(t, q.Limiter(10), drift.ClassInteractive)
	require.NoError(t, os.Remove(path))
	_, err = q.Reserve(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)

	open(t, path)
	_, err = q.Reserve(t.Context())
	require.ErrorIs(t, err, filestore.ErrCorrupt, "replaced")
	var named *filestore.Error
	require.True(t, errors.As(err, &named))
	assert.Equal(t, path, named.Path)
	require.ErrorIs(t, q.Close(), filestore.ErrCorrupt)
	require.NoError(t, q.Close())
}

// Either copy of the record is enough from the beginning, before anything was counted.
func TestNewFileHasTwoCopies(t *testing.T) {
	for _, damaged := range []int64{0, filestore.BlockSize} {
		path := newPath(t)
		q, err := filestore.OpenQuota(path)
		require.NoError(t, err)
		require.NoError(t, q.Close())
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteAt(make([]byte, filestore.RecordSize), damaged)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		q = open(t, path)
		assert.Equal(t, 2, reserve(t, q, noon).Used, "one more, because the damaged copy may have had a call")
	}
}

func TestQuotaStore(t *testing.T) {
	openIn := func(t *testing.T, plan drift.Plan) func() drift.QuotaStore {
		path := newPath(t)
		return func() drift.QuotaStore { return open(t, path, filestore.WithPlan(plan)) }
	}
	storetest.TestSharedQuotaStore(t, openIn)
	synctest.Test(t, func(t *testing.T) { storetest.TestSharedQuotaStore(t, openIn) })
}
