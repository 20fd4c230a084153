// Command observability is a small service that calls Drift, and that shows how its calls fare: metrics for Prometheus
// at GET /metrics, and a log on the standard error. GET /inbox answers with the titles of open conversations, GET
// /contacts/{id} says whether there is such a contact, and a job reads contacts every ten minutes. Nothing is written.
// Stop it with Ctrl-C.
//
// The metrics are made with hooks, in metrics.go. With -otel they are made by package driftotel, spans go to the
// standard error too, and each record of the log has the ids of its span. prometheus.yml and rules.yml are for hooks;
// docs/observability.md has the queries for both.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server, which fails now and then, and acts as its own visitors.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `A small service that calls Drift, and that shows how its calls fare: metrics for
Prometheus at GET /metrics, and a log on the standard error. It serves until
Ctrl-C, and writes nothing to an account. With DRIFT_TOKEN in the environment it
reads your account, and otherwise an in-memory Drift server.`

func main() {
	addr := flag.String("addr", "127.0.0.1:9464", "the `host:port` to listen on; port 0 is any free port")
	withOTel := flag.Bool("otel", false, "use package driftotel in place of hooks")
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, *addr, *withOTel, w, os.Stderr) })
}

// start serves until ctx ends.
func start(ctx context.Context, addr string, withOTel bool, out, diagnostics io.Writer) error {
	registry := prometheus.NewRegistry()
	watch, err := newMonitor(registry, withOTel, diagnostics)
	if err != nil {
		return err
	}
	demo := os.Getenv("DRIFT_TOKEN") == ""
	client, disconnect, err := connect(demo, watch.option, drift.WithLimiter(limiter()))
	if err != nil {
		return errors.Join(err, watch.close())
	}
	defer disconnect()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return errors.Join(err, watch.close())
	}
	url := cli.URL(listener.Addr())
	if demo {
		fmt.Fprintln(out, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
	}
	fmt.Fprintf(out, "Metrics: %s/metrics\nStop with Ctrl-C.\n", url)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var background sync.WaitGroup
	s := &service{client: client, log: watch.logger, registry: registry}
	background.Go(func() { s.job(ctx, 10*time.Minute) })
	if demo {
		background.Go(func() { visit(ctx, url) })
	}
	err = errors.Join(watch.observe(client), s.serve(ctx, listener))
	stop()
	background.Wait()
	return errors.Join(err, watch.close())
}

// newMonitor returns what reports the calls of a client.
func newMonitor(registry prometheus.Registerer, withOTel bool, w io.Writer) (*monitor, error) {
	if withOTel {
		return withTelemetry(registry, w)
	}
	return withHooks(registry, w), nil
}

// limiter has a small burst, so that calls are spaced evenly. With the default burst, the first hundred calls of a
// minute go out at once, and the rest waits for the next minute.
func limiter() drift.Limiter { return drift.NewLimiter(drift.DefaultRateLimit, drift.WithBurst(5)) }

// connect returns a client of your account or, for a demo, of a server in this process.
func connect(demo bool, opts ...drift.Option) (client *drift.Client, disconnect func(), err error) {
	if demo {
		server := unreliableServer()
		return server.Client(append(opts, drift.WithPlan(drift.PlanStarter))...), server.Close, nil
	}
	client, err = drift.NewClient(append(opts, drift.FromEnv())...)
	if err != nil {
		return nil, nil, err
	}
	return client, func() { _ = client.Close() }, nil
}

// unreliableServer fails one request in five.
func unreliableServer() *drifttest.Server {
	server := drifttest.NewServer(drifttest.WithDemoData())
	some := []drifttest.Fault{{}, {Delay: 100 * time.Millisecond}, {}, {}, {Status: http.StatusServiceUnavailable}}
	server.Fail("*", slices.Repeat(some, 10_000)...)
	return server
}

// visit requests what the service offers, as three visitors would, until ctx ends. Most contacts exist.
func visit(ctx context.Context, url string) {
	var visitors sync.WaitGroup
	defer visitors.Wait()
	for i := range 3 {
		visitors.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				get(ctx, url+"/inbox")
				get(ctx, fmt.Sprint(url, "/contacts/", n%40+1))
			}
		})
	}
}

// get requests a page as a visitor does, who waits a little before the next one.
func get(ctx context.Context, url string) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(300 * time.Millisecond):
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
	}
}
