// Package raw is a server that breaks HTTP. It knows nothing of the API: it sends the bytes or the HTTP/2 frames that a
// test gives it, so that the test sees how the client takes a reset, a silence or an answer that no server should send:
//
//	server := raw.Start(t)
//	server.Answer(
//		func(c *raw.Conn) { c.Send("HTTP/1.1 200 OK\r\nContent-Ty"); c.Reset() },
//		func(c *raw.Conn) { c.JSON(http.StatusOK, `{"data": {"id": 1}}`) },
//	)
//	// server.Requests() has every request that was really sent, repetitions included.
//
// A server can also play a proxy: CONNECT is a request like any other.
//
// Only the tests of this module use it. It has no client: point any client at [Server.URL], with [Server.HTTPClient].
package raw

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// A Server listens on loopback and sends what its answers tell it to. Its methods are safe for concurrent use.
type Server struct {
	// URL is the base URL: scheme, host and port, without a slash at the end.
	URL string

	settings settings
	tls      *tls.Config // nil: plain TCP
	trusted  *tls.Config // of clients that trust the server
	listener net.Listener
	closing  chan struct{} // closed when Close begins
	close    sync.Once
	running  sync.WaitGroup // the goroutines of the listener and of the connections

	mu          sync.Mutex // guards what follows
	closed      bool
	accepted    int
	connections map[net.Conn]struct{}
	accepts     queue
	answers     queue
	requests    []*Request
	closers     []func()
}

// An Answer handles one request or one connection; see [Server.Answer] and [Server.Accept]. It runs on its own
// goroutine and must return when its connection has ended.
type Answer func(c *Conn)

// A Request is a request that a [Server] received, the client's token included.
type Request struct {
	Connection int    // on which it came, counted from 1
	Stream     uint32 // on which it came in HTTP/2; 0 in HTTP/1.1
	Head       []byte // request line and headers as sent; in HTTP/2 the header block, which is HPACK
	Body       []byte // as much of it as has arrived
}

// An Option configures a [Server].
type Option func(*settings)

const maxBody = 64 << 20 // of a request

type settings struct {
	tls         bool
	certificate Certificate
	http2       bool
}

// TLS makes a [Server] speak TLS, with a new certificate. Without it the server speaks plain TCP.
func TLS(c Certificate) Option {
	return func(set *settings) { set.tls, set.certificate = true, c }
}

// HTTP2 makes a [Server] speak HTTP/2, and only that, over TLS: it exchanges settings, answers pings and reads
// requests, and leaves everything else to the answers. It ignores flow control: keep answers below 64 KiB per
// connection.
func HTTP2() Option {
	return func(set *settings) { set.tls, set.http2 = true, true }
}

// HTTP2Cleartext is [HTTP2] without TLS. An http.Transport uses it only if its Protocols allow UnencryptedHTTP2
// and not HTTP1.
func HTTP2Cleartext() Option {
	return func(set *settings) { set.tls, set.http2 = false, true }
}

// Start starts a server on a free port of 127.0.0.1 that is closed when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{closing: make(chan struct{}), connections: map[net.Conn]struct{}{}}
	for _, opt := range opts {
		opt(&s.settings)
	}
	scheme := "http://"
	var err error
	if s.settings.tls {
		scheme = "https://"
		if s.tls, s.trusted, err = newTLS(s.settings); err != nil {
			t.Fatalf("raw: %v", err)
		}
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("raw: %v", err)
	}
	s.URL = scheme + s.listener.Addr().String()
	s.running.Go(s.acceptAll)
	t.Cleanup(s.Close)
	return s
}

// Close closes the listener and all connections, and waits for the answers that are under way. Calling it again does
// nothing.
func (s *Server) Close() {
	s.close.Do(func() {
		s.mu.Lock()
		s.closed = true
		close(s.closing)
		_ = s.listener.Close()
		for conn := range s.connections {
			_ = conn.Close()
		}
		closers := s.closers
		s.mu.Unlock()

		for _, closeClient := range closers {
			closeClient()
		}
		s.running.Wait()
	})
}

