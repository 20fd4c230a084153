// Command history writes closed conversations with their messages as JSON Lines, through the API that Drift
// documents.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Writes closed conversations with their messages as JSON Lines to the standard
output. With DRIFT_TOKEN in the environment it reads your account, and otherwise
an in-memory Drift server.`

func main() {
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, w, os.Stderr) })
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, w, progress io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(progress, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), w, progress)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	return run(ctx, client, w, progress)
}

// entry is a line of the output.
type entry struct {
	Conversation *classic.Conversation `json:"conversation"`
	Messages     []*classic.Message    `json:"messages"`
}

// run is the part to copy. It is a long job, so its calls leave room for others.
func run(ctx context.Context, client *drift.Client, w, progress io.Writer) error {
	api := classic.New(client.With(drift.WithBulk(), drift.WithPrefetch()))
	closed := classic.ConversationListOptions{
		Statuses: []classic.ConversationStatus{classic.ConversationStatusClosed},
	}
	lines := json.NewEncoder(w)
	conversations, messages := 0, 0
	for conversation, err := range api.Conversations.All(ctx, closed) {
		if err != nil {
			return explained(err)
		}
		// The list has the most important fields only.
		line, err := read(ctx, api, conversation.ID)
		if errors.Is(err, drift.ErrNotFound) {
			continue // deleted since it was listed
		}
		if err != nil {
			return err
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
		conversations++
		messages += len(line.Messages)
	}
	fmt.Fprintf(progress, "%d conversations with %d messages.\n", conversations, messages)
	return nil
}

// read returns a conversation with all its messages.
func read(ctx context.Context, api *classic.Client, id drift.ConversationID) (*entry, error) {
	conversation, err := api.Conversations.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	messages, err := drift.Collect(api.Messages.All(ctx, id, classic.MessageListOptions{}), 0)
	if err != nil {
		return nil, err
	}
	return &entry{conversation, messages}, nil
}

// explained says where to resume.
func explained(err error) error {
	var broken *drift.PageError
	if errors.As(err, &broken) && broken.Cursor != "" {
		return fmt.Errorf("resume with Cursor %q: %w", broken.Cursor, err)
	}
	return err
}
