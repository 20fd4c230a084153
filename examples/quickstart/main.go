// Command quickstart finds or creates a contact, opens a conversation with it, writes messages, and walks lists.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server. With DRIFT_TOKEN and -write it writes to your account.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Finds or creates the contact grace@example.com, opens a conversation with it,
writes two messages, and walks lists. With DRIFT_TOKEN in the environment it
works on your account, and otherwise on an in-memory Drift server.`

func main() {
	write := cli.WriteFlag()
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, *write, w) })
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, write bool, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	if !write {
		return cli.AskToWrite(
			"create the contact "+email+", unless it exists",
			"open a conversation with it",
			"write two messages into the conversation, and label it")
	}
	return run(ctx, client, w)
}

const email = "grace@example.com"

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, w io.Writer) error {
	contact, err := client.Contacts.MatchEmail(ctx, email)
	if errors.Is(err, drift.ErrNotFound) {
		fmt.Fprintln(w, "No contact yet: creating one.")
		contact, err = client.Contacts.UpsertByEmail(ctx, email)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Contact %s has id %s.\n", contact.Email, contact.ID)

	conversation, err := client.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
		Email:            email,
		Title:            "A question about billing",
		Tags:             []string{"billing"},
		CustomAttributes: drift.Attributes{"plan": "professional"},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Opened conversation %s.\n", conversation.ID)

	for _, body := range []string{"Hello Grace!", "How can we help?"} {
		message, err := client.Messages.Create(ctx, conversation.ID, drift.MessageCreateRequest{Body: body})
		var ambiguous *drift.AmbiguousError
		if errors.As(err, &ambiguous) {
			// The message may have been written, so check before you send it again.
			return fmt.Errorf("check for the message with client id %s: %w", ambiguous.ClientID, err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "Wrote message %s: %q\n", message.ID, message.Body)
	}

	// An update changes only the fields that are set: Null clears a field, Set gives it a value.
	conversation, err = client.Conversations.Update(ctx, conversation.ID, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Null[drift.UserID](),
		Labels:         drift.Set([]string{"new"}),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Its labels are now %v.\n", conversation.Labels)

	fmt.Fprintln(w, "Open conversations:")
	open := client.Conversations.AllByStatus(ctx, drift.ConversationStatusOpen, drift.ConversationListByStatusOptions{})
	shown := 0
	for conversation, err := range open {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s  %s\n", conversation.ID, conversation.Title)
		if shown++; shown == 5 {
			fmt.Fprintln(w, "  and so on")
			break
		}
	}

	contacts, err := drift.Collect(client.Contacts.All(ctx, drift.ContactListOptions{}), 0)
	if err != nil {
		return err
	}
	usage, err := client.Quota(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "There are %d contacts in all.\n", len(contacts))
	fmt.Fprintf(w, "This program has made %d calls.\n", usage.Used)
	return nil
}
