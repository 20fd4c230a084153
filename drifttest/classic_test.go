package drifttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/testkit"
)

// The tests in this file call the server with the client of package classic.

func startClassic(t *testing.T, opts ...drifttest.Option) (*drifttest.Server, *classic.Client, *drift.Client) {
	t.Helper()
	srv := drifttest.Start(t, append(opts, drifttest.WithClock(testkit.ClassicClock))...)
	client := srv.Client(testkit.Impatient())
	return srv, classic.New(client), client
}

// Every operation works from end to end, and the client and the server agree on its name.
func TestClassicClientCallsEveryOperation(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t, drifttest.WithDemoData())
	for _, call := range testkit.ClassicCalls() {
		before := srv.Count("classic." + call.Operation)
		result, err := call.Do(t.Context(), api)
		require.NoError(t, err, call.Operation)
		assert.Equal(t, before+1, srv.Count("classic."+call.Operation), call.Operation)
		assert.NotEqual(t, "", result, call.Operation)
	}
	for _, op := range testkit.ClassicCatalogue(t) {
		assert.Positive(t, srv.Count(op.Name), op.Name)
	}
}

// A fault breaks the attempt that it is meant for: a read goes on with the next attempt, and a write that may have been
// applied is not sent again.
func TestClassicFaultsByOperationAndAttempt(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t, drifttest.WithDemoData(), drifttest.WithClock(testkit.ClassicClock))
	api := classic.New(srv.Client(drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1, Budget: -1})))
	repeated := map[string]bool{}
	for _, op := range testkit.ClassicCatalogue(t) {
		repeated[op.Name] = op.Method == http.MethodGet || op.Method == http.MethodDelete || testkit.ReadsByPost(op.Name)
	}
	down := drifttest.Fault{Status: http.StatusServiceUnavailable}
	for _, call := range testkit.ClassicCalls() {
		name := "classic." + call.Operation
		srv.Reset()
		srv.Fail(name, down, down)
		_, err := call.Do(t.Context(), api)
		if repeated[name] {
			require.NoError(t, err, name)
			assert.Equal(t, 3, srv.Count(name), name)
			continue
		}
		require.ErrorIs(t, err, drift.ErrAmbiguous, name)
		assert.Equal(t, 1, srv.Count(name), name)
		srv.Reset()
		_, err = call.Do(t.Context(), api) // for the calls that come later
		require.NoError(t, err, name)
	}
}

func TestClassicReadsWhatV2Writes(t *testing.T) {
	t.Parallel()
	srv, api, v2 := startClassic(t)
	ctx := t.Context()
	contact, err := v2.Contacts.UpsertByEmail(ctx, "ann@example.com")
	require.NoError(t, err)
	_, err = v2.Contacts.Update(ctx, contact.ID, drift.ContactUpdateRequest{
		CustomAttributes: drift.Set(drift.Attributes{"plan": "pro"}), Tags: drift.Set([]string{"vip"}),
	})
	require.NoError(t, err)
	user := srv.AddUser(classic.User{Name: "Ben"})
	conversation, err := v2.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
		Email: "ann@example.com", AssignedUserID: user, Tags: []string{"vip"},
	})
	require.NoError(t, err)
	message, err := v2.Messages.Create(ctx, conversation.ID, drift.MessageCreateRequest{Body: "<p>Hi</p>"})
	require.NoError(t, err)
	_, err = v2.Notes.Create(ctx, conversation.ID, drift.NoteCreateRequest{Body: "psst"})
	require.NoError(t, err)

	found, err := api.Contacts.ListByEmail(ctx, "ann@example.com", classic.ContactListOptions{})
	require.NoError(t, err)
	require.Len(t, found, 1)
	assert.Equal(t, contact.ID, found[0].ID)
	assert.Equal(t, "pro", found[0].Attributes["plan"])
	assert.Equal(t, []classic.Tag{{Name: "vip"}}, found[0].Tags())

	read, err := api.Conversations.Get(ctx, conversation.ID)
	require.NoError(t, err)
	assert.Equal(t, contact.ID, read.ContactID)
	assert.Equal(t, []drift.UserID{user}, read.Participants)
	assert.Equal(t, []classic.Tag{{Name: "vip"}}, read.ConversationTags)

	messages, err := drift.Collect(api.Messages.All(ctx, conversation.ID, classic.MessageListOptions{}), 0)
	require.NoError(t, err)
	require.Len(t, messages, 2)
	assert.Equal(t, message.ID, messages[0].ID)
	assert.Equal(t, []classic.MessageType{classic.MessageTypeChat, classic.MessageTypePrivateNote},
		[]classic.MessageType{messages[0].Type, messages[1].Type})
	assert.Equal(t, "psst", messages[1].Body)
}

