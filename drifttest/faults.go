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

// Fault breaks one request. The zero Fault lets the request through.
//
// Fields combine: Fault{Status: 500, Applied: true, Delay: time.Second} applies the request, waits, and answers 500.
type Fault struct {
	// Status replaces the real answer, and the request is not applied. 0 handles the request
	// normally.
	Status int
	// Header is set on the answer with Status.
	Header http.Header
	// Body is the body of that answer. If it is empty and Status is an error, the server sends an
	// error body as the service would. For "oauth.token" that is invalid_grant with 400, and
	// invalid_client with 401.
	Body string
	// Applied applies the request to the store before the server answers with Status.
	Applied bool

	// Delay is the time between applying the request and answering it. It ends early, without an
	// answer, if the client gives up or the server closes.
	Delay time.Duration

	// Drop closes the connection at this stage.
	Drop Stage
	// Truncate cuts the body to this many bytes, with a matching Content-Length. 0 leaves it whole.
	Truncate int
	// Pad streams this many spaces after the body, which leaves the JSON valid but huge. No
	// Content-Length is sent.
	Pad int
}

// Stage is the moment at which a [Fault] drops the connection. 0 does not drop it.
type Stage int

// The stages, in the order of time.
const (
	// DropBeforeAnswer drops the connection before the request is applied, and sends nothing.
	DropBeforeAnswer Stage = iota + 1
	// DropAfterHandling applies the request, and sends nothing.
	DropAfterHandling
	// DropInHeaders drops the connection in the middle of the answer's headers.
	DropInHeaders
	// DropInBody sends the headers with the full Content-Length and half the body. An answer
	// without a body is dropped in its headers instead.
	DropInBody
)

// anyOperation stands for every request, even one that is not an operation.
const anyOperation = "*"

// Fail applies one fault each to the next requests of an operation, in order. Later requests are handled normally. A
// second call adds to the queue. A request that is refused because of its token or a limit uses up no fault.
//
// The operation is a name such as "conversations.get" or "classic.contacts.get", or a method and template such as "GET
// v2/contacts/{contactId}".
// An endpoint of [Server.Handle] has only the latter, so call Handle before Fail. The authorize page is
// "oauth.authorize", and the token endpoint "oauth.token". "*" is any request, even one that is not an operation;
// faults of the operation are used before those of "*".
//
// An unknown operation or an impossible fault ends the test that started the server, or panics if no test did.
func (s *Server) Fail(operation string, faults ...Fault) {
	s.t.Helper()
	name, known := s.operationNamed(operation)
	if !known {
		s.t.Fatalf("drifttest: Fail: %s", s.unknownOperation(operation))
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
		f.Header = f.Header.Clone() // so that the caller may change it
		s.faults[name] = append(s.faults[name], f)
	}
}

// operationNamed returns the name under which the server keeps faults and requests of an operation. The argument may
// also be "METHOD template".
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

// isNone reports whether the fault lets a request through unchanged.
func (f Fault) isNone() bool {
	return f.Status == 0 && f.Delay == 0 && f.Drop == 0 && f.Truncate == 0 && f.Pad == 0
}

func (f Fault) check() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		return fmt.Errorf("an answer cannot have the status %d", f.Status)
	case f.Drop < 0 || f.Drop > DropInBody:
		return fmt.Errorf("there is no stage %d", f.Drop)
	case f.Delay < 0 || f.Truncate < 0 || f.Pad < 0:
		return errors.New("negative Delay, Truncate or Pad")
	}
	return nil
}

// takeFault removes and returns the next fault. The caller holds s.mu.
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
		text := http.StatusText(f.Status)
		a.body = errorBody(operation, &failure{status: f.Status, kind: errorType(f.Status), message: text})
	}
	return a
}

func (f Fault) truncate(a answer) answer {
	if f.Truncate > 0 && f.Truncate < len(a.body) {
		a.body = a.body[:f.Truncate]
	}
	return a
}

// dropInHeaders hijacks the connection, because net/http does not send half a header.
func dropInHeaders(w http.ResponseWriter, status int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: applic", status, http.StatusText(status))
}

// dropInBody sends and flushes half the body, then makes net/http close the connection.
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
