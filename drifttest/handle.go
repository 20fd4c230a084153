package drifttest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Handle adds an endpoint that the server does not have, so that you can test code that calls [drift.Client.Do] or
// [drift.ListOf].
//
//	srv.Handle("GET", "deals/{dealId}", func(w http.ResponseWriter, r *http.Request) {
//		fmt.Fprintf(w, `{"data": {"id": %s, "name": "Renewal"}}`, r.PathValue("dealId"))
//	})
//
// The method is in upper case and matches exactly: GET does not include HEAD. The template has the form of
// [drift.Request].Path: relative to the server's URL, without a slash at either end. The handler reads its parameters,
// unescaped, with [http.Request.PathValue]. To pass an [http.Handler] h, write h.ServeHTTP.
//
// The server treats the endpoint like a built-in operation: it checks the access token, applies the limits of
// [WithLimits] and the faults of [Server.Fail], and records the request. Fail, [Server.Count] and [Request].Operation
// name it by method and template, "GET deals/{dealId}". The server does not check headers, query or body; it reads the
// whole body before it calls the handler.
//
// The handler writes the whole answer, including the envelope {"data": …} if the answer needs one. The answer goes out
// as written, so the handler may flush, stream or hijack the connection. If a [Fault] applies, the server buffers the
// answer and sends it after the handler returns.
//
// A handler for a built-in operation, such as "GET v2/tags/{tagId}", replaces it and keeps its name, "tags.get". A
// second handler for the same method and template replaces the first; the names of parameters make no difference. If a
// path matches several templates, the one with the fewest parameters wins. In a tie a handler beats a built-in
// operation, and a later handler beats an earlier one.
//
// Handle is safe to call while requests run; a request uses the handler that was there when it arrived. A handler may
// call the server's methods except [Server.Close], which waits for it to return.
//
// A bad method or template, a nil handler, or the path of an OAuth endpoint ends the test that started the server, or
// panics if no test did.
func (s *Server) Handle(method, template string, handler http.HandlerFunc) {
	s.t.Helper()
	if err := checkHandler(method, template, handler); err != nil {
		s.t.Fatalf("drifttest: Handle: %v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	added := &operation{name: method + " " + template, method: method, path: template, own: handler}
	for o := range s.allOperations() {
		if o.isAt(method, template) {
			added.name = o.name // so that faults and counts of the name still apply
			break
		}
	}
	s.own = slices.DeleteFunc(slices.Clone(s.own), func(o *operation) bool { return o.isAt(method, template) })
	s.own = append(s.own, added)
}

func checkHandler(method, template string, handler http.HandlerFunc) error {
	switch {
	case method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }):
		return errors.New("the method must be in upper case")
	case handler == nil:
		return errors.New("the handler must not be nil")
	case findEndpoint(method, "/"+template) != nil:
		return errors.New("the path belongs to the server's OAuth endpoints")
	}
	for segment := range strings.SplitSeq(template, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

// checkSegment allows what [drift.Request].Path allows.
func checkSegment(segment string) error {
	name, isParameter := strings.CutPrefix(segment, "{")
	name, closed := strings.CutSuffix(name, "}")
	switch {
	case isParameter && (!closed || !isWord(name)):
		return errors.New("a parameter of the template must be a word in braces")
	case isParameter:
		return nil
	case segment == "":
		return errors.New("the template must be relative, without empty segments")
	case segment == "." || segment == "..":
		return errors.New("the template must not have . or .. for a segment")
	case strings.ContainsFunc(segment, needsEscape):
		return errors.New("the template has a character that must be escaped in a path")
	}
	return nil
}

func needsEscape(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`?#%\{}`, r) }

func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isAt reports whether the operation has this method and template, whatever the names of the parameters.
func (o *operation) isAt(method, template string) bool {
	own, other := strings.Split(o.path, "/"), strings.Split(template, "/")
	return o.method == method && slices.EqualFunc(own, other, func(a, b string) bool {
		return a == b || strings.HasPrefix(a, "{") && strings.HasPrefix(b, "{")
	})
}

func (e *exchange) isOwn() bool { return e.operation != nil && e.operation.own != nil }

// forHandler returns the request for a handler.
func (e *exchange) forHandler() *http.Request {
	r := e.request.Clone(e.request.Context())
	r.Body = io.NopCloser(bytes.NewReader(e.body))
	for name, value := range e.path {
		r.SetPathValue(name, value)
	}
	return r
}

// serveOwn lets a handler write its answer to the connection.
func (s *Server) serveOwn(w http.ResponseWriter, e *exchange) {
	w.Header().Set("X-Request-Id", e.id)
	watched := &watchedWriter{ResponseWriter: w, answered: func(status int) { s.setStatus(e.record, status) }}
	e.operation.own(watched, e.forHandler())
	watched.begin(http.StatusOK)
}

// watchedWriter reports the status before the headers go out.
type watchedWriter struct {
	http.ResponseWriter
	answered func(status int)
	begun    bool
}

// begin sends the headers unless they are sent or the handler has hijacked the connection.
func (w *watchedWriter) begin(status int) {
	if !w.begun {
		w.WriteHeader(status)
	}
}

func (w *watchedWriter) WriteHeader(status int) {
	if !w.begun && isFinal(status) {
		w.begun = true
		w.answered(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

func (w *watchedWriter) Flush() { _ = w.FlushError() }

func (w *watchedWriter) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.begun = w.begun || err == nil
	return conn, rw, err
}

// Unwrap is for [http.ResponseController].
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// isFinal reports whether a status is that of the final answer, not of an informational one before it.
func isFinal(status int) bool {
	return status >= http.StatusOK || status == http.StatusSwitchingProtocols
}

// bufferOwn lets a handler write its answer to memory, so that a fault can change it.
func (e *exchange) bufferOwn() answer {
	w := &bufferedWriter{header: http.Header{}}
	e.operation.own(w, e.forHandler())
	w.WriteHeader(http.StatusOK) // does nothing if the handler has set a status
	w.sent.body = w.body.Bytes()
	w.sent.header.Del("Content-Length") // a fault may change the length
	if _, given := w.sent.header["Content-Type"]; !given {
		w.sent.header["Content-Type"] = sniff(w.sent.body)
	}
	return w.sent
}

// sniff finds a Content-Type as net/http does. Without a body there is none.
func sniff(body []byte) []string {
	if len(body) == 0 {
		return nil
	}
	return []string{http.DetectContentType(body)}
}

// bufferedWriter keeps an answer.
type bufferedWriter struct {
	header http.Header
	sent   answer
	body   bytes.Buffer
}

func (w *bufferedWriter) Header() http.Header { return w.header }

func (w *bufferedWriter) WriteHeader(status int) {
	if w.sent.status == 0 && isFinal(status) {
		w.sent.status, w.sent.header = status, w.header.Clone()
	}
}

func (w *bufferedWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
