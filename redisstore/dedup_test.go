package redisstore_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/redisstore"
	"github.com/driftsdk/drift/webhook"
)

func TestDedup(t *testing.T) {
	s := startRedis(t)
	a, b := s.open().Dedup(), s.open().Dedup()
	claim := func(d *redisstore.Dedup, lease time.Duration) webhook.Claim {
		t.Helper()
		c, err := d.Claim(t.Context(), "key", lease)
		require.NoError(t, err)
		return c
	}
	assert.Equal(t, webhook.Claimed, claim(a, time.Minute))
	assert.Equal(t, webhook.InFlight, claim(b, time.Minute))
	assert.Equal(t, webhook.InFlight, claim(a, time.Minute))
	require.NoError(t, a.Abandon(t.Context(), "key"))
	assert.Equal(t, webhook.Claimed, claim(b, 30*time.Millisecond))
	time.Sleep(40 * time.Millisecond)
	assert.Equal(t, webhook.Claimed, claim(a, time.Minute), "the lease is over")
	require.NoError(t, a.Done(t.Context(), "key", 100*time.Millisecond))
	assert.Equal(t, webhook.Handled, claim(b, time.Minute))
	time.Sleep(110 * time.Millisecond)
	assert.Equal(t, webhook.Claimed, claim(b, 0))
	require.NoError(t, b.Abandon(t.Context(), "unknown"))
}

func TestDedupIsAtomic(t *testing.T) {
	s := startRedis(t)
	var claimed atomic.Int32
	var group sync.WaitGroup
	for range 4 {
		d := s.open(redisstore.WithTimeout(5 * time.Second)).Dedup()
		for range 8 {
			group.Go(func() {
				if c, err := d.Claim(t.Context(), "key", time.Minute); assert.NoError(t, err) && c == webhook.Claimed {
					claimed.Add(1)
				}
			})
		}
	}
	group.Wait()
	assert.EqualValues(t, 1, claimed.Load())
}
