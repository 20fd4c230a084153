package drifttest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// The OAuth app of a server without [WithOAuth].
const (
	DefaultClientID     = "drifttest-client"
	DefaultClientSecret = drift.Secret("drifttest-secret")
)

const (
	defaultTokenLifetime = 2 * time.Hour
	codeLifetime         = 10 * time.Minute
)

// OAuthApp describes an app that asks for access by OAuth, and how the server treats it. The zero value of each field
// selects a default.
type OAuthApp struct {
	ClientID     string       // "": DefaultClientID
	ClientSecret drift.Secret // "": DefaultClientSecret

	// RedirectURLs are the URLs that the authorize page may redirect to, compared byte by byte. If
	// there are none, it accepts any http URL on a loopback address, with any port and path.
	RedirectURLs []string

	// TokenLifetime is how long an access token is valid by the server's clock, in whole seconds.
	// 0: two hours.
	TokenLifetime time.Duration
	// Rotation says what happens to a refresh token after its use. 0: RotateAndRevoke.
	Rotation Rotation
	// LegacyAnswers makes the token endpoint answer in camelCase (accessToken, refreshToken,
	// expiresIn), as Drift's once did. It always accepts both kinds of requests: a form in
	// snake_case and JSON in camelCase.
	LegacyAnswers bool
}

// Rotation says what happens to a refresh token after its use.
type Rotation int

const (
	// RotateAndRevoke issues a new refresh token with each access token. A refresh token that is
	// used twice may have been stolen, so the second use is refused and revokes every token of the
	// same authorization.
	RotateAndRevoke Rotation = iota
	// Rotate also issues a new refresh token, but a second use of the old one is refused and
	// revokes nothing.
	Rotate
	// KeepRefreshToken keeps the refresh token valid; the answer to a refresh does not include one.
	KeepRefreshToken
)

// WithOAuth sets the app that the server's authorize page and token endpoint serve. The default is OAuthApp{}.
func WithOAuth(app OAuthApp) Option {
	return func(set *settings) error {
		if err := app.check(); err != nil {
			return fmt.Errorf("WithOAuth: %w", err)
		}
		app.RedirectURLs = slices.Clone(app.RedirectURLs)
		set.app = app.withDefaults()
		return nil
	}
}

func (app OAuthApp) check() error {
	for _, raw := range app.RedirectURLs {
		if u, err := url.Parse(raw); err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "" {
			return errors.New("RedirectURLs: each must be an absolute URL without a fragment")
		}
	}
	if app.TokenLifetime < 0 || app.TokenLifetime%time.Second != 0 {
		return fmt.Errorf("TokenLifetime: must be a whole number of seconds greater than 0, not %s", app.TokenLifetime)
	}
	if app.Rotation < RotateAndRevoke || app.Rotation > KeepRefreshToken {
		return fmt.Errorf("Rotation: unknown value %d", app.Rotation)
	}
	return nil
}

func (app OAuthApp) withDefaults() OAuthApp {
	app.ClientID = cmp.Or(app.ClientID, DefaultClientID)
	app.ClientSecret = cmp.Or(app.ClientSecret, DefaultClientSecret)
	app.TokenLifetime = cmp.Or(app.TokenLifetime, defaultTokenLifetime)
	return app
}

// allowsRedirect reports whether the app's settings allow a redirect_uri.
func (app OAuthApp) allowsRedirect(raw string) bool {
	if len(app.RedirectURLs) > 0 {
		return slices.Contains(app.RedirectURLs, raw)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || u.Fragment != "" {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// IssueToken issues a token as the token endpoint does, but needs no code from the authorize page. The token expires by
// the server's clock, and [drift.OrgIDFromToken] returns its organization.
func (s *Server) IssueToken() *oauth2.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	expires := s.settings.clock().Add(s.settings.app.TokenLifetime)
	access, refresh := s.oauth.issue(&family{}, expires)
	token := &oauth2.Token{
		AccessToken:  access,
		TokenType:    "Bearer",
		RefreshToken: refresh,
		Expiry:       expires,
	}
	return token.WithExtra(map[string]any{"orgId": orgID})
}

// ExpireTokens makes every access token that was issued so far expire now. Refresh tokens and the tokens of [WithToken]
// stay valid.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.oauth.access)
}

// RevokeTokens revokes all access tokens, refresh tokens and codes that were issued so far, as if a user had removed
// the app from the account. A refresh with such a token is then answered with invalid_grant. The tokens of [WithToken]
// stay valid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.oauth.access)
	clear(s.oauth.refresh)
	clear(s.oauth.codes)
}

// oauth holds everything that the server issued, by hash, so that the duration of a lookup reveals nothing.
type oauth struct {
	pending map[digest]*authorization // authorize pages that await the user's decision
	codes   map[digest]*authorization
	access  map[digest]*accessToken
	refresh map[digest]*refreshToken
}

type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// family is shared by all tokens of one authorization.
type family struct{ revoked bool }

// authorization is a request for access. It is pending until the user allows it, and then belongs to a code.
type authorization struct {
	redirect  string
	state     string
	challenge string // of PKCE; "": none
	expires   time.Time
	used      bool
	family    *family
}

type accessToken struct {
	expires time.Time
	family  *family
}

type refreshToken struct {
	used   bool
	family *family
}

