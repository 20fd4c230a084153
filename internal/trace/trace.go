// Package trace follows a request through net/http. It determines whether the request can have reached the service,
// prevents the request from being written twice, and describes network errors without quoting them.
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
	"strconv"
	"strings"
	"sync"
)

// Request follows one request through net/http, which may still be working on it after the attempt has ended.
//
// By default, net/http repeats a request over HTTP/1 when a kept connection breaks, and over HTTP/2 after
// REFUSED_STREAM, GOAWAY and PROTOCOL_ERROR. The caller's transport may repeat it after an answer. Request allows a
// repetition only if nothing was written. Otherwise it ends the attempt, and the client may start another attempt with
// a new slot.
//
// The caller's transport may also make its own requests with the same context, for example for a token. They go to
// another host, or have other headers and another method, path or length. A transport may also dump the request, which
// writes it, but not to a network.
type Request struct {
	context.Context // of the attempt; by its Value, FromContext finds the Request

	Number        int // of the attempt, from 1
	client        httptrace.ClientTrace
	body          []byte
	method, path  string
	userAgent     string
	authorization string
	end           context.CancelCauseFunc // ends the attempt

	mu sync.Mutex // hooks run on goroutines of net/http
	connection
	before   connection // the one before; a dump does not replace it
	dumped   bool       // the connection is a dump, not a network
	fields   fields     // of the request that is being written
	written  *write     // the last request with the headers of this one; nil: none
	changed  *write     // the last request that may be this one with other headers; nil: none
	current  *write     // the last request of any kind
	repeated bool       // the request was about to be written a second time
	passed   bool       // the request has passed the Guard
}

// connection is the last one that net/http asked for.
type connection struct {
	traced    bool // the transport reports to httptrace
	host      string
	conn      net.Conn
	connected bool
}

// write is a request whose headers were written, over HTTP/1 perhaps only into a buffer.
type write struct {
	fields
	host     string // of its connection; "": not known
	answered bool
}

// fields are the properties of a request that its headers show.
type fields struct {
	authority    string
	own, foreign bool // a field has the value of this request, or another value
	other        bool // the method, the path or the length is not that of this request
	sized        bool // the request has a body, or says that it has none
	http2, keyed bool
}

// Follow returns a context for the request of an attempt, and the Request that follows it. The context ends with
// ErrBroken if the request is about to be written a second time, or when cancel is called.
func Follow(
	ctx context.Context, number int,
) (traced context.Context, r *Request, cancel context.CancelCauseFunc) {
	r = &Request{Context: ctx, Number: number}
	ctx, r.end = context.WithCancelCause(r)
	return httptrace.WithClientTrace(ctx, r.hooks()), r, r.end
}

type requestKey struct{}

// Value implements context.Context. The Request is a context so that it costs no allocation to find it in one.
func (r *Request) Value(key any) any {
	if key == (requestKey{}) {
		return r
	}
	return r.Context.Value(key)
}

// FromContext returns the Request of an attempt, or nil if there is none in its context.
func FromContext(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}

// ErrBroken ends an attempt whose request was about to be written a second time.
var ErrBroken = errors.New("the connection broke after the request was sent")

func (r *Request) hooks() *httptrace.ClientTrace {
	r.client.GetConn = r.getConn
	r.client.GotConn = r.gotConn
	r.client.GotFirstResponseByte = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.current != nil && !r.dumped {
			r.current.answered = true
		}
	}
	r.client.WroteHeaderField = r.wroteHeaderField
	r.client.WroteHeaders = r.wroteHeaders
	return &r.client
}

// getConn ends the attempt if net/http asks for a second connection to the host before there was an answer on the
// first, so that no connection is made in vain.
func (r *Request) getConn(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dumped {
		r.before = r.connection
	}
	r.connection, r.dumped = connection{traced: true, host: host}, false
	if r.written.waits(host) || r.changed.waits(host) {
		r.endAsRepeated()
	}
}

// gotConn checks again when net/http has a connection. Over HTTP/2 it ends the attempt even after an answer: the
// headers, which distinguish a repetition from another request of the transport, are known too late there. HTTP/2
// checks the context again before it writes.
func (r *Request) gotConn(info httptrace.GotConnInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isTypeOf(info.Conn, "net/http/httputil", "dumpConn") {
		r.connection, r.dumped = r.before, true
		return
	}
	r.connected, r.conn = true, info.Conn
	w := r.written
	if w.waits(r.host) || r.changed.waits(r.host) || r.beingWritten(info.Conn) ||
		w != nil && w.to(r.host) && w.http2 && mayBeFor(info.Conn, w.authority) {
		r.endAsRepeated()
	}
}

// beingWritten reports whether HTTP/2 writes the request, perhaps to this connection. The service may answer before
// WroteHeaders has run, and net/http then asks for a connection again.
func (r *Request) beingWritten(conn net.Conn) bool {
	return r.fields.http2 && (r.fields.own || !r.fields.foreign) && mayBeFor(conn, r.fields.authority)
}

// waits reports whether a request to a host was written and has no answer yet.
func (w *write) waits(host string) bool { return w != nil && !w.answered && w.to(host) }

// to reports whether a request was written to a host. If that is not known, because HTTP/2 has taken a connection that
// another request asked for, it may have been.
func (w *write) to(host string) bool { return w.host == host || w.host == "" }

