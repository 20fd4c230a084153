package webhook

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// ErrShutdown is why a delivery that waited in the queue was not handled when the context of [Handler.Shutdown] ended, and
// the cause for which the contexts of handlers end then.
var ErrShutdown = errors.New("webhook: shut down before the delivery was handled")

var errExited = errors.New("webhook: the handler ended its goroutine")

// PanicError is a handler that panicked. Its text does not quote the value.
type PanicError struct {
	Value any
	Stack []byte // as of debug.Stack
}

func (e *PanicError) Error() string { return "webhook: the handler panicked" }

// Unwrap returns the value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// delivery is an event on its way through the handler.
type delivery struct {
	event   Event
	key     string
	ctx     context.Context // of a delivery in the queue
	claimed time.Time
}

// bookkeeping bounds what is written to the store after a delivery, since no other context does.
const bookkeeping = 5 * time.Second

func (h *Handler) claim(ctx context.Context, d *delivery) (Claim, error) {
	d.claimed = time.Now()
	claim, err := h.dedup.Claim(ctx, d.key, h.lease)
	if err == nil && (claim < Claimed || claim > Handled) {
		err = fmt.Errorf("the store returned %d, which is no Claim", claim)
	}
	if err != nil {
		return 0, fmt.Errorf("webhook: claiming a delivery: %w", err)
	}
	return claim, nil
}

// handle calls the functions for the event, and tells the store how it went.
func (h *Handler) handle(ctx context.Context, d *delivery) (err error) {
	err = errExited // stays where a function ends the goroutine
	defer func() { h.settle(ctx, d, err) }()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.base, func() { cancel(context.Cause(h.base)) })()
	return h.call(ctx, d.event)
}

func (h *Handler) call(ctx context.Context, e Event) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	h.mu.Lock()
	handlers := h.handlers
	h.mu.Unlock()

	handled := false
	for _, f := range handlers {
		match, err := f(ctx, e)
		if err != nil {
			return err
		}
		handled = handled || match
	}
	if unknown, ok := e.(*UnknownEvent); ok && !handled && unknown.Err != nil {
		h.report(ctx, e, unknown.Err)
	}
	return nil
}

func (h *Handler) settle(ctx context.Context, d *delivery, failure error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	var err error
	if keep := h.keep(d.event); failure == nil && keep > 0 {
		err = h.done(bounded, d, keep)
	} else {
		err = h.abandon(bounded, d)
	}
	if failure != nil {
		h.report(ctx, d.event, failure)
	}
	if err != nil {
		h.report(ctx, d.event, err)
	}
}

// keep returns for how long an event is remembered. Without a time two equal deliveries can tell of two events.
func (h *Handler) keep(e Event) time.Duration {
	if e.OccurredAt().IsZero() {
		return 0
	}
	return h.window
}

// abandon leaves a claim alone whose lease is over: it may be another's by now.
func (h *Handler) abandon(ctx context.Context, d *delivery) error {
	if time.Since(d.claimed) >= h.lease {
		return nil
	}
	if err := h.dedup.Abandon(ctx, d.key); err != nil {
		return fmt.Errorf("webhook: giving up the claim of a delivery: %w", err)
	}
	return nil
}

func (h *Handler) done(ctx context.Context, d *delivery, keep time.Duration) error {
	if err := h.dedup.Done(ctx, d.key, keep); err != nil {
		return fmt.Errorf("webhook: the delivery was handled, and could not be marked as done: %w", err)
	}
	return nil
}

func (h *Handler) report(ctx context.Context, e Event, err error) {
	if h.onError == nil {
		return
	}
	defer func() { _ = recover() }()
	h.onError(context.WithoutCancel(ctx), e, err)
}
