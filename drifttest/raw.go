package drifttest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"

	"github.com/driftsdk/drift"
)

// RawServer is for the trouble that net/http cannot make: it knows nothing of the API, and sends the bytes, or the HTTP/2 frames,
// that a test tells it to. It shows how a client behaves when the connection is reset, falls silent, or carries what no server
// should send:
//
//	raw := drifttest.StartRaw(t)
//	raw.Answer(
//		func(c *drifttest.RawConn) { c.Send("HTTP/1.1 200 OK\r\nContent-Ty"); c.Reset() },
//		func(c *drifttest.RawConn) { c.JSON(http.StatusOK, `{"data": {"id": 1}}`) },
//	)
//	tag, err := raw.Client().Tags.Get(ctx, 1)
//	// raw.Requests() tells how often the request was really sent.
//
// A proxy can be played too: a CONNECT is a request like any other. The methods of a RawServer are safe for concurrent use.
type RawServer struct {
	// URL is the base URL: scheme, host and port, without a slash at the end.
	URL string

	t        TB
	settings rawSettings
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
	accepts     rawQueue
	answers     rawQueue
	requests    []*RawRequest
	closers     []func()
}

// RawAnswer is what a [RawServer] does with one request, or with one connection; see [RawServer.Answer] and [RawServer.Accept]. It
// runs on a goroutine of its own and must return when its connection has ended.
type RawAnswer func(c *RawConn)

// RawRequest is a request that a [RawServer] received. Nothing is taken out of it: it holds the token of the client.
type RawRequest struct {
	Connection int    // on which it came, counted from 1
	Stream     uint32 // on which it came in HTTP/2; 0 in HTTP/1.1
	Head       []byte // request line and headers as sent; in HTTP/2 the header block, which is HPACK
	Body       []byte // as much of it as has arrived
}

// RawOption sets up a [RawServer].
type RawOption func(*rawSettings)

type rawSettings struct {
	tls         bool
	certificate Certificate
	http2       bool
}

// RawTLS makes a [RawServer] speak TLS, with a certificate that is made when it starts. Without an option it speaks plain TCP.
func RawTLS(c Certificate) RawOption {
	return func(set *rawSettings) { set.tls, set.certificate = true, c }
}

// RawHTTP2 makes a [RawServer] speak HTTP/2, and only that, over TLS: settings are exchanged, pings are answered and requests are
// read, but everything else is up to the answers. The limits that HTTP/2 sets to the size of answers are not watched: stay below
// 64 KiB for each connection.
func RawHTTP2() RawOption {
	return func(set *rawSettings) { set.tls, set.http2 = true, true }
}

// RawHTTP2Cleartext is [RawHTTP2] without TLS. An http.Transport uses it only if its Protocols allow UnencryptedHTTP2
// and not HTTP1.
func RawHTTP2Cleartext() RawOption {
	return func(set *rawSettings) { set.tls, set.http2 = false, true }
}

// ListenRaw starts a server on a free port of 127.0.0.1, which the caller closes. The error tells why it cannot listen, or which
// option is bad.
func ListenRaw(opts ...RawOption) (*RawServer, error) { return newRawServer(panicking{}, opts) }

