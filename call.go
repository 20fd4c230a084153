package drift

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// call is the state of one call. It runs on the caller's goroutine and makes one or more attempts.
type call struct {
	*core
	route   *rest.Route
	in      *rest.Input
	options callOptions
	decode  func(rest.Answer) error // nil: the body of the answer does not matter
	caller  context.Context         // of Start, for hooks
	started int                     // Start hooks that returned
	start   time.Time
	path    string // escaped
	query   string
	payload []byte // nil: none

	last     attempt
	received received
	resume   resume
	attempts []Attempt
	waited   Waits
	previous *APIError // the answer that caused the last retry
	applied  bool      // the service may have applied an attempt
	retryState
}

// retryState is the state of the retry policy in one call.
type retryState struct {
	stops       int           // attempts that ended before anything was sent
	stale       int           // attempts on a kept connection that turned out to be closed
	newTokens   int           // attempts with a token in place of a refused one
	fresh       *oauth2.Token // for the next of them
	asked       time.Time     // when the call first asked for a slot
	delay       time.Duration // before the next attempt
	backoffFrom time.Time     // start of the delay
	late        bool          // the delay would outlast the deadline
	throttled   int           // attempts that the service answered with 429, which were waited out
	patience    time.Time     // when the call gives up on 429s
	resumes     time.Time     // when the call may go on after the last of them
	spread      time.Duration // jitter after that
}

// Call implements rest.Caller.
func (c *caller) Call(
	ctx context.Context, route *rest.Route, in *rest.Input, opts []CallOption, decode func(rest.Answer) error,
) error {
	call := &call{core: c.core, route: route, in: in, options: c.defaults, decode: decode, caller: ctx,
		start: time.Now()}
	call.options.apply(opts)
	defer call.end()
	return call.make()
}

// make makes the call between the hooks Start and Response.
func (c *call) make() (err error) {
	none := c.caller == nil
	if none {
		c.caller = context.Background()
	}
	err = errPanicked
	defer func() { c.report(err) }()
	c.callStart()
	if none {
		err = &ValidationError{Operation: c.route.Name, Argument: "ctx", Reason: "must not be nil"}
	} else {
		err = c.do(c.caller)
	}
	return err
}

func (c *call) end() {
	if c.closed.Load() {
		c.closeConnections() // Close could not close those in use
	}
	c.last.free()
}

// do checks and sends the request, and decodes the answer.
func (c *call) do(ctx context.Context) error {
	if c.options.err != nil {
		return c.named(c.options.err)
	}
	if err := c.encode(); err != nil {
		return c.named(err)
	}
	if c.closed.Load() {
		return c.transportError(ErrClosed)
	}
	if c.options.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.timeout)
		defer cancel()
	}
	if ctx.Err() != nil {
		return c.transportError(contextError(ctx))
	}
	if err := c.checkQuota(ctx); err != nil {
		return err
	}
	c.repeat(ctx)
	return c.result(ctx)
}

// encode checks the input and encodes it once, for all attempts.
func (c *call) encode() error {
	if c.in.Err != nil {
		return c.in.Err
	}
	path, err := c.route.Expand(c.basePath, c.in.Path)
	if err != nil {
		return err
	}
	query, err := encodeQuery(c.in.Query)
	if err != nil {
		return err
	}
	if c.payload, err = encodeBody(c.in.Body); err != nil {
		return err
	}
	if _, open := c.in.Body.(rest.JSON); !open && c.route.Method == http.MethodPatch && string(c.payload) == "{}" {
		return &ValidationError{Argument: "req", Reason: "sets no field"}
	}
	c.path, c.query = path, query.Encode()
	return nil
}

// newBlank returns the request that the retry loop sees, the same for all calls. Each attempt sends a copy that it
// completes.
func newBlank(base *url.URL) *http.Request {
	return &http.Request{URL: base, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// newLoop returns the retry loop for all calls of a client. It finds each call in the context of the request.
func newLoop() *retryablehttp.Client {
	return &retryablehttp.Client{ // a literal, because the library's NewClient logs every URL
		HTTPClient: &http.Client{Transport: attempts{}, CheckRedirect: refuseRedirect},
		RetryMax:   math.MaxInt, // checkRetry counts
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return callOf(ctx).checkRetry(ctx)
		},
		Backoff: func(_, _ time.Duration, _ int, resp *http.Response) time.Duration {
			return callOf(resp.Request.Context()).backoff()
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// attempts is the Transport inside the retry loop, so that every attempt goes through the token source, limiter and
// quota. It never returns an error: the result of an attempt is in call.last.
type attempts struct{}

func (attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	callOf(req.Context()).attempt(req)
	return &http.Response{Body: http.NoBody, Request: req}, nil
}

// repeat makes attempts until the retry policy ends the call.
func (c *call) repeat(ctx context.Context) {
	_, err := c.loop.Do(&retryablehttp.Request{Request: c.blank.WithContext(context.WithValue(ctx, callKey{}, c))})
	// The context may have ended during the wait for the next attempt.
	if ctx.Err() != nil && c.last.stopped == nil && (err != nil || c.last.err != nil) {
		c.endBackoff()
		c.last.err = withContext(ctx, c.last.err)
	}
}

// safe reports whether the operation only reads.
func (c *call) safe() bool {
	return c.route.Reads || c.route.Method == http.MethodGet || c.route.Method == http.MethodHead || c.route.Method == http.MethodOptions
}

// repeatable reports whether the request may be sent again after it may have been applied.
func (c *call) repeatable() bool {
	return c.options.idempotent || c.safe() || c.route.Method == http.MethodDelete
}

// checkQuota fails a call at once if it is known that the month's calls are used up, so that it does not wait for a
// slot. Otherwise it leaves the question to Reserve.
func (c *call) checkQuota(ctx context.Context) error {
	refused := c.serviceQuota.refuses(c.start)
	if !refused && !c.usedUp.Load() {
		return nil
	}
	usage, err := c.usage(ctx)
	if err != nil && temporary(err) { // let Reserve ask again: its errors are retried
		usage, err = Usage{}, nil
	}
	if err != nil {
		return c.named(failed(ctx, "the quota store failed", err))
	}
	c.usedUp.Store(usage.exhausted())
	if refused || usage.exhausted() {
		return &QuotaError{Operation: c.route.Name, Usage: usage}
	}
	return nil
}

// usage asks the quota store what is used.
func (c *call) usage(ctx context.Context) (Usage, error) {
	start := time.Now()
	usage, err := c.quota.Usage(ctx)
	c.waitedFor(WaitQuota, time.Since(start))
	return usage, err
}

func encodeQuery(options any) (url.Values, error) {
	switch options := options.(type) {
	case nil:
		return nil, nil
	case url.Values:
		return options, nil
	}
	return wire.Query(options)
}

// encodeBody encodes a body and rejects ids that are not greater than 0 and durations that are not positive whole
// minutes, at any depth.
func encodeBody(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case rest.JSON:
		return body, nil
	}
	data, err := wire.MarshalStrict(body, requests)
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

func bodyError(err error) error {
	var e *wire.Error
	errors.As(wire.Explain(err), &e)
	path := e.Path
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		path = string(syntactic.JSONPointer)
	}
	argument, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if argument == "" {
		argument = "body"
	}
	return &ValidationError{Argument: argument, Reason: e.Reason.Error()}
}
