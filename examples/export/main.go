// Command export writes all conversations and all contacts into files of JSON Lines, with one record on each line. Stop
// it with Ctrl-C, or even cut the power, and run it again: it resumes. For a new export, choose another folder.
//
// The export continues if a record does not decode, because the service has changed or a value is broken. The command
// writes such a record unchanged to a separate file, such as contacts.unreadable.jsonl, and exits with status 3: the
// export is complete, but check that file. Any other failure is status 1.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls a slow in-memory Drift
// server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func main() {
	dir := flag.String("dir", "drift-export", "the folder for the files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, *dir, os.Stdout); err != nil {
		if errors.Is(err, context.Canceled) {
			log.Fatal("stopped; run the same command to resume")
		}
		log.Print(err)
		os.Exit(status(err))
	}
}

// errOdd reports an export that is complete except for records that do not decode.
var errOdd = errors.New("done, but some records do not decode")

// status returns the exit status after an error. Wrong flags exit with 2.
func status(err error) int {
	if errors.Is(err, errOdd) {
		return 3
	}
	return 1
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, dir string, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := slowServer()
		defer server.Close()
		return run(ctx, server.Client(), dir, w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	return run(ctx, client, dir, w)
}

// slowServer has many contacts and answers slowly, so that there is time to press Ctrl-C.
func slowServer() *drifttest.Server {
	server := drifttest.NewServer(drifttest.WithDemoData())
	for i := range 1_000 {
		server.AddContact(drift.Contact{Email: fmt.Sprintf("visitor%d@example.com", i)})
	}
	server.Fail("*", slices.Repeat([]drifttest.Fault{{Delay: 200 * time.Millisecond}}, 100)...)
	return server
}

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, dir string, w io.Writer) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// A long job must leave room for interactive calls.
	client = client.With(drift.WithBulk())

	conversations := export[drift.Conversation]{
		path: filepath.Join(dir, "conversations.jsonl"),
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Conversation], error) {
			return client.Conversations.List(ctx, drift.ConversationListOptions{Cursor: cursor, Limit: pageSize})
		},
		id: func(c *drift.Conversation) int64 { return int64(c.ID) },
	}
	contacts := export[drift.Contact]{
		path: filepath.Join(dir, "contacts.jsonl"),
		list: func(ctx context.Context, cursor string) (*drift.Page[drift.Contact], error) {
			return client.Contacts.List(ctx, drift.ContactListOptions{Cursor: cursor, Limit: pageSize})
		},
		id: func(c *drift.Contact) int64 { return int64(c.ID) },
	}
	if err := withBar(ctx, &conversations, "conversations", w); err != nil {
		return err
	}
	if err := withBar(ctx, &contacts, "contacts", w); err != nil {
		return err
	}
	if conversations.at.Odd+contacts.at.Odd > 0 {
		return errOdd
	}
	return nil
}

// pageSize is the largest page that the API allows.
const pageSize = 100

// withBar runs an export and shows its progress. The API does not say how many records there are, so the bar has no
// end.
func withBar[T any](ctx context.Context, e *export[T], name string, w io.Writer) error {
	bar := progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowCount(),
		progressbar.OptionSetSpinnerChangeInterval(0), // drawn page by page, not by a goroutine
	)
	e.progress = func(records int) { _ = bar.Set(records) }
	err := e.run(ctx)
	_ = bar.Exit()
	fmt.Fprintf(w, "\n%s: %d records in %s\n", name, len(e.ids), e.path)
	if e.at.Odd > 0 {
		fmt.Fprintf(w, "%s: %d records that do not decode are in %s\n", name, e.at.Odd, e.oddPath())
	}
	if e.first != nil {
		fmt.Fprintf(w, "%s: the first error of this run: %v\n", name, e.first)
	}
	return err
}
