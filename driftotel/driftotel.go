// Package driftotel reports the calls of a [drift.Client] to OpenTelemetry: spans, metrics and, if you ask for it, trace
// headers.
//
//	client, err := drift.NewClient(drift.FromEnv(), driftotel.New())
//
// # Spans
//
//   - A call is an internal span named after the operation, such as "conversations.get".
//   - Each attempt is a client span below it, such as "GET /v2/conversations/{conversationId}", with the attributes of the
//     semantic conventions for HTTP clients.
//   - Each backoff, and each other wait of a millisecond or more, is an internal span, such as "wait rate_limit".
//   - A refresh of an OAuth token ([OnRefresh]) is a root span, because it serves many callers.
//   - Each function that handles a webhook ([Webhook]) is an internal span.
//
// All has no span: each page is a call. A call that its caller canceled has the attribute drift.canceled and no error; a
// deadline that passed is an error.
//
// # Metrics
//
//   - http.client.request.duration: attempts, in seconds
//   - drift.client.call.duration, drift.client.wait.duration: calls and waits, in seconds
//   - drift.client.quota.used, drift.client.quota.limit: calls of the month ([Observe])
//   - drift.client.limiter.free, drift.client.limiter.queued, drift.client.limiter.pause: slots of the rate limit, calls
//     that wait for one at this moment, and the rest of a pause in seconds ([Observe])
//   - drift.oauth.refresh.duration, drift.webhook.delivery.duration: refreshes and deliveries, in seconds
//
// The attribute error.type is a [drift.Kind]. Every attribute has few values: after 500 routes, which only the Path of
// [drift.Client.Do] can cause, a client reports further ones as "_OTHER".
//
// # What is not exported
//
// No attribute has a URL, a path value, a query, a header, a body, an email address, or the text of an error, which may
// quote the service. The conventions require url.full of an HTTP client span; this package leaves it out on purpose.
//
// Do not put a general tracing transport, such as otelhttp's, under the client: it exports the URL with its query.
package driftotel

import (
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
)

const (
	scope     = "github.com/driftsdk/drift/driftotel"
	schemaURL = "https://opentelemetry.io/schemas/1.43.0"
)

// Option configures [New], [Observe], [OnRefresh] and [Webhook].
type Option func(*config)

type config struct {
	tracers    trace.TracerProvider
	meters     metric.MeterProvider
	propagator propagation.TextMapPropagator
}

// WithTracerProvider sets where spans go. The default, also for nil, is the global provider, even if it is set later.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) { c.tracers = provider }
}

// WithMeterProvider sets where metrics go. The default, also for nil, is the global provider, even if it is set later.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) { c.meters = provider }
}

// WithPropagator sends trace headers to the service with each attempt, which tells a third party about your traces. By
// default, nothing is sent. Only [New] uses it.
func WithPropagator(propagator propagation.TextMapPropagator) Option {
	return func(c *config) { c.propagator = propagator }
}

func newConfig(opts []Option) *config {
	c := &config{}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	if c.tracers == nil {
		c.tracers = otel.GetTracerProvider()
	}
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	return c
}

func (c *config) tracer() trace.Tracer {
	return c.tracers.Tracer(scope, trace.WithSchemaURL(schemaURL))
}

func (c *config) meter() metric.Meter { return c.meters.Meter(scope, metric.WithSchemaURL(schemaURL)) }

// New returns an option that makes a client report its calls. With several, each reports them on its own.
func New(opts ...Option) drift.Option {
	c := newConfig(opts)
	r := newRecorder(c)
	hooks := drift.WithHooks(drift.Hooks{
		Start: r.start, StartAttempt: r.startAttempt, Attempt: r.attempt, Wait: r.wait, Response: r.response,
	})
	if c.propagator == nil {
		return hooks
	}
	return drift.Options(hooks, drift.WithMiddleware(propagating(c.propagator)))
}

// propagating returns a middleware that sends the trace of the attempt's span.
func propagating(propagator propagation.TextMapPropagator) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			propagator.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
			return next.RoundTrip(r)
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
