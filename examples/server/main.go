// Command server serves an in-memory Drift server on a port, for programs in other languages and for trying the API by
// hand. By default it enforces Drift's limits: 100 requests in any minute, and 10,000 in a calendar month.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Serves an in-memory Drift server on a port until Ctrl-C, for programs in other
languages and for curl. It prints its URL, its token, and commands to try.`

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the `host:port` to listen on; port 0 is any free port")
	perMinute := flag.Int("per-minute", 100, "allow `n` requests in any 60 seconds; 0: no limit")
	perMonth := flag.Int("per-month", 10_000, "allow `n` requests in a calendar month (UTC); 0: no limit")
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return run(ctx, *addr, *perMinute, *perMonth, w) })
}

// run serves until ctx ends.
func run(ctx context.Context, addr string, perMinute, perMonth int, w io.Writer) error {
	if perMinute < 0 || perMonth < 0 {
		return cli.WrongUsage("-per-minute and -per-month must not be negative")
	}
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
	fmt.Fprintf(w, "There were %d requests.\n", server.Count("*"))
	return nil
}

func explain(w io.Writer, url string) {
	const token = drifttest.DefaultToken
	curl := fmt.Sprintf("  curl -sS -H 'Authorization: Bearer %s' ", token)
	fmt.Fprintf(w, "An in-memory Drift server is running. Stop it with Ctrl-C.\n\n")
	fmt.Fprintf(w, "  URL    %s\n  Token  %s\n", url, token)
	fmt.Fprintf(w, "\nTry:\n\n%s'%s/v2/conversations/1'\n", curl, url)
	fmt.Fprintf(w, "%s'%s/v2/contacts?tags=vip&limit=2'\n", curl, url)
	fmt.Fprintf(w, "%s-H 'Content-Type: application/json' -d '{\"body\": \"Hello!\"}' ", curl)
	fmt.Fprintf(w, "'%s/v2/conversations/1/messages'\n", url)
	fmt.Fprintf(w, "\nThe same account by the classic API:\n\n%s'%s/conversations/1/messages'\n", curl, url)
	fmt.Fprintf(w, "\nWith the SDK: DRIFT_BASE_URL=%s DRIFT_TOKEN=%s go run ./examples/quickstart -write\n", url, token)
}
