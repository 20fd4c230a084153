package drift

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// RetryPolicy says how often and how fast a call is sent again. The zero value of a field is its default.
//
// The rules are fixed. A GET, a DELETE or a call with [WithIdempotent] is repeated if the answer is missing or broken,
// and after 408, 500, 502, 503 and 504. Every call is repeated after 429, and if nothing was sent: there was no
// connection, HTTP/2 refused the stream, or a limiter, a store or a token source failed with an error whose Temporary
// or Timeout method returns true. After a 401, every call is sent once more if the token source has another token.
// Nothing below the client repeats a request. The schedule is not part of the compatibility promise.
type RetryPolicy struct {
	MaxAttempts   int           // per call, 3 by default; an attempt with a new token is not counted
	MinBackoff    time.Duration // 500 ms: the first delay is random between 0 and this, each further bound is twice as long
	MaxBackoff    time.Duration // 20 s: the longest bound
	MaxRetryAfter time.Duration // 60 s: a longer Retry-After is handed to the caller as a *RateLimitError

	// Budget is how many further attempts a client may spend at once, 10 by default, so that an outage is not tripled.
	// Five successes earn one back. Attempts after 429, with a new token, or after a kept connection turned out to be
	// closed are free. Negative: no bound.
	Budget int
}

const (
	defaultMaxAttempts   = 3
	defaultMinBackoff    = 500 * time.Millisecond
	defaultMaxBackoff    = 20 * time.Second
	defaultMaxRetryAfter = time.Minute
	defaultBudget        = 10
	maxPause             = 5 * time.Minute // so that an absurd Retry-After cannot stop a client for good
	throttleBackoff      = time.Second     // the first bound after a 429 without Retry-After
)

func (p RetryPolicy) check() error {
	if p.MaxAttempts < 0 || p.MinBackoff < 0 || p.MaxBackoff < 0 || p.MaxRetryAfter < 0 {
		return errNotNegative
	}
	return nil
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	p.MaxAttempts = cmp.Or(p.MaxAttempts, defaultMaxAttempts)
	p.MinBackoff = cmp.Or(p.MinBackoff, min(defaultMinBackoff, cmp.Or(p.MaxBackoff, defaultMaxBackoff)))
	p.MaxBackoff = max(cmp.Or(p.MaxBackoff, defaultMaxBackoff), p.MinBackoff)
	p.MaxRetryAfter = cmp.Or(p.MaxRetryAfter, defaultMaxRetryAfter)
	p.Budget = cmp.Or(p.Budget, defaultBudget)
	return p
}

// bound is the longest delay before the attempt after this many.
func (p RetryPolicy) bound(first time.Duration, attempts int) time.Duration {
	bound := first
	for range attempts - 1 {
		if bound > p.MaxBackoff/2 {
			return p.MaxBackoff
		}
		bound *= 2
	}
	return min(bound, p.MaxBackoff)
}

// verdict is what to do after an attempt.
type verdict int

const (
	finish          verdict = iota // with the answer, good or bad
	again                          // after a backoff, and charged to the budget
	afterPause                     // when the service allows
	withNewToken                   // at once, if there is one
	onNewConnection                // at once
)

// judge is the retry policy: a function of the answer, and of whether the request may be sent twice.
func judge(a *answer, repeatable bool) verdict {
	switch {
	case a.stopped != nil && temporary(a.stopped):
		return again
	case a.stopped != nil:
		return finish
	case a.err != nil && (!a.broken || permanent(a.err)):
		return finish
	case a.err != nil && a.stale && (!a.sent || repeatable):
		return onNewConnection
	case a.err != nil && (!a.sent || repeatable):
		return again
	case a.err != nil:
		return finish
	case a.quotaUsedUp():
		return finish
	case a.status == http.StatusTooManyRequests:
		return afterPause
	case a.unauthorized():
		return withNewToken
	case repeatable && transient(a.status):
		return again
	default:
		return finish
	}
}

func transient(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return false
}

// permanent errors come back however often one tries: a name that does not exist, a certificate that does not fit.
func permanent(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate)
}

