package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
)

// withTelemetry reports calls to OpenTelemetry: metrics go to Prometheus, and spans to w. A real service would send its
// spans to a collector, with otlptracehttp in place of stdouttrace.
func withTelemetry(registry prometheus.Registerer, w io.Writer) (*monitor, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	spans, err := stdouttrace.New(stdouttrace.WithWriter(w))
	if err != nil {
		return nil, err
	}
	name := resource.NewSchemaless(attribute.String("service.name", "observability"))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(name), sdkmetric.WithReader(exporter))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithResource(name), sdktrace.WithBatcher(spans))
	options := []driftotel.Option{driftotel.WithMeterProvider(meters), driftotel.WithTracerProvider(tracers)}
	logger := slog.New(spanHandler{logHandler(w)})
	return &monitor{
		option: drift.Options(driftotel.New(options...), drift.WithLogger(logger)),
		logger: logger,
		observe: func(client *drift.Client) error {
			_, err := driftotel.Observe(client, options...)
			return err
		},
		close: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx))
		},
	}, nil
}

// spanHandler adds the ids of the caller's span to each record of a log, so that a line of the log leads to its trace.
type spanHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h spanHandler) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h spanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return spanHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h spanHandler) WithGroup(name string) slog.Handler {
	return spanHandler{h.Handler.WithGroup(name)}
}
