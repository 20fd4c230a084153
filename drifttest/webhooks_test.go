package drifttest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/webhook"
)

// receiver records deliveries, and answers with the statuses that it has, then with 200.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	got      []received
	at       []time.Time
	statuses []int
}

type received struct {
	Type  string         `json:"type"`
	OrgID int            `json:"orgId"`
	Token string         `json:"token"`
	Data  map[string]any `json:"data"`
}

func receive(t *testing.T, statuses ...int) *receiver {
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		assert.NoError(t, err)
		var event received
		assert.NoError(t, json.Unmarshal(body, &event))
		assert.Equal(t, http.MethodPost, request.Method)
		assert.Equal(t, "application/json", request.Header.Get("Content-Type"))
		assert.Equal(t, event.Token, request.Header.Get("X-Verification-Token"))
		w.Header().Set("Location", "/elsewhere") // for the redirects among the statuses
		w.WriteHeader(r.record(event))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) record(event received) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, event)
	r.at = append(r.at, time.Now())
	if len(r.statuses) == 0 {
		return http.StatusOK
	}
	status := r.statuses[0]
	r.statuses = r.statuses[1:]
	return status
}

func (r *receiver) bodies() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var bodies []string
	for _, event := range r.got {
		body, _ := event.Data["body"].(string)
		bodies = append(bodies, body)
	}
	return bodies
}

// finish waits for the deliveries.
func finish(t *testing.T, hooks *drifttest.Webhooks) []drifttest.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, hooks.Wait(ctx))
	return hooks.Deliveries()
}

func TestWebhooksTellWhatHappens(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w, r := start(t, drifttest.WithClock(c.Now)), receive(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: r.URL, Token: "verification-token"})
	now := c.Now().UnixMilli()

	w.ok(http.MethodPost, "v2/conversations/create", `{"email":"grace@a.example","tags":["vip"]}`)
	w.ok(http.MethodPost, "v2/conversations/1/messages", `{"body":"<p>R&D</p>"}`)
	w.AddMessage(drift.Message{ConversationID: 1, Body: "hello", Context: &drift.MessageContext{UserAgent: "browser"}})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "/help"})
	w.ok(http.MethodPost, "v2/contacts/raw", `{"email":"GRACE@a.example"}`)
	w.ok(http.MethodPatch, "v2/contacts/1", `{"custom_attributes":{"plan_name":"pro"}}`)
	w.ok(http.MethodPatch, "v2/contacts/1", `{"custom_attributes":{"plan_name":"pro"}}`) // nothing new
	w.ok(http.MethodPost, "v2/meetings", `{"conversation_id":1,"start_at":1000,"duration":30,"created_by":7}`)
	w.ok(http.MethodPatch, "v2/meetings/1", `{"subject":"no event"}`)
	w.ok(http.MethodPatch, "v2/meetings/1", `{"duration":60}`)
	require.Equal(t, 204, w.send(http.MethodDelete, "v2/meetings/1", "").status)
	w.AddConversation(drift.Conversation{ID: 1, Status: drift.ConversationStatusClosed})
	w.ok(http.MethodPost, "v2/conversations/1/driftbot/trigger", `{"action_id":"greet"}`)

	want := []struct{ event, data string }{
		{"contact_identified", `{"id":1,"createdAt":NOW,"attributes":{"email":"grace@a.example"}}`},
		{"new_conversation", `{"id":1,"orgId":1,"status":"open","contactId":1,"createdAt":NOW,"updatedAt":NOW,"conversationTags":[{"name":"vip"}]}`},
		{"new_message", `{"id":1,"orgId":1,"conversationId":1,"body":"<p>R&D</p>","author":{"id":1,"type":"user","bot":false},"type":"chat","createdAt":NOW,"attributes":{}}`},
		{"new_message", `{"id":2,"orgId":1,"conversationId":1,"body":"hello","author":{"id":1,"type":"contact","bot":false},"type":"chat","createdAt":NOW,"attributes":{},"context":{"userAgent":"browser"}}`},
		{"new_command_message", `{"id":3,"orgId":1,"conversationId":1,"body":"/help","author":{"id":1,"type":"contact","bot":false},"type":"chat","createdAt":NOW,"attributes":{}}`},
		{"contact_updated", `{"endUserId":1,"orgId":1,"timestamp":NOW,"diff":[{"name":"attributes.email","previous":"grace@a.example","updated":"GRACE@a.example"}]}`},
		{"contact_updated", `{"endUserId":1,"orgId":1,"timestamp":NOW,"diff":[{"name":"attributes.plan_name","previous":null,"updated":"pro"}]}`},
		{"new_meeting", `{"agentId":7,"orgId":1,"eventId":"1","slotStart":1000,"slotEnd":1801000,"scheduledAt":NOW,"conversationId":1,"schedulerId":1}`},
		{"meeting_updated", `{"agentId":7,"orgId":1,"eventId":"1","slotStart":1000,"slotEnd":3601000,"scheduledAt":NOW,"conversationId":1,"schedulerId":1,"eventType":"rescheduled"}`},
		{"meeting_updated", `{"agentId":7,"orgId":1,"eventId":"1","slotStart":1000,"slotEnd":3601000,"scheduledAt":NOW,"conversationId":1,"schedulerId":1,"eventType":"canceled"}`},
		{"conversation_status_updated", `{"conversationId":1,"status":"closed","changedAt":NOW}`},
		{"new_message", `{"id":4,"orgId":1,"conversationId":1,"body":"Ran action greet","author":{"id":1,"type":"user","bot":true},"type":"chat","createdAt":NOW,"attributes":{}}`},
	}
	deliveries := finish(t, hooks)
	require.Len(t, deliveries, len(want))
	for i, d := range deliveries {
		assert.Equal(t, want[i].event, d.Event)
		assert.JSONEq(t, replaceNow(want[i].data, now), string(d.Data))
		assert.Equal(t, drifttest.Delivery{Event: d.Event, Data: d.Data, Statuses: []int{200}, Accepted: true, Done: true}, d)
	}
	require.Len(t, r.got, len(want))
	for i, got := range r.got {
		assert.Equal(t, want[i].event, got.Type, "in the order in which it happened")
		assert.Equal(t, "verification-token", got.Token)
		assert.Equal(t, 1, got.OrgID)
	}
}

