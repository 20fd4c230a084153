package drift

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/driftsdk/drift/internal/rest"
	"github.com/driftsdk/drift/internal/wire"
)

// result turns the last answer into a record or a typed error.
func (c *call) result(ctx context.Context) error {
	err := c.resume.report(c, c.outcome(ctx))
	if err == nil {
		return nil
	}
	if c.applied && !c.safe() {
		return &AmbiguousError{Err: err, ClientID: c.in.Key}
	}
	return err
}

func (c *call) outcome(ctx context.Context) error {
	switch a := &c.last; {
	case a.stopped != nil:
		return c.named(a.stopped)
	case a.writerErr != nil:
		return c.writerError(a.writerErr)
	case a.err != nil:
		return c.transportError(a.err)
	case a.foundDeleted():
		return c.deletedBefore()
	case a.status == http.StatusTooManyRequests && !a.quotaUsedUp():
		return c.rateLimitError()
	case a.quotaUsedUp():
		return c.quotaError(ctx)
	case a.status == http.StatusRequestedRangeNotSatisfiable && c.resume.complete(a.header):
		return nil
	case !c.success(a.status):
		return c.apiError()
	}
	c.serviceQuota.succeeded()
	c.tokens.served(c.last.token, tokenUse{c.route.Name, c.start})
	if c.decode == nil {
		return nil
	}
	return c.decoded(c.decode(rest.Answer{Header: c.last.header, Body: c.last.body()}))
}

// deletedBefore returns the result of a DELETE that an earlier attempt of the call applied. The answer to that attempt
// is lost.
func (c *call) deletedBefore() error {
	if !c.in.Required {
		return nil
	}
	c.applied = false
	return &DecodeError{Operation: c.route.Name, Err: rest.ErrNoData}
}

// named adds the operation to an error from another part of the package. An error of another type becomes a
// TransportError: the caller's store, limiter or token source failed.
func (c *call) named(err error) error {
	var argument *wire.ArgumentError
	var invalid *ValidationError
	var limited *RateLimitError
	var quota *QuotaError
	switch {
	case errors.As(err, &argument):
		return &ValidationError{Operation: c.route.Name, Argument: argument.Argument, Reason: argument.Reason.Error()}
	case errors.As(err, &invalid):
		return &ValidationError{Operation: c.route.Name, Argument: invalid.Argument, Reason: invalid.Reason}
	case errors.As(err, &limited):
		e := &RateLimitError{
			Operation: c.route.Name, RetryAfter: limited.RetryAfter, Local: limited.Local, Err: limited.Err,
		}
		switch {
		case c.previous != nil && e.Err != nil:
			e.Err = &causedError{e.Err, c.previous}
		case c.previous != nil:
			e.Err = c.previous
		}
		return e
	case errors.As(err, &quota):
		c.usedUp.Store(true)
		return &QuotaError{Operation: c.route.Name, Usage: quota.Usage, Err: quota.Err}
	}
	return c.transportError(err)
}

func (c *call) transportError(err error) *TransportError {
	e := &TransportError{
		Operation: c.route.Name, Server: c.server, Written: c.resume.written, Attempts: c.attempts, Err: err,
	}
	for _, attempt := range c.attempts {
		e.Sent = e.Sent || attempt.Sent
	}
	if c.previous != nil {
		e.last = c.previous
	}
	return e
}

func (c *call) rateLimitError() error {
	api := c.apiError()
	e := &RateLimitError{Operation: c.route.Name, RetryAfter: cmp.Or(api.RetryAfter, throttleBackoff), Err: api}
	if c.late {
		e.Err = &causedError{api, context.DeadlineExceeded}
	}
	return e
}

func (c *call) quotaError(ctx context.Context) error {
	c.serviceQuota.exhausted(time.Now())
	usage, _ := c.usage(ctx)
	return &QuotaError{Operation: c.route.Name, Usage: usage, Err: c.apiError()}
}

// apiError returns the last answer as an error.
func (c *call) apiError() *APIError {
	reported := c.last.reported()
	body := c.last.masked()
	body = bytes.Clone(body[:min(len(body), maxErrorBody)])
	return &APIError{
		StatusCode: c.last.status,
		Type:       reported.Type,
		Message:    reported.Message,
		Code:       reported.Code,
		Fields:     reported.Fields,
		RequestID:  c.last.requestID(),
		Operation:  c.route.Name,
		Method:     c.route.Method,
		Route:      c.route.Path,
		RetryAfter: c.last.retryAfter(),
		Attempts:   c.attempts,
		body:       &body,
		foreign:    c.last.foreign(),
		hint:       c.hint(),
	}
}

// hint returns what to do about an error that does not look like one of the API.
func (c *call) hint() string {
	status, server := c.last.status, " from "+c.server
	switch {
	case status/100 == 4 && status != http.StatusTooManyRequests && c.last.foreign():
		return server + "; this is not an answer of the API: " + hintContent
	case status == http.StatusNotFound && c.last.reported().Empty() && c.route.Method != http.MethodHead:
		return server + "; the body is not an error of the API: if other calls fail too, " + hintBaseURL
	}
	return ""
}