func newOAuth() *oauth {
	return &oauth{
		pending: map[digest]*authorization{},
		codes:   map[digest]*authorization{},
		access:  map[digest]*accessToken{},
		refresh: map[digest]*refreshToken{},
	}
}

// accepts reports whether the API accepts the token now.
func (o *oauth) accepts(token string, now time.Time) bool {
	issued := o.access[digestOf(token)]
	return issued != nil && !issued.family.revoked && now.Before(issued.expires)
}

func (o *oauth) issue(f *family, expires time.Time) (access, refresh string) {
	access = o.issueAccess(f, expires)
	refresh = "refresh-" + rand.Text()
	o.refresh[digestOf(refresh)] = &refreshToken{family: f}
	return access, refresh
}

func (o *oauth) issueAccess(f *family, expires time.Time) string {
	token := "access-" + rand.Text()
	o.access[digestOf(token)] = &accessToken{expires: expires, family: f}
	return token
}

// tokenError is a refusal as the OAuth standard (RFC 6749, section 5.2) describes it.
func tokenError(code, description string) answer {
	a := answer{status: http.StatusBadRequest, header: noStore()}
	if code == "invalid_client" {
		a.status = http.StatusUnauthorized
	}
	a.body = tokenErrorBody(code, description)
	return a
}

func tokenErrorBody(code, description string) []byte {
	return encode(object{"error": code, "error_description": description})
}

func noStore() http.Header {
	return http.Header{"Cache-Control": {"no-store"}}
}

// token answers the token endpoint.
func (s *Server) token(e *exchange) answer {
	params, err := tokenParameters(e.request.Header, e.body)
	if err != nil {
		return tokenError("invalid_request", err.Error())
	}
	if !s.settings.app.authenticates(params) {
		return tokenError("invalid_client", "client_id or client_secret is wrong")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch params["grant_type"] {
	case "authorization_code":
		return s.exchangeCode(params, e.now)
	case "refresh_token":
		return s.refreshTokens(params, e.now)
	}
	return tokenError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token")
}

func (app OAuthApp) authenticates(params map[string]string) bool {
	id, secret := digestOf(params["client_id"]), digestOf(params["client_secret"])
	wantID, wantSecret := digestOf(app.ClientID), digestOf(app.ClientSecret.Reveal())
	return subtle.ConstantTimeCompare(id[:], wantID[:])&subtle.ConstantTimeCompare(secret[:], wantSecret[:]) == 1
}

// exchangeCode issues tokens for a code. A code that is used twice may have been stolen, so its tokens are revoked.
func (s *Server) exchangeCode(params map[string]string, now time.Time) answer {
	granted := s.oauth.codes[digestOf(params["code"])]
	switch {
	case granted == nil:
		return tokenError("invalid_grant", "there is no such code")
	case granted.used:
		granted.family.revoked = true
		return tokenError("invalid_grant", "the code has already been used")
	case !now.Before(granted.expires):
		return tokenError("invalid_grant", "the code has expired")
	}
	if redirect, given := params["redirect_uri"]; given && redirect != granted.redirect {
		return tokenError("invalid_grant", "redirect_uri differs from the authorize request")
	}
	if !granted.verifies(params["code_verifier"]) {
		return tokenError("invalid_grant", "code_verifier does not match the code_challenge of the authorize request")
	}
	granted.used = true
	access, refresh := s.oauth.issue(granted.family, now.Add(s.settings.app.TokenLifetime))
	return s.tokenAnswer(access, refresh)
}

// verifies checks the proof key (RFC 7636). It refuses a verifier if the authorize request had no challenge: such a
// verifier would prove nothing.
func (a *authorization) verifies(verifier string) bool {
	if a.challenge == "" || verifier == "" {
		return a.challenge == verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	got := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(got), []byte(a.challenge)) == 1
}

func (s *Server) refreshTokens(params map[string]string, now time.Time) answer {
	app := s.settings.app
	issued := s.oauth.refresh[digestOf(params["refresh_token"])]
	switch {
	case issued == nil:
		return tokenError("invalid_grant", "there is no such refresh_token")
	case issued.used:
		issued.family.revoked = issued.family.revoked || app.Rotation == RotateAndRevoke
		return tokenError("invalid_grant", "the refresh_token has already been used")
	case issued.family.revoked:
		return tokenError("invalid_grant", "the refresh_token was revoked")
	}
	expires := now.Add(app.TokenLifetime)
	if app.Rotation == KeepRefreshToken {
		return s.tokenAnswer(s.oauth.issueAccess(issued.family, expires), "")
	}
	issued.used = true
	access, refresh := s.oauth.issue(issued.family, expires)
	return s.tokenAnswer(access, refresh)
}

// tokenAnswer writes orgId the same way in both forms, as the service does.
func (s *Server) tokenAnswer(access, refresh string) answer {
	names := [...]string{"access_token", "refresh_token", "token_type", "expires_in"}
	if s.settings.app.LegacyAnswers {
		names = [...]string{"accessToken", "refreshToken", "tokenType", "expiresIn"}
	}
	fields := object{
		names[0]: access,
		names[2]: "bearer",
		names[3]: int64(s.settings.app.TokenLifetime / time.Second),
		"orgId":  orgID,
	}
	if refresh != "" {
		fields[names[1]] = refresh
	}
	return answer{status: http.StatusOK, header: noStore(), body: encode(fields)}
}