// StartRaw starts a server on a free port of 127.0.0.1 that is closed when the test ends. What is an error of [ListenRaw] ends the
// test.
func StartRaw(t TB, opts ...RawOption) *RawServer {
	t.Helper()
	s, err := newRawServer(t, opts)
	if err != nil {
		t.Fatalf("drifttest: %v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return s
}

func newRawServer(t TB, opts []RawOption) (*RawServer, error) {
	s := &RawServer{t: t, closing: make(chan struct{}), connections: map[net.Conn]struct{}{}}
	for _, opt := range opts {
		if opt != nil {
			opt(&s.settings)
		}
	}
	scheme := "http://"
	if s.settings.tls {
		var err error
		if s.tls, s.trusted, err = newTLS(s.settings); err != nil {
			return nil, err
		}
		scheme = "https://"
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.URL = scheme + s.listener.Addr().String()
	s.running.Go(s.acceptAll)
	return s, nil
}

// Close stops the server: it closes the connections, those of the clients that it made included, and waits for the answers that
// are under way. Calling it again does nothing.
func (s *RawServer) Close() {
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

// Answer gives the next requests one answer each, in the order in which the requests arrive, on whatever connection. When all are
// used up, the last one serves every further request, until another call adds to them. Before the first call a request has its
// connection closed without an answer.
//
// An answer is asked for when the whole request is there. When it returns, the connection is kept for the next request, unless
// the answer has closed it.
//
// A nil answer ends the test that started the server, or panics where there is none.
func (s *RawServer) Answer(answers ...RawAnswer) {
	s.t.Helper()
	if slices.ContainsFunc(answers, func(a RawAnswer) bool { return a == nil }) {
		s.t.Fatalf("drifttest: Answer: an answer must not be nil")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.add(answers)
}

// Accept gives the next connections one answer each, before anything is read from them and before the TLS handshake. When all are
// used up, the last one serves every further connection, until another call adds to them. nil accepts a connection as usual, and
// so does an answer that returns without closing it.
//
//	raw.Accept((*drifttest.RawConn).Silence, nil) // the first handshake stalls, the others do not
func (s *RawServer) Accept(answers ...RawAnswer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts.add(answers)
}

// HTTPClient returns a new http.Client with a Transport of its own, an [*http.Transport] that trusts the server's certificate,
// uses no proxy, and speaks the server's version of HTTP. Both are the caller's to change. [RawServer.Close] closes its idle
// connections.
func (s *RawServer) HTTPClient() *http.Client {
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

// Client returns a client of the server, with its base URL, [DefaultToken], an http.Client of [RawServer.HTTPClient] and the given
// options. [RawServer.Close] closes it.
//
// A bad option ends the test that started the server, or panics where there is none.
func (s *RawServer) Client(opts ...drift.Option) *drift.Client {
	s.t.Helper()
	own := []drift.Option{drift.WithBaseURL(s.URL), drift.WithToken(DefaultToken), drift.WithHTTPClient(s.HTTPClient())}
	client, err := drift.NewClient(slices.Concat(own, opts)...)
	if err != nil {
		s.t.Fatalf("drifttest: Client: %v", err)
		return nil
	}
	s.onClose(func() { _ = client.Close() })
	return client
}

// onClose calls close when the server is closed, at once if it is.
func (s *RawServer) onClose(close func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close()
		return
	}
	s.closers = append(s.closers, close)
}

// Requests returns the requests that have arrived, in order, as copies. One is listed as soon as its headers are there, so also
// when the client broke off in the body, and each time that it came: what a client or its transport sends twice is there twice.
func (s *RawServer) Requests() []RawRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make([]RawRequest, len(s.requests))
	for i, r := range s.requests {
		requests[i] = r.clone()
	}
	return requests
}

func (r RawRequest) clone() RawRequest {
	r.Head, r.Body = bytes.Clone(r.Head), bytes.Clone(r.Body)
	return r
}

// Connections tells how many connections were accepted.
func (s *RawServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (s *RawServer) acceptAll() {
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
func (s *RawServer) enter(conn net.Conn) {
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

func (s *RawServer) leave(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, conn)
}

// rawQueue holds answers that are still to come, and the one that was given last.
type rawQueue struct {
	waiting []RawAnswer
	last    RawAnswer
}

func (q *rawQueue) add(answers []RawAnswer) { q.waiting = append(q.waiting, answers...) }

// next is the answer for the next one who comes; nil when there never was one.
func (q *rawQueue) next() RawAnswer {
	if len(q.waiting) > 0 {
		q.last, q.waiting = q.waiting[0], q.waiting[1:]
	}
	return q.last
}

func (s *RawServer) serve(conn net.Conn, number int, accept RawAnswer) {
	c := &rawConnection{server: s, number: number, tcp: conn, stream: conn, gone: make(chan struct{})}
	if accept != nil {
		accept(&RawConn{conn: c})
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

func (s *RawServer) serveHTTP1(c *rawConnection) {
	var arrived bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(c.stream, &arrived))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		record := s.add(RawRequest{Connection: c.number, Head: headOf(arrived.Bytes())})
		body, err := io.ReadAll(io.LimitReader(request.Body, maxBodyBytes))
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
func (s *RawServer) add(r RawRequest) *RawRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, &r)
	return &r
}

func (s *RawServer) addBody(r *RawRequest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Body = append(r.Body, data...)
}

// answer gives a request its answer, and reports false where there is none.
func (s *RawServer) answer(c *rawConnection, r *RawRequest) bool {
	s.mu.Lock()
	answer, request := s.answers.next(), r.clone()
	s.mu.Unlock()
	if answer == nil {
		return false
	}
	answer(&RawConn{Request: request, conn: c})
	return true
}
