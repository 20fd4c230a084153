package classic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var conversationCalls = map[string]goldenCall{
	"conversations.list": func(ctx context.Context, c *classic.Client) (any, error) {
		return page(c.Conversations.List(ctx, classic.ConversationListOptions{
			Statuses: []classic.ConversationStatus{classic.ConversationStatusPending, classic.ConversationStatusOpen},
			Limit:    2, Cursor: "a+b/c==",
		}))
	},
	"conversations.get": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.Get(ctx, 116119985)
	},
	"conversations.create": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.Create(ctx, classic.ConversationCreateRequest{
			Email: "ann@example.com", Body: "Hello & welcome", IntegrationSource: "Message from the shop", AutoAssigneeID: 228225,
			Attributes: drift.Attributes{"order": 7},
		})
	},
	"conversations.stats": func(ctx context.Context, c *classic.Client) (any, error) { return c.Conversations.Stats(ctx) },
	"conversations.getTranscript": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.GetTranscript(ctx, 116119985)
	},
	"conversations.getJSONTranscript": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Conversations.GetJSONTranscript(ctx, 116119985)
	},
}

func ids(conversations []*classic.Conversation) (found []int) {
	for _, conversation := range conversations {
		found = append(found, int(conversation.ID))
	}
	return found
}

// The links name another host, and the pagination beside them counts in another way.
func TestConversationsPageByTokens(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("page_token") {
		case "":
			testkit.Respond(200, `{"data": [{"id": 1}, {"id": 2}], "pagination": {"more": true, "next": "4"},
				"links": {"self": "", "next": "`+trap+`/conversations/list?page_token=a%2Bb%3D%3D&limit=2"}}`)(w, r)
		case "a+b==":
			testkit.Respond(200, `{"data": [{"id": 3}, {"id": "soon"}], "pagination": {"more": false},
				"links": {"next": "`+trap+`/conversations/list?page_token=c"}}`)(w, r)
		case "c":
			testkit.Respond(200, `{"data": [], "pagination": {"more": true, "next": "8"}, "links": {"self": "", "next": null}}`)(w, r)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	options := classic.ConversationListOptions{Statuses: []classic.ConversationStatus{classic.ConversationStatusOpen}}
	all := client.Conversations.All(t.Context(), options, drift.WithPrefetch())
	for range 2 { // it can be repeated
		odd := 0
		found, err := drift.Collect(drift.SkipRecordErrors(all, func(e *drift.RecordError) { odd++ }), 0)
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2, 3}, ids(found))
		assert.Equal(t, 1, odd)
	}
	assert.Equal(t, []string{"limit=100&page_token=&statusId=1", "limit=100&page_token=a%2Bb%3D%3D&statusId=1",
		"limit=100&page_token=c&statusId=1"}, queries[:3])
	assert.Zero(t, calls())

	// A cursor of List goes on in All.
	first, err := client.Conversations.List(t.Context(), options)
	require.NoError(t, err)
	assert.Equal(t, "a+b==", first.Next)
	options.Cursor = first.Next
	rest, err := drift.Collect(drift.SkipRecordErrors(client.Conversations.All(t.Context(), options), nil), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{3}, ids(rest))
}

// Without links in the answer, the old paging mode applies.
func TestConversationsPageInTheOldMode(t *testing.T) {
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		if r.URL.Query().Get("next") == "" {
			testkit.Respond(200, `{"data": [{"id": 1}], "pagination": {"more": true, "next": 123494893}}`)(w, r)
			return
		}
		testkit.Respond(200, `{"data": [{"id": 2}]}`)(w, r)
	}))
	found, err := drift.Collect(client.Conversations.All(t.Context(), classic.ConversationListOptions{Limit: 1}), 0)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2}, ids(found))
	assert.Equal(t, []string{"limit=1&page_token=", "limit=1&next=123494893"}, queries)
}

func TestConversationLinks(t *testing.T) {
	for links, want := range map[string]string{
		`{}`: "", `{"next": ""}`: "", `{"next": null}`: "", `{"next": "/conversations/list?page_token=b"}`: "b", `{"next": "?limit=%zz&page_token=b#c"}`: "b",
	} {
		page, err := answering(t, `{"data": [], "links": `+links+`, "pagination": {"more": true, "next": "4"}}`).
			Conversations.List(t.Context(), classic.ConversationListOptions{})
		require.NoError(t, err, links)
		assert.Equal(t, want, page.Next, links)
	}
	for links, path := range map[string]string{
		`{"next": "https://a.example/?cursor=b"}`: "/links/next", `{"next": {}}`: "/links/next",
	} {
		_, err := answering(t, `{"data": [], "links": `+links+`}`).Conversations.List(t.Context(), classic.ConversationListOptions{})
		testkit.RequireDecodeError(t, err, path)
	}
}

