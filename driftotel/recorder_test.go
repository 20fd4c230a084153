package driftotel_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
	"github.com/driftsdk/drift/webhook"
)

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

// A DELETE that is repeated and finds nothing has succeeded, unless the first one was not applied.
func TestRepeatedDelete(t *testing.T) {
	for first, failed := range map[int]bool{503: false, 429: true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend()
			network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(first), testkit.Answer(404)}}
			err := testkit.Through(t, network.Serve, b.New(), testkit.Impatient()).Tags.Delete(t.Context(), 1)
			assert.Equal(t, failed, err != nil)
			for _, span := range b.spans.Ended() {
				attrs := attribute.NewSet(span.Attributes()...)
				status, _ := attrs.Value("http.response.status_code")
				if strings.HasPrefix(span.Name(), "wait ") || status.AsInt64() == int64(first) {
					continue
				}
				assert.Equal(t, failed, span.Status().Code == codes.Error, span.Name())
			}
		})
	}
}

// What the answer says about its kind counts for the attempt too.
func TestAttemptsHaveTheKindOfTheirAnswer(t *testing.T) {
	for want, answer := range map[string]testkit.Responder{
		"unauthorized": testkit.AuthenticationFailed, "quota_exceeded": testkit.QuotaGone,
	} {
		b := newBackend()
		_, err := testkit.Through(t, answer, b.New()).Tags.Get(t.Context(), 1)
		require.Error(t, err)
		require.Len(t, b.spans.Ended(), 2)
		for _, line := range b.ended() {
			assert.Contains(t, line, "error.type="+want)
		}
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

// Two providers each get their spans, whole.
func TestTwoOptionsOfOneClient(t *testing.T) {
	first, second := newBackend(), newBackend()
	client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), first.New(), second.New())
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	for _, b := range []*backend{first, second} {
		assert.Len(t, b.spans.Started(), 2)
		require.Len(t, b.spans.Ended(), 2)
		assert.Equal(t, "tags.get", b.spans.Ended()[1].Name())
	}
}

// A call has a span for each reason to wait, made when the wait is over.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503, "Retry-After", "2"), testkit.Answer(200)}}
		client := testkit.ThroughWith(t, slowTokens{}, network.Serve, b.New(), drift.WithLimiter(slowLimiter{}),
			drift.WithQuotaStore(slowQuota{}))
		defer client.Close()
		start := time.Now()
		require.NoError(t, client.Tags.Delete(t.Context(), 1))
		const parent = ` internal Unset < "tags.delete" drift.wait.reason=`
		want := map[string]time.Duration{"token": 3 * time.Second, "rate_limit": 4 * time.Second, "quota": 5 * time.Second}
		seen := map[string]int{}
		for i, span := range b.spans.Ended() {
			reason, isWait := strings.CutPrefix(span.Name(), "wait ")
			if !isWait {
				continue
			}
			seen[reason]++
			assert.Equal(t, span.Name()+parent+reason, b.ended()[i])
			took := span.EndTime().Sub(span.StartTime())
			if reason == "backoff" {
				assert.GreaterOrEqual(t, took, 2*time.Second)
				continue
			}
			assert.Equal(t, want[reason], took)
		}
		assert.Equal(t, map[string]int{"token": 2, "rate_limit": 2, "quota": 2, "backoff": 1}, seen)
		assert.Equal(t, start.Add(3*time.Second), b.spans.Ended()[0].EndTime())
		points := b.points(t, "drift.client.wait.duration")
		assert.Len(t, points, 4)
		assert.Equal(t, "2 in 6", points["drift.wait.reason=token"])
		assert.Equal(t, "2 in 8", points["drift.wait.reason=rate_limit"])
		assert.Equal(t, "2 in 10", points["drift.wait.reason=quota"])
		call := attribute.NewSet(b.spans.Ended()[len(b.spans.Ended())-1].Attributes()...)
		total, _ := call.Value("drift.wait.duration")
		assert.InDelta(t, time.Since(start).Seconds(), total.AsFloat64(), 1e-6, "the network takes no time here")
	})
}

type slowTokens struct{}

func (slowTokens) Token() (*oauth2.Token, error) {
	time.Sleep(3 * time.Second)
	return &oauth2.Token{AccessToken: testkit.Token}, nil
}

type slowLimiter struct{ testkit.OpenLimiter }

func (slowLimiter) Acquire(context.Context, drift.Turn) (drift.Slot, error) {
	time.Sleep(4 * time.Second)
	return testkit.OpenSlot{}, nil
}

type slowQuota struct{}

func (slowQuota) Reserve(context.Context) (drift.Reservation, error) {
	time.Sleep(5 * time.Second)
	return reservation{}, nil
}

func (slowQuota) Usage(context.Context) (drift.Usage, error) { return drift.Usage{}, nil }

// reservation is a call of a month without a limit.
type reservation struct{}

func (reservation) Usage() drift.Usage { return drift.Usage{} }

func (reservation) Refund(context.Context) error { return nil }

