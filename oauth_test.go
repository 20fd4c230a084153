package drift_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

const (
	markedClientSecret = "mark-client-secret-5e1d"
	markedCode         = "mark-code-5e1d"
	markedRefresh      = "mark-refresh-5e1d"
	markedAccess       = "mark-access-5e1d"
)

// authority is a token endpoint in memory. It gives out a new refresh token with each refresh and takes each once: whoever
// brings a used one has stolen it, and loses all.
type authority struct {
	life    any                                              // expires_in; nil: the answer has none
	delay   time.Duration                                    // before it answers
	answers []respondWith                                    // in turn, in place of what it would say; nil: what it would say
	breaks  func(r *http.Request, text string) io.ReadCloser // what becomes of the text of a pair; nil: it arrives

	mu       sync.Mutex
	requests []url.Values
	serial   int
	refresh  string // the one that is good; "": none
	killed   bool
}

// newAuthority returns one that has given out the first pair.
func newAuthority() *authority {
	return &authority{life: 7200, refresh: refreshToken(0)}
}

func accessToken(serial int) string { return fmt.Sprint(markedAccess, "-", serial) }

func refreshToken(serial int) string { return fmt.Sprint(markedRefresh, "-", serial) }

// issued is the pair of a serial number, as a program stores it.
func issued(serial int, expiry time.Time) *oauth2.Token {
	token := &oauth2.Token{AccessToken: accessToken(serial), TokenType: "Bearer", RefreshToken: refreshToken(serial), Expiry: expiry}
	if !expiry.IsZero() {
		token.ExpiresIn = 7200
	}
	return token.WithExtra(map[string]any{"orgId": int64(12345)})
}

// expired is the first pair, some time after its end.
func expired() *oauth2.Token { return issued(0, time.Now().Add(-time.Hour)) }

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	form, err := readForm(r)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.requests = append(a.requests, form)
	var respond respondWith
	if len(a.answers) > 0 {
		respond, a.answers = a.answers[0], a.answers[1:]
	}
	delay := a.delay
	a.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if respond == nil {
		respond = a.grant(form)
	}
	resp, err := respond(r)
	if err == nil && a.breaks != nil && resp.StatusCode == http.StatusOK {
		resp.Body, resp.ContentLength = a.breaks(r, string(must(io.ReadAll(resp.Body)))), -1
	}
	return resp, err
}

func readForm(r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(string(body))
}

func (a *authority) grant(form url.Values) respondWith {
	a.mu.Lock()
	defer a.mu.Unlock()
	if form.Get("grant_type") == "refresh_token" && (a.killed || form.Get("refresh_token") != a.refresh) {
		a.killed = true
		return invalidGrant
	}
	a.serial++
	a.refresh = refreshToken(a.serial)
	return a.pair()
}

// pair answers with what is good now.
func (a *authority) pair() respondWith {
	pair := map[string]any{"access_token": accessToken(a.serial), "refresh_token": a.refresh, "token_type": "bearer"}
	if a.life != nil {
		pair["expires_in"] = a.life
	}
	body, _ := json.Marshal(pair)
	return answerBody(http.StatusOK, string(body))
}

func invalidGrant(r *http.Request) (*http.Response, error) {
	return answerBody(http.StatusBadRequest, `{"error": "invalid_grant", "error_description": "used up"}`)(r)
}

// asked is how many requests there were.
func (a *authority) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

// set changes the authority between requests.
func (a *authority) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

func (a *authority) config() drift.OAuthConfig {
	return drift.OAuthConfig{ClientID: "client", ClientSecret: markedClientSecret, RedirectURL: "https://app.test/callback",
		HTTPClient: &http.Client{Transport: a}}
}

// answering is a configuration whose token endpoint gives these answers in turn, the last one again and again.
func answering(answers ...respondWith) (drift.OAuthConfig, *network) {
	network := &network{answers: answers}
	config := newAuthority().config()
	config.HTTPClient = &http.Client{Transport: roundTripper(network.serve)}
	return config, network
}

