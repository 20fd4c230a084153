package driftotel_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// Ids in the path of a call of Do must not become labels without end.
func TestLabelsAreBounded(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.Answer(200), b.New(), drift.WithLimiter(testkit.OpenLimiter{}))
	for i := range 700 {
		require.NoError(t, client.Do(t.Context(), drift.Request{Path: fmt.Sprint("things/", i)}, nil))
	}
	require.NoError(t, client.Do(t.Context(), drift.Request{Method: "PURGE", Path: "things"}, nil))
	calls := b.points(t, "drift.client.call.duration")
	assert.Len(t, calls, 501)
	assert.True(t, strings.HasPrefix(calls["drift.operation=_OTHER"], "201 in "), "%s", calls["drift.operation=_OTHER"])
	assert.LessOrEqual(t, len(b.points(t, "http.client.request.duration")), 502)
	last := b.ended()[len(b.ended())-2]
	assert.Contains(t, last, "HTTP _OTHER client")
	assert.Contains(t, last, "http.request.method=_OTHER")
}

// The bound holds for calls that are made at the same time.
func TestLabelsAreBoundedAtOnce(t *testing.T) {
	for range 20 {
		b := newBackend()
		client := testkit.Through(t, testkit.Answer(200), b.New(), drift.WithLimiter(testkit.OpenLimiter{}))
		var group sync.WaitGroup
		start := make(chan struct{})
		for i := range 700 {
			group.Go(func() {
				<-start
				assert.NoError(t, client.Do(t.Context(), drift.Request{Path: fmt.Sprint("things/", i)}, nil))
			})
		}
		close(start)
		group.Wait()
		require.Equal(t, 501, len(b.points(t, "drift.client.call.duration")))
	}
}

// Names are those of the conventions.
func TestNamesOfTheConventions(t *testing.T) {
	b := newBackend()
	client := testkit.Serve(t, testkit.Respond(500, ""), b.New(), testkit.Impatient())
	_, err := client.Tags.Get(t.Context(), 1)
	require.Error(t, err)
	var attempt sdktrace.ReadOnlySpan
	for _, span := range b.spans.Ended() {
		if span.SpanKind() == trace.SpanKindClient {
			attempt = span
		}
	}
	attrs := attribute.NewSet(attempt.Attributes()...)
	for _, key := range []attribute.Key{semconv.HTTPRequestMethodKey, semconv.HTTPResponseStatusCodeKey, semconv.ServerAddressKey, semconv.ServerPortKey,
		semconv.URLTemplateKey, semconv.NetworkProtocolVersionKey, semconv.ErrorTypeKey, semconv.HTTPRequestResendCountKey} {
		assert.True(t, attrs.HasValue(key), key)
	}
	assert.Equal(t, semconv.SchemaURL, attempt.InstrumentationScope().SchemaURL)
	assert.False(t, attrs.HasValue(semconv.URLFullKey), "left out on purpose")
}
