package drift

import (
	"context"
	"time"
)

// Hooks are called as a call goes on, for metrics and tracing. Each may be nil. They run on the caller's goroutine (with
// [WithPrefetch], of the page that is fetched ahead, on another) and hold it up, so they must be quick, and several calls may
// run them at the same time. They must not make calls with the same client: a call that waits holds its place in the rate
// limit. A panic in a hook reaches the caller, after the call has given back what it held.
//
// What is told at the end of a call, an attempt or a wait has the caller's Context, in which the span of a trace is found, and
// how long it took, so that a span of its own can be made then. With [WithPrefetch] it may be one that is derived from the
// caller's.
type Hooks struct {
	Request  func(RequestInfo)  // before the first attempt
	Attempt  func(AttemptInfo)  // after each attempt
	Wait     func(WaitInfo)     // after each wait that was not over at once
	Response func(ResponseInfo) // at the end of the call
	Quota    func(Usage)        // when an attempt reaches 80, 90 or 100 % of the month's calls
}

// RequestInfo names a call. Method and Route are labels of few values: Route is the path's template.
type RequestInfo struct {
	Operation string // such as "conversations.get"
	Method    string
	Route     string // such as "v2/conversations/{conversationId}"
}

// callContext is behind a pointer, so that no verb of fmt prints what the caller has put into it.
type callContext struct{ context *context.Context }

// Context returns the context of the caller, or the empty one where there is none.
func (c callContext) Context() context.Context {
	if c.context == nil {
		return context.Background()
	}
	return *c.context
}

// AttemptInfo tells about one attempt.
type AttemptInfo struct {
	RequestInfo
	Attempt
	callContext
	Number    int    // 1 for the first
	RequestID string // of the answer; "" where it has none
}

// WaitReason is what a call waited for.
type WaitReason string

// The reasons for waiting.
const (
	WaitRateLimit WaitReason = "rate_limit" // the limiter: its window, its pace, or a pause that the service asked for
	WaitBackoff   WaitReason = "backoff"    // the delay before the next attempt
	WaitToken     WaitReason = "token"      // the token source
)

// WaitInfo tells about one wait.
type WaitInfo struct {
	RequestInfo
	callContext
	Reason   WaitReason
	Duration time.Duration
}

// ResponseInfo tells how a call ended.
type ResponseInfo struct {
	RequestInfo
	callContext
	StatusCode int // of the last answer; 0: there was none
	Attempts   int
	Duration   time.Duration // of the whole call
	Waited     Waits
	Err        error // nil: success. List returns the same error; see [RecordErrors]
}

// Waits is how long a call waited, by reason.
type Waits struct {
	RateLimit time.Duration
	Backoff   time.Duration
	Token     time.Duration
}

// Total returns the sum.
func (w Waits) Total() time.Duration { return w.RateLimit + w.Backoff + w.Token }

func (w *Waits) add(reason WaitReason, d time.Duration) {
	switch reason {
	case WaitRateLimit:
		w.RateLimit += d
	case WaitBackoff:
		w.Backoff += d
	case WaitToken:
		w.Token += d
	}
}
