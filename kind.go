package drift

import (
	"context"
	"errors"

	"github.com/driftsdk/drift/internal/trace"
)

// Kind says in one word why a call failed. There are few kinds and their values do not change, so a Kind can be a label
// of metrics. See [KindOf].
type Kind string

// The kinds of errors. Minor versions may add kinds.
const (
	KindOK                Kind = "ok"                 // no error
	KindCanceled          Kind = "canceled"           // the caller canceled the context
	KindDeadlineExceeded  Kind = "deadline_exceeded"  // the caller's deadline passed
	KindTimeout           Kind = "timeout"            // a limit of the client passed: of a connection or of an attempt
	KindDNS               Kind = "dns"                // the host name could not be looked up
	KindConnect           Kind = "connect"            // no connection: refused, TLS, a proxy
	KindConnection        Kind = "connection"         // the connection broke
	KindTooLarge          Kind = "too_large"          // ErrTooLarge
	KindUnexpectedContent Kind = "unexpected_content" // not JSON, a redirect, a cursor that repeats
	KindDecode            Kind = "decode"             // JSON that does not fit
	KindClosed            Kind = "closed"             // ErrClosed
	KindReauthRequired    Kind = "reauth_required"    // ErrReauthRequired
	KindQuotaExceeded     Kind = "quota_exceeded"     // ErrQuotaExceeded
	KindRateLimited       Kind = "rate_limited"       // ErrRateLimited, whether or not a deadline is why
	KindAmbiguous         Kind = "ambiguous"          // ErrAmbiguous, whatever the cause
	KindInvalid           Kind = "invalid"            // ErrInvalid
	KindUnauthorized      Kind = "unauthorized"       // ErrUnauthorized
	KindForbidden         Kind = "forbidden"          // ErrForbidden
	KindNotFound          Kind = "not_found"          // ErrNotFound
	KindConflict          Kind = "conflict"           // ErrConflict
	KindServer            Kind = "server"             // ErrServer
	KindPanic             Kind = "panic"              // only in hooks: the call panicked
	KindOther             Kind = "_OTHER"             // everything else, such as a failed store or an error of your own
)

// KindOf returns the kind of an error, KindOK for nil. The outermost type of this package decides: a write that may
// have been applied is ambiguous even if the deadline passed, and a call that the rate limit stopped is rate_limited.
// KindOf also accepts the error of an [Attempt].
func KindOf(err error) Kind {
	if err == nil {
		return KindOK
	}
	return kindOf(err)
}

// kindOf is apart from KindOf so that a call that succeeds allocates nothing.
func kindOf(err error) Kind {
	var limited *RateLimitError
	var transport *TransportError
	var decode *DecodeError
	var api *APIError
	switch {
	case errors.Is(err, ErrAmbiguous):
		return KindAmbiguous
	case errors.Is(err, ErrQuotaExceeded):
		return KindQuotaExceeded
	case errors.As(err, &limited):
		return KindRateLimited
	case errors.As(err, &transport):
		return kindOfCause(transport.Err)
	case errors.As(err, &decode):
		return KindDecode
	case errors.As(err, &api):
		return firstKind(api, statusKinds)
	}
	return kindOfCause(err)
}

// sentinelKind is the kind of the errors that match a sentinel.
type sentinelKind struct {
	sentinel error
	kind     Kind
}

var statusKinds = []sentinelKind{
	{ErrInvalid, KindInvalid}, {ErrUnauthorized, KindUnauthorized}, {ErrForbidden, KindForbidden},
	{ErrNotFound, KindNotFound}, {ErrConflict, KindConflict}, {ErrRateLimited, KindRateLimited}, {ErrServer, KindServer},
	{ErrUnexpectedContent, KindUnexpectedContent},
}

var causeKinds = []sentinelKind{
	{context.Canceled, KindCanceled}, {context.DeadlineExceeded, KindDeadlineExceeded}, {ErrClosed, KindClosed},
	{ErrReauthRequired, KindReauthRequired}, {ErrTooLarge, KindTooLarge}, {ErrUnexpectedContent, KindUnexpectedContent},
	{ErrCursorLoop, KindUnexpectedContent}, {trace.ErrBroken, KindConnection}, {errPanicked, KindPanic},
}

func firstKind(err error, kinds []sentinelKind) Kind {
	for _, k := range kinds {
		if errors.Is(err, k.sentinel) {
			return k.kind
		}
	}
	return KindOther
}

// kindOfCause returns the kind of an error that has no type of its own.
func kindOfCause(err error) Kind {
	if kind := firstKind(err, causeKinds); kind != KindOther {
		return kind
	}
	var own *cause
	var refresh *refreshError
	switch {
	case errors.As(err, &refresh) && !errors.As(refresh, new(*APIError)):
		return KindOf(refresh.err)
	case errors.As(err, &own) && own.kind != "":
		return own.kind
	}
	return firstKind(err, statusKinds)
}
