package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// scraped returns the lines of the metrics with this prefix.
func scraped(t *testing.T, registry *prometheus.Registry, prefix string) []string {
	t.Helper()
	var lines []string
	text := ask(&service{registry: registry}, "/metrics")[0].Body.String()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestMetricsOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, registry := drifttest.Start(t), prometheus.NewRegistry()
		client := server.Client(drift.WithHooks(newMetrics(registry).hooks()))
		server.AddContact(drift.Contact{Email: "ada@example.com"})
		later := drifttest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"4"}}}
		server.Fail("contacts.get", later, drifttest.Fault{Delay: 2 * time.Second})
		_, err := client.Contacts.Get(t.Context(), 1)
		require.NoError(t, err)
		_, err = client.Contacts.Get(t.Context(), 2)
		require.ErrorIs(t, err, drift.ErrNotFound)
		_, err = client.Contacts.Get(t.Context(), 0)
		require.ErrorIs(t, err, drift.ErrInvalid)

		assert.Equal(t, []string{
			`drift_call_duration_seconds_count{operation="contacts.get",outcome="invalid"} 1`,
			`drift_call_duration_seconds_count{operation="contacts.get",outcome="not_found"} 1`,
			`drift_call_duration_seconds_count{operation="contacts.get",outcome="ok"} 1`,
		}, scraped(t, registry, "drift_call_duration_seconds_count"))
		assert.Equal(t, []string{
			`drift_attempt_duration_seconds_count{operation="contacts.get",status="200"} 1`,
			`drift_attempt_duration_seconds_count{operation="contacts.get",status="404"} 1`,
			`drift_attempt_duration_seconds_count{operation="contacts.get",status="503"} 1`,
		}, scraped(t, registry, "drift_attempt_duration_seconds_count"))
		assert.Contains(t, scraped(t, registry, "drift_attempt_duration_seconds_sum"),
			`drift_attempt_duration_seconds_sum{operation="contacts.get",status="200"} 2`)
		assert.Equal(t, []string{`drift_wait_seconds_count{reason="backoff"} 1`},
			scraped(t, registry, "drift_wait_seconds_count"))
	})
}

// An attempt without an answer is labelled with the reason.
func TestStatusOfAnAttemptWithoutAnswer(t *testing.T) {
	server, registry := drifttest.Start(t), prometheus.NewRegistry()
	client := server.Client(drift.WithHooks(newMetrics(registry).hooks()), drift.WithoutRetry())
	server.Fail("contacts.get", drifttest.Fault{Drop: drifttest.DropInHeaders})
	_, err := client.Contacts.Get(t.Context(), 1)
	require.Error(t, err)
	assert.Equal(t, []string{`drift_attempt_duration_seconds_count{operation="contacts.get",status="connection"} 1`},
		scraped(t, registry, "drift_attempt_duration_seconds_count"))
}

func TestMetricsOfTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := drifttest.Start(t)
		limiter := drift.NewLimiter(50)
		client := server.Client(drift.WithPlan(drift.PlanStarter), drift.WithLimiter(limiter))
		_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "vip"})
		require.NoError(t, err)
		require.NoError(t, limiter.Pause(t.Context(), time.Now().Add(30*time.Second)))
		go func() { _, _ = client.Tags.Get(t.Context(), 1) }()
		go func() { _, _ = client.Tags.Get(t.Context(), 1, drift.WithBulk()) }()
		go func() { _, _ = client.Tags.Get(t.Context(), 1, drift.WithBulk()) }()
		synctest.Wait()
		require.NoError(t, testutil.CollectAndCompare(state{client}, strings.NewReader(`
# HELP drift_limiter_free Slots of the rate limit that are free.
# TYPE drift_limiter_free gauge
drift_limiter_free 49
# HELP drift_limiter_pause_seconds The rest of a pause.
# TYPE drift_limiter_pause_seconds gauge
drift_limiter_pause_seconds 30
# HELP drift_limiter_queued Calls that wait for the rate limit.
# TYPE drift_limiter_queued gauge
drift_limiter_queued{class="bulk"} 2
drift_limiter_queued{class="interactive"} 1
# HELP drift_quota_limit Calls of this month that may be used.
# TYPE drift_quota_limit gauge
drift_quota_limit 10000
# HELP drift_quota_reset_timestamp_seconds When the next month begins.
# TYPE drift_quota_reset_timestamp_seconds gauge
drift_quota_reset_timestamp_seconds 949363200
# HELP drift_quota_used Calls of this month that have been used.
# TYPE drift_quota_used gauge
drift_quota_used 1
`)), "the clock of the bubble starts on 1 January 2000")
		time.Sleep(time.Minute)
	})
}

// What fails is missing, and hides nothing else.
func TestMetricsWithoutTheQuotaStore(t *testing.T) {
	server, registry := drifttest.Start(t), prometheus.NewRegistry()
	client := server.Client(drift.WithQuotaStore(brokenQuota{}), drift.WithLimiter(drift.NewLimiter(7)))
	registry.MustRegister(state{client})
	assert.Empty(t, scraped(t, registry, "drift_quota"))
	assert.Equal(t, []string{"drift_limiter_free 7"}, scraped(t, registry, "drift_limiter_free"))
}

type brokenQuota struct{}

func (brokenQuota) Reserve(context.Context) (drift.Reservation, error) {
	return nil, errors.New("broken")
}

func (brokenQuota) Usage(context.Context) (drift.Usage, error) {
	return drift.Usage{}, errors.New("broken")
}
