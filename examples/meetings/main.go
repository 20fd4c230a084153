// Command meetings books a meeting about the oldest open conversation, invites its contact, moves the meeting by an
// hour, and lists the week.
//
// Without DRIFT_TOKEN in the environment you need no account and no network: the program calls an in-memory Drift
// server. With DRIFT_TOKEN and -write it books a real meeting.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/cli"
)

const about = `Books a meeting about the oldest open conversation, invites its contact, moves
the meeting by an hour, and lists the week. With DRIFT_TOKEN in the environment
it works on your account, and otherwise on an in-memory Drift server.`

func main() {
	write := cli.WriteFlag()
	cli.Main(about, func(ctx context.Context, w io.Writer) error { return start(ctx, *write, w) })
}

// start uses your account if DRIFT_TOKEN is set, and otherwise a server in this process.
func start(ctx context.Context, write bool, w io.Writer) error {
	monday := nextMonday(time.Now())
	if os.Getenv("DRIFT_TOKEN") == "" {
		fmt.Fprintln(w, "DRIFT_TOKEN is not set: calling an in-memory Drift server.")
		server := drifttest.NewServer(drifttest.WithDemoData())
		defer server.Close()
		return run(ctx, server.Client(), monday, w)
	}
	client, err := drift.NewClient(drift.FromEnv())
	if err != nil {
		return err
	}
	defer client.Close()
	if !write {
		return cli.AskToWrite(
			"book a meeting on Monday of next week, about the oldest open conversation",
			"invite the contact of the conversation, and move the meeting by an hour")
	}
	return run(ctx, client, monday, w)
}

// nextMonday returns the beginning of next week, in the time zone of now.
func nextMonday(now time.Time) time.Time {
	days := (7-int(now.Weekday()))%7 + 1
	return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location())
}

// run is the part to copy.
func run(ctx context.Context, client *drift.Client, monday time.Time, w io.Writer) error {
	conversation, err := oldestOpen(ctx, client)
	if err != nil {
		return err
	}
	meeting, err := book(ctx, client, conversation, monday.Add(10*time.Hour))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Booked meeting %s about %q: %s, %s.\n",
		meeting.ID, conversation.Title, when(meeting, monday), meeting.Duration)

	participant, err := client.Meetings.AddParticipant(ctx, meeting.ID, drift.MeetingAddParticipantRequest{
		Email: conversation.Email,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Invited %s.\n", participant.Email)

	// An update changes the fields that are set and no others.
	meeting, err = client.Meetings.Update(ctx, meeting.ID, drift.MeetingUpdateRequest{
		StartAt: drift.Set(meeting.StartAt.Add(time.Hour)),
		Subject: drift.Set(conversation.Title),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Moved it to %s.\n", when(meeting, monday))
	return listWeek(ctx, client, monday, w)
}

func oldestOpen(ctx context.Context, client *drift.Client) (*drift.Conversation, error) {
	opts := drift.ConversationListByStatusOptions{Limit: 1}
	page, err := client.Conversations.ListByStatus(ctx, drift.ConversationStatusOpen, opts)
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, errors.New("there is no open conversation to talk about")
	}
	return page.Items[0], nil
}

func book(
	ctx context.Context, client *drift.Client, conversation *drift.Conversation, at time.Time,
) (*drift.Meeting, error) {
	meeting, err := client.Meetings.Create(ctx, drift.MeetingCreateRequest{
		ConversationID: conversation.ID,
		CreatedBy:      conversation.AssignedUserID,
		StartAt:        at,
		Duration:       30 * time.Minute,
	})
	if errors.Is(err, drift.ErrAmbiguous) {
		// Booking again might put two meetings into the calendar.
		return nil, fmt.Errorf("check for a meeting at %s before you book again: %w", at.Format(time.RFC1123), err)
	}
	return meeting, err
}

func listWeek(ctx context.Context, client *drift.Client, monday time.Time, w io.Writer) error {
	fmt.Fprintf(w, "The week of %s:\n", monday.Format("2 January 2006"))
	week := client.Meetings.All(ctx, drift.MeetingListOptions{
		StartAfter:  monday,
		StartBefore: monday.AddDate(0, 0, 7),
	})
	for meeting, err := range week {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s  %s", when(meeting, monday), meeting.Subject)
		for _, participant := range meeting.Participants {
			fmt.Fprintf(w, "  %s", participant.Email)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// when formats the start in the time zone of the week: the SDK's instants are in UTC.
func when(meeting *drift.Meeting, monday time.Time) string {
	return meeting.StartAt.In(monday.Location()).Format("Mon 15:04")
}
