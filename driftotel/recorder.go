package driftotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
)

// recorder reports the calls of one client.
type recorder struct {
	tracer   trace.Tracer
	calls    metric.Float64Histogram
	attempts metric.Float64Histogram
	waits    metric.Float64Histogram
	routes   routes
	reasons  map[drift.WaitReason]reason
}

// reason is what is reported of all waits for one reason.
type reason struct {
	span    string
	start   trace.SpanStartEventOption
	measure []metric.RecordOption
}

var (
	requestBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	callBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
)

// histogram returns a histogram of seconds. As elsewhere in OpenTelemetry, an error is handled and not returned.
func histogram(meter metric.Meter, name, description string, buckets []float64) metric.Float64Histogram {
	h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(buckets...))
	if err != nil {
		otel.Handle(err)
	}
	return h
}

func newRecorder(c *config) *recorder {
	meter := c.meter()
	r := &recorder{
		tracer:   c.tracer(),
		calls:    histogram(meter, "drift.client.call.duration", "Duration of calls, waits included.", callBuckets),
		attempts: histogram(meter, "http.client.request.duration", "Duration of HTTP client requests.", requestBuckets),
		waits:    histogram(meter, "drift.client.wait.duration", "Duration of waits of calls.", callBuckets),
		reasons:  map[drift.WaitReason]reason{},
	}
	for _, name := range []drift.WaitReason{drift.WaitRateLimit, drift.WaitBackoff, drift.WaitToken, drift.WaitQuota} {
		attr := keyWaitReason.String(string(name))
		r.reasons[name] = reason{"wait " + string(name), trace.WithAttributes(attr), measure(attr)}
	}
	return r
}

// Keys of the context, under which a recorder finds the span that it has started, and no other.
type (
	callKey    struct{ of *recorder }
	attemptKey struct{ of *recorder }
)

// keep returns a context in which spanOf finds the span. It is only needed for a span that records, or in place of one
// of a call around this one.
func keep(before, started context.Context, key any, span trace.Span) context.Context {
	if span.IsRecording() || before.Value(key) != nil {
		return context.WithValue(started, key, span)
	}
	return started
}

// spanOf returns the span under a key, or nil if it does not record.
func spanOf(ctx context.Context, key any) trace.Span {
	span, ok := ctx.Value(key).(trace.Span)
	if !ok || !span.IsRecording() {
		return nil
	}
	return span
}

func (r *recorder) start(ctx context.Context, info drift.RequestInfo) context.Context {
	route := r.routes.of(info)
	started, span := r.tracer.Start(ctx, route.operation, route.call...)
	return keep(ctx, started, callKey{r}, span)
}

func (r *recorder) startAttempt(ctx context.Context, info drift.RequestInfo, number int) context.Context {
	route := r.routes.of(info)
	options := route.attempt
	if number > 1 {
		resend := trace.WithAttributes(keyResendCount.Int(number - 1))
		options = append(options[:len(options):len(options)], resend)
	}
	started, span := r.tracer.Start(ctx, route.request, options...)
	return keep(ctx, started, attemptKey{r}, span)
}

func (r *recorder) attempt(info drift.AttemptInfo) {
	ctx, proto := info.Context(), protocolVersion(info.Proto)
	labels := r.routes.of(info.RequestInfo).attempted(info.StatusCode, proto, info.Kind)
	r.attempts.Record(ctx, info.Duration.Seconds(), labels...)
	span := spanOf(ctx, attemptKey{r})
	if span == nil {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	if info.StatusCode != 0 {
		attrs = append(attrs, keyStatusCode.Int(info.StatusCode))
	}
	if proto != "" {
		attrs = append(attrs, keyProtocol.String(proto))
	}
	if info.RequestID != "" {
		attrs = append(attrs, keyRequestID.String(info.RequestID))
	}
	if !info.Sent {
		attrs = append(attrs, keySent.Bool(false))
	}
	end(span, info.Kind, attrs)
}

func (r *recorder) response(info drift.ResponseInfo) {
	ctx, kind := info.Context(), drift.KindOf(info.Err)
	r.calls.Record(ctx, info.Duration.Seconds(), r.routes.of(info.RequestInfo).called(kind)...)
	span := spanOf(ctx, callKey{r})
	if span == nil {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 4)
	attrs = append(attrs, keyAttempts.Int(info.Attempts))
	if waited := info.Waited.Total(); waited > 0 {
		attrs = append(attrs, keyWaited.Float64(waited.Seconds()))
	}
	end(span, kind, attrs)
}

// end ends a span. Its status has no description: the text of an error may quote the service.
func end(span trace.Span, kind drift.Kind, attrs []attribute.KeyValue) {
	switch {
	case kind == drift.KindCanceled:
		attrs = append(attrs, keyCanceled.Bool(true))
	case failed(kind):
		attrs = append(attrs, keyErrorType.String(string(kind)))
		span.SetStatus(codes.Error, "")
	}
	span.SetAttributes(attrs...)
	span.End()
}

// failed reports whether a kind is an error. That the caller gave up is not.
func failed(kind drift.Kind) bool { return kind != drift.KindOK && kind != drift.KindCanceled }

// wait reports a wait that is over.
func (r *recorder) wait(info drift.WaitInfo) {
	ctx, reason := info.Context(), r.reasons[info.Reason]
	r.waits.Record(ctx, info.Duration.Seconds(), reason.measure...)
	if reason.span == "" || spanOf(ctx, callKey{r}) == nil {
		return
	}
	now := time.Now()
	_, span := r.tracer.Start(ctx, reason.span, trace.WithTimestamp(now.Add(-info.Duration)), reason.start)
	span.End(trace.WithTimestamp(now))
}