// success reports whether a status is a success. A call that decodes its answer accepts every 2xx. Other calls accept
// only statuses that mean that the request was applied as a whole.
func (c *call) success(status int) bool {
	if c.decode != nil {
		return status >= 200 && status < 300
	}
	return status == http.StatusOK || status == http.StatusAccepted || status == http.StatusNoContent
}

// decoded converts an error of decoding an answer. By then, the service has applied a write.
func (c *call) decoded(err error) error {
	if err == nil {
		return nil
	}
	var notFit *wire.Error
	var odd rest.Odd
	switch {
	case errors.As(err, &odd): // the rest of the page is usable
		c.applied = false
		return newRecordErrors(c.route.Name, odd)
	case errors.Is(err, rest.ErrReported):
		return c.apiError()
	case errors.Is(err, rest.ErrNoRecord):
		e := c.apiError()
		e.StatusCode, e.Message = http.StatusNotFound, rest.ErrNoRecord.Error()
		return e
	case errors.As(err, &notFit):
		c.applied = true
		if notFit.Reason == rest.ErrForeign {
			c.closeConnections() // answers and requests no longer match on one of them
		}
		return newDecodeError(c.route.Name, notFit)
	default:
		c.applied = true
		return &DecodeError{Operation: c.route.Name, Err: err}
	}
}

// info identifies the call to hooks.
func (c *call) info() RequestInfo {
	return RequestInfo{Operation: c.route.Name, Method: c.route.Method, Route: c.route.Path, Server: c.server}
}

// report fills the caller's Response, logs a failure and calls the Response hook, even if the log panics.
func (c *call) report(err error) {
	if r := c.options.response; r != nil {
		*r = Response{StatusCode: c.received.status, Header: c.received.header, RequestID: c.received.requestID,
			Body: c.received.body, Attempts: c.attempts, Waited: c.waited}
	}
	defer c.reportToHooks(err)
	if err != nil && c.logger.Enabled(c.caller, slog.LevelInfo) {
		c.logger.LogAttrs(c.caller, slog.LevelInfo, "drift: the call failed", slog.String("operation", c.route.Name),
			slog.String("server", c.server), slog.Int("attempts", len(c.attempts)),
			slog.Duration("duration", time.Since(c.start)), slog.Duration("waited", c.waited.Total()), ErrorAttr(err))
	}
}

func (c *call) reportToHooks(err error) {
	if c.started > 0 {
		c.callResponse(c.started, &ResponseInfo{RequestInfo: c.info(), callContext: callContext{&c.caller},
			StatusCode: c.received.status, Attempts: len(c.attempts), Duration: time.Since(c.start),
			Waited: c.waited, Err: err})
	}
}

// received is the last answer that arrived. Later attempts may have got no answer.
type received struct {
	status    int
	header    http.Header
	requestID string
	body      []byte
}

// keepAnswer keeps the answer of the last attempt for [Response] and hooks.
func (c *call) keepAnswer() {
	if c.last.status == 0 {
		return
	}
	c.received = received{status: c.last.status, header: c.last.header}
	if c.options.response != nil {
		c.received.requestID, c.received.body = c.last.requestID(), bytes.Clone(c.last.body())
	}
}

// Response describes the course of a call; see [WithResponse]. It is filled even if the call fails. fmt, slog and
// encoding/json show neither Header nor Body, which may hold secrets and personal data; encoding/gob refuses it.
type Response struct {
	StatusCode int         // of the last answer that arrived, even if a later attempt got none; 0: no answer
	Header     http.Header `json:"-"` // of that answer
	RequestID  string      // X-Request-Id of that answer
	Body       []byte      `json:"-"` // of that answer, up to the limit. nil if an io.Writer got it
	Attempts   []Attempt   // in order, without attempts that failed before they were sent
	Waited     Waits
}

// String returns the status, the number of attempts and the request id.
func (r Response) String() string {
	text := fmt.Sprintf("drift.Response(status %d, attempts %d", r.StatusCode, len(r.Attempts))
	if r.RequestID != "" {
		text += ", request " + r.RequestID
	}
	return text + ")"
}

// Format writes String for every verb.
func (r Response) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// LogValue returns the status, the number of attempts, the request id and the time spent waiting.
func (r Response) LogValue() slog.Value {
	return logGroup(slog.Int("status", r.StatusCode), slog.Int("attempts", len(r.Attempts)),
		slog.String("request_id", r.RequestID), slog.Duration("waited", r.Waited.Total()))
}

// GobEncode returns an error: gob would show the header and the body.
func (r Response) GobEncode() ([]byte, error) { return nil, errResponseEncoded }

var errResponseEncoded = errors.New("drift: a Response is not encoded")
