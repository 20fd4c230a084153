package drift

import (
	"context"
	"log/slog"
	"time"

	"github.com/driftsdk/drift/internal/trace"
)

// Hooks are functions that a client calls in the course of a call, for metrics and tracing. Each may be nil. They run
// on the caller's goroutine and delay the call, so they must return quickly. For a page that [WithPrefetch] fetches
// ahead, they run on another goroutine. Concurrent calls run them concurrently. A hook must not make calls with the
// same client, because the call that runs it may hold a slot of the rate limit.
//
// Several [WithHooks] add up. Start and StartAttempt run in the order of the options, and each gets the context that
// the one before returned. Attempt and Response run in the reverse order.
//
// What was started ends: after Start comes Response, and after StartAttempt comes Attempt, even if the transport, the
// log or another hook panics. Their Err then has the kind [KindPanic], and the panic reaches the caller after the call
// has released its slot.
type Hooks struct {
	// Start runs before anything else of a call. The call continues with the context that it
	// returns, which should be derived from ctx, for example with a span. If it returns nil, or a
	// context that never ends in place of one that does, the call continues with ctx.
	Start func(ctx context.Context, info RequestInfo) context.Context

	// StartAttempt runs just before an attempt is sent, after all waits. The http.Request of the
	// attempt carries the context that it returns, under the same conditions as for Start. number
	// is 1 for the first attempt.
	StartAttempt func(ctx context.Context, info RequestInfo, number int) context.Context

	Attempt  func(AttemptInfo)  // after each attempt; its Context is that of StartAttempt
	Wait     func(WaitInfo)     // after each backoff, and after other waits of a millisecond or more
	Waiting  func(WaitInfo)     // when a wait for the limiter has lasted 5 s, and goes on; on another goroutine
	Response func(ResponseInfo) // at the end of the call; its Context is that of Start
	Quota    func(Usage)        // when an attempt reaches 80, 90 or 100 % of the month's calls
}

// RequestInfo identifies a call. Its fields have few distinct values, so they can be labels of metrics.
type RequestInfo struct {
	Operation string // such as "conversations.get"
	Method    string
	Route     string // the path's template, such as "v2/conversations/{conversationId}"
	Server    string // host and port of the base URL, such as "driftapi.com:443"
}

// AttemptFromContext returns which attempt of which call a request belongs to, given the request's context. It is meant
// for an http.RoundTripper of your own (see [WithMiddleware]), which can log the template in place of the URL. ok is
// false if the context is not that of an attempt.
func AttemptFromContext(ctx context.Context) (info RequestInfo, number int, ok bool) {
	request := trace.FromContext(ctx)
	if request == nil {
		return RequestInfo{}, 0, false
	}
	call, isCall := request.Context.Value(callKey{}).(*call) // not that of a call which ctx is also of
	if !isCall {
		return RequestInfo{}, 0, false
	}
	return call.info(), request.Number, true
}

// callContext holds the context behind a pointer, so that no verb of fmt prints its values.
type callContext struct{ context *context.Context }

// Context returns the context of Start or StartAttempt, or context.Background if there is none.
func (c callContext) Context() context.Context {
	if c.context == nil {
		return context.Background()
	}
	return *c.context
}

// AttemptInfo describes an attempt.
type AttemptInfo struct {
	RequestInfo
	Attempt
	callContext
	Number    int    // 1 for the first
	Kind      Kind   // KindOK, or that of the error which the call returns if it is not retried
	RequestID string // X-Request-Id of the answer; "": none
	Proto     string // of the answer, such as "HTTP/2.0"; "": none
}

// WaitReason is the reason for a wait.
type WaitReason string

// The reasons for waiting.
const (
	WaitRateLimit WaitReason = "rate_limit" // the limiter: its window, its pace, its store, a pause of the service
	WaitBackoff   WaitReason = "backoff"    // the delay before the next attempt, if there is one
	WaitToken     WaitReason = "token"      // the token source
	WaitQuota     WaitReason = "quota"      // the quota store
)