func TestV2ReadsWhatClassicWrites(t *testing.T) {
	t.Parallel()
	srv, api, v2 := startClassic(t)
	ctx := t.Context()
	contact, err := api.Contacts.Create(ctx, classic.ContactCreateRequest{
		Email: "ann@example.com", ExternalID: "x-1", Attributes: drift.Attributes{"plan": "pro"},
	})
	require.NoError(t, err)
	conversation, err := api.Conversations.Create(ctx, classic.ConversationCreateRequest{Email: "ann@example.com", Body: "Hello"})
	require.NoError(t, err)
	assert.Equal(t, contact.ID, conversation.ContactID)
	_, err = api.Messages.Create(ctx, conversation.ID, classic.MessageCreateRequest{Type: classic.MessageTypeChat, Body: "Yes?"})
	require.NoError(t, err)
	_, err = api.Messages.Create(ctx, conversation.ID, classic.MessageCreateRequest{Type: classic.MessageTypePrivateNote, Body: "psst"})
	require.NoError(t, err)
	account, err := api.Accounts.Create(ctx, classic.AccountCreateRequest{OwnerID: 1, Domain: "acme.example"})
	require.NoError(t, err)
	person := srv.AddPerson(account.AccountID, drift.Person{Name: "Ada"})
	event, err := api.Contacts.CreateTimelineEvent(ctx, classic.TimelineEventRequest{ExternalID: "x-1", Event: "Bought"})
	require.NoError(t, err)

	read, err := v2.Contacts.Get(ctx, contact.ID)
	require.NoError(t, err)
	assert.Equal(t, "ann@example.com", read.Email)
	assert.Equal(t, "pro", read.CustomAttributes["plan"])
	people, err := v2.Companies.ListPeople(ctx, account.AccountID, drift.CompanyListPeopleOptions{})
	require.NoError(t, err)
	assert.Equal(t, person, people.Items[0].ID)
	var bodies []string
	for _, message := range srv.Messages(conversation.ID) {
		bodies = append(bodies, message.Body)
	}
	assert.Equal(t, []string{"Hello", "Yes?"}, bodies)
	assert.Equal(t, "psst", srv.Notes(conversation.ID)[0].Body)
	assert.Equal(t, []*classic.TimelineEvent{event}, srv.TimelineEvents(contact.ID))
	assert.Empty(t, srv.TimelineEvents(99))
	accounts := srv.Accounts()
	require.Len(t, accounts, 1)
	assert.Equal(t, account, accounts[0])
	provisioned, err := api.SCIM.CreateUser(ctx, classic.SCIMUserCreateRequest{UserName: "zoe@acme.example", DisplayName: "Zoe"})
	require.NoError(t, err)
	users := srv.Users()
	require.Len(t, users, 1)
	assert.Equal(t, provisioned.UserName, users[0].Email)
}

// All four ways of paging come to their end, with the largest pages and with small ones, and each record once.
func TestClassicPagesToTheEnd(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t)
	ctx := t.Context()
	const many = 203
	for i := range many {
		status := drift.ConversationStatusOpen
		if i%2 == 1 {
			status = drift.ConversationStatusClosed
		}
		srv.AddConversation(drift.Conversation{Status: status, UpdatedAt: time.UnixMilli(1e12 + int64(i/3))})
		srv.AddMessage(drift.Message{ConversationID: 1, Body: strconv.Itoa(i), CreatedAt: time.UnixMilli(1e12 + int64(i/3))})
		srv.AddAccount(classic.Account{Domain: fmt.Sprintf("c%d.example", i)})
		srv.AddUser(classic.User{Email: fmt.Sprintf("u%d@acme.example", i)})
	}
	closed := []classic.ConversationStatus{classic.ConversationStatusClosed}
	for _, test := range []struct {
		operation   string
		want, pages int
		ids         func() ([]string, error)
	}{
		{"conversations.list", many, 3, func() ([]string, error) {
			return idsOf(api.Conversations.All(ctx, classic.ConversationListOptions{}), func(c *classic.Conversation) string { return c.ID.String() })
		}},
		{"conversations.list", many / 2, 15, func() ([]string, error) {
			return idsOf(api.Conversations.All(ctx, classic.ConversationListOptions{Statuses: closed, Limit: 7}, drift.WithPrefetch()),
				func(c *classic.Conversation) string { return c.ID.String() })
		}},
		{"messages.list", many, 5, func() ([]string, error) {
			return idsOf(api.Messages.All(ctx, 1, classic.MessageListOptions{}), func(m *classic.Message) string { return m.ID.String() })
		}},
		{"accounts.list", many, 4, func() ([]string, error) {
			return idsOf(api.Accounts.All(ctx, classic.AccountListOptions{}), func(a *classic.Account) string { return a.AccountID.String() })
		}},
		{"accounts.list", many, 29, func() ([]string, error) {
			return idsOf(api.Accounts.All(ctx, classic.AccountListOptions{Limit: 7}), func(a *classic.Account) string { return a.AccountID.String() })
		}},
		{"scim.listUsers", many, 3, func() ([]string, error) {
			return idsOf(api.SCIM.AllUsers(ctx, classic.SCIMListUsersOptions{}), func(u *classic.SCIMUser) string { return u.ID.String() })
		}},
		{"scim.listUsers", many, 29, func() ([]string, error) {
			return idsOf(api.SCIM.AllUsers(ctx, classic.SCIMListUsersOptions{Limit: 7}), func(u *classic.SCIMUser) string { return u.ID.String() })
		}},
	} {
		srv.Reset()
		ids, err := test.ids()
		require.NoError(t, err, test.operation)
		assert.Len(t, ids, test.want, test.operation)
		seen := map[string]bool{}
		for _, id := range ids {
			assert.False(t, seen[id], "%s: %s twice", test.operation, id)
			seen[id] = true
		}
		assert.Equal(t, test.pages, srv.Count("classic."+test.operation), test.operation)
	}
}

