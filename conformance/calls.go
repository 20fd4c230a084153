package conformance

import (
	"context"
	"time"

	"github.com/driftsdk/drift"
)

// Call is one call of the SDK. Result is a record, a page, or nil where the operation returns nothing.
type Call struct {
	Operation string
	Do        func(ctx context.Context, client *drift.Client) (result any, err error)
}

// Ids of the demo account of package drifttest. A mock server takes any.
const (
	conversation drift.ConversationID = 1
	message      drift.MessageID      = 1
	contact      drift.ContactID      = 1
	note         drift.NoteID         = 1
	tag          drift.TagID          = 1
	meeting      drift.MeetingID      = 1
	participant  drift.ParticipantID  = 1
	company      drift.CompanyID      = "acme.example"
	user         drift.UserID         = 2
	workflow     drift.WorkflowID     = 5
)

var at = time.UnixMilli(1767603600123).UTC()

// Calls are the 34 operations, each with every parameter that it has.
func Calls() []Call {
	var calls []Call
	for _, group := range [][]Call{conversationCalls, messageCalls, contactCalls, noteCalls, tagCalls, companyCalls, meetingCalls, driftbotCalls} {
		calls = append(calls, group...)
	}
	return calls
}

var conversationCalls = []Call{
	{"conversations.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Get(ctx, conversation)
	}},
	{"conversations.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Create(ctx, drift.ConversationCreateRequest{
			BackgroundMode: new(false), Labels: []string{"hot"}, Tags: []string{"vip", "a&b"}, Users: []drift.UserID{user, 3},
		})
	}},
	{"conversations.createFromScratch", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
			AssignedUserID: user, BackgroundMode: new(true), CustomAttributes: attributes(), Email: "new@customer.example",
			Labels: []string{"hot"}, Tags: []string{"vip"}, Title: "A title",
		})
	}},
	{"conversations.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.Update(ctx, conversation, drift.ConversationUpdateRequest{
			AssignedUserID: drift.Set(user), CustomAttributes: drift.Set(attributes()), Labels: drift.Set([]string{"hot"}),
			Tags: drift.Set([]string(nil)), WorkflowID: drift.Set(workflow),
		})
	}},
	{"conversations.list", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.List(ctx, drift.ConversationListOptions{
			Archived: new(false), AssignedUserID: user, CreatedAt: at, CustomAttributes: filter(), Deleted: new(false),
			Direction: drift.DirectionInbound, Email: "grace@customer.example", ID: conversation, Integration: "widget",
			LastActivityAt: at, LastMessageSentAt: at, Labels: []string{"hot", "warm"}, MemberCount: new(2),
			Participants: []string{"Ada Byron", "ben@acme.example"}, ReplySubject: "Re: a & b", ResolvedAt: at,
			Tags: []string{"vip"}, Title: "A title", UpdatedAt: at, WorkflowID: workflow, Limit: 100,
		})
	}},
	{"conversations.listByStatus", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Conversations.ListByStatus(ctx, drift.ConversationStatusBulkSent, drift.ConversationListByStatusOptions{
			Archived: new(false), Limit: 3,
		})
	}},
	{"conversations.delete", func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Conversations.Delete(ctx, 60)
	}},
}

var messageCalls = []Call{
	{"messages.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Get(ctx, conversation, message)
	}},
	{"messages.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Create(ctx, conversation, drift.MessageCreateRequest{
			Body: "<p>Hello</p>", ClientMessageID: "key-1", Labels: []string{"hot"}, UseCustomAvatar: new(false),
		})
	}},
	{"messages.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Messages.Update(ctx, conversation, message, drift.MessageUpdateRequest{
			Body: drift.Set("<p>Hi</p>"), Labels: drift.Set([]string{"hot"}), Reply: drift.Set(false),
			Type: drift.Set(drift.MessageTypePrivateNote),
		})
	}},
}

var contactCalls = []Call{
	{"contacts.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Get(ctx, contact)
	}},
	{"contacts.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Create(ctx, drift.ContactCreateRequest{
			BackgroundMode: new(true), Labels: []string{"hot"}, Tags: []string{"vip"}, Users: []drift.UserID{user},
		})
	}},
	{"contacts.upsertByEmail", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.UpsertByEmail(ctx, "grace.abbott@customer01.example")
	}},
	{"contacts.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.Update(ctx, contact, drift.ContactUpdateRequest{
			AssignedUserID: drift.Set(user), BackgroundMode: drift.Set(false), CustomAttributes: drift.Set(attributes()),
			Email: drift.Set("grace.abbott@customer01.example"), Labels: drift.Set([]string{"hot"}), Tags: drift.Set([]string{"vip"}),
		})
	}},
	{"contacts.list", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.List(ctx, drift.ContactListOptions{
			BackgroundMode: new(false), CustomAttributes: filter(), Email: "grace@customer.example", Labels: []string{"hot"},
			Search: "grace", Tags: []string{"vip", "trial"}, WorkflowID: workflow, Limit: 1,
		})
	}},
	{"contacts.matchEmail", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Contacts.MatchEmail(ctx, "grace.abbott@customer01.example")
	}},
	{"contacts.delete", func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Contacts.Delete(ctx, 30)
	}},
}

