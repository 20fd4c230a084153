package conformance_test

import (
	"encoding/json"
	"iter"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/conformance"
	"github.com/driftsdk/drift/drifttest"
)

const document = "../testdata/openapi.yaml"

// start returns a server with the demo account, a client of it, and the contract that stands between them.
func start(t *testing.T, opts ...drifttest.Option) (*drifttest.Server, *drift.Client, *conformance.Contract) {
	t.Helper()
	server := drifttest.Start(t, append(opts, drifttest.WithDemoData())...)
	contract, err := conformance.Load(document, server.URL)
	require.NoError(t, err)
	return server, server.Client(through(t, contract)), contract
}

// through is the option that sends a client's requests through the contract.
func through(t *testing.T, contract *conformance.Contract) drift.Option {
	t.Helper()
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	return drift.WithHTTPClient(&http.Client{Transport: &conformance.Transport{
		Contract: contract,
		Base:     base,
		Report:   func(err error) { t.Helper(); t.Error(err) },
	}})
}

// operation is a line of the catalogue.
type operation struct {
	name, method, path string
	parameters         []string // sorted
}

func catalogue(t *testing.T) []operation {
	t.Helper()
	data, err := os.ReadFile("../testdata/operations.tsv")
	require.NoError(t, err)
	var operations []operation
	for line := range strings.Lines(string(data)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, columns, 5, line)
		if columns[0] == "operation" {
			continue
		}
		parameters := strings.FieldsFunc(columns[3], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(parameters)
		operations = append(operations, operation{columns[0], columns[1], "/" + columns[2], parameters})
	}
	require.Len(t, operations, 34)
	return operations
}

func TestEveryOperationWithEveryParameter(t *testing.T) {
	_, client, contract := start(t)
	for _, call := range conformance.Calls() {
		_, err := call.Do(t.Context(), client)
		require.NoError(t, err, call.Operation)
	}
	for _, op := range catalogue(t) {
		seen, ok := contract.Seen(op.name)
		require.True(t, ok, "no request of %s", op.name)
		seen = slices.DeleteFunc(seen, func(name string) bool { return isAddress(op, name) || name == "limit" })
		assert.Equal(t, append([]string{}, op.parameters...), append([]string{}, seen...), op.name)
	}
}

// isAddress reports whether a parameter only stands in the path: the catalogue lists one such, the status.
func isAddress(op operation, name string) bool {
	return strings.Contains(op.path, "{"+name+"}") && !slices.Contains(op.parameters, name)
}

// A message keeps its body, a tag its name and a meeting its start.
func TestNullClearsEveryFieldThatMayBeAbsent(t *testing.T) {
	_, client, contract := start(t)
	ctx := t.Context()

	_, err := client.Conversations.Update(ctx, 1, drift.ConversationUpdateRequest{
		AssignedUserID: drift.Null[drift.UserID](), CustomAttributes: drift.Null[drift.Attributes](), Labels: drift.Null[[]string](),
		Tags: drift.Null[[]string](), WorkflowID: drift.Null[drift.WorkflowID](),
	})
	require.NoError(t, err)
	_, err = client.Messages.Update(ctx, 1, 1, drift.MessageUpdateRequest{
		Body: drift.Set("Hi"), Labels: drift.Null[[]string](), Reply: drift.Null[bool](), Type: drift.Null[drift.MessageType](),
	})
	require.NoError(t, err)
	_, err = client.Contacts.Update(ctx, 1, drift.ContactUpdateRequest{
		AssignedUserID: drift.Null[drift.UserID](), BackgroundMode: drift.Null[bool](), CustomAttributes: drift.Null[drift.Attributes](),
		Email: drift.Null[string](), Labels: drift.Null[[]string](), Tags: drift.Null[[]string](),
	})
	require.NoError(t, err)
	_, err = client.Notes.Update(ctx, 1, 1, drift.NoteUpdateRequest{
		Body: drift.Null[string](), Closed: drift.Null[bool](), CreatedAt: drift.Null[time.Time](),
		Labels: drift.Null[[]string](), Tags: drift.Null[[]string](), Type: drift.Null[string](),
	})
	require.NoError(t, err)
	_, err = client.Tags.Update(ctx, 1, drift.TagUpdateRequest{
		BackgroundMode: drift.Null[bool](), Color: drift.Null[string](), Description: drift.Null[string](), Enabled: drift.Null[bool](),
		Name: drift.Set("vip"),
	})
	require.NoError(t, err)
	updateMeetingWithNulls(t, client)
	_, err = client.Driftbot.UpdateMessage(ctx, 1, drift.DriftbotUpdateMessageRequest{
		Body: drift.Set("Hi"), Labels: drift.Null[[]string](),
	})
	require.NoError(t, err)

	for _, op := range catalogue(t) {
		if op.method != http.MethodPatch {
			continue
		}
		seen, _ := contract.Seen(op.name)
		assert.Subset(t, seen, op.parameters, op.name)
	}
}