func idsOf[T any](seq func(func(*T, error) bool), id func(*T) string) (ids []string, err error) {
	for item, err := range seq {
		if err != nil {
			return ids, err
		}
		ids = append(ids, id(item))
	}
	return ids, nil
}

// A cursor of one page goes on in All, and the error of a sequence has one.
func TestClassicCursorsResume(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t, drifttest.WithDemoData())
	ctx := t.Context()
	open := classic.ConversationListOptions{Statuses: []classic.ConversationStatus{classic.ConversationStatusOpen}, Limit: 4}
	all, err := drift.Collect(api.Conversations.All(ctx, open), 0)
	require.NoError(t, err)
	page, err := api.Conversations.List(ctx, open)
	require.NoError(t, err)
	open.Cursor = page.Next
	rest, err := drift.Collect(api.Conversations.All(ctx, open), 0)
	require.NoError(t, err)
	assert.Equal(t, all, append(page.Items, rest...))

	none := drifttest.Fault{}
	down := drifttest.Fault{Status: http.StatusBadRequest}
	srv.Fail("classic.accounts.list", none, down)
	found, err := drift.Collect(api.Accounts.All(ctx, classic.AccountListOptions{Limit: 5}), 0)
	var broken *drift.PageError
	require.ErrorAs(t, err, &broken)
	left, err := drift.Collect(api.Accounts.All(ctx, classic.AccountListOptions{Limit: 5, Cursor: broken.Cursor}), 0)
	require.NoError(t, err)
	assert.Len(t, append(found, left...), len(srv.Accounts()))
}

func TestClassicDownloadResumesWithARange(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t)
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	file := srv.AddAttachment(drift.Attachment{FileName: "a.bin", MIMEType: "application/pdf"}, data)
	srv.Fail("classic.attachments.download", drifttest.Fault{Drop: drifttest.DropInBody}, drifttest.Fault{Drop: drifttest.DropInBody})
	var got bytes.Buffer
	require.NoError(t, api.Attachments.Download(t.Context(), classic.AttachmentID(file.ID), &got))
	assert.Equal(t, data, got.Bytes())
	requests := srv.Requests()
	require.Len(t, requests, 3)
	assert.Empty(t, requests[0].Header.Get("Range"))
	for _, r := range requests[1:] {
		assert.Regexp(t, `^bytes=[1-9][0-9]*-$`, r.Header.Get("Range"))
		assert.NotEmpty(t, r.Header.Get("If-Range"))
	}
	require.ErrorIs(t, api.Attachments.Download(t.Context(), 99, &got), drift.ErrNotFound)
}

func TestClassicTranscripts(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t)
	contact := srv.AddContact(drift.Contact{Attributes: drift.Attributes{"name": "Ann"}})
	id := srv.AddConversation(drift.Conversation{ContactID: contact})
	srv.AddMessage(drift.Message{ConversationID: id, Body: "<p>{&quot;data&quot;: &quot;no JSON&quot;}</p>", CreatedAt: testkit.ClassicClock()})
	text, err := api.Conversations.GetTranscript(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, "Jan 30, 12:00:00 AM UTC Ann: {\"data\": \"no JSON\"}\n", text)
	transcript, err := api.Conversations.GetJSONTranscript(t.Context(), id)
	require.NoError(t, err)
	messages, err := drift.Collect(api.Messages.All(t.Context(), id, classic.MessageListOptions{}), 0)
	require.NoError(t, err)
	assert.Equal(t, messages, transcript.Messages)
	assert.NotEmpty(t, transcript.Raw)
}

