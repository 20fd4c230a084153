package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"
)

// ErrShutdown is why a delivery was not handled that came, waited in the queue or was being handled while
// [Handler.Shutdown] ended the work. It is also the cause with which the contexts of functions end then.
var ErrShutdown = errors.New("webhook: shut down before the delivery was handled")

// ErrInFlight is why a delivery was not handled while an equal one was, here or in another process that shares the
// store. It was refused with 409, and may be another event, because it has no time; or it had waited in the queue for
// longer than its lease, and was sent again meanwhile. If the other one fails, the sender may not send this one
// again.
var ErrInFlight = errors.New("webhook: an equal delivery is being handled")

var (
	errExited    = errors.New("webhook: the handler ended its goroutine")
	errUnhandled = errors.New("the data do not fit, and no function handles that")
)

// PanicError is a handler, or a [Dedup] store, that panicked. The value may hold anything, so no text shows it.
type PanicError struct {
	Value any
	Stack []byte // as of debug.Stack
}

const panicText = "webhook: recovered from a panic"

func (e *PanicError) Error() string { return panicText }

// Format writes the text for every verb.
func (e PanicError) Format(f fmt.State, verb rune) {
	text := panicText
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// LogValue returns the text.
func (e PanicError) LogValue() slog.Value { return slog.StringValue(panicText) }

// MarshalText returns the text, also for JSON.
func (e PanicError) MarshalText() ([]byte, error) { return []byte(panicText), nil }

// Unwrap returns the value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// delivery is an event on its way through the handler.
type delivery struct {
	event    Event
	key      string
	ctx      context.Context // of the request; in the queue its values alone
	received time.Time
	claimed  time.Time
	decided  bool // it is known, or reported, how it went; guarded by the handler's mutex
}

// bookkeeping bounds each call of the store, since no other context does.
const bookkeeping = 5 * time.Second

// bounded returns the context for the store. A sender that hangs up does not end it: what is half written would keep
// the next try away.
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

func (h *Handler) claim(d *delivery) (claim Claim, err error) {
	ctx, cancel := bounded(d.ctx)
	defer cancel()
	d.claimed = time.Now()
	err = guard(func() (err error) {
		claim, err = h.dedup.Claim(ctx, d.key, h.lease)
		return err
	})
	if err == nil && (claim < Claimed || claim > Handled) {
		err = fmt.Errorf("the store returned %d, which is not a Claim", claim)
	}
	if err != nil {
		return 0, fmt.Errorf("webhook: claiming a delivery: %w", err)
	}
	return claim, nil
}

// handle calls the functions for the event.
func (h *Handler) handle(d *delivery) (err error) {
	err = errExited // stays if a function ends the goroutine
	defer func() { h.finish(d, err) }()

	ctx, cancel := context.WithCancelCause(d.ctx)
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
		if err := h.watched(ctx, e, f); err != nil {
			return err
		}
	}
	return h.misfit(ctx, e, functions)
}

// misfit reports data that do not fit, if no function has taken them. Without WithOnError a function would miss an
// event.
func (h *Handler) misfit(ctx context.Context, e Event, functions []function) error {
	unknown, ok := e.(*UnknownEvent)
	switch {
	case !ok || unknown.Err == nil || anyTakes(functions, e):
		return nil
	case h.onError == nil && anyTakes(functions, newEvent[unknown.Type]()):
		return errUnhandled
	}
	h.report(ctx, e, unknown.Err)
	return nil
}

func anyTakes(functions []function, e Event) bool {
	return slices.ContainsFunc(functions, func(f function) bool { return f.takes(e) })
}

// finish tells the store how a delivery went, and reports what failed, unless Shutdown has given the delivery up.
func (h *Handler) finish(d *delivery, failure error) {
	if failure == nil {
		h.reportOutcome(d, nil) // the store may take long
	}
	ctx, cancel := bounded(d.ctx)
	defer cancel()
	var err error
	if keep := h.keep(d.event); failure == nil && keep > 0 {
		err = h.done(ctx, d, keep)
	} else {
		err = h.abandon(ctx, d)
	}
	h.reportOutcome(d, failure)
	if err != nil {
		h.report(ctx, d.event, err)
	}
}

// keep returns for how long an event is remembered. Without a time, two equal deliveries may be two events.
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
	h.mu.Lock()
	ended := h.beginReport()
	h.mu.Unlock()
	h.tell(ctx, e, err, ended)
}

// reportOutcome reports a delivery unless it is known or reported already how it went.
func (h *Handler) reportOutcome(d *delivery, err error) { h.decide(d, outcomeOf(err), err) }

// decide is reportOutcome with an outcome that does not follow from the error.
func (h *Handler) decide(d *delivery, outcome Outcome, err error) {
	h.mu.Lock()
	first := !d.decided
	d.decided = true
	ended := h.beginReport()
	h.mu.Unlock()
	if first {
		h.delivered(d.ctx, d.event, d.received, outcome, h.statusOf(err))
	} else {
		err = nil
	}
	h.tell(d.ctx, d.event, err, ended)
}

// statusOf returns the status with which a delivery is answered that functions handle.
func (h *Handler) statusOf(err error) int {
	if err == nil || h.queueSize > 0 {
		return http.StatusOK
	}
	return http.StatusInternalServerError
}

// beginReport notes a report that Shutdown must let end. The caller holds the mutex.
func (h *Handler) beginReport() (ended chan struct{}) {
	ended = make(chan struct{})
	h.reports[ended] = true
	return ended
}

// tell calls onError, if there is an error.
func (h *Handler) tell(ctx context.Context, e Event, err error, ended chan struct{}) {
	defer func() {
		_ = recover()
		h.mu.Lock()
		delete(h.reports, ended)
		h.mu.Unlock()
		close(ended)
	}()
	if h.onError != nil && err != nil {
		h.onError(context.WithoutCancel(ctx), e, err)
	}
}