func updateMeetingWithNulls(t *testing.T, client *drift.Client) {
	t.Helper()
	_, err := client.Meetings.Update(t.Context(), 1, drift.MeetingUpdateRequest{
		ConversationID: drift.Null[drift.ConversationID](), Duration: drift.Null[time.Duration](), EndedAt: drift.Null[time.Time](),
		Location: drift.Null[string](), Notes: drift.Null[string](), ParticipantIDs: drift.Null[[]drift.ParticipantID](),
		StartAt: drift.Set(time.UnixMilli(1)), Subject: drift.Null[string](), UpdatedBy: drift.Null[drift.UserID](),
	})
	require.NoError(t, err)
}

func TestNullUnderAKeyAndAsAPayload(t *testing.T) {
	_, client, _ := start(t)
	_, err := client.Contacts.Update(t.Context(), 1, drift.ContactUpdateRequest{
		CustomAttributes: drift.Set(drift.Attributes{"plan": nil, "seats": 3}),
	})
	require.NoError(t, err)
	interaction, err := client.Driftbot.Trigger(t.Context(), 1, drift.DriftbotTriggerRequest{Payload: json.RawMessage("null")})
	require.NoError(t, err)
	assert.Equal(t, drift.ConversationID(1), interaction.ConversationID)
}

// The defaults: no options, empty requests where the service takes them, keys that the SDK makes up.
func TestSmallestRequests(t *testing.T) {
	_, client, _ := start(t)
	ctx := t.Context()
	_, err := client.Conversations.Create(ctx, drift.ConversationCreateRequest{})
	require.NoError(t, err)
	_, err = client.Contacts.Create(ctx, drift.ContactCreateRequest{})
	require.NoError(t, err)
	_, err = client.Messages.Create(ctx, 1, drift.MessageCreateRequest{Body: "Hello"})
	require.NoError(t, err)
	_, err = client.Notes.Create(ctx, 1, drift.NoteCreateRequest{})
	require.NoError(t, err)
	_, err = client.Driftbot.Trigger(ctx, 1, drift.DriftbotTriggerRequest{})
	require.NoError(t, err)
	_, err = client.Conversations.List(ctx, drift.ConversationListOptions{})
	require.NoError(t, err)
}

func TestValuesAtTheEdges(t *testing.T) {
	_, client, _ := start(t)
	ctx := t.Context()
	_, err := client.Contacts.Get(ctx, 1<<53+1)
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = client.Conversations.List(ctx, drift.ConversationListOptions{AssignedUserID: 1<<63 - 1, CreatedAt: time.UnixMilli(-1)})
	require.NoError(t, err)
	_, err = client.Companies.ListPeople(ctx, "acme/west & co?", drift.CompanyListPeopleOptions{})
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = client.Conversations.ListByStatus(ctx, "on hold", drift.ConversationListByStatusOptions{})
	require.NoError(t, err)
	_, err = client.Contacts.List(ctx, drift.ContactListOptions{CustomAttributes: drift.Attributes{"a (b)": "c & d", "e.f": 1e21}})
	require.NoError(t, err)
}

