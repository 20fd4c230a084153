package drift_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

const attemptTimeout = time.Minute // by default

// takes is the key of how long the service takes in a context. Without one it hangs.
type takes struct{}

var hangingNetwork testkit.Responder = func(req *http.Request) (*http.Response, error) {
	var answers <-chan time.Time
	if d, ok := req.Context().Value(takes{}).(time.Duration); ok {
		answers = time.After(d)
	}
	select {
	case <-answers:
		return testkit.MemoryAnswer(req, http.StatusOK, "application/json", `{"data":{"id":1}}`), nil
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}

func hangingClient(t *testing.T) *drift.Client {
	return testkit.Through(t, hangingNetwork, drift.WithoutRetry())
}

func getThatTakes(ctx context.Context, client *drift.Client, d time.Duration) error {
	_, err := client.Tags.Get(context.WithValue(ctx, takes{}, d), 1)
	return err
}

// However long the attempts before it took, and however long ago they were, an attempt has its whole time, and no more.
func TestEveryAttemptHasItsTime(t *testing.T) {
	for _, before := range [][]time.Duration{
		{}, {0}, {time.Second}, {time.Second, 58 * time.Second}, {59 * time.Second}, {59 * time.Second, 59 * time.Second, 59 * time.Second}, {30 * time.Second, 0},
	} {
		for _, idle := range []time.Duration{0, time.Second, attemptTimeout - time.Second, attemptTimeout, attemptTimeout + time.Second, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				client := hangingClient(t)
				for _, d := range before {
					require.NoError(t, getThatTakes(t.Context(), client, d))
				}
				time.Sleep(idle)
				start := time.Now()
				_, err := client.Tags.Get(t.Context(), 1)
				require.ErrorContains(t, err, "the attempt took too long")
				assert.Equal(t, attemptTimeout, time.Since(start), "after %v and %v", before, idle)
				require.NoError(t, getThatTakes(t.Context(), client, attemptTimeout-1))
			})
		}
	}
}

// Attempts that overlap end each in its own time.
func TestAttemptsThatOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := hangingClient(t)
		require.NoError(t, getThatTakes(t.Context(), client, 0))
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Second)
				start := time.Now()
				if i%3 == 0 {
					assert.NoError(t, getThatTakes(t.Context(), client, time.Duration(i)*time.Second))
					return
				}
				_, err := client.Tags.Get(t.Context(), 1)
				assert.ErrorContains(t, err, "the attempt took too long")
				assert.Equal(t, attemptTimeout, time.Since(start))
			})
		}
		group.Wait()
	})
}

// Virtual time has a clock of its own: a timer that was set by it is of no use outside, and the reverse.
func TestAttemptTimersOfAnotherClock(t *testing.T) {
	client, err := drift.NewClient(drift.WithToken(testkit.Token), drift.WithoutRetry(), drift.WithHTTPClient(&http.Client{Transport: hangingNetwork, Timeout: 20 * time.Millisecond}))
	require.NoError(t, err)
	hangs := func(t *testing.T) {
		_, err := client.Tags.Get(t.Context(), 1)
		require.ErrorContains(t, err, "the attempt took too long")
	}
	require.NoError(t, getThatTakes(t.Context(), client, 0))
	synctest.Test(t, func(t *testing.T) {
		hangs(t)
		require.NoError(t, getThatTakes(t.Context(), client, 0))
	})
	hangs(t)
}
