package driftotel_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
)

// observe reports the state of a client to b until the test ends.
func observe(t *testing.T, b *backend, client *drift.Client) {
	t.Helper()
	registration, err := driftotel.Observe(client, b.options()...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, registration.Unregister()) })
}

func TestObserveTheQuota(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), drift.WithPlan(50))
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	observe(t, b, client)
	assert.Equal(t, map[string]string{"": "1"}, b.points(t, "drift.client.quota.used"))
	assert.Equal(t, map[string]string{"": "50"}, b.points(t, "drift.client.quota.limit"))

	_, err = classic.New(client).Conversations.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"": "2"}, b.points(t, "drift.client.quota.used"), "both APIs count")
}

func TestWhatIsNotKnownIsNotObserved(t *testing.T) {
	b := newBackend()
	observe(t, b, testkit.Through(t, testkit.Answer(200), drift.WithLimiter(testkit.OpenLimiter{})))
	assert.NotEmpty(t, b.points(t, "drift.client.quota.used"))
	for _, name := range []string{"quota.limit", "limiter.free", "limiter.queued", "limiter.pause"} {
		assert.Empty(t, b.points(t, "drift.client."+name), name)
	}
}

func TestObserveNoClient(t *testing.T) {
	_, err := driftotel.Observe(nil)
	assert.EqualError(t, err, "driftotel: Observe: the client is nil")
}

// A wait that is still going on can be seen, whichever API and whichever limit it is for.
func TestObserveTheLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		network := &testkit.Network{}
		client := testkit.Through(t, network.Serve, drift.WithLimiter(drift.NewLimiter(2)))
		observe(t, b, client)
		state := func() []map[string]string {
			synctest.Wait()
			return []map[string]string{b.points(t, "drift.client.limiter.free"),
				b.points(t, "drift.client.limiter.queued"), b.points(t, "drift.client.limiter.pause")}
		}
		const interactive, bulk = "drift.class=interactive", "drift.class=bulk"
		assert.Equal(t, []map[string]string{{"": "2"}, {interactive: "0", bulk: "0"}, {"": "0"}}, state())

		require.NoError(t, client.Tags.Delete(t.Context(), 1))
		network.Set(testkit.Answer(429, "Retry-After", "30"))
		require.Error(t, client.Tags.Delete(t.Context(), 1, drift.WithoutRetry()))
		network.Set(testkit.Answer(200))
		var group sync.WaitGroup
		group.Go(func() { assert.NoError(t, client.Tags.Delete(t.Context(), 1)) })
		group.Go(func() {
			assert.NoError(t, classic.New(client).Contacts.Delete(t.Context(), 1, drift.WithBulk()))
		})
		got := state()
		assert.Equal(t, map[string]string{interactive: "1", bulk: "1"}, got[1])
		assert.Equal(t, map[string]string{"": "30"}, got[2])
		group.Wait()
		assert.Equal(t, map[string]string{interactive: "0", bulk: "0"}, state()[1])
	})
}

// A quota store that fails must not hide the limiter.
func TestObserveWithoutTheQuotaStore(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.Answer(200), drift.WithQuotaStore(brokenQuota{}))
	observe(t, b, client)
	var all metricdata.ResourceMetrics
	require.ErrorIs(t, b.reader.Collect(t.Context(), &all), errBroken)
	require.Len(t, all.ScopeMetrics, 1)
	assert.Len(t, all.ScopeMetrics[0].Metrics, 3)
}

var errBroken = errors.New("broken")

type brokenQuota struct{}

func (brokenQuota) Reserve(context.Context) (drift.Reservation, error) { return nil, errBroken }

func (brokenQuota) Usage(context.Context) (drift.Usage, error) { return drift.Usage{}, errBroken }
