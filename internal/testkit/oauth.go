package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// Marks of the token flow.
const (
	MarkedClientSecret = "mark-client-secret-5e1d"
	MarkedCode         = "mark-code-5e1d"
	MarkedRefresh      = "mark-refresh-5e1d"
	MarkedAccess       = "mark-access-5e1d"
)

// Authority is a token endpoint in memory. It gives out a new refresh token with each refresh and takes each once. A
// used refresh token counts as stolen and ends the authorization.
type Authority struct {
	Life    any           // expires_in; nil: the answer has none
	Delay   time.Duration // before it answers
	Answers []Responder   // given first, in turn; nil: its own

	// Breaks returns what arrives of the text of a pair; nil: all of it.
	Breaks func(r *http.Request, text string) io.ReadCloser

	mu       sync.Mutex
	Requests []url.Values
	Serial   int
	Refresh  string // the one that is good; "": none
	Killed   bool
}

// NewAuthority returns an authority that has given out the first pair of tokens.
func NewAuthority() *Authority {
	return &Authority{Life: 7200, Refresh: RefreshToken(0)}
}

// AccessToken returns the access token with this serial number.
func AccessToken(serial int) string { return fmt.Sprint(MarkedAccess, "-", serial) }

// RefreshToken returns the refresh token with this serial number.
func RefreshToken(serial int) string { return fmt.Sprint(MarkedRefresh, "-", serial) }

// Issued returns the pair with this serial number, as a program stores it.
func Issued(serial int, expiry time.Time) *oauth2.Token {
	token := &oauth2.Token{
		AccessToken: AccessToken(serial), RefreshToken: RefreshToken(serial), TokenType: "Bearer", Expiry: expiry,
	}
	if !expiry.IsZero() {
		token.ExpiresIn = 7200
	}
	return token.WithExtra(map[string]any{"orgId": int64(12345)})
}

// Expired returns the first pair, an hour after it has expired.
func Expired() *oauth2.Token { return Issued(0, time.Now().Add(-time.Hour)) }

func (a *Authority) RoundTrip(r *http.Request) (*http.Response, error) {
	form, err := ReadForm(r)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.Requests = append(a.Requests, form)
	var respond Responder
	if len(a.Answers) > 0 {
		respond, a.Answers = a.Answers[0], a.Answers[1:]
	}
	delay := a.Delay
	a.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if respond == nil {
		respond = a.Grant(form)
	}
	resp, err := respond(r)
	if err == nil && a.Breaks != nil && resp.StatusCode == http.StatusOK {
		resp.Body, resp.ContentLength = a.Breaks(r, string(Must(io.ReadAll(resp.Body)))), -1
	}
	return resp, err
}

// ReadForm reads the form of a token request.
func ReadForm(r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return url.ParseQuery(string(body))
}

// Grant answers a token request.
func (a *Authority) Grant(form url.Values) Responder {
	a.mu.Lock()
	defer a.mu.Unlock()
	if form.Get("grant_type") == "refresh_token" && (a.Killed || form.Get("refresh_token") != a.Refresh) {
		a.Killed = true
		return InvalidGrant
	}
	a.Serial++
	a.Refresh = RefreshToken(a.Serial)
	return a.pair()
}

// pair answers with the current pair.
func (a *Authority) pair() Responder {
	pair := map[string]any{"access_token": AccessToken(a.Serial), "refresh_token": a.Refresh, "token_type": "bearer"}
	if a.Life != nil {
		pair["expires_in"] = a.Life
	}
	body, _ := json.Marshal(pair)
	return AnswerBody(http.StatusOK, string(body))
}

// InvalidGrant rejects a refresh token.
func InvalidGrant(r *http.Request) (*http.Response, error) {
	return AnswerBody(http.StatusBadRequest, `{"error": "invalid_grant", "error_description": "used up"}`)(r)
}

// Asked returns how many requests there were.
func (a *Authority) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.Requests)
}

// Newest returns the serial number of the newest pair.
func (a *Authority) Newest() (serial int) {
	a.Set(func() { serial = a.Serial })
	return serial
}

// Set changes the authority between requests.
func (a *Authority) Set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// Config returns a configuration for the authority.
func (a *Authority) Config() drift.OAuthConfig {
	return drift.OAuthConfig{
		ClientID: "client", ClientSecret: MarkedClientSecret, RedirectURL: "https://app.test/callback",
		HTTPClient: &http.Client{Transport: a},
	}
}

// Answering returns a configuration whose token endpoint gives these answers, as a [Network] does.
func Answering(answers ...Responder) (drift.OAuthConfig, *Network) {
	network := &Network{Answers: answers}
	config := NewAuthority().Config()
	config.HTTPClient = &http.Client{Transport: Responder(network.Serve)}
	return config, network
}

