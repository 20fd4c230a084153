package drift

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/wire"
)

const (
	defaultAttemptTimeout = time.Minute
	maxErrorBody          = 64 << 10
	maxKeptBuffer         = 4 << 20
	maxTrustedLength      = 2 << 20 // what is set aside on the word of a Content-Length
	maxDrained            = 1 << 20
	drainTimeout          = time.Second
)

// newTransport has the timeouts and the connections for one busy host that http.DefaultTransport lacks: two idle
// connections a host, as there, cost a new connection on most calls under load.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout:  30 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    100,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		OnProxyConnectResponse: proxyAnswer,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: 15 * time.Second},
	}
}

// proxyAnswer tells what a proxy says that does not connect: net/http's own error is the status line, which may say anything.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return &unusable{errProxy, "status " + strconv.Itoa(resp.StatusCode)}
	}
	return nil
}

// refuseRedirect is a second lock: RoundTrip turns redirects into errors before net/http sees them.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// answer is what one attempt came to.
type answer struct {
	token    *oauth2.Token
	stopped  error // the attempt was not sent, and the call ends
	err      error // there is no usable answer
	broken   bool  // because the connection failed: the next attempt may fare better
	stale    bool  // because a kept connection turned out to be closed
	sent     bool
	status   int
	header   http.Header
	pause    time.Duration // that the service asked for
	buffer   *bytes.Buffer // the body; nil without one
	whole    bool          // the body was read to its end
	limited  io.LimitedReader
	streamed int64         // bytes that the caller's writer got
	apiErr   *apiErrorBody // the error in the body, once parsed
}

func (a *answer) body() []byte {
	if a.buffer == nil {
		return nil
	}
	return bytes.TrimPrefix(a.buffer.Bytes(), []byte("\ufeff"))
}

func (a *answer) requestID() string { return mask(a.header.Get("X-Request-Id"), a.secret(), maxName) }

// received is the last answer that arrived. Later attempts may get none.
type received struct {
	status    int
	header    http.Header
	requestID string
	body      []byte
}

// keepAnswer is for [Response] and hooks.
func (c *call) keepAnswer() {
	if c.last.status == 0 {
		return
	}
	c.received = received{status: c.last.status, header: c.last.header}
	if c.options.response != nil {
		c.received.requestID, c.received.body = c.last.requestID(), bytes.Clone(c.last.body())
	}
}

// buffers keep what reading an answer needs. Those of huge answers are left to the garbage collector, and so are those of answers
// that broke off: a body that gives up with its context may still be writing.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (a *answer) free() {
	if a.whole && a.buffer.Cap() <= maxKeptBuffer {
		a.buffer.Reset()
		buffers.Put(a.buffer)
	}
	a.buffer, a.whole = nil, false
}

// RoundTrip is the Transport inside the retry loop, so that every attempt passes token, limiter and quota. It reads the whole
// answer: a body that breaks off counts as a failed attempt.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	c.last.free()
	c.last = answer{}
	if c.last.stopped = c.attempt(req); c.last.stopped != nil {
		c.stops++
		return nil, c.last.stopped
	}
	c.keepAnswer()
	if c.last.err != nil {
		return nil, c.last.err
	}
	c.resp = http.Response{StatusCode: c.last.status, Header: c.last.header, Body: http.NoBody, Request: req}
	return &c.resp, nil
}

// attempt waits for its turn, sends and reads. An error means that it sent nothing and that the call ends; all else is in
// c.last.
func (c *call) attempt(req *http.Request) error {
	ctx := req.Context()
	c.endBackoff()
	token, err := c.authorize(ctx)
	if err != nil {
		return err
	}
	var turn turn
	defer turn.end()
	reserved, err := c.acquire(ctx, &turn)
	if err != nil {
		return err
	}
	if !token.Valid() { // it may have expired in the queue
		if token, err = c.authorize(ctx); err != nil {
			return err
		}
	}
	usage, err := c.quota.Reserve(ctx, reserved)
	if err != nil {
		return failed(ctx, "the quota store failed", err)
	}
	c.last.token = token
	if ctx.Err() != nil {
		turn.end()
		c.settle(ctx, reserved)
		return contextError(ctx)
	}
	c.exchangeOnce(req, &turn)
	c.warnOfPause(ctx)
	c.settle(ctx, reserved)
	c.record(ctx, Attempt{StatusCode: c.last.status, Sent: c.last.sent, Duration: time.Since(reserved), Err: c.last.err})
	c.warn(ctx, usage)
	return nil
}

