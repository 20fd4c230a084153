package classic_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

// What other clients of this API get wrong. Each row is one mistake, and what this client does instead.
func TestPitfalls(t *testing.T) {
	for number, row := range []struct {
		name  string
		check func(*testing.T)
	}{
		{"a conversation without an envelope is decoded", pitfallBareConversation},
		{"the created message is found in both shapes", pitfallCreatedMessage},
		{"a transcript is text, even one that looks like JSON", pitfallTranscript},
		{"the token stays at its host, whatever a link names", pitfallForeignLink},
		{"queries are escaped", pitfallQueries},
		{"an event with an external id has no contact id", pitfallTimelineEvent},
		{"attributes stay a map, with every key and type", pitfallAttributes},
		{"every success is a success", pitfallStatuses},
		{"by e-mail all contacts come, not one", pitfallDuplicates},
		{"meetings can begin at 0", pitfallMeetings},
		{"false can be sent, and a field cleared", pitfallFalse},
		{"an account without an owner is not sent", pitfallOwner},
		{"an error keeps the answer", pitfallErrors},
		{"a write is not sent twice, and Retry-After is obeyed", pitfallRetries},
		{"paging follows more, and takes numbers as cursors", pitfallPaging},
		{"users come by their ids", pitfallUsers},
		{"an account's id is escaped", pitfallAccountID},
		{"Accept is sent, the token is not printed, and a reaction has no empty message", pitfallHeaders},
	} {
		t.Run(fmt.Sprintf("%02d %s", number+1, row.name), row.check)
	}
}

func pitfallBareConversation(t *testing.T) {
	conversation, err := answering(t, `{"id": 7, "status": "open", "contactId": 9, "updatedAt": 1767225600123}`).
		Conversations.Create(t.Context(), classic.ConversationCreateRequest{Email: "a@b.c", Body: "Hi"})
	require.NoError(t, err)
	assert.Equal(t, &classic.Conversation{ID: 7, Status: classic.ConversationStatusOpen, ContactID: 9, UpdatedAt: instant(0)}, conversation)
}

func pitfallCreatedMessage(t *testing.T) {
	for _, body := range []string{
		`{"data": {"id": 7, "body": "Hi"}}`, `{"data": {"messages": [{"id": 6, "body": "Before"}, {"id": 7, "body": "Hi"}]}}`,
	} {
		message, err := answering(t, body).Messages.Create(t.Context(), 1, classic.MessageCreateRequest{Type: classic.MessageTypeChat, Body: "Hi"})
		require.NoError(t, err)
		assert.Equal(t, &classic.Message{ID: 7, Body: "Hi"}, message)
	}
	_, err := answering(t, `{"data": {"messages": []}}`).Messages.Create(t.Context(), 1, classic.MessageCreateRequest{Type: classic.MessageTypeChat})
	require.ErrorIs(t, err, drift.ErrAmbiguous, "no message and no error would be sent again")
}

func pitfallTranscript(t *testing.T) {
	for _, text := range []string{"Dec 16, 03:41:59 PM EST Bot (Agent): Hi\n", `{"error": "said the bot"}`, "", "null"} {
		client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, text)
		}))
		got, err := client.Conversations.GetTranscript(t.Context(), 7)
		require.NoError(t, err)
		assert.Equal(t, text, got)
	}
}

func pitfallForeignLink(t *testing.T) {
	var foreign atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { foreign.Add(1) }))
	defer other.Close()
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		next := `"` + other.URL + `/conversations/list?page_token=a%2Bb%3D"`
		if len(queries) > 1 {
			next = "null"
		}
		testkit.Respond(200, `{"data": [{"id": 1}], "links": {"next": `+next+`}, "pagination": {"more": true, "next": "4"}}`)(w, r)
	}))
	found, err := drift.Collect(client.Conversations.All(t.Context(), classic.ConversationListOptions{}), 0)
	require.NoError(t, err)
	assert.Len(t, found, 2)
	assert.Equal(t, []string{"limit=100&page_token=", "limit=100&page_token=a%2Bb%3D"}, queries)
	assert.Zero(t, foreign.Load())
}

func pitfallQueries(t *testing.T) {
	client, requests := recording(t, `{"data": []}`)
	ctx := t.Context()
	_, err := client.Contacts.ListByEmail(ctx, "a+b@c.d", classic.ContactListOptions{Limit: 1})
	require.NoError(t, err)
	_, err = client.Contacts.ListByExternalID(ctx, []string{"a&b", "c=d"})
	require.NoError(t, err)
	require.NoError(t, client.App.Uninstall(ctx, "client", "a&b+c"))
	_, err = client.Messages.List(ctx, 7, classic.MessageListOptions{Cursor: "a&b="})
	require.NoError(t, err)
	assert.Equal(t, []string{
		"GET /contacts?email=a%2Bb%40c.d&limit=1", "GET /contacts?id=a%26b&id=c%3Dd&idType=external",
		"POST /app/uninstall?clientId=client&clientSecret=a%26b%2Bc", "GET /conversations/7/messages?next=a%26b%3D",
	}, *requests)
}

