package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

// An endpoint that the in-memory server does not have gets a handler of the test's own. Token, faults and counts work
// as ever.
func TestTranscript(t *testing.T) {
	const endpoint = "GET conversations/{conversationId}/transcript"
	srv := drifttest.Start(t)
	srv.Handle("GET", "conversations/{conversationId}/transcript", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Conversation %s\nAda: Hello", r.PathValue("conversationId"))
	})
	srv.Fail(endpoint, drifttest.Fault{Drop: drifttest.DropInBody})

	text, err := Transcript(t.Context(), srv.Client(), 42)

	require.NoError(t, err)
	assert.Equal(t, "Conversation 42\nAda: Hello", text)
	assert.Equal(t, 2, srv.Count(endpoint), "the first answer broke off")
}

func TestTranscriptOfNothing(t *testing.T) {
	srv := drifttest.Start(t)
	srv.Handle("GET", "conversations/{conversationId}/transcript", http.NotFound)

	_, err := Transcript(t.Context(), srv.Client(), 42)

	assert.ErrorIs(t, err, drift.ErrNotFound)
}
