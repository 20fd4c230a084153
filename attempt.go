package drift

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/trace"
)

// attempt is one try of a call: a token, a slot, a place in the month, one request and the whole answer.
type attempt struct {
	*call
	token     *oauth2.Token
	stopped   error // the attempt was not sent, and the call ends
	err       error // there is no usable answer
	writerErr error // because the caller's writer failed
	broken    bool  // because the connection failed: the next attempt may fare better
	stale     bool  // because a kept connection turned out to be closed
	refused   bool  // or because HTTP/2 refused the request, in a way in which net/http would have repeated it
	sent      bool
	status    int
	header    http.Header
	pause     time.Duration // that the service asked for
	buffer    *bytes.Buffer // the body; nil without one
	whole     bool          // the body was read to its end
	streamed  int64         // bytes that the caller's writer got
	problem   *answer.Error // the error in the answer, once parsed
}

// attempt makes an attempt, which becomes the last one.
func (c *call) attempt(req *http.Request) {
	c.last.free()
	c.last = attempt{call: c}
	if c.last.stopped = c.last.run(req); c.last.stopped != nil {
		c.stops++
		return
	}
	c.keepAnswer()
}

// run waits for a slot, sends and reads. An error means that it sent nothing and that the call ends; all else is in a.
func (a *attempt) run(req *http.Request) error {
	ctx := req.Context()
	a.endBackoff()
	token, err := a.authorize(ctx)
	if err != nil {
		return err
	}
	var slot heldSlot
	defer slot.free()
	reserved, err := a.acquire(ctx, &slot)
	if err != nil {
		return err
	}
	if !token.Valid() { // it may have expired in the queue
		if token, err = a.authorize(ctx); err != nil {
			return err
		}
	}
	usage, err := a.quota.Reserve(ctx, reserved)
	if err != nil {
		return failed(ctx, "the quota store failed", err)
	}
	a.token = token
	if ctx.Err() != nil {
		slot.free()
		a.refund(ctx, reserved)
		return contextError(ctx)
	}
	a.exchange(req, &slot)
	a.warnOfPause(ctx)
	a.refund(ctx, reserved)
	a.record(ctx, Attempt{StatusCode: a.status, Sent: a.sent, Duration: time.Since(reserved), Err: a.err})
	a.warnOfQuota(ctx, usage)
	return nil
}

// heldSlot gives a slot back once, whatever happens. Until something is sent its outcome is OutcomeNotSent.
type heldSlot struct {
	slot    Slot
	outcome Outcome
}

func (h *heldSlot) free() {
	if slot := h.slot; slot != nil {
		h.slot = nil
		slot.Done(h.outcome)
	}
}

// acquire waits for a slot, and returns when it got one.
func (a *attempt) acquire(ctx context.Context, held *heldSlot) (at time.Time, err error) {
	class := ClassInteractive
	if a.options.bulk {
		class = ClassBulk
	}
	start := time.Now()
	held.slot, err = a.limiter.Acquire(ctx, class)
	at = time.Now()
	a.waitedFor(WaitRateLimit, at.Sub(start))
	if ctx.Err() != nil {
		return at, contextError(ctx)
	}
	if err != nil {
		return at, &cause{text: "the limiter failed", err: err}
	}
	return at, nil
}

// refundTimeout is how long a caller whose context has ended may be held up for the sake of the count.
const refundTimeout = time.Second

// refund takes back the count of an attempt that was not sent.
func (a *attempt) refund(ctx context.Context, reserved time.Time) {
	if a.sent {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundTimeout)
	defer cancel()
	if err := a.quota.Refund(ctx, reserved); err != nil {
		a.logger.LogAttrs(ctx, slog.LevelWarn, "drift: cannot refund the quota", slog.String("operation", a.route.Name))
	}
}

// exchange sends the request once and reads the answer.
func (a *attempt) exchange(req *http.Request, slot *heldSlot) {
	ctx, request, cancel := trace.Follow(req.Context())
	defer cancel(nil)
	timer := time.AfterFunc(a.timeout, func() { cancel(errAttemptTimeout) })
	defer timer.Stop()
	resp, err := a.send(req.WithContext(ctx), request, slot)
	if err != nil {
		a.err, a.broken = transportCause(req.Context(), ctx, err), err != errForeignOrigin
		a.stale = a.err == trace.ErrBroken && a.protocol.Load() == 1 || trace.Stale(err)
		a.refused = a.err == trace.ErrBroken || trace.Refused(err)
		cancel(nil) // so that a transport that has given up does not connect after all
		if a.sent = err != errForeignOrigin && request.Sent(err); !a.sent {
			slot.outcome = OutcomeNotSent
		}
		slot.free()
		return
	}
	defer resp.Body.Close()
	a.sent, a.status, a.header = true, resp.StatusCode, resp.Header
	a.noteProtocol(resp)
	a.pauseIfAsked()
	slot.outcome = OutcomeAnswered
	slot.free()
	if err = a.read(req.Context(), resp, timer, cancel); err != nil {
		a.err = transportCause(req.Context(), ctx, err)
		if a.status >= http.StatusBadRequest {
			a.previous = a.apiError() // the last answer, if only a part of it
		}
	}
}

// send completes a request that nothing else holds: an abandoned attempt may still be writing its own.
func (a *attempt) send(out *http.Request, request *trace.Request, slot *heldSlot) (*http.Response, error) {
	target := *out.URL
	out.URL, out.Host = &target, a.base.Host
	if !sameOrigin(out.URL, a.base) {
		return nil, errForeignOrigin
	}
	slot.outcome = OutcomeUnknown
	out.Header = a.requestHeader()
	request.Prepare(out, a.payload, int(a.protocol.Load()))
	return roundTrip(a.transport, out)
}

const jsonType = "application/json"

