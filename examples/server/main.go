// Command server puts a Drift in memory on a port, for programs in other languages and for trying the API by hand. It enforces
// the limits of the product: 100 requests in any minute, 10,000 in a calendar month.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/driftsdk/drift/drifttest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the host and port to listen on; port 0 takes a free one")
	perMinute := flag.Int("per-minute", 100, "requests allowed in any 60 seconds; 0: any number")
	perMonth := flag.Int("per-month", 10_000, "requests allowed in a calendar month (UTC); 0: any number")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *perMinute, *perMonth, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, perMinute, perMonth int, w io.Writer) error {
	server, err := drifttest.Listen(
		drifttest.WithAddress(addr),
		drifttest.WithLimits(perMinute, perMonth),
		drifttest.WithDemoData(),
	)
	if err != nil {
		return err
	}
	defer server.Close()

	explain(w, server.URL)
	<-ctx.Done()
	fmt.Fprintf(w, "Stopped after %d requests.\n", server.Count("*"))
	return nil
}

func explain(w io.Writer, url string) {
	curl := fmt.Sprintf("  curl -sS -H 'Authorization: Bearer %s' ", drifttest.DefaultToken)
	fmt.Fprintf(w, "A Drift in memory, until Ctrl-C.\n\n  URL    %s\n  Token  %s\n\nTry:\n\n", url, drifttest.DefaultToken)
	fmt.Fprintf(w, "%s'%s/v2/conversations/1'\n", curl, url)
	fmt.Fprintf(w, "%s'%s/v2/contacts?tags=vip&limit=2'\n", curl, url)
	fmt.Fprintf(w, "%s-H 'Content-Type: application/json' -d '{\"body\": \"Hello!\"}' '%s/v2/conversations/1/messages'\n", curl, url)
	fmt.Fprintf(w, "\nWith the SDK: DRIFT_BASE_URL=%s DRIFT_TOKEN=%s go run ./examples/quickstart\n", url, drifttest.DefaultToken)
}
