package drift

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/trace"
	"github.com/driftsdk/drift/internal/wire"
)

// The addresses of an [OAuthConfig] that names no others.
const (
	DefaultAuthURL  = "https://dev.drift.com/authorize"
	DefaultTokenURL = "https://driftapi.com/oauth2/token"
)

// OAuthConfig is an application that other organizations authorize, as registered at https://dev.drift.com. It leads through
// the authorization code flow:
//
//   - [OAuthConfig.AuthCodeURL] is where the browser of the person who authorizes goes,
//   - [OAuthConfig.Exchange] makes a token of the code with which it comes back,
//   - [TokenStore.Save] keeps the token, and [OAuthConfig.TokenSource] keeps it good from then on.
//
// What the application may do is set where it is registered: the service knows no scope parameter.
type OAuthConfig struct {
	ClientID     string
	ClientSecret Secret
	RedirectURL  string // as registered; "" leaves it to the service
	AuthURL      string // "": DefaultAuthURL
	TokenURL     string // "": DefaultTokenURL. No user info, no fragment; plain http is for loopback, see InsecureHTTP

	// HTTPClient sends the requests to the token endpoint. Of a given one the Transport and the Timeout (of one attempt) are
	// used; it is never changed or closed, redirects are never followed, and its cookie jar is left out. nil: connections
	// that are closed after each request.
	HTTPClient *http.Client `json:"-"`

	// InsecureHTTP allows a TokenURL with http that is not on loopback. Everybody on the way can then read the secrets.
	InsecureHTTP bool

	// SaveFailed is told when a token source cannot store a new token. It goes on with the token in memory and tries again;
	// until that succeeds, a program that starts with what is stored finds a refresh token that is used up. The error matches
	// what the store returned, but does not quote it. SaveFailed runs on the goroutine of the refresh: it must be quick, and
	// must not call the token source. nil: nobody is told.
	SaveFailed func(error) `json:"-"`
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

// AuthCodeURL returns the URL to which the person who authorizes the application is sent. State comes back with the code: make
// it with crypto/rand.Text, keep it in the session of that browser, and refuse a callback that does not bring the same one,
// once. To bind the code to this program, add oauth2.S256ChallengeOption(verifier), and give oauth2.VerifierOption(verifier)
// to [OAuthConfig.Exchange]; the verifier is oauth2.GenerateVerifier(), a new one each time.
func (c OAuthConfig) AuthCodeURL(state string, opts ...oauth2.AuthCodeOption) string {
	config := oauth2.Config{ClientID: c.ClientID, RedirectURL: c.RedirectURL,
		Endpoint: oauth2.Endpoint{AuthURL: cmp.Or(c.AuthURL, DefaultAuthURL)}}
	return config.AuthCodeURL(state, opts...)
}

// Exchange makes a token of the code of a callback. Check the callback's state first. The token is stored nowhere: give it to
// [TokenStore.Save]. [OrgIDFromToken] tells whose it is.
//
// A code that is not accepted is an [*APIError] with a Type such as "invalid_grant". Without a usable answer the error is a
// [*TransportError] or a [*DecodeError]; the code may then be used up, and the person has to authorize again.
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
	return endpoint.request(ctx, exchangeOperation, form, nil)
}

// parametersOf returns what the options set, which package oauth2 tells only by a URL.
func parametersOf(opts []oauth2.AuthCodeOption) url.Values {
	_, query, _ := strings.Cut(new(oauth2.Config).AuthCodeURL("", opts...), "?")
	parameters, _ := url.ParseQuery(query) // cannot fail: package oauth2 has encoded it
	delete(parameters, "response_type")
	delete(parameters, "client_id")
	return parameters
}

// OrgIDFromToken returns the organization that has authorized a token, and whether the token tells: it is the extra field "orgId". A
// token that was encoded as JSON and decoded again has lost it. The stores of this module keep it; another one has to store it
// beside the token and to give it back with token.WithExtra(map[string]any{"orgId": int64(id)}).
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

const (
	tokenTimeout     = 30 * time.Second // of all attempts of one request for a token
	tokenAttempts    = 3
	maxTokenBody     = 1 << 20
	defaultTokenLife = time.Hour
	// Package oauth2 takes a token for expired 10 s early: one that lives shorter would be refreshed for every call.
	minTokenLife = 15 * time.Second
	maxTokenLife = 365 * 24 * time.Hour
)

