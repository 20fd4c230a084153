package driftotel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
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
			}
		}
	}
	return points
}

func TestACallWithARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		network := &testkit.Network{Delay: time.Second, Answers: []testkit.Responder{
			testkit.NotSent, testkit.Answer(503, "Retry-After", "4", "X-Request-Id", "r2"), testkit.AnswerBody(200, `{"id":7}`)}}
		client := testkit.Through(t, network.Serve, b.New(), drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
		_, err := client.Contacts.Get(t.Context(), 7)
		require.NoError(t, err)

		const request = "GET /v2/contacts/{contactId}"
		const server = `server.address=drift.test server.port=443 url.template=/v2/contacts/{contactId}`
		assert.Equal(t, []string{
			request + ` client Error < "contacts.get" drift.sent=false error.type=connect http.request.method=GET ` + server,
			`wait backoff internal Unset < "contacts.get" drift.wait.reason=backoff`,
			request + ` client Error < "contacts.get" drift.request_id=r2 error.type=server http.request.method=GET http.request.resend_count=1 http.response.status_code=503 ` + server,
			`wait backoff internal Unset < "contacts.get" drift.wait.reason=backoff`,
			request + ` client Unset < "contacts.get" http.request.method=GET http.request.resend_count=2 http.response.status_code=200 ` + server,
			`contacts.get internal Unset < "" drift.attempts=3 drift.operation=contacts.get drift.wait.duration=` + waited(b),
		}, b.ended())
		for _, span := range b.spans.Ended() {
			assert.Empty(t, span.Events())
			assert.Empty(t, span.Status().Description)
			if span.SpanKind() == trace.SpanKindClient {
				assert.Equal(t, time.Second, span.EndTime().Sub(span.StartTime()))
			}
		}
		assert.Equal(t, map[string]string{
			"error.type=connect http.request.method=GET " + server:                              "1 in 1",
			"error.type=server http.request.method=GET http.response.status_code=503 " + server: "1 in 1",
			"http.request.method=GET http.response.status_code=200 " + server:                   "1 in 1",
		}, b.points(t, "http.client.request.duration"))
		assert.Len(t, b.points(t, "drift.client.call.duration"), 1)
		assert.Contains(t, b.points(t, "drift.client.call.duration"), "drift.operation=contacts.get")
		assert.Contains(t, b.points(t, "drift.client.wait.duration"), "drift.wait.reason=backoff")
	})
}

// waited returns how long the waits of a call took, as its attribute has it.
func waited(b *backend) string {
	var sum time.Duration
	for _, span := range b.spans.Ended() {
		if strings.HasPrefix(span.Name(), "wait ") {
			sum += span.EndTime().Sub(span.StartTime())
		}
	}
	return attribute.Float64("", sum.Seconds()).Value.String()
}

// How a call ends, what it is called, and what is an error.
func TestErrorTypes(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	get := func(ctx context.Context, c *drift.Client) error { _, err := c.Tags.Get(ctx, 1); return err }
	for name, test := range map[string]struct {
		ctx    context.Context
		answer testkit.Responder
		call   func(context.Context, *drift.Client) error
		status codes.Code
		want   string
	}{
		"success":   {t.Context(), testkit.AnswerBody(200, `{"id":1}`), get, codes.Unset, ""},
		"not found": {t.Context(), testkit.Answer(404), get, codes.Error, "not_found"},
		"server":    {t.Context(), testkit.Answer(500), get, codes.Error, "server"},
		"canceled":  {canceled, testkit.Answer(200), get, codes.Unset, ""},
		"late":      {late, testkit.Answer(200), get, codes.Error, "deadline_exceeded"},
		"invalid":   {t.Context(), testkit.Answer(200), func(ctx context.Context, c *drift.Client) error { _, err := c.Tags.Get(ctx, 0); return err }, codes.Error, "invalid"},
		"ambiguous": {t.Context(), testkit.NoAnswer, func(ctx context.Context, c *drift.Client) error {
			_, err := c.Tags.Create(ctx, drift.TagCreateRequest{})
			return err
		}, codes.Error, "ambiguous"},
		"does not fit": {t.Context(), testkit.AnswerBody(200, `{"id":"x"}`), get, codes.Error, "decode"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			client := testkit.Through(t, test.answer, b.New(), drift.WithoutRetry(), drift.WithLimiter(testkit.OpenLimiter{}))
			_ = test.call(test.ctx, client)
			spans := b.spans.Ended()
			call := spans[len(spans)-1]
			assert.Equal(t, test.status, call.Status().Code)
			attrs := attribute.NewSet(call.Attributes()...)
			kind, _ := attrs.Value("error.type")
			assert.Equal(t, test.want, kind.AsString())
			isCanceled, _ := attrs.Value("drift.canceled")
			assert.Equal(t, name == "canceled", isCanceled.AsBool())
			for points := range b.points(t, "drift.client.call.duration") {
				assert.Equal(t, test.want != "", strings.Contains(points, "error.type="+test.want))
			}
		})
	}
}

