package drifttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t, drifttest.WithClock(newClock("2026-03-01T10:00:00Z").Now))
	client := srv.Client()
	ctx := t.Context()
	contact, err := client.Contacts.UpsertByEmail(ctx, "a@x.example")
	require.NoError(t, err)
	conversation, err := client.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{
		Email: "a@x.example", CustomAttributes: drift.Attributes{"seats": int64(9007199254740993)}, Tags: []string{"vip"},
	})
	require.NoError(t, err)
	message, err := client.Messages.Create(ctx, conversation.ID, drift.MessageCreateRequest{Body: "<p>Hi &amp; bye</p>"})
	require.NoError(t, err)
	note, err := client.Notes.Create(ctx, conversation.ID, drift.NoteCreateRequest{Body: "psst"})
	require.NoError(t, err)
	tag, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "vip"})
	require.NoError(t, err)
	_, err = client.Meetings.Create(ctx, drift.MeetingCreateRequest{StartAt: time.UnixMilli(1772359200000), Duration: time.Hour})
	require.NoError(t, err)
	_, err = client.Meetings.AddParticipant(ctx, 1, drift.MeetingAddParticipantRequest{Email: "p@x.example"})
	require.NoError(t, err)
	meeting, err := client.Meetings.Get(ctx, 1)
	require.NoError(t, err)
	conversation, err = client.Conversations.Get(ctx, conversation.ID)
	require.NoError(t, err)
	requests := srv.Count("*")

	assert.Equal(t, []*drift.Contact{contact}, srv.Contacts())
	assert.Equal(t, []*drift.Conversation{conversation}, srv.Conversations())
	assert.Equal(t, []*drift.Message{message}, srv.Messages(conversation.ID))
	assert.Equal(t, []*drift.Note{note}, srv.Notes(conversation.ID))
	assert.Equal(t, []*drift.Tag{tag}, srv.Tags())
	assert.Equal(t, []*drift.Meeting{meeting}, srv.Meetings())
	assert.Empty(t, srv.Messages(99))
	assert.Empty(t, srv.Notes(99))
	assert.Equal(t, requests, srv.Count("*"), "no requests")

	srv.Contacts()[0].Email = "changed"
	assert.Equal(t, "a@x.example", srv.Contacts()[0].Email, "a copy")
}

func TestUnsubscribedAreReadBack(t *testing.T) {
	t.Parallel()
	w := start(t)
	read[any](w, "POST", "emails/unsubscribe", `["a@x.example","b@x.example"]`)
	assert.Equal(t, []string{"a@x.example", "b@x.example"}, w.Unsubscribed())
}