func TestPaging(t *testing.T) {
	server, client, _ := start(t)
	ctx := t.Context()
	for name, list := range map[string]func() (int, error){
		"conversations.list": func() (int, error) {
			return count(client.Conversations.All(ctx, drift.ConversationListOptions{Limit: 13, Deleted: new(false)}))
		},
		"conversations.listByStatus": func() (int, error) {
			return count(client.Conversations.AllByStatus(ctx, "open", drift.ConversationListByStatusOptions{Limit: 9}))
		},
		"contacts.list": func() (int, error) {
			return count(client.Contacts.All(ctx, drift.ContactListOptions{Limit: 7}))
		},
		"companies.listPeople": func() (int, error) {
			return count(client.Companies.AllPeople(ctx, "acme.example", drift.CompanyListPeopleOptions{Limit: 2}))
		},
		"companies.listTeams": func() (int, error) {
			return count(client.Companies.AllTeams(ctx, "acme.example", drift.CompanyListTeamsOptions{Limit: 1}))
		},
		"meetings.list": func() (int, error) {
			return count(client.Meetings.All(ctx, drift.MeetingListOptions{Limit: 3}))
		},
	} {
		items, err := list()
		require.NoError(t, err, name)
		assert.Greater(t, server.Count(name), 1, name)
		assert.Greater(t, items, server.Count(name)-1, name)
	}
}

func count[T any](seq iter.Seq2[*T, error]) (int, error) {
	items, err := drift.Collect(seq, 1000)
	return len(items), err
}

func TestErrors(t *testing.T) {
	_, client, _ := start(t)
	ctx := t.Context()

	_, err := client.Contacts.Get(ctx, 999)
	require.ErrorIs(t, err, drift.ErrNotFound)
	_, err = client.Contacts.MatchEmail(ctx, "nobody@customer.example")
	require.ErrorIs(t, err, drift.ErrNotFound)
	require.ErrorIs(t, client.Tags.Delete(ctx, 999), drift.ErrNotFound)
	_, err = client.Messages.Create(ctx, 1, drift.MessageCreateRequest{})
	require.ErrorIs(t, err, drift.ErrInvalid)
	_, err = client.Messages.Update(ctx, 1, 1, drift.MessageUpdateRequest{Body: drift.Null[string]()})
	require.ErrorIs(t, err, drift.ErrInvalid)
	_, err = client.Tags.Update(ctx, 1, drift.TagUpdateRequest{Name: drift.Null[string]()})
	require.ErrorIs(t, err, drift.ErrInvalid)
	_, err = client.Meetings.Update(ctx, 1, drift.MeetingUpdateRequest{StartAt: drift.Null[time.Time]()})
	require.ErrorIs(t, err, drift.ErrInvalid)
}

// Every status has a client of its own: a 429 holds up all calls of the client that met it.
func TestErrorStatuses(t *testing.T) {
	server, _, contract := start(t)
	for status, want := range map[int]error{
		http.StatusBadRequest:          drift.ErrInvalid,
		http.StatusForbidden:           drift.ErrForbidden,
		http.StatusConflict:            drift.ErrConflict,
		http.StatusUnprocessableEntity: drift.ErrInvalid,
		http.StatusTooManyRequests:     drift.ErrRateLimited,
		http.StatusInternalServerError: drift.ErrServer,
		http.StatusServiceUnavailable:  drift.ErrServer,
	} {
		server.Fail("meetings.get", drifttest.Fault{Status: status})
		_, err := server.Client(through(t, contract), drift.WithoutRetry()).Meetings.Get(t.Context(), 1)
		require.ErrorIs(t, err, want, status)
	}
}

func TestBadToken(t *testing.T) {
	server, _, contract := start(t)
	client, err := drift.NewClient(drift.WithBaseURL(server.URL), drift.WithToken("wrong"), through(t, contract))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	_, err = client.Contacts.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrUnauthorized)
}

func TestLimits(t *testing.T) {
	_, client, _ := start(t, drifttest.WithLimits(1, 2))
	client = client.With(drift.WithoutRetry())
	_, err := client.Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	_, err = client.Contacts.Get(t.Context(), 1)
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	assert.Positive(t, limited.RetryAfter)
}

func TestMonthUsedUp(t *testing.T) {
	_, client, _ := start(t, drifttest.WithLimits(0, 1))
	_, err := client.Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	_, err = client.Contacts.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
}