// turn gives a slot back once, whatever happens. Until something is sent its outcome is OutcomeNotSent.
type turn struct {
	slot    Slot
	outcome Outcome
}

func (t *turn) end() {
	if slot := t.slot; slot != nil {
		t.slot = nil
		slot.Done(t.outcome)
	}
}

// acquire waits for a slot, and returns when it got one.
func (c *call) acquire(ctx context.Context, turn *turn) (at time.Time, err error) {
	class := ClassInteractive
	if c.options.bulk {
		class = ClassBulk
	}
	start := time.Now()
	turn.slot, err = c.limiter.Acquire(ctx, class)
	at = time.Now()
	c.waitedFor(WaitRateLimit, at.Sub(start))
	if ctx.Err() != nil {
		return at, contextError(ctx)
	}
	if err != nil {
		return at, &cause{"the limiter failed", err}
	}
	return at, nil
}

// warn tells about the quota when a call that counts has reached one of its marks.
func (c *call) warn(ctx context.Context, usage Usage) {
	if !c.last.sent || !usage.crossed() {
		return
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "drift: monthly quota", slog.Int("used", usage.Used), slog.Int("limit", usage.Limit))
	if c.hooks.Quota != nil {
		c.hooks.Quota(usage)
	}
}

// settle takes back the count of an attempt that was not sent.
func (c *call) settle(ctx context.Context, reserved time.Time) {
	if c.last.sent {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := c.quota.Refund(ctx, reserved); err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "drift: cannot settle the quota", slog.String("operation", c.route.name))
	}
}

// settleTimeout is how long a caller whose context has ended may be held up for the sake of the count.
const settleTimeout = time.Second

// exchangeOnce sends the request once and reads the answer into c.last.
func (c *call) exchangeOnce(req *http.Request, turn *turn) {
	var trace sendTrace
	ctx, cancel := context.WithCancelCause(httptrace.WithClientTrace(req.Context(), trace.hooks()))
	defer cancel(nil)
	timer := c.timers.start(cancel)
	defer c.timers.stop(timer)
	trace.end = cancel
	resp, err := c.send(req, ctx, &trace, turn)
	if err != nil {
		c.last.err, c.last.broken = transportCause(req.Context(), ctx, err), err != errForeignOrigin
		c.last.stale = c.last.err == errBroken && c.protocol.Load() == 1 || closedIdle(err) || nothingWritten(err)
		cancel(nil) // so that a transport that has given up does not connect after all
		if c.last.sent = trace.sent(err); !c.last.sent {
			turn.outcome = OutcomeNotSent
		}
		turn.end()
		return
	}
	defer resp.Body.Close()
	c.last.sent, c.last.status, c.last.header = true, resp.StatusCode, resp.Header
	c.noteProtocol(resp)
	c.pauseIfAsked()
	turn.outcome = OutcomeAnswered
	turn.end()
	if err = c.read(req.Context(), resp, timer, cancel); err != nil {
		c.last.err = transportCause(req.Context(), ctx, err)
		if c.last.status >= http.StatusBadRequest {
			c.previous = c.apiError() // the last answer, if only a part of it
		}
	}
}

// send gives the attempt a request that nothing else holds: an abandoned attempt may still be writing its own.
func (c *call) send(req *http.Request, ctx context.Context, trace *sendTrace, turn *turn) (*http.Response, error) {
	out := req.WithContext(ctx)
	trace.url = *req.URL
	out.URL, out.Host = &trace.url, c.base.Host
	if !sameOrigin(out.URL, c.base) {
		return nil, errForeignOrigin
	}
	turn.outcome = OutcomeUnknown
	out.Header = c.header(&trace.header, c.body != nil)
	trace.userAgent = out.Header.Get("User-Agent")
	trace.setBody(out, c.body, c.protocol.Load())
	return roundTrip(c.transport, out)
}

