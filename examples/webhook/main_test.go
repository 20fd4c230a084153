package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) {
	starts := clitest.WithToken(t, "-write")
	for i := range starts {
		starts[i].Env = append(starts[i].Env, "DRIFT_VERIFICATION_TOKEN="+token)
	}
	right := slices.IndexFunc(starts, func(s clitest.Start) bool { return s.Title == "a token, without -write" })
	account := starts[right].Env[:2]
	starts = append(starts,
		clitest.Start{Title: "no verification token", Args: []string{"-write"}, Env: account},
		clitest.Start{
			Title: "a verification token that is too short", Args: []string{"-write"},
			Env: append(slices.Clip(account), "DRIFT_VERIFICATION_TOKEN=short"),
		},
		clitest.Start{
			Title: "an address without a port", Args: []string{"-write", "-addr=127.0.0.1"}, Env: starts[right].Env,
		})
	clitest.Transcript(t, starts)
}

func TestCtrlC(t *testing.T) {
	srv := drifttest.Start(t)
	output := clitest.Interrupt(t, clitest.Start{
		Args: []string{"-write", "-addr=127.0.0.1:0"},
		Env: []string{
			"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + srv.URL, "DRIFT_VERIFICATION_TOKEN=" + token,
		},
	}, func(output string) bool { return strings.Contains(output, "\n") })
	assert.Regexp(t, `^Listening for events on port \d+ at /webhooks/drift\.\nStopped\.\n$`, output)
}

const token = "a-token-of-the-app"

func TestOffline(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	var out bytes.Buffer
	require.NoError(t, start(t.Context(), "", false, &out))
	assert.Equal(t, "DRIFT_TOKEN is not set: calling an in-memory Drift server.\n"+
		"Conversation 1: \"<p>Do you ship to Lisbon?</p>\"\n  answered with message 2.\n"+
		"4 events, each sent twice: 1 answer.\n", out.String())
}

// deliver hands a message to the handler and returns the status of its answer.
func deliver(t *testing.T, srv *drifttest.Server, message drift.Message, w io.Writer) int {
	t.Helper()
	handler, err := newHandler(srv.Client(drift.WithoutRetry()), token, w)
	require.NoError(t, err)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, drifttest.NewDelivery(token, "new_message", message))
	return recorder.Code
}

func TestAnswers(t *testing.T) {
	visitor := &drift.Author{ID: 9, Type: drift.AuthorTypeContact}
	message := drift.Message{ID: 7, ConversationID: 1, Body: "hello", Author: visitor, CreatedAt: time.Now()}

	t.Run("a visitor", func(t *testing.T) {
		srv := drifttest.Start(t)
		srv.AddConversation(drift.Conversation{})
		assert.Equal(t, http.StatusOK, deliver(t, srv, message, io.Discard))
		requests := srv.Requests()
		require.Len(t, requests, 1)
		assert.Contains(t, string(requests[0].Body), `"client_message_id":"answer-to-7"`)
	})
	t.Run("a visitor who plays with the terminal", func(t *testing.T) {
		srv := drifttest.Start(t)
		srv.AddConversation(drift.Conversation{})
		rude := message
		rude.Body = "\x1b[2Jhello\nConversation 1: forged"
		var out bytes.Buffer
		assert.Equal(t, http.StatusOK, deliver(t, srv, rude, &out))
		assert.Contains(t, out.String(), `"\x1b[2Jhello\nConversation 1: forged"`)
		assert.NotContains(t, out.String(), "\x1b")
	})
	t.Run("nobody else", func(t *testing.T) {
		srv := drifttest.Start(t)
		srv.AddConversation(drift.Conversation{})
		for _, author := range []*drift.Author{nil, {ID: 1, Type: drift.AuthorTypeUser}, {ID: 1, Type: drift.AuthorTypeUser, Bot: true}} {
			message.Author = author
			assert.Equal(t, http.StatusOK, deliver(t, srv, message, io.Discard))
		}
		assert.Zero(t, srv.Count("*"))
		message.Author = visitor
	})
	t.Run("again, where nothing was written", func(t *testing.T) {
		srv := drifttest.Start(t)
		var out bytes.Buffer
		assert.Equal(t, http.StatusInternalServerError, deliver(t, srv, message, &out), "there is no conversation")
		assert.Contains(t, out.String(), "new_message failed: ")
	})
	t.Run("not again, where something may have been", func(t *testing.T) {
		srv := drifttest.Start(t)
		srv.AddConversation(drift.Conversation{})
		srv.Fail("messages.create", drifttest.Fault{Drop: drifttest.DropAfterHandling})
		var out bytes.Buffer
		assert.Equal(t, http.StatusOK, deliver(t, srv, message, &out))
		assert.Contains(t, out.String(), "Conversation 1 may have an answer, please check: ")
	})
}

func TestRunNeedsAToken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := drifttest.Start(t)
	assert.ErrorIs(t, run(t.Context(), listener, srv.Client(), "", io.Discard), drift.ErrInvalid)
	_, err = listener.Accept()
	assert.ErrorIs(t, err, net.ErrClosed)
}

func TestRunEndsWithTheContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.NoError(t, run(ctx, listener, drifttest.Start(t).Client(), token, io.Discard))
}
