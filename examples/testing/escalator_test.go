package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftmock"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) {
	clitest.Transcript(t, clitest.WithToken(t, "-conversation=1", "-to=4", "-write"))
}

func TestCtrlC(t *testing.T) { clitest.CtrlC(t, "-conversation=1", "-to=4", "-write") }

// The first way, and the one to begin with: a fake of the interface that the code itself declares. It needs no library.
type fakeConversations struct {
	conversation *drift.Conversation
	err          error
	updates      []drift.ConversationUpdateRequest
}

func (f *fakeConversations) Get(context.Context, drift.ConversationID, ...drift.CallOption) (*drift.Conversation, error) {
	return f.conversation, f.err
}

func (f *fakeConversations) Update(_ context.Context, _ drift.ConversationID, req drift.ConversationUpdateRequest, _ ...drift.CallOption) (*drift.Conversation, error) {
	f.updates = append(f.updates, req)
	return f.conversation, f.err
}

func TestEscalateWithFake(t *testing.T) {
	open := drift.Conversation{ID: 42, Status: drift.ConversationStatusOpen, Labels: []string{"hot"}}
	closed := drift.Conversation{ID: 42, Status: drift.ConversationStatusClosed}
	before := drift.Conversation{ID: 42, Status: drift.ConversationStatusOpen, Labels: []string{escalated}}

	tests := map[string]struct {
		fake fakeConversations
		want bool
	}{
		"open":             {fakeConversations{conversation: &open}, true},
		"closed":           {fakeConversations{conversation: &closed}, false},
		"escalated before": {fakeConversations{conversation: &before}, false},
		"deleted":          {fakeConversations{err: drift.ErrNotFound}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			done, err := Escalator{Conversations: &test.fake, To: 7}.Escalate(t.Context(), 42)
			require.NoError(t, err)
			assert.Equal(t, test.want, done)
			assert.Equal(t, test.want, len(test.fake.updates) == 1)
		})
	}
}

// The second: a mock from driftmock, for code that takes the whole client, or where the exact calls matter.
func TestEscalateWithMock(t *testing.T) {
	client, mocks := driftmock.NewClient(t)
	mocks.Conversations.EXPECT().
		Get(mock.Anything, drift.ConversationID(42)).
		Return(&drift.Conversation{ID: 42, Status: drift.ConversationStatusOpen, Labels: []string{"hot"}}, nil).Once()
	mocks.Conversations.EXPECT().
		Update(mock.Anything, drift.ConversationID(42), drift.ConversationUpdateRequest{
			AssignedUserID: drift.Set(drift.UserID(7)),
			Labels:         drift.Set([]string{"hot", escalated}),
		}, mock.Anything). // the last argument: any options
		Return(&drift.Conversation{ID: 42}, nil).Once()

	done, err := Escalator{Conversations: client.Conversations, To: 7}.Escalate(t.Context(), 42)

	require.NoError(t, err)
	assert.True(t, done)
}

// The third: an in-memory Drift server. The whole client is at work, so this is the way to see what an outage does.
func TestEscalateWithServer(t *testing.T) {
	srv := drifttest.Start(t)
	client := srv.Client()
	id := srv.AddConversation(drift.Conversation{Title: "Invoice", Labels: []string{"hot"}})

	// The update is applied, but its answer is lost: the client sends it again, because the code says that it may.
	srv.Fail("conversations.update", drifttest.Fault{Drop: drifttest.DropAfterHandling})

	done, err := Escalator{Conversations: client.Conversations, To: 7}.Escalate(t.Context(), id)
	require.NoError(t, err)
	assert.True(t, done)
	assert.Equal(t, 2, srv.Count("conversations.update"))

	conversation, err := client.Conversations.Get(t.Context(), id)
	require.NoError(t, err)
	assert.Equal(t, drift.UserID(7), conversation.AssignedUserID)
	assert.Equal(t, []string{"hot", escalated}, conversation.Labels)
}

func TestEscalateReportsWhyItFailed(t *testing.T) {
	srv := drifttest.Start(t)
	srv.Fail("conversations.get", drifttest.Fault{Status: http.StatusForbidden})

	done, err := Escalator{Conversations: srv.Client().Conversations, To: 7}.Escalate(t.Context(), 42)

	assert.ErrorIs(t, err, drift.ErrForbidden)
	assert.False(t, done)
}

func TestRun(t *testing.T) {
	srv := drifttest.Start(t, drifttest.WithDemoData())
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), srv.Client(), 1, 4, &out))
	assert.Equal(t, "Conversation 1 is now with user 4.\n"+
		"Nothing to do: conversation 1 is not open, is escalated already, or does not exist.\n", out.String())
	assert.Equal(t, 1, srv.Count("conversations.update"))
}
