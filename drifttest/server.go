package drifttest

import (
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Requests of the API are much smaller; this only keeps a runaway test from filling the memory.
const maxBodyBytes = 64 << 20

// TB is the part of [testing.TB] that [Start] uses.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is an in-memory Drift server. Its methods are safe for concurrent use.
type Server struct {
	// URL is the base URL: scheme, host and port, without a slash at the end. In a bubble of
	// testing/synctest the server has no port, and only Server.Client and Server.HTTPClient reach
	// it.
	URL string

	t        TB
	settings settings
	http     *http.Server
	client   *http.Client  // of HTTPClient
	inMemory bool          // there is no port
	served   chan struct{} // closed when the listener has ended
	closing  chan struct{} // closed when Close begins
	close    sync.Once

	mu       sync.Mutex // guards the fields below
	closed   bool
	handlers int           // that run
	idle     chan struct{} // closed when no handler runs after Close began
	arrivals int
	requests []*Request
	own      []*operation // of Handle
	faults   map[string][]Fault
	limits   limits
	reports  limits // of the classic reports, in addition
	store    *store
	oauth    *oauth
	revoked  map[digest]bool // tokens of an app that was uninstalled
	closers  []io.Closer
}

// Listen starts a server, which the caller must close. The error says why it cannot listen, or which option is bad.
func Listen(opts ...Option) (*Server, error) { return newServer(panicking{}, opts) }

// NewServer is like Listen, but panics on an error, as [net/http/httptest.NewServer] does. In a test, use [Start].
func NewServer(opts ...Option) *Server {
	s, err := Listen(opts...)
	if err != nil {
		panic("drifttest: " + err.Error())
	}
	return s
}

// Start starts a server that is closed when the test ends. If it cannot start, or one of its methods is misused, it
// ends the test with Fatalf.
func Start(t TB, opts ...Option) *Server {
	t.Helper()
	s, err := newServer(t, opts)
	if err != nil {
		t.Fatalf("drifttest: %v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return s
}

func newServer(t TB, opts []Option) (*Server, error) {
	set, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		t:        t,
		settings: set,
		served:   make(chan struct{}),
		closing:  make(chan struct{}),
		faults:   map[string][]Fault{},
		limits:   limits{perMinute: set.perMinute, perMonth: set.perMonth},
		reports:  limits{perMinute: min(set.perMinute, reportsPerMinute)},
		store:    newStore(),
		oauth:    newOAuth(),
		revoked:  map[digest]bool{},
	}
	listener, err := s.listen()
	if err != nil {
		return nil, err
	}
	if set.demo {
		s.store.seedDemo()
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go s.serve(listener)
	return s, nil
}

// listen opens a port, or memory in a bubble. A test that asks for an address gets a port in any case.
func (s *Server) listen() (net.Listener, error) {
	if s.settings.address == "" && inBubble() {
		m := newMemory()
		s.URL, s.inMemory, s.client = memoryURL, true, &http.Client{Transport: m.transport()}
		return m, nil
	}
	listener, err := net.Listen("tcp", cmp.Or(s.settings.address, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	s.URL, s.client = "http://"+reachable(listener.Addr()), &http.Client{Transport: &http.Transport{}}
	return listener, nil
}

// reachable returns the host and port for a client on this machine, to which 0.0.0.0 is no address.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr.String()
}

func (s *Server) serve(listener net.Listener) {
	defer close(s.served)
	_ = s.http.Serve(listener) // always ends with ErrServerClosed
}

// Close stops the server. It ends delays, closes connections and the clients of [Server.Client], and waits for the
// handlers. A second call does nothing.
func (s *Server) Close() {
	s.close.Do(func() {
		s.mu.Lock()
		s.closed = true
		closers := s.closers
		s.idle = make(chan struct{})
		if s.handlers == 0 {
			close(s.idle)
		}
		s.mu.Unlock()

		close(s.closing)
		for _, c := range closers {
			_ = c.Close()
		}
		_ = s.http.Close()
		<-s.served
		<-s.idle
		s.client.CloseIdleConnections()
	})
}

// ServeHTTP answers a request, so that you can use a server without the network. If a [Fault] drops the connection,
// ServeHTTP panics with [http.ErrAbortHandler], as net/http expects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r) // the client may take any time to send it, so Close does not wait for it
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.leave()
	e := s.arrive(r, body)
	if e.isOwn() && e.refused == nil && e.fault.isNone() {
		s.serveOwn(w, e)
		return
	}
	a := s.answer(e)
	if !s.pause(r.Context(), e.fault.Delay) {
		panic(http.ErrAbortHandler)
	}
	s.send(w, e, a)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil // a client request that was passed in without a connection
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
}

// enter registers a handler, so that Close waits for it.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.handlers++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers--
	if s.closed && s.handlers == 0 {
		close(s.idle)
	}
}

// exchange is one request on its way to an answer.
type exchange struct {
	request   *http.Request
	body      []byte
	id        string // X-Request-Id
	now       time.Time
	record    *Request
	endpoint  *endpoint // nil for a request of the API
	operation *operation
	path      map[string]string
	unknown   error // why no operation matches
	refused   error // because of its token or a limit
	fault     Fault
}

// name returns the name of the operation or the endpoint, or "".
func (e *exchange) name() string {
	switch {
	case e.endpoint != nil:
		return e.endpoint.name
	case e.operation != nil:
		return e.operation.name
	}
	return ""
}

// arrive records a request and decides, in the order of arrival, whether to admit it and which fault applies. A refused
// request uses up no fault.
func (s *Server) arrive(r *http.Request, body []byte) *exchange {
	e := &exchange{request: r, body: body, endpoint: findEndpoint(r.Method, r.URL.Path)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.endpoint == nil {
		e.operation, e.path, e.unknown = s.findOperation(r)
	}
	s.arrivals++
	e.id = fmt.Sprintf("drifttest-%06d", s.arrivals)
	e.now = s.settings.clock()
	e.record = s.addRequest(e)
	if e.refused = s.admit(e); e.refused == nil {
		e.fault = s.takeFault(e.name())
	}
	return e
}

// admit checks the token and the limits of a request of the API.
func (s *Server) admit(e *exchange) error {
	if e.endpoint != nil {
		return nil
	}
	if !s.authenticates(e.request.Header, e.now) {
		return unauthorized()
	}
	if err := s.limits.admit(e.now); err != nil || !isReport(e.name()) {
		return err
	}
	return s.reports.admit(e.now)
}

// authenticates compares with every token, each in constant time, as a real server should.
func (s *Server) authenticates(header http.Header, now time.Time) bool {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	matches := 0
	for _, token := range s.settings.tokens {
		matches |= subtle.ConstantTimeCompare([]byte(values[0]), []byte("Bearer "+token))
	}
	issued, isBearer := strings.CutPrefix(values[0], "Bearer ")
	if s.revoked[digestOf(issued)] {
		return false
	}
	return matches == 1 || isBearer && s.oauth.accepts(issued, now)
}

// answer returns the answer to a request, and applies the request to the store unless a fault prevents that.
func (s *Server) answer(e *exchange) answer {
	switch {
	case e.refused != nil:
		return refusal("", e.refused)
	case e.fault.Drop == DropBeforeAnswer:
		return answer{}
	case e.fault.Status == 0:
		return s.handle(e)
	}
	if e.fault.Applied || e.fault.Drop == DropAfterHandling {
		s.handle(e)
	}
	return e.fault.answer(e.name())
}

// handle checks a request and applies it to the store.
func (s *Server) handle(e *exchange) answer {
	switch {
	case e.endpoint != nil:
		return e.endpoint.handle(s, e)
	case e.unknown != nil:
		return refusal("", e.unknown)
	case e.isOwn():
		return e.bufferOwn()
	}
	c, err := e.operation.check(e.request, e.path, e.body)
	if err == nil && s.settings.requiredKeys {
		err = c.checkKeys()
	}
	if err != nil {
		return refusal(e.name(), err)
	}
	c.token = strings.TrimPrefix(e.request.Header.Get("Authorization"), "Bearer ")
	c.now = e.now.UnixMilli()

	s.mu.Lock() // until the result, which the store shares, is encoded
	defer s.mu.Unlock()
	result, err := s.apply(c)
	if err != nil {
		return refusal(e.name(), err)
	}
	if f, ok := result.(file); ok {
		return f.answer(e.request)
	}
	return success(result)
}

// apply runs an operation. The caller holds s.mu.
func (s *Server) apply(c *call) (any, error) {
	if c.operation.serve != nil {
		return c.operation.serve(s, c)
	}
	return s.store.apply(c)
}

// pause waits, and reports whether it waited to the end.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.closing:
		return false
	}
}

// panicking is the TB of a server without a test.
type panicking struct{}

func (panicking) Helper()        {}
func (panicking) Cleanup(func()) {}

func (panicking) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