var noteCalls = []Call{
	{"notes.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Get(ctx, conversation, note)
	}},
	{"notes.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Create(ctx, conversation, drift.NoteCreateRequest{
			Body: "Called back", ClientCreatedAt: at, ClientID: "key-2", CreatedAt: at, Tags: []string{"vip"}, Type: "call", User: user,
		})
	}},
	{"notes.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Notes.Update(ctx, conversation, note, drift.NoteUpdateRequest{
			Body: drift.Set("Called again"), Closed: drift.Set(true), CreatedAt: drift.Set(at), Labels: drift.Set([]string{"hot"}),
			Tags: drift.Set([]string{"vip"}), Type: drift.Set("call"),
		})
	}},
}

var tagCalls = []Call{
	{"tags.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Get(ctx, tag)
	}},
	{"tags.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Create(ctx, drift.TagCreateRequest{
			BackgroundMode: new(false), Color: "#d4af37", Description: "Says what it is for", Enabled: new(true), Name: "renewal",
		})
	}},
	{"tags.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Tags.Update(ctx, tag, drift.TagUpdateRequest{
			BackgroundMode: drift.Set(true), Color: drift.Set("d4af37"), Description: drift.Set(""), Enabled: drift.Set(false),
			Name: drift.Set("vip"),
		})
	}},
	{"tags.delete", func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Tags.Delete(ctx, 4)
	}},
}

var companyCalls = []Call{
	{"companies.listPeople", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Companies.ListPeople(ctx, company, drift.CompanyListPeopleOptions{Scope: "all", Search: "ada", Limit: 2})
	}},
	{"companies.listTeams", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Companies.ListTeams(ctx, company, drift.CompanyListTeamsOptions{Scope: "all", Search: "sup", Limit: 2})
	}},
}

var meetingCalls = []Call{
	{"meetings.get", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Get(ctx, meeting)
	}},
	{"meetings.create", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Create(ctx, drift.MeetingCreateRequest{
			ConversationID: conversation, CreatedBy: user, Duration: 45 * time.Minute, StartAt: at, UpdatedBy: user,
		})
	}},
	{"meetings.update", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.Update(ctx, meeting, drift.MeetingUpdateRequest{
			ConversationID: drift.Set(conversation), Duration: drift.Set(time.Hour), EndedAt: drift.Set(at),
			Location: drift.Set("Room 1"), Notes: drift.Set("None"), ParticipantIDs: drift.Set([]drift.ParticipantID{participant}),
			StartAt: drift.Set(at), Subject: drift.Set("Kick-off"), UpdatedBy: drift.Set(user),
		})
	}},
	{"meetings.addParticipant", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.AddParticipant(ctx, meeting, drift.MeetingAddParticipantRequest{
			Email: "ada@acme.example", FirstName: "Ada", LastName: "Byron",
		})
	}},
	{"meetings.list", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Meetings.List(ctx, drift.MeetingListOptions{
			CreatedAfter: at, CreatedBefore: at, CreatedBy: user, Direction: drift.DirectionOutbound, Duration: 30 * time.Minute,
			EndedAt: at, EventType: "online", ID: meeting, InProgress: new(false), Location: "Room 1", Notes: "None",
			ParticipantIDs: []drift.ParticipantID{participant, 2}, Participants: []string{"Ada Byron"}, StartAfter: at,
			StartBefore: at, StartAt: at, Subject: "Kick-off", UpdatedBy: user, UpdatedSince: at, UsePreciseFilters: new(true), Limit: 25,
		})
	}},
	{"meetings.delete", func(ctx context.Context, c *drift.Client) (any, error) {
		return nil, c.Meetings.Delete(ctx, 4)
	}},
}

var driftbotCalls = []Call{
	{"driftbot.updateMessage", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.UpdateMessage(ctx, conversation, drift.DriftbotUpdateMessageRequest{
			Body: drift.Set("<p>One moment</p>"), Labels: drift.Set([]string{"bot"}),
		})
	}},
	{"driftbot.trigger", func(ctx context.Context, c *drift.Client) (any, error) {
		return c.Driftbot.Trigger(ctx, conversation, drift.DriftbotTriggerRequest{
			ActionID: "book-demo", Payload: map[string]any{"slot": 3, "note": nil},
		})
	}},
}

func attributes() drift.Attributes {
	return drift.Attributes{
		"plan": "pro", "seats": 12, "ratio": 0.5, "trial": false, "regions": []string{"eu"}, "address": map[string]any{"city": "Bern"},
	}
}

// filter has only what a query can carry.
func filter() drift.Attributes {
	return drift.Attributes{"plan": "pro", "seats": 12, "trial": false}
}
