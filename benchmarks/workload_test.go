package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
)

func TestWorkload(t *testing.T) {
	assert.InDelta(t, 1200, len(answerOne()), 50)
	assert.InDelta(t, 1.1e6, len(answerPage(1, pageItems, "")), 1e5)
	for _, p := range peers() {
		assert.Len(t, p.answer(), len(answerOne()), p.name)
	}
}

// Everything that is compared decodes every field, and to the same values.
func TestAllReadTheSame(t *testing.T) {
	byHand, err := newByHand(stubURL, newStub(answerOne())).conversation(t.Context(), conversationID)
	require.NoError(t, err)
	goccy, err := newByHandGoccy(stubURL, newStub(answerOne())).conversation(t.Context(), conversationID)
	require.NoError(t, err)
	assert.Equal(t, byHand, goccy)
	client := newTestClient(t, newStub(answerOne()))
	got, err := client.Conversations.Get(t.Context(), conversationID)
	require.NoError(t, err)
	assert.Empty(t, got.Extra)

	attributes := map[string]any{}
	for name, value := range got.CustomAttributes {
		if number, ok := got.CustomAttributes.Float64(name); ok {
			value = number
		}
		attributes[name] = value
	}
	want := handConversation{
		ID: int64(got.ID), Title: got.Title, Status: string(got.Status), Email: got.Email,
		ContactID: int64(got.ContactID), OrgID: int64(got.OrgID), InboxID: int64(got.InboxID), AssignedUserID: int64(got.AssignedUserID),
		WorkflowID: int64(got.WorkflowID), RelatedPlaybookID: int64(got.RelatedPlaybookID),
		Direction: string(got.Direction), Integration: got.Integration, Labels: got.Labels, CustomAttributes: attributes,
		MemberCount: got.MemberCount, ReplySubject: got.ReplySubject, Archived: got.Archived, Deleted: got.Deleted,
		CreatedAt: millis{got.CreatedAt}, UpdatedAt: millis{got.UpdatedAt}, ResolvedAt: millis{got.ResolvedAt},
		LastActivityAt: millis{got.LastActivityAt}, LastMessageSentAt: millis{got.LastMessageSentAt},
	}
	for _, tag := range got.Tags {
		want.Tags = append(want.Tags, handTag{int64(tag.ID), tag.Name, tag.Color})
	}
	for _, id := range got.Participants {
		want.Participants = append(want.Participants, int64(id))
	}
	assert.Equal(t, want, *byHand)
	assert.NotZero(t, want.LastMessageSentAt)
	assert.NotEmpty(t, want.CustomAttributes)
}

// So do both sides of the classic API.
func TestClassicReadsTheSame(t *testing.T) {
	hand := newByHand(stubURL, newStub(answerClassicOne()))
	conversation, err := hand.classicConversation(t.Context(), conversationID)
	require.NoError(t, err)
	got, err := classic.New(newTestClient(t, newStub(answerClassicOne()))).Conversations.Get(t.Context(), conversationID)
	require.NoError(t, err)
	assertSameJSON(t, []byte(classicConversationJSON), conversation, got)

	messages, err := newByHand(stubURL, newStub(answerClassicPage(""))).classicMessages(t.Context(), conversationID)
	require.NoError(t, err)
	api := classic.New(newTestClient(t, newStub(answerClassicPage(""))))
	page, err := api.Messages.List(t.Context(), conversationID, classic.MessageListOptions{})
	require.NoError(t, err)
	require.Len(t, page.Items, classicPageItems)
	require.Len(t, messages, classicPageItems)
	assert.Empty(t, page.Items[0].Extra)
	for i, message := range messages {
		assertSameJSON(t, []byte(classicMessage(i)), message, page.Items[i])
	}
}

// assertSameJSON checks that both values have everything that was sent. Instants are compared as milliseconds.
func assertSameJSON(t *testing.T, sent []byte, hand, client any) {
	t.Helper()
	var want map[string]any
	require.NoError(t, json.Unmarshal(sent, &want))
	for _, value := range []any{hand, client} {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(text, &got))
		for _, name := range []string{"createdAt", "updatedAt"} {
			if at, ok := got[name].(string); ok {
				instant, err := time.Parse(time.RFC3339Nano, at)
				require.NoError(t, err)
				got[name] = float64(instant.UnixMilli())
			}
		}
		if author, ok := got["author"].(map[string]any); ok && author["bot"] == nil {
			author["bot"] = false // the client leaves out what is false
		}
		for _, name := range []string{"attachments", "buttons", "context"} {
			if got[name] == nil {
				delete(got, name) // that by hand writes null
			}
		}
		assert.Equal(t, want, got)
	}
}

// Both sides send the same body.
func TestBothSendTheSame(t *testing.T) {
	var bodies []string
	recorder := transport(func(r *http.Request) (*http.Response, error) {
		body := make([]byte, r.ContentLength)
		_, err := r.Body.Read(body)
		bodies = append(bodies, string(body))
		if err != nil {
			return nil, err
		}
		return newStub(answerOne()).RoundTrip(r)
	})
	for _, c := range []candidate{postByHand(recorder), postWithClient(recorder)} {
		call, err := c.prepare()
		require.NoError(t, err)
		require.NoError(t, call())
	}
	assert.JSONEq(t, bodies[0], bodies[1])
}

// A peer that fails fast would look good.
func TestPeersSucceed(t *testing.T) {
	for _, p := range peers() {
		get, err := p.open(newStub(p.answer()))
		require.NoError(t, err, p.name)
		require.NoError(t, get(), p.name)
		require.NoError(t, p.intoItsType(newByHand(stubURL, newStub(p.answer()))), p.name)
		get, err = p.open(newStub([]byte(`<html>`)))
		require.NoError(t, err, p.name)
		require.Error(t, get(), "%s does not look at the answer", p.name)
	}
}

func newTestClient(t *testing.T, transport http.RoundTripper) *drift.Client {
	client, err := newOurs(stubURL, transport)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}
