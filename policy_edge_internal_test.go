package drift

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBoundDoublesUpToAnyMaximum(t *testing.T) {
	for _, longest := range []time.Duration{7, 8, 9, 1000, math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64} {
		p := RetryPolicy{MinBackoff: 3, MaxBackoff: longest}
		for attempts := 1; attempts < 100; attempts++ {
			want := longest
			if doubled := math.Ldexp(3, attempts-1); doubled < float64(longest) {
				want = min(time.Duration(doubled), longest)
			}
			assert.Equal(t, want, p.bound(p.MinBackoff, attempts), "up to %d, after %d", longest, attempts)
		}
	}
}

func TestRefundOfWhatWasNotReserved(t *testing.T) {
	q, at := newMemoryQuota(5), time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	_, err := q.Usage(t.Context(), at)
	require.NoError(t, err)
	require.NoError(t, q.Refund(t.Context(), at))
	usage, err := q.Reserve(t.Context(), at)
	require.NoError(t, err)
	assert.Equal(t, 1, usage.Used, "never less than nothing")
}

// A store that knows no numbers has no marks to cross.
func TestNoWarningWithoutALimit(t *testing.T) {
	for used := range 300 {
		assert.False(t, Usage{Used: used}.crossed(), "%d used", used)
	}
}

func TestBudgetOfNothing(t *testing.T) {
	b := newBudget(0)
	assert.False(t, b.spend())
	b.earn()
	assert.False(t, b.spend())
}

// The last second that fits a Duration is rounded up to itself.
func TestFractionOfTheLastSecond(t *testing.T) {
	for _, value := range []string{"9223372036", "9223372036.9", "9223372035.9"} {
		got := parseRetryAfter(http.Header{"Retry-After": {value}}, time.Time{})
		assert.Equal(t, 9_223_372_036*time.Second, got, value)
	}
}

// Not even a fifth of an attempt is kept beyond the budget.
func TestFullBudgetEarnsNothing(t *testing.T) {
	b := newBudget(1)
	for range 100 {
		b.earn()
	}
	assert.True(t, b.spend())
	for range attemptCost - 1 {
		b.earn()
	}
	assert.False(t, b.spend())
}
