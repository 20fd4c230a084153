package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t, "-write")) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t, "-write") }

func TestRun(t *testing.T) {
	server := drifttest.Start(t, drifttest.WithDemoData())
	client := server.Client()

	var first, second bytes.Buffer
	require.NoError(t, run(t.Context(), client, &first))
	require.NoError(t, run(t.Context(), client, &second))

	assert.Contains(t, first.String(), "No contact yet: creating one.")
	assert.Contains(t, first.String(), "31 contacts in all")
	assert.NotContains(t, second.String(), "No contact yet", "the contact is found again")
	assert.Equal(t, 2, server.Count("conversations.createFromScratch"))
	assert.Equal(t, 4, server.Count("messages.create"))
}
