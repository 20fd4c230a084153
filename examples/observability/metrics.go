package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/driftsdk/drift"
)

// monitor reports the calls of a client.
type monitor struct {
	option  drift.Option
	logger  *slog.Logger
	observe func(*drift.Client) error // reports the state of the client too
	close   func() error
}

// withHooks reports calls to Prometheus.
func withHooks(registry prometheus.Registerer, w io.Writer) *monitor {
	logger := slog.New(logHandler(w))
	return &monitor{
		option:  drift.Options(drift.WithHooks(newMetrics(registry).hooks()), drift.WithLogger(logger)),
		logger:  logger,
		observe: func(client *drift.Client) error { return registry.Register(state{client}) },
		close:   func() error { return nil },
	}
}

// The rest of this file is the part to copy.

// metrics are the metrics of calls that have ended.
type metrics struct {
	calls, attempts, waits *prometheus.HistogramVec
}

// seconds fits calls that are answered in milliseconds, and calls that wait for the limit of a minute.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}

func newMetrics(registry prometheus.Registerer) *metrics {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds}, labels)
		registry.MustRegister(h)
		return h
	}
	return &metrics{
		calls: histogram("drift_call_duration_seconds", "Duration of calls, waits and retries included.",
			"operation", "outcome"),
		attempts: histogram("drift_attempt_duration_seconds", "Duration of requests.", "operation", "status"),
		waits:    histogram("drift_wait_seconds", "Duration of waits of calls.", "reason"),
	}
}

// hooks returns hooks for drift.WithHooks. Every label has few values. An error's text would not do: it may quote the
// service.
func (m *metrics) hooks() drift.Hooks {
	return drift.Hooks{
		Response: func(info drift.ResponseInfo) {
			outcome := string(drift.KindOf(info.Err))
			m.calls.WithLabelValues(info.Operation, outcome).Observe(info.Duration.Seconds())
		},
		Attempt: func(info drift.AttemptInfo) {
			m.attempts.WithLabelValues(info.Operation, status(info)).Observe(info.Duration.Seconds())
		},
		Wait: func(info drift.WaitInfo) {
			m.waits.WithLabelValues(string(info.Reason)).Observe(info.Duration.Seconds())
		},
	}
}

// status returns the status of the answer or, if there was none, why.
func status(info drift.AttemptInfo) string {
	if info.StatusCode == 0 {
		return string(info.Kind)
	}
	return strconv.Itoa(info.StatusCode)
}

// state is a collector of a client's state. Prometheus asks for it with each scrape, so it also shows calls that still
// wait.
type state struct{ client *drift.Client }

var (
	quotaUsed  = prometheus.NewDesc("drift_quota_used", "Calls of this month that have been used.", nil, nil)
	quotaLimit = prometheus.NewDesc("drift_quota_limit", "Calls of this month that may be used.", nil, nil)
	quotaReset = prometheus.NewDesc("drift_quota_reset_timestamp_seconds", "When the next month begins.", nil, nil)
	free       = prometheus.NewDesc("drift_limiter_free", "Slots of the rate limit that are free.", nil, nil)
	queued     = prometheus.NewDesc("drift_limiter_queued", "Calls that wait for the rate limit.", []string{"class"}, nil)
	pause      = prometheus.NewDesc("drift_limiter_pause_seconds", "The rest of a pause.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s state) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{quotaUsed, quotaLimit, quotaReset, free, queued, pause} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if stats, ok := s.client.LimiterStats(); ok {
		gauge(free, float64(stats.Free))
		gauge(queued, float64(stats.Interactive), "interactive")
		gauge(queued, float64(stats.Bulk), "bulk")
		gauge(pause, stats.Pause.Seconds())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	usage, err := s.client.Quota(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(quotaUsed, err)
		return
	}
	gauge(quotaUsed, float64(usage.Used))
	gauge(quotaReset, float64(usage.ResetsAt.Unix()))
	if usage.Limit > 0 {
		gauge(quotaLimit, float64(usage.Limit))
	}
}