func TestAddMessageIsSeenByTheAPI(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.AddConversation(drift.Conversation{ContactID: 5})
	w.AddMessage(drift.Message{ID: 9, ConversationID: id, Body: "hi"})
	message := w.ok(http.MethodGet, "v2/conversations/1/messages/9", "")
	assert.Equal(t, map[string]any{"id": json.Number("5"), "type": "contact", "bot": false}, message["author"])

	noted := w.AddMessage(drift.Message{ConversationID: id, Type: drift.MessageTypePrivateNote, Author: &drift.Author{ID: 3, Type: drift.AuthorTypeUser}})
	assert.Equal(t, drift.MessageID(10), noted)
	message = w.ok(http.MethodGet, "v2/conversations/1/messages/10", "")
	assert.Equal(t, "private_note", message["type"])
	assert.Equal(t, json.Number("3"), message["author"].(map[string]any)["id"])

	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	srv.AddMessage(drift.Message{ConversationID: 1})
	assert.Len(t, tb.fatals, 1)
}

func TestWebhookTries(t *testing.T) {
	t.Parallel()
	w, r := start(t), receive(t, 500, 302, 200, 503, 503, 503)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: r.URL, Attempts: 3, Backoff: 20 * time.Millisecond})
	w.AddConversation(drift.Conversation{})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "lost"})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "kept"})
	deliveries := finish(t, hooks)
	require.Len(t, deliveries, 3)
	assert.Equal(t, []int{500, 302, 200}, deliveries[0].Statuses)
	assert.True(t, deliveries[0].Accepted)
	assert.Equal(t, []int{503, 503, 503}, deliveries[1].Statuses)
	assert.False(t, deliveries[1].Accepted)
	assert.True(t, deliveries[1].Done)
	assert.Equal(t, []int{200}, deliveries[2].Statuses)
	assert.Equal(t, []string{"", "", "", "lost", "lost", "lost", "kept"}, r.bodies(), "the next one waits for the one before it")
	assert.GreaterOrEqual(t, r.at[1].Sub(r.at[0]), 20*time.Millisecond)
	assert.GreaterOrEqual(t, r.at[2].Sub(r.at[1]), 40*time.Millisecond)
}

func TestWebhookWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(released) })
	w := start(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: slow.URL, Attempts: 2, Timeout: 10 * time.Millisecond})
	w.AddConversation(drift.Conversation{})
	deliveries := finish(t, hooks)
	assert.Equal(t, []int{0, 0}, deliveries[0].Statuses)
	assert.False(t, deliveries[0].Accepted)
}

func TestWebhookDuplicatesAndReverse(t *testing.T) {
	t.Parallel()
	w, r := start(t), receive(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: r.URL, Events: []string{"new_message"}, Duplicates: 1, Reverse: 2})
	w.AddConversation(drift.Conversation{})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "a"})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "b"})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "c"})
	deliveries := finish(t, hooks)
	assert.Equal(t, []string{"b", "b", "a", "a", "c", "c"}, r.bodies())
	require.Len(t, deliveries, 3)
	assert.Contains(t, string(deliveries[0].Data), `"a"`, "listed as it happened")
	assert.Equal(t, []int{200, 200}, deliveries[0].Statuses)

	w.AddMessage(drift.Message{ConversationID: 1, Body: "d"})
	assert.Never(t, func() bool { return len(r.bodies()) > 6 }, 30*time.Millisecond, 5*time.Millisecond, "held back")
	w.AddMessage(drift.Message{ConversationID: 1, Body: "e"})
	finish(t, hooks)
	assert.Equal(t, []string{"e", "e", "d", "d"}, r.bodies()[6:], "waiting once does not end the reversal")
}

