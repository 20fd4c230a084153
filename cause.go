package drift

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/driftsdk/drift/internal/trace"
	"github.com/driftsdk/drift/internal/wire"
)

// cause is the reason for a failure. Its text does not quote err, whose own text may contain a URL, a token or a body.
// errors.Is and errors.As find err.
type cause struct {
	text    string // precedes the description of err
	err     error
	detail  string // follows it in parentheses
	timeout bool
}

// Reasons why an attempt has no usable answer.
const (
	errNoResponse    = wire.Reason("the transport returned neither an answer nor an error")
	errNoReservation = wire.Reason("it returned neither a reservation nor an error")
	errStatus        = wire.Reason("the service answered with an informational status")
	errProxy         = wire.Reason("the proxy refused the connection")
	errRedirect      = wire.Reason("the service answered with a redirect, which is never followed")
)

// Timeouts of the client. They do not match context.DeadlineExceeded, which means that the caller's deadline has
// passed.
var (
	errAttemptTimeout = &cause{text: "the attempt took too long", timeout: true}
	errSilent         = &cause{text: "the answer stalled", timeout: true}
)

// unusable returns the cause of a failure for an answer that cannot be used.
func unusable(reason error, detail string) *cause { return &cause{err: reason, detail: detail} }

func (c *cause) Error() string {
	inner := causeText(c.err)
	if c.timeout { // the error inside may name a deadline that is not the caller's
		inner = ""
	}
	text := cmp.Or(joinNonEmpty(": ", c.text, inner), "the connection failed")
	if c.detail != "" {
		text += " (" + c.detail + ")"
	}
	return text
}

// Is reports whether the error inside matches target.
func (c *cause) Is(target error) bool {
	return !(c.timeout && target == context.DeadlineExceeded) && errors.Is(c.err, target)
}

// As finds target in the error inside.
func (c *cause) As(target any) bool { return c.err != nil && errors.As(c.err, target) }

// Timeout implements net.Error.
func (c *cause) Timeout() bool { return c.timeout || trace.IsTimeout(c.err) }

// Temporary implements net.Error.
func (c *cause) Temporary() bool {
	var passing interface{ Temporary() bool }
	return c.timeout || errors.As(c.err, &passing) && passing.Temporary()
}

// failed returns the cause of a failure in a store, a limiter or a token source of the caller. If the context has
// ended, that is the reason.
func failed(ctx context.Context, text string, err error) error {
	if ctx.Err() != nil {
		return withContext(ctx, &cause{text: text, err: err})
	}
	return &cause{text: text, err: err}
}

// causeText describes an error without quoting it.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	var own *cause
	var refresh *refreshError
	switch {
	case errors.As(err, &own):
		return own.Error()
	case errors.As(err, &refresh):
		return strings.TrimPrefix(refresh.Error(), "drift: ")
	}
	for _, known := range []error{ErrUnexpectedContent, ErrTooLarge, ErrReauthRequired, ErrClosed, errTokenText} {
		if errors.Is(err, known) {
			return strings.TrimPrefix(known.Error(), "drift: ")
		}
	}
	return trace.Text(err)
}

// transportCause returns the reason why an attempt failed: the end of the caller's context, the attempt's timeout, or
// err.
func transportCause(caller, attempt context.Context, err error) error {
	switch {
	case caller.Err() != nil:
		return contextError(caller)
	case errors.As(err, new(*cause)): // the client ended the attempt only afterwards, to stop reading
		return &cause{err: err}
	case attempt.Err() != nil:
		return context.Cause(attempt)
	case trace.IsTimeout(err) && overdue(caller): // the network's timer fired before the context's
		return context.DeadlineExceeded
	case trace.IsTimeout(err): // for example of a dial or of the wait for headers
		return &cause{text: "timeout", err: err, timeout: true}
	}
	return &cause{err: err}
}

func overdue(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// contextError returns an error that matches both the error of a context, which net/http hides behind a custom cause,
// and its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || cause == nil || errors.Is(cause, err) {
		return cause
	}
	return &causedError{err, cause}
}

// withContext adds the end of a context to an earlier error, unless that error already reports it.
func withContext(ctx context.Context, err error) error {
	ended := contextError(ctx)
	if err == nil || errors.Is(err, ctx.Err()) {
		return ended
	}
	return &causedError{ended, err}
}

// causedError is an error and its cause, on one line.
type causedError struct{ err, cause error }

func (e *causedError) Error() string   { return e.err.Error() + ": " + e.cause.Error() }
func (e *causedError) Unwrap() []error { return []error{e.err, e.cause} }
