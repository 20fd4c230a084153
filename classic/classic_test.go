package classic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestNewFillsEveryService(t *testing.T) {
	services := reflect.ValueOf(classic.New(testkit.NewClient(t, "https://drift.test"))).Elem()
	for field, value := range services.Fields() {
		assert.False(t, value.IsNil(), field.Name)
	}
}

// A view gives its options to every call.
func TestNewOfAView(t *testing.T) {
	var response drift.Response
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		assert.Equal(t, "a", r.Header.Get("X-A"))
		return testkit.MemoryAnswer(r, http.StatusOK, "application/json", `{"data": {"id": 7}}`), nil
	})
	api := classic.New(client.With(drift.WithHeader("X-A", "a"), drift.WithResponse(&response)))
	_, err := api.Users.Get(t.Context(), 7)
	require.NoError(t, err)
	assert.Len(t, response.Attempts, 1)

	require.NoError(t, client.Close())
	_, err = api.Users.Get(t.Context(), 7)
	require.ErrorIs(t, err, drift.ErrClosed)
}

func TestNewOfAClientThatIsNotConnected(t *testing.T) {
	const want = "drift: this client was not made by NewClient"
	for _, client := range []*drift.Client{nil, {}, (&drift.Client{}).With(drift.WithBulk())} {
		api := classic.New(client)
		_, err := api.Contacts.Get(t.Context(), 7)
		require.EqualError(t, err, want)
		require.EqualError(t, api.Accounts.Delete(t.Context(), "a"), want)
		_, err = drift.Collect(api.Conversations.All(t.Context(), classic.ConversationListOptions{}), 0)
		require.ErrorAs(t, err, new(*drift.PageError))
		assert.Contains(t, err.Error(), "not made by NewClient")
		_, err = api.Users.List(t.Context())
		require.EqualError(t, err, want)
	}
}

type fakeUsers struct{ classic.UsersService }

func (fakeUsers) Get(context.Context, drift.UserID, ...drift.CallOption) (*classic.User, error) {
	return &classic.User{Name: "Ann"}, nil
}

func TestClientOfFakes(t *testing.T) {
	client := &classic.Client{Users: fakeUsers{}}
	user, err := client.Users.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, "Ann", user.Name)
}

func TestServicesShowNothing(t *testing.T) {
	client := classic.New(testkit.NewClient(t, "https://drift.test", drift.WithHeader("X-A", "MARKER")))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%t", "%x"} {
		assert.NotContains(t, fmt.Sprintf(verb, client.Contacts), "MARKER", verb)
		assert.NotContains(t, fmt.Sprintf(verb, client), "MARKER", verb)
	}
}

// markedAnswers repeat everything that they got, except in the words that errors quote.
func markedAnswers(w http.ResponseWriter, r *http.Request, answer string) {
	sent, _ := io.ReadAll(r.Body)
	quoted, _ := json.Marshal(string(sent) + r.URL.RequestURI() + r.Header.Get("Authorization"))
	status, body, _ := strings.Cut(answer, " ")
	code := 200
	_, _ = fmt.Sscan(status, &code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.ReplaceAll(strings.ReplaceAll(body, "SENT", string(quoted)), "MARK", testkit.MarkedAnswer))
}

