package drift

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"sync"
)

// sendTrace follows one attempt through net/http, which may still be busy with the request after the attempt has ended. It
// determines whether the request can have reached the service, and keeps it from being written twice.
//
// By itself net/http repeats a request over HTTP/1 when a kept connection breaks, and over HTTP/2 after REFUSED_STREAM,
// GOAWAY and PROTOCOL_ERROR; a transport of the caller's may repeat it after an answer. The trace allows a repetition only
// while not a byte was written. In all other cases the attempt ends, and the client's own loop may start another one, with a
// new slot. A transport may also make requests of its own with the same context, for a token perhaps. They have other
// headers, and do not count.
type sendTrace struct {
	url       url.URL
	header    [4]string // values of the request's headers
	client    httptrace.ClientTrace
	body      []byte
	userAgent string
	end       context.CancelCauseFunc // ends the attempt

	mu        sync.Mutex // hooks run on goroutines of net/http
	traced    bool       // the transport reports to httptrace at all
	host      string     // for which the last connection was asked
	conn      net.Conn   // the last one that there was
	connected bool
	fields    headerFields // that are being written
	written   bool         // the request's headers were written, over HTTP/1 perhaps only into a buffer
	writtenTo string       // to this host
	http2     bool         // so they were
	keyed     bool         // with an idempotency key
	answered  bool         // a response came after them
	repeated  bool         // the request was about to be written a second time
}

// headerFields are what is known of the headers that are being written.
type headerFields struct {
	own, foreign bool // some field has the request's own value, or another one
	http2, keyed bool
}

// errBroken ends an attempt whose request was about to be written a second time.
var errBroken = errors.New("the connection broke after the request was sent")

func (t *sendTrace) hooks() *httptrace.ClientTrace {
	t.client.GetConn = func(host string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.traced, t.host, t.connected = true, host, false
		t.endIfRepeated()
	}
	t.client.GotConn = func(info httptrace.GotConnInfo) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.connected, t.conn = true, info.Conn
		t.endIfRepeated()
	}
	t.client.GotFirstResponseByte = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.answered = t.written
	}
	t.client.WroteHeaderField = t.wroteHeaderField
	t.client.WroteHeaders = t.wroteHeaders
	return &t.client
}

// endIfRepeated runs before a request is written. HTTP/2 looks at the context once more before it writes. Over HTTP/1 the
// headers of a request that follows an answer decide: it may be one of the transport's own.
func (t *sendTrace) endIfRepeated() {
	if t.written && t.host == t.writtenTo && (t.http2 || !t.answered) {
		t.repeated = true
		t.end(errBroken)
	}
}

func (t *sendTrace) wroteHeaderField(name string, values []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case strings.HasPrefix(name, ":"):
		t.fields.http2 = true
	case strings.EqualFold(name, "User-Agent"):
		t.fields.compare(values, t.userAgent)
	case strings.EqualFold(name, "Authorization"):
		t.fields.compare(values, t.header[2])
	case strings.EqualFold(name, "Idempotency-Key"), strings.EqualFold(name, "X-Idempotency-Key"):
		t.fields.keyed = true
	}
}

func (f *headerFields) compare(values []string, own string) {
	if len(values) == 1 && values[0] == own {
		f.own = true
	} else {
		f.foreign = true
	}
}

// wroteHeaders runs before HTTP/1, which does not look at the context, flushes them: on a closed connection they stay in the
// buffer.
func (t *sendTrace) wroteHeaders() {
	t.mu.Lock()
	fields := t.fields
	t.fields = headerFields{}
	if fields.foreign && !fields.own {
		t.mu.Unlock()
		return
	}
	again := t.written
	if again && !t.repeated {
		t.repeated = true
		t.end(errBroken)
	}
	t.written, t.writtenTo, t.http2, t.keyed, t.answered = true, t.host, fields.http2, fields.keyed, false
	conn := t.conn
	t.mu.Unlock()
	if again && !fields.http2 && conn != nil {
		_ = conn.Close()
	}
}

// setBody gives the request its body. Over HTTP/1 net/http needs GetBody to move an unwritten request to another
// connection. Over HTTP/2 it would use GetBody to send a request again that the service may have applied; without GetBody it
// returns the error that tells the two apart. So it does of a body that is empty, but not of none, and it repeats a read
// that has GetBody after it was written.
func (t *sendTrace) setBody(req *http.Request, body []byte, protocol int32) {
	read := req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodOptions
	if body == nil && (protocol != 2 || read || req.Method == http.MethodDelete) {
		return
	}
	t.body = body
	req.Body, req.ContentLength = t.newBody(), int64(len(body))
	if protocol == 1 && !read {
		req.GetBody = t.getBody
	}
}

// newBody returns a type that net/http knows to be in memory, so that it writes headers and body at once.
func (t *sendTrace) newBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(t.body)) }

func (t *sendTrace) getBody() (io.ReadCloser, error) {
	moves := movesUnwritten()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case moves && !t.keyed:
		t.written, t.connected = false, false
	case t.written:
		return nil, errBroken
	}
	return t.newBody(), nil
}

// movesUnwritten reports whether GetBody was called by the part of net/http that moves a request over HTTP/1 to another
// connection. Unless the request has an idempotency key, that happens only if not a byte was written. No hook of httptrace
// can tell: WroteHeaders runs when the headers are in a buffer. If a later net/http renames the function, the request is not
// moved, and the error is ambiguous.
func movesUnwritten() bool {
	var callers [1]uintptr
	runtime.Callers(3, callers[:]) // past runtime.Callers, this function and getBody
	frame, _ := runtime.CallersFrames(callers[:]).Next()
	return frame.Function == "net/http.rewindBody"
}

// sent reports whether the request may have been sent. By then its context has ended. It errs on the side of yes: a
// transport that does not report may have sent the request, and a request that has its connection may be about to be
// written.
func (t *sendTrace) sent(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var dial *net.OpError
	switch {
	case t.repeated:
		return true
	case errors.Is(err, errForeignOrigin), refused(err), nothingWritten(err):
		return false
	case t.written:
		return true
	case closedIdle(err): // net/http returns this only after writing has ended
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		return false
	default:
		return !t.traced || t.connected
	}
}

// Texts of errors that net/http, and for HTTP/2 golang.org/x/net, do not export.
const (
	serverClosedIdle = "http: server closed idle connection"

	cannotRetry   = "http2: Transport: cannot retry err ["
	refusedStream = "; REFUSED_STREAM; received from peer]"
	aboveLast     = "http2: Transport received Server's graceful shutdown GOAWAY]"
	aboveLastOf1  = "http2: Transport received GOAWAY from server ErrCode:"
)

// refused reports whether the service said over HTTP/2 that it has not looked at the request: it refused the stream, or its
// GOAWAY names a lower one. A text that is not known counts as sent.
func refused(err error) bool {
	text := innermost(err)
	if reason, found := strings.CutPrefix(text, cannotRetry); found {
		reason, _, _ = strings.Cut(reason, " after Request.Body was written")
		return strings.HasSuffix(reason, refusedStream) || reason == aboveLast
	}
	return strings.HasPrefix(text, aboveLastOf1)
}

// closedIdle reports whether a kept connection turned out to be closed.
func closedIdle(err error) bool { return innermost(err) == serverClosedIdle }

// nothingWritten reports whether net/http found that not a byte was written. Its type for that is not exported.
func nothingWritten(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if of := reflect.TypeOf(err); of.PkgPath() == "net/http" && of.Name() == "nothingWrittenError" {
			return true
		}
	}
	return false
}

// innermost is the text of the error that all others wrap.
func innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
