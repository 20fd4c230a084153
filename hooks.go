package drift

import (
	"context"
	"time"
)

// Hooks are functions that a client calls in the course of a call, for metrics and tracing. Each may be nil. They run
// on the caller's goroutine and delay the call, so they must return quickly. For a page that [WithPrefetch] fetches
// ahead, they run on another goroutine. Concurrent calls run them concurrently. A hook must not make calls with the
// same client, because the call that runs it may hold a slot of the rate limit. If a hook panics, the call releases its
// slot, and the panic reaches the caller.
//
// AttemptInfo, WaitInfo and ResponseInfo have a duration and a Context method, which returns the caller's context. With
// them, a hook can create a child span of the caller's span after the fact. With [WithPrefetch], the context may be
// derived from the caller's.
type Hooks struct {
	Request  func(RequestInfo)  // before the first attempt
	Attempt  func(AttemptInfo)  // after each attempt
	Wait     func(WaitInfo)     // after each backoff, and after other waits of a millisecond or more
	Response func(ResponseInfo) // at the end of the call
	Quota    func(Usage)        // when an attempt reaches 80, 90 or 100 % of the month's calls
}

// RequestInfo identifies a call. Its fields have few distinct values, so they can be labels of metrics.
type RequestInfo struct {
	Operation string // such as "conversations.get"
	Method    string
	Route     string // the path's template, such as "v2/conversations/{conversationId}"
}

// callContext holds the context behind a pointer, so that no verb of fmt prints its values.
type callContext struct{ context *context.Context }

// Context returns the caller's context, or context.Background if there is none.
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
	RequestID string // X-Request-Id of the answer; "": none
}

// WaitReason is the reason for a wait.
type WaitReason string

// The reasons for waiting.
const (
	WaitRateLimit WaitReason = "rate_limit" // the limiter: its window, its pace, or a pause that the service asked for
	WaitBackoff   WaitReason = "backoff"    // the delay before the next attempt
	WaitToken     WaitReason = "token"      // the token source
	WaitQuota     WaitReason = "quota"      // the quota store
)

// WaitInfo describes a wait.
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
	Err        error // nil: success. List returns the same error; see [RecordErrors]
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
