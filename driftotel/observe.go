package driftotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/driftsdk/drift"
)

// Observe reports the state of a client whenever metrics are collected: how many of the month's calls are used and how
// many there are, how many slots of the rate limit are free, how many calls wait for one, and the rest of a pause. A
// wait shows here while it lasts; the duration of a wait is reported once it is over.
//
// The numbers are those of [drift.Client.Quota], which may ask your QuotaStore, and of [drift.Client.LimiterStats]. What
// these do not know is not reported, such as the limit of a month without a plan. The metrics do not name the client, so
// observe one client for each meter provider. Unregister the registration before you close the client.
func Observe(client *drift.Client, opts ...Option) (metric.Registration, error) {
	if client == nil {
		return nil, errNoClient
	}
	meter := newConfig(opts).meter()
	g, err := newGauges(meter)
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		g.observeLimiter(o, client)
		return g.observeQuota(ctx, o, client)
	}, g.used, g.limit, g.free, g.queued, g.pause)
}

var errNoClient = errors.New("driftotel: Observe: the client is nil")

// gauges are the metrics of [Observe].
type gauges struct {
	used, limit, free, queued metric.Int64ObservableGauge
	pause                     metric.Float64ObservableGauge
}

func newGauges(meter metric.Meter) (g gauges, err error) {
	calls := func(name, description string) metric.Int64ObservableGauge {
		gauge, e := meter.Int64ObservableGauge(name, metric.WithUnit("{call}"), metric.WithDescription(description))
		err = errors.Join(err, e)
		return gauge
	}
	g.used = calls("drift.client.quota.used", "Calls of this month that have been used.")
	g.limit = calls("drift.client.quota.limit", "Calls of this month that may be used.")
	g.free = calls("drift.client.limiter.free", "Slots of the rate limit that are free.")
	g.queued = calls("drift.client.limiter.queued", "Calls that wait for the rate limit.")
	var e error
	g.pause, e = meter.Float64ObservableGauge("drift.client.limiter.pause", metric.WithUnit("s"),
		metric.WithDescription("The rest of a pause that the service has asked for."))
	return g, errors.Join(err, e)
}

var (
	interactive = metric.WithAttributes(keyClass.String("interactive"))
	bulk        = metric.WithAttributes(keyClass.String("bulk"))
)

func (g *gauges) observeLimiter(o metric.Observer, client *drift.Client) {
	stats, ok := client.LimiterStats()
	if !ok {
		return
	}
	o.ObserveInt64(g.free, int64(stats.Free))
	o.ObserveInt64(g.queued, int64(stats.Interactive), interactive)
	o.ObserveInt64(g.queued, int64(stats.Bulk), bulk)
	o.ObserveFloat64(g.pause, stats.Pause.Seconds())
}

func (g *gauges) observeQuota(ctx context.Context, o metric.Observer, client *drift.Client) error {
	usage, err := client.Quota(ctx)
	if err != nil {
		return err
	}
	o.ObserveInt64(g.used, int64(usage.Used))
	if usage.Limit > 0 {
		o.ObserveInt64(g.limit, int64(usage.Limit))
	}
	return nil
}
