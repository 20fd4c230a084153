// Command testing escalates a conversation. It is here for its tests, which show three ways to test code that calls
// Drift: a fake of an interface of your own, a mock of the SDK's, and an in-memory Drift server, which can also stand
// in for endpoints that the SDK has no method for. See escalator_test.go and transcript_test.go.
//
// Without DRIFT_TOKEN in the environment it needs no account and no network: it starts an in-memory server and calls
// it.
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
	user := flag.Int64("to", 0, "the user to hand it over to (with DRIFT_TOKEN)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, drift.ConversationID(*conversation), drift.UserID(*user), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// start makes the client: of your account where DRIFT_TOKEN is set, else of a server in this process.
func start(ctx context.Context, id drift.ConversationID, to drift.UserID, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling a Drift in memory.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), 1, 4, w)
	}
	if id == 0 || to == 0 {
		return errors.New("say what to hand over to whom: -conversation ID -to USER")
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
