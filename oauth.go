package drift

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/rest"
)

// The addresses of an [OAuthConfig] that names no others.
const (
	DefaultAuthURL  = "https://dev.drift.com/authorize"
	DefaultTokenURL = "https://driftapi.com/oauth2/token"
)

// OAuthConfig is an application that other organizations authorize, as registered at https://dev.drift.com. It leads
// through the authorization code flow:
//
//   - [OAuthConfig.AuthCodeURL] is where the browser of the person who authorizes goes,
//   - [OAuthConfig.Exchange] trades the code with which it comes back for a token,
//   - [TokenStore.Save] keeps the token, and [OAuthConfig.TokenSource] keeps it good from then on.
//
// What the application may do is set where it is registered: the service knows no scope parameter.
type OAuthConfig struct {
	ClientID     string
	ClientSecret Secret
	RedirectURL  string // as registered; "" leaves it to the service
	AuthURL      string // "": DefaultAuthURL
	TokenURL     string // "": DefaultTokenURL. No user info, no fragment; plain http is for loopback, see InsecureHTTP

	// HTTPClient sends the requests to the token endpoint. Of a given one the Transport and the Timeout (of one
	// attempt) are used; it is never changed or closed, redirects are never followed, and its cookie jar is left out.
	// nil: connections that are closed after each request.
	HTTPClient *http.Client `json:"-"`

	// InsecureHTTP allows a TokenURL with http that is not on loopback. Every machine on the way can then read the
	// secrets.
	InsecureHTTP bool

	// SaveFailed is called when a token source cannot store a new token. The source goes on with the token in memory
	// and tries again; until that succeeds, a program that starts with the stored token has a refresh token that is
	// used up. The error matches what the store returned, but does not quote it. SaveFailed runs on the goroutine of
	// the refresh: it must be quick, and must not call the token source.
	SaveFailed func(error) `json:"-"`

	// RefreshFailed is called when a token source cannot refresh its token, even while calls go on with the old one: it
	// says early that they will fail. The error is the one that calls get once the token has expired. It runs on the
	// goroutine of the refresh: it must be quick, and must not call the token source.
	RefreshFailed func(error) `json:"-"`

	// OnRefresh is called after each request of a token source for a new token, for metrics and tracing. It runs on the
	// goroutine of the refresh, which serves many callers and has the context of none: it must be quick, and must not
	// call the token source.
	OnRefresh func(RefreshInfo) `json:"-"`

	// Logger gets a warning when a token cannot be refreshed or stored. nil: nothing is logged.
	Logger *slog.Logger `json:"-"`
}

// RefreshInfo describes a request for a new token, with its retries.
type RefreshInfo struct {
	Duration time.Duration
	Attempts int   // 0: nothing was sent
	Rotated  bool  // the service replaced the refresh token
	Err      error // nil: success. An *APIError, a *TransportError or a *DecodeError; KindOf names it
}

// Format writes the client id alone, for every verb: under some of them fmt would not ask the secret.
func (c OAuthConfig) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "drift.OAuthConfig{ClientID: %q}", c.ClientID)
}

// Operations of the token endpoint, as errors name them.
const (
	exchangeOperation = "oauth.exchange"
	refreshOperation  = "oauth.refresh"
	tokenRoute        = "oauth2/token"
)

// AuthCodeURL returns the URL to which the person who authorizes the application is sent. State comes back with the
// code: make it with crypto/rand.Text, keep it in the session of that browser, and refuse a callback that does not
// bring the same one, once. To bind the code to this program, add oauth2.S256ChallengeOption(verifier), and give
// oauth2.VerifierOption(verifier) to [OAuthConfig.Exchange]; the verifier is oauth2.GenerateVerifier(), a new one each
// time.
func (c OAuthConfig) AuthCodeURL(state string, opts ...oauth2.AuthCodeOption) string {
	config := oauth2.Config{ClientID: c.ClientID, RedirectURL: c.RedirectURL,
		Endpoint: oauth2.Endpoint{AuthURL: cmp.Or(c.AuthURL, DefaultAuthURL)}}
	return config.AuthCodeURL(state, opts...)
}

// Exchange returns the token for the code of a callback. Check the callback's state first. Exchange does not store the
// token: give it to [TokenStore.Save]. [OrgIDFromToken] returns its organization.
//
// A code that is not accepted is an [*APIError] with a Type, for example "invalid_grant". Without a usable answer the
// error is a [*TransportError] or a [*DecodeError]; the code may then be used up, and the person has to authorize
// again.
func (c OAuthConfig) Exchange(ctx context.Context, code string, opts ...oauth2.AuthCodeOption) (*oauth2.Token, error) {
	endpoint, err := c.endpoint(exchangeOperation)
	switch {
	case err != nil:
		return nil, err
	case ctx == nil:
		return nil, &ValidationError{Operation: exchangeOperation, Argument: "ctx", Reason: errNil.Error()}
	case code == "":
		return nil, &ValidationError{Operation: exchangeOperation, Argument: "code", Reason: rest.ErrEmpty.Error()}
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
	if c.RedirectURL != "" {
		form.Set("redirect_uri", c.RedirectURL)
	}
	maps.Copy(form, parametersOf(opts))
	token, _, err := endpoint.request(ctx, exchangeOperation, form, nil)
	return token, err
}

// parametersOf returns the parameters that the options set. Package oauth2 shows them only in a URL.
func parametersOf(opts []oauth2.AuthCodeOption) url.Values {
	_, query, _ := strings.Cut(new(oauth2.Config).AuthCodeURL("", opts...), "?")
	parameters, _ := url.ParseQuery(query) // cannot fail: package oauth2 has encoded it
	delete(parameters, "response_type")
	delete(parameters, "client_id")
	return parameters
}

// OrgIDFromToken returns the organization that has authorized a token, and whether the token names it: it is the extra
// field "orgId". A token that was encoded as JSON and decoded again has lost it. The stores of this module keep it;
// another one has to store it beside the token and to restore it with token.WithExtra(map[string]any{"orgId":
// int64(id)}).
func OrgIDFromToken(token *oauth2.Token) (OrgID, bool) {
	if token == nil {
		return 0, false
	}
	extra := token.Extra(orgIDKey)
	if id, ok := extra.(OrgID); ok {
		return id, id > 0
	}
	id, ok := Attributes{orgIDKey: extra}.Int64(orgIDKey)
	return OrgID(id), ok && id > 0
}

// orgIDKey is the extra field of a token that holds the organization's id, an int64.
const orgIDKey = "orgId"

func withOrgID(token *oauth2.Token, id OrgID) *oauth2.Token {
	return token.WithExtra(map[string]any{orgIDKey: int64(id)})
}
