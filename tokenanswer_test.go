package drift_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
			config, _ := answering(answerBody(200, body))
			token, err := config.Exchange(t.Context(), "code")
			require.NoError(t, err)
			assert.Equal(t, "a", token.AccessToken)
			assert.Equal(t, "r", token.RefreshToken)
			assert.WithinDuration(t, time.Now().Add(2*time.Hour), token.Expiry, time.Minute)
			id, ok := drift.OrgIDOf(token)
			assert.True(t, ok)
			assert.Equal(t, drift.OrgID(5), id)
		})
	}
}

// What an answer is called does not matter: it may hold the only refresh token that is good.
func TestContentTypeOfATokenIsIgnored(t *testing.T) {
	for _, media := range []string{"text/html", "text/plain; charset=utf-8", "", "/"} {
		config, _ := answering(func(r *http.Request) (*http.Response, error) {
			return memoryAnswer(r, 200, media, `{"access_token": "a", "refresh_token": "r"}`), nil
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
			config, _ := answering(answerBody(200, `{"access_token": "a", "refresh_token": "r", "expires_in": `+expiresIn+`}`))
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
	config, _ := answering(answerBody(200, `{"access_token": "a"}`))
	token, err := config.Exchange(t.Context(), "code")
	require.NoError(t, err)
	assert.Zero(t, token.Expiry)
	_, ok := drift.OrgIDOf(token)
	assert.False(t, ok)
}

func TestTokenLifeBeginsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority()
		authority.delay = 10 * time.Second
		start := time.Now()
		token, err := authority.config().Exchange(t.Context(), "code")
		require.NoError(t, err)
		assert.Equal(t, 2*time.Hour, token.Expiry.Sub(start))
	})
}

// unusableAnswers are answers of a token endpoint that give no token. Some repeat what was sent.
func unusableAnswers(sent string) map[string]respondWith {
	html := func(status int) respondWith {
		return answerBody(status, "<html>"+markedAnswer, "Content-Type", "text/html")
	}
	return map[string]respondWith{
		"no access token":     answerBody(200, `{"refresh_token": "`+markedAnswer+`", "expires_in": 7200}`),
		"empty access token":  answerBody(200, `{"access_token": "", "x": "`+markedAnswer+`"}`),
		"CR LF":               answerBody(200, `{"access_token": "`+markedAnswer+`\r\nX: y"}`),
		"non-ASCII":           answerBody(200, `{"access_token": "`+markedAnswer+`é"}`),
		"MAC":                 answerBody(200, `{"access_token": "`+markedAnswer+`", "token_type": "MAC"}`),
		"a list":              answerBody(200, `["`+markedAnswer+`"]`),
		"null":                answerBody(200, `null`),
		"empty":               answerBody(200, ``),
		"broken JSON":         answerBody(200, `{"access_token": "`+markedAnswer+`"`),
		"two documents":       answerBody(200, `{"access_token": "`+markedAnswer+`"} {}`),
		"HTML":                html(200),
		"HTML called JSON":    answerBody(200, "<html>"+markedAnswer),
		"2 MiB":               answerBody(200, `{"access_token": "`+markedAnswer+strings.Repeat("x", 2<<20)+`"}`),
		"redirect":            answer(307, "Location", "https://"+markedAnswer+".test"),
		"not modified":        answerBody(304, markedAnswer),
		"firewall":            html(403),
		"not found":           html(404),
		"unknown code":        answerBody(400, `{"error": "`+sent+` is forbidden"}`),
		"invalid client":      answerBody(401, `{"error": "invalid_client", "error_description": "`+markedClientSecret+` is wrong, `+sent+` too"}`),
		"error under success": answerBody(200, `{"error": "invalid_grant", "access_token": "`+markedAnswer+`"}`),
		"error as an object":  answerBody(403, `{"error": {"type": "authentication_error", "message": "bad `+markedClientSecret+`"}}`),
		"not implemented":     html(501),
	}
}
