package drifttest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is what happens to one request. The zero Fault lets it through.
//
// The parts combine: Fault{Status: 500, Applied: true, Delay: time.Second} applies the request, waits, and answers 500.
type Fault struct {
	// Status is answered instead of the real answer, and the request is not applied; 0 handles it normally.
	Status int
	// Header is set on the answer of Status.
	Header http.Header
	// Body is the body of that answer. When it is empty and Status is an error, an error body of the service is sent;
	// that of "oauth.token" is invalid_grant for 400, and invalid_client for 401.
	Body string
	// Applied applies the request to the store before Status is answered.
	Applied bool

	// Delay passes before the answer, after the request was applied. It ends early when the client gives up or the
	// server closes; then nothing is answered.
	Delay time.Duration

	// Drop closes the connection at a stage.
	Drop Stage
	// Truncate cuts the body to that many bytes, with a Content-Length to match; 0 leaves it whole.
	Truncate int
	// Pad streams that many spaces after the body, which leaves the JSON valid but huge. No Content-Length is sent.
	Pad int
}

// Stage is the moment at which a [Fault] drops the connection; 0 keeps it.
type Stage int

// The stages, in the order of a request's life.
const (
	// DropBeforeAnswer does not apply the request, and sends not one byte.
	DropBeforeAnswer Stage = iota + 1
	// DropAfterHandling applies the request, and sends not one byte.
	DropAfterHandling
	// DropInHeaders breaks off in the headers of the answer.
	DropInHeaders
	// DropInBody sends the headers with the full Content-Length and half the body. An answer without a body breaks off
	// in its headers instead.
	DropInBody
)

// anyOperation stands for every operation, and for requests that are none.
const anyOperation = "*"

// Fail gives the next requests of an operation one fault each, in order. Later requests are handled normally, and a
// second call adds to the queue. A request that is refused for its token or a limit uses up no fault.
//
// The operation is a name such as "conversations.get", or a method and template such as "GET v2/contacts/{contactId}",
// which is also how to name an endpoint of [Server.Handle]. "*" is any request, even one that is not an operation;
// faults of the operation come before those of "*". The authorize page and the token endpoint are "oauth.authorize" and
// "oauth.token", and belong to "*" too.
//
// An unknown operation or a fault that cannot be sent ends the test that started the server, or panics if no test did.
// Call Handle before Fail.
func (s *Server) Fail(operation string, faults ...Fault) {
	s.t.Helper()
	name, known := s.operationNamed(operation)
	if !known {
		s.t.Fatalf("drifttest: Fail: unknown operation %q", operation)
		return
	}
	for _, f := range faults {
		if err := f.check(); err != nil {
			s.t.Fatalf("drifttest: Fail: %v", err)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		f.Header = f.Header.Clone() // the caller's own stays free to change
		s.faults[name] = append(s.faults[name], f)
	}
}

// operationNamed returns the name under which faults and requests of an operation are kept. It may be called "METHOD
// template", too.
func (s *Server) operationNamed(name string) (string, bool) {
	if name == anyOperation || slices.ContainsFunc(endpoints[:], func(e endpoint) bool { return e.name == name }) {
		return name, true
	}
	method, template, _ := strings.Cut(name, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.allOperations() {
		if o.name == name || o.isAt(method, template) {
			return o.name, true
		}
	}
	return "", false
}

// isNone reports whether the fault lets a request through as it is.
func (f Fault) isNone() bool {
	return f.Status == 0 && f.Delay == 0 && f.Drop == 0 && f.Truncate == 0 && f.Pad == 0
}

func (f Fault) check() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return fmt.Errorf("no answer can have the status %d", f.Status)
	case f.Drop < 0 || f.Drop > DropInBody:
		return fmt.Errorf("there is no stage %d", f.Drop)
	case f.Delay < 0 || f.Truncate < 0 || f.Pad < 0:
		return errors.New("a negative Delay, Truncate or Pad")
	}
	return nil
}

// takeFault removes and returns the fault that is next. The caller holds s.mu.
func (s *Server) takeFault(operation string) Fault {
	if len(s.faults[operation]) > 0 {
		return s.popFault(operation)
	}
	if len(s.faults[anyOperation]) > 0 {
		return s.popFault(anyOperation)
	}
	return Fault{}
}

func (s *Server) popFault(operation string) Fault {
	queue := s.faults[operation]
	s.faults[operation] = queue[1:]
	return queue[0]
}

func (f Fault) answer(operation string) answer {
	a := answer{status: f.Status, header: f.Header, body: []byte(f.Body)}
	switch {
	case f.Body != "" || f.Status < http.StatusBadRequest:
	case operation == oauthToken && f.Status == http.StatusBadRequest:
		a.body = tokenErrorBody("invalid_grant", http.StatusText(f.Status))
	case operation == oauthToken && f.Status == http.StatusUnauthorized:
		a.body = tokenErrorBody("invalid_client", http.StatusText(f.Status))
	default:
		a.body = errorBody(errorType(f.Status), http.StatusText(f.Status))
	}
	return a
}

func (f Fault) truncate(a answer) answer {
	if f.Truncate > 0 && f.Truncate < len(a.body) {
		a.body = a.body[:f.Truncate]
	}
	return a
}

// dropInHeaders takes the connection from net/http, which would not send half a header.
func dropInHeaders(w http.ResponseWriter, status int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: applic", status, http.StatusText(status))
}

// dropInBody sends half the body for certain, then makes net/http close the connection.
func dropInBody(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func writePadding(w http.ResponseWriter, n int) {
	chunk := bytes.Repeat([]byte(" "), min(n, 32<<10))
	for n > 0 {
		written, err := w.Write(chunk[:min(n, len(chunk))])
		if err != nil {
			return
		}
		n -= written
	}
}