func TestConversationCursorLoop(t *testing.T) {
	client := answering(t, `{"data": [{"id": 1}], "links": {"next": "?page_token=a"}}`)
	found, err := drift.Collect(client.Conversations.All(t.Context(), classic.ConversationListOptions{}), 0)
	assert.Len(t, found, 2)
	require.ErrorIs(t, err, drift.ErrCursorLoop)
	var failed *drift.PageError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "a", failed.Cursor)
}

func TestConversationStatuses(t *testing.T) {
	client := answering(t, `{"data": []}`)
	for _, status := range []classic.ConversationStatus{classic.ConversationStatusBulkSent, "", "new"} {
		_, err := client.Conversations.List(t.Context(), classic.ConversationListOptions{Statuses: []classic.ConversationStatus{status}})
		requireInvalid(t, err, "Statuses")
	}
	for _, status := range []classic.ConversationStatus{"open", "closed", "pending", "bulk_sent"} {
		assert.True(t, status.IsKnown())
	}
	assert.False(t, classic.ConversationStatus("new").IsKnown())
	for _, limit := range []int{-1, 101} {
		_, err := client.Conversations.List(t.Context(), classic.ConversationListOptions{Limit: limit})
		requireInvalid(t, err, "limit")
	}
}

// The answer has no envelope, and lacks members where nobody was routed. One that is not recognized is an error, so that
// nobody sends the request again.
func TestCreateConversation(t *testing.T) {
	req := classic.ConversationCreateRequest{Email: "a@b.c", Body: "Hello"}
	for _, body := range []string{`{"id": 7, "status": "open", "updatedAt": 1767225600123}`, `{"data": {"id": 7, "status": "open", "updatedAt": 1767225600123}}`} {
		conversation, err := answering(t, body).Conversations.Create(t.Context(), req)
		require.NoError(t, err, body)
		assert.Equal(t, &classic.Conversation{ID: 7, Status: "open", UpdatedAt: instant(0)}, conversation)
		assert.Equal(t, "https://app.drift.com/conversations/7", conversation.URL())
	}
	_, err := answering(t, `{"result": "OK"}`).Conversations.Create(t.Context(), req)
	testkit.RequireDecodeError(t, err, "/id")
	require.ErrorIs(t, err, drift.ErrAmbiguous)

	client, requests := recording(t, `{"id": 7}`)
	_, err = client.Conversations.Create(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, []string{`POST /conversations/new {"email":"a@b.c","message":{"body":"Hello"}}`}, *requests)
	for argument, req := range map[string]classic.ConversationCreateRequest{
		"email": {Body: "a"}, "body": {Email: "a@b.c"}, "autoAssigneeId": {Email: "a@b.c", Body: "a", AutoAssigneeID: -1},
		"attributes": {Email: "a@b.c", Body: "a", IntegrationSource: "a", Attributes: drift.Attributes{"integrationSource": "b"}},
	} {
		_, err := client.Conversations.Create(t.Context(), req)
		requireInvalid(t, err, argument)
	}
}

// A new conversation is not opened twice.
func TestCreateConversationIsNotRepeated(t *testing.T) {
	for _, status := range []int{408, 500, 502, 503, 504} {
		var requests atomic.Int32
		client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.WriteHeader(status)
		}, testkit.Impatient()))
		_, err := client.Conversations.Create(t.Context(), classic.ConversationCreateRequest{Email: "a@b.c", Body: "a"})
		var ambiguous *drift.AmbiguousError
		require.ErrorAs(t, err, &ambiguous, "%d", status)
		assert.Empty(t, ambiguous.ClientID)
		assert.EqualValues(t, 1, requests.Load())
	}
}

func TestConversationStats(t *testing.T) {
	stats, err := answering(t, `{"conversationCount": {"OPEN": 125, "CLOSED": "282", "SNOOZED": 3, "PENDING": null}}`).Conversations.Stats(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 125, stats.Open())
	assert.Equal(t, 282, stats.Closed())
	assert.Zero(t, stats.Pending())
	assert.Equal(t, 410, stats.Total())
	for _, body := range []string{`{}`, `{"OPEN": 125}`, `{"conversation_count": null}`} { // no counts are not all zero
		_, err := answering(t, body).Conversations.Stats(t.Context())
		require.ErrorAs(t, err, new(*drift.DecodeError), body)
	}
	none, err := answering(t, `{"conversationCount": {}}`).Conversations.Stats(t.Context())
	require.NoError(t, err)
	assert.Zero(t, none.Total())
	assert.Equal(t, map[string]int{"OPEN": 125, "CLOSED": 282, "SNOOZED": 3, "PENDING": 0}, stats.Counts)
}