func TestWebhooksGoToEveryReceiver(t *testing.T) {
	t.Parallel()
	w, first, second := start(t), receive(t, 500, 500), receive(t)
	one := w.SendWebhooks(drifttest.Webhook{URL: first.URL})
	w.AddConversation(drift.Conversation{})
	two := w.SendWebhooks(drifttest.Webhook{URL: second.URL})
	w.AddMessage(drift.Message{ConversationID: 1, Body: "hello"})
	assert.Len(t, finish(t, one), 2)
	assert.Len(t, finish(t, two), 1, "from its beginning on")
	assert.Equal(t, drifttest.DefaultWebhookToken, second.got[0].Token)
}

func TestWebhooksSend(t *testing.T) {
	t.Parallel()
	w, r := start(t), receive(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: r.URL, Events: []string{"new_message"}})
	hooks.Send("phone_captured", map[string]any{"conversation_id": 1, "phone_number": "1"})
	hooks.Send("custom", json.RawMessage(`{"as_is":[1]}`))
	finish(t, hooks)
	assert.Equal(t, "phone_captured", r.got[0].Type)
	assert.Equal(t, map[string]any{"conversationId": 1.0, "phoneNumber": "1"}, r.got[0].Data)
	assert.Equal(t, map[string]any{"as_is": []any{1.0}}, r.got[1].Data)
}

func TestWebhookWaitEnds(t *testing.T) {
	t.Parallel()
	w := start(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: "http://127.0.0.1:1", Attempts: 2, Backoff: time.Hour})
	require.NoError(t, hooks.Wait(t.Context()), "nothing happened")
	w.AddConversation(drift.Conversation{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, hooks.Wait(ctx), context.DeadlineExceeded)

	waited := make(chan error)
	go func() { waited <- hooks.Wait(context.WithoutCancel(ctx)) }()
	w.Close() // in the middle of the hour
	assert.ErrorContains(t, <-waited, "closed")
	assert.False(t, hooks.Deliveries()[0].Done)
	w.AddConversation(drift.Conversation{})
	assert.ErrorContains(t, hooks.Wait(context.WithoutCancel(ctx)), "closed")
}

// What a handler does with the API leads to events of its own.
func TestWebhookReceiverMayCallTheServer(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t)
	client := srv.Client()
	answering := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event received
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&event))
		if event.Data["author"].(map[string]any)["type"] == "contact" {
			_, err := client.Messages.Create(r.Context(), 1, drift.MessageCreateRequest{Body: "answer"})
			assert.NoError(t, err)
		}
	}))
	t.Cleanup(answering.Close)
	hooks := srv.SendWebhooks(drifttest.Webhook{URL: answering.URL, Events: []string{"new_message"}})
	srv.AddConversation(drift.Conversation{})
	srv.AddMessage(drift.Message{ConversationID: 1, Body: "hello"})
	assert.Len(t, finish(t, hooks), 2)
}

func TestNewDelivery(t *testing.T) {
	t.Parallel()
	created := time.UnixMilli(1540931409000).UTC()
	request := drifttest.NewDelivery("verification-token", "new_message", drift.Message{
		ID: 7, ConversationID: 42, Body: "<p>hello</p>", CreatedAt: created, Context: &drift.MessageContext{UserAgent: "x"},
		Attributes: drift.Attributes{"as_is": 1, "pre_messages": []any{map[string]any{"an_id": 1}}},
	})
	assert.Equal(t, "verification-token", request.Header.Get("X-Verification-Token"))
	assert.Equal(t, "application/json", request.Header.Get("Content-Type"))
	body, err := io.ReadAll(request.Body)
	require.NoError(t, err)
	assert.Equal(t, int64(len(body)), request.ContentLength)
	assert.JSONEq(t, `{"type":"new_message","orgId":1,"token":"verification-token","data":{"id":7,"conversationId":42,
		"body":"<p>hello</p>","createdAt":1540931409000,"context":{"userAgent":"x"},
		"attributes":{"as_is":1,"pre_messages":[{"an_id":1}]}}}`, string(body))

	var served string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(_ http.ResponseWriter, r *http.Request) { served = r.Header.Get("X-Verification-Token") })
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, drifttest.NewDelivery("t", "x", nil))
	assert.Equal(t, 200, recorder.Code)
	assert.Equal(t, "t", served)

	assert.Panics(t, func() { drifttest.NewDelivery("t", "x", func() {}) })
}

