package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t, "-user=7", "-write")) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t, "-user=7", "-write") }

// account has three open conversations, 1 to 3, and a closed one.
func account(t *testing.T) *drifttest.Server {
	t.Helper()
	srv := drifttest.Start(t)
	for _, title := range []string{"Invoice", "Export", "Seats"} {
		srv.AddConversation(drift.Conversation{Title: title, Labels: []string{"hot"}, Tags: []drift.TagRef{{Name: "vip"}}})
	}
	srv.AddConversation(drift.Conversation{Title: "Old", Status: drift.ConversationStatusClosed})
	return srv
}

// sent returns the paths of the requests for an operation.
func sent(srv *drifttest.Server, operation string) []string {
	var paths []string
	for _, request := range srv.Requests() {
		if request.Operation == operation {
			paths = append(paths, request.Path)
		}
	}
	return paths
}

func TestRun(t *testing.T) {
	srv := account(t)
	client := srv.Client()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), client, plan{assignee: 7, max: 10}, &out))
	assert.Equal(t, "1  Invoice\n2  Export\n3  Seats\n3 triaged, 0 to look at.\n", out.String())

	for id := range drift.ConversationID(3) {
		conversation, err := client.Conversations.Get(t.Context(), id+1)
		require.NoError(t, err)
		assert.Equal(t, drift.UserID(7), conversation.AssignedUserID)
		assert.Equal(t, []string{"hot", "triaged"}, conversation.Labels)
		assert.Equal(t, []drift.TagRef{{Name: "support"}, {Name: "vip"}}, conversation.Tags)

		written, err := client.Notes.Get(t.Context(), id+1, drift.NoteID(id+1))
		require.NoError(t, err)
		assert.Equal(t, note, written.Body)
		said, err := client.Messages.Get(t.Context(), id+1, drift.MessageID(id+1))
		require.NoError(t, err)
		assert.Equal(t, "Ran action introduce-agent", said.Body)
	}
	untouched, err := client.Conversations.Get(t.Context(), 4)
	require.NoError(t, err)
	assert.Empty(t, untouched.Labels)

	srv.Reset()
	out.Reset()
	require.NoError(t, run(t.Context(), client, plan{assignee: 7, max: 10}, &out))
	assert.Equal(t, "0 triaged, 0 to look at.\n", out.String())
	assert.Equal(t, srv.Count("conversations.listByStatus"), srv.Count("*"), "a second run only looks")
}

func TestAtMost(t *testing.T) {
	srv := account(t)
	require.NoError(t, run(t.Context(), srv.Client(), plan{assignee: 7, max: 2}, &bytes.Buffer{}))
	assert.Equal(t, 2, srv.Count("conversations.update"))
}

func TestPassesOverWhatWasDeleted(t *testing.T) {
	srv := account(t)
	client := srv.Client()
	out := &onFirstLine{then: func() { assert.NoError(t, client.Conversations.Delete(t.Context(), 2)) }}
	require.NoError(t, run(t.Context(), client, plan{assignee: 7, max: 10}, out))
	assert.Equal(t, "1  Invoice\n2  skipped: it has been deleted\n3  Seats\n2 triaged, 0 to look at.\n", out.String())
}

// onFirstLine does something after the first line was written.
type onFirstLine struct {
	bytes.Buffer
	then func()
}

func (o *onFirstLine) Write(p []byte) (int, error) {
	if o.Len() == 0 {
		defer o.then()
	}
	return o.Buffer.Write(p)
}

func TestReportsWhatMayHaveHappened(t *testing.T) {
	for _, operation := range []string{"notes.create", "driftbot.trigger"} {
		t.Run(operation, func(t *testing.T) {
			srv := account(t)
			srv.Fail(operation,
				drifttest.Fault{Status: http.StatusInternalServerError, Applied: true},
				drifttest.Fault{Drop: drifttest.DropAfterHandling})
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), srv.Client(), plan{assignee: 7, max: 10}, &out))

			lines := strings.Split(out.String(), "\n")
			for i, id := range []string{"1", "2"} {
				assert.True(t, strings.HasPrefix(lines[i], id+"  not finished, please check: "), lines[i])
			}
			assert.Equal(t, []string{"3  Seats", "1 triaged, 2 to look at.", ""}, lines[2:])
			assert.Len(t, sent(srv, operation), 3, "one request a conversation")
		})
	}
}

// The update is safe to repeat, so a lost answer to it is nobody's concern.
func TestRepeatsTheUpdate(t *testing.T) {
	srv := account(t)
	srv.Fail("conversations.update", drifttest.Fault{Drop: drifttest.DropAfterHandling})
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), srv.Client(), plan{assignee: 7, max: 1}, &out))
	assert.Equal(t, "1  Invoice\n1 triaged, 0 to look at.\n", out.String())
	assert.Equal(t, []string{"/v2/conversations/1", "/v2/conversations/1"}, sent(srv, "conversations.update"))
	assert.Len(t, sent(srv, "notes.create"), 1)
}

func TestStopsWithTheContext(t *testing.T) {
	srv := account(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &onFirstLine{then: cancel}
	assert.ErrorIs(t, run(ctx, srv.Client(), plan{assignee: 7, max: 10}, out), context.Canceled)
	assert.Len(t, sent(srv, "conversations.update"), 1)
}
