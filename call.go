package drift

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/hashicorp/go-retryablehttp"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/wire"
)

// input is what a method hands over: values for the path, and a query or a body.
type input struct {
	path    segments
	query   any // a struct with query tags
	body    any // a request
	echo    echo
	invalid error // an argument that is wrong in a way that only the method knows
}

// segments are the values of a path's parameters in their order.
type segments [2]segment

// outgoing is an encoded request, before it has a token.
type outgoing struct {
	path  string // escaped, from the root
	query string // escaped
	body  []byte // nil: none
}

// encoder checks and encodes what a call sends.
type encoder interface {
	encode(c *call) (outgoing, error)
}

// call runs one call, in the caller's goroutine. It is used again for another one.
type call struct {
	loop   retryablehttp.Client
	client http.Client // inside the loop; its Transport is the call itself
	bare   http.Header // of the request that the loop repeats: none, as each attempt adds its own
	callState
}

// callState is about one call. Nobody keeps a pointer into it afterwards: what net/http is given belongs to an attempt.
type callState struct {
	*core
	route   *route
	options callOptions
	in      input
	decode  func(body []byte) error // nil: the answer says nothing
	start   time.Time
	caller  context.Context // as given, for hooks
	target  url.URL
	request http.Request          // without a token, headers and body, which each attempt adds
	repeat  retryablehttp.Request // the same, as the loop wants it
	body    []byte                // nil: none
	resp    http.Response         // of the last attempt, as the loop sees it

	attempts    []Attempt
	waited      Waits
	last        answer
	received    received
	stops       int           // attempts that ended before anything was sent
	stale       int           // attempts that met a kept connection which was closed
	previous    *APIError     // the answer that the last retry was for
	applied     bool          // an attempt may have been applied
	newTokens   int           // attempts with a token in place of a refused one
	fresh       *oauth2.Token // for the next of them
	delay       time.Duration // before the next attempt
	backoffFrom time.Time     // when that delay began
	late        bool          // the deadline comes before the next attempt could
	anyContent  bool          // the answer need not be JSON
	anyAccepted bool          // and the Accept header says so
	writer      io.Writer     // gets the body as it arrives; nil: decode gets it
}

// call runs an operation of the catalogue.
func (c *caller) call(ctx context.Context, op operation, in input, opts []CallOption, decode func([]byte) error) error {
	call := c.newCall(&routes[op], opts, decode)
	call.in = in
	return call.run(ctx, &call.in)
}

