// Command testing escalates a conversation. Its tests show three ways to test code that calls Drift: a fake of your own
// interface, a mock of the SDK's services, and an in-memory Drift server. They also show how to test code that waits for
// minutes without waiting. See escalator_test.go and reminder_test.go.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server. With DRIFT_TOKEN, -conversation, -to and -write it changes a conversation of your account.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Escalates a conversation: hands it over to a user, and labels it. The tests
beside it show how to test such code. With DRIFT_TOKEN in the environment it
works on your account, and otherwise on an in-memory Drift server.`

func main() {
	conversation := flag.Int64("conversation", 0, "the `id` of the conversation to escalate (with DRIFT_TOKEN)")
	user := flag.Int64("to", 0, "the `id` of the user who takes it over (with DRIFT_TOKEN)")
	write := cli.WriteFlag()
	cli.Main(about, func(ctx context.Context, w io.Writer) error {
		return start(ctx, drift.ConversationID(*conversation), drift.UserID(*user), *write, w)
	})
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, id drift.ConversationID, to drift.UserID, write bool, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), 1, 4, w)
	}
	if id == 0 || to == 0 {
		return cli.WrongUsage("-conversation and -to are required")
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	if !write {
		return cli.AskToWrite(fmt.Sprintf("assign conversation %s to user %s, if it is open, and label it", id, to))
	}
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
			fmt.Fprintf(w, "Nothing to do: conversation %s is not open, is escalated already, or does not exist.\n", id)
		}
	}
	return nil
}