func TestGetTranscript(t *testing.T) {
	const line = `Dec 16, 03:41:59 PM EST null: "a"`
	for _, test := range []struct{ contentType, body, want string }{
		{"text/plain; charset=utf-8", line, line},
		{"", `{"error": {"message": "no"}}`, `{"error": {"message": "no"}}`},
		{"text/html", "<p>a</p>", "<p>a</p>"},
		{"text/plain", `"a"`, `"a"`},
		{"text/plain", `{"data": "a"}`, `{"data": "a"}`},
		{"application/octet-stream", "a", "a"},
		{"application/json", line, line},
		{"application/json", `"a\nb"`, "a\nb"},
		{"application/json; charset=utf-8", `{"data": "a\nb"}`, "a\nb"},
		{"application/vnd.drift+json", `{"data": "a"}`, "a"},
		{"application/json", `{"data": {"a": 1}}`, `{"data": {"a": 1}}`},
		{"application/json", `{"error": "a"}`, `{"error": "a"}`},
		{"application/json", ``, ``},
	} {
		var accept string
		client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			accept = r.Header.Get("Accept")
			w.Header()["Content-Type"] = []string{test.contentType}
			_, _ = w.Write([]byte(test.body))
		}))
		text, err := client.Conversations.GetTranscript(t.Context(), 7)
		require.NoError(t, err, "%v", test)
		assert.Equal(t, test.want, text, "%v", test)
		assert.Equal(t, "*/*", accept)
	}
	client := classic.New(testkit.AnsweringClient(t, http.StatusNotFound, `{"error": {"type": "not_found"}}`))
	_, err := client.Conversations.GetTranscript(t.Context(), 7)
	require.ErrorIs(t, err, drift.ErrNotFound)
}

func TestGetJSONTranscript(t *testing.T) {
	const list = `[{"id":1,"body":"Hi"},{"body":"no id"}]`
	for _, body := range []string{`{"data":{"messages":` + list + `}}`, `{"messages":` + list + `}`, `{"data":` + list + `}`, list} {
		transcript, err := answering(t, body).Conversations.GetJSONTranscript(t.Context(), 7)
		require.NoError(t, err, body)
		require.Len(t, transcript.Messages, 2, body)
		assert.Equal(t, "Hi", transcript.Messages[0].Body)
		assert.Contains(t, string(transcript.Raw), list)
		assertSameJSON(t, transcript)
	}
	for body, raw := range map[string]string{
		`{"data":{"lines":[1]}}`: `{"lines":[1]}`, `{"data":"a"}`: `"a"`, `{"messages":[{"id":"soon"}]}`: `{"messages":[{"id":"soon"}]}`, `[7]`: `[7]`,
	} {
		transcript, err := answering(t, body).Conversations.GetJSONTranscript(t.Context(), 7)
		require.NoError(t, err, body)
		assert.Equal(t, &classic.JSONTranscript{Raw: json.RawMessage(raw)}, transcript)
	}
	text, err := json.Marshal(classic.JSONTranscript{Messages: []*classic.Message{{ID: 1}}})
	require.NoError(t, err)
	assert.Equal(t, `{"messages":[{"id":1}]}`, string(text))
	_, err = answering(t, `{"error": "no"}`).Conversations.GetJSONTranscript(t.Context(), 7)
	require.ErrorAs(t, err, new(*drift.APIError))
}

// assertSameJSON checks that a value survives encoding/json.
func assertSameJSON[T any](t *testing.T, value *T) {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	back := new(T)
	require.NoError(t, json.Unmarshal(text, back), string(text))
	assert.Equal(t, value, back, string(text))
}

func TestConversationPlaybook(t *testing.T) {
	for value, want := range map[string]drift.PlaybookID{`26612`: 26612, `"26612"`: 26612, `null`: 0, `""`: 0} {
		conversation, err := answering(t, fmt.Sprintf(`{"data": {"id": 7, "relatedPlaybookId": %s}}`, value)).Conversations.Get(t.Context(), 7)
		require.NoError(t, err, value)
		assert.Equal(t, want, conversation.RelatedPlaybookID)
	}
	_, err := answering(t, `{"data": {"id": 8}}`).Conversations.Get(t.Context(), 7)
	testkit.RequireDecodeError(t, err, "/id")
}
