package classic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var goldenFilters = []classic.ReportFilter{
	{Property: "createdAt", Operation: classic.ReportOperationBetween, Values: []any{instant(0), "2026-01-02"}},
	{Property: "status", Operation: classic.ReportOperationIn, Values: []any{"open", 7}},
}

var reportCalls = map[string]goldenCall{
	"reports.conversations": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Reports.Conversations(ctx, classic.ReportRequest{Filters: goldenFilters, Metrics: []string{"numAgentMessages", "numBotMessages"}})
	},
	"reports.conversationSummary": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Reports.ConversationSummary(ctx, classic.ReportSummaryRequest{
			Filters: goldenFilters, Metrics: []classic.ReportSummaryMetric{{Property: "timeToCloseMillis", Type: "AVG"}},
		})
	},
}

var (
	metrics = classic.ReportRequest{Metrics: []string{"a"}}
	summary = classic.ReportSummaryRequest{Metrics: []classic.ReportSummaryMetric{{Property: "a", Type: "AVG"}}}
)

func TestMetrics(t *testing.T) {
	report, err := answering(t, `{"count": 1, "data": [{"conversationId": 7, "metrics": [12, "NaN", null, NaN, 0.5, "3", "a NaN\"", 1e3]}]}`).
		Reports.Conversations(t.Context(), metrics)
	require.NoError(t, err)
	assert.Equal(t, []classic.Metric{"12", "", "", "", "0.5", "3", "", "1e3"}, report.Rows[0].Metrics)
	n, ok := report.Rows[0].Metrics[0].Int64()
	assert.Equal(t, int64(12), n)
	assert.True(t, ok)
	f, ok := report.Rows[0].Metrics[4].Float64()
	assert.InDelta(t, 0.5, f, 0)
	assert.True(t, ok)
	_, ok = report.Rows[0].Metrics[4].Int64()
	assert.False(t, ok)
	_, ok = report.Rows[0].Metrics[1].Float64()
	assert.False(t, ok)
	_, ok = report.Rows[0].Metrics[1].Int64()
	assert.False(t, ok)
	assertSameJSON(t, report)
	assertSameJSON(t, &classic.ReportFilter{Property: "a", Operation: "IN", Values: []any{"b", json.Number("1.50"), nil}})
}

// A report only reads, so it is repeated, and what does not decode was not applied.
func TestReportsAreReads(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusBadGateway}
	client := classic.New(testkit.Through(t, network.RoundTrip, testkit.Impatient()))
	_, err := client.Reports.Conversations(t.Context(), metrics)
	require.ErrorIs(t, err, drift.ErrServer)
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	assert.EqualValues(t, 3, network.Requests.Load())
	for _, body := range []string{`{"count": []}`, `[]`, `{"data": [{"metrics": [{}]}]}`, `{"count": 1, NaN}`, ``} {
		_, err := answering(t, body).Reports.Conversations(t.Context(), metrics)
		require.ErrorAs(t, err, new(*drift.DecodeError), body)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous, body)
	}
	_, err = answering(t, `{"error": {"message": "no"}}`).Reports.Conversations(t.Context(), metrics)
	require.ErrorAs(t, err, new(*drift.APIError))
}

func TestReportsAreRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.Reports.Conversations(t.Context(), classic.ReportRequest{})
	requireInvalid(t, err, "metrics")
	_, err = client.Reports.ConversationSummary(t.Context(), classic.ReportSummaryRequest{})
	requireInvalid(t, err, "metrics")
	_, err = client.Reports.Conversations(t.Context(), classic.ReportRequest{Metrics: []string{"a"}, Filters: []classic.ReportFilter{{Property: "a"}}})
	requireInvalid(t, err, "filters")
	_, err = client.Reports.Conversations(t.Context(), classic.ReportRequest{Metrics: []string{"\xff"}})
	requireInvalid(t, err, "metrics")
}

// Reports have a limit of their own in front of the shared one, which all views of a client respect together.
func TestReportsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: `{"count": 0, "data": []}`}
		client := testkit.Through(t, network.RoundTrip, drift.WithRateLimit(1000))
		start := time.Now()
		for range 30 {
			for _, api := range []*classic.Client{classic.New(client), classic.New(client.With(drift.WithoutRetry()))} {
				_, err := api.Reports.Conversations(t.Context(), metrics)
				require.NoError(t, err)
			}
		}
		require.Less(t, time.Since(start), time.Minute)
		_, err := classic.New(client).Teams.List(t.Context())
		require.NoError(t, err)
		require.Less(t, time.Since(start), time.Minute, "other calls do not wait for it")
		_, err = classic.New(client).Reports.ConversationSummary(t.Context(), summary)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(start), time.Minute)
		assert.EqualValues(t, 62, network.Requests.Load())
	})
}

func TestWithReportsLimiter(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: `{"count": 0, "data": []}`}
	slots := new(testkit.Slots)
	api := classic.New(testkit.Through(t, network.RoundTrip), classic.WithReportsLimiter(slots), classic.Option{}, classic.WithReportsLimiter(slots))
	_, err := api.Reports.Conversations(t.Context(), metrics)
	require.NoError(t, err)
	assert.Equal(t, []drift.Outcome{drift.OutcomeAnswered}, slots.Outcomes)

	// An attempt that gets no slot of the shared limiter gives its other one back.
	refusing := &testkit.Slots{Err: drift.ErrClosed}
	api = classic.New(testkit.Through(t, network.RoundTrip, drift.WithLimiter(refusing)), classic.WithReportsLimiter(slots))
	_, err = api.Reports.Conversations(t.Context(), metrics)
	require.ErrorIs(t, err, drift.ErrClosed)
	assert.Equal(t, drift.OutcomeNotSent, slots.Outcomes[1])
	assert.Zero(t, slots.Held())
}

func TestReportsWithoutMetricsAreRefused(t *testing.T) {
	client, requests := recording(t, `{"count": 0, "data": []}`)
	for argument, requests := range map[string][]classic.ReportRequest{
		"metrics": {{}, {Metrics: []string{""}}},
		"filters": {{Metrics: metrics.Metrics, Filters: []classic.ReportFilter{{Property: "status"}}}, {Metrics: metrics.Metrics, Filters: []classic.ReportFilter{{Operation: "IN"}}}},
	} {
		for _, req := range requests {
			_, err := client.Reports.Conversations(t.Context(), req)
			requireInvalid(t, err, argument)
		}
	}
	for _, req := range []classic.ReportSummaryRequest{
		{}, {Metrics: []classic.ReportSummaryMetric{{Property: "a"}}}, {Metrics: []classic.ReportSummaryMetric{{Type: "AVG"}}},
	} {
		_, err := client.Reports.ConversationSummary(t.Context(), req)
		requireInvalid(t, err, "metrics")
	}
	assert.Empty(t, *requests)
}

// An answer of another kind does not pass for a report without conversations.
func TestReportsNeedRows(t *testing.T) {
	for body, rows := range map[string]bool{`{"count": 0, "data": []}`: true, `{"count": 0}`: false, `{}`: false, `{"rows": []}`: false, `{"data": null}`: false} {
		report, err := answering(t, body).Reports.Conversations(t.Context(), metrics)
		if rows {
			require.NoError(t, err)
			assert.Empty(t, report.Rows)
			continue
		}
		testkit.RequireDecodeError(t, err, "/data")
	}
}