// tokenEndpoint is where tokens come from. Its requests are not calls of the API: no limiter and no quota counts them.
type tokenEndpoint struct {
	url       string
	id        string
	secret    Secret
	transport http.RoundTripper
	timeout   time.Duration // of an attempt
}

// Format keeps fmt from printing the secret.
func (e *tokenEndpoint) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("drift token endpoint")) }

func (c OAuthConfig) endpoint(operation string) (*tokenEndpoint, error) {
	invalid := func(field string, reason error) error {
		return &ValidationError{Operation: operation, Argument: field, Reason: reason.Error()}
	}
	e := &tokenEndpoint{url: cmp.Or(c.TokenURL, DefaultTokenURL), id: c.ClientID, secret: c.ClientSecret, timeout: tokenTimeout}
	switch {
	case c.ClientID == "":
		return nil, invalid("ClientID", rest.ErrEmpty)
	case c.ClientSecret == "":
		return nil, invalid("ClientSecret", rest.ErrEmpty)
	}
	if err := checkTokenURL(e.url, c.InsecureHTTP); err != nil {
		return nil, invalid("TokenURL", err)
	}
	if c.HTTPClient == nil {
		transport := newTransport()
		transport.DisableKeepAlives = true // so that there is nothing to close
		e.transport = transport
		return e, nil
	}
	e.transport = cmp.Or(c.HTTPClient.Transport, http.DefaultTransport)
	if c.HTTPClient.Timeout > 0 {
		e.timeout = c.HTTPClient.Timeout
	}
	return e, nil
}

func checkTokenURL(text string, insecure bool) error {
	address, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is not a URL") // the error of net/url would quote it
	case address.Scheme != "https" && address.Scheme != "http" || address.Hostname() == "":
		return errors.New("must be absolute, with https or http and a host")
	case address.User != nil:
		return errors.New("must not have user info")
	case strings.Contains(text, "#"):
		return errors.New("must not have a fragment")
	case address.Scheme == "http" && !insecure && !loopback(address.Hostname()):
		return errors.New("must use https: http is for loopback, or for InsecureHTTP")
	}
	return nil
}

// refresh asks for a token in place of the previous one. What the answer leaves out is kept. If it is of no use but for a new
// refresh token, there are both an error and a token: the previous one with that refresh token.
func (e *tokenEndpoint) refresh(ctx context.Context, previous *oauth2.Token) (*oauth2.Token, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {previous.RefreshToken}}
	return e.request(ctx, refreshOperation, form, previous)
}

// request asks for a token until there is an answer that counts, the time is over, or it is hopeless.
func (e *tokenEndpoint) request(ctx context.Context, operation string, form url.Values, previous *oauth2.Token) (*oauth2.Token, error) {
	r := &tokenRequest{tokenEndpoint: e, operation: operation, caller: ctx, previous: previous}
	for _, name := range []string{"refresh_token", "code", "code_verifier"} {
		r.secrets = append(r.secrets, form.Get(name))
	}
	r.secrets = append(r.secrets, e.secret.Reveal())
	form.Set("client_id", e.id)
	form.Set("client_secret", e.secret.Reveal())
	r.form = form.Encode()

	ctx, cancel := context.WithTimeoutCause(ctx, tokenTimeout, errAttemptTimeout)
	defer cancel()
	if ctx.Err() != nil {
		return nil, r.transportError(contextError(ctx))
	}
	for {
		a := r.attempt(ctx)
		token, err := r.result(a)
		if err == nil || !r.again(a) || !r.wait(ctx, a) {
			return token, err
		}
	}
}

// tokenRequest is one request for a token, with its attempts.
type tokenRequest struct {
	*tokenEndpoint
	operation string
	form      string
	previous  *oauth2.Token // whose place the token takes; nil: none
	caller    context.Context
	secrets   []string // that the answer may repeat, and errors must not

	attempts []Attempt
	unsent   int
	broken   int
}

// tokenAnswer is what one attempt came to.
type tokenAnswer struct {
	asked  time.Time
	status int
	header http.Header
	body   []byte
	err    error // there is no usable answer
	broken bool  // because the connection failed
	sent   bool
}

