package classic_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var gdprCalls = map[string]goldenCall{
	"gdpr.retrieve": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.GDPR.Retrieve(ctx, "ann@example.com")
	},
	"gdpr.delete": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.GDPR.Delete(ctx, "ann@example.com")
	},
}

func TestGDPRIsNotRepeated(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusBadGateway}
	client := classic.New(testkit.Through(t, network.RoundTrip, testkit.Impatient()))
	_, err := client.GDPR.Retrieve(t.Context(), "a@b.c")
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	_, err = client.GDPR.Delete(t.Context(), "a@b.c")
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	assert.EqualValues(t, 2, network.Requests.Load())
	_, err = client.GDPR.Delete(t.Context(), "a")
	requireInvalid(t, err, "email")
}
