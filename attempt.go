package drift

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/trace"
)

// attempt is one try of a call. It takes a token, a slot and a call of the month's quota, sends one request, and reads
// the whole answer.
type attempt struct {
	*call
	slot    Slot    // nil once it was returned
	outcome Outcome // of the slot

	reservation Reservation // nil once it was refunded

	context context.Context // of StartAttempt
	started int             // StartAttempt hooks that returned
	stores  time.Duration   // how long the limiter and the quota store took while the attempt ran
	proto   string          // of the answer

	token     *oauth2.Token
	stopped   error // why the attempt ended before it was sent
	err       error // why there is no usable answer
	writerErr error // the error of the caller's writer, if that is why
	broken    bool  // the connection failed, so a retry may succeed
	stale     bool  // a kept connection turned out to be closed
	refused   bool  // HTTP/2 refused the request, or net/http was about to repeat it
	sent      bool
	status    int
	header    http.Header
	pause     time.Duration // for which the service asked; 0: none
	buffer    *bytes.Buffer // the body; nil: none
	whole     bool          // the body was read to its end
	problem   *answer.Error // the error in the answer, once parsed
}

// attempt makes one attempt and stores it as the last one.
func (c *call) attempt(req *http.Request) {
	c.last.free()
	c.last = attempt{call: c}
	if c.last.stopped = c.last.run(req); c.last.stopped != nil {
		c.stops++
		return
	}
	c.keepAnswer()
}

// run waits for a slot, sends the request and reads the answer into a. It returns an error only if it sent nothing.
func (a *attempt) run(req *http.Request) error {
	ctx := req.Context()
	a.endBackoff()
	token, err := a.authorize(ctx)
	if err != nil {
		return err
	}
	defer a.release(ctx)
	if err := a.acquire(ctx); err != nil {
		return err
	}
	if !token.Valid() { // it may have expired during the wait
		if token, err = a.authorize(ctx); err != nil {
			return err
		}
	}
	if err := a.reserve(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	usage := a.reservation.Usage()
	if usage.exhausted() {
		a.usedUp.Store(true)
	}
	a.token = token
	a.perform(req)
	a.warnOfQuota(ctx, usage)
	return nil
}

// perform sends the request between the hooks StartAttempt and Attempt. The attempt is recorded even if the transport
// or a hook panics.
func (a *attempt) perform(req *http.Request) {
	ctx, start := req.Context(), time.Now()
	a.context, a.err = ctx, errPanicked
	defer func() {
		a.sent = a.sent || a.err == errPanicked && a.outcome != OutcomeNotSent
		listed := Attempt{StatusCode: a.status, Sent: a.sent, Duration: time.Since(start) - a.stores, Err: a.err}
		defer a.record(ctx, listed)
		a.release(ctx)
		a.warnOfPause(ctx)
	}()
	number := len(a.attempts) + 1
	a.callStartAttempt(number)
	start = time.Now()
	a.err = a.exchange(req, number)
}

// acquire waits for a slot.
func (a *attempt) acquire(ctx context.Context) (err error) {
	start := time.Now()
	if a.asked.IsZero() {
		a.asked = start
	}
	turn := Turn{Operation: a.route.Name, Timeout: a.timeout, Since: a.asked, Quota: a.quota}
	if a.options.bulk {
		turn.Class = ClassBulk
	}
	err = a.askLimiter(ctx, turn)
	a.waitedFor(WaitRateLimit, time.Since(start))
	switch {
	case err != nil && errors.As(err, new(*RateLimitError)): // even if the context has ended: it says why
		return err
	case ctx.Err() != nil:
		return contextError(ctx)
	case err != nil:
		return local("the limiter failed", err)
	}
	if slot, ok := a.slot.(ReservedSlot); ok {
		a.reservation = slot.Reservation()
	}
	return a.sitOut(ctx)
}

// askLimiter sets the slot itself, so that it is given back if a report of a long wait panics.
func (a *attempt) askLimiter(ctx context.Context, turn Turn) (err error) {
	defer a.reportLongWait(ctx)()
	a.slot, err = a.slots().Acquire(ctx, turn)
	return err
}

// sitOut waits for the end of the pause that the service has asked this call for, if the limiter has not. The jitter
// spreads the callers, which such a limiter does not do either.
func (a *attempt) sitOut(ctx context.Context) error {
	start := time.Now()
	if !start.Before(a.resumes) {
		return nil
	}
	timer := time.NewTimer(a.resumes.Sub(start) + jitter(a.spread))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	a.waitedFor(WaitBackoff, time.Since(start))
	return contextError(ctx)
}

// freeSlot returns the slot, if it has not been returned yet. The outcome is OutcomeNotSent until something is sent.
func (a *attempt) freeSlot(ctx context.Context) {
	slot := a.slot
	if slot == nil {
		return
	}
	a.slot = nil
	result := Result{Outcome: a.outcome, StatusCode: a.status, Header: a.header}
	start := time.Now()
	if err := slot.Done(context.WithoutCancel(ctx), result); err != nil {
		a.warnOfStore(ctx, "drift: the limiter cannot take back a slot", err)
	}
	a.waitedForStore(WaitRateLimit, start)
}

// waitedForStore counts the time since start as a wait, and not as a part of the attempt.
func (a *attempt) waitedForStore(reason WaitReason, start time.Time) {
	took := time.Since(start)
	a.stores += took
	a.waitedFor(reason, took)
}

func (a *attempt) warnOfStore(ctx context.Context, message string, err error) {
	a.logger.LogAttrs(ctx, slog.LevelWarn, message, slog.String("operation", a.route.Name),
		ErrorAttr(local("the store failed", err)))
}

// reserve counts the attempt in the month's quota, unless the slot includes that.
func (a *attempt) reserve(ctx context.Context) (err error) {
	if a.reservation != nil {
		return nil
	}
	start := time.Now()
	a.reservation, err = a.quota.Reserve(ctx)
	a.waitedFor(WaitQuota, time.Since(start))
	if err == nil && a.reservation == nil {
		err = errNoReservation
	}
	if err != nil {
		a.reservation = nil
		return failed(ctx, "the quota store failed", err)
	}
	return nil
}

// release returns what the attempt still holds: its slot and, if nothing was sent, its call of the quota.
func (a *attempt) release(ctx context.Context) {
	defer a.refund(ctx)
	a.freeSlot(ctx)
}

func (a *attempt) refund(ctx context.Context) {
	reservation := a.reservation
	if reservation == nil || a.outcome != OutcomeNotSent {
		return
	}
	a.reservation = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTimeout)
	defer cancel()
	start := time.Now()
	if err := reservation.Refund(ctx); err != nil {
		a.warnOfStore(ctx, "drift: the quota store cannot refund a call", err)
	}
	a.waitedForStore(WaitQuota, start)
}

