package redisstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

// callOf makes a call as a client does, and returns its reservation.
func callOf(t *testing.T, store *redisstore.Store, l *redisstore.Limiter, result drift.Result) drift.Reservation {
	t.Helper()
	slot, err := l.Acquire(t.Context(), drift.Turn{Quota: store, Timeout: time.Minute})
	require.NoError(t, err)
	var r drift.Reservation
	if reserved, ok := slot.(drift.ReservedSlot); ok {
		r = reserved.Reservation()
	}
	if r == nil {
		r, err = store.Reserve(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, slot.Done(t.Context(), result))
	return r
}

func requireUsed(t *testing.T, store *redisstore.Store, used int) {
	t.Helper()
	usage, err := store.Usage(t.Context())
	require.NoError(t, err)
	require.Equal(t, used, usage.Used)
}

func TestFallBackToAShare(t *testing.T) {
	s := startRedis(t)
	var log logs
	store := s.open(redisstore.FallBack(60), redisstore.WithPlan(10), redisstore.WithLogger(log.logger()))
	l, other := store.Limiter(100), s.open()
	assert.Equal(t, 1, callOf(t, store, l, answered).Usage().Used)
	require.Eventually(t, func() bool { return look(t, store.Window()).InFlight == 0 }, time.Second, time.Millisecond)
	s.stop()
	start := time.Now()
	assert.Equal(t, 2, callOf(t, store, l, answered).Usage().Used, "what Redis has last said, and one")
	assert.Less(t, time.Since(start), 250*time.Millisecond)
	assert.Equal(t, 60, l.Stats().Limit)
	refunded := callOf(t, store, l, notSent)
	assert.Equal(t, 3, refunded.Usage().Used)
	require.NoError(t, refunded.Refund(t.Context()))
	require.NoError(t, refunded.Refund(t.Context()))
	requireUsed(t, store, 2)
	flying, err := l.Acquire(t.Context(), drift.Turn{Timeout: time.Minute})
	require.NoError(t, err)

	s.resume()
	start = time.Now()
	require.Eventually(t, func() bool { return l.Stats().Limit == 100 }, 5*time.Second, 10*time.Millisecond)
	assert.Greater(t, time.Since(start), 900*time.Millisecond, "others may not have told Redis of their calls yet")
	state := look(t, other.Window())
	assert.Len(t, state.Returns, 2, "the calls before and during the outage")
	assert.Equal(t, 1, state.InFlight)
	requireUsed(t, other, 2)
	require.NoError(t, flying.Done(t.Context(), answered))
	require.NoError(t, store.Close(t.Context()))
	state = look(t, other.Window())
	assert.Len(t, state.Returns, 3)
	assert.Zero(t, state.InFlight)
	assert.Equal(t, 1, strings.Count(log.String(), "Redis is away"), log.String())
	assert.Equal(t, 1, strings.Count(log.String(), "Redis is back"), log.String())
}

func TestFallBackKeepsToThePlan(t *testing.T) {
	s := startRedis(t)
	store := s.open(redisstore.FallBack(5), redisstore.WithPlan(2))
	_, err := store.Reserve(t.Context())
	require.NoError(t, err)
	s.kill()
	_, err = store.Reserve(t.Context())
	require.NoError(t, err)
	_, err = store.Reserve(t.Context())
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
	s.start()
	require.Eventually(t, func() bool {
		usage, err := s.open().Usage(t.Context())
		return err == nil && usage.Used == 2
	}, 5*time.Second, 20*time.Millisecond, "one that it has lost, and one in memory")
}

func TestFallBackOfAStoreThatIsClosed(t *testing.T) {
	s := startRedis(t)
	store := s.open(redisstore.FallBack(5))
	s.kill()
	_, err := store.Reserve(t.Context())
	require.NoError(t, err)
	ctx := within(t, 50*time.Millisecond)
	require.ErrorIs(t, store.Close(ctx), ctx.Err(), "Redis does not know of the call")
}
