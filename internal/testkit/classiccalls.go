//lint:file-ignore SA1019 calls every operation, those that Drift has retired too

package testkit

import (
	"bytes"
	"context"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
)

// ClassicCall is a call of the classic API. Result is a record, a list, a page or a text, or nil if the operation
// returns nothing.
type ClassicCall struct {
	Operation string
	Do        func(ctx context.Context, c *classic.Client) (result any, err error)
}

// ClassicClock is a time at which the meetings of the demo account are listed.
func ClassicClock() time.Time { return time.Date(2026, time.January, 30, 0, 0, 0, 0, time.UTC) }

// ClassicCalls are the 49 operations of package classic, each with every parameter that it has. They succeed in this
// order against the demo account of package drifttest: what one needs, an earlier one creates.
func ClassicCalls() []ClassicCall {
	var calls []ClassicCall
	for _, group := range [][]ClassicCall{
		classicContacts, classicUsers, classicConversations, classicAccounts, classicSCIM, classicReports, classicApp,
	} {
		calls = append(calls, group...)
	}
	return calls
}

const (
	classicEmail      = "new@customer.example"
	classicExternalID = "crm/7 & b"
)

var classicContacts = []ClassicCall{
	{"contacts.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.Create(ctx, classic.ContactCreateRequest{
			Email: classicEmail, ExternalID: classicExternalID, Name: "Zoe", Phone: "555-0100",
			Attributes: drift.Attributes{"plan": "pro", "seats": 12, "trial": false},
		})
	}},
	{"contacts.get", func(ctx context.Context, c *classic.Client) (any, error) { return c.Contacts.Get(ctx, 1) }},
	{"contacts.listByEmail", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListByEmail(ctx, classicEmail, classic.ContactListOptions{Limit: 2})
	}},
	{"contacts.listByExternalId", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListByExternalID(ctx, []string{classicExternalID, "none"})
	}},
	{"contacts.update", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.Update(ctx, 1, classic.ContactUpdateRequest{
			Attributes: drift.Attributes{"plan": nil, "seats": 4},
		})
	}},
	{"contacts.updateByExternalId", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.UpdateByExternalID(ctx, classicExternalID, classic.ContactUpdateRequest{
			Attributes: drift.Attributes{"plan": "free"},
		})
	}},
	{"contacts.unsubscribe", func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.Unsubscribe(ctx, []string{classicEmail, "a+b@customer.example"})
	}},
	{"contacts.createTimelineEvent", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.CreateTimelineEvent(ctx, classic.TimelineEventRequest{
			ContactID: 1, Event: "Bought", CreatedAt: ClassicClock(),
		})
	}},
	{"contacts.createTimelineEvent", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.CreateTimelineEvent(ctx, classic.TimelineEventRequest{
			ExternalID: classicExternalID, Event: "Left",
		})
	}},
	{"contacts.listAttributes", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.ListAttributes(ctx)
	}},
	{"contacts.addTags", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Contacts.AddTags(ctx, 1, []classic.Tag{{Name: "a/b", Color: "0960C5"}, {Name: "new"}, {Name: "old"}})
	}},
	{"contacts.listTags", func(ctx context.Context, c *classic.Client) (any, error) { return c.Contacts.ListTags(ctx, 1) }},
	{"contacts.removeTag", func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.RemoveTag(ctx, 1, "a/b")
	}},
	{"contacts.removeTags", func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Contacts.RemoveTags(ctx, 1, []string{"new", "old"})
	}},
	{"contacts.delete", func(ctx context.Context, c *classic.Client) (any, error) { return nil, c.Contacts.Delete(ctx, 2) }},
}