// refundTimeout bounds the time that a refund may delay a caller whose context has ended.
const refundTimeout = time.Second

// exchange sends the request once and reads the answer. It returns an error if there is no usable answer.
func (a *attempt) exchange(req *http.Request, number int) error {
	ctx, request, cancel := trace.Follow(a.context, number)
	defer cancel(nil)
	timer := time.AfterFunc(a.timeout, func() { cancel(attemptTimeout(a.timeout)) })
	defer timer.Stop()
	resp, err := a.send(req.WithContext(ctx), request)
	if err != nil {
		why := a.noAnswer(req.Context(), ctx, request, err)
		cancel(nil) // ends a dial that may continue in the background
		if a.sent = !a.blocked(request) && request.Sent(err); !a.sent {
			a.outcome = OutcomeNotSent
		}
		a.freeSlot(ctx)
		return why
	}
	defer resp.Body.Close()
	a.sent, a.status, a.header, a.proto = !a.blocked(request), resp.StatusCode, resp.Header, resp.Proto
	a.noteProtocol(resp)
	a.pauseIfAsked(ctx)
	if a.outcome = OutcomeAnswered; !a.sent { // the answer is a middleware's
		a.outcome = OutcomeNotSent
	}
	a.freeSlot(ctx)
	if err = a.read(req.Context(), resp, timer, cancel); err == nil {
		return nil
	}
	if a.status >= http.StatusBadRequest {
		a.previous = a.apiError() // only a part of the answer arrived
	}
	return transportCause(req.Context(), ctx, err, trace.Reading)
}

// noAnswer returns why an attempt got no answer.
func (a *attempt) noAnswer(caller, ctx context.Context, request *trace.Request, err error) error {
	if a.blocked(request) {
		a.broken = temporary(err)
		return failed(caller, "the middleware failed", err)
	}
	why := transportCause(caller, ctx, err, request.Phase())
	a.broken = true
	a.stale = why == trace.ErrBroken && a.protocol.Load() == 1 || trace.Stale(err)
	a.refused = why == trace.ErrBroken || trace.Refused(err)
	return why
}

// blocked reports whether a middleware ended the attempt without sending the request.
func (a *attempt) blocked(request *trace.Request) bool { return a.guarded && !request.Passed() }