// noteProtocol remembers what the service speaks, for the bodies of later requests.
func (c *core) noteProtocol(resp *http.Response) {
	if protocol := int32(resp.ProtoMajor); c.protocol.Load() != protocol {
		c.protocol.Store(protocol)
	}
}

// roundTrip defends against transports that break the contract of http.RoundTripper.
func roundTrip(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(req)
	switch {
	case err != nil && resp != nil && resp.Body != nil:
		_ = resp.Body.Close()
	case err == nil && resp == nil:
		err = errNoResponse
	case err == nil && resp.Body == nil:
		resp.Body = http.NoBody
	}
	if err == nil && resp.Header == nil {
		resp.Header = http.Header{}
	}
	return resp, err
}

// pauseIfAsked keeps the other callers back too.
func (c *call) pauseIfAsked() {
	var asked time.Duration
	switch c.last.status {
	case http.StatusTooManyRequests:
		asked = cmp.Or(c.last.retryAfter(), throttleBackoff)
	case http.StatusServiceUnavailable:
		asked = cmp.Or(c.last.retryAfter(), c.last.usedUpUntil())
	default:
		asked = c.last.usedUpUntil()
	}
	if asked == 0 {
		return
	}
	c.last.pause = min(asked, maxPause)
	c.limiter.Pause(time.Now().Add(c.last.pause))
}

// warnOfPause is for the time when the attempt has ended and holds nothing: a log may make calls of its own.
func (c *call) warnOfPause(ctx context.Context) {
	if c.last.pause == 0 {
		return
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "drift: the service asked for a pause", slog.Duration("pause", c.last.pause),
		slog.Int("status", c.last.status), slog.String("operation", c.route.name))
}

// read reads the body to its end, so that the connection can be used again.
func (c *call) read(caller context.Context, resp *http.Response, timer *attemptTimer, end context.CancelCauseFunc) error {
	if resp.StatusCode/100 == 1 { // its body, if it has one, does not end with the context
		return &unusable{errStatus, strconv.Itoa(resp.StatusCode)}
	}
	if redirects(resp.StatusCode) {
		drain(resp.Body, end)
		return &unusable{errRedirect, "status " + strconv.Itoa(resp.StatusCode)}
	}
	limit, success := int64(maxErrorBody), c.success(resp.StatusCode)
	if success && c.writer != nil {
		return c.stream(resp, timer, end)
	}
	if success {
		limit = c.bodyLimit()
	}
	if success && c.decode != nil && resp.ContentLength > limit && c.route.method != http.MethodHead {
		return ErrTooLarge
	}
	n, err := c.fill(resp, limit)
	switch {
	case !success: // the status tells enough, however the body ends, unless it ends with the caller's context
		if n > limit && err == nil && resp.ContentLength <= limit+maxDrained {
			drain(resp.Body, end)
		}
		c.last.buffer.Truncate(int(min(n, limit)))
		if err != nil && caller.Err() != nil {
			return err
		}
		return nil
	case c.decode == nil: // whatever it says
		return nil
	case err != nil:
		c.last.broken = true
		return err
	case n > limit:
		return ErrTooLarge
	}
	return c.checkContent(resp)
}

// fill reads the body into the buffer, and one byte more than the limit where there is one.
func (c *call) fill(resp *http.Response, limit int64) (int64, error) {
	c.last.buffer = buffers.Get().(*bytes.Buffer)
	if n := resp.ContentLength; n > 0 && n <= limit {
		c.last.buffer.Grow(int(min(n, maxTrustedLength)) + bytes.MinRead)
	}
	c.last.limited = io.LimitedReader{R: resp.Body, N: limit + 1}
	n, err := c.last.buffer.ReadFrom(&c.last.limited)
	c.last.limited.R, c.last.whole = nil, err == nil
	return n, err
}

