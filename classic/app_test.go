package classic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/classic"
	"github.com/driftsdk/drift/internal/testkit"
)

var appCalls = map[string]goldenCall{
	"app.uninstall": func(ctx context.Context, c *classic.Client) (any, error) {
		return nil, c.App.Uninstall(ctx, "client-1", "a+b&c=d")
	},
	"app.tokenInfo": func(ctx context.Context, c *classic.Client) (any, error) {
		return c.App.TokenInfo(ctx, "secret-token-5e1d")
	},
}

func TestTokenInfo(t *testing.T) {
	info, err := answering(t, `{"access_token": "secret-token-5e1d", "authenticated_userid": "orgId:123", "expires_in": 7200000,
		"created_at": 1767225600123, "scope": " contact_read  user_read", "x": 1}`).App.TokenInfo(t.Context(), "secret-token-5e1d")
	require.NoError(t, err)
	assert.Equal(t, "secret-token-5e1d", info.AccessToken.Reveal())
	assert.Equal(t, drift.OrgID(123), info.OrgID())
	assert.Equal(t, 2*time.Hour, info.ExpiresIn)
	assert.Equal(t, []string{"contact_read", "user_read"}, info.Scopes())
	assert.Equal(t, instant(0), info.CreatedAt)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		assert.NotContains(t, fmt.Sprintf(verb, info), "5e1d")
		assert.NotContains(t, fmt.Sprintf(verb, *info), "5e1d")
	}
	text, err := json.Marshal(info)
	require.NoError(t, err)
	assert.JSONEq(t, `{"access_token":"REDACTED","authenticated_userid":"orgId:123","scope":" contact_read  user_read",`+
		`"created_at":1767225600123,"x":1,"expires_in":7200000}`, string(text))
	var back classic.TokenInfo
	require.NoError(t, json.Unmarshal(text, &back))
	back.AccessToken = info.AccessToken
	assert.Equal(t, info, &back)
	assert.Zero(t, classic.TokenInfo{AuthenticatedUserID: "a"}.OrgID())
	assert.Zero(t, classic.TokenInfo{}.OrgID())
}

// An answer of another kind does not pass for a token that never expires.
func TestTokenInfoNeedsAnOwner(t *testing.T) {
	for _, body := range []string{`{}`, `{"expires_in": 0}`, `{"result": "OK", "ok": true}`, `{"data": {"id": 7}}`} {
		_, err := answering(t, body).App.TokenInfo(t.Context(), "secret-token-5e1d")
		testkit.RequireDecodeError(t, err, "/authenticated_userid")
	}
}

// The service may repeat a secret of the request in what it says about an error.
func TestSecretsOfRequestsAreMasked(t *testing.T) {
	const secret = "mark-secret-5e1d/+"
	for _, body := range []string{`{"error": {"message": "bad secret mark-secret-5e1d/+"}}`, `{"error": {"message": "bad mark-secret-5e1d%2F%2B"}}`} {
		client := classic.New(testkit.AnsweringClient(t, http.StatusBadRequest, body))
		for _, err := range []error{
			client.App.Uninstall(t.Context(), "client-1", secret),
			func() error { _, err := client.App.TokenInfo(t.Context(), secret); return err }(),
		} {
			var api *drift.APIError
			require.ErrorAs(t, err, &api)
			assert.Contains(t, api.Message, "bad")
			assert.NotContains(t, api.Message, "5e1d")
			assert.NotContains(t, string(api.Body()), "5e1d")
		}
	}
}

func TestAppIsRefused(t *testing.T) {
	client := answering(t, `{}`)
	_, err := client.App.TokenInfo(t.Context(), "")
	requireInvalid(t, err, "token")
	requireInvalid(t, client.App.Uninstall(t.Context(), "", "a"), "clientId")
	requireInvalid(t, client.App.Uninstall(t.Context(), "a", ""), "clientSecret")
}
