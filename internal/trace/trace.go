// Package trace follows a request through net/http: it determines whether the request can have reached the service, keeps
// it from being written twice, and says what went wrong without quoting an error of the network.
package trace

import (
	"bytes"
	"context"
	"crypto/tls"
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

// Request follows one request through net/http, which may still be busy with it after the attempt has ended.
//
// By itself net/http repeats a request over HTTP/1 when a kept connection breaks, and over HTTP/2 after REFUSED_STREAM,
// GOAWAY and PROTOCOL_ERROR; a transport of the caller's may repeat it after an answer. Request allows a repetition only
// while not a byte was written. In all other cases it ends the attempt, and the client may start another one, with a new
// slot.
//
// A transport of the caller's may also make requests of its own with the same context, for a token perhaps. They go to
// another host, or have other headers and follow an answer. Dumping a request writes it, but not to a network.
type Request struct {
	client        httptrace.ClientTrace
	body          []byte
	userAgent     string
	authorization string
	end           context.CancelCauseFunc // ends the attempt

	mu        sync.Mutex // hooks run on goroutines of net/http
	traced    bool       // the transport reports to httptrace at all
	host      string     // for which the last connection was asked
	conn      net.Conn   // the last one that there was
	dumped    bool       // what is written goes to no network
	connected bool
	fields    fields // that are being written
	last      write  // the last request that was written
	written   *write // the last one that had the headers of this request; nil: none
	repeated  bool   // the request was about to be written a second time
}

// write is a request whose headers were written, over HTTP/1 perhaps only into a buffer.
type write struct {
	fields
	host       string // for which its connection was asked
	unanswered bool
}

// fields are what is known of a request by its headers.
type fields struct {
	authority    string
	own, foreign bool // some field has the request's own value, or another one
	http2, keyed bool
}

// Follow returns a context for a request, and what follows it. The context ends with ErrBroken if the request is about to
// be written a second time, and with cancel.
func Follow(ctx context.Context) (traced context.Context, r *Request, cancel context.CancelCauseFunc) {
	r = new(Request)
	ctx, r.end = context.WithCancelCause(ctx)
	return httptrace.WithClientTrace(ctx, r.hooks()), r, r.end
}

// ErrBroken ends an attempt whose request was about to be written a second time.
var ErrBroken = errors.New("the connection broke after the request was sent")

func (r *Request) hooks() *httptrace.ClientTrace {
	r.client.GetConn = r.getConn
	r.client.GotConn = r.gotConn
	r.client.GotFirstResponseByte = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last.unanswered = false
	}
	r.client.WroteHeaderField = r.wroteHeaderField
	r.client.WroteHeaders = r.wroteHeaders
	return &r.client
}

// getConn ends the attempt if net/http asks for a connection because there was no answer on the one before.
func (r *Request) getConn(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.traced, r.host, r.connected = true, host, false
	if r.last.unanswered && r.last.host == host {
		r.endAsRepeated()
	}
}

// gotConn also ends the attempt over HTTP/2 if an answer has come: the headers, which tell a repetition from a request of
// the transport's own, are known too late there. HTTP/2 looks at the context once more before it writes.
func (r *Request) gotConn(info httptrace.GotConnInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dumped = isTypeOf(info.Conn, "net/http/httputil", "dumpConn")
	if r.dumped {
		return
	}
	again := r.last.unanswered && r.last.host == r.host ||
		r.written != nil && r.written.http2 && r.written.host == r.host && r.mayBeFor(info.Conn, r.written.authority)
	r.connected, r.conn = true, info.Conn
	if again {
		r.endAsRepeated()
	}
}

// mayBeFor reports whether a connection, which may lead through a proxy, may be for a host.
func (r *Request) mayBeFor(conn net.Conn, authority string) bool {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return true
	}
	host := (&url.URL{Host: authority}).Hostname()
	name := secure.ConnectionState().ServerName
	return name == "" || host == name
}

func (r *Request) endAsRepeated() {
	r.repeated = true
	r.end(ErrBroken)
}

