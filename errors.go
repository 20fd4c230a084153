package drift

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/driftsdk/drift/internal/answer"
	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/trace"
	"github.com/driftsdk/drift/internal/wire"
)

// Sentinel errors, for errors.Is. The types that match them carry the details.
var (
	// ErrInvalid: the request is invalid. A *ValidationError found that before sending, an
	// *APIError has status 400 or 422.
	ErrInvalid = errors.New("drift: invalid request")

	// ErrUnauthorized: the token is missing, wrong or expired (401, or 403 of type
	// authentication_error).
	ErrUnauthorized = errors.New("drift: unauthorized")

	// ErrForbidden: the token is valid, but does not allow this call (403).
	ErrForbidden = errors.New("drift: forbidden")

	// ErrNotFound: the record does not exist (404). A web site's 404, in HTML, does not match: see
	// ErrUnexpectedContent.
	ErrNotFound = errors.New("drift: not found")

	// ErrConflict: the record already exists or has changed (409).
	ErrConflict = errors.New("drift: conflict")

	// ErrRateLimited: a 429 after the last retry, or a wait for the rate limit that would outlast
	// the deadline.
	ErrRateLimited = errors.New("drift: rate limited")

	// ErrQuotaExceeded: this month's calls are used up.
	ErrQuotaExceeded = errors.New("drift: monthly quota exceeded")

	// ErrServer: the service failed (5xx).
	ErrServer = errors.New("drift: server error")

	// ErrAmbiguous: a write may or may not have been applied.
	ErrAmbiguous = errors.New("drift: the request may have been applied")

	// ErrTooLarge: the answer is larger than WithMaxResponseBytes allows.
	ErrTooLarge = errors.New("drift: response too large")

	// ErrUnexpectedContent: the answer is not JSON, for example the login page of a proxy, or the
	// 404 of a web site.
	ErrUnexpectedContent = errors.New("drift: response is not JSON")

	// ErrCursorLoop: the service returned the same cursor twice.
	ErrCursorLoop = errors.New("drift: cursor repeats")

	// ErrClosed: the client or the token source is closed.
	ErrClosed = errors.New("drift: the client or the token source is closed")

	// ErrReauthRequired: the service rejects the refresh token, or no token is stored. A person has
	// to authorize the application again.
	ErrReauthRequired = errors.New("drift: authorization is required again")
)

// ValidationError is a request that the client rejected before sending anything. It matches [ErrInvalid].
type ValidationError struct {
	Operation string // such as "conversations.get" or "webhook.NewHandler"; "" for an option of NewClient
	Argument  string // the invalid argument, parameter or option
	Reason    string // follows Argument in the text, such as "must not be empty"
}

func (e *ValidationError) Error() string {
	return "drift: " + joinNonEmpty(": ", e.Operation, joinNonEmpty(" ", e.Argument, e.Reason))
}

// Is reports whether target is ErrInvalid.
func (e *ValidationError) Is(target error) bool { return target == ErrInvalid }

