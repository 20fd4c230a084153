package drift

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/trace"
)

const (
	tokenTimeout = 30 * time.Second // of all attempts of one request for a token
	maxTokenBody = 1 << 20
)

// tokenEndpoint is where tokens come from. Its requests are not calls of the API: no limiter and no quota counts them.
type tokenEndpoint struct {
	url       string
	server    string // its host and port
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
	address, err := parseTokenURL(e.url, c.InsecureHTTP)
	if err != nil {
		return nil, invalid("TokenURL", err)
	}
	e.server = serverOf(address)
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

func parseTokenURL(text string, insecure bool) (*url.URL, error) {
	address, err := parseURL(text)
	switch {
	case err != nil:
		return nil, err
	case strings.Contains(text, "#"):
		return nil, errors.New("must not have a fragment")
	case address.Scheme == "http" && !insecure && !loopback(address.Hostname()):
		return nil, errors.New("must use https: http is only for loopback, or with InsecureHTTP")
	}
	return address, nil
}

// refresh asks for a token in place of the previous one. What the answer leaves out is kept. If it is of no use but for
// a new refresh token, there are both an error and a token: the previous one with that refresh token.
func (e *tokenEndpoint) refresh(
	ctx context.Context, previous *oauth2.Token,
) (token *oauth2.Token, attempts int, err error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {previous.RefreshToken}}
	return e.request(ctx, refreshOperation, form, previous)
}

// request asks for a token, as often as the retry policy allows.
func (e *tokenEndpoint) request(
	ctx context.Context, operation string, form url.Values, previous *oauth2.Token,
) (token *oauth2.Token, attempts int, err error) {
	r := &tokenRequest{tokenEndpoint: e, operation: operation, caller: ctx, previous: previous}
	for _, name := range []string{"refresh_token", "code", "code_verifier"} {
		r.secrets = append(r.secrets, form.Get(name))
	}
	r.secrets = append(r.secrets, e.secret.Reveal())
	form.Set("client_id", e.id)
	form.Set("client_secret", e.secret.Reveal())
	r.form = form.Encode()

	ctx, cancel := context.WithTimeoutCause(ctx, tokenTimeout, attemptTimeout(tokenTimeout))
	defer cancel()
	if ctx.Err() != nil {
		return nil, 0, r.transportError(contextError(ctx))
	}
	if err := r.repeatUntilDone(ctx); err != nil {
		return nil, 0, err
	}
	token, err = r.result()
	return token, len(r.attempts), err
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
	last     *tokenAnswer
	delay    time.Duration // before the next attempt
}

// repeatUntilDone runs the retry loop. The result of the request is in r.last.
func (r *tokenRequest) repeatUntilDone(ctx context.Context) error {
	policy := RetryPolicy{}.withDefaults()
	loop := retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: r, CheckRedirect: refuseRedirect},
		RetryMax:     policy.MaxAttempts,
		CheckRetry:   func(ctx context.Context, _ *http.Response, _ error) (bool, error) { return r.again(ctx, policy), nil },
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return r.delay },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, nil) // each attempt adds headers and body
	if err != nil {
		return r.transportError(local("the request cannot be made", err))
	}
	_, _ = loop.Do(&retryablehttp.Request{Request: req}) // the attempts have read and closed the body
	return nil
}

// again reports whether to send the request once more, and sets the delay before that. A refresh token that was sent
// may be used up, answered or not, so a second attempt loses nothing. The same goes for a code.
func (r *tokenRequest) again(ctx context.Context, policy RetryPolicy) bool {
	a := r.last
	const repeatable = true
	decision := judge(&attempt{err: a.err, broken: a.broken, sent: a.sent, status: a.status}, repeatable)
	if decision != again && decision != afterPause || len(r.attempts) >= policy.MaxAttempts || r.caller.Err() != nil {
		return false
	}
	r.delay = max(jitter(policy.bound(policy.MinBackoff, len(r.attempts))), a.retryAfter())
	deadline, ok := ctx.Deadline()
	return !ok || time.Now().Add(r.delay).Before(deadline)
}

// RoundTrip is the Transport inside the retry loop.
func (r *tokenRequest) RoundTrip(req *http.Request) (*http.Response, error) {
	a := r.attempt(req.Context())
	r.last = a
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: http.NoBody, Request: req}, nil
}

// tokenAnswer is the result of one attempt.
type tokenAnswer struct {
	asked  time.Time
	status int
	header http.Header
	body   []byte
	err    error // why there is no usable answer
	broken bool  // because the connection failed
	sent   bool
}

func (r *tokenRequest) attempt(ctx context.Context) *tokenAnswer {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, attemptTimeout(r.timeout))
	defer cancel()
	a := &tokenAnswer{asked: time.Now(), header: http.Header{}}
	r.send(ctx, cancel, a)
	r.attempts = append(r.attempts, Attempt{StatusCode: a.status, Sent: a.sent, Duration: time.Since(a.asked), Err: a.err})
	return a
}