func TestAuthCodeURL(t *testing.T) {
	verifier := oauth2.GenerateVerifier()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: markedClientSecret, RedirectURL: "https://app.test/callback?a=b"}
	address, err := url.Parse(config.AuthCodeURL("state&more", oauth2.S256ChallengeOption(verifier)))
	require.NoError(t, err)
	assert.Equal(t, "https://dev.drift.com/authorize", address.Scheme+"://"+address.Host+address.Path)
	assert.Equal(t, url.Values{"response_type": {"code"}, "client_id": {"client"}, "redirect_uri": {"https://app.test/callback?a=b"},
		"state": {"state&more"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}, address.Query())

	config = drift.OAuthConfig{ClientID: "client", AuthURL: "https://other.test/a?tenant=1"}
	assert.Equal(t, "https://other.test/a?tenant=1&client_id=client&response_type=code&state=s", config.AuthCodeURL("s"))
}

func TestExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent *http.Request
		var form url.Values
		config := newAuthority().config()
		config.HTTPClient.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r
			form, _ = readForm(r)
			return answerBody(200, `{"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 7200, "orgId": 17035536800}`)(r)
		})
		token, err := config.Exchange(t.Context(), markedCode, oauth2.VerifierOption("verifier"))
		require.NoError(t, err)

		assert.Equal(t, http.MethodPost, sent.Method)
		assert.Equal(t, "https://driftapi.com/oauth2/token", sent.URL.String())
		assert.Equal(t, url.Values{"grant_type": {"authorization_code"}, "code": {markedCode}, "code_verifier": {"verifier"},
			"redirect_uri": {"https://app.test/callback"}, "client_id": {"client"}, "client_secret": {markedClientSecret}}, form)
		assert.Equal(t, "application/x-www-form-urlencoded", sent.Header.Get("Content-Type"))
		assert.Equal(t, "application/json", sent.Header.Get("Accept"))
		assert.Contains(t, sent.Header.Get("User-Agent"), "drift")
		assert.Empty(t, sent.Header.Get("Authorization"), "the credentials are in the body")

		assert.Equal(t, "a", token.AccessToken)
		assert.Equal(t, "r", token.RefreshToken)
		assert.Equal(t, "Bearer", token.Type())
		assert.Equal(t, time.Now().Add(2*time.Hour).UTC().Round(0), token.Expiry)
		assert.EqualValues(t, 7200, token.ExpiresIn)
		id, ok := drift.OrgIDOf(token)
		assert.True(t, ok)
		assert.Equal(t, drift.OrgID(17035536800), id)
		assert.Equal(t, int64(17035536800), token.Extra("orgId"))
	})
}

func TestExchangeOptionsTakePlace(t *testing.T) {
	config, network := answering(answerBody(200, `{"access_token": "a"}`))
	config.RedirectURL = ""
	_, err := config.Exchange(t.Context(), "code", oauth2.SetAuthURLParam("redirect_uri", "https://b.test"), oauth2.SetAuthURLParam("extra", "1"),
		oauth2.SetAuthURLParam("client_secret", "other"))
	require.NoError(t, err)
	form, err := url.ParseQuery(network.sent[0].body)
	require.NoError(t, err)
	assert.Equal(t, url.Values{"grant_type": {"authorization_code"}, "code": {"code"}, "redirect_uri": {"https://b.test"},
		"extra": {"1"}, "client_id": {"client"}, "client_secret": {markedClientSecret}}, form)
}

func TestOrgIDOf(t *testing.T) {
	for _, extra := range []any{int64(7), 7, 7.0, json.Number("7"), "7", drift.OrgID(7)} {
		id, ok := drift.OrgIDOf(new(oauth2.Token).WithExtra(map[string]any{"orgId": extra}))
		assert.True(t, ok, "%T", extra)
		assert.Equal(t, drift.OrgID(7), id)
	}
	id, ok := drift.OrgIDOf(new(oauth2.Token).WithExtra(url.Values{"orgId": {"7"}}))
	assert.True(t, ok)
	assert.Equal(t, drift.OrgID(7), id)
	for _, token := range []*oauth2.Token{nil, {}, new(oauth2.Token).WithExtra(map[string]any{"orgId": "x"}),
		new(oauth2.Token).WithExtra(map[string]any{"orgId": 0}), new(oauth2.Token).WithExtra(map[string]any{"orgId": -1})} {
		_, ok := drift.OrgIDOf(token)
		assert.False(t, ok)
	}
}