// UnusableAnswers are answers of a token endpoint without a usable token. Some quote the request.
func UnusableAnswers(sent string) map[string]Responder {
	html := func(status int) Responder {
		return AnswerBody(status, "<html>"+MarkedAnswer, "Content-Type", "text/html")
	}
	return map[string]Responder{
		"no access token":     AnswerBody(200, `{"refresh_token": "`+MarkedAnswer+`", "expires_in": 7200}`),
		"empty access token":  AnswerBody(200, `{"access_token": "", "x": "`+MarkedAnswer+`"}`),
		"CR LF":               AnswerBody(200, `{"access_token": "`+MarkedAnswer+`\r\nX: y"}`),
		"non-ASCII":           AnswerBody(200, `{"access_token": "`+MarkedAnswer+`é"}`),
		"MAC":                 AnswerBody(200, `{"access_token": "`+MarkedAnswer+`", "token_type": "MAC"}`),
		"a list":              AnswerBody(200, `["`+MarkedAnswer+`"]`),
		"null":                AnswerBody(200, `null`),
		"empty":               AnswerBody(200, ``),
		"broken JSON":         AnswerBody(200, `{"access_token": "`+MarkedAnswer+`"`),
		"two documents":       AnswerBody(200, `{"access_token": "`+MarkedAnswer+`"} {}`),
		"HTML":                html(200),
		"HTML called JSON":    AnswerBody(200, "<html>"+MarkedAnswer),
		"2 MiB":               AnswerBody(200, `{"access_token": "`+MarkedAnswer+strings.Repeat("x", 2<<20)+`"}`),
		"redirect":            Answer(307, "Location", "https://"+MarkedAnswer+".test"),
		"not modified":        AnswerBody(304, MarkedAnswer),
		"firewall":            html(403),
		"not found":           html(404),
		"unknown code":        AnswerBody(400, `{"error": "`+sent+` is forbidden"}`),
		"invalid client":      AnswerBody(401, `{"error": "invalid_client", "error_description": "`+MarkedClientSecret+` is wrong, `+sent+` too"}`),
		"error under success": AnswerBody(200, `{"error": "invalid_grant", "access_token": "`+MarkedAnswer+`"}`),
		"error as an object":  AnswerBody(403, `{"error": {"type": "authentication_error", "message": "bad `+MarkedClientSecret+`"}}`),
		"not implemented":     html(501),
	}
}

// TroubledStore is an in-memory TokenStore that fails on demand.
type TroubledStore struct {
	drift.TokenStore

	mu                        sync.Mutex
	LoadErr, SaveErr, LockErr error
	Slow                      time.Duration // how long Save takes
	Deaf                      chan struct{} // Load returns once it is closed, even if the context ends
	Loads, Saved              int
	Locked, MostLocks         int
}

// NewTroubledStore returns a store that holds token.
func NewTroubledStore(token *oauth2.Token) *TroubledStore {
	return &TroubledStore{TokenStore: drift.NewMemoryTokenStore(token)}
}

func (s *TroubledStore) Load(ctx context.Context) (*oauth2.Token, error) {
	s.mu.Lock()
	s.Loads++
	err, deaf := s.LoadErr, s.Deaf
	s.mu.Unlock()
	if deaf != nil {
		<-deaf
	}
	if err != nil {
		return nil, err
	}
	return s.TokenStore.Load(ctx)
}

func (s *TroubledStore) Save(ctx context.Context, t *oauth2.Token) error {
	s.mu.Lock()
	err, slow := s.SaveErr, s.Slow
	s.mu.Unlock()
	time.Sleep(slow)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.Saved++
	s.mu.Unlock()
	return s.TokenStore.Save(ctx, t)
}

func (s *TroubledStore) Lock(ctx context.Context) (func(), error) {
	s.mu.Lock()
	err := s.LockErr
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	unlock, err := s.TokenStore.Lock(ctx)
	if err != nil {
		return nil, err
	}
	s.count(1)
	return func() { s.count(-1); unlock() }, nil
}

func (s *TroubledStore) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Locked += n
	s.MostLocks = max(s.MostLocks, s.Locked)
}

// Set changes the store between calls.
func (s *TroubledStore) Set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Access returns the stored access token.
func (s *TroubledStore) Access(t testing.TB) string {
	t.Helper()
	token, err := s.TokenStore.Load(context.Background())
	require.NoError(t, err)
	if token == nil {
		return ""
	}
	return token.AccessToken
}

// NewSource returns a source that is closed at the end of the test.
func NewSource(t testing.TB, config drift.OAuthConfig, store drift.TokenStore) *drift.OAuthTokenSource {
	t.Helper()
	source := config.TokenSource(store)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

// RequireToken checks that a source returned the token with this serial number.
func RequireToken(t testing.TB, serial int, token *oauth2.Token, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, AccessToken(serial), token.AccessToken)
}

// SavesThatFail collects the errors that a hook gets.
type SavesThatFail struct {
	mu   sync.Mutex
	Errs []error
}

// Tell is the hook.
func (s *SavesThatFail) Tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Errs = append(s.Errs, err)
}

// Count returns how many errors there were.
func (s *SavesThatFail) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.Errs)
}

// ErrFull is an error of a store, with a secret in it.
var ErrFull = fmt.Errorf("no space left for %s", MarkedRefresh)