// WaitInfo describes a wait. Its Context is that of Start.
type WaitInfo struct {
	RequestInfo
	callContext
	Reason   WaitReason
	Duration time.Duration
}

// ResponseInfo describes how a call ended.
type ResponseInfo struct {
	RequestInfo
	callContext
	StatusCode int // of the last answer; 0: no answer
	Attempts   int
	Duration   time.Duration // of the whole call
	Waited     Waits
	Err        error // nil: success. List returns the same error; see RecordErrors
}

// Waits is how long a call waited, by reason.
type Waits struct {
	RateLimit time.Duration
	Backoff   time.Duration
	Token     time.Duration
	Quota     time.Duration
}

// Total returns the sum.
func (w Waits) Total() time.Duration { return w.RateLimit + w.Backoff + w.Token + w.Quota }

func (w *Waits) add(reason WaitReason, d time.Duration) {
	switch reason {
	case WaitRateLimit:
		w.RateLimit += d
	case WaitBackoff:
		w.Backoff += d
	case WaitToken:
		w.Token += d
	case WaitQuota:
		w.Quota += d
	}
}

// callStart calls the Start hooks.
func (c *call) callStart() {
	for _, hooks := range c.hooks {
		if hooks.Start != nil {
			c.caller = derived(c.caller, hooks.Start(c.caller, c.info()))
		}
		c.started++
	}
}

// callStartAttempt calls the StartAttempt hooks.
func (a *attempt) callStartAttempt(number int) {
	for _, hooks := range a.hooks {
		if hooks.StartAttempt != nil {
			a.context = derived(a.context, hooks.StartAttempt(a.context, a.info(), number))
		}
		a.started++
	}
}

// derived returns the context of a hook, or ctx if that would make the call outlast ctx.
func derived(ctx, hooked context.Context) context.Context {
	if hooked == nil || hooked.Done() == nil && ctx.Done() != nil {
		return ctx
	}
	return hooked
}

// callResponse calls the Response hooks of the first so many Hooks, in reverse. A panic of one does not keep the others
// from running.
func (c *core) callResponse(first int, info *ResponseInfo) {
	if first == 0 {
		return
	}
	defer c.callResponse(first-1, info)
	if hook := c.hooks[first-1].Response; hook != nil {
		hook(*info)
	}
}

// callAttempt is callResponse for the Attempt hooks.
func (c *core) callAttempt(first int, info *AttemptInfo) {
	if first == 0 {
		return
	}
	defer c.callAttempt(first-1, info)
	if hook := c.hooks[first-1].Attempt; hook != nil {
		hook(*info)
	}
}

// longWait is how long a call waits for the limiter before that is reported.
const longWait = 5 * time.Second

// reportLongWait reports a wait for the limiter that has lasted for longWait, until stop is called. A report that has
// begun ends before stop returns, and a panic of it is stop's.
func (c *call) reportLongWait(ctx context.Context) (stop func()) {
	wanted := c.logger.Enabled(ctx, slog.LevelInfo)
	for _, hooks := range c.hooks {
		wanted = wanted || hooks.Waiting != nil
	}
	if !wanted {
		return func() {}
	}
	panicked := make(chan any, 1)
	timer := time.AfterFunc(longWait, func() {
		defer func() { panicked <- recover() }()
		c.logger.LogAttrs(ctx, slog.LevelInfo, "drift: waiting for the rate limit",
			slog.String("operation", c.route.Name), slog.Duration("waited", longWait))
		for _, hooks := range c.hooks {
			if hooks.Waiting != nil {
				hooks.Waiting(WaitInfo{RequestInfo: c.info(), callContext: callContext{&c.caller}, Reason: WaitRateLimit,
					Duration: longWait})
			}
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		if value := <-panicked; value != nil {
			panic(value)
		}
	}
}