// drain reads a little more of an unwanted answer, so that the connection can be kept. Beyond that, a new connection is
// cheaper.
func drain(body io.Reader, end context.CancelCauseFunc) {
	late := time.AfterFunc(drainTimeout, func() { end(nil) })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, body, maxDrained)
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// checkContent refuses what is certainly not JSON in UTF-8. A wrong Content-Type alone is forgiven, unless it says HTML.
func (c *call) checkContent(resp *http.Response) error {
	if err := checkEncoding(resp); err != nil || c.anyContent {
		return err
	}
	first := firstByte(c.last.body())
	media, params, err := mediaType(resp.Header.Get("Content-Type"))
	if err == nil && (media == "text/html" || media == "application/xhtml+xml") || first == '<' {
		return &unusable{ErrUnexpectedContent, "HTML"}
	}
	if charset := strings.ToLower(params["charset"]); charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii" {
		return &unusable{ErrUnexpectedContent, "not in UTF-8"}
	}
	if first != ' ' && strings.IndexByte(`{["-0123456789tfn`, first) < 0 {
		return ErrUnexpectedContent
	}
	return nil
}

// checkEncoding refuses what net/http has not decoded.
func checkEncoding(resp *http.Response) error {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &unusable{ErrUnexpectedContent, "unknown Content-Encoding"}
	}
	return nil
}

// firstByte returns the first byte of a body that is not white space, or a space.
func firstByte(body []byte) byte {
	for _, b := range body {
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return b
		}
	}
	return ' '
}