func (r *tokenRequest) attempt(ctx context.Context) *tokenAnswer {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, errAttemptTimeout)
	defer cancel()
	a := &tokenAnswer{asked: time.Now(), header: http.Header{}}
	r.send(ctx, cancel, a)
	r.attempts = append(r.attempts, Attempt{StatusCode: a.status, Sent: a.sent, Duration: time.Since(a.asked), Err: a.err})
	return a
}

func (r *tokenRequest) send(ctx context.Context, end func(), a *tokenAnswer) {
	traced, request, cancel := trace.Follow(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(traced, http.MethodPost, r.url, nil)
	if err != nil {
		a.err = &cause{err: err}
		return
	}
	req.Header = http.Header{"Accept": {jsonType}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {userAgent}}
	request.Prepare(req, []byte(r.form), 0)
	resp, err := roundTrip(r.transport, req)
	if err != nil {
		a.err, a.broken = transportCause(r.caller, traced, err), true
		end()
		a.sent = request.Sent(err)
		return
	}
	defer resp.Body.Close()
	a.sent, a.status, a.header = true, resp.StatusCode, resp.Header
	a.err = a.read(resp)
	if a.broken {
		a.err = transportCause(r.caller, traced, a.err)
	}
}

// read reads the answer, which is small: one that is not is none.
func (a *tokenAnswer) read(resp *http.Response) (err error) {
	if resp.StatusCode/100 == 1 || redirects(resp.StatusCode) {
		return unusable(errRedirect, "status "+strconv.Itoa(resp.StatusCode))
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxTokenBody+1))
	success := resp.StatusCode/100 == 2
	switch {
	case !success: // the status tells enough, however the body ends
		return nil
	case err != nil:
		a.broken = true
		return err
	case len(a.body) > maxTokenBody:
		return ErrTooLarge
	}
	return a.checkContent()
}

func (a *tokenAnswer) checkContent() error {
	a.body = bytes.TrimSpace(bytes.TrimPrefix(a.body, []byte("\ufeff")))
	if !bytes.HasPrefix(a.body, []byte("{")) { // whatever it is called: what looks like a token may be the only one there is
		return ErrUnexpectedContent
	}
	return nil
}

// result makes a token of an answer, or an error.
func (r *tokenRequest) result(a *tokenAnswer) (*oauth2.Token, error) {
	if a.err != nil {
		return nil, r.transportError(a.err)
	}
	fields, err := tokenFields(a.body)
	if kind, message := r.said(fields); a.status/100 != 2 || kind != "" {
		return nil, r.apiError(a, kind, message)
	}
	if err != nil {
		return nil, r.decodeError("", err)
	}
	return r.token(fields, a.asked)
}

// tokenFields returns the members of an answer by their folded names, so that access_token and accessToken are one. Members
// that are null are left out.
func tokenFields(body []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := wire.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if value := members[name]; string(value) != "null" {
			fields[wire.Fold(name)] = value
		}
	}
	return fields, nil
}

// said returns what an answer says of an error: in the members of RFC 6749, or in the object that the rest of the API uses.
func (r *tokenRequest) said(fields map[string]json.RawMessage) (kind, message string) {
	if object, err := tokenFields(fields["error"]); err == nil {
		return r.show(object, "type", answer.MaxName), r.show(object, "message", answer.MaxMessage)
	}
	return r.show(fields, "error", answer.MaxName), r.show(fields, "errordescription", answer.MaxMessage)
}

// show returns a text of the service that is fit to be shown.
func (r *tokenRequest) show(fields map[string]json.RawMessage, name string, limit int) string {
	text, _ := wire.ParseText(fields[name])
	for _, secret := range r.secrets {
		text = answer.Mask(text, secret, len(text)+len(redacted))
	}
	return answer.Printable(text, limit)
}

