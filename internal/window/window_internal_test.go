package window

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Slots are marked in any order, and one may be marked a moment after others that were answered later have been sorted out.
func TestReturnsAreInOrder(t *testing.T) {
	w := New(Config{Limit: 1000, Burst: 1000, Kept: true})
	var expected []time.Duration
	for range 30 {
		for range rand.IntN(10) {
			slot, err := w.Acquire(t.Context(), false)
			require.NoError(t, err)
			if rand.IntN(5) == 0 {
				slot.Free()
				continue
			}
			back := time.Hour + rand.N(time.Hour)
			slot.back.Store(int64(back))
			expected = append(expected, back)
		}
		w.reclaim(time.Now())
	}
	slices.Sort(expected)
	assert.Equal(t, expected, w.returns)
	assert.Empty(t, w.slots)
}

// As long as nobody waits, a lock is all that a call takes.
func TestSlotsAreSortedOutInBatches(t *testing.T) {
	w := New(Config{Limit: 10 * batch, Burst: 10 * batch, Kept: true})
	for i := range 3*batch + 1 {
		assert.Len(t, w.returns, max(0, i-1)/batch*batch)
		slot, err := w.Acquire(t.Context(), false)
		require.NoError(t, err)
		slot.Used()
	}
}

// A deadline without a monotonic part goes by the wall clock, which may have been set since the window was made.
func TestDeadlineByAClockThatHasBeenSet(t *testing.T) {
	w := New(Config{Limit: 1, Burst: 1, Kept: true})
	begin := w.begin
	*(*uint64)(unsafe.Pointer(&w.begin)) += 3600 << 30 // an hour on the wall, which stands above 30 bits of nanoseconds
	require.Equal(t, time.Hour, w.begin.Round(0).Sub(begin.Round(0)))
	require.Zero(t, w.begin.Sub(begin))
	slot, err := w.Acquire(t.Context(), false)
	require.NoError(t, err)
	slot.Used()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(10*time.Minute).Round(0))
	defer cancel()
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = w.Acquire(ctx, false)
	assert.ErrorIs(t, err, context.Canceled, "it waits for its turn in a minute")
}
