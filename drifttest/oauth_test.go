package drifttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/drifttest"
)

const form = "application/x-www-form-urlencoded"

// app is an OAuth client that talks to a server by net/http alone.
type app struct{ *wire }

func startApp(t *testing.T, opts ...drifttest.Option) app {
	a := app{start(t, opts...)}
	a.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return a
}

// authURL is what a careful client opens in the browser, changed by pairs of names and values; "-" removes a parameter.
func (a app) authURL(changes ...string) string {
	query := url.Values{
		"response_type": {"code"},
		"client_id":     {drifttest.DefaultClientID},
		"redirect_uri":  {"http://127.0.0.1:1234/callback?tenant=7"},
		"state":         {"the-state"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			query.Del(changes[i])
		}
	}
	return a.URL + "/authorize?" + query.Encode()
}

func (a app) code() string {
	a.t.Helper()
	code := a.Allow(a.authURL()).Query().Get("code")
	require.NotEmpty(a.t, code)
	return code
}

// tokenResult is an answer of the token endpoint.
type tokenResult struct {
	status      int
	AccessToken string `json:"access_token"`
	Refresh     string `json:"refresh_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
	OrgID       int    `json:"orgId"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// token asks for a token with the app's credentials and pairs of names and values.
func (a app) token(pairs ...string) tokenResult {
	a.t.Helper()
	values := url.Values{"client_id": {drifttest.DefaultClientID}, "client_secret": {drifttest.DefaultClientSecret.Reveal()}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return a.post(form, values.Encode())
}

func (a app) post(contentType, body string) tokenResult {
	a.t.Helper()
	res := a.send(http.MethodPost, "oauth2/token", body, header("Authorization"), header("Content-Type", contentType))
	require.NoError(a.t, res.err)
	assert.Equal(a.t, "no-store", res.header.Get("Cache-Control"))
	result := tokenResult{status: res.status}
	require.NoError(a.t, json.Unmarshal(res.body, &result), "%s", res.body)
	return result
}

func (a app) exchange(code string, more ...string) tokenResult {
	a.t.Helper()
	return a.token(append(more, "grant_type", "authorization_code", "code", code)...)
}

func (a app) refresh(token string) tokenResult {
	a.t.Helper()
	return a.token("grant_type", "refresh_token", "refresh_token", token)
}

// api is the status of a call of the API.
func (a app) api(token string) int {
	a.t.Helper()
	res := a.send(http.MethodGet, "v2/contacts", "", header("Authorization", "Bearer "+token))
	require.NoError(a.t, res.err)
	return res.status
}

func TestAllowedCodeBecomesTokens(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	target := a.Allow(a.authURL())
	assert.Equal(t, "http://127.0.0.1:1234/callback", "http://"+target.Host+target.Path)
	assert.Equal(t, "the-state", target.Query().Get("state"))
	assert.Equal(t, "7", target.Query().Get("tenant"), "what the redirect URL has of its own stays")

	token := a.exchange(target.Query().Get("code"))
	require.Equal(t, 200, token.status, token.Description)
	assert.Equal(t, "bearer", token.TokenType)
	assert.Equal(t, 7200, token.ExpiresIn)
	assert.Equal(t, 1, token.OrgID)
	assert.Equal(t, 200, a.api(token.AccessToken))
	assert.Equal(t, 401, a.api(token.Refresh), "a refresh token is none for the API")
	assert.Equal(t, 200, a.api(drifttest.DefaultToken), "the server's own token stays good")
	assert.Equal(t, 401, a.send(http.MethodGet, "v2/contacts", "", header("Authorization", token.AccessToken)).status, "no Bearer")

	minute, _ := a.Used()
	assert.Equal(t, 2, minute, "only calls of the API count")
}

func TestAuthorizePage(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"allow", "deny"} {
		a := startApp(t, drifttest.WithOAuth(drifttest.OAuthApp{ClientID: "<b>&"}))
		path := strings.TrimPrefix(a.authURL("client_id", "<b>&"), a.URL+"/")
		page := a.send(http.MethodGet, path, "", header("Authorization"), header("Accept", "text/html"))
		require.Equal(t, 200, page.status)
		assert.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
		assert.Equal(t, "no-store", page.header.Get("Cache-Control"))
		assert.Equal(t, "no-referrer", page.header.Get("Referrer-Policy"))
		assert.Contains(t, string(page.body), "<strong>&lt;b&gt;&amp;</strong>")
		assert.Contains(t, string(page.body), "127.0.0.1:1234")

		id := regexp.MustCompile(`name="request" value="([^"]+)"`).FindSubmatch(page.body)
		require.NotNil(t, id)
		press := func(decision string) result {
			body := url.Values{"request": {string(id[1])}, "decision": {decision}}.Encode()
			return a.send(http.MethodPost, "authorize", body, header("Authorization"), header("Content-Type", form))
		}
		assert.Equal(t, 400, press("maybe").status)
		pressed := press(decision)
		require.Equal(t, 303, pressed.status)
		target, err := url.Parse(pressed.header.Get("Location"))
		require.NoError(t, err)
		assert.Equal(t, "the-state", target.Query().Get("state"))
		if decision == "allow" {
			assert.NotEmpty(t, target.Query().Get("code"))
		} else {
			assert.Equal(t, "access_denied", target.Query().Get("error"))
			assert.Empty(t, target.Query().Get("code"))
			assert.Equal(t, target.Query(), a.Deny(a.authURL("client_id", "<b>&")).Query())
		}
		assert.Equal(t, 400, press(decision).status, "a page is answered once")
	}
}

// Nobody is sent to a URL that is not the app's; everything else is for the app to know.
func TestAuthorizeChecks(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	get := func(changes ...string) result {
		return a.send(http.MethodGet, strings.TrimPrefix(a.authURL(changes...), a.URL+"/"), "", header("Authorization"))
	}
	for _, changes := range [][]string{
		{"client_id", "another"},
		{"client_id", "-"},
		{"redirect_uri", "-"},
		{"redirect_uri", "http://192.0.2.1/callback"},
		{"redirect_uri", "https://127.0.0.1/callback"},
		{"redirect_uri", "http://127.0.0.1/callback#fragment"},
		{"redirect_uri", "http://127.0.0.1.example/callback"},
	} {
		res := get(changes...)
		assert.Equal(t, 400, res.status, changes)
		assert.Empty(t, res.header.Get("Location"), changes)
		assert.Contains(t, string(res.body), changes[0])
	}
	for _, c := range []struct{ code, name, value string }{
		{"unsupported_response_type", "response_type", "token"},
		{"invalid_request", "state", "-"},
		{"invalid_request", "scope", "all"},
		{"invalid_request", "code_challenge", "short"},
		{"invalid_request", "code_challenge", strings.Repeat("x", 43)},
		{"invalid_request", "code_challenge_method", "S256"},
	} {
		res := get(c.name, c.value)
		require.Equal(t, 303, res.status, c)
		target, err := url.Parse(res.header.Get("Location"))
		require.NoError(t, err)
		assert.Equal(t, c.code, target.Query().Get("error"), c)
		assert.Contains(t, target.Query().Get("error_description"), c.name)
		assert.Equal(t, c.code, a.Allow(a.authURL(c.name, c.value)).Query().Get("error"), "Allow goes the same way")
	}
	for _, redirect := range []string{"http://localhost:1/x", "http://[::1]:1/x", "http://127.9.9.9"} {
		assert.Equal(t, 200, get("redirect_uri", redirect).status, redirect)
	}
}

func TestRedirectURLsAreComparedExactly(t *testing.T) {
	t.Parallel()
	const own = "https://app.example/callback"
	a := startApp(t, drifttest.WithOAuth(drifttest.OAuthApp{RedirectURLs: []string{own}}))
	assert.Equal(t, "app.example", a.Allow(a.authURL("redirect_uri", own)).Host)
	for _, other := range []string{own + "/", "http://127.0.0.1/callback"} {
		path := strings.TrimPrefix(a.authURL("redirect_uri", other), a.URL+"/")
		assert.Equal(t, 400, a.send(http.MethodGet, path, "").status, other)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	a := startApp(t, drifttest.WithClock(c.Now))

	t.Run("a second use revokes what the first one got", func(t *testing.T) {
		code := a.code()
		token := a.exchange(code)
		assert.Equal(t, 200, a.api(token.AccessToken))
		assert.Equal(t, "invalid_grant", a.exchange(code).Error)
		assert.Equal(t, 401, a.api(token.AccessToken))
		assert.Equal(t, "invalid_grant", a.refresh(token.Refresh).Error)
	})
	t.Run("ten minutes", func(t *testing.T) {
		early, late := a.code(), a.code()
		c.advance(10*time.Minute - time.Second)
		assert.Equal(t, 200, a.exchange(early).status)
		c.advance(time.Second)
		assert.Equal(t, "invalid_grant", a.exchange(late).Error)
	})
	t.Run("the redirect URL is the same, where it is given", func(t *testing.T) {
		code := a.code()
		assert.Equal(t, "invalid_grant", a.exchange(code, "redirect_uri", "http://127.0.0.1:1234/callback").Error)
		assert.Equal(t, 200, a.exchange(code, "redirect_uri", "http://127.0.0.1:1234/callback?tenant=7").status)
	})
	t.Run("the proof key", func(t *testing.T) {
		verifier := oauth2.GenerateVerifier()
		url := a.authURL("code_challenge", oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method", "S256")
		code := a.Allow(url).Query().Get("code")
		assert.Equal(t, "invalid_grant", a.exchange(code).Error)
		assert.Equal(t, "invalid_grant", a.exchange(code, "code_verifier", oauth2.GenerateVerifier()).Error)
		assert.Equal(t, 200, a.exchange(code, "code_verifier", verifier).status)
		assert.Equal(t, "invalid_grant", a.exchange(a.code(), "code_verifier", verifier).Error, "there was no challenge")
	})
	assert.Equal(t, "invalid_grant", a.exchange("made-up").Error)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	t.Run("a used refresh token revokes all", func(t *testing.T) {
		a := startApp(t)
		first, other := a.exchange(a.code()), a.exchange(a.code())
		second := a.refresh(first.Refresh)
		require.Equal(t, 200, second.status)
		assert.NotEqual(t, first.Refresh, second.Refresh)
		assert.Equal(t, 200, a.api(second.AccessToken))
		assert.Equal(t, 200, a.api(first.AccessToken), "until it expires")

		assert.Equal(t, "invalid_grant", a.refresh(first.Refresh).Error)
		assert.Equal(t, []int{401, 401}, []int{a.api(first.AccessToken), a.api(second.AccessToken)})
		assert.Equal(t, "invalid_grant", a.refresh(second.Refresh).Error)
		assert.Equal(t, 200, a.api(other.AccessToken), "of another authorization")
	})
	t.Run("Rotate", func(t *testing.T) {
		a := startApp(t, drifttest.WithOAuth(drifttest.OAuthApp{Rotation: drifttest.Rotate}))
		first := a.exchange(a.code())
		second := a.refresh(first.Refresh)
		assert.Equal(t, "invalid_grant", a.refresh(first.Refresh).Error)
		assert.Equal(t, 200, a.api(second.AccessToken))
		assert.Equal(t, 200, a.refresh(second.Refresh).status)
	})
	t.Run("KeepRefreshToken", func(t *testing.T) {
		a := startApp(t, drifttest.WithOAuth(drifttest.OAuthApp{Rotation: drifttest.KeepRefreshToken}))
		first := a.exchange(a.code())
		for range 2 {
			again := a.refresh(first.Refresh)
			assert.Equal(t, 200, a.api(again.AccessToken))
			assert.Empty(t, again.Refresh)
		}
	})
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	a := startApp(t, drifttest.WithClock(c.Now), drifttest.WithOAuth(drifttest.OAuthApp{TokenLifetime: time.Minute}))
	token := a.exchange(a.code())
	assert.Equal(t, 60, token.ExpiresIn)
	c.advance(time.Minute - time.Millisecond)
	assert.Equal(t, 200, a.api(token.AccessToken))
	c.advance(time.Millisecond)
	assert.Equal(t, 401, a.api(token.AccessToken))
	assert.Equal(t, 200, a.api(a.refresh(token.Refresh).AccessToken))
}

func TestIssueExpireRevoke(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	a := startApp(t, drifttest.WithClock(c.Now))
	token, code := a.IssueToken(), a.code()
	assert.Equal(t, c.Now().Add(2*time.Hour), token.Expiry)
	assert.Equal(t, 200, a.api(token.AccessToken))

	a.ExpireTokens()
	assert.Equal(t, 401, a.api(token.AccessToken))
	assert.Equal(t, 200, a.api(drifttest.DefaultToken))
	renewed := a.refresh(token.RefreshToken)
	assert.Equal(t, 200, a.api(renewed.AccessToken))

	a.RevokeTokens()
	assert.Equal(t, 401, a.api(renewed.AccessToken))
	assert.Equal(t, "invalid_grant", a.refresh(renewed.Refresh).Error)
	assert.Equal(t, "invalid_grant", a.exchange(code).Error)
	assert.Equal(t, 200, a.api(drifttest.DefaultToken))
	assert.Equal(t, 200, a.api(a.IssueToken().AccessToken), "what is issued later is good")
}

// The endpoint once spoke JSON in camelCase, and still understands it.
func TestLegacyForm(t *testing.T) {
	t.Parallel()
	a := startApp(t, drifttest.WithOAuth(drifttest.OAuthApp{LegacyAnswers: true}))
	body := fmt.Sprintf(`{"clientId":%q,"clientSecret":%q,"code":%q,"grantType":"authorization_code"}`,
		drifttest.DefaultClientID, drifttest.DefaultClientSecret.Reveal(), a.code())
	res := a.send(http.MethodPost, "oauth2/token", body, header("Authorization"))
	require.Equal(t, 200, res.status, "%s", res.body)
	var answer map[string]any
	require.NoError(t, json.Unmarshal(res.body, &answer))
	assert.Equal(t, 7200.0, answer["expiresIn"])
	assert.Equal(t, "bearer", answer["tokenType"])
	assert.Equal(t, 1.0, answer["orgId"])
	assert.Len(t, answer, 5)
	assert.Equal(t, 200, a.api(answer["accessToken"].(string)))

	body = fmt.Sprintf(`{"clientId":%q,"clientSecret":%q,"refreshToken":%q,"grantType":"refresh_token"}`,
		drifttest.DefaultClientID, drifttest.DefaultClientSecret.Reveal(), answer["refreshToken"])
	assert.Equal(t, 200, a.send(http.MethodPost, "oauth2/token", body, header("Authorization")).status)
}

func TestTokenEndpointIsStrict(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	assert.Equal(t, "unsupported_grant_type", a.token("grant_type", "client_credentials").Error)
	assert.Equal(t, "invalid_client", a.token("client_secret", "wrong").Error)
	assert.Equal(t, 401, a.token("client_id", "wrong").status)
	assert.Equal(t, "invalid_client", a.post(form, "").Error)

	for _, c := range []struct{ contentType, body, complaint string }{
		{form, "scope=all", "scope: unknown parameter"},
		{form, "grantType=x", "grantType: unknown parameter"},
		{form, "code=1&code=2", "code: is given more than once"},
		{form, "%zz", "body: must be a form"},
		{"application/json", `{"grant_type":"x"}`, "grant_type: unknown parameter"},
		{"application/json", `{"code":1}`, "code: must be a string"},
		{"application/json", `[]`, "body: must be an object"},
		{"application/json", `{`, "body: must be one JSON value in UTF-8"},
		{"text/plain", "code=1", "Content-Type: must be application/x-www-form-urlencoded or application/json"},
	} {
		res := a.post(c.contentType, c.body)
		assert.Equal(t, 400, res.status, c)
		assert.Equal(t, "invalid_request", res.Error, c)
		assert.Equal(t, c.complaint, res.Description)
	}
	basic := a.send(http.MethodPost, "oauth2/token", "code=1", header("Authorization", "Basic YTpi"), header("Content-Type", form))
	assert.Equal(t, 400, basic.status)
	assert.Contains(t, string(basic.body), "belong in the body")
	assert.Equal(t, 404, a.send(http.MethodGet, "oauth2/token", "").status)
}

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	token := a.IssueToken()
	a.Fail("oauth.token",
		drifttest.Fault{Status: 400},
		drifttest.Fault{Status: 401},
		drifttest.Fault{Status: 200, Body: `{"access_token":"made up"}`, Header: http.Header{"Cache-Control": {"no-store"}}},
		drifttest.Fault{Drop: drifttest.DropBeforeAnswer})
	assert.Equal(t, 400, a.refreshStatus(token.RefreshToken, "invalid_grant"))
	assert.Equal(t, 401, a.refreshStatus(token.RefreshToken, "invalid_client"))
	assert.Equal(t, "made up", a.refresh(token.RefreshToken).AccessToken)
	assert.Error(t, a.send(http.MethodPost, "oauth2/token", "", header("Authorization")).err)
	assert.Equal(t, 4, a.Count("oauth.token"))

	renewed := a.refresh(token.RefreshToken)
	assert.Equal(t, 200, renewed.status, "none of the faults used it up")
	a.Fail("oauth.token", drifttest.Fault{Status: 503, Applied: true})
	assert.Equal(t, 503, a.refreshStatus(renewed.Refresh, "internal_error"))
	assert.Equal(t, "invalid_grant", a.refresh(renewed.Refresh).Error, "this one did")

	a.Fail("oauth.authorize", drifttest.Fault{Status: 500})
	assert.Equal(t, 500, a.send(http.MethodGet, "authorize", "", header("Authorization")).status)
	assert.Equal(t, 1, a.Count("oauth.authorize"))
}

// refreshStatus is the status of a refresh that must be answered with an error of that code or type.
func (a app) refreshStatus(token, code string) int {
	a.t.Helper()
	values := url.Values{"client_id": {drifttest.DefaultClientID}, "client_secret": {drifttest.DefaultClientSecret.Reveal()}}
	values.Set("grant_type", "refresh_token")
	values.Set("refresh_token", token)
	res := a.send(http.MethodPost, "oauth2/token", values.Encode(), header("Authorization"), header("Content-Type", form))
	require.NoError(a.t, res.err)
	assert.Contains(a.t, string(res.body), `"`+code+`"`)
	return res.status
}

func TestTokenRequestsAreRecordedWithoutSecrets(t *testing.T) {
	t.Parallel()
	a := startApp(t)
	code := a.code()
	token := a.exchange(code, "redirect_uri", "http://127.0.0.1:1234/callback?tenant=7")
	a.refresh(token.Refresh)
	a.post("application/json", fmt.Sprintf(`{"grantType":"refresh_token","refreshToken":%q}`, token.Refresh))
	a.post("text/plain", "refresh_token="+token.Refresh)

	requests := a.Requests()
	require.Len(t, requests, 4)
	for _, r := range requests {
		assert.Equal(t, "oauth.token", r.Operation)
		for _, secret := range []string{code, token.Refresh, drifttest.DefaultClientSecret.Reveal()} {
			assert.NotContains(t, string(r.Body), secret)
		}
	}
	first, err := url.ParseQuery(string(requests[0].Body))
	require.NoError(t, err)
	assert.Equal(t, "authorization_code", first.Get("grant_type"))
	assert.Equal(t, "REDACTED", first.Get("code"))
	assert.JSONEq(t, `{"grantType":"refresh_token","refreshToken":"REDACTED"}`, string(requests[2].Body))
	assert.Equal(t, "REDACTED", string(requests[3].Body))
}

func TestOAuthMisuse(t *testing.T) {
	t.Parallel()
	for _, bad := range []drifttest.OAuthApp{
		{RedirectURLs: []string{"/callback"}},
		{RedirectURLs: []string{"https://a.example/#fragment"}},
		{TokenLifetime: -time.Second},
		{TokenLifetime: 1500 * time.Millisecond},
		{Rotation: 3},
	} {
		_, err := drifttest.Listen(drifttest.WithOAuth(bad))
		assert.ErrorContains(t, err, "WithOAuth", "%+v", bad)
	}
	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	assert.Nil(t, srv.Allow("http://elsewhere.example/authorize?state=x"))
	assert.Nil(t, srv.Deny(srv.URL+"/authorize?client_id=unknown"))
	assert.Len(t, tb.fatals, 2)
}
