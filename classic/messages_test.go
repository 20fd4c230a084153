package classic_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var messageCalls = map[string]goldenCall{
	"messages.list": func(ctx context.Context, c *classic.Client) (any, error) {
		return page(c.Messages.List(ctx, 116119985, classic.MessageListOptions{Cursor: "a&b"}))
	},
	"messages.create": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.Messages.Create(ctx, 116119985, classic.MessageCreateRequest{
			Type: classic.MessageTypeChat, Body: "<p>Hello</p>", Buttons: []classic.Button{classic.ReplyButton("Yes")}, UserID: 228225,
			EditedMessageID: 635760548, EditType: "replace",
		})
	},
}

func TestAllMessages(t *testing.T) {
	var queries []string
	client := classic.New(testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("next") {
		case "":
			testkit.Respond(200, `{"data": {"messages": [{"id": 1}, {"id": 2}]}, "pagination": {"more": true, "next": 51}}`)(w, r)
		case "51":
			testkit.Respond(200, `{"messages": [{"id": 3}, null], "pagination": {"more": "true", "next": "a b"}}`)(w, r)
		default: // the cursor beside "more" does not count
			testkit.Respond(200, `{"data": [{"id": 4}], "pagination": {"more": false, "next": "c"}, "links": {"next": "?next=d"}}`)(w, r)
		}
	}))
	var found []drift.MessageID
	odd := 0
	for message, err := range client.Messages.All(t.Context(), 7, classic.MessageListOptions{}) {
		if err != nil {
			testkit.RequireRecordError(t, err, 1, "")
			odd++
			continue
		}
		found = append(found, message.ID)
	}
	assert.Equal(t, []drift.MessageID{1, 2, 3, 4}, found)
	assert.Equal(t, 1, odd)
	assert.Equal(t, []string{"", "next=51", "next=a+b"}, queries)
}

func TestMessagesThatAreNotThere(t *testing.T) {
	for body, path := range map[string]string{`{"data": {}}`: "/messages", `{"data": {"messages": {}}}`: "/messages", `{"data": 7}`: ""} {
		_, err := answering(t, body).Messages.List(t.Context(), 7, classic.MessageListOptions{})
		testkit.RequireDecodeError(t, err, path)
	}
	page, err := answering(t, `{"data": {"messages": null}}`).Messages.List(t.Context(), 7, classic.MessageListOptions{})
	require.NoError(t, err)
	assert.Empty(t, page.Items)
}

// The recorded answer is the message, the documented one a list, whose last message is the new one.
func TestCreateMessage(t *testing.T) {
	req := classic.MessageCreateRequest{Type: classic.MessageTypeChat, Body: "Hi"}
	for _, body := range []string{
		`{"data": {"id": 2, "conversationId": 7}}`, `{"id": 2, "conversationId": "7"}`, `{"data": {"messages": [{"id": 1, "conversationId": 7}, {"id": 2, "conversationId": 7}]}}`,
		`{"data": [{"id": "soon"}, {"id": 2, "conversationId": 7}]}`, `{"messages": [{"id": 2, "conversationId": 7}]}`,
	} {
		message, err := answering(t, body).Messages.Create(t.Context(), 7, req)
		require.NoError(t, err, body)
		assert.Equal(t, &classic.Message{ID: 2, ConversationID: 7}, message, body)
	}
	for body, path := range map[string]string{
		`{"data": {"messages": []}}`: "/messages", `{"data": {}}`: "/id", `{"data": {"id": 2, "conversationId": 8}}`: "/conversationId",
		`{"data": {"messages": [{"id": 2}, {"id": 3, "conversation_id": 8}]}}`: "/messages/1/conversation_id",
	} {
		_, err := answering(t, body).Messages.Create(t.Context(), 7, req)
		testkit.RequireDecodeError(t, err, path)
		require.ErrorIs(t, err, drift.ErrAmbiguous)
	}
}