// send completes a copy of the request and sends it to the origin of the base URL, whatever the path. A copy, because
// an abandoned attempt may still be using its own.
func (a *attempt) send(out *http.Request, request *trace.Request) (*http.Response, error) {
	unescaped, _ := url.PathUnescape(a.path) // cannot fail: all its parts were escaped
	out.URL = &url.URL{Scheme: a.base.Scheme, Host: a.base.Host, Path: unescaped, RawPath: a.path, RawQuery: a.query}
	out.Method, out.Host = a.route.Method, a.base.Host
	a.outcome = OutcomeUnknown
	out.Header = a.requestHeader()
	request.Prepare(out, a.payload, int(a.protocol.Load()))
	return roundTrip(a.transport, out)
}

const jsonType = "application/json"

// requestHeader returns new headers, so that a transport that modifies them affects only this attempt.
func (a *attempt) requestHeader() http.Header {
	values := []string{cmp.Or(a.in.Accept, jsonType), a.userAgent, "Bearer " + a.token.AccessToken, jsonType}
	h := make(http.Header, len(values)+len(a.options.header))
	h["Accept"], h["User-Agent"] = values[0:1:1], values[1:2:2]
	if a.payload != nil {
		h["Content-Type"] = values[3:4:4]
	}
	for name, values := range a.options.header {
		h[name] = slices.Clone(values)
	}
	a.resume.ask(h, a.in)
	h["Authorization"] = values[2:3:3]
	return h
}

// noteProtocol remembers the service's HTTP version, on which the bodies of later requests depend.
func (c *core) noteProtocol(resp *http.Response) {
	if protocol := int32(resp.ProtoMajor); c.protocol.Load() != protocol {
		c.protocol.Store(protocol)
	}
}

// pauseIfAsked pauses all callers if the service asked for it.
func (a *attempt) pauseIfAsked(ctx context.Context) {
	var asked time.Duration
	switch a.status {
	case http.StatusTooManyRequests:
		asked = cmp.Or(a.retryAfter(), a.retry.bound(throttleBackoff, a.throttled+1))
	case http.StatusServiceUnavailable:
		asked = cmp.Or(a.retryAfter(), a.usedUpUntil())
	default:
		asked = a.usedUpUntil()
	}
	if asked == 0 {
		return
	}
	a.pause = min(asked, maxPause)
	start := time.Now()
	if err := a.limiter.Pause(context.WithoutCancel(ctx), time.Now().Add(a.pause)); err != nil {
		a.warnOfStore(ctx, "drift: the limiter cannot pause", err)
	}
	a.waitedForStore(WaitRateLimit, start)
}

// warnOfPause logs a pause. It runs after the slot is free, because a log handler may make calls itself.
func (a *attempt) warnOfPause(ctx context.Context) {
	if a.pause == 0 {
		return
	}
	a.logger.LogAttrs(ctx, slog.LevelWarn, "drift: the service asked for a pause", slog.Duration("pause", a.pause),
		slog.Int("status", a.status), slog.String("operation", a.route.Name))
}

// warnOfQuota warns if an attempt that was sent has reached one of the quotaWarnings.
func (a *attempt) warnOfQuota(ctx context.Context, usage Usage) {
	if !a.sent || !usage.crossed() {
		return
	}
	a.logger.LogAttrs(ctx, slog.LevelWarn, "drift: monthly quota",
		slog.Int("used", usage.Used), slog.Int("limit", usage.Limit))
	for _, hooks := range a.hooks {
		if hooks.Quota != nil {
			hooks.Quota(usage)
		}
	}
}

// record adds an attempt to the list and reports it to the log and hooks, even if the log panics.
func (a *attempt) record(ctx context.Context, listed Attempt) {
	a.attempts = append(a.attempts, listed)
	defer a.reportToHooks(listed)
	if a.logger.Enabled(ctx, slog.LevelDebug) {
		a.logger.LogAttrs(ctx, slog.LevelDebug, "drift: attempt", slog.String("operation", a.route.Name),
			slog.String("server", a.server), slog.Int("number", len(a.attempts)), slog.Int("status", a.status),
			slog.Bool("sent", a.sent), slog.Duration("duration", listed.Duration),
			slog.String("request_id", a.requestID()), a.loggedHeader(), ErrorAttr(a.err))
	}
}

func (a *attempt) reportToHooks(listed Attempt) {
	if a.started == 0 {
		return
	}
	ctx := a.context // the next attempt overwrites a
	a.callAttempt(a.started, &AttemptInfo{RequestInfo: a.info(), callContext: callContext{&ctx}, Attempt: listed,
		Number: len(a.attempts), Kind: a.kind(), RequestID: a.requestID(), Proto: a.proto})
}

// kind returns the kind of the error that the call would have if this attempt were its last.
func (a *attempt) kind() Kind {
	switch {
	case a.err != nil:
		return KindOf(a.err)
	case a.quotaUsedUp():
		return KindQuotaExceeded
	case a.success(a.status), a.foundDeleted() && !a.in.Required, a.resume.complete(a.header):
		return KindOK
	}
	return KindOf(a.apiError())
}

