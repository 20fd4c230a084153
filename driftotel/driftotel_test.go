package driftotel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
	"github.com/driftsdk/drift/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend keeps what is exported.
type backend struct {
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
	tracer *sdktrace.TracerProvider
	meter  *sdkmetric.MeterProvider
}

func newBackend(opts ...sdktrace.TracerProviderOption) *backend {
	b := &backend{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	b.tracer = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(b.spans))...)
	b.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader))
	return b
}

func (b *backend) options() []driftotel.Option {
	return []driftotel.Option{driftotel.WithTracerProvider(b.tracer), driftotel.WithMeterProvider(b.meter)}
}

func (b *backend) New(opts ...driftotel.Option) drift.Option {
	return driftotel.New(append(b.options(), opts...)...)
}

// ended returns the spans that ended, in that order, as text: name, kind, status, parent and attributes.
func (b *backend) ended() []string {
	names := map[trace.SpanID]string{}
	for _, span := range b.spans.Ended() {
		names[span.SpanContext().SpanID()] = span.Name()
	}
	var lines []string
	for _, span := range b.spans.Ended() {
		line := fmt.Sprintf("%s %s %s < %q %s", span.Name(), span.SpanKind(), span.Status().Code, names[span.Parent().SpanID()], texts(span.Attributes()))
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

func texts(attrs []attribute.KeyValue) string {
	var all []string
	for _, a := range attrs {
		all = append(all, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// points returns the data points of a metric, by their attributes: the number of measurements and their sum, or a value.
func (b *backend) points(t *testing.T, name string) map[string]string {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &all))
	points := map[string]string{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				assert.Equal(t, "s", m.Unit)
				for _, p := range data.DataPoints {
					points[texts(p.Attributes.ToSlice())] = fmt.Sprint(p.Count, " in ", p.Sum)
				}
			case metricdata.Gauge[int64]:
				assert.Equal(t, "{call}", m.Unit)
				for _, p := range data.DataPoints {
					points[texts(p.Attributes.ToSlice())] = fmt.Sprint(p.Value)
				}
			case metricdata.Gauge[float64]:
				assert.Equal(t, "s", m.Unit)
				for _, p := range data.DataPoints {
					points[texts(p.Attributes.ToSlice())] = fmt.Sprint(p.Value)
				}
			}
		}
	}
	return points
}

func TestPropagationOnlyOnRequest(t *testing.T) {
	b := newBackend()
	var header http.Header
	network := testkit.Responder(func(r *http.Request) (*http.Response, error) {
		header = r.Header
		return testkit.AnswerBody(200, `{"id":1}`)(r)
	})
	_, err := testkit.Through(t, network, b.New()).Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Empty(t, header.Get("Traceparent"))

	_, err = testkit.Through(t, network, b.New(driftotel.WithPropagator(propagation.TraceContext{}))).Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	spans := b.spans.Ended()
	attempt := spans[len(spans)-2]
	assert.Equal(t, trace.SpanKindClient, attempt.SpanKind())
	assert.Contains(t, header.Get("Traceparent"), attempt.SpanContext().SpanID().String())
}

// The global providers are used, even if they are set later.
func TestGlobalProviders(t *testing.T) {
	client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), driftotel.New())
	b := newBackend()
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	t.Cleanup(func() { otel.SetTracerProvider(tracers); otel.SetMeterProvider(meters) })
	otel.SetTracerProvider(b.tracer)
	otel.SetMeterProvider(b.meter)
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Len(t, b.spans.Ended(), 2)
	assert.Len(t, b.points(t, "drift.client.call.duration"), 1)
}

