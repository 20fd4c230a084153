package webhook

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// ErrShutdown is why a delivery that waited in the queue was not handled when the context of [Handler.Shutdown] ended, and
// the cause for which the contexts of handlers end then.
var ErrShutdown = errors.New("webhook: shut down before the delivery was handled")

// ErrInFlight is why a delivery was not handled that had waited in the queue for longer than its lease: it came again meanwhile,
// and that one is being handled, here or in another process that shares the store. If that one fails, nobody sends this one again.
var ErrInFlight = errors.New("webhook: the lease ended in the queue, and the delivery that came again is being handled")

var (
	errExited = errors.New("webhook: the handler ended its goroutine")
	errUntold = errors.New("webhook: the data do not fit, and nobody is told")
)

// PanicError is a handler, or a [Dedup] store, that panicked. Its text does not quote the value.
type PanicError struct {
	Value any
	Stack []byte // as of debug.Stack
}

func (e *PanicError) Error() string { return "webhook: recovered from a panic" }

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

// bookkeeping bounds each call of the store, since no other context does.
const bookkeeping = 5 * time.Second

// bounded returns the context for the store. A sender that hangs up does not end it: what is half written would keep the next
// try away.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
}

// guard calls what others wrote.
func guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
	}()
	return f()
}

func (h *Handler) claim(ctx context.Context, d *delivery) (claim Claim, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	d.claimed = time.Now()
	err = guard(func() (err error) {
		claim, err = h.dedup.Claim(ctx, d.key, h.lease)
		return err
	})
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
	return guard(func() error { return h.call(ctx, d.event) })
}

func (h *Handler) call(ctx context.Context, e Event) error {
	h.mu.Lock()
	functions := h.functions
	h.mu.Unlock()

	for _, f := range functions {
		if !f.takes(e) {
			continue
		}
		if err := f.call(ctx, e); err != nil {
			return err
		}
	}
	return h.misfit(ctx, e, functions)
}

// misfit tells of data that do not fit, if nothing has taken them. Where nobody can be told, a function misses an event.
func (h *Handler) misfit(ctx context.Context, e Event, functions []function) error {
	unknown, ok := e.(*UnknownEvent)
	switch {
	case !ok || unknown.Err == nil || anyTakes(functions, e):
		return nil
	case h.onError == nil && anyTakes(functions, newEvent[unknown.Type]()):
		return errUntold
	}
	h.report(ctx, e, unknown.Err)
	return nil
}

func anyTakes(functions []function, e Event) bool {
	return slices.ContainsFunc(functions, func(f function) bool { return f.takes(e) })
}

func (h *Handler) settle(ctx context.Context, d *delivery, failure error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var err error
	if keep := h.keep(d.event); failure == nil && keep > 0 {
		err = h.done(ctx, d, keep)
	} else {
		err = h.abandon(ctx, d)
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
	if err := guard(func() error { return h.dedup.Abandon(ctx, d.key) }); err != nil {
		return fmt.Errorf("webhook: giving up the claim of a delivery: %w", err)
	}
	return nil
}

func (h *Handler) done(ctx context.Context, d *delivery, keep time.Duration) error {
	if err := guard(func() error { return h.dedup.Done(ctx, d.key, keep) }); err != nil {
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