// calls are those that run no call at the moment.
var calls = sync.Pool{New: func() any {
	c := &call{bare: http.Header{}}
	c.client = http.Client{Transport: c, CheckRedirect: refuseRedirect}
	c.loop = retryablehttp.Client{ // a literal, because the library's NewClient logs every URL
		HTTPClient:   &c.client,
		CheckRetry:   c.checkRetry,
		Backoff:      c.backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return c
}}

func (c *caller) newCall(r *route, opts []CallOption, decode func([]byte) error) *call {
	call := calls.Get().(*call)
	call.core, call.route, call.options, call.decode, call.start = c.core, r, c.defaults, decode, time.Now()
	call.options.apply(opts)
	return call
}

func (c *call) end() {
	if c.closed.Load() {
		c.closeConnections() // those that this call has used since
	}
	c.last.free()
	c.callState = callState{}
	calls.Put(c)
}

// run sends a request and decodes its answer, and tells hooks and the caller how it went. The call is over then.
func (c *call) run(ctx context.Context, in encoder) error {
	defer c.end()
	c.caller = ctx
	if ctx == nil {
		c.caller = context.Background()
	}
	if c.hooks.Request != nil {
		c.hooks.Request(c.info())
	}
	err := c.exchange(ctx, in)
	c.report(err)
	return err
}

func (c *call) exchange(ctx context.Context, in encoder) error {
	if c.options.err != nil {
		return c.named(c.options.err)
	}
	if ctx == nil {
		return &ValidationError{Operation: c.route.name, Argument: "ctx", Reason: "must not be nil"}
	}
	out, err := in.encode(c)
	if err != nil {
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
	return c.result(ctx, c.repeatUntilDone(ctx, out))
}

// repeatUntilDone runs the retry loop. What became of the call is in c.last; the error only tells that the loop was interrupted.
func (c *call) repeatUntilDone(ctx context.Context, out outgoing) error {
	c.setRequest(ctx, out)
	c.loop.RetryMax = c.retry.MaxAttempts + maxStale + maxNewTokens // checkRetry counts
	_, err := c.loop.Do(&c.repeat)                                  // the attempts have read and closed the body
	return err
}

// setRequest builds the request that the loop repeats.
func (c *call) setRequest(ctx context.Context, out outgoing) {
	path, _ := url.PathUnescape(out.path) // cannot fail: all its parts were escaped
	c.target = url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: path, RawPath: out.path, RawQuery: out.query}
	req := http.Request{Method: c.route.method, URL: &c.target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: c.bare}
	c.request = *req.WithContext(ctx)
	c.repeat.Request = &c.request
	c.body = out.body
}

// result turns the last answer into a record or a typed error.
func (c *call) result(ctx context.Context, interrupted error) error {
	if interrupted != nil && ctx.Err() != nil && c.last.stopped == nil { // perhaps while it waited for the next attempt
		c.endBackoff()
		c.last.err = withContext(ctx, c.last.err)
	}
	err := c.outcome(ctx)
	if err == nil {
		return nil
	}
	if c.applied && !c.safe() {
		return &AmbiguousError{Err: err, ClientID: c.in.echo.key}
	}
	return err
}

func (c *call) outcome(ctx context.Context) error {
	switch a := &c.last; {
	case a.stopped != nil:
		return c.named(a.stopped)
	case a.err != nil:
		return c.noAnswer(a.err)
	case a.status == http.StatusNotFound && c.route.method == http.MethodDelete && c.applied:
		return nil // an earlier attempt deleted it
	case a.status == http.StatusTooManyRequests && !a.quotaUsedUp():
		return c.rateLimitError()
	case a.quotaUsedUp():
		return c.quotaError(ctx)
	case !c.success(a.status):
		return c.apiError()
	}
	c.serviceQuota.succeeded()
	c.tokens.served(c.last.token, tokenUse{c.route.name, c.start})
	if c.decode == nil {
		return nil
	}
	return c.decoded(c.decode(c.last.body()))
}

// named gives an error that was made elsewhere the operation. What is not one of this package's types becomes a
// TransportError: a store, a limiter or a token source of the caller's failed.
func (c *call) named(err error) error {
	var invalid *ValidationError
	var limited *RateLimitError
	var quota *QuotaError
	switch {
	case errors.As(err, &invalid):
		return &ValidationError{Operation: c.route.name, Argument: invalid.Argument, Reason: invalid.Reason}
	case errors.As(err, &limited):
		e := &RateLimitError{Operation: c.route.name, RetryAfter: limited.RetryAfter, Local: limited.Local, Err: limited.Err}
		switch {
		case c.previous != nil && e.Err != nil:
			e.Err = &causedError{e.Err, c.previous}
		case c.previous != nil:
			e.Err = c.previous
		}
		return e
	case errors.As(err, &quota):
		return &QuotaError{Operation: c.route.name, Usage: quota.Usage, Err: quota.Err}
	}
	return c.transportError(err)
}

// noAnswer is the error of a call that got no usable answer, or whose writer failed.
func (c *call) noAnswer(err error) error {
	var unwritten *writerError
	if errors.As(err, &unwritten) {
		return unwritten.named(c.route.name)
	}
	return c.transportError(err)
}

func (c *call) transportError(err error) *TransportError {
	e := &TransportError{Operation: c.route.name, Written: c.last.streamed, Attempts: c.attempts, Err: err}
	for _, attempt := range c.attempts {
		e.Sent = e.Sent || attempt.Sent
	}
	if c.previous != nil {
		e.last = c.previous
	}
	return e
}

func (c *call) rateLimitError() error {
	api := c.apiError()
	e := &RateLimitError{Operation: c.route.name, RetryAfter: cmp.Or(api.RetryAfter, throttleBackoff), Err: api}
	if c.late {
		e.Err = &causedError{api, context.DeadlineExceeded}
	}
	return e
}

func (c *call) quotaError(ctx context.Context) error {
	now := time.Now()
	c.serviceQuota.exhausted(now)
	usage, _ := c.quota.Usage(ctx, now)
	return &QuotaError{Operation: c.route.name, Usage: usage, Err: c.apiError()}
}

// success: a record may come with any status of success; without one, only those count that say that all is done.
func (c *call) success(status int) bool {
	if c.decode != nil {
		return status >= 200 && status < 300
	}
	return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNoContent
}

// decoded types the error of decoding an answer. The service has applied a write by now.
func (c *call) decoded(err error) error {
	if err == nil {
		return nil
	}
	var notFit *wire.Error
	var odd *recordErrors
	switch {
	case errors.As(err, &odd): // the page itself is there
		c.applied = false
		return err
	case errors.Is(err, errReported):
		return c.apiError()
	case errors.Is(err, errNoRecord):
		e := c.apiError()
		e.StatusCode, e.Message = http.StatusNotFound, errNoRecord.Error()
		return e
	case errors.As(err, &notFit):
		c.applied = true
		if notFit.Reason == errForeignRecord {
			c.closeConnections() // its connection is out of step
		}
		return &DecodeError{Operation: c.route.name, Path: notFit.Path, Err: notFit.Reason, hidden: notFit.Keys}
	default:
		c.applied = true
		return &DecodeError{Operation: c.route.name, Err: err}
	}
}

// safe reports whether the method reads only.
func (c *call) safe() bool {
	return c.route.method == http.MethodGet || c.route.method == http.MethodHead || c.route.method == http.MethodOptions
}

// repeatable reports whether the request may be sent again after it may have been applied.
func (c *call) repeatable() bool {
	return c.options.idempotent || c.safe() || c.route.method == http.MethodDelete
}

func (c *call) checkQuota(ctx context.Context) error {
	usage, err := c.quota.Usage(ctx, c.start)
	if err != nil && temporary(err) { // Reserve asks again, and can wait
		usage, err = Usage{}, nil
	}
	if err != nil {
		return c.named(failed(ctx, "the quota store failed", err))
	}
	if usage.exhausted() || c.serviceQuota.refuses(c.start) {
		return &QuotaError{Operation: c.route.name, Usage: usage}
	}
	return nil
}

// encode implements encoder for the operations of the catalogue.
func (in *input) encode(c *call) (outgoing, error) {
	if in.invalid != nil {
		return outgoing{}, in.invalid
	}
	next := 0
	path, err := c.expand(func(string) (string, error) {
		next++
		return in.path[next-1].segment()
	})
	if err != nil {
		return outgoing{}, err
	}
	query, err := encodeQuery(in.query)
	if err != nil || in.body == nil {
		return outgoing{path: path, query: query.Encode()}, err
	}
	body, err := encodeBody(in.body)
	if err != nil {
		return outgoing{}, err
	}
	if c.route.method == http.MethodPatch && string(body) == "{}" {
		return outgoing{}, &ValidationError{Argument: "req", Reason: "sets nothing"}
	}
	return outgoing{path, query.Encode(), body}, nil
}

// expand fills the route's template, below the base URL. Every value becomes one segment.
func (c *call) expand(value func(name string) (string, error)) (string, error) {
	var path strings.Builder
	path.Grow(len(c.basePath) + len(c.route.path) + len("9223372036854775807"))
	path.WriteString(c.basePath)
	for rest := c.route.path; ; {
		literal, parameter, found := strings.Cut(rest, "{")
		path.WriteString(literal)
		if !found {
			return path.String(), nil
		}
		name, after, _ := strings.Cut(parameter, "}")
		text, err := value(name)
		if err != nil {
			return "", &ValidationError{Argument: name, Reason: err.Error()}
		}
		path.WriteString(url.PathEscape(text))
		rest = after
	}
}

func encodeQuery(options any) (url.Values, error) {
	switch options := options.(type) {
	case nil:
		return nil, nil
	case url.Values:
		return options, nil
	}
	query, err := wire.Query(options)
	var argument *wire.ArgumentError
	if errors.As(err, &argument) {
		return nil, &ValidationError{Argument: argument.Argument, Reason: argument.Reason.Error()}
	}
	return query, err
}

// encodeBody checks what a request must not hold wherever it stands: ids that are not greater than 0, and durations that
// are not positive whole minutes.
func encodeBody(body any) ([]byte, error) {
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

// header returns the headers of an attempt. Their values are the attempt's own: a transport that changes them, which none
// should, does so to nobody else.
func (c *call) header(values *[4]string, withBody bool) http.Header {
	*values = [...]string{jsonType, c.userAgent, c.authorization(c.last.token.AccessToken), jsonType}
	if c.anyAccepted {
		values[0] = "*/*"
	}
	h := make(http.Header, len(values)+len(c.options.header))
	h["Accept"], h["User-Agent"] = values[0:1:1], values[1:2:2]
	if withBody {
		h["Content-Type"] = values[3:4:4]
	}
	for name, values := range c.options.header {
		h[name] = slices.Clone(values)
	}
	h["Authorization"] = values[2:3:3]
	return h
}

const jsonType = "application/json"

// info labels the call for hooks.
func (c *call) info() RequestInfo {
	return RequestInfo{Operation: c.route.name, Method: c.route.method, Route: c.route.path}
}

func (c *call) context() callContext {
	ctx := c.caller // what c has is emptied
	return callContext{&ctx}
}

// report fills the caller's Response and tells hooks about the end of the call.
func (c *call) report(err error) {
	if r := c.options.response; r != nil {
		*r = Response{StatusCode: c.received.status, Header: c.received.header, RequestID: c.received.requestID,
			Body: c.received.body, Attempts: c.attempts, Waited: c.waited}
	}
	if c.hooks.Response != nil {
		c.hooks.Response(ResponseInfo{RequestInfo: c.info(), callContext: c.context(), StatusCode: c.received.status,
			Attempts: len(c.attempts),
			Duration: time.Since(c.start), Waited: c.waited, Err: err})
	}
}

// Response tells about a call; see [WithResponse]. It is filled on errors too.
type Response struct {
	StatusCode int         // of the last answer that arrived, even if later attempts got none; 0: none arrived
	Header     http.Header // of that answer
	RequestID  string      // X-Request-Id of that answer
	Body       []byte      // of that answer, up to the limit; it may hold personal data. nil if an io.Writer got it
	Attempts   []Attempt   // in order; an attempt that never went out is not listed
	Waited     Waits
}
