package testkit

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A Responder decides what happens to an attempt. It is an http.RoundTripper without a socket, for tests in virtual
// time.
type Responder func(*http.Request) (*http.Response, error)

func (f Responder) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answer answers with a status, an empty object and headers, given as names and values.
func Answer(status int, header ...string) Responder { return AnswerBody(status, "{}", header...) }

// AnswerBody is [Answer] with another body.
func AnswerBody(status int, body string, header ...string) Responder {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)),
			ContentLength: int64(len(body)), Request: r}, nil
	}
}

// Fails gives no answer.
func Fails(err error) Responder {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// What can happen to an attempt.
var (
	NotSent  = Fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	NoAnswer = Traced(1, Fails(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}))
	NoHost   = Fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}})
	BadCert  = Traced(0, Fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}))

	AuthenticationFailed = AnswerBody(403, `{"error":{"type":"authentication_error","message":"bad token"}}`)
	QuotaGone            = AnswerBody(429, `{"error":{"type":"quota_exceeded"}}`)
)

// BrokenBody answers with a body that ends before its length.
func BrokenBody(r *http.Request) (*http.Response, error) {
	resp, err := Answer(http.StatusOK)(r)
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"da`), FailingReader{}))
	return resp, err
}

// FailingReader fails at once, as a connection that is lost.
type FailingReader struct{}

func (FailingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Stalled answers with a part of a body and then nothing: the body fails when the request's context ends.
func Stalled(status int, part string) Responder {
	return func(r *http.Request) (*http.Response, error) {
		resp := MemoryAnswer(r, status, "application/json", "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(part), stalled{r.Context()}))
		resp.ContentLength = -1
		return resp, nil
	}
}

type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// Traced reports to httptrace that the request's headers were written a number of times.
func Traced(times int, then Responder) Responder {
	return func(r *http.Request) (*http.Response, error) {
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
			trace.GetConn("drift.test:443")
			for range times {
				trace.GotConn(httptrace.GotConnInfo{})
				trace.WroteHeaders()
			}
		}
		return then(r)
	}
}

// Refusing answers 401 to every token but one.
func Refusing(good string, refusal Responder) Responder {
	return func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == "Bearer "+good {
			return Answer(http.StatusOK)(r)
		}
		return refusal(r)
	}
}

// Network gives its answers in turn, repeats the last one, and records what was sent. Without answers it gives 200.
type Network struct {
	Answers []Responder
	Delay   time.Duration

	mu   sync.Mutex
	Sent []SentRequest
}

// SentRequest is a request as the service saw it.
type SentRequest struct {
	At                  time.Time
	Method, Token, Body string
}

// Sent reads a request to its end.
func Sent(r *http.Request) SentRequest {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return SentRequest{At: time.Now(), Method: r.Method, Token: token, Body: string(body)}
}

// Serve is a [Responder].
func (n *Network) Serve(r *http.Request) (*http.Response, error) {
	respond := n.next(r)
	time.Sleep(n.Delay)
	return respond(r)
}

func (n *Network) next(r *http.Request) Responder {
	sent := Sent(r)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Sent = append(n.Sent, sent)
	if len(n.Answers) == 0 {
		return Answer(http.StatusOK)
	}
	return n.Answers[min(len(n.Sent), len(n.Answers))-1]
}

// Set replaces the answers.
func (n *Network) Set(answers ...Responder) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Answers = answers
}

// Requests returns what was sent.
func (n *Network) Requests() []SentRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.Sent
}

// TokensOf returns the token of each request.
func TokensOf(requests []SentRequest) []string {
	var tokens []string
	for _, r := range requests {
		tokens = append(tokens, r.Token)
	}
	return tokens
}

// MemoryNetwork gives one answer to all requests and counts them.
type MemoryNetwork struct {
	Status      int
	ContentType string
	Body        string
	Requests    atomic.Int32
}

func (n *MemoryNetwork) RoundTrip(req *http.Request) (*http.Response, error) {
	n.Requests.Add(1)
	return MemoryAnswer(req, n.Status, n.ContentType, n.Body), nil
}

// MemoryAnswer is an answer as net/http makes it.
func MemoryAnswer(req *http.Request, status int, contentType, body string) *http.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// TrapServer is a server that the client must not call. calls counts its connections.
func TrapServer(t testing.TB) (url string, calls func() int) {
	t.Helper()
	var connections atomic.Int32
	trap := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	trap.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	trap.Start()
	t.Cleanup(trap.Close)
	return trap.URL, func() int { return int(connections.Load()) }
}
