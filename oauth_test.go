package drift_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
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

func accessToken(serial int) string  { return fmt.Sprint(markedAccess, "-", serial) }
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

func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	exchange := func(name string) error {
		config, _ := answering(unusableAnswers(markedCode)[name])
		_, err := config.Exchange(t.Context(), markedCode)
		return err
	}
	var api *drift.APIError
	require.ErrorAs(t, exchange("invalid client"), &api)
	assert.Equal(t, "invalid_client", api.Type)
	assert.Equal(t, "REDACTED is wrong, REDACTED too", api.Message)
	assert.Equal(t, 401, api.StatusCode)
	assert.Equal(t, "oauth.exchange", api.Operation)
	assert.Equal(t, "POST", api.Method)
	assert.Equal(t, "oauth2/token", api.Route)
	assert.Len(t, api.Attempts, 1)
	assert.ErrorIs(t, api, drift.ErrUnauthorized)
	require.ErrorAs(t, exchange("error as an object"), &api)
	assert.Equal(t, "authentication_error", api.Type)
	require.ErrorAs(t, exchange("error under success"), &api)
	assert.Equal(t, "invalid_grant", api.Type)

	var decode *drift.DecodeError
	require.ErrorAs(t, exchange("no access token"), &decode)
	assert.Equal(t, "/access_token", decode.Path)
	require.ErrorAs(t, exchange("MAC"), &decode)
	assert.Equal(t, "/token_type", decode.Path)

	assert.ErrorIs(t, exchange("HTML"), drift.ErrUnexpectedContent)
	assert.ErrorIs(t, exchange("2 MiB"), drift.ErrTooLarge)
	var transport *drift.TransportError
	require.ErrorAs(t, exchange("redirect"), &transport)
	assert.Equal(t, "oauth.exchange", transport.Operation)
	assert.True(t, transport.Sent)
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

func TestTokenURLs(t *testing.T) {
	for _, address := range []string{"https://drift.test/token?tenant=1", "http://127.0.0.1:1/token", "http://localhost/token", "http://[::1]/token"} {
		config, network := answering(answerBody(200, `{"access_token": "a"}`))
		config.TokenURL = address
		_, err := config.Exchange(t.Context(), "code")
		require.NoError(t, err, address)
		assert.Len(t, network.sent, 1)
	}
	config, _ := answering(answerBody(200, `{"access_token": "a"}`))
	config.TokenURL, config.InsecureHTTP = "http://drift.test", true
	_, err := config.Exchange(t.Context(), "code")
	require.NoError(t, err)
}

func TestTokenRequestIsSentAgain(t *testing.T) {
	broken := func(*http.Request) (*http.Response, error) { return nil, io.EOF }
	refused := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	}
	unknown := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
	}
	good := answerBody(200, `{"access_token": "a"}`)
	cutOff := func(r *http.Request) (*http.Response, error) {
		resp := memoryAnswer(r, 200, "application/json", "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"access_token": "`), errorReader{io.ErrUnexpectedEOF}))
		return resp, nil
	}
	for name, test := range map[string]struct {
		answers []respondWith
		want    int
		ok      bool
	}{
		"not sent":                    {[]respondWith{refused, good}, 2, true},
		"not sent three times":        {[]respondWith{refused, refused, refused, good}, 3, false},
		"no answer":                   {[]respondWith{broken, good}, 2, true},
		"no answer three times":       {[]respondWith{broken, broken, broken, good}, 3, false},
		"cut off":                     {[]respondWith{cutOff, good}, 2, true},
		"not sent, then no answer":    {[]respondWith{refused, broken, good}, 3, true},
		"unknown host":                {[]respondWith{unknown, good}, 1, false},
		"503 twice":                   {[]respondWith{answer(503), answer(500), good}, 3, true},
		"503 three times":             {[]respondWith{answer(503), answer(503), answer(503), good}, 3, false},
		"429":                         {[]respondWith{answer(429), good}, 2, true},
		"408":                         {[]respondWith{answer(408), good}, 2, true},
		"501":                         {[]respondWith{answer(501), good}, 1, false},
		"asked to wait 2 s":           {[]respondWith{answer(503, "Retry-After", "2"), good}, 2, true},
		"asked to wait longer than a": {[]respondWith{answer(503, "Retry-After", "60"), good}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := answering(test.answers...)
				start := time.Now()
				_, err := config.Exchange(t.Context(), "code")
				assert.Equal(t, test.ok, err == nil, "%v", err)
				assert.Len(t, network.sent, test.want)
				assert.Less(t, time.Since(start), 10*time.Second)
				if strings.Contains(name, "2 s") {
					assert.GreaterOrEqual(t, time.Since(start), 2*time.Second)
				}
				for _, sent := range network.sent {
					assert.Equal(t, network.sent[0].body, sent.body)
				}
				var transport *drift.TransportError
				if errors.As(err, &transport) {
					assert.Len(t, transport.Attempts, test.want)
					assert.Equal(t, strings.Contains(name, "no answer"), transport.Sent)
				}
			})
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestExchangeObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority()
		authority.delay = time.Hour
		cause := errors.New("shutting down")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, cause)
		defer cancel()
		start := time.Now()
		_, err := authority.config().Exchange(ctx, "code")
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, cause)
		_, err = authority.config().Exchange(ctx, "code")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, authority.asked(), "nothing is sent when the context has ended")

		start = time.Now()
		_, err = authority.config().Exchange(t.Context(), "code")
		assert.Equal(t, 30*time.Second, time.Since(start))
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "that is not the caller's")
		assert.Equal(t, 2, authority.asked())

		config := authority.config()
		config.HTTPClient.Timeout = 2 * time.Second
		start = time.Now()
		_, err = config.Exchange(t.Context(), "code")
		require.Error(t, err)
		assert.Equal(t, 5, authority.asked(), "three attempts, because each may take less")
		assert.Less(t, time.Since(start), 8*time.Second)
	})
}

func TestTokenEndpointRedirects(t *testing.T) {
	trap, calls := trapServer(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, trap, status)
		}))
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		given := &http.Client{Jar: jar}
		for _, client := range []*http.Client{nil, given} {
			config := drift.OAuthConfig{ClientID: "client", ClientSecret: markedClientSecret, TokenURL: server.URL, HTTPClient: client}
			_, err := config.Exchange(t.Context(), markedCode)
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			assert.Contains(t, err.Error(), "redirect")
			assert.NotContains(t, err.Error(), trap)
		}
		assert.Equal(t, 2, requests)
		assert.Equal(t, http.Client{Jar: jar}, *given, "a given client is not changed")
		address, err := url.Parse(server.URL)
		require.NoError(t, err)
		assert.Empty(t, jar.Cookies(address))
		server.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	assert.Zero(t, calls())
}

// A goroutine that is left behind by the connections would fail TestMain.
func TestExchangeOverARealConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if assert.NoError(t, r.ParseForm()) && r.PostForm.Get("client_secret") == markedClientSecret && r.PostForm.Get("code") == markedCode {
			_, _ = io.WriteString(w, `{"access_token": "a", "refresh_token": "r", "expires_in": 7200}`)
		}
	}))
	defer server.Close()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: markedClientSecret, TokenURL: server.URL}
	token, err := config.Exchange(t.Context(), markedCode)
	require.NoError(t, err)
	assert.Equal(t, "a", token.AccessToken)
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
