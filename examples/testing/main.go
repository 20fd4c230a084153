// Command testing escalates a conversation. Its tests show three ways to test code that calls Drift: a fake of your own
// interface, a mock of the SDK's services, and an in-memory Drift server. They also show how to test code that waits for
// minutes without waiting. See escalator_test.go and reminder_test.go.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
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

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func main() {
	conversation := flag.Int64("conversation", 0, "the conversation to escalate (with DRIFT_TOKEN)")
	user := flag.Int64("to", 0, "the user who takes it over (with DRIFT_TOKEN)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, drift.ConversationID(*conversation), drift.UserID(*user), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, id drift.ConversationID, to drift.UserID, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), 1, 4, w)
	}
	if id == 0 || to == 0 {
		return errors.New("-conversation and -to are required")
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	return run(ctx, client, id, to, w)
}

// run escalates the conversation twice: the second time there is nothing to do.
func run(ctx context.Context, client *drift.Client, id drift.ConversationID, to drift.UserID, w io.Writer) error {
	escalator := Escalator{Conversations: client.Conversations, To: to}
	for range 2 {
		done, err := escalator.Escalate(ctx, id)
		if err != nil {
			return err
		}
		if done {
			fmt.Fprintf(w, "Conversation %s is now with user %s.\n", id, to)
		} else {
			fmt.Fprintf(w, "Conversation %s needs no escalation.\n", id)
		}
	}
	return nil
}