// Answer queues answers: one for each of the next requests, in the order in which they arrive, on any connection. The
// last one serves every further request until another call adds to the queue. Before the first call, the server closes
// the connection of a request without an answer.
//
// An answer runs once the whole request has arrived. When it returns, the connection is kept for the next request,
// unless the answer has closed it.
func (s *Server) Answer(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.add(answers)
}

// Accept queues answers for connections as [Server.Answer] does for requests. They run before anything is read from the
// connection and before the TLS handshake. nil accepts a connection as usual, and so does an answer that returns
// without closing it.
//
//	server.Accept((*raw.Conn).Silence, nil) // the first handshake stalls, the others do not
func (s *Server) Accept(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts.add(answers)
}

// HTTPClient returns a new http.Client, for the caller to change. Its Transport is an [*http.Transport] that trusts the
// server's certificate, uses no proxy and speaks the server's version of HTTP. [Server.Close] closes its idle
// connections.
func (s *Server) HTTPClient() *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: s.settings.http2}
	if s.trusted != nil {
		transport.TLSClientConfig = s.trusted.Clone()
	}
	if s.settings.http2 && s.tls == nil {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	s.onClose(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// onClose calls close when the server is closed, at once if it is.
func (s *Server) onClose(close func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close()
		return
	}
	s.closers = append(s.closers, close)
}

// Requests returns copies of the requests that have arrived, in order. A request is listed as soon as its headers have
// arrived, even if the client breaks off in the body, and as often as the client or its transport sends it.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]Request, len(s.requests))
	for i, r := range s.requests {
		requests[i] = r.clone()
	}
	return requests
}

func (r Request) clone() Request {
	r.Head, r.Body = bytes.Clone(r.Head), bytes.Clone(r.Body)
	return r
}

// Connections returns how many connections were accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (s *Server) acceptAll() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // the client was gone before it was accepted
			continue
		}
		s.enter(conn)
	}
}

// enter begins to serve a connection, unless the server is closed.
func (s *Server) enter(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	s.accepted++
	s.connections[conn] = struct{}{}
	number, accept := s.accepted, s.accepts.next()
	s.running.Go(func() {
		defer s.leave(conn)
		s.serve(conn, number, accept)
	})
}

func (s *Server) leave(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, conn)
}

// queue holds answers that are still to come, and the one that was given last.
type queue struct {
	waiting []Answer
	last    Answer
}

func (q *queue) add(answers []Answer) { q.waiting = append(q.waiting, answers...) }

// next is the answer for the next one who comes; nil when there never was one.
func (q *queue) next() Answer {
	if len(q.waiting) > 0 {
		q.last, q.waiting = q.waiting[0], q.waiting[1:]
	}
	return q.last
}

func (s *Server) serve(conn net.Conn, number int, accept Answer) {
	c := &connection{server: s, number: number, tcp: conn, stream: conn, gone: make(chan struct{})}
	if accept != nil {
		accept(&Conn{conn: c})
	}
	if s.tls != nil {
		secured := tls.Server(conn, s.tls)
		if secured.Handshake() != nil {
			return
		}
		c.stream = secured
	}
	if s.settings.http2 {
		s.serveHTTP2(c)
		return
	}
	s.serveHTTP1(c)
}

func (s *Server) serveHTTP1(c *connection) {
	var arrived bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(c.stream, &arrived))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		record := s.add(Request{Connection: c.number, Head: headOf(arrived.Bytes())})
		body, err := io.ReadAll(io.LimitReader(request.Body, maxBody))
		s.addBody(record, body)
		arrived.Reset()
		if err != nil || !s.answer(c, record) {
			return
		}
	}
}

// headOf copies what comes before the body.
func headOf(request []byte) []byte {
	const end = "\r\n\r\n"
	if i := bytes.Index(request, []byte(end)); i >= 0 {
		request = request[:i+len(end)]
	}
	return bytes.Clone(request)
}

// add records a request when its headers are there.
func (s *Server) add(r Request) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, &r)
	return &r
}

func (s *Server) addBody(r *Request, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Body = append(r.Body, data...)
}

// answer gives a request its answer, and reports false where there is none.
func (s *Server) answer(c *connection, r *Request) bool {
	s.mu.Lock()
	answer, request := s.answers.next(), r.clone()
	s.mu.Unlock()
	if answer == nil {
		return false
	}
	answer(&Conn{Request: request, conn: c})
	return true
}