// Format writes the text for every verb.
func (e *ValidationError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation, the argument and the reason.
func (e *ValidationError) LogValue() slog.Value { return logValue(e) }

func (e *ValidationError) logFields() []slog.Attr {
	return []slog.Attr{slog.String("operation", e.Operation), slog.String("argument", e.Argument),
		slog.String("reason", e.Reason)}
}

// APIError is an answer that reports an error: its status is not a success, or its body has an error and no data.
type APIError struct {
	StatusCode int
	Type       string              // the service's type of error, such as "not_found"; "" if the answer has none
	Message    string              // the service's message without e-mail addresses, at most 512 bytes of printable text
	Code       string              // such as "CONTACT-6"; "insufficient_scope" if the token lacks Fields["scope"]
	Fields     map[string][]string // messages by parameter, if the answer names parameters
	RequestID  string              // X-Request-Id of the answer (an assumption: no header is documented)
	Operation  string              // such as "conversations.get"
	Method     string
	Route      string        // the path's template, never the path itself
	RetryAfter time.Duration // the delay that the service asks for; 0: none
	Attempts   []Attempt     // every attempt of the call, including the one with this answer

	body    *[]byte // behind a pointer, so that no verb of fmt prints it
	foreign bool    // the body shows that the API did not answer
	hint    string  // what to do, after the server that answered
}

// Body returns at most the first 64 KiB of the answer's body. They may contain personal data: do not log them.
func (e *APIError) Body() []byte {
	if e.body == nil {
		return nil
	}
	return *e.body
}

func (e *APIError) Error() string {
	text := joinNonEmpty(": ", e.label(), strconv.Itoa(e.StatusCode))
	if e.Type != "" || e.Code != "" {
		text += " " + joinNonEmpty("/", e.Type, e.Code)
	}
	if e.Message != "" {
		text += ": " + e.Message
	} else if status := http.StatusText(e.StatusCode); status != "" && e.Type == "" {
		text += " " + status
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return "drift: " + text + e.hint
}

// label returns the name of the call and, unless it is the template, the method and the template.
func (e *APIError) label() string {
	route := joinNonEmpty(" ", e.Method, e.Route)
	if e.Operation == e.Route {
		return route
	}
	return joinNonEmpty(": ", e.Operation, route)
}

// Is reports whether the status belongs to target. If the status is a success, the type decides. A 404 in HTML says
// nothing about a record, because a web site or a proxy has answered: it matches ErrUnexpectedContent.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrInvalid:
		return e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusUnprocessableEntity ||
			e.typed("validation_error")
	case ErrUnauthorized:
		return e.unauthorized()
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden && !e.unauthorized()
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound && !e.foreign || e.typed("not_found")
	case ErrUnexpectedContent:
		return e.StatusCode == http.StatusNotFound && e.foreign
	case ErrConflict:
		return e.StatusCode == http.StatusConflict
	case ErrRateLimited:
		return e.StatusCode == http.StatusTooManyRequests || e.typed("rate_limit")
	case ErrServer:
		return e.StatusCode >= 500 || e.typed("internal_error")
	}
	return false
}

// unauthorized accepts 401 and 403: for a bad token, the classic API documents 403 but answers 401.
func (e *APIError) unauthorized() bool {
	return e.StatusCode == http.StatusUnauthorized ||
		e.StatusCode == http.StatusForbidden && e.Type == authenticationError || e.typed(authenticationError)
}

// typed reports whether the status is a success and the type is kind.
func (e *APIError) typed(kind string) bool { return e.StatusCode < 300 && e.Type == kind }

const authenticationError = "authentication_error"

