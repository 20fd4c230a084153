package driftotel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
)

const refreshOperation = "oauth.refresh"

// OnRefresh returns a function for [drift.OAuthConfig].OnRefresh that reports each refresh of a token.
func OnRefresh(opts ...Option) func(drift.RefreshInfo) {
	c := newConfig(opts)
	tracer := c.tracer()
	refreshes := histogram(c.meter(), "drift.oauth.refresh.duration", "Duration of refreshes of OAuth tokens.", callBuckets)
	return func(info drift.RefreshInfo) {
		now, kind := time.Now(), drift.KindOf(info.Err)
		ctx, span := tracer.Start(context.Background(), refreshOperation,
			trace.WithTimestamp(now.Add(-info.Duration)), trace.WithAttributes(keyOperation.String(refreshOperation)))
		var attrs []attribute.KeyValue
		if failed(kind) {
			attrs = append(attrs, keyErrorType.String(string(kind)))
		}
		refreshes.Record(ctx, info.Duration.Seconds(), measure(attrs...)...)
		end(span, kind, []attribute.KeyValue{keyAttempts.Int(info.Attempts)})
	}
}
