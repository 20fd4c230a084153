package testkit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/testkit"
)

func TestTrapServerCounts(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	redirecting := httptest.NewServer(http.RedirectHandler(trap, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	resp, err := redirecting.Client().Get(redirecting.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	redirecting.Client().CloseIdleConnections()
	assert.Equal(t, 1, calls(), "an ordinary client falls into the trap")
}
