package drifttest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// read decodes the answer to a request that must succeed.
func read[T any](w *wire, method, path, body string) (answer T) {
	w.t.Helper()
	res := w.send(method, path, body)
	require.NoError(w.t, res.err)
	require.Equal(w.t, http.StatusOK, res.status, "%s %s: %s", method, path, res.body)
	require.NoError(w.t, json.Unmarshal(res.body, &answer))
	return answer
}

type conversationList struct {
	Data []struct {
		ID, UpdatedAt int64
		Status        string
	}
	Links struct {
		Self string
		Next *string
	}
	Pagination *struct {
		More bool
		Next string
	}
}

func (l conversationList) token(t *testing.T) string {
	t.Helper()
	next, err := url.Parse(*l.Links.Next)
	require.NoError(t, err)
	assert.Equal(t, "api.drift.com", next.Host)
	assert.Equal(t, "/conversations/list", next.Path)
	return next.Query().Get("page_token")
}

func TestClassicConversationsPageByToken(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	page := read[conversationList](w, "GET", "conversations/list?page_token=&limit=9&statusId=1&statusId=3", "")
	assert.Equal(t, "9", page.Pagination.Next, "an offset, which is no token")
	plain, err := base64.StdEncoding.DecodeString(page.token(t))
	require.NoError(t, err)
	last := page.Data[8]
	assert.Equal(t, fmt.Sprintf("highestId=%d&highestUpdatedAt=%d&limit=9&statusIds=1&statusIds=3", last.ID, last.UpdatedAt), string(plain))

	// What is updated meanwhile is missed, and nothing comes twice.
	w.ok("PATCH", "v2/conversations/1", `{"labels":[]}`)
	seen := map[int64]bool{}
	updated := int64(1 << 62)
	pages := 1
	for ; ; pages++ {
		for _, c := range page.Data {
			assert.False(t, seen[c.ID], "twice")
			seen[c.ID] = true
			assert.LessOrEqual(t, c.UpdatedAt, updated)
			updated = c.UpdatedAt
			assert.Contains(t, []string{"open", "pending"}, c.Status)
		}
		if page.Links.Next == nil {
			break
		}
		// The token keeps filter and limit.
		page = read[conversationList](w, "GET", "conversations/list?page_token="+url.QueryEscape(page.token(t)), "")
	}
	assert.Len(t, seen, 29)
	assert.Equal(t, 4, pages)
	assert.Nil(t, page.Pagination)
	assert.NotEmpty(t, page.Links.Self)
}

func TestClassicConversationsDefaultPage(t *testing.T) {
	t.Parallel()
	w := startDemo(t)
	page := read[conversationList](w, "GET", "conversations/list", "")
	assert.Len(t, page.Data, 25)
	assert.EqualValues(t, 60, page.Data[0].ID, "the newest")
	w.isBad(t, "conversations/list?limit=101")
	list := w.send("GET", "conversations/list?limit=1", "")
	assert.JSONEq(t, `{"id":60,"status":"bulk_sent","contactId":24,"inboxId":2,"createdAt":`+fmt.Sprint(created(t, list.body))+
		`,"updatedAt":`+fmt.Sprint(page.Data[0].UpdatedAt)+`}`, item(t, list.body), "an item has no more than that")
}

func created(t *testing.T, body []byte) int64 {
	t.Helper()
	var l struct{ Data []struct{ CreatedAt int64 } }
	require.NoError(t, json.Unmarshal(body, &l))
	return l.Data[0].CreatedAt
}

func item(t *testing.T, body []byte) string {
	t.Helper()
	var l struct{ Data []json.RawMessage }
	require.NoError(t, json.Unmarshal(body, &l))
	return string(l.Data[0])
}

// What one API writes, the other one reads.
func TestClassicConversationsAreThoseOfV2(t *testing.T) {
	t.Parallel()
	w := start(t)
	bare := read[map[string]any](w, "POST", "conversations/new",
		`{"email":"A@x.example","message":{"body":"<p>Hi &amp; bye</p>","attributes":{"integrationSource":"form","autoAssigneeId":4}}}`)
	assert.NotContains(t, bare, "orgId")

	conversation := w.ok("GET", "v2/conversations/1", "")
	assert.Equal(t, json.Number("4"), conversation["assigned_user_id"])
	assert.Equal(t, "form", conversation["integration"])
	assert.Equal(t, "inbound", conversation["direction"])
	assert.Equal(t, "A@x.example", w.ok("GET", "v2/contacts/1", "")["email"])
	message := w.ok("GET", "v2/conversations/1/messages/1", "")
	assert.Equal(t, "<p>Hi &amp; bye</p>", message["body"])
	assert.Equal(t, map[string]any{"id": json.Number("1"), "type": "contact", "bot": false}, message["author"])

	w.ok("POST", "v2/conversations/create", `{"email":"a@x.example","tags":["vip"]}`)
	second := read[struct{ Data map[string]any }](w, "GET", "conversations/2", "").Data
	assert.EqualValues(t, 1, second["contactId"], "the same contact")
	assert.Equal(t, []any{map[string]any{"name": "vip"}}, second["conversationTags"])
	assert.NotContains(t, second, "participants", "nobody was routed")

	w.AddMessage(drift.Message{ConversationID: 2, Body: "no name"})
	text := w.send("GET", "conversations/2/transcript", "", accept(true))
	assert.Contains(t, string(text.body), " null: no name\n")
	assert.Equal(t, "text/plain; charset=utf-8", text.header.Get("Content-Type"))
}

func TestClassicStatsLeaveOutWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := start(t)
	assert.Equal(t, `{"conversationCount":{}}`, string(w.send("GET", "conversations/stats", "").body))
	w.AddConversation(drift.Conversation{Status: drift.ConversationStatusBulkSent})
	w.AddConversation(drift.Conversation{})
	assert.Equal(t, `{"conversationCount":{"OPEN":1}}`, string(w.send("GET", "conversations/stats", "").body))
}

// isBad sends a GET that must be refused.
func (w *wire) isBad(t *testing.T, path string) {
	t.Helper()
	assert.Equal(t, http.StatusBadRequest, w.send("GET", path, "").status, path)
}