func pitfallTimelineEvent(t *testing.T) {
	client, requests := recording(t, `{"data": {"event": "bought"}}`)
	_, err := client.Contacts.CreateTimelineEvent(t.Context(), classic.TimelineEventRequest{ExternalID: "x-1", Event: "Bought"})
	require.NoError(t, err)
	assert.Equal(t, []string{`POST /contacts/timeline {"externalId":"x-1","event":"Bought"}`}, *requests)
}

func pitfallAttributes(t *testing.T) {
	contact, err := answering(t, `{"data": {"id": 7, "attributes": {"_END_USER_VERSION": 4, "_end_user_version": 5, "externalId": 12341243,
		"socialProfiles": {"x": {}}, "custom": [1.5, null]}}}`).Contacts.Get(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, drift.Attributes{
		"_END_USER_VERSION": json.Number("4"), "_end_user_version": json.Number("5"), "externalId": json.Number("12341243"),
		"socialProfiles": map[string]any{"x": map[string]any{}}, "custom": []any{json.Number("1.5"), nil},
	}, contact.Attributes)
	assert.Equal(t, "12341243", contact.ExternalID())
}

func pitfallStatuses(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		body := `{"result": "OK", "ok": true}`
		if status == 204 {
			body = ""
		}
		client := classic.New(testkit.AnsweringClient(t, status, body))
		require.NoError(t, client.Contacts.Delete(t.Context(), 7), status)
		require.NoError(t, client.Accounts.Delete(t.Context(), "1_a"), status)
		require.NoError(t, client.SCIM.DeleteUser(t.Context(), "7"), status)
	}
	_, err := classic.New(testkit.AnsweringClient(t, 201, `{"data": {"id": 7}}`)).Contacts.Create(t.Context(), classic.ContactCreateRequest{Email: "a@b.c"})
	require.NoError(t, err)
}

func pitfallDuplicates(t *testing.T) {
	client, requests := recording(t, `{"data": [{"id": 1}, {"id": 2}]}`)
	found, err := client.Contacts.ListByEmail(t.Context(), "a@b.c", classic.ContactListOptions{})
	require.NoError(t, err)
	assert.Len(t, found, 2)
	assert.Equal(t, []string{"GET /contacts?email=a%40b.c&limit=100"}, *requests)
}

func pitfallMeetings(t *testing.T) {
	client, requests := recording(t, `{"data": []}`)
	for _, from := range []time.Time{{}, time.UnixMilli(0)} {
		_, err := client.Meetings.List(t.Context(), classic.MeetingListOptions{From: from, To: time.UnixMilli(5), Limit: 1})
		require.NoError(t, err)
	}
	const want = "GET /users/meetings/org?limit=1&max_start_time=5&min_start_time=0"
	assert.Equal(t, []string{want, want}, *requests)
}

func pitfallFalse(t *testing.T) {
	client, requests := recording(t, `{"data": {"accountId": "1_a", "id": 7}}`)
	ctx := t.Context()
	_, err := client.Accounts.Create(ctx, classic.AccountCreateRequest{OwnerID: 1, Targeted: new(false)})
	require.NoError(t, err)
	_, err = client.Accounts.Update(ctx, "1_a", classic.AccountUpdateRequest{OwnerID: 1, Targeted: drift.Set(false), Name: drift.Set(""), Domain: drift.Null[string]()})
	require.NoError(t, err)
	_, err = client.Users.Update(ctx, 7, classic.UserUpdateRequest{Phone: drift.Set("")})
	require.NoError(t, err)
	_, err = client.Contacts.Update(ctx, 7, classic.ContactUpdateRequest{Attributes: drift.Attributes{"plan": nil}})
	require.NoError(t, err)
	assert.Equal(t, []string{
		`POST /accounts/create {"ownerId":1,"targeted":false}`,
		`PATCH /accounts/update {"domain":null,"name":"","ownerId":1,"targeted":false,"accountId":"1_a"}`,
		`PATCH /users/update?userId=7 {"phone":""}`, `PATCH /contacts/7 {"attributes":{"plan":null}}`,
	}, *requests)
}

func pitfallOwner(t *testing.T) {
	client, requests := recording(t, `{}`)
	for _, owner := range []drift.UserID{0, -1} {
		_, err := client.Accounts.Create(t.Context(), classic.AccountCreateRequest{Domain: "a.example", OwnerID: owner})
		requireInvalid(t, err, "ownerId")
		_, err = client.Accounts.Update(t.Context(), "1_a", classic.AccountUpdateRequest{OwnerID: owner})
		requireInvalid(t, err, "ownerId")
	}
	assert.Empty(t, *requests)
}

