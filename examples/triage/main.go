// Command triage processes open conversations: it assigns each to a user, labels and tags it, writes a note, and
// triggers the Driftbot. It skips conversations that already have the label, so you can run it again at any time.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server. With DRIFT_TOKEN, -user and -write it changes conversations of your account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Triages open conversations: assigns each to a user, labels and tags it, writes a
note, and triggers the Driftbot. With DRIFT_TOKEN in the environment it works on
your account, and otherwise on an in-memory Drift server.`

func main() {
	user := flag.Int64("user", 0, "the `id` of the user to assign conversations to (with DRIFT_TOKEN)")
	most := flag.Int("max", 5, "triage at most `n` conversations")
	write := cli.WriteFlag()
	cli.Main(about, func(ctx context.Context, w io.Writer) error {
		return start(ctx, plan{assignee: drift.UserID(*user), max: *most}, *write, w)
	})
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, p plan, write bool, w io.Writer) error {
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		// Two faults show how the program handles them: a conversation is deleted, and the answer to a note is lost.
		server.Fail("conversations.update", drifttest.Fault{}, drifttest.Fault{Status: 404})
		server.Fail("notes.create", drifttest.Fault{}, drifttest.Fault{Drop: drifttest.DropAfterHandling})
		return run(ctx, server.Client(), plan{assignee: 2, max: p.max}, w)
	}
	if p.assignee == 0 {
		return cli.WrongUsage("-user is required")
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	if !write {
		return cli.AskToWrite(
			fmt.Sprintf("assign up to %d open conversations to user %s, label and tag them", p.max, p.assignee),
			"write a note into each, and trigger the Driftbot there")
	}
	return run(ctx, client, p, w)
}

// plan holds the settings of a run.
type plan struct {
	assignee drift.UserID
	max      int // conversations to triage
}

// The changes to a conversation.
const (
	label  = "triaged"
	tag    = "support"
	note   = "Assigned by triage."
	action = "introduce-agent"
)

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, p plan, w io.Writer) error {
	triaged, unsure := 0, 0
	open := client.Conversations.AllByStatus(ctx, drift.ConversationStatusOpen, drift.ConversationListByStatusOptions{})
	for conversation, err := range open {
		if err != nil {
			return err
		}
		if triaged+unsure >= p.max {
			break
		}
		if slices.Contains(conversation.Labels, label) {
			continue
		}
		err := triage(ctx, client, conversation, p.assignee)
		switch {
		case errors.Is(err, drift.ErrNotFound):
			fmt.Fprintf(w, "%s  skipped: it has been deleted\n", conversation.ID)
		case errors.Is(err, drift.ErrAmbiguous):
			fmt.Fprintf(w, "%s  not finished, please check: %v\n", conversation.ID, err)
			unsure++
		case err != nil:
			return fmt.Errorf("conversation %s: %w", conversation.ID, err)
		default:
			fmt.Fprintf(w, "%s  %s\n", conversation.ID, conversation.Title)
			triaged++
		}
	}
	fmt.Fprintf(w, "%d triaged, %d to look at.\n", triaged, unsure)
	return nil
}

// triage sets the label first. The next run skips a conversation with the label, so a failure after the first step
// cannot lead to a second note or a second action of the bot.
func triage(ctx context.Context, client *drift.Client, conversation *drift.Conversation, assignee drift.UserID) error {
	// Assigning twice does no harm, so the client may retry this update even if the first request may have been
	// applied.
	_, err := client.Conversations.Update(ctx, conversation.ID, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Set(assignee),
		Labels:         drift.Set(append(slices.Clip(conversation.Labels), label)),
		Tags:           drift.Set(withTag(conversation.Tags)),
	}, drift.WithIdempotent())
	if err != nil {
		return err
	}

	// A second note would do harm, so the client does not retry after a lost answer, and returns an error.
	_, err = client.Notes.Create(ctx, conversation.ID, drift.NoteCreateRequest{Body: note})
	if err != nil {
		return err
	}
	_, err = client.Driftbot.Trigger(ctx, conversation.ID, drift.DriftbotTriggerRequest{
		ActionID: action,
		Payload:  map[string]any{"user": assignee},
	})
	return err
}

// withTag returns the names of the tags plus tag, because an update replaces the whole list.
func withTag(tags []drift.TagRef) []string {
	names := []string{tag}
	for _, t := range tags {
		if t.Name != tag {
			names = append(names, t.Name)
		}
	}
	return names
}
