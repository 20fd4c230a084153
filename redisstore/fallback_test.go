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

func TestFallBackToAShare(t *testing.T) {
	s := startRedis(t)
	var log logs
	store := s.open(redisstore.FallBack(5), redisstore.WithPlan(10), redisstore.WithLogger(log.logger()))
	l := store.Limiter(100)
	turn := drift.Turn{Quota: store, Timeout: time.Minute}
	call := func(result drift.Result) drift.Reservation {
		t.Helper()
		slot, err := l.Acquire(t.Context(), turn)
		require.NoError(t, err)
		var r drift.Reservation
		if reserved, ok := slot.(drift.ReservedSlot); ok && reserved.Reservation() != nil {
			r = reserved.Reservation()
		} else {
			r, err = store.Reserve(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, slot.Done(t.Context(), result))
		return r
	}
	assert.Equal(t, 1, call(answered).Usage().Used)
	require.Eventually(t, func() bool { return look(t, store.Window()).InFlight == 0 }, time.Second, time.Millisecond)
	s.stop()
	start := time.Now()
	assert.Equal(t, 2, call(answered).Usage().Used, "what Redis has last said, and one")
	assert.Less(t, time.Since(start), 250*time.Millisecond)
	assert.Equal(t, 5, l.Stats().Limit)
	refunded := call(notSent)
	assert.Equal(t, 3, refunded.Usage().Used)
	require.NoError(t, refunded.Refund(t.Context()))
	require.NoError(t, refunded.Refund(t.Context()))
	usage, err := store.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, usage.Used)
	flying, err := l.Acquire(t.Context(), turn)
	require.NoError(t, err)

	s.resume()
	start = time.Now()
	require.Eventually(t, func() bool { return l.Stats().Limit == 100 }, 5*time.Second, 10*time.Millisecond)
	assert.Greater(t, time.Since(start), 900*time.Millisecond, "others may not have told Redis of their calls yet")
	other := s.open()
	state := look(t, other.Window())
	assert.Len(t, state.Returns, 2, "the calls before and during the outage")
	assert.Equal(t, 1, state.InFlight)
	usage, err = other.Usage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, usage.Used)
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