// foundDeleted reports whether the answer to a DELETE is that an earlier attempt of the call has applied it.
func (a *attempt) foundDeleted() bool {
	return a.status == http.StatusNotFound && a.route.Method == http.MethodDelete && a.applied && !a.foreign()
}

// loggedHeaders are the headers of an answer that are logged, besides X-Request-Id. Other headers may contain secrets.
var loggedHeaders = [...]string{
	"Content-Type", "Content-Length", "Date", "Retry-After",
	"Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset",
}

// loggedHeader returns the loggedHeaders of the answer as a group, with Content-Type reduced to its media type. The
// group is empty if there was no answer.
func (a *attempt) loggedHeader() slog.Attr {
	var attrs []slog.Attr
	for _, name := range loggedHeaders {
		value := a.header.Get(name)
		if name == "Content-Type" {
			value, _, _ = strings.Cut(value, ";")
		}
		if value = answer.Mask(value, a.secret(), answer.MaxName); value != "" {
			attrs = append(attrs, slog.String(strings.ToLower(name), value))
		}
	}
	return slog.GroupAttrs("header", attrs...)
}

// leastWait is the shortest time that counts as a wait for a token or a slot. A request for one that is free takes
// less.
const leastWait = time.Millisecond

func (c *call) waitedFor(reason WaitReason, d time.Duration) {
	if d < leastWait && reason != WaitBackoff {
		return
	}
	c.waited.add(reason, d)
	for _, hooks := range c.hooks {
		if hooks.Wait != nil {
			hooks.Wait(WaitInfo{RequestInfo: c.info(), callContext: callContext{&c.caller}, Reason: reason, Duration: d})
		}
	}
}

func (a *attempt) requestID() string {
	return answer.Mask(a.header.Get("X-Request-Id"), a.secret(), answer.MaxName)
}

// secret returns the token, which errors must not contain even if the service repeats it.
func (a *attempt) secret() string {
	if a.token == nil {
		return ""
	}
	return a.token.AccessToken
}

// masked returns the body without the secret.
func (a *attempt) masked() []byte { return answer.Hide(a.bodyWithoutInput(), a.secret()) }

// bodyWithoutInput returns the body without the secret of the call's input.
func (a *attempt) bodyWithoutInput() []byte {
	if a.call == nil || a.in == nil { // a token request
		return a.body()
	}
	return answer.Hide(a.body(), a.in.Secret)
}

// reported returns the error in the answer.
func (a *attempt) reported() *answer.Error {
	if a.problem == nil {
		a.problem = answer.ParseError(a.header, a.bodyWithoutInput(), a.secret())
	}
	return a.problem
}

// foreign reports whether the answer is an error, and certainly not by the API.
func (a *attempt) foreign() bool { return a.status >= 400 && answer.IsHTML(a.header, a.body()) }

func (a *attempt) unauthorized() bool {
	if a.status == http.StatusUnauthorized {
		return a.reported().Code != answer.InsufficientScope
	}
	return a.status == http.StatusForbidden && a.reported().Type == authenticationError
}

// quotaUsedUp reports whether the service says that the month's calls are used up. The service's documentation does not
// say how. This package assumes a 402, or a 403 or 429 whose type or code contains "quota".
func (a *attempt) quotaUsedUp() bool {
	switch a.status {
	case http.StatusPaymentRequired:
		return true
	case http.StatusForbidden, http.StatusTooManyRequests:
		reported := a.reported()
		return strings.Contains(strings.ToLower(reported.Type+" "+reported.Code), "quota")
	}
	return false
}

// retryAfter returns how long the service asks a caller to wait: its Retry-After or, for a 429 without one, the time
// until the limit resets.
func (a *attempt) retryAfter() time.Duration {
	asked := answer.RetryAfter(a.header, time.Now())
	if asked == 0 && a.status == http.StatusTooManyRequests {
		asked = answer.LimitReset(a.header, time.Now())
	}
	return asked
}

// usedUpUntil returns the time until the limit resets if the service says that it is exhausted, else 0.
func (a *attempt) usedUpUntil() time.Duration {
	if !answer.UsedUp(a.header) {
		return 0
	}
	return answer.LimitReset(a.header, time.Now())
}

// mayBeApplied reports whether the service may have applied the request of an attempt that failed.
func (a *attempt) mayBeApplied() bool {
	switch {
	case a.stopped != nil || !a.sent:
		return false
	default: // 300 to 303 point to the answer of a request that may have been applied
		return a.status <= http.StatusSeeOther || a.status == http.StatusRequestTimeout || a.status >= 500
	}
}