// Format writes the text for every verb.
func (e *APIError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation, the status, the answer's error and request id, and the number of
// attempts.
func (e *APIError) LogValue() slog.Value { return logValue(e) }

func (e *APIError) logFields() []slog.Attr {
	return []slog.Attr{slog.String("operation", e.Operation), slog.Int("status", e.StatusCode),
		slog.String("type", e.Type), slog.String("code", e.Code), slog.String("message", e.Message),
		slog.String("request_id", e.RequestID), slog.Int("attempts", len(e.Attempts))}
}

// RateLimitError is a call that a rate limit stopped. It matches [ErrRateLimited], and [context.DeadlineExceeded] if
// the wait would have outlasted a deadline.
type RateLimitError struct {
	Operation  string
	RetryAfter time.Duration // how long to wait before the next call
	Local      bool          // the client's own limit or an earlier 429 held the attempt back, so it was not sent
	Err        error         // the *APIError of the 429, or the reason why the client did not wait; may be nil
}

func (e *RateLimitError) Error() string {
	where := "by the service"
	if e.Local {
		where = "before sending"
	}
	text := "rate limited " + where + ", try again in " + roundUp(e.RetryAfter).String()
	return describe(e.Operation, text, e.Err)
}

// roundUp returns a delay in whole seconds, so that a caller who waits for as long as the text says waits long enough.
func roundUp(d time.Duration) time.Duration {
	if whole := d.Truncate(time.Second); whole < d && whole < math.MaxInt64-time.Second {
		return whole + time.Second
	}
	return d
}

// Is reports whether target is ErrRateLimited.
func (e *RateLimitError) Is(target error) bool { return target == ErrRateLimited }

func (e *RateLimitError) Unwrap() error { return e.Err }

// Format writes the text for every verb.
func (e *RateLimitError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation, RetryAfter and Local.
func (e *RateLimitError) LogValue() slog.Value { return logValue(e) }

func (e *RateLimitError) logFields() []slog.Attr {
	return []slog.Attr{slog.String("operation", e.Operation), slog.Duration("retry_after", e.RetryAfter),
		slog.Bool("local", e.Local)}
}

// QuotaError is a call that the client did not send, or that the service rejected, because the month's calls are used
// up. It matches [ErrQuotaExceeded].
type QuotaError struct {
	Operation string
	Usage     Usage // as counted by this client; below the limit if other clients used calls too
	Err       error // the service's *APIError; nil if the call was not sent
}

func (e *QuotaError) Error() string {
	text := "monthly quota used up"
	if e.Usage.Limit > 0 {
		text += fmt.Sprintf(" (%d of %d)", e.Usage.Used, e.Usage.Limit)
	}
	if !e.Usage.ResetsAt.IsZero() {
		text += ", resets at " + e.Usage.ResetsAt.Format(time.RFC3339)
	}
	return describe(e.Operation, text, e.Err)
}

// Is reports whether target is ErrQuotaExceeded.
func (e *QuotaError) Is(target error) bool { return target == ErrQuotaExceeded }

// As finds target in Err. There is no Unwrap, so that the error does not match the ErrRateLimited of a 429 in Err: a
// caller that waits after ErrRateLimited would wait for the rest of the month.
func (e *QuotaError) As(target any) bool { return e.Err != nil && errors.As(e.Err, target) }

// Format writes the text for every verb.
func (e *QuotaError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation and the usage.
func (e *QuotaError) LogValue() slog.Value { return logValue(e) }

func (e *QuotaError) logFields() []slog.Attr {
	return []slog.Attr{slog.String("operation", e.Operation), slog.Int("used", e.Usage.Used),
		slog.Int("limit", e.Usage.Limit), slog.Time("resets_at", e.Usage.ResetsAt)}
}

// AmbiguousError is a write (POST, PATCH, DELETE) that was sent and may have been applied: the answer is missing or
// broken, or has status 408 or 5xx. Check before you send it again: Get shows an update, MatchEmail a contact, and List
// a conversation or a meeting. No operation of this package lists messages or notes; to find out whether one was
// created, list the messages with package classic, or look in Drift. An AmbiguousError matches [ErrAmbiguous] and the
// error that it wraps.
type AmbiguousError struct {
	Err      error  // the *APIError, *TransportError or *DecodeError
	ClientID string // the client_message_id or client_id that was sent, never part of the text; "": none
}

func (e *AmbiguousError) Error() string {
	return withCause("drift: the request may have been applied, check before you send it again", e.Err)
}

// Is reports whether target is ErrAmbiguous.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

func (e *AmbiguousError) Unwrap() error { return e.Err }

// Format writes the text for every verb.
func (e *AmbiguousError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind and the fields of the cause.
func (e *AmbiguousError) LogValue() slog.Value { return logValue(e) }

// TransportError is a call that got no usable answer. The connection failed, the service redirected (which the client
// never follows), the answer is too large ([ErrTooLarge]) or not JSON ([ErrUnexpectedContent]), a token source, a
// limiter or a store failed, or the context ended. errors.Is and errors.As find the causes, and [KindOf] names them.
// The text says what failed and what to do about it. It omits what others wrote: the errors of net/http, and those of
// the caller's own token source, limiter or store. Unsafe returns them.
type TransportError struct {
	Operation string
	Server    string    // host and port of the base URL, or of the TokenURL: "driftapi.com:443"
	Sent      bool      // an attempt was sent, or may have been
	Written   int64     // bytes that this call wrote to the io.Writer of Client.Do
	Attempts  []Attempt // every attempt of the call
	Err       error     // why the last attempt failed

	last error // the last answer that reported an error, if any
}

func (e *TransportError) Error() string {
	text := "not sent"
	if e.Sent {
		text = "sent"
	}
	if e.Server != "" && len(e.Attempts) > 0 {
		text += " to " + e.Server
	}
	text = describe(e.Operation, text, e.Err)
	if e.Written > 0 {
		text += fmt.Sprintf(", after %d bytes were written", e.Written)
	}
	return joinNonEmpty(": ", text, insideOf(e.Operation, e.last))
}

// Unsafe returns the error that caused the failure, as net/http or the caller's own code returned it. Its text may
// quote a URL with its query, a proxy's password or a part of the answer: show it to a developer, but do not log it.
func (e *TransportError) Unsafe() error { return underlying(e.Err) }

// Timeout reports whether the call failed because of a timeout: of an attempt (one minute, see [WithHTTPClient]), of
// the connection, of a store, or of the caller's context. Only the last one matches [context.DeadlineExceeded].
func (e *TransportError) Timeout() bool { return trace.IsTimeout(e.Err) }

func (e *TransportError) Unwrap() []error { return nonNil(e.Err, e.last) }

// Format writes the text for every verb.
func (e *TransportError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation, the server, whether it was sent, the number of attempts and
// Written.
func (e *TransportError) LogValue() slog.Value { return logValue(e) }

func (e *TransportError) logFields() []slog.Attr {
	fields := []slog.Attr{slog.String("operation", e.Operation), slog.String("server", e.Server),
		slog.Bool("sent", e.Sent), slog.Int("attempts", len(e.Attempts))}
	if e.Written > 0 {
		fields = append(fields, slog.Int64("written", e.Written))
	}
	return fields
}

// DecodeError is JSON that cannot be decoded: it is broken or has the wrong shape, or a record has no id. If the target
// of [Client.Do] or [ListOf] contains a map, Path may contain keys of that map, which may be personal data. The text
// and the log value then omit Path.
type DecodeError struct {
	Operation string // such as "conversations.get"; for a webhook, the event's type
	Path      string // JSON pointer into the data, such as "/id" or, in a list, "/3/id"; "" for all the data
	Err       error  // quotes nothing of the body

	hidden bool // the text and the log value omit Path
}

func (e *DecodeError) Error() string {
	text := joinNonEmpty(" at ", "cannot decode the JSON", e.printablePath())
	return describe(e.Operation, text, e.Err)
}

// printablePath returns Path as printable text, or "" if it is hidden.
func (e *DecodeError) printablePath() string {
	if e.hidden {
		return ""
	}
	return answer.Printable(e.Path, answer.MaxName)
}

func (e *DecodeError) Unwrap() error { return e.Err }

func newDecodeError(operation string, e *wire.Error) *DecodeError {
	return &DecodeError{operation, e.Path, e.Reason, e.Keys}
}

// Format writes the text for every verb.
func (e *DecodeError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the operation and the path.
func (e *DecodeError) LogValue() slog.Value { return logValue(e) }

func (e *DecodeError) logFields() []slog.Attr {
	return []slog.Attr{slog.String("operation", e.Operation), slog.String("path", e.printablePath())}
}

// RecordError is one record of a page that does not decode. The other records of the page are not affected: All yields
// the error in the record's place and continues, and List returns the page together with the error. A RecordError
// matches the error that it wraps.
type RecordError struct {
	Operation string // such as "conversations.list"
	Index     int    // position in its page, from 0
	Err       error  // a *DecodeError, whose Path begins at the record

	raw *json.RawMessage // behind a pointer, so that no verb of fmt prints it
}

// Raw returns the record as the service sent it. It may contain personal data: do not log it.
func (e *RecordError) Raw() json.RawMessage {
	if e.raw == nil {
		return nil
	}
	return *e.raw
}

func (e *RecordError) Error() string {
	return describe(e.Operation, "record at index "+strconv.Itoa(e.Index)+" of the page", e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// Format writes the text for every verb.
func (e *RecordError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, the index and the fields of the cause.
func (e *RecordError) LogValue() slog.Value { return logValue(e) }

func (e *RecordError) logFields() []slog.Attr {
	return append([]slog.Attr{slog.Int("index", e.Index)}, logFields(e.Err)...)
}

// RecordErrors splits the error that List and [ListOf] return together with a page: it returns one error for each
// record that does not decode. It returns nil if err is nil or contains any other error. So after
//
//	page, err := client.Contacts.List(ctx, options)
//	odd := drift.RecordErrors(err)
//	if err != nil && odd == nil {
//		return err
//	}
//
// page is not nil.
func RecordErrors(err error) []*RecordError {
	switch err := err.(type) {
	case *AmbiguousError, *PageError, *QuotaError, *RateLimitError, *TransportError: // there is no page
		return nil
	case *RecordError:
		if err == nil {
			return nil
		}
		return []*RecordError{err}
	case interface{ Unwrap() error }:
		return RecordErrors(err.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*RecordError
		for _, joined := range err.Unwrap() {
			records := RecordErrors(joined)
			if records == nil {
				return nil
			}
			all = append(all, records...)
		}
		return all
	}
	return nil
}

// recordErrors joins the errors of the records of one page. Unlike the text of errors.Join, its text is always one
// line.
type recordErrors struct{ errs []error }

func newRecordErrors(operation string, odd rest.Odd) *recordErrors {
	errs := make([]error, len(odd))
	for i, element := range odd {
		errs[i] = &RecordError{operation, element.Index, newDecodeError(operation, element.Err), &element.Raw}
	}
	return &recordErrors{errs}
}

func (e *recordErrors) Error() string {
	text := e.errs[0].Error()
	if more := len(e.errs) - 1; more > 0 {
		text += " (and " + strconv.Itoa(more) + " more)"
	}
	return text
}

func (e *recordErrors) Unwrap() []error { return e.errs }

// Format writes the text for every verb.
func (e *recordErrors) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind, how many records do not decode, and the fields of the first.
func (e *recordErrors) LogValue() slog.Value { return logValue(e) }

func (e *recordErrors) logFields() []slog.Attr {
	return append([]slog.Attr{slog.Int("records", len(e.errs))}, logFields(e.errs[0])...)
}

// PageError ends a sequence of All or [Paginate] when a page cannot be read. All items before that page were yielded.
// To resume, call All again with Cursor in the options, or Paginate with Cursor. A PageError matches the error that it
// wraps.
type PageError struct {
	Cursor string // of the page that failed; "": the first one
	Err    error
}

// Error omits the cursor: the service chose it, and it may contain anything.
func (e *PageError) Error() string {
	if e.Cursor == "" {
		return withCause("drift: cannot read the first page", e.Err)
	}
	return withCause("drift: cannot read the next page", e.Err)
}

func (e *PageError) Unwrap() error { return e.Err }

// Format writes the text for every verb.
func (e *PageError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind and the fields of the cause.
func (e *PageError) LogValue() slog.Value { return logValue(e) }

// Attempt is one try of a call, as errors and [Response] list them.
type Attempt struct {
	StatusCode int           // 0: no answer
	Sent       bool          // may have reached the service; false if the service reported that it ignored the request
	Duration   time.Duration // from sending the request to the end of the answer, without waits
	Err        error         // why there is no usable answer; nil if there is one
}

// Reasons that several checks share.
const (
	errNotNegative = wire.Reason("must not be negative")
	errMinutes     = wire.Reason("must be a positive whole number of minutes")
	errNoObject    = wire.Reason("not an object")
)

var (
	errNotConnected = errors.New("drift: this client was not made by NewClient")
	errPanicked     = errors.New("drift: the call panicked")
)

// formatError writes an error's text for every verb. By default, fmt prints the fields of an error for some verbs.
func formatError(f fmt.State, verb rune, err error) {
	text := err.Error()
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = f.Write([]byte(text))
}

// describe returns the text of an error of an operation, which it names once, even if the cause names it too.
func describe(operation, text string, cause error) string {
	return "drift: " + joinNonEmpty(": ", operation, text, insideOf(operation, cause))
}

// insideOf returns the text of an error within one of the operation. For nil, it is empty.
func insideOf(operation string, cause error) string {
	if cause == nil {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(cause.Error(), "drift: "), operation+": ")
}

func withCause(text string, cause error) string {
	if cause == nil {
		return text
	}
	return text + ": " + strings.TrimPrefix(cause.Error(), "drift: ")
}

func nonNil(errs ...error) []error {
	kept := errs[:0]
	for _, err := range errs {
		if err != nil {
			kept = append(kept, err)
		}
	}
	return kept
}

func joinNonEmpty(separator string, parts ...string) string {
	kept := parts[:0]
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, separator)
}

// ErrorAttr returns the attribute "error" for a log record: a group with the text as "msg", the kind as "kind" and, if
// err is or wraps an error of this package, the fields of that error. It has the same shape however err is wrapped. For
// nil, it is empty, so that handlers leave it out.
func ErrorAttr(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.Attr{Key: "error", Value: logValue(err)}
}

func logValue(err error) slog.Value {
	attrs := []slog.Attr{slog.String("msg", err.Error()), slog.String("kind", string(KindOf(err)))}
	return logGroup(append(attrs, logFields(err)...)...)
}

// logFields returns the fields of the first error that has any.
func logFields(err error) []slog.Attr {
	var fields interface{ logFields() []slog.Attr }
	if !errors.As(err, &fields) {
		return nil
	}
	return fields.logFields()
}

// logGroup returns a group without the empty strings in attrs.
func logGroup(attrs ...slog.Attr) slog.Value {
	kept := attrs[:0]
	for _, attr := range attrs {
		if attr.Value.Kind() != slog.KindString || attr.Value.String() != "" {
			kept = append(kept, attr)
		}
	}
	return slog.GroupValue(kept...)
}
