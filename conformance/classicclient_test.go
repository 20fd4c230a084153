//lint:file-ignore SA1019 calls every operation, those that Drift has retired too

package conformance_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/conformance"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/testkit"
)

// startClassic returns a server with the demo account, a client of its classic API, and the contract between them.
func startClassic(t *testing.T) (*drifttest.Server, *classic.Client, *conformance.Contract) {
	t.Helper()
	server := drifttest.Start(t, drifttest.WithDemoData(), drifttest.WithClock(testkit.ClassicClock))
	contract := loadClassic(t, server.URL)
	return server, classic.New(server.Client(through(t, contract))), contract
}

// Only what the document describes is sent, and every parameter that it has can be.
func TestClassicClientConforms(t *testing.T) {
	server, client, contract := startClassic(t)
	for _, call := range testkit.ClassicCalls() {
		_, err := call.Do(t.Context(), client)
		require.NoError(t, err, call.Operation)
	}
	unsent := map[string][]string{
		"classic.contacts.listByExternalId": {"limit"}, // the client has no such option
		"classic.messages.list":             {"next"},  // begins with the second page
	}
	for _, op := range classicTable(t) {
		if op.name == "oauth.token" {
			continue
		}
		assert.Positive(t, server.Count(op.name), op.name)
		documented := contract.Document.Paths.Value(op.path).GetOperation(op.method)
		seen, _ := contract.Seen(documented.OperationID)
		want := slices.DeleteFunc(slices.Concat(op.query, op.body), func(name string) bool { return slices.Contains(unsent[op.name], name) })
		assert.Subset(t, seen, want, op.name)
	}
}

// The defaults: no options, and requests with no more than they need.
func TestSmallestClassicRequests(t *testing.T) {
	_, client, _ := startClassic(t)
	ctx := t.Context()
	_, err := client.Contacts.Create(ctx, classic.ContactCreateRequest{Email: "a+b@x.example"})
	require.NoError(t, err)
	_, err = client.Contacts.CreateTimelineEvent(ctx, classic.TimelineEventRequest{ContactID: 1, Event: "Bought"})
	require.NoError(t, err)
	found, err := client.Contacts.ListByEmail(ctx, "a+b@x.example", classic.ContactListOptions{})
	require.NoError(t, err)
	assert.Len(t, found, 1)
	_, err = client.Users.Update(ctx, 1, classic.UserUpdateRequest{Alias: drift.Set("")})
	require.NoError(t, err)
	_, err = client.Meetings.List(ctx, classic.MeetingListOptions{To: time.UnixMilli(1)})
	require.NoError(t, err)
	_, err = client.Conversations.List(ctx, classic.ConversationListOptions{})
	require.NoError(t, err)
	_, err = client.Conversations.Create(ctx, classic.ConversationCreateRequest{Email: "a@x.example", Body: "Hello"})
	require.NoError(t, err)
	_, err = client.Messages.Create(ctx, 1, classic.MessageCreateRequest{Type: classic.MessageTypeChat, Body: "Hi"})
	require.NoError(t, err)
	_, err = client.Accounts.Create(ctx, classic.AccountCreateRequest{OwnerID: 1})
	require.NoError(t, err)
	_, err = client.Accounts.List(ctx, classic.AccountListOptions{})
	require.NoError(t, err)
	_, err = client.SCIM.ListUsers(ctx, classic.SCIMListUsersOptions{})
	require.NoError(t, err)
	_, err = client.SCIM.CreateUser(ctx, classic.SCIMUserCreateRequest{UserName: "z@x.example", DisplayName: "Z"})
	require.NoError(t, err)
	_, err = client.Reports.Conversations(ctx, classic.ReportRequest{Metrics: []string{"numBotMessages"}})
	require.NoError(t, err)
}

// Values that only survive if they are escaped: the contract reads each back from its request.
func TestClassicValuesAtTheEdges(t *testing.T) {
	server, client, _ := startClassic(t)
	ctx := t.Context()
	const odd = "a/b c&d=e+f%2F?#ü"
	_, err := client.Contacts.Create(ctx, classic.ContactCreateRequest{Email: "a@x.example", ExternalID: odd})
	require.NoError(t, err)
	found, err := client.Contacts.ListByExternalID(ctx, []string{odd})
	require.NoError(t, err)
	assert.Len(t, found, 1)
	_, err = client.Contacts.AddTags(ctx, found[0].ID, []classic.Tag{{Name: odd}})
	require.NoError(t, err)
	require.NoError(t, client.Contacts.RemoveTag(ctx, found[0].ID, odd))
	id := server.AddAccount(classic.Account{AccountID: odd, OwnerID: 1})
	account, err := client.Accounts.Get(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, id, account.AccountID)
	_, err = client.Conversations.Get(ctx, 1<<53+1)
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = client.Contacts.Get(ctx, 1<<63-1)
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = client.SCIM.ListUsers(ctx, classic.SCIMListUsersOptions{Filter: `userName eq "` + odd + `"`})
	require.NoError(t, err)
}

// Each way of paging goes through the document to its end.
func TestClassicPagingConforms(t *testing.T) {
	server, client, _ := startClassic(t)
	ctx := t.Context()
	for i := range 120 {
		server.AddMessage(drift.Message{ConversationID: 1, Body: fmt.Sprint(i)})
	}
	for name, list := range map[string]func() (int, error){
		"conversations.list": func() (int, error) {
			return count(client.Conversations.All(ctx, classic.ConversationListOptions{
				Statuses: []classic.ConversationStatus{classic.ConversationStatusOpen}, Limit: 3,
			}))
		},
		"messages.list": func() (int, error) { return count(client.Messages.All(ctx, 1, classic.MessageListOptions{})) },
		"accounts.list": func() (int, error) { return count(client.Accounts.All(ctx, classic.AccountListOptions{Limit: 3})) },
		"scim.listUsers": func() (int, error) {
			return count(client.SCIM.AllUsers(ctx, classic.SCIMListUsersOptions{Limit: 2}))
		},
	} {
		server.Reset()
		n, err := list()
		require.NoError(t, err, name)
		assert.Positive(t, n, name)
		assert.Greater(t, server.Count("classic."+name), 1, name)
	}
}

// The document has every error that the client tells apart.
func TestClassicClientReadsDocumentedErrors(t *testing.T) {
	server, client, _ := startClassic(t)
	for status, want := range map[int]error{
		http.StatusBadRequest: drift.ErrInvalid, http.StatusUnauthorized: drift.ErrUnauthorized, http.StatusForbidden: drift.ErrForbidden,
		http.StatusNotFound: drift.ErrNotFound, http.StatusConflict: drift.ErrConflict, http.StatusInternalServerError: drift.ErrServer,
	} {
		for _, operation := range []string{"classic.contacts.create", "classic.scim.createUser", "classic.messages.create"} {
			server.Fail(operation, drifttest.Fault{Status: status})
			_, err := classicCall(t, operation).Do(t.Context(), client)
			require.ErrorIs(t, err, want, operation)
		}
	}
}

func classicCall(t *testing.T, operation string) testkit.ClassicCall {
	t.Helper()
	calls := testkit.ClassicCalls()
	i := slices.IndexFunc(calls, func(c testkit.ClassicCall) bool { return "classic."+c.Operation == operation })
	require.GreaterOrEqual(t, i, 0, operation)
	return calls[i]
}
