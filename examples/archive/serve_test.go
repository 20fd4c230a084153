package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestServe(t *testing.T) {
	dir := storetest.Open(t).Dir()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"serve", "-dir", dir, "-json"}, writer, io.Discard)
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	require.NoError(t, err)
	var printed struct{ Address string }
	require.NoError(t, json.Unmarshal([]byte(line), &printed))
	response, err := http.Get(printed.Address + "conversations/1")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.Contains(t, string(body), "A good lead")
	cancel()
	assert.Equal(t, exitOK, <-ended, "Ctrl-C is how it ends")
}

func TestServeWithoutArchive(t *testing.T) {
	var stderr strings.Builder
	assert.Equal(t, exitError, run(t.Context(), []string{"serve", "-dir", t.TempDir()}, io.Discard, &stderr))
	assert.Contains(t, stderr.String(), "there is no archive in ")
}