func (r *tokenRequest) send(ctx context.Context, end func(), a *tokenAnswer) {
	traced, request, cancel := trace.Follow(ctx, len(r.attempts)+1)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(traced, http.MethodPost, r.url, nil)
	if err != nil {
		a.err = local("the request cannot be made", err)
		return
	}
	req.Header = http.Header{"Accept": {jsonType}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {userAgent}}
	request.Prepare(req, []byte(r.form), 0)
	resp, err := roundTrip(r.transport, req)
	if err != nil {
		a.err, a.broken = r.cause(traced, err, request.Phase()), true
		end()
		a.sent = request.Sent(err)
		return
	}
	defer resp.Body.Close()
	a.sent, a.status, a.header = true, resp.StatusCode, resp.Header
	a.err = a.read(resp, end)
	if a.broken {
		a.err = r.cause(traced, a.err, trace.Reading)
	}
}

// read reads the answer, which is small: one that is not is none. A JSON object that is complete counts however the
// connection ends after it, because the refresh token in it is the only one that is good from then on.
func (a *tokenAnswer) read(resp *http.Response, end func()) (err error) {
	if resp.StatusCode/100 == 1 || redirects(resp.StatusCode) {
		return unusable(KindUnexpectedContent, errRedirect, "status "+strconv.Itoa(resp.StatusCode), hintTokenURL)
	}
	a.body, err = readObject(resp.Body, end)
	success := resp.StatusCode/100 == 2
	switch {
	case !success: // the status is enough, even if the body breaks off
		return nil
	case len(a.body) > maxTokenBody:
		return errLarge()
	case err != nil && !completeObject(a.body):
		a.broken = true
		return err
	}
	return a.checkContent()
}

// readObject reads to the end of the body. Once it has a complete object it gives the rest a moment, and then calls
// end.
func readObject(body io.Reader, end func()) ([]byte, error) {
	var text bytes.Buffer
	body = io.LimitReader(body, maxTokenBody+1)
	chunk := make([]byte, 4<<10)
	for waiting := false; ; {
		n, err := body.Read(chunk)
		text.Write(chunk[:n])
		switch {
		case err == io.EOF:
			return text.Bytes(), nil
		case err != nil:
			return text.Bytes(), err
		case !waiting && completeObject(text.Bytes()):
			late := time.AfterFunc(drainTimeout, end)
			defer late.Stop()
			waiting = true
		}
	}
}

func completeObject(text []byte) bool {
	text = withoutMark(text)
	return bytes.HasPrefix(text, []byte("{")) && bytes.HasSuffix(text, []byte("}")) && json.Valid(text)
}

// withoutMark returns the text without a byte order mark and the space around it.
func withoutMark(text []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
}

func (a *tokenAnswer) checkContent() error {
	a.body = withoutMark(a.body)
	if !bytes.HasPrefix(a.body, []byte("{")) { // whatever it is called: what looks like a token may be the only one there is
		return unusable(KindUnexpectedContent, ErrUnexpectedContent, "", hintTokenURL)
	}
	return nil
}

func (a *tokenAnswer) retryAfter() time.Duration { return answer.RetryAfter(a.header, time.Now()) }

const hintTokenURL = "check TokenURL"

// cause is transportCause with hints about the TokenURL.
func (r *tokenRequest) cause(attempt context.Context, err error, phase trace.Phase) error {
	why := transportCause(r.caller, attempt, err, phase)
	if own, ok := why.(*cause); ok {
		own.hint = strings.ReplaceAll(own.hint, "the base URL", "TokenURL")
	}
	return why
}

func (r *tokenRequest) transportError(err error) error {
	sent := slices.ContainsFunc(r.attempts, func(a Attempt) bool { return a.Sent })
	return &TransportError{
		Operation: r.operation, Server: r.server, Sent: sent, Attempts: slices.Clone(r.attempts), Err: err,
	}
}

func (r *tokenRequest) decodeError(path string, err error) error {
	return &DecodeError{Operation: r.operation, Path: path, Err: err}
}

// apiError has the code and the description. It keeps nothing of the body, which may hold tokens.
func (r *tokenRequest) apiError(a *tokenAnswer, kind, description string) error {
	id := a.header.Get("X-Request-Id")
	for _, secret := range r.secrets {
		id = answer.Mask(id, secret, answer.MaxName)
	}
	return &APIError{StatusCode: a.status, Type: kind, Message: description, RequestID: id, Operation: r.operation,
		Method: http.MethodPost, Route: tokenRoute, RetryAfter: a.retryAfter(), Attempts: slices.Clone(r.attempts)}
}