var classicUsers = []ClassicCall{
	{"users.list", func(ctx context.Context, c *classic.Client) (any, error) { return c.Users.List(ctx) }},
	{"users.get", func(ctx context.Context, c *classic.Client) (any, error) { return c.Users.Get(ctx, 2) }},
	{"users.getMany", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Users.GetMany(ctx, []drift.UserID{1, 2, 99})
	}},
	{"users.update", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Users.Update(ctx, 2, classic.UserUpdateRequest{
			Alias: drift.Set("B"), Availability: drift.Set("OFFLINE"), AvatarURL: drift.Set("https://a.example/b.png"),
			Email: drift.Set("b@acme.example"), Locale: drift.Set("en-GB"), Name: drift.Set("Ben"), Phone: drift.Set("617-555-0101"),
		})
	}},
	{"meetings.list", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Meetings.List(ctx, classic.MeetingListOptions{From: time.UnixMilli(1), To: ClassicClock(), Limit: 3})
	}},
	{"teams.list", func(ctx context.Context, c *classic.Client) (any, error) { return c.Teams.List(ctx) }},
	{"teams.listByUser", func(ctx context.Context, c *classic.Client) (any, error) { return c.Teams.ListByUser(ctx, 4) }},
}

var classicConversations = []ClassicCall{
	{"conversations.list", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.List(ctx, classic.ConversationListOptions{
			Statuses: []classic.ConversationStatus{
				classic.ConversationStatusOpen, classic.ConversationStatusClosed, classic.ConversationStatusPending,
			},
			Limit: 3,
		})
	}},
	{"conversations.get", func(ctx context.Context, c *classic.Client) (any, error) { return c.Conversations.Get(ctx, 1) }},
	{"conversations.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.Create(ctx, classic.ConversationCreateRequest{
			Email: classicEmail, Body: "Hello", IntegrationSource: "a message from a form", AutoAssigneeID: 2,
			Attributes: drift.Attributes{"page": "pricing"},
		})
	}},
	{"conversations.stats", func(ctx context.Context, c *classic.Client) (any, error) { return c.Conversations.Stats(ctx) }},
	{"conversations.getTranscript", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.GetTranscript(ctx, 1)
	}},
	{"conversations.getJSONTranscript", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.GetJSONTranscript(ctx, 1)
	}},
	{"messages.list", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Messages.List(ctx, 1, classic.MessageListOptions{})
	}},
	{"messages.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Messages.Create(ctx, 1, classic.MessageCreateRequest{
			Type: classic.MessageTypeChat, Body: "<p>Hi</p>", Buttons: []classic.Button{classic.ReplyButton("Yes")}, UserID: 2,
		})
	}},
	{"messages.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Messages.Create(ctx, 1, classic.MessageCreateRequest{Type: classic.MessageTypePrivateNote, Body: "psst"})
	}},
	{"messages.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Messages.Create(ctx, 1, classic.MessageCreateRequest{
			Type: classic.MessageTypeEdit, EditType: "replace_body", EditedMessageID: 1, Body: "Hello again",
		})
	}},
	{"attachments.download", func(ctx context.Context, c *classic.Client) (any, error) {
		var file bytes.Buffer
		err := c.Attachments.Download(ctx, 1, &file)
		return file.String(), err
	}},
	{"playbooks.list", func(ctx context.Context, c *classic.Client) (any, error) { return c.Playbooks.List(ctx) }},
	{"playbooks.listLandingPages", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Playbooks.ListLandingPages(ctx)
	}},
}

var classicAccounts = []ClassicCall{
	{"accounts.create", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Create(ctx, classic.AccountCreateRequest{
			CustomProperties: []classic.CustomProperty{{Label: "Size", Name: "size", Type: classic.PropertyTypeNumber, Value: 1.5}},
			Domain:           "n.example", Name: "N", OwnerID: 1, Targeted: new(true),
		})
	}},
	{"accounts.get", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Get(ctx, "acme.example")
	}},
	{"accounts.list", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.List(ctx, classic.AccountListOptions{Limit: 2, Cursor: "3"})
	}},
	{"accounts.update", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Accounts.Update(ctx, "acme.example", classic.AccountUpdateRequest{
			CustomProperties: drift.Set([]classic.CustomProperty(nil)), Domain: drift.Null[string](), Name: drift.Set("Acme"),
			OwnerID: 2, Targeted: drift.Set(false),
		})
	}},
	{"accounts.delete", func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.Accounts.Delete(ctx, "acme.example")
	}},
}

