package drift_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestAuthCodeURL(t *testing.T) {
	verifier := oauth2.GenerateVerifier()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: testkit.MarkedClientSecret, RedirectURL: "https://app.test/callback?a=b"}
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
		config := testkit.NewAuthority().Config()
		config.HTTPClient.Transport = testkit.Responder(func(r *http.Request) (*http.Response, error) {
			sent = r
			form, _ = testkit.ReadForm(r)
			return testkit.AnswerBody(200, `{"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 7200, "orgId": 17035536800}`)(r)
		})
		token, err := config.Exchange(t.Context(), testkit.MarkedCode, oauth2.VerifierOption("verifier"))
		require.NoError(t, err)

		assert.Equal(t, http.MethodPost, sent.Method)
		assert.Equal(t, "https://driftapi.com/oauth2/token", sent.URL.String())
		assert.Equal(t, url.Values{"grant_type": {"authorization_code"}, "code": {testkit.MarkedCode}, "code_verifier": {"verifier"},
			"redirect_uri": {"https://app.test/callback"}, "client_id": {"client"}, "client_secret": {testkit.MarkedClientSecret}}, form)
		assert.Equal(t, "application/x-www-form-urlencoded", sent.Header.Get("Content-Type"))
		assert.Equal(t, "application/json", sent.Header.Get("Accept"))
		assert.Contains(t, sent.Header.Get("User-Agent"), "drift")
		assert.Empty(t, sent.Header.Get("Authorization"), "the credentials are in the body")

		assert.Equal(t, "a", token.AccessToken)
		assert.Equal(t, "r", token.RefreshToken)
		assert.Equal(t, "Bearer", token.Type())
		assert.Equal(t, time.Now().Add(2*time.Hour).UTC().Round(0), token.Expiry)
		assert.EqualValues(t, 7200, token.ExpiresIn)
		id, ok := drift.OrgIDFromToken(token)
		assert.True(t, ok)
		assert.Equal(t, drift.OrgID(17035536800), id)
		assert.Equal(t, int64(17035536800), token.Extra("orgId"))
	})
}

func TestExchangeOptionsTakePlace(t *testing.T) {
	config, network := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "a"}`))
	config.RedirectURL = ""
	_, err := config.Exchange(t.Context(), "code", oauth2.SetAuthURLParam("redirect_uri", "https://b.test"), oauth2.SetAuthURLParam("extra", "1"),
		oauth2.SetAuthURLParam("client_secret", "other"))
	require.NoError(t, err)
	form, err := url.ParseQuery(network.Sent[0].Body)
	require.NoError(t, err)
	assert.Equal(t, url.Values{"grant_type": {"authorization_code"}, "code": {"code"}, "redirect_uri": {"https://b.test"},
		"extra": {"1"}, "client_id": {"client"}, "client_secret": {testkit.MarkedClientSecret}}, form)
}

func TestOrgIDFromToken(t *testing.T) {
	for _, extra := range []any{int64(7), 7, 7.0, json.Number("7"), "7", drift.OrgID(7)} {
		id, ok := drift.OrgIDFromToken(new(oauth2.Token).WithExtra(map[string]any{"orgId": extra}))
		assert.True(t, ok, "%T", extra)
		assert.Equal(t, drift.OrgID(7), id)
	}
	id, ok := drift.OrgIDFromToken(new(oauth2.Token).WithExtra(url.Values{"orgId": {"7"}}))
	assert.True(t, ok)
	assert.Equal(t, drift.OrgID(7), id)
	for _, token := range []*oauth2.Token{nil, {}, new(oauth2.Token).WithExtra(map[string]any{"orgId": "x"}),
		new(oauth2.Token).WithExtra(map[string]any{"orgId": 0}), new(oauth2.Token).WithExtra(map[string]any{"orgId": -1})} {
		_, ok := drift.OrgIDFromToken(token)
		assert.False(t, ok)
	}
}

func TestExchangeFails(t *testing.T) {
	for name, respond := range testkit.UnusableAnswers(testkit.MarkedCode) {
		t.Run(name, func(t *testing.T) {
			config, network := testkit.Answering(respond)
			watch := new(testkit.SecretWatch)
			token, err := config.Exchange(t.Context(), testkit.MarkedCode, oauth2.VerifierOption(testkit.MarkedCode))
			assert.Nil(t, token)
			require.Error(t, err)
			assert.Contains(t, err.Error(), "oauth")
			assert.Len(t, network.Sent, 1, "the answer will be the same")
			assert.NotErrorIs(t, err, drift.ErrReauthRequired)
			watch.ShowError(err)
			var api *drift.APIError
			if errors.As(err, &api) {
				watch.Show(api.Body())
				watch.Show(api.Fields)
			}
			watch.Check(t)
		})
	}
}

func TestExchangeValidation(t *testing.T) {
	good := testkit.NewAuthority().Config()
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
	assert.NotContains(t, err.Error(), testkit.MarkedPrefix)
}

func TestOAuthShowsNoSecret(t *testing.T) {
	watch := new(testkit.SecretWatch)
	store := drift.NewMemoryTokenStore(testkit.Issued(0, time.Time{}))
	config := testkit.NewAuthority().Config()
	config.HTTPClient, config.SaveFailed = &http.Client{}, func(error) {}
	source := config.TokenSource(store)
	_, err := source.Token()
	require.NoError(t, err)
	for _, value := range []any{config, &config, source, store, struct {
		Config drift.OAuthConfig
		Source *drift.OAuthTokenSource
		Store  drift.TokenStore
	}{config, source, store}} {
		watch.Show(value)
		for _, verb := range "tbcdoOeEfFgGUxXvsq" { // not p, which go vet refuses: fmt asks nobody then
			fmt.Fprintf(watch, "%"+string(verb)+"\n", value)
		}
	}
	watch.Check(t)
	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	assert.Contains(t, string(encoded), "REDACTED")
}
