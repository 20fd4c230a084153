package webhook

import (
	"context"
	"errors"
	"time"
)

// Hooks are functions that a [Handler] calls in the course of a delivery, for metrics and tracing. Each may be nil.
// They delay the delivery, so they must return quickly, and concurrent deliveries run them concurrently.
//
// Several [WithHooks] add up: StartFunction runs in the order of the options, Function and Delivery in the reverse
// order.
type Hooks struct {
	// StartFunction runs before each function of On. The function gets the context that it returns,
	// which should be derived from ctx. With nil, or a context that never ends, it gets ctx. After
	// StartFunction comes Function, even after a panic.
	StartFunction func(ctx context.Context, event EventType) context.Context

	Function func(FunctionInfo) // after each function; its Context is that of StartFunction

	// Delivery runs once for each delivery, when it is known how it ended: before the answer or,
	// for one that was queued, after its functions. A panic in it is recovered and dropped.
	Delivery func(DeliveryInfo)
}

// EventTypeUnknown stands for every event without a type in this package, and for a delivery that was not decoded.
// Hooks get it in place of the type that was sent, so that a sender cannot create labels of metrics.
const EventTypeUnknown EventType = "unknown"

// Outcome is how a delivery ended.
type Outcome string

// The outcomes of a delivery.
const (
	OutcomeHandled   Outcome = "handled"   // the functions succeeded, or there is none for the event
	OutcomeFailed    Outcome = "failed"    // a function failed, or the Dedup store
	OutcomePanicked  Outcome = "panicked"  // a function panicked, or the Dedup store
	OutcomeDuplicate Outcome = "duplicate" // an equal delivery was handled before, or is being handled
	OutcomeRefused   Outcome = "refused"   // the token, the body or the type of content is wrong, or there is no room
	OutcomeShutdown  Outcome = "shutdown"  // Shutdown ended it
)

// deliveryContext holds the context behind a pointer, so that no verb of fmt prints its values.
type deliveryContext struct{ context *context.Context }

// Context returns the context, or context.Background if there is none.
func (c deliveryContext) Context() context.Context {
	if c.context == nil {
		return context.Background()
	}
	return *c.context
}

// FunctionInfo describes a call of a function of [On].
type FunctionInfo struct {
	deliveryContext
	Event    EventType // a known type, or EventTypeUnknown
	Duration time.Duration
	Err      error // nil: success. After a panic a *PanicError, without its Stack
}

// DeliveryInfo describes how a delivery ended.
type DeliveryInfo struct {
	deliveryContext           // of the request
	Event           EventType // a known type, or EventTypeUnknown
	Outcome         Outcome
	StatusCode      int           // of the answer; 200 for a delivery that was queued
	Duration        time.Duration // since the request came, the wait in the queue included
}

func labelOf(e Event) EventType {
	if e == nil || !e.EventType().IsKnown() {
		return EventTypeUnknown
	}
	return e.EventType()
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OutcomeHandled
	case errors.Is(err, ErrShutdown):
		return OutcomeShutdown
	case errors.Is(err, ErrInFlight):
		return OutcomeDuplicate
	case errors.As(err, new(*PanicError)):
		return OutcomePanicked
	}
	return OutcomeFailed
}

// watched calls a function between the hooks StartFunction and Function.
func (h *Handler) watched(ctx context.Context, e Event, f function) (err error) {
	if len(h.hooks) == 0 {
		return f.call(ctx, e)
	}
	started := 0
	info := FunctionInfo{Event: labelOf(e), Err: &PanicError{}}
	begun := time.Now()
	defer func() {
		info.deliveryContext, info.Duration = deliveryContext{&ctx}, time.Since(begun)
		h.callFunction(started, &info)
	}()
	for _, hooks := range h.hooks {
		if hooks.StartFunction != nil {
			if derived := hooks.StartFunction(ctx, info.Event); derived != nil && derived.Done() != nil {
				ctx = derived // which Shutdown must be able to end
			}
		}
		started++
	}
	info.Err = f.call(ctx, e)
	return info.Err
}

// callFunction calls the Function hooks of the first so many Hooks, in reverse. A panic of one does not keep the others
// from running.
func (h *Handler) callFunction(first int, info *FunctionInfo) {
	if first == 0 {
		return
	}
	defer h.callFunction(first-1, info)
	if hook := h.hooks[first-1].Function; hook != nil {
		hook(*info)
	}
}

// delivered calls the Delivery hooks.
func (h *Handler) delivered(ctx context.Context, e Event, received time.Time, outcome Outcome, status int) {
	info := DeliveryInfo{deliveryContext: deliveryContext{&ctx}, Event: labelOf(e), Outcome: outcome, StatusCode: status,
		Duration: time.Since(received)}
	for i := len(h.hooks) - 1; i >= 0; i-- {
		if hook := h.hooks[i].Delivery; hook != nil {
			_ = guard(func() error {
				hook(info)
				return nil
			})
		}
	}
}
