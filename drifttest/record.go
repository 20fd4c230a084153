package drifttest

import (
	"bytes"
	"net/http"
	"net/url"
	"time"
)

const redacted = "REDACTED"

// Request is a request that a [Server] received.
type Request struct {
	// Operation is a name such as "conversations.get", "classic.contacts.get" or "oauth.token". For
	// an endpoint of Server.Handle it is the method and template, such as "GET deals/{dealId}". It
	// is "" for any other request.
	Operation string
	Method    string
	Path      string      // as sent, with escapes
	Query     string      // as sent, with the value of clientSecret REDACTED
	Header    http.Header // the value of Authorization is REDACTED
	Body      []byte      // as sent; of oauth.token and classic.app.tokenInfo with tokens, codes and secrets REDACTED
	Status    int         // of the answer; 0 unless its headers were sent completely
	At        time.Time   // of arrival, by the server's clock
}

// Requests returns the requests that arrived since the start or the last [Server.Reset], in order, as copies.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.requests))
	for i, r := range s.requests {
		requests[i] = *r
		requests[i].Header = r.Header.Clone()
		requests[i].Body = bytes.Clone(r.Body)
	}
	return requests
}

// Count returns how many of those requests were for an operation, such as "conversations.get", or for an endpoint of
// [Server.Handle], such as "GET deals/{dealId}"; "*" counts all. An unknown operation ends the test that started
// the server, or panics if no test did.
func (s *Server) Count(operation string) int {
	s.t.Helper()
	name, known := s.operationNamed(operation)
	if !known {
		s.t.Fatalf("drifttest: Count: %s", s.unknownOperation(operation))
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if name == anyOperation || r.Operation == name {
			n++
		}
	}
	return n
}

// Reset drops the recorded requests and the remaining faults. It keeps records, the handlers of [Server.Handle] and the
// counts of [Server.Used].
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
	clear(s.faults)
}

// addRequest records a request at its arrival. The caller holds s.mu.
func (s *Server) addRequest(e *exchange) *Request {
	record := &Request{
		Operation: e.name(),
		Method:    e.request.Method,
		Path:      e.request.URL.EscapedPath(),
		Query:     e.request.URL.RawQuery,
		Header:    e.request.Header.Clone(),
		Body:      e.body,
		At:        e.now,
	}
	if _, ok := record.Header["Authorization"]; ok {
		record.Header.Set("Authorization", redacted)
	}
	switch record.Operation {
	case oauthToken:
		record.Body = redactToken(record.Header, e.body)
	case tokenInfo:
		record.Body = encode(object{"access_token": redacted})
	case uninstall:
		record.Query = redactSecret(e.request.URL.Query())
	}
	s.requests = append(s.requests, record)
	return record
}

func redactSecret(query url.Values) string {
	if query.Has("clientSecret") {
		query.Set("clientSecret", redacted)
	}
	return query.Encode()
}

// setStatus is called before the answer goes out, so that the status is recorded once the client has the answer.
func (s *Server) setStatus(record *Request, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record.Status = status
}
