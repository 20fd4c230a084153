package main

import (
	"bufio"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/storetest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

// Whoever is asked may press Ctrl-C, and then nothing is deleted.
func TestForgetAsks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a test cannot press Ctrl-C on Windows")
	}
	dir := storetest.Open(t).Dir()
	command := clitest.Command(t.Context(), t, clitest.Start{Args: []string{"forget", "ada@example.com", "-dir", dir}})
	silent, err := command.StdinPipe()
	require.NoError(t, err)
	defer silent.Close()
	output, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
	question, err := bufio.NewReader(output).ReadString(']')
	require.NoError(t, err)
	assert.Equal(t, "1 contact with this address. Delete with all conversations, for good? [y/N]", question)
	require.NoError(t, command.Process.Signal(os.Interrupt))
	assert.Error(t, command.Wait())
	assert.Equal(t, exitError, command.ProcessState.ExitCode())

	_, stdout, _ := inProcess(t, "status", "-dir", dir)
	assert.Contains(t, stdout, "  2 contacts, ")
}

// Flags may stand after the address, which is copied with blanks around it.
func TestForgetArguments(t *testing.T) {
	dir := storetest.Open(t).Dir()
	status, stdout, stderr := inProcess(t, "forget", " ADA@example.com\n", "-yes", "-dir", dir)
	assert.NotEqual(t, exitError, status, stderr)
	assert.Contains(t, stdout, "deleted: 1 contact, 1 conversation, 3 messages, 0 files, 1 meeting, 0 oddities\n")

	_, stdout, _ = inProcess(t, "forget", "ada@example.com", "-yes", "-dir", dir)
	assert.Contains(t, stdout, "No contact in the archive has this address.\n")
	assert.NotContains(t, stdout, "bring the person back")
}
