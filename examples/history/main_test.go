package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// What the program prints without a token is long; TestRun reads it.
func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t)[1:]) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t) }

func TestRun(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	var output, progress bytes.Buffer
	require.NoError(t, run(t.Context(), server.Client(), &output, &progress))

	closed, messages := 0, 0
	for _, conversation := range server.Conversations() {
		if conversation.Status == drift.ConversationStatusClosed {
			closed++
			messages += len(server.Messages(conversation.ID)) + len(server.Notes(conversation.ID))
		}
	}
	assert.Equal(t, fmt.Sprintf("%d conversations with %d messages.\n", closed, messages), progress.String())
	for line := range strings.Lines(output.String()) {
		var read entry
		require.NoError(t, json.Unmarshal([]byte(line), &read))
		assert.NotEmpty(t, read.Messages)
		assert.NotEmpty(t, read.Conversation.ConversationTags, "Get returns more than the list")
		closed--
	}
	assert.Zero(t, closed)
}

func TestRunSkipsWhatWasDeleted(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	server.Fail("classic.conversations.get", drifttest.Fault{Status: http.StatusNotFound})
	var progress bytes.Buffer
	require.NoError(t, run(t.Context(), server.Client(), io.Discard, &progress))
	assert.Contains(t, progress.String(), "19 conversations with")
}

func TestRunSaysWhereToResume(t *testing.T) {
	server := drifttest.Start(t)
	for range 101 {
		server.AddConversation(drift.Conversation{Status: drift.ConversationStatusClosed})
	}
	refused := drifttest.Fault{Status: http.StatusForbidden}
	server.Fail("classic.conversations.list", refused, drifttest.Fault{}, refused)
	err := run(t.Context(), server.Client(), io.Discard, io.Discard)
	require.ErrorIs(t, err, drift.ErrForbidden)
	assert.NotContains(t, err.Error(), "resume", "there is nothing to resume")
	err = run(t.Context(), server.Client(), io.Discard, io.Discard)
	require.ErrorIs(t, err, drift.ErrForbidden)
	assert.ErrorContains(t, err, `resume with Cursor "`)
}
