//go:build !race

package driftotel_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
)

// What a call may allocate for its spans and metrics, beyond a call that is not watched.
const (
	budgetNoOp    = 3
	budgetMetrics = 3
	budgetNever   = 7
	budgetAlways  = 15
)

func TestAllocationBudgets(t *testing.T) {
	nowhere, metrics := tracenoop.NewTracerProvider(), newBackend().meter
	for name, test := range map[string]struct {
		budget int
		option drift.Option
	}{
		"no-op":   {budgetNoOp, driftotel.New(driftotel.WithTracerProvider(nowhere), driftotel.WithMeterProvider(metricnoop.NewMeterProvider()))},
		"metrics": {budgetMetrics, driftotel.New(driftotel.WithTracerProvider(nowhere), driftotel.WithMeterProvider(metrics))},
		"never":   {budgetNever, driftotel.New(driftotel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))), driftotel.WithMeterProvider(metrics))},
		"always":  {budgetAlways, driftotel.New(driftotel.WithTracerProvider(sdktrace.NewTracerProvider()), driftotel.WithMeterProvider(metrics))},
	} {
		t.Run(name, func(t *testing.T) {
			extra := allocations(t, test.option) - allocations(t)
			t.Logf("%v allocations", extra)
			assert.LessOrEqual(t, extra, float64(test.budget))
		})
	}
}

func allocations(t *testing.T, opts ...drift.Option) float64 {
	t.Helper()
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", `{"id":1}`), nil
	}, append(opts, drift.WithLimiter(testkit.OpenLimiter{}))...)
	ctx := t.Context()
	fewest := 1e9
	for range 5 {
		fewest = min(fewest, testing.AllocsPerRun(50, func() {
			_, err := client.Tags.Get(ctx, 1)
			require.NoError(t, err)
		}))
	}
	return fewest
}