func TestCreateMessageIsRefused(t *testing.T) {
	client := answering(t, `{}`)
	compose := classic.Button{Label: "a", Value: "a", Type: "compose"}
	for argument, req := range map[string]classic.MessageCreateRequest{
		"type": {Body: "a"}, "buttons": {Type: "chat", Buttons: []classic.Button{compose}}, "body": {Type: "chat", Body: "\xff"},
		"userId": {Type: "chat", UserID: -1},
	} {
		_, err := client.Messages.Create(t.Context(), 7, req)
		requireInvalid(t, err, argument)
	}
	_, err := client.Messages.Create(t.Context(), 7, classic.MessageCreateRequest{Type: "chat", Buttons: []classic.Button{{Label: "a", Value: "b", Type: "reply"}}})
	requireInvalid(t, err, "buttons")
	_, err = client.Messages.Create(t.Context(), 7, classic.MessageCreateRequest{Type: "private_note", Buttons: []classic.Button{{Label: "\xff"}}})
	requireInvalid(t, err, "buttons")
	_, err = answering(t, `{"data": {"id": 1}}`).Messages.Create(t.Context(), 7, classic.MessageCreateRequest{Type: "private_prompt", Buttons: []classic.Button{compose}})
	require.NoError(t, err)
}

// What is not set is not sent: not even the message of a reaction that deletes.
func TestReactionsOfButtons(t *testing.T) {
	client, requests := recording(t, `{"data": {"id": 1}}`)
	_, err := client.Messages.Create(t.Context(), 7, classic.MessageCreateRequest{Type: classic.MessageTypePrivatePrompt, Buttons: []classic.Button{
		{Label: "a", Value: "b", Type: "action", Style: "danger", Reaction: &classic.ButtonReaction{Type: "delete"}},
	}})
	require.NoError(t, err)
	assert.Equal(t, []string{`POST /conversations/7/messages {"type":"private_prompt","buttons":` +
		`[{"label":"a","value":"b","type":"action","style":"danger","reaction":{"type":"delete"}}]}`}, *requests)
}

func TestDecodeMessage(t *testing.T) {
	page, err := answering(t, `{"data": {"messages": [
		{"id": 1, "context": {"IP": "203.0.113.7", "location": {"City": "Boston", "x": 1.50}, "screen": "wide"}, "attributes": {"preMessages": {"a": 1}}},
		{"id": 2, "attachment": {"fileName": "a.pdf", "url": "https://driftapi.com/attachments/77/data"}},
		{"id": 3, "attachments": [{"id": "9", "url": "https://driftapi.com/attachments/77/data"}, {"url": "https://a.example/b"}]},
		{"id": 4, "author": {"id": "5", "type": "robot", "bot": "true", "x": 1}, "type": "shout"}
	]}}`).Messages.List(t.Context(), 7, classic.MessageListOptions{})
	require.NoError(t, err)
	require.Len(t, page.Items, 4)
	assert.Equal(t, &classic.MessageContext{IP: "203.0.113.7", Location: drift.Attributes{"City": "Boston", "x": json.Number("1.50")},
		Extra: map[string]json.RawMessage{"screen": json.RawMessage(`"wide"`)}}, page.Items[0].Context)
	assert.Equal(t, drift.Attributes{"preMessages": map[string]any{"a": json.Number("1")}}, page.Items[0].Attributes)
	assert.Equal(t, []classic.Attachment{{ID: 77, FileName: "a.pdf", URL: "https://driftapi.com/attachments/77/data"}}, page.Items[1].Attachments)
	assert.Equal(t, classic.AttachmentID(9), page.Items[2].Attachments[0].ID)
	assert.Zero(t, page.Items[2].Attachments[1].ID)
	assert.Equal(t, &classic.Author{ID: 5, Type: "robot", Bot: true, Extra: map[string]json.RawMessage{"x": json.RawMessage(`1`)}}, page.Items[3].Author)
	assert.False(t, page.Items[3].Type.IsKnown())
	assert.False(t, page.Items[3].Author.Type.IsKnown())
}