// temporary reports whether a limiter, a store or a token source says that its error will pass. An exhausted limit does
// not recover within a call.
func temporary(err error) bool {
	var limited *RateLimitError
	var quota *QuotaError
	var refresh *refreshError // of an OAuthTokenSource, which has tried again itself
	if errors.As(err, &limited) || errors.As(err, &quota) || errors.As(err, &refresh) {
		return false
	}
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary() || isTimeout(err)
}

// mayBeApplied reports whether an attempt that did not succeed may have changed something at the service.
func (a *answer) mayBeApplied() bool {
	switch {
	case a.stopped != nil || !a.sent:
		return false
	default: // 300 to 303: the answer is elsewhere, and the request may be done
		return a.status <= http.StatusSeeOther || a.status == http.StatusRequestTimeout || a.status >= 500
	}
}

// checkRetry implements retryablehttp.CheckRetry.
func (c *call) checkRetry(ctx context.Context, _ *http.Response, _ error) (bool, error) {
	a := &c.last
	if a.err != nil || !c.success(a.status) {
		c.applied = c.applied || a.mayBeApplied()
	}
	if c.options.noRetry || ctx.Err() != nil {
		return false, nil
	}
	decision := judge(a, c.repeatable())
	if decision == withNewToken {
		decision = c.getNewToken(ctx)
	}
	switch decision {
	case withNewToken:
		return true, nil
	case onNewConnection:
		decision = c.leaveStale(decision)
	case finish:
		if a.err == nil && a.status < 500 && len(c.attempts) == 1 {
			c.budget.earn()
		}
		return false, nil
	}
	if c.countedAttempts() >= c.retry.MaxAttempts || !c.schedule(ctx, decision) {
		return false, nil
	}
	if decision == again && !c.budget.spend() {
		return false, nil
	}
	if a.err == nil {
		c.previous = c.apiError()
	}
	c.logger.LogAttrs(ctx, slog.LevelInfo, "drift: sending again", slog.String("operation", c.route.name),
		slog.Int("attempts", len(c.attempts)), slog.Int("status", a.status), slog.Duration("delay", c.delay))
	return true, nil
}

// maxStale is how many kept connections that turn out to be closed a call may meet. A restart of the service leaves a pool
// full of them.
const maxStale = 10

// leaveStale does not count an attempt that met a closed connection, and sees to it that the next one meets none.
func (c *call) leaveStale(decision verdict) verdict {
	if c.stale == maxStale {
		return again
	}
	c.stale++
	c.closeConnections()
	return decision
}

func (c *call) countedAttempts() int {
	return len(c.attempts) + c.stops - c.stale - c.newTokens
}

// maxNewTokens is how many new tokens a call may try: one that another process has stored, and one that is issued.
const maxNewTokens = 2

// getNewToken asks for another token, and returns what to do next.
func (c *call) getNewToken(ctx context.Context) verdict {
	if c.newTokens == maxNewTokens {
		return finish
	}
	token, err := c.newToken(ctx)
	if err != nil {
		c.previous = c.apiError()
		c.last.err = err
	}
	switch {
	case err != nil && temporary(err):
		return again
	case token == nil:
		return finish
	}
	c.fresh, c.delay = token, 0
	c.newTokens++
	return withNewToken
}

