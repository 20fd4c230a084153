package drift

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// NewMemoryQuota returns the default QuotaStore, for tests outside the package.
func NewMemoryQuota(plan Plan) QuotaStore { return newMemoryQuota(plan) }

func TestClockThatGoesBackDoesNotReopenAMonth(t *testing.T) {
	q := newMemoryQuota(2)
	march, february := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC)
	reserve := func(at time.Time) (Usage, error) {
		r, err := q.reserve(at)
		if err != nil {
			return Usage{}, err
		}
		return r.Usage(), nil
	}
	used, err := reserve(march)
	assert.NoError(t, err)
	assert.Equal(t, Usage{1, 2, march.AddDate(0, 1, 0)}, used)
	used, err = reserve(february)
	assert.NoError(t, err)
	assert.Equal(t, Usage{2, 2, march.AddDate(0, 1, 0)}, used, "counted in the latest month")
	for _, at := range []time.Time{february, february.AddDate(-1, 0, 0), march} {
		_, err = reserve(at)
		assert.ErrorIs(t, err, ErrQuotaExceeded)
		assert.Equal(t, 2, q.usage(at).Used)
	}
	used, err = reserve(march.AddDate(0, 1, 0))
	assert.NoError(t, err)
	assert.Equal(t, 1, used.Used)
}

// Months are those of UTC, wherever the clock stands.
func TestMonthOfATimeElsewhere(t *testing.T) {
	want := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{
		time.Date(2026, 4, 1, 13, 59, 59, 0, time.FixedZone("Kiritimati", 14*3600)),
		time.Date(2026, 2, 28, 12, 0, 0, 0, time.FixedZone("Baker", -12*3600)),
		time.Date(2026, 3, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		assert.True(t, monthOf(at).Equal(want), "%v", at)
	}
}

func TestRefund(t *testing.T) {
	q, at := newMemoryQuota(5), time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	first, err := q.reserve(at)
	require.NoError(t, err)
	require.NoError(t, first.Refund(t.Context()))
	second, err := q.reserve(at)
	require.NoError(t, err)
	assert.Equal(t, 1, second.Usage().Used)
	_, err = q.reserve(at.AddDate(0, 1, 0))
	require.NoError(t, err)
	require.NoError(t, second.Refund(t.Context()), "of a month that is over")
	assert.Equal(t, 1, q.usage(at).Used)
}

// A store that knows no numbers has no marks to cross.
func TestNoWarningWithoutALimit(t *testing.T) {
	for used := range 300 {
		assert.False(t, Usage{Used: used}.crossed(), "%d used", used)
	}
}
