package page

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := storetest.Open(t)
	addresses, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Serve(ctx, s, 0, "A notice.", func(address string) { addresses <- address })
	}()
	address := <-addresses
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", parsed.Hostname())
	for path, want := range map[string]int{address: http.StatusOK, "http://" + parsed.Host + "/": http.StatusForbidden} {
		response, err := http.Get(path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, want, response.StatusCode)
		assert.Equal(t, want == http.StatusOK, len(body) > 1_000)
	}
	cancel()
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the server did not stop")
	}
}

func TestServePortInUse(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := storetest.Open(t)
	addresses, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- Serve(ctx, s, 0, "", func(address string) { addresses <- address }) }()
	first, err := url.Parse(<-addresses)
	require.NoError(t, err)
	port, err := strconv.Atoi(first.Port())
	require.NoError(t, err)
	assert.Error(t, Serve(ctx, s, port, "", func(string) { t.Error("it listens twice") }))
	cancel()
	assert.NoError(t, <-ended)
}