// mayBeFor reports whether a connection, possibly through a proxy, may be to a host.
func mayBeFor(conn net.Conn, authority string) bool {
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
	case name == ":method":
		r.fields.http2 = true
		r.fields.differ(values, r.method)
	case name == ":path":
		r.fields.differ(values, r.path)
	case strings.EqualFold(name, "Content-Length"):
		r.fields.sized = true
		r.fields.differ(values, strconv.Itoa(len(r.body)))
	case strings.EqualFold(name, "Transfer-Encoding"):
		r.fields.sized = true
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

func (f *fields) differ(values []string, own string) {
	f.other = f.other || len(values) != 1 || values[0] != own
}

// wroteHeaders runs before HTTP/1 flushes the headers. HTTP/1 does not check the context again. To stop a repetition,
// wroteHeaders closes the connection, and the headers stay in the buffer.
func (r *Request) wroteHeaders() {
	r.mu.Lock()
	w := &write{fields: r.fields, host: r.host}
	w.other = w.other || !w.http2 && !w.sized && len(r.body) > 0
	r.fields = fields{}
	if r.dumped {
		r.mu.Unlock()
		return
	}
	conn, again := r.conn, false
	r.current = w
	switch {
	case w.own || !w.foreign:
		again = r.repeated || r.written != nil || r.changed.waits(w.host)
		r.written = w
	case !w.other:
		again = r.repeated || r.written.waits(w.host) || r.changed.waits(w.host)
		r.changed = w
	}
	if again && !r.repeated {
		r.endAsRepeated()
	}
	r.mu.Unlock()
	if again && !w.http2 && conn != nil {
		_ = conn.Close()
	}
}

// Prepare sets the body of the request, nil for none, and remembers the headers that identify the request.
//
// It sets GetBody only for writes over HTTP/1, where net/http needs it to move an unwritten request to another
// connection. Over HTTP/2, net/http would use GetBody to repeat a request that the service may have applied; without
// GetBody, it returns an error that shows whether it has. For a read, net/http would use GetBody to repeat the request
// after it was written. The protocol is the service's major HTTP version; 0: unknown.
func (r *Request) Prepare(req *http.Request, body []byte, protocol int) {
	r.method, r.path = req.Method, req.URL.RequestURI()
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

// newBody returns the body in a type that net/http knows to be in memory, so that it writes headers and body together.
func (r *Request) newBody() io.ReadCloser { return io.NopCloser(bytes.NewReader(r.body)) }

func (r *Request) getBody() (io.ReadCloser, error) {
	moves := movesUnwritten()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case moves && (r.current == nil || !r.current.keyed):
		r.written, r.changed, r.connected = nil, nil, false
	case r.written != nil || r.changed != nil:
		return nil, ErrBroken
	}
	return r.newBody(), nil
}

// movesUnwritten reports whether the caller of GetBody is the function of net/http that moves a request over HTTP/1 to
// another connection. Unless the request has an idempotency key, net/http does that only if nothing was written.
// httptrace cannot show that, because WroteHeaders runs when the headers are still in a buffer. If a later net/http
// renames the function, the request is not moved, and the error is ambiguous.
func movesUnwritten() bool {
	var callers [1]uintptr
	runtime.Callers(3, callers[:]) // past runtime.Callers, this function and getBody
	frame, _ := runtime.CallersFrames(callers[:]).Next()
	return frame.Function == "net/http.rewindBody"
}

// Sent reports whether the request may have been sent, given the error with which it failed. The context must have
// ended. In doubt, the answer is yes: a transport that does not report to httptrace may have sent the request, and a
// request with a connection may be about to be written.
func (r *Request) Sent(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var dial *net.OpError
	switch {
	case r.repeated:
		return true
	case Refused(err), nothingWritten(err):
		return false
	case r.written != nil || r.changed != nil:
		return true
	case closedIdle(err): // net/http returns this error only after writing has ended
		return false
	case errors.As(err, &dial) && dial.Op == "dial":
		return false
	default:
		return !r.traced || r.connected
	}
}

// Phase returns what the attempt was doing last, as far as the transport reports it. After the headers of an answer, it
// is Reading, which the caller knows.
func (r *Request) Phase() Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.traced:
		return Unknown
	case r.connected:
		return Waiting
	}
	return Connecting
}

// Texts of errors that net/http, and for HTTP/2 golang.org/x/net, do not export.
const (
	serverClosedIdle = "http: server closed idle connection"
	malformed        = "malformed HTTP "

	cannotRetry   = "http2: Transport: cannot retry err ["
	refusedStream = "; REFUSED_STREAM; received from peer]"
	aboveLast     = "http2: Transport received Server's graceful shutdown GOAWAY]"
	aboveLastOf1  = "http2: Transport received GOAWAY from server ErrCode:"
)

// Refused reports whether the service declared over HTTP/2 that it has not processed the request: it refused the
// stream, or its GOAWAY names a lower stream. It does not recognize errors with other texts.
func Refused(err error) bool {
	text := innermost(err)
	if reason, found := strings.CutPrefix(text, cannotRetry); found {
		reason, _, _ = strings.Cut(reason, " after Request.Body was written")
		return strings.HasSuffix(reason, refusedStream) || reason == aboveLast
	}
	return strings.HasPrefix(text, aboveLastOf1)
}

// Stale reports whether an error of net/http means that a kept connection turned out to be closed before anything was
// written to it.
func Stale(err error) bool { return closedIdle(err) || nothingWritten(err) }

func closedIdle(err error) bool { return innermost(err) == serverClosedIdle }

// nothingWritten reports whether an error has the unexported type of net/http for a request of which nothing was
// written.
func nothingWritten(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if isTypeOf(err, "net/http", "nothingWrittenError") {
			return true
		}
	}
	return false
}

// isTypeOf reports whether a value has a type, or is a pointer to it. It also recognizes types that are not exported.
func isTypeOf(value any, path, name string) bool {
	of := reflect.TypeOf(value)
	if of != nil && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return of != nil && of.PkgPath() == path && of.Name() == name
}

// innermost returns the text of the error that all others wrap.
func innermost(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}