func TestNothingSecretShows(t *testing.T) {
	for _, answer := range []string{
		`200 {"data": {"id": "MARK", "MARK": SENT}}`, `200 {"data": [{"id": {"MARK": SENT}}]}`, `200 {"data": "MARK"}`, `200 {"data": {"id": 1, "MARK`,
		`200 {"data": [], "links": {"next": "https://drift.test/MARK"}}`, `200 {"data": {"accounts": [], "next": "/MARK"}}`, `200 <title>MARK SENT</title>`,
		`400 {"error": {"message": "no"}, "MARK": SENT}`,
		`401 {"error": {"message": "bad ` + testkit.MarkedToken + `"}}`, `429 {"MARK": SENT}`, `500 <pre>MARK SENT</pre>`, `200 {"ok": false, "MARK": SENT}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { markedAnswers(w, r, answer) }))
		watch := new(testkit.SecretWatch)
		client, err := drift.NewClient(append(watch.Options(), drift.WithToken(testkit.MarkedToken), drift.WithBaseURL(server.URL),
			drift.WithLimiter(testkit.OpenLimiter{}), drift.WithoutRetry())...)
		require.NoError(t, err)
		api := classic.New(client)
		for _, err := range markedCalls(t.Context(), api) {
			watch.ShowError(err)
		}
		watch.Show(api)
		require.NoError(t, client.Close())
		server.Close()
		watch.Check(t)
	}
}

// markedCalls are calls with markers wherever a value goes.
func markedCalls(ctx context.Context, c *classic.Client) (errs []error) {
	add := func(_ any, err error) { errs = append(errs, err) }
	add(c.Contacts.Create(ctx, classic.ContactCreateRequest{Email: testkit.MarkedAddress, Attributes: drift.Attributes{testkit.MarkedBody: testkit.MarkedBody}}))
	add(c.Contacts.ListByEmail(ctx, testkit.MarkedAddress, classic.ContactListOptions{}))
	add(c.Contacts.ListByExternalID(ctx, []string{testkit.MarkedQuery}))
	add(nil, c.Contacts.Unsubscribe(ctx, []string{testkit.MarkedAddress}))
	add(nil, c.Contacts.RemoveTag(ctx, 1, testkit.MarkedPath))
	add(drift.Collect(c.Conversations.All(ctx, classic.ConversationListOptions{}), 0))
	add(c.Messages.Create(ctx, 1, classic.MessageCreateRequest{Type: "chat", Body: testkit.MarkedBody}))
	add(c.Accounts.Get(ctx, testkit.MarkedPath))
	add(c.Accounts.List(ctx, classic.AccountListOptions{Cursor: testkit.MarkedQuery}))
	add(nil, c.App.Uninstall(ctx, testkit.MarkedQuery, testkit.MarkedSecret))
	add(c.App.TokenInfo(ctx, testkit.MarkedSecret))
	add(c.GDPR.Delete(ctx, testkit.MarkedAddress))
	add(c.SCIM.ListUsers(ctx, classic.SCIMListUsersOptions{Filter: testkit.MarkedQuery}))
	add(c.SCIM.GetUser(ctx, testkit.MarkedPath))
	add(c.Reports.ConversationSummary(ctx, classic.ReportSummaryRequest{Metrics: []classic.ReportSummaryMetric{{Property: testkit.MarkedBody}}}))
	return errs
}

// Every record and request survives encoding/json unchanged, with everything in it set.
func TestRoundTrips(t *testing.T) {
	for _, of := range testkit.ClassicJSONTypes() {
		filled := testkit.Filled(t, of)
		text, err := json.Marshal(filled.Interface())
		require.NoError(t, err, of.Name())
		back := reflect.New(of)
		require.NoError(t, json.Unmarshal(text, back.Interface()), "%s: %s", of.Name(), text)
		assert.Equal(t, filled.Interface(), back.Interface(), "%s: %s", of.Name(), text)
		require.NoError(t, json.Unmarshal([]byte("{}"), back.Interface()), of.Name())
		if direct, ok := back.Interface().(json.Unmarshaler); ok {
			require.Error(t, direct.UnmarshalJSON(nil), of.Name())
		}
	}
}

func TestEnumsAreOpen(t *testing.T) {
	for known, unknown := range map[interface{ IsKnown() bool }]interface{ IsKnown() bool }{
		classic.AttributeTypeDate: classic.AttributeType("date"), classic.AvailabilityOnCall: classic.Availability("AWAY"),
		classic.UserRoleAgent: classic.UserRole("owner"), classic.MessageTypeSuggestion: classic.MessageType("sms"),
		classic.AuthorTypeUser: classic.AuthorType("bot"), classic.PropertyTypeURL: classic.PropertyType("BOOL"),
		classic.TeamStatusArchived: classic.TeamStatus("NEW"), classic.TeamAvailabilityModeCustomHours: classic.TeamAvailabilityMode("NEW"),
		classic.ReportOperationIn: classic.ReportOperation("EQUALS"),
	} {
		assert.True(t, known.IsKnown(), "%v", known)
		assert.False(t, unknown.IsKnown(), "%v", unknown)
	}
}