// A DELETE that is repeated and finds nothing has succeeded.
func TestRepeatedDelete(t *testing.T) {
	b := newBackend()
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.Answer(404)}}
	require.NoError(t, testkit.Through(t, network.Serve, b.New(), testkit.Impatient()).Tags.Delete(t.Context(), 1))
	for _, line := range b.ended() {
		assert.Equal(t, strings.Contains(line, "status_code=503"), strings.Contains(line, "Error"), line)
	}
}

func TestPanicEndsTheSpans(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, func(*http.Request) (*http.Response, error) { panic("mark-panic") }, b.New())
	assert.Panics(t, func() { _, _ = client.Tags.Get(t.Context(), 1) })
	spans := b.spans.Ended()
	require.Len(t, spans, 2)
	for _, span := range spans {
		assert.Contains(t, texts(span.Attributes()), "error.type=panic")
	}
	assert.Len(t, b.spans.Started(), 2)
}

// A call below the span of the caller, and a call within a call, have their own spans.
func TestParents(t *testing.T) {
	b := newBackend()
	inner := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), b.New())
	outer := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		_, err := inner.Notes.Get(r.Context(), 1, 1)
		assert.NoError(t, err)
		return testkit.AnswerBody(200, `{"id":1}`)(r)
	}, b.New())
	ctx, span := b.tracer.Tracer("caller").Start(t.Context(), "caller")
	_, err := outer.Tags.Get(ctx, 1)
	require.NoError(t, err)
	span.End()
	var names []string
	for _, line := range b.ended() {
		head, _, _ := strings.Cut(line, `" `)
		names = append(names, head)
	}
	const note = "GET /v2/conversations/{conversationId}/timeline/notes/{noteId}"
	assert.Equal(t, []string{
		note + ` client Unset < "notes.get`, `notes.get internal Unset < "GET /v2/tags/{tagId}`,
		`GET /v2/tags/{tagId} client Unset < "tags.get`, `tags.get internal Unset < "caller`, `caller internal Unset < ""`,
	}, names)
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

func TestObserveTheQuota(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), drift.WithPlan(50))
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	registration, err := driftotel.Observe(client, b.options()...)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"": "1"}, b.points(t, "drift.client.quota.used"))
	assert.Equal(t, map[string]string{"": "50"}, b.points(t, "drift.client.quota.limit"))
	require.NoError(t, registration.Unregister())

	unlimited := testkit.Through(t, testkit.Answer(200))
	_, err = driftotel.Observe(unlimited, b.options()...)
	require.NoError(t, err)
	assert.Empty(t, b.points(t, "drift.client.quota.limit"), "it is not known")
}

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

// Nothing secret or personal is exported, whatever happens.
func TestNothingSecretIsExported(t *testing.T) {
	echo := func(status int) testkit.Responder {
		return func(r *http.Request) (*http.Response, error) {
			var sent []byte
			if r.Body != nil {
				sent, _ = io.ReadAll(r.Body)
			}
			message, _ := json.Marshal(testkit.MarkedAnswer + string(sent) + r.URL.String())
			return testkit.AnswerBody(status, `{"error":{"type":"mark-type","message":`+string(message)+`}}`, "Set-Cookie", testkit.MarkedAnswer)(r)
		}
	}
	for name, answer := range map[string]testkit.Responder{
		"bad request": echo(400), "server error": echo(500), "success": testkit.AnswerBody(200, `{"data":[{"id":"`+testkit.MarkedAnswer+`"}]}`),
		"broken": testkit.Fails(errors.New(testkit.MarkedToken)), "reset": testkit.NoAnswer, "redirect": testkit.Answer(302, "Location", testkit.MarkedAnswer),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend()
			client, err := drift.NewClient(drift.WithToken(testkit.MarkedToken), drift.WithBaseURL("https://drift.test/"+testkit.MarkedBase), b.New(),
				drift.WithHTTPClient(&http.Client{Transport: answer}), drift.WithHeader("X-Marked", testkit.MarkedHeader), drift.WithLimiter(testkit.OpenLimiter{}), testkit.Impatient())
			require.NoError(t, err)
			defer client.Close()
			ctx := t.Context()
			_, _ = client.Contacts.MatchEmail(ctx, testkit.MarkedAddress)
			_, _ = client.Companies.ListTeams(ctx, testkit.MarkedPath, drift.CompanyListTeamsOptions{})
			_, _ = client.Conversations.List(ctx, drift.ConversationListOptions{Title: testkit.MarkedQuery})
			_, _ = client.Messages.Create(ctx, 1, drift.MessageCreateRequest{Body: testkit.MarkedBody})
			var exported bytes.Buffer
			encoder := json.NewEncoder(&exported)
			for _, span := range tracetest.SpanStubsFromReadOnlySpans(b.spans.Ended()) {
				require.NoError(t, encoder.Encode(span))
			}
			var metrics metricdata.ResourceMetrics
			require.NoError(t, b.reader.Collect(ctx, &metrics))
			fmt.Fprintf(&exported, "%+v", metrics)
			assert.NotZero(t, exported.Len())
			assert.False(t, testkit.ShowsMark(exported.Bytes()), "%.2000s", exported.String())
		})
	}
}
