package redisstore_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

// TestNumbers measures what a call waits for, on loopback: 100 calls of each of 20 accounts, so that the windows are as
// full as those of a real minute.
func TestNumbers(t *testing.T) {
	if os.Getenv("DRIFT_NUMBERS") == "" {
		t.Skip("it measures: set DRIFT_NUMBERS=1")
	}
	s := startRedis(t)
	client := s.client()
	times := make(map[string][]time.Duration)
	measure := func(name string, fn func()) {
		start := time.Now()
		fn()
		times[name] = append(times[name], time.Since(start))
	}
	for account := range 20 {
		store := open(t, client, redisstore.WithAccount(fmt.Sprint(account)), redisstore.WithPlan(drift.PlanEnterprise),
			redisstore.WithTimeout(time.Second))
		l := store.Limiter(100)
		require.NoError(t, store.Ping(t.Context()))
		for range 100 {
			var slot drift.Slot
			var err error
			turn := drift.Turn{Timeout: time.Minute, Quota: store}
			measure("slot and quota", func() { slot, err = l.Acquire(t.Context(), turn) })
			require.NoError(t, err)
			measure("done", func() { err = slot.Done(t.Context(), answered) })
			require.NoError(t, err)
			measure("quota alone", func() { _, err = store.Reserve(t.Context()) })
			require.NoError(t, err)
			measure("PING", func() { err = client.Ping(t.Context()).Err() })
			require.NoError(t, err)
		}
		require.NoError(t, store.Close(t.Context()))
	}
	for _, name := range []string{"PING", "slot and quota", "quota alone", "done"} {
		list := times[name]
		slices.Sort(list)
		t.Logf("%-15s p50 %v, p99 %v", name, list[len(list)/2], list[len(list)*99/100])
	}
}
