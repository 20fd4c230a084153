package redisstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

func TestQuotaCountsAndRefuses(t *testing.T) {
	s := startRedis(t)
	a, b := s.open(redisstore.WithPlan(3)), s.open(redisstore.WithPlan(3))
	for i, q := range []*redisstore.Store{a, b, a} {
		r, err := q.Reserve(t.Context())
		require.NoError(t, err)
		assert.Equal(t, i+1, r.Usage().Used)
		assert.Equal(t, 3, r.Usage().Limit)
		now := time.Now().UTC()
		assert.Equal(t, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC), r.Usage().ResetsAt)
	}
	_, err := b.Reserve(t.Context())
	var exhausted *drift.QuotaError
	require.ErrorAs(t, err, &exhausted)
	assert.Equal(t, 3, exhausted.Usage.Used)
	usage, err := a.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, exhausted.Usage, usage)
}

func TestQuotaRefundsOnce(t *testing.T) {
	q := startRedis(t).open()
	first, err := q.Reserve(t.Context())
	require.NoError(t, err)
	_, err = q.Reserve(t.Context())
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, first.Refund(t.Context()))
	}
	usage, err := q.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, usage.Used)
	assert.Zero(t, usage.Limit)
}

func TestQuotaIsExactUnderConcurrency(t *testing.T) {
	s := startRedis(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	reserved, refused := 0, 0
	for range 4 {
		q := s.open(redisstore.WithPlan(100), redisstore.WithTimeout(5*time.Second))
		for range 8 {
			group.Go(func() {
				for range 10 {
					_, err := q.Reserve(t.Context())
					mu.Lock()
					if err == nil {
						reserved++
					} else if assert.ErrorIs(t, err, drift.ErrQuotaExceeded) {
						refused++
					}
					mu.Unlock()
				}
			})
		}
	}
	group.Wait()
	assert.Equal(t, 100, reserved)
	assert.Equal(t, 220, refused)
}

// A month that begins, by the clock of Redis: the store takes an older state for that of last month.
func TestQuotaBeginsAgainWithTheMonth(t *testing.T) {
	s := startRedis(t)
	q := s.open(redisstore.WithPlan(2))
	old, err := q.Reserve(t.Context())
	require.NoError(t, err)
	client := s.client()
	state := func(field string) int64 {
		n, err := client.HGet(t.Context(), "drift:{default}:state", field).Int64()
		require.NoError(t, err)
		return n
	}
	month := state("month")
	require.NoError(t, client.HSet(t.Context(), "drift:{default}:state", "month", month-1, "since", 2).Err())
	q = s.open(redisstore.WithPlan(2)) // which has seen nothing
	r, err := q.Reserve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, r.Usage().Used)
	require.NoError(t, old.Refund(t.Context()), "its month is over")
	usage, err := q.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, usage.Used)

	// A clock that is set back does not begin the last month again.
	require.NoError(t, client.HSet(t.Context(), "drift:{default}:state", "month", month+1, "since", 2).Err())
	_, err = s.open(redisstore.WithPlan(2)).Reserve(t.Context())
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
}

func TestQuotaOfAnotherTimeZone(t *testing.T) {
	s := startRedis(t)
	_, err := s.open().Reserve(t.Context())
	require.NoError(t, err)
	other := s.open(redisstore.WithLocation(time.FixedZone("elsewhere", 3600)))
	_, err = other.Reserve(t.Context())
	requireReason(t, err, redisstore.ErrTimeZone)
	_, err = other.Limiter(100).Acquire(t.Context(), drift.Turn{})
	requireReason(t, err, redisstore.ErrTimeZone)
}