func TestWebhookMisuse(t *testing.T) {
	t.Parallel()
	for _, bad := range []drifttest.Webhook{
		{}, {URL: "/path"}, {URL: "ftp://127.0.0.1"}, {URL: "http://127.0.0.1", Attempts: -1}, {URL: "http://127.0.0.1", Reverse: -1},
	} {
		tb := &fakeTB{}
		srv := drifttest.Start(tb)
		assert.Nil(t, srv.SendWebhooks(bad))
		assert.Len(t, tb.fatals, 1)
		srv.Close()
	}
	srv := drifttest.NewServer()
	srv.Close()
	srv.SendWebhooks(drifttest.Webhook{URL: "http://127.0.0.1:1"}) // ends at once
	srv.Close()
}

func replaceNow(text string, now int64) string {
	return strings.ReplaceAll(text, "NOW", strconv.FormatInt(now, 10))
}

// What the server sends is what package webhook understands, down to the fields.
func TestWebhooksAreUnderstood(t *testing.T) {
	t.Parallel()
	handler, err := webhook.NewHandler([]string{drifttest.DefaultWebhookToken})
	require.NoError(t, err)
	events := map[webhook.EventType]webhook.Event{}
	webhook.On(handler, func(_ context.Context, event webhook.Event) error { events[event.EventType()] = event; return nil })
	receiving := httptest.NewServer(handler)
	t.Cleanup(receiving.Close)
	w := start(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: receiving.URL})

	contact := w.AddContact(drift.Contact{Email: "grace@a.example"})
	w.ok(http.MethodPatch, "v2/contacts/1", `{"email":"hopper@a.example"}`)
	id := w.AddConversation(drift.Conversation{ContactID: contact})
	w.AddMessage(drift.Message{ConversationID: id, Body: "hello"})
	w.AddMessage(drift.Message{ConversationID: id, Body: "/help"})
	w.AddConversation(drift.Conversation{ID: id, ContactID: contact, Status: drift.ConversationStatusPending})
	w.ok(http.MethodPost, "v2/meetings", `{"conversation_id":1,"start_at":1000,"duration":30,"created_by":7}`)
	require.Equal(t, 204, w.send(http.MethodDelete, "v2/meetings/1", "").status)
	for _, d := range finish(t, hooks) {
		assert.Equal(t, []int{200}, d.Statuses, d.Event)
	}

	require.Len(t, events, 8)
	for kind, event := range events {
		assert.True(t, kind.IsKnown())
		assert.Equal(t, drift.OrgID(1), event.EventOrgID(), kind)
		if kind != webhook.EventTypeContactIdentified && kind != webhook.EventTypeMeetingUpdated { // which do not tell
			assert.WithinDuration(t, time.Now(), event.OccurredAt(), time.Minute, kind)
		}
	}
	message := events["new_message"].(*webhook.NewMessage).Data
	assert.Equal(t, "hello", message.Body)
	assert.Equal(t, &drift.Author{ID: int64(contact), Type: drift.AuthorTypeContact}, message.Author)
	assert.Equal(t, contact, events["contact_identified"].(*webhook.ContactIdentified).Data.ID)
	assert.Equal(t, drift.ConversationStatusPending, events["conversation_status_updated"].(*webhook.ConversationStatusUpdated).Data.Status)
}

// Writes of the classic API send what those of v2 send.
func TestClassicWritesSendWebhooks(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer receiver.Close()
	w := start(t)
	hooks := w.SendWebhooks(drifttest.Webhook{URL: receiver.URL})
	read[any](w, "POST", "contacts", `{"attributes":{"email":"a@x.example","plan":"pro"}}`)
	read[any](w, "PATCH", "contacts/1", `{"attributes":{"plan":"free"}}`)
	read[any](w, "POST", "conversations/new", `{"email":"a@x.example","message":{"body":"Hi"}}`)
	read[any](w, "POST", "conversations/1/messages", `{"type":"chat","body":"/help"}`)
	read[any](w, "POST", "conversations/1/messages", `{"type":"private_note","body":"psst"}`)
	require.NoError(t, hooks.Wait(t.Context()))
	var events []string
	for _, d := range hooks.Deliveries() {
		events = append(events, d.Event)
	}
	assert.Equal(t, []string{"contact_identified", "contact_updated", "new_conversation", "new_message", "new_command_message"}, events)
	assert.JSONEq(t, `[{"name":"attributes.plan","previous":"pro","updated":"free"}]`, string(field(t, hooks.Deliveries()[1].Data, "diff")))
}

func field(t *testing.T, data json.RawMessage, name string) json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &members))
	return members[name]
}