func (r *Request) wroteHeaderField(name string, values []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case strings.EqualFold(name, "Host"), name == ":authority":
		r.fields.authority = strings.Join(values, "")
		r.fields.http2 = r.fields.http2 || name[0] == ':'
	case strings.HasPrefix(name, ":"):
		r.fields.http2 = true
	case strings.EqualFold(name, "User-Agent"):
		r.fields.compare(values, r.userAgent)
	case strings.EqualFold(name, "Authorization"):
		r.fields.compare(values, r.authorization)
	case strings.EqualFold(name, "Idempotency-Key"), strings.EqualFold(name, "X-Idempotency-Key"):
		r.fields.keyed = true
	}
}

func (f *fields) compare(values []string, own string) {
	if len(values) == 1 && values[0] == own {
		f.own = true
	} else {
		f.foreign = true
	}
}

// wroteHeaders runs before HTTP/1, which does not look at the context, flushes them: on a closed connection they stay in the
// buffer.
func (r *Request) wroteHeaders() {
	r.mu.Lock()
	w := write{fields: r.fields, host: r.host, unanswered: true}
	r.fields = fields{}
	conn := r.conn
	if r.dumped {
		r.mu.Unlock()
		return
	}
	own := w.own || !w.foreign
	again := r.repeated || own && r.written != nil
	if again && !r.repeated {
		r.endAsRepeated()
	}
	r.last = w
	if own {
		r.written = &w
	}
	r.mu.Unlock()
	if again && !w.http2 && conn != nil {
		_ = conn.Close()
	}
}

// Prepare takes the headers by which the request is known, and gives it its body, nil for none.
//
// Over HTTP/1 net/http needs GetBody to move an unwritten request to another connection. Over HTTP/2 it would use GetBody
// to send a request again that the service may have applied; without GetBody it returns the error that tells the two apart.
// It repeats a read that has GetBody after it was written. The protocol is the major version of HTTP that the service
// speaks; 0: it is not known.
func (r *Request) Prepare(req *http.Request, body []byte, protocol int) {
	r.userAgent, r.authorization = req.Header.Get("User-Agent"), req.Header.Get("Authorization")
	if body == nil {
		return
	}
	r.body = body
	req.Body, req.ContentLength = r.newBody(), int64(len(body))
	if protocol == 1 && !isRead(req.Method) {
		req.GetBody = r.getBody
	}
}

func isRead(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// newBody returns a type that net/http knows to be in memory, so that it writes headers and body at once.
func (r *Request) newBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(r.body)) }

func (r *Request) getBody() (io.ReadCloser, error) {
	moves := movesUnwritten()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case moves && !r.last.keyed:
		r.last, r.written, r.connected = write{}, nil, false
	case r.last.unanswered || r.written != nil:
		return nil, ErrBroken
	}
	return r.newBody(), nil
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

// Sent reports whether the request may have been sent, given the error with which it failed. By then its context has ended.
// It errs on the side of yes: a transport that does not report may have sent the request, and a request that has its
// connection may be about to be written.
func (r *Request) Sent(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var dial *net.OpError
	switch {
	case r.repeated:
		return true
	case Refused(err), nothingWritten(err):
		return false
	case r.written != nil || r.last.unanswered:
		return true
	case closedIdle(err): // net/http returns this only after writing has ended
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		return false
	default:
		return !r.traced || r.connected
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

// Refused reports whether the service said over HTTP/2 that it has not looked at the request: it refused the stream, or its
// GOAWAY names a lower one. A text that is not known counts as sent.
func Refused(err error) bool {
	text := innermost(err)
	if reason, found := strings.CutPrefix(text, cannotRetry); found {
		reason, _, _ = strings.Cut(reason, " after Request.Body was written")
		return strings.HasSuffix(reason, refusedStream) || reason == aboveLast
	}
	return strings.HasPrefix(text, aboveLastOf1)
}

// Stale reports whether an error of net/http says that a kept connection turned out to be closed before anything was
// written to it.
func Stale(err error) bool { return closedIdle(err) || nothingWritten(err) }

func closedIdle(err error) bool { return innermost(err) == serverClosedIdle }

// nothingWritten reports whether net/http found that not a byte was written. Its type for that is not exported.
func nothingWritten(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if isTypeOf(err, "net/http", "nothingWrittenError") {
			return true
		}
	}
	return false
}

// isTypeOf reports whether a value has a type, or is a pointer to one, that its package does not export.
func isTypeOf(value any, path, name string) bool {
	of := reflect.TypeOf(value)
	if of != nil && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return of != nil && of.PkgPath() == path && of.Name() == name
}

// innermost is the text of the error that all others wrap.
func innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