func TestExchangeFails(t *testing.T) {
	for name, respond := range unusableAnswers(markedCode) {
		t.Run(name, func(t *testing.T) {
			config, network := answering(respond)
			watch := new(secretWatch)
			token, err := config.Exchange(t.Context(), markedCode, oauth2.VerifierOption(markedCode))
			assert.Nil(t, token)
			require.Error(t, err)
			assert.Contains(t, err.Error(), "oauth")
			assert.Len(t, network.sent, 1, "the answer will be the same")
			assert.NotErrorIs(t, err, drift.ErrReauthRequired)
			watch.showError(err)
			var api *drift.APIError
			if errors.As(err, &api) {
				watch.show(api.Body())
				watch.show(api.Fields)
			}
			watch.check(t)
		})
	}
}

func TestExchangeValidation(t *testing.T) {
	good := newAuthority().config()
	for name, test := range map[string]struct {
		change   func(*drift.OAuthConfig)
		argument string
	}{
		"no id":       {func(c *drift.OAuthConfig) { c.ClientID = "" }, "ClientID"},
		"no secret":   {func(c *drift.OAuthConfig) { c.ClientSecret = "" }, "ClientSecret"},
		"http":        {func(c *drift.OAuthConfig) { c.TokenURL = "http://mark-host.test/" }, "TokenURL"},
		"user info":   {func(c *drift.OAuthConfig) { c.TokenURL = "https://ada:mark-password@drift.test/" }, "TokenURL"},
		"fragment":    {func(c *drift.OAuthConfig) { c.TokenURL = "https://drift.test/#mark-" }, "TokenURL"},
		"no scheme":   {func(c *drift.OAuthConfig) { c.TokenURL = "mark-host/oauth2/token" }, "TokenURL"},
		"no URL":      {func(c *drift.OAuthConfig) { c.TokenURL = "https://mark-host:port" }, "TokenURL"},
		"ftp":         {func(c *drift.OAuthConfig) { c.TokenURL = "ftp://mark-host" }, "TokenURL"},
		"no host":     {func(c *drift.OAuthConfig) { c.TokenURL = "https:///mark-" }, "TokenURL"},
		"not a space": {func(c *drift.OAuthConfig) { c.TokenURL = "https://mark- host/" }, "TokenURL"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			test.change(&config)
			_, err := config.Exchange(t.Context(), "code")
			requireInvalid(t, err, "oauth.exchange", test.argument)
			_, err = config.TokenSource(drift.NewMemoryTokenStore(nil)).Token()
			requireInvalid(t, err, "oauth.refresh", test.argument)
		})
	}
	_, err := good.Exchange(t.Context(), "")
	requireInvalid(t, err, "oauth.exchange", "code")
	var noContext context.Context
	_, err = good.Exchange(noContext, "code")
	requireInvalid(t, err, "oauth.exchange", "ctx")
	_, err = good.TokenSource(nil).Token()
	requireInvalid(t, err, "oauth.refresh", "store")
	_, err = good.TokenSource(drift.NewMemoryTokenStore(nil)).TokenContext(noContext)
	requireInvalid(t, err, "oauth.refresh", "ctx")
}

func requireInvalid(t *testing.T, err error, operation, argument string) {
	t.Helper()
	var invalid *drift.ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, operation, invalid.Operation)
	assert.Equal(t, argument, invalid.Argument)
	assert.NotContains(t, err.Error(), markedPrefix)
}

func TestOAuthShowsNoSecret(t *testing.T) {
	watch := new(secretWatch)
	store := drift.NewMemoryTokenStore(issued(0, time.Time{}))
	config := newAuthority().config()
	config.HTTPClient, config.SaveFailed = &http.Client{}, func(error) {}
	source := config.TokenSource(store)
	_, err := source.Token()
	require.NoError(t, err)
	for _, value := range []any{config, &config, source, store, struct {
		Config drift.OAuthConfig
		Source *drift.OAuthTokenSource
		Store  drift.TokenStore
	}{config, source, store}} {
		watch.show(value)
		for _, verb := range "tbcdoOeEfFgGUxXvsq" { // not p, which go vet refuses: fmt asks nobody then
			fmt.Fprintf(watch, "%"+string(verb)+"\n", value)
		}
	}
	watch.check(t)
	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	assert.Contains(t, string(encoded), "REDACTED")
}