var classicSCIM = []ClassicCall{
	{"scim.listUsers", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.ListUsers(ctx, classic.SCIMListUsersOptions{Filter: `userName eq "ada@acme.example"`, Limit: 2, Cursor: "1"})
	}},
	{"scim.getUser", func(ctx context.Context, c *classic.Client) (any, error) { return c.SCIM.GetUser(ctx, "1") }},
	{"scim.createUser", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.CreateUser(ctx, scimRequest("zoe@acme.example"))
	}},
	{"scim.replaceUser", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.SCIM.ReplaceUser(ctx, "3", scimRequest("zoe2@acme.example"))
	}},
	{"scim.updateUser", func(ctx context.Context, c *classic.Client) (any, error) {
		r := scimRequest("zoe3@acme.example")
		return c.SCIM.UpdateUser(ctx, "3", classic.SCIMUserUpdateRequest{
			Active: drift.Set(false), DisplayName: drift.Set("Zoe"), Emails: drift.Set(r.Emails), IsActive: drift.Set(true),
			Locale: drift.Set("en-GB"), Name: drift.Set(*r.Name), PhoneNumbers: drift.Set(r.PhoneNumbers),
			Roles: drift.Set(r.Roles), UserName: drift.Set(r.UserName),
		})
	}},
	{"scim.deleteUser", func(ctx context.Context, c *classic.Client) (any, error) { return nil, c.SCIM.DeleteUser(ctx, "3") }},
}

func scimRequest(userName string) classic.SCIMUserCreateRequest {
	return classic.SCIMUserCreateRequest{
		Active: new(true), DisplayName: "Zoe", Emails: []classic.SCIMValue{{Value: userName, Primary: true}}, Locale: "en-GB",
		Name:         &classic.SCIMName{Formatted: "Zoe Q", FamilyName: "Q", GivenName: "Zoe"},
		PhoneNumbers: []classic.SCIMValue{{Value: "1", Display: "1", Primary: true}},
		Roles:        []classic.SCIMValue{{Value: "ADMIN", Display: "Admin", Type: "role", Primary: true}}, UserName: userName,
	}
}

var classicReports = []ClassicCall{
	{"reports.conversations", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Reports.Conversations(ctx, classic.ReportRequest{
			Filters: []classic.ReportFilter{
				{Property: "createdAt", Operation: classic.ReportOperationBetween, Values: []any{time.UnixMilli(0), "2027-01-01"}},
				{Property: "status", Operation: classic.ReportOperationHasProperty},
			},
			Metrics: []string{"numBotMessages", "timeToCloseMillis"},
		})
	}},
	{"reports.conversationSummary", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Reports.ConversationSummary(ctx, classic.ReportSummaryRequest{
			Filters: []classic.ReportFilter{{Property: "status", Operation: classic.ReportOperationIn, Values: []any{"closed"}}},
			Metrics: []classic.ReportSummaryMetric{{Property: "numBotMessages", Type: "AVG"}},
		})
	}},
}

var classicApp = []ClassicCall{
	{"gdpr.retrieve", func(ctx context.Context, c *classic.Client) (any, error) { return c.GDPR.Retrieve(ctx, classicEmail) }},
	{"gdpr.delete", func(ctx context.Context, c *classic.Client) (any, error) { return c.GDPR.Delete(ctx, classicEmail) }},
	{"app.tokenInfo", func(ctx context.Context, c *classic.Client) (any, error) {
		return c.App.TokenInfo(ctx, drifttest.DefaultToken)
	}},
	{"app.uninstall", func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.App.Uninstall(ctx, "drifttest-client", "drifttest-secret")
	}},
}
