package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/driftsdk/drift/internal/trace"
	"github.com/driftsdk/drift/internal/wire"
)

// cause is the reason for a failure. Its text does not quote err, whose own text may contain a URL, a token or a body.
// errors.Is and errors.As find err.
type cause struct {
	kind    Kind // "": the kind of err
	text    string
	detail  string // follows the text in parentheses
	hint    string // what to do about it
	err     error
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

// What to do about answers that cannot be used.
const (
	hintBaseURL = "check the base URL"
	hintContent = hintBaseURL + ", and whether a proxy answers in its place"
	hintLimit   = "raise the limit with WithMaxResponseBytes"
)

// errSilent ends an attempt whose answer stalled.
var errSilent = &cause{kind: KindTimeout, text: "the answer stalled", timeout: true}

// unusable returns the cause of a failure for an answer that cannot be used.
func unusable(kind Kind, reason error, detail, hint string) *cause {
	return &cause{kind: kind, text: strings.TrimPrefix(reason.Error(), "drift: "), detail: detail, hint: hint, err: reason}
}

// errLarge returns the cause of a failure for an answer that is too large.
func errLarge() *cause { return unusable(KindTooLarge, ErrTooLarge, "", hintLimit) }

// attemptTimeout returns the cause of the end of an attempt after its limit.
func attemptTimeout(limit time.Duration) *cause {
	return &cause{kind: KindTimeout, detail: "an attempt may take " + limit.String(), timeout: true}
}

// during returns a copy of an attempt's timeout that says what the attempt was doing.
func (c *cause) during(phase trace.Phase) *cause {
	ended := *c
	ended.text = cmp.Or(c.text, trace.TimedOut(phase))
	return &ended
}

func (c *cause) Error() string {
	text := c.text
	if c.detail != "" {
		text += " (" + c.detail + ")"
	}
	return joinNonEmpty("; ", text, c.hint)
}

// Format writes the text for every verb: under some, fmt would print the error inside.
func (c *cause) Format(f fmt.State, verb rune) { formatError(f, verb, c) }

// Is reports whether the error inside matches target. A timeout does not match context.DeadlineExceeded, which means
// that the caller's deadline has passed.
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

// local returns the cause of a failure in a store, a limiter or a token source of the caller.
func local(text string, err error) *cause {
	return &cause{text: joinNonEmpty(": ", text, causeText(err)), err: err}
}

// failed is local, unless the context has ended: then that is the reason.
func failed(ctx context.Context, text string, err error) error {
	if ctx.Err() != nil {
		return withContext(ctx, local(text, err))
	}
	return local(text, err)
}

// causeText describes an error without quoting it.
func causeText(err error) string {
	if err == nil {
		return ""
	}
	var refresh *refreshError
	own, outermost := err.(*cause)
	switch {
	case outermost:
		return own.Error()
	case errors.As(err, &refresh): // before the cause in it, which does not name the token endpoint
		return strings.TrimPrefix(refresh.Error(), "drift: ")
	case errors.As(err, &own):
		return own.Error()
	}
	for _, known := range []error{ErrUnexpectedContent, ErrTooLarge, ErrReauthRequired, ErrClosed, errTokenText} {
		if errors.Is(err, known) {
			return strings.TrimPrefix(known.Error(), "drift: ")
		}
	}
	return trace.Describe(err, trace.Unknown).Text
}

// transportCause returns the reason why an attempt failed: the end of the caller's context, the attempt's timeout, or
// err.
func transportCause(caller, attempt context.Context, err error, phase trace.Phase) error {
	var own *cause
	switch {
	case caller.Err() != nil:
		return interrupted{contextError(caller), phase}
	case errors.As(err, &own): // the client ended the attempt only afterwards, to stop reading
		return &cause{kind: own.kind, text: own.during(phase).Error(), err: err, timeout: own.timeout}
	case attempt.Err() != nil && errors.As(context.Cause(attempt), &own):
		return own.during(phase)
	case attempt.Err() != nil:
		return context.Cause(attempt)
	case trace.IsTimeout(err) && overdue(caller): // the network's timer fired before the context's
		return interrupted{context.DeadlineExceeded, phase}
	}
	return networkCause(err, phase)
}

// networkCause returns the cause for an error of a transport.
func networkCause(err error, phase trace.Phase) *cause {
	failure := trace.Describe(err, phase)
	return &cause{
		kind:    cmp.Or(Kind(failure.Kind), KindConnection),
		text:    cmp.Or(failure.Text, "the connection failed"),
		hint:    failure.Hint,
		err:     err,
		timeout: trace.IsTimeout(err), // for example of a dial or of the wait for headers
	}
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
	return &causedError{err, local("", cause)}
}

// withContext adds the end of a context to an earlier error, unless that error already reports it.
func withContext(ctx context.Context, err error) error {
	ended := contextError(ctx)
	switch {
	case errors.As(err, new(interrupted)):
		return err
	case err == nil || errors.Is(err, ctx.Err()):
		return ended
	}
	return &causedError{ended, err}
}

// interrupted is the end of the caller's context, and what the attempt was doing then.
type interrupted struct {
	error
	phase trace.Phase
}

func (e interrupted) Error() string {
	if e.phase == trace.Unknown {
		return e.error.Error()
	}
	return "while " + string(e.phase) + ": " + e.error.Error()
}

func (e interrupted) Unwrap() error { return e.error }

// Format writes the text for every verb.
func (e interrupted) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// causedError is an error and its cause, on one line.
type causedError struct{ err, cause error }

func (e *causedError) Error() string   { return joinNonEmpty(": ", e.err.Error(), insideOf("", e.cause)) }
func (e *causedError) Unwrap() []error { return []error{e.err, e.cause} }

// underlying returns the error that caused err, which may quote anything.
func underlying(err error) error {
	var c *cause
	for errors.As(err, &c) && c.err != nil {
		err = c.err
	}
	return err
}