// An attempt that the caller gives up is no error; one that the deadline ends is.
func TestAttemptsThatAreCutShort(t *testing.T) {
	for _, test := range []struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		status  codes.Code
		want    string
	}{
		{func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, codes.Unset, "drift.canceled=true"},
		{func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, codes.Error, "error.type=deadline_exceeded"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend()
			client := testkit.Through(t, testkit.Traced(1, testkit.Stalled(200, `{"id`)), b.New())
			ctx, cancel := test.context(t.Context())
			defer cancel()
			_, err := client.Tags.Get(ctx, 1)
			require.Error(t, err)
			require.Len(t, b.spans.Ended(), 2)
			for _, span := range b.spans.Ended() {
				assert.Equal(t, test.status, span.Status().Code)
				assert.Contains(t, texts(span.Attributes()), test.want)
				assert.Equal(t, time.Second, span.EndTime().Sub(span.StartTime()), "a body that is cut counts")
			}
			for _, name := range []string{"http.client.request.duration", "drift.client.call.duration"} {
				for labels := range b.points(t, name) {
					assert.Equal(t, test.status == codes.Error, strings.Contains(labels, "error.type="), labels)
				}
			}
		})
	}
}

// Each page of All is a call below the span of the caller.
func TestPages(t *testing.T) {
	b := newBackend()
	network := &testkit.Network{Answers: []testkit.Responder{
		testkit.AnswerBody(200, `{"data":[{"id":1}],"pagination":{"next":"mark-cursor"}}`),
		testkit.AnswerBody(200, `{"data":[{"id":2}]}`)}}
	ctx, span := b.tracer.Tracer("caller").Start(t.Context(), "caller")
	contacts, err := drift.Collect(testkit.Through(t, network.Serve, b.New()).Contacts.All(ctx, drift.ContactListOptions{}), 0)
	require.NoError(t, err)
	assert.Len(t, contacts, 2)
	span.End()
	var calls []string
	for _, line := range b.ended() {
		if strings.Contains(line, " internal ") {
			calls = append(calls, line)
		}
	}
	const page = `contacts.list internal Unset < "caller" drift.attempts=1 drift.operation=contacts.list`
	assert.Equal(t, []string{page, page, `caller internal Unset < ""`}, calls)
}

// A sampler sees what is known at the start.
func TestSamplersSeeTheAttributes(t *testing.T) {
	sampler := &notingSampler{}
	b := newBackend(sdktrace.WithSampler(sampler))
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.AnswerBody(200, `{"id":1}`)}}
	_, err := testkit.Through(t, network.Serve, b.New(), testkit.Impatient()).Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	const request = `http.request.method=GET server.address=drift.test server.port=443 url.template=/v2/tags/{tagId}`
	assert.Equal(t, []string{
		"tags.get drift.operation=tags.get", "GET /v2/tags/{tagId} " + request,
		"wait backoff drift.wait.reason=backoff",
		"GET /v2/tags/{tagId} " + strings.Replace(request, "GET", "GET http.request.resend_count=1", 1),
	}, sampler.seen)
}

type notingSampler struct{ seen []string }

func (s *notingSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	s.seen = append(s.seen, p.Name+" "+texts(p.Attributes))
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
}

func (s *notingSampler) Description() string { return "noting" }

// The classic API goes through the same client, and so do its spans and metrics.
func TestClassicCalls(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.AnswerBody(200, `{"data":{"id":7}}`), b.New())
	_, err := classic.New(client).Contacts.Get(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, []string{
		`GET /contacts/{contactId} client Unset < "classic.contacts.get" http.request.method=GET http.response.status_code=200 server.address=drift.test server.port=443 url.template=/contacts/{contactId}`,
		`classic.contacts.get internal Unset < "" drift.attempts=1 drift.operation=classic.contacts.get`,
	}, b.ended())
	assert.Contains(t, b.points(t, "drift.client.call.duration"), "drift.operation=classic.contacts.get")
}

func TestHistograms(t *testing.T) {
	b := newBackend()
	client := testkit.Through(t, testkit.Answer(503), b.New(), testkit.Impatient())
	require.Error(t, client.Tags.Delete(t.Context(), 1))
	driftotel.OnRefresh(b.options()...)(drift.RefreshInfo{})
	h, err := webhook.NewHandler([]string{webhookToken}, driftotel.Webhook(b.options()...))
	require.NoError(t, err)
	deliver(h, `{`)

	calls := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	want := map[string][]float64{
		"http.client.request.duration":    {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10},
		"drift.client.call.duration":      calls,
		"drift.client.wait.duration":      calls,
		"drift.oauth.refresh.duration":    calls,
		"drift.webhook.delivery.duration": calls,
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, b.reader.Collect(t.Context(), &all))
	got := map[string][]float64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		assert.Equal(t, "s", m.Unit, m.Name)
		assert.NotEmpty(t, m.Description, m.Name)
		got[m.Name] = m.Data.(metricdata.Histogram[float64]).DataPoints[0].Bounds
	}
	assert.Equal(t, want, got)
}