// token makes a token of an answer's members.
func (r *tokenRequest) token(fields map[string]json.RawMessage, asked time.Time) (*oauth2.Token, error) {
	access, _ := wire.ParseText(fields["accesstoken"])
	refresh, _ := wire.ParseText(fields["refreshtoken"])
	kind, _ := wire.ParseText(fields["tokentype"])
	orgID, _ := wire.ParseInt(fields["orgid"])
	token := &oauth2.Token{AccessToken: access, TokenType: "Bearer", RefreshToken: refresh}
	switch {
	case access == "":
		return r.rotated(refresh), r.decodeError("/access_token", rest.ErrEmpty)
	case checkToken(access) != nil:
		return r.rotated(refresh), r.decodeError("/access_token", errTokenText)
	case kind != "" && !strings.EqualFold(kind, "Bearer"):
		return r.rotated(refresh), r.decodeError("/token_type", errNotBearer)
	}
	if r.previous != nil {
		token.RefreshToken = cmp.Or(refresh, r.previous.RefreshToken)
		previous, _ := OrgIDFromToken(r.previous)
		orgID = cmp.Or(orgID, int64(previous))
	}
	if life := tokenLife(fields["expiresin"], token.RefreshToken != ""); life > 0 {
		token.Expiry = asked.Add(life).Round(0).UTC() // by the wall clock: a machine that sleeps has no other
		token.ExpiresIn = int64(life / time.Second)
	}
	if orgID > 0 {
		token = withOrgID(token, OrgID(orgID))
	}
	return token, nil
}

// rotated returns the previous token with a new refresh token, or nil.
func (r *tokenRequest) rotated(refresh string) *oauth2.Token {
	if r.previous == nil || refresh == "" {
		return nil
	}
	token := cloneToken(r.previous)
	token.RefreshToken = refresh
	return token
}

// tokenLife returns how long a token is good, by the answer's number of seconds; 0: no end is known. The service documents 0
// for tokens that do not expire. Without a number that makes sense, a token that can be refreshed is taken to live an hour,
// which costs a refresh if it is too short, and a 401 if it is too long.
func tokenLife(value json.RawMessage, refreshable bool) time.Duration {
	text, _ := wire.ParseText(value)
	seconds, err := strconv.ParseFloat(text, 64)
	switch {
	case err == nil && seconds == 0:
		return 0
	case (err == nil || errors.Is(err, strconv.ErrRange)) && seconds > 0:
		return time.Duration(max(minTokenLife.Seconds(), min(seconds, maxTokenLife.Seconds())) * float64(time.Second))
	case refreshable:
		return defaultTokenLife
	}
	return 0
}

var errNotBearer = errors.New("the token is not of type Bearer")

// again reports whether another attempt makes sense. A refresh token that was sent may be used up, answered or not: then a
// second attempt loses nothing. The same goes for a code.
func (r *tokenRequest) again(a *tokenAnswer) bool {
	switch {
	case r.caller.Err() != nil || len(r.attempts) >= tokenAttempts:
		return false
	case a.err == nil:
		return a.status == http.StatusTooManyRequests || transient(a.status)
	case !a.broken || trace.IsPermanent(a.err):
		return false
	case a.sent:
		r.broken++
		return r.broken == 1
	default:
		r.unsent++
		return r.unsent == 1
	}
}

// wait waits before the next attempt, and reports whether there is time for one.
func (r *tokenRequest) wait(ctx context.Context, a *tokenAnswer) bool {
	policy := RetryPolicy{}.withDefaults()
	delay := max(jitter(policy.bound(policy.MinBackoff, len(r.attempts))), a.retryAfter())
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Add(delay).Before(deadline) {
		return false
	}
	return sleep(ctx, delay)
}

func (a *tokenAnswer) retryAfter() time.Duration { return answer.RetryAfter(a.header, time.Now()) }

// sleep reports whether it came to its end before the context did.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (r *tokenRequest) transportError(err error) error {
	sent := slices.ContainsFunc(r.attempts, func(a Attempt) bool { return a.Sent })
	return &TransportError{Operation: r.operation, Sent: sent, Attempts: slices.Clone(r.attempts), Err: err}
}

func (r *tokenRequest) decodeError(path string, err error) error {
	return &DecodeError{Operation: r.operation, Path: path, Err: err}
}

// apiError tells the code and the description. It keeps nothing of the body, which may hold tokens.
func (r *tokenRequest) apiError(a *tokenAnswer, kind, description string) error {
	id := a.header.Get("X-Request-Id")
	for _, secret := range r.secrets {
		id = answer.Mask(id, secret, answer.MaxName)
	}
	return &APIError{StatusCode: a.status, Type: kind, Message: description, RequestID: id, Operation: r.operation,
		Method: http.MethodPost, Route: tokenRoute, RetryAfter: a.retryAfter(), Attempts: slices.Clone(r.attempts)}
}