// schedule sets the delay before the next attempt, and reports whether the call should wait for it.
func (c *call) schedule(ctx context.Context, decision verdict) bool {
	asked := c.last.retryAfter()
	switch {
	case asked > c.retry.MaxRetryAfter:
		return false
	case decision == onNewConnection:
		c.delay = 0
	case asked > 0: // never earlier, and not all at the same time
		c.delay = asked + jitter(min(time.Second, asked/10, math.MaxInt64-asked))
	case decision == afterPause:
		c.delay = c.retry.MinBackoff + jitter(min(c.retry.bound(throttleBackoff, len(c.attempts)), math.MaxInt64-c.retry.MinBackoff))
	default:
		c.delay = jitter(c.retry.bound(c.retry.MinBackoff, len(c.attempts)))
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Add(c.delay).Before(deadline) {
		c.late = true
		return false
	}
	return true
}

func jitter(bound time.Duration) time.Duration {
	if bound <= 0 {
		return 0
	}
	return rand.N(bound)
}

// backoff implements retryablehttp.Backoff.
func (c *call) backoff(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
	c.backoffFrom = time.Now()
	return c.delay
}

// endBackoff notes how long the delay before this attempt was.
func (c *call) endBackoff() {
	if from := c.backoffFrom; !from.IsZero() {
		c.backoffFrom = time.Time{}
		c.waitedFor(WaitBackoff, time.Since(from))
	}
}

// budget bounds how many further attempts a client makes while the service fails. Every call that succeeds looks at it, so it
// takes no lock.
type budget struct {
	full  int64 // in fifths of an attempt; negative: no bound
	fifth atomic.Int64
}

const attemptCost = 5

func newBudget(attempts int) *budget {
	b := &budget{full: int64(attempts) * attemptCost}
	b.fifth.Store(b.full)
	return b
}

func (b *budget) spend() bool {
	for {
		left := b.fifth.Load()
		if b.full >= 0 && left < attemptCost {
			return false
		}
		if b.fifth.CompareAndSwap(left, left-attemptCost) {
			return true
		}
	}
}

func (b *budget) earn() {
	for {
		left := b.fifth.Load()
		if left >= b.full || b.fifth.CompareAndSwap(left, left+1) {
			return
		}
	}
}

// parseRetryAfter reads a Retry-After header: seconds, with fractions rounded up, or a date. Of several lines, the
// largest counts. A value that makes no sense counts as absent, and one that is too large becomes the largest Duration.
func parseRetryAfter(header http.Header, now time.Time) time.Duration {
	now = serverTime(header, now)
	var longest time.Duration
	for _, line := range header.Values("Retry-After") {
		longest = max(longest, parseDelay(strings.TrimSpace(line), now))
	}
	return longest
}

func parseDelay(text string, now time.Time) time.Duration {
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if !digits(whole) || fraction != "" && !digits(fraction) || strings.HasSuffix(text, ".") {
		return 0
	}
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds >= maxSeconds {
		return time.Duration(maxSeconds) * time.Second
	}
	if strings.Trim(fraction, "0") != "" {
		seconds++
	}
	return time.Duration(seconds) * time.Second
}

const maxSeconds = math.MaxInt64 / int64(time.Second)

func digits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// serverTime is the answer's own Date, because the local clock may be wrong.
func serverTime(header http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		return date
	}
	return now
}

// limitHeaders are the two spellings of the headers that describe a limit.
var limitHeaders = [...]struct{ remaining, reset string }{
	{"Ratelimit-Remaining", "Ratelimit-Reset"}, {"X-Ratelimit-Remaining", "X-Ratelimit-Reset"},
}

// limitReset returns the time until the limit is reset; 0: the answer does not say.
func limitReset(header http.Header, now time.Time) time.Duration {
	for _, names := range limitHeaders {
		if reset := header.Get(names.reset); reset != "" {
			return parseReset(reset, serverTime(header, now))
		}
	}
	return 0
}

// usedUp reports whether the answer says that the limit is exhausted.
func usedUp(header http.Header) bool {
	for _, names := range limitHeaders {
		if remaining := firstItem(header.Get(names.remaining)); remaining != "" {
			n, err := strconv.ParseFloat(remaining, 64)
			return err == nil && n <= 0
		}
	}
	return false
}

// firstItem is the first item of a list, without its parameters: a limit may be followed by those of other windows.
func firstItem(text string) string {
	if text == "" {
		return ""
	}
	end := strings.IndexAny(text+",", ",;")
	return strings.TrimSpace(text[:end])
}

// From so many on a reset is a time since the epoch, in this unit: services use any. Below, it is seconds from now.
var epochs = [...]struct {
	from int64
	unit time.Duration
}{{1e17, time.Nanosecond}, {1e14, time.Microsecond}, {1e11, time.Millisecond}, {1e8, time.Second}}

func parseReset(text string, now time.Time) time.Duration {
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	text = firstItem(text)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return max(0, at.Sub(now))
	}
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || fraction != "" && !digits(fraction) {
		return parseDelay(text, now)
	}
	if strings.Trim(fraction, "0") != "" {
		n++ // rather late than early
	}
	for _, epoch := range epochs {
		if n >= epoch.from {
			perSecond := int64(time.Second / epoch.unit)
			return max(0, time.Unix(n/perSecond, n%perSecond*int64(epoch.unit)).Sub(now))
		}
	}
	return parseDelay(text, now)
}
