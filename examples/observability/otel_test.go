package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

// A line of the log leads to the span of its call.
func TestLogAndSpansBelongTogether(t *testing.T) {
	server, registry, diagnostics := drifttest.Start(t), prometheus.NewRegistry(), &clitest.Buffer{}
	watch, err := withTelemetry(registry, diagnostics)
	require.NoError(t, err)
	server.Fail("contacts.get", drifttest.Fault{Status: http.StatusForbidden})
	client := server.Client(watch.option)
	require.NoError(t, watch.observe(client))
	_, err = client.Contacts.Get(t.Context(), 1)
	require.Error(t, err)
	const calls = "drift_client_call_duration_seconds_count"
	const labels = `{drift_operation="contacts.get",error_type="forbidden"}`
	assert.Equal(t, []string{calls + labels + " 1"}, scraped(t, registry, calls))
	assert.Equal(t, []string{"drift_client_quota_used 1"}, scraped(t, registry, "drift_client_quota_used"))
	require.NoError(t, watch.close())

	var logged struct {
		TraceID string `json:"trace_id"`
		SpanID  string `json:"span_id"`
	}
	spans := map[string]string{} // name by id
	for line := range strings.Lines(diagnostics.String()) {
		var span struct {
			Name        string
			SpanContext struct{ TraceID, SpanID string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &span))
		if span.Name == "" {
			require.NoError(t, json.Unmarshal([]byte(line), &logged))
			continue
		}
		spans[span.SpanContext.TraceID+span.SpanContext.SpanID] = span.Name
	}
	assert.Len(t, spans, 2)
	assert.Equal(t, "contacts.get", spans[logged.TraceID+logged.SpanID])
}

func TestSpanHandlerOutsideOfASpan(t *testing.T) {
	out := &clitest.Buffer{}
	slog.New(spanHandler{logHandler(out)}).With("a", 1).WithGroup("g").Info("x", "b", 2)
	assert.Contains(t, out.String(), `"a":1,"g":{"b":2}}`)
	assert.NotContains(t, out.String(), "trace_id")
}