// requestHeader is the attempt's own: a transport that modifies it affects no other attempt.
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
	h["Authorization"] = values[2:3:3]
	return h
}

// noteProtocol remembers what the service speaks, for the bodies of later requests.
func (c *core) noteProtocol(resp *http.Response) {
	if protocol := int32(resp.ProtoMajor); c.protocol.Load() != protocol {
		c.protocol.Store(protocol)
	}
}

// pauseIfAsked keeps the other callers back too.
func (a *attempt) pauseIfAsked() {
	var asked time.Duration
	switch a.status {
	case http.StatusTooManyRequests:
		asked = cmp.Or(a.retryAfter(), throttleBackoff)
	case http.StatusServiceUnavailable:
		asked = cmp.Or(a.retryAfter(), a.usedUpUntil())
	default:
		asked = a.usedUpUntil()
	}
	if asked == 0 {
		return
	}
	a.pause = min(asked, maxPause)
	a.limiter.Pause(time.Now().Add(a.pause))
}

// warnOfPause is for the time when the attempt has ended and holds nothing: a log may make calls of its own.
func (a *attempt) warnOfPause(ctx context.Context) {
	if a.pause == 0 {
		return
	}
	a.logger.LogAttrs(ctx, slog.LevelWarn, "drift: the service asked for a pause", slog.Duration("pause", a.pause),
		slog.Int("status", a.status), slog.String("operation", a.route.Name))
}

// warnOfQuota warns when an attempt that counts has reached one of the marks of the month.
func (a *attempt) warnOfQuota(ctx context.Context, usage Usage) {
	if !a.sent || !usage.crossed() {
		return
	}
	a.logger.LogAttrs(ctx, slog.LevelWarn, "drift: monthly quota", slog.Int("used", usage.Used), slog.Int("limit", usage.Limit))
	if a.hooks.Quota != nil {
		a.hooks.Quota(usage)
	}
}

// record lists an attempt and reports it to hooks and the log.
func (a *attempt) record(ctx context.Context, listed Attempt) {
	a.attempts = append(a.attempts, listed)
	if a.logger.Enabled(ctx, slog.LevelDebug) {
		a.logger.LogAttrs(ctx, slog.LevelDebug, "drift: attempt", slog.String("operation", a.route.Name),
			slog.Int("number", len(a.attempts)), slog.Int("status", a.status), slog.Bool("sent", a.sent),
			slog.Duration("duration", listed.Duration), slog.String("request_id", a.requestID()), a.loggedHeader())
	}
	if a.hooks.Attempt != nil {
		a.hooks.Attempt(AttemptInfo{RequestInfo: a.info(), callContext: callContext{&a.caller}, Attempt: listed,
			Number: len(a.attempts), RequestID: a.requestID()})
	}
}

// loggedHeaders are the headers of an answer that are logged, besides X-Request-Id. What else the service sends may be a
// secret.
var loggedHeaders = [...]string{"Content-Type", "Content-Length", "Date", "Retry-After", "Ratelimit-Limit", "Ratelimit-Policy",
	"Ratelimit-Remaining", "Ratelimit-Reset", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}

// loggedHeader is a group, and empty where there was no answer. Of Content-Type it has the media type alone.
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

// leastWait is what counts as waiting for a token or a slot: less is the time it takes to ask.
const leastWait = time.Millisecond

func (c *call) waitedFor(reason WaitReason, d time.Duration) {
	if d < leastWait && reason != WaitBackoff {
		return
	}
	c.waited.add(reason, d)
	if c.hooks.Wait != nil {
		c.hooks.Wait(WaitInfo{RequestInfo: c.info(), callContext: callContext{&c.caller}, Reason: reason, Duration: d})
	}
}

func (a *attempt) requestID() string {
	return answer.Mask(a.header.Get("X-Request-Id"), a.secret(), answer.MaxName)
}

// secret is what the service might repeat, and errors must not.
func (a *attempt) secret() string {
	if a.token == nil {
		return ""
	}
	return a.token.AccessToken
}

// masked is the body without the secret.
func (a *attempt) masked() []byte { return answer.Hide(a.body(), a.secret()) }

// reported is the error in the answer.
func (a *attempt) reported() *answer.Error {
	if a.problem == nil {
		a.problem = answer.ParseError(a.header, a.body(), a.secret())
	}
	return a.problem
}

func (a *attempt) unauthorized() bool {
	if a.status == http.StatusUnauthorized {
		return a.reported().Code != answer.InsufficientScope
	}
	return a.status == http.StatusForbidden && a.reported().Type == authenticationError
}

// quotaUsedUp: nothing documents how the service reports that the month is used up. Status 402 is taken for that, and a 403
// or 429 whose type or code has the word "quota".
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

// retryAfter is how long the service wants a caller to wait: its Retry-After or, for a 429 without one, the time until
// the limit is reset.
func (a *attempt) retryAfter() time.Duration {
	asked := answer.RetryAfter(a.header, time.Now())
	if asked == 0 && a.status == http.StatusTooManyRequests {
		asked = answer.LimitReset(a.header, time.Now())
	}
	return asked
}

// usedUpUntil is the time until the limit is reset, if the service says that it is exhausted.
func (a *attempt) usedUpUntil() time.Duration {
	if !answer.UsedUp(a.header) {
		return 0
	}
	return answer.LimitReset(a.header, time.Now())
}

// mayBeApplied reports whether an attempt that did not succeed may have changed something at the service.
func (a *attempt) mayBeApplied() bool {
	switch {
	case a.stopped != nil || !a.sent:
		return false
	default: // 300 to 303: the answer is elsewhere, and the request may be done
		return a.status <= http.StatusSeeOther || a.status == http.StatusRequestTimeout || a.status >= 500
	}
}
