package drift_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

func TestBothDialects(t *testing.T) {
	for name, body := range map[string]string{
		"current":         `{"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 7200, "orgId": 5}`,
		"legacy":          `{"accessToken": "a", "refreshToken": "r", "tokenType": "Bearer", "expiresIn": 7200, "orgId": "5"}`,
		"texts":           `{"access_token": "a", "refresh_token": "r", "expires_in": "7200", "org_id": "5", "more": {"x": [1]}}`,
		"both, one empty": `{"accessToken": null, "access_token": "a", "refreshToken": "r", "refresh_token": null, "expires_in": 7200.0, "orgId": 5}`,
		"byte order mark": "\ufeff \n" + `{"access_token": "a", "refresh_token": "r", "expires_in": 7200, "orgId": 5}`,
	} {
		t.Run(name, func(t *testing.T) {
			config, _ := testkit.Answering(testkit.AnswerBody(200, body))
			token, err := config.Exchange(t.Context(), "code")
			require.NoError(t, err)
			assert.Equal(t, "a", token.AccessToken)
			assert.Equal(t, "r", token.RefreshToken)
			assert.WithinDuration(t, time.Now().Add(2*time.Hour), token.Expiry, time.Minute)
			id, ok := drift.OrgIDFromToken(token)
			assert.True(t, ok)
			assert.Equal(t, drift.OrgID(5), id)
		})
	}
}

// What an answer is called does not matter: it may hold the only refresh token that is good.
func TestContentTypeOfATokenIsIgnored(t *testing.T) {
	for _, media := range []string{"text/html", "text/plain; charset=utf-8", "", "/"} {
		config, _ := testkit.Answering(func(r *http.Request) (*http.Response, error) {
			return testkit.MemoryAnswer(r, 200, media, `{"access_token": "a", "refresh_token": "r"}`), nil
		})
		token, err := config.Exchange(t.Context(), "code")
		require.NoError(t, err, media)
		assert.Equal(t, "r", token.RefreshToken, media)
	}
}

func TestTokenLife(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for expiresIn, want := range map[string]time.Duration{
		`3600`: time.Hour, `"3600"`: time.Hour, `3600.5`: 3600*time.Second + 500*time.Millisecond, `7.2e3`: 2 * time.Hour,
		`0`: 0, `"0"`: 0, `-0`: 0,
		`null`: time.Hour, `-5`: time.Hour, `""`: time.Hour, `"soon"`: time.Hour, `"NaN"`: time.Hour, `{}`: time.Hour, `true`: time.Hour, `-1e999`: time.Hour,
		`1`: 15 * time.Second, `1e12`: year, `1e999`: year, `99999999999999999999`: year,
	} {
		synctest.Test(t, func(t *testing.T) {
			config, _ := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "a", "refresh_token": "r", "expires_in": `+expiresIn+`}`))
			token, err := config.Exchange(t.Context(), "code")
			require.NoError(t, err, expiresIn)
			assert.True(t, token.Valid(), expiresIn)
			if want == 0 {
				assert.Zero(t, token.Expiry, expiresIn)
				return
			}
			assert.Equal(t, want, time.Until(token.Expiry), expiresIn)
		})
	}
}

// A token that cannot be refreshed must not be given up on a guess.
func TestTokenWithoutLifeAndRefreshToken(t *testing.T) {
	config, _ := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "a"}`))
	token, err := config.Exchange(t.Context(), "code")
	require.NoError(t, err)
	assert.Zero(t, token.Expiry)
	_, ok := drift.OrgIDFromToken(token)
	assert.False(t, ok)
}

func TestTokenLifeBeginsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := testkit.NewAuthority()
		authority.Delay = 10 * time.Second
		start := time.Now()
		token, err := authority.Config().Exchange(t.Context(), "code")
		require.NoError(t, err)
		assert.Equal(t, 2*time.Hour, token.Expiry.Sub(start))
	})
}
