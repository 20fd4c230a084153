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
	"runtime"
	"strings"
	"sync"
)

// sendTrace follows one attempt through net/http, which may still be busy with the request after the attempt has ended. It
// determines whether the request can have reached the service, and keeps net/http from writing the request twice.
//
// By itself net/http repeats a request over HTTP/1 when a kept connection breaks, and over HTTP/2 after REFUSED_STREAM,
// GOAWAY and PROTOCOL_ERROR. The trace allows that only while not a byte was written. In all other cases the attempt ends,
// and the client's own loop may start another one, with a new slot.
type sendTrace struct {
	url    url.URL
	header [4]string // values of the request's headers
	client httptrace.ClientTrace
	body   []byte
	end    context.CancelCauseFunc // ends the attempt

	mu        sync.Mutex // hooks run on goroutines of net/http
	traced    bool       // the transport reports to httptrace at all
	host      string     // to which the request, or another one of the transport, is about to be sent
	conn      net.Conn   // the last one that it got
	connected bool
	written   bool   // the headers were written, over HTTP/1 perhaps only into a buffer
	writtenTo string // to this host
	repeated  bool   // net/http was about to write the request a second time
}

// errBroken ends an attempt that net/http would have repeated.
var errBroken = errors.New("the connection broke after the request was sent")

func (t *sendTrace) hooks() *httptrace.ClientTrace {
	t.client.GetConn = func(host string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.traced, t.host = true, host
		t.endIfWritten()
	}
	t.client.GotConn = func(info httptrace.GotConnInfo) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.connected, t.conn = true, info.Conn
		t.endIfWritten()
	}
	t.client.WroteHeaders = t.wroteHeaders
	return &t.client
}

// endIfWritten runs before a request is written. HTTP/2 looks at the context once more before it writes. A request to
// another host is one that the transport makes for itself with the same context, for a token perhaps.
func (t *sendTrace) endIfWritten() {
	if t.written && t.writtenTo == t.host {
		t.repeated = true
		t.end(errBroken)
	}
}

// wroteHeaders runs before HTTP/1, which does not look at the context, flushes them: on a closed connection they stay in the
// buffer.
func (t *sendTrace) wroteHeaders() {
	t.mu.Lock()
	t.written, t.writtenTo = true, t.host
	conn, repeated := t.conn, t.repeated
	t.mu.Unlock()
	if repeated && conn != nil {
		_ = conn.Close()
	}
}

// setBody gives the request its body. Over HTTP/1 net/http needs GetBody to move an unwritten request to another
// connection. Over HTTP/2 it would use GetBody to send a request again that the service may have applied; without GetBody it
// returns the error that tells the two apart.
func (t *sendTrace) setBody(req *http.Request, body []byte, http1 bool) {
	t.body = body
	req.Body, req.ContentLength = t.newBody(), int64(len(body))
	if http1 {
		req.GetBody = t.getBody
	}
}

// newBody returns a type that net/http knows to be in memory, so that it writes headers and body at once.
func (t *sendTrace) newBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(t.body)) }

func (t *sendTrace) getBody() (io.ReadCloser, error) {
	unwritten := movesUnwritten()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case unwritten:
		t.written, t.connected = false, false
	case t.written:
		return nil, errBroken
	}
	return t.newBody(), nil
}

// movesUnwritten reports whether GetBody was called by the part of net/http that moves a request over HTTP/1 to another
// connection, which happens only if not a byte was written. No hook of httptrace can tell: WroteHeaders runs when the headers
// are in a buffer. If a later net/http renames the function, the request is not moved, and the error is ambiguous.
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
	case errors.Is(err, errForeignOrigin), refused(err):
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

// innermost is the text of the error that all others wrap.
func innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