// nil stands for the default, so that a program can pass on what it was not given.
func TestNothingGiven(t *testing.T) {
	client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`),
		driftotel.New(driftotel.WithTracerProvider(nil), driftotel.WithMeterProvider(nil), driftotel.WithPropagator(nil), nil))
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
}

// exported returns everything that b has exported, as text.
func (b *backend) exported(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	for _, span := range tracetest.SpanStubsFromReadOnlySpans(b.spans.Ended()) {
		require.NoError(t, encoder.Encode(span))
	}
	var metrics metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &metrics))
	fmt.Fprintf(&out, "%+v", metrics)
	return out.Bytes()
}

// withBaggage returns a context with a mark, which a program may want to send to its own services.
func withBaggage(t *testing.T) context.Context {
	t.Helper()
	member, err := baggage.NewMember("user", testkit.MarkedSecret)
	require.NoError(t, err)
	carried, err := baggage.New(member)
	require.NoError(t, err)
	return baggage.ContextWithBaggage(t.Context(), carried)
}

// Nothing secret or personal is exported, whatever happens, by either API.
func TestNothingSecretIsExported(t *testing.T) {
	echo := func(status int) testkit.Responder {
		return func(r *http.Request) (*http.Response, error) {
			sent := testkit.Sent(r).Body
			message, _ := json.Marshal(testkit.MarkedAnswer + sent + r.URL.String())
			return testkit.AnswerBody(status, `{"error":{"type":"mark-type","message":`+string(message)+`}}`, "Set-Cookie", testkit.MarkedAnswer)(r)
		}
	}
	for name, answer := range map[string]testkit.Responder{
		"bad request": echo(400), "server error": echo(500), "throttled": echo(429), "success": testkit.AnswerBody(200, `{"data":[{"id":"`+testkit.MarkedAnswer+`"}]}`),
		"broken": testkit.Fails(errors.New(testkit.MarkedToken)), "reset": testkit.NoAnswer, "redirect": testkit.Answer(302, "Location", testkit.MarkedAnswer),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			client, err := drift.NewClient(drift.WithToken(testkit.MarkedToken), drift.WithBaseURL("https://drift.test/"+testkit.MarkedBase), b.New(),
				drift.WithHTTPClient(&http.Client{Transport: answer}), drift.WithHeader("X-Marked", testkit.MarkedHeader), drift.WithLimiter(testkit.OpenLimiter{}),
				drift.WithoutRetry())
			require.NoError(t, err)
			defer client.Close()
			observe(t, b, client)
			ctx := withBaggage(t)
			_, _ = client.Contacts.MatchEmail(ctx, testkit.MarkedAddress)
			_, _ = client.Companies.ListTeams(ctx, testkit.MarkedPath, drift.CompanyListTeamsOptions{})
			_, _ = client.Conversations.List(ctx, drift.ConversationListOptions{Title: testkit.MarkedQuery})
			_, _ = client.Messages.Create(ctx, 1, drift.MessageCreateRequest{Body: testkit.MarkedBody})
			_, _ = classic.New(client).Contacts.ListByEmail(ctx, testkit.MarkedAddress, classic.ContactListOptions{})
			_ = classic.New(client).Contacts.Unsubscribe(ctx, []string{testkit.MarkedAddress})
			_ = client.Do(ctx, drift.Request{Path: "deals/{id}", Values: map[string]string{"id": testkit.MarkedPath}}, nil)
			assert.Len(t, b.spans.Ended(), 14)
			exported := b.exported(t)
			assert.False(t, testkit.ShowsMark(exported), "%.2000s", exported)
		})
	}
}

// The same holds for refreshes and deliveries.
func TestNothingSecretOfTokensAndWebhooks(t *testing.T) {
	b := newBackend()
	authority := testkit.NewAuthority()
	authority.Answers = []testkit.Responder{
		testkit.AnswerBody(400, `{"error":"mark-error","error_description":"`+testkit.MarkedRefresh+`"}`),
		testkit.Fails(testkit.QuotingError(testkit.MarkedClientSecret)),
	}
	config := authority.Config()
	config.OnRefresh = driftotel.OnRefresh(b.options()...)
	for range 3 {
		_, _ = testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	}
	h, err := webhook.NewHandler([]string{webhookToken}, driftotel.Webhook(b.options()...))
	require.NoError(t, err)
	failure := error(nil)
	webhook.On(h, func(context.Context, webhook.Event) error { return failure })
	deliver(h, `{"type":"new_message","orgId":1,"data":{"id":1,"body":"mark-body"}}`)
	failure = errors.New("mark-error")
	deliver(h, `{"type":"mark-type","orgId":2,"data":{"id":1,"email":"mark-address@example.com"}}`)
	assert.GreaterOrEqual(t, len(b.spans.Ended()), 5)
	exported := b.exported(t)
	assert.False(t, testkit.ShowsMark(exported), "%.2000s", exported)
}