// mediaType has the most common one ready.
func mediaType(contentType string) (media string, params map[string]string, err error) {
	if contentType == jsonType {
		return contentType, nil, nil
	}
	return mime.ParseMediaType(contentType)
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// record lists an attempt and tells hooks and the log about it.
func (c *call) record(ctx context.Context, a Attempt) {
	c.attempts = append(c.attempts, a)
	if c.logger.Enabled(ctx, slog.LevelDebug) {
		c.logger.LogAttrs(ctx, slog.LevelDebug, "drift: attempt", slog.String("operation", c.route.name), slog.Int("number", len(c.attempts)),
			slog.Int("status", a.StatusCode), slog.Bool("sent", a.Sent), slog.Duration("duration", a.Duration),
			slog.String("request_id", c.last.requestID()), c.last.loggedHeader())
	}
	if c.hooks.Attempt != nil {
		c.hooks.Attempt(AttemptInfo{RequestInfo: c.info(), callContext: c.context(), Attempt: a, Number: len(c.attempts), RequestID: c.last.requestID()})
	}
}

// loggedHeaders are the headers of an answer that are logged, besides X-Request-Id. What else the service sends may be a secret.
var loggedHeaders = [...]string{"Content-Type", "Content-Length", "Date", "Retry-After", "Ratelimit-Limit", "Ratelimit-Policy",
	"Ratelimit-Remaining", "Ratelimit-Reset", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// loggedHeader is a group, and empty where there was no answer. Of Content-Type it has the media type alone.
func (a *answer) loggedHeader() slog.Attr {
	var attrs []slog.Attr
	for _, name := range loggedHeaders {
		value := a.header.Get(name)
		if name == "Content-Type" {
			value, _, _ = strings.Cut(value, ";")
		}
		if value = mask(value, a.secret(), maxName); value != "" {
			attrs = append(attrs, slog.String(strings.ToLower(name), value))
		}
	}
	return slog.GroupAttrs("header", attrs...)
}

// leastWait is what counts as waiting for a token or a turn: less is the time it takes to ask.
const leastWait = time.Millisecond

func (c *call) waitedFor(reason WaitReason, d time.Duration) {
	if d < leastWait && reason != WaitBackoff {
		return
	}
	c.waited.add(reason, d)
	if c.hooks.Wait != nil {
		c.hooks.Wait(WaitInfo{RequestInfo: c.info(), callContext: c.context(), Reason: reason, Duration: d})
	}
}

var (
	errForeignOrigin = errors.New("the request is for another origin than the base URL")
	errNoResponse    = errors.New("the transport returned neither an answer nor an error")
	errStatus        = errors.New("the service answered with a status that ends no call")
	errProxy         = errors.New("the proxy refused the connection")
	errRedirect      = errors.New("the service answered with a redirect, which is never followed")
)

const (
	errAttemptTimeout = timeout("the attempt took too long")
	errSilent         = timeout("the answer stalled")
)

// timeout is a net.Error. It does not match context.DeadlineExceeded, by which callers know their own deadline.
type timeout string

func (t timeout) Error() string { return string(t) }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// transportCause says why an attempt failed: that the caller's context ended, that the attempt took too long, or what the
// connection met.
func transportCause(caller, attempt context.Context, err error) error {
	switch {
	case caller.Err() != nil:
		return contextError(caller)
	case errors.As(err, new(*unusable)): // the attempt may have been ended since, to stop reading
		return &cause{err: err}
	case attempt.Err() != nil:
		return context.Cause(attempt)
	case isTimeout(err) && overdue(caller): // the network's timer was faster than the context's
		return context.DeadlineExceeded
	case isTimeout(err) && overdue(attempt):
		return errAttemptTimeout
	case isTimeout(err):
		return &timedOut{err}
	}
	return &cause{err: err}
}

func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// timedOut is a timeout of the connection's own: of a dial, or of the wait for headers. The types of net and net/http match
// context.DeadlineExceeded, by which callers know their own deadline.
type timedOut struct{ err error }

func (*timedOut) Error() string { return "timeout" }

// Is reports whether the error inside matches target.
func (t *timedOut) Is(target error) bool {
	return target != context.DeadlineExceeded && errors.Is(t.err, target)
}

// As finds target in the error inside.
func (t *timedOut) As(target any) bool { return errors.As(t.err, target) }

// unusable is an answer that cannot be used.
type unusable struct {
	kind   error
	detail string
}

func (u *unusable) Error() string { return u.kind.Error() + " (" + u.detail + ")" }
func (u *unusable) Unwrap() error { return u.kind }

// cause keeps the text of an error to itself, because it may quote a URL, a token or a body. errors.Is and errors.As reach
// what is inside.
type cause struct {
	text string // in place of what the error says
	err  error
}

func (c *cause) Error() string {
	return cmp.Or(joinNonEmpty(": ", c.text, causeText(c.err)), "the connection failed")
}

// Is reports whether the error inside matches target.
func (c *cause) Is(target error) bool { return errors.Is(c.err, target) }

// As finds target in the error inside.
func (c *cause) As(target any) bool { return c.err != nil && errors.As(c.err, target) }

// failed is the error of something that the caller handed in. Where its context has ended, that is the reason, with its cause.
func failed(ctx context.Context, text string, err error) error {
	if ctx.Err() != nil {
		return withContext(ctx, &cause{text, err})
	}
	return &cause{text, err}
}

// causeText returns what is known to be harmless about an error.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	var answer *unusable
	var refresh *refreshError
	switch {
	case errors.As(err, &answer):
		return answer.Error()
	case errors.As(err, &refresh):
		return strings.TrimPrefix(refresh.Error(), "drift: ")
	}
	for _, own := range []error{errForeignOrigin, errBroken, errNoResponse, ErrUnexpectedContent, ErrTooLarge, ErrReauthRequired, ErrClosed,
		errTokenText, fs.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, own) {
			return strings.TrimPrefix(own.Error(), "drift: ")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection broke off"
	}
	var reason wire.Reason
	var errno syscall.Errno
	var dns *net.DNSError
	var op *net.OpError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &reason):
		return reason.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &verification):
		return "the server's certificate is not trusted"
	case errors.As(err, &op):
		return op.Op + " " + op.Net + " failed"
	case isTimeout(err):
		return "timeout"
	default:
		return kindOf(err)
	}
}

// kindOf names the type of an error, if that says anything.
func kindOf(err error) string {
	kind := fmt.Sprintf("%T", err)
	if strings.HasPrefix(kind, "*errors.") || strings.HasPrefix(kind, "*fmt.") {
		return ""
	}
	return kind
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
