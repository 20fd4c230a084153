package drift

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/driftsdk/drift/internal/trace"
)

// RetryPolicy sets how often and how fast a client retries a call. A zero field means its default.
//
// Which calls it retries is fixed. It retries a GET, a DELETE or a call with [WithIdempotent] if the answer is missing
// or broken, and after 408, 500, 502, 503 and 504. It retries every call after 429, and if nothing was sent: there was
// no connection, HTTP/2 refused the stream, or a limiter, a store or a token source failed with an error whose
// Temporary or Timeout method returns true. After a 401, it retries every call once if the token source has another
// token. No lower layer, such as net/http, repeats requests. The schedule is not part of the compatibility promise.
type RetryPolicy struct {
	MaxAttempts   int           // per call, not counting one with a new token; default 3
	MinBackoff    time.Duration // upper bound of the first, random delay; it doubles with each retry; default 500 ms
	MaxBackoff    time.Duration // the largest upper bound of a delay; default 20 s
	MaxRetryAfter time.Duration // a call with a longer Retry-After fails at once; default 60 s

	// Budget is the number of retries that a client may spend, so that retries do not multiply the
	// load of a failing service. The default is 10. Five successes earn one retry back. A retry
	// costs nothing after 429, with a new token, after a kept connection turned out to be closed,
	// and after HTTP/2 refused a request. A negative Budget is unlimited.
	Budget int
}

const (
	defaultMaxAttempts   = 3
	defaultMinBackoff    = 500 * time.Millisecond
	defaultMaxBackoff    = 20 * time.Second
	defaultMaxRetryAfter = time.Minute
	defaultBudget        = 10
	maxThrottle          = 5 * time.Minute // how long a call keeps trying after 429s
	maxPause             = 5 * time.Minute // an absurd Retry-After must not stop a client for good
	throttleBackoff      = time.Second     // the pause after a 429 without Retry-After; doubles with each
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

// bound returns the upper bound of the delay after a number of attempts.
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

// verdict is the step that follows an attempt.
type verdict int

const (
	finish          verdict = iota // end the call with this result, success or failure
	again                          // retry after a backoff, at the cost of the budget
	afterPause                     // retry when the service allows it
	withNewToken                   // retry at once if there is a new token
	onNewConnection                // retry at once
)

// judge decides how to continue after an attempt. A repeatable request may be sent twice.
func judge(a *attempt, repeatable bool) verdict {
	switch {
	case a.stopped != nil && temporary(a.stopped):
		return again
	case a.stopped != nil:
		return finish
	case a.err != nil && (!a.broken || trace.IsPermanent(a.err)):
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
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// temporary reports whether an error of a limiter, a store or a token source says that it will pass. An exhausted limit
// does not recover within a call.
func temporary(err error) bool {
	var limited *RateLimitError
	var quota *QuotaError
	var refresh *refreshError // from an OAuthTokenSource, which has already retried
	if errors.As(err, &limited) || errors.As(err, &quota) || errors.As(err, &refresh) {
		return false
	}
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary() || trace.IsTimeout(err)
}

// checkRetry decides whether the call retries, and sets the delay.
func (c *call) checkRetry(ctx context.Context) (bool, error) {
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
		decision = c.leaveConnection()
	case finish:
		if a.err == nil && a.status < 500 && len(c.attempts) == 1 {
			c.budget.earn()
		}
		return false, nil
	}
	if decision == afterPause && c.retry.MaxAttempts > 1 {
		return c.waitOutPause(ctx), nil
	}
	if c.countedAttempts() >= c.retry.MaxAttempts || !c.schedule(ctx, decision) {
		return false, nil
	}
	if decision == again && !a.refused && !c.budget.spend() {
		return false, nil
	}
	c.announceRetry(ctx, c.delay)
	return true, nil
}

func (c *call) announceRetry(ctx context.Context, delay time.Duration) {
	if c.last.err == nil {
		c.previous = c.apiError()
	}
	c.logger.LogAttrs(ctx, slog.LevelInfo, "drift: retrying", slog.String("operation", c.route.Name),
		slog.Int("attempts", len(c.attempts)), slog.Int("status", c.last.status), slog.Duration("delay", delay),
		ErrorAttr(cmp.Or(c.last.stopped, c.last.err)))
}

// waitOutPause prepares a retry after a 429, which does not count as an attempt. The limiter, which knows of the pause,
// keeps the call's place in the queue. It reports false if the pause is too long.
func (c *call) waitOutPause(ctx context.Context) bool {
	now := time.Now()
	if c.throttled == 0 {
		c.patience = now.Add(max(maxThrottle, c.retry.MaxRetryAfter))
	}
	asked, pause := c.last.retryAfter(), c.last.pause
	resumes := now.Add(pause)
	deadline, bounded := ctx.Deadline()
	c.late = bounded && !resumes.Before(deadline)
	if asked > c.retry.MaxRetryAfter || resumes.After(c.patience) || c.late {
		return false
	}
	c.resumes, c.spread = resumes, min(time.Second, pause/10)
	if asked == 0 {
		c.resumes, c.spread = now.Add(min(c.retry.MinBackoff, pause)), pause
	}
	c.throttled++
	c.delay = 0
	c.announceRetry(ctx, pause)
	return true
}

// maxStale is how many closed connections from the pool a call may try. A restart of the service leaves a pool full of
// them.
const maxStale = 10

// leaveConnection excludes an attempt on a closed connection from the count, and empties the pool for the next one.
func (c *call) leaveConnection() verdict {
	if c.stale == maxStale {
		return again
	}
	c.stale++
	c.closeConnections()
	return onNewConnection
}

func (c *call) countedAttempts() int {
	return len(c.attempts) + c.stops - c.stale - c.newTokens - c.throttled
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

// schedule sets the delay before the next attempt and reports whether the delay is acceptable.
func (c *call) schedule(ctx context.Context, decision verdict) bool {
	asked := c.last.retryAfter()
	switch {
	case asked > c.retry.MaxRetryAfter:
		return false
	case decision == onNewConnection:
		c.delay = 0
	case asked > 0: // never earlier, with jitter to spread the callers
		c.delay = asked + jitter(min(time.Second, asked/10, math.MaxInt64-asked))
	default:
		c.delay = max(1, jitter(c.retry.bound(c.retry.MinBackoff, c.countedAttempts()))) // 0 would be no wait
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

// backoff returns the delay before the next attempt and notes its start.
func (c *call) backoff() time.Duration {
	if c.delay > 0 {
		c.backoffFrom = time.Now()
	}
	return c.delay
}

// endBackoff records how long the delay before this attempt took.
func (c *call) endBackoff() {
	if from := c.backoffFrom; !from.IsZero() {
		c.backoffFrom = time.Time{}
		c.waitedFor(WaitBackoff, time.Since(from))
	}
}

// budget limits the retries of a client while the service is failing.
type budget struct {
	retries int // negative: unlimited

	mu    sync.Mutex
	spent int // the number of successes that earn the spent retries back
}

const retryCost = 5 // successes that earn one retry back

func newBudget(retries int) *budget { return &budget{retries: retries} }

// spend takes a retry from the budget and reports whether one was left.
func (b *budget) spend() bool {
	if b.retries < 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if (b.spent+retryCost-1)/retryCost >= b.retries {
		return false
	}
	b.spent += retryCost
	return true
}

// earn counts a success.
func (b *budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-1)
}