func pitfallErrors(t *testing.T) {
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "r-1")
		testkit.Respond(http.StatusConflict, `{"error": {"type": "conflict", "message": "There is a contact"}, "code": "CONTACT-6"}`)(w, r)
	}))
	_, err := client.Contacts.Create(t.Context(), classic.ContactCreateRequest{Email: "a@b.c"})
	require.ErrorIs(t, err, drift.ErrConflict)
	var refused *drift.APIError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "classic.contacts.create", refused.Operation)
	assert.Equal(t, []any{409, "conflict", "There is a contact", "CONTACT-6", "r-1"},
		[]any{refused.StatusCode, refused.Type, refused.Message, refused.Code, refused.RequestID})
	assert.Contains(t, string(refused.Body()), "There is a contact")
}

func pitfallRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.MemoryNetwork{Status: http.StatusBadGateway}
		client := classic.New(testkit.Through(t, network.RoundTrip))
		_, err := client.Messages.Create(t.Context(), 1, classic.MessageCreateRequest{Type: classic.MessageTypeChat, Body: "Hi"})
		require.ErrorIs(t, err, drift.ErrAmbiguous)
		assert.EqualValues(t, 1, network.Requests.Load())

		calls := 0
		client = classic.New(testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			if calls++; calls == 1 {
				answer := testkit.MemoryAnswer(r, http.StatusTooManyRequests, "application/json", `{}`)
				answer.Header.Set("Retry-After", "7")
				return answer, nil
			}
			return testkit.MemoryAnswer(r, http.StatusOK, "application/json", `{"data": []}`), nil
		}))
		began := time.Now()
		_, err = client.Users.List(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(began), 7*time.Second)
		assert.Equal(t, 2, calls)
	})
}

func pitfallPaging(t *testing.T) {
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		body := `{"data": {"messages": [{"id": 1}]}, "pagination": {"more": true, "next": 50}}`
		if len(queries) > 1 {
			body = `{"data": {"messages": [{"id": 2}]}, "pagination": {"more": false, "next": 100}}`
		}
		testkit.Respond(200, body)(w, r)
	}))
	found, err := drift.Collect(client.Messages.All(t.Context(), 7, classic.MessageListOptions{}), 0)
	require.NoError(t, err)
	assert.Equal(t, drift.MessageID(2), found[len(found)-1].ID, "the latest message is on the last page")
	assert.Equal(t, []string{"", "next=50"}, queries)
}

func pitfallUsers(t *testing.T) {
	for _, body := range []string{
		`{"data": {"7": {"id": 7, "name": "Ann"}, "8": {"id": 8, "name": "Ben"}}}`, `{"7": {"id": 7, "name": "Ann"}, "8": {"id": 8, "name": "Ben"}}`,
		`{"data": [{"id": 7, "name": "Ann"}, {"id": "8", "name": "Ben"}]}`,
	} {
		users, err := answering(t, body).Users.GetMany(t.Context(), []drift.UserID{8, 7, 9})
		require.NoError(t, err)
		assert.Equal(t, map[drift.UserID]*classic.User{7: {ID: 7, Name: "Ann"}, 8: {ID: 8, Name: "Ben"}}, users)
	}
}

func pitfallAccountID(t *testing.T) {
	client, requests := recording(t, `{"data": {"accountId": "1/a?b#c%d_é.example"}}`)
	_, err := client.Accounts.Get(t.Context(), "1/a?b#c%d_é.example")
	require.NoError(t, err)
	assert.Equal(t, []string{"GET /accounts/1%2Fa%3Fb%23c%25d_%C3%A9.example"}, *requests)
	for _, id := range []classic.AccountID{"", ".", "..", "a\n"} {
		requireInvalid(t, client.Accounts.Delete(t.Context(), id), "accountId")
	}
}

func pitfallHeaders(t *testing.T) {
	var accepts []string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		accepts = append(accepts, r.Header.Get("Accept"))
		testkit.Respond(200, `{"data": []}`)(w, r)
	}, drift.WithHeader("X-A", "MARKER"))
	api := classic.New(client)
	_, err := api.Teams.List(t.Context())
	require.NoError(t, err)
	require.NoError(t, api.Attachments.Download(t.Context(), 9, io.Discard))
	assert.Equal(t, []string{"application/json", "*/*"}, accepts)
	assert.NotContains(t, fmt.Sprintf("%+v %#v", api, api), "MARKER")
	text, err := json.Marshal(classic.Button{Label: "No", Reaction: &classic.ButtonReaction{Type: "delete"}})
	require.NoError(t, err)
	assert.Equal(t, `{"label":"No","reaction":{"type":"delete"}}`, string(text))
}
