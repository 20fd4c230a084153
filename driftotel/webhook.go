package driftotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

// functionKey is the key of the context under which [Webhook] finds the span that it has started, and no other.
type functionKey struct{ of *config }

// Webhook returns an option that makes a webhook handler report its deliveries and the functions that handle them. To
// connect them with the request, wrap the handler in otelhttp.NewHandler with otelhttp.WithPublicEndpoint.
func Webhook(opts ...Option) webhook.Option {
	c := newConfig(opts)
	tracer := c.tracer()
	deliveries := histogram(c.meter(), "drift.webhook.delivery.duration", "Duration of deliveries of webhooks.", callBuckets)
	return webhook.WithHooks(webhook.Hooks{
		StartFunction: func(ctx context.Context, event webhook.EventType) context.Context {
			started, span := tracer.Start(ctx, "webhook "+string(event),
				trace.WithAttributes(keyEvent.String(string(event))))
			return keep(ctx, started, functionKey{c}, span)
		},
		Function: func(info webhook.FunctionInfo) {
			if span := spanOf(info.Context(), functionKey{c}); span != nil {
				end(span, kindOfFunction(info.Err), nil)
			}
		},
		Delivery: func(info webhook.DeliveryInfo) {
			deliveries.Record(info.Context(), info.Duration.Seconds(),
				measure(keyEvent.String(string(info.Event)), keyOutcome.String(string(info.Outcome)))...)
		},
	})
}

// kindOfFunction returns the kind of an error of a function, which may be one of a drift.Client.
func kindOfFunction(err error) drift.Kind {
	if errors.As(err, new(*webhook.PanicError)) {
		return drift.KindPanic
	}
	return drift.KindOf(err)
}