func TestClassicUsersById(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t)
	first, second := srv.AddUser(classic.User{Name: "Ann"}), srv.AddUser(classic.User{Name: "Ben", Bot: true})
	users, err := api.Users.GetMany(t.Context(), []drift.UserID{first, 99, second})
	require.NoError(t, err)
	stored := srv.Users()
	assert.Equal(t, map[drift.UserID]*classic.User{first: stored[0], second: stored[1]}, users)
}

// The server lets 60 reports a minute through, and refuses none of the client's: it keeps to that pace, while other
// calls go on.
func TestClassicReportsKeepTheirPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t, drifttest.WithLimits(100, 0))
		api := classic.New(srv.Client())
		began := time.Now()
		for range 130 {
			_, err := api.Reports.Conversations(t.Context(), classic.ReportRequest{Metrics: []string{"numBotMessages"}})
			require.NoError(t, err)
		}
		assert.GreaterOrEqual(t, time.Since(began), 2*time.Minute)
		assert.Less(t, time.Since(began), 3*time.Minute)
		for _, r := range srv.Requests() {
			require.Equal(t, http.StatusOK, r.Status)
		}
	})
}

// The server's own words reach the error, and the codes of the contact service.
func TestClassicErrorsReachTheClient(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t)
	ctx := t.Context()
	req := classic.ContactCreateRequest{Email: "ann@example.com"}
	_, err := api.Contacts.Create(ctx, req)
	require.NoError(t, err)
	_, err = api.Contacts.Create(ctx, req)
	require.ErrorIs(t, err, drift.ErrConflict)
	var refused *drift.APIError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "CONTACT-6", refused.Code)
	_, err = api.Contacts.Get(ctx, 99)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "CONTACT-1", refused.Code)
	require.ErrorIs(t, err, drift.ErrNotFound)
	for status, want := range map[int]error{
		400: drift.ErrInvalid, 401: drift.ErrUnauthorized, 403: drift.ErrForbidden, 404: drift.ErrNotFound, 500: drift.ErrServer,
	} {
		srv.Fail("classic.users.list", drifttest.Fault{Status: status}, drifttest.Fault{Status: status}, drifttest.Fault{Status: status})
		_, err := api.Users.List(ctx)
		require.ErrorIs(t, err, want)
		srv.Reset()
	}
}

// After an uninstall the token is dead, and what identified a person is gone after GDPR.Delete.
func TestClassicEndsAreFinal(t *testing.T) {
	t.Parallel()
	srv, api, _ := startClassic(t, drifttest.WithDemoData())
	ctx := t.Context()
	address := srv.Contacts()[0].Email
	_, err := api.GDPR.Delete(ctx, address)
	require.NoError(t, err)
	found, err := api.Contacts.ListByEmail(ctx, address, classic.ContactListOptions{})
	require.NoError(t, err)
	assert.Empty(t, found)

	user, err := api.SCIM.GetUser(ctx, "2")
	require.NoError(t, err)
	_, err = api.SCIM.UpdateUser(ctx, "2", classic.SCIMUserUpdateRequest{IsActive: drift.Set(false)})
	require.NoError(t, err)
	_, err = api.Users.Get(ctx, 2)
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = api.SCIM.CreateUser(ctx, classic.SCIMUserCreateRequest{UserName: user.UserName, DisplayName: "Ben"})
	require.ErrorIs(t, err, drift.ErrConflict)

	app := srv.OAuthConfig()
	require.NoError(t, api.App.Uninstall(ctx, app.ClientID, app.ClientSecret))
	_, err = api.Users.List(ctx)
	require.ErrorIs(t, err, drift.ErrUnauthorized)
	for _, r := range srv.Requests() {
		assert.NotContains(t, r.Query, app.ClientSecret.Reveal())
	}
}

// A call that its context ends does so at once, although the server never answers.
func TestClassicContextsEndCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := drifttest.Start(t, drifttest.WithDemoData())
		api := classic.New(srv.Client())
		srv.Fail("classic.messages.list", drifttest.Fault{}, drifttest.Fault{Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for i := range 60 {
			srv.AddMessage(drift.Message{ConversationID: 1, Body: strings.Repeat("a", i+1)})
		}
		began := time.Now()
		found, err := drift.Collect(api.Messages.All(ctx, 1, classic.MessageListOptions{}), 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, found, 50)
		assert.Equal(t, 3*time.Second, time.Since(began))
		var broken *drift.PageError
		require.True(t, errors.As(err, &broken))
		assert.NotEmpty(t, broken.Cursor)
	})
}
