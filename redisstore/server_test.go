package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/redisstore"
)

// server is a redis-server of a test.
type server struct {
	t    *testing.T
	addr string
	args []string
	cmd  *exec.Cmd

	first []string // in place of the arguments for a server without a disk
}

// needRedis skips a test where there is no redis-server, unless DRIFT_REDIS is "required".
func needRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
		return path
	case os.Getenv("DRIFT_REDIS") == "required":
		t.Fatal("redis-server is not installed, and DRIFT_REDIS=required")
	}
	t.Skip("redis-server is not installed")
	return ""
}

// startRedis starts a server that keeps nothing on disk, and ends it with the test.
func startRedis(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, addr: freeAddr(t), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (s *server) start() {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(s.t, err)
	args := slices.Concat(s.first, []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.t.TempDir(),
		"--loglevel", "warning"}, s.args)
	if s.first == nil {
		args = append(args, "--save", "", "--appendonly", "no")
	}
	s.cmd = exec.Command(needRedis(s.t), args...)
	endWithParent(s.cmd)
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
}

// kill ends the server as a crash would. What it had is lost.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) restartEmpty() {
	s.t.Helper()
	s.kill()
	s.start()
}

// client returns a client with the default options, as users have it.
func (s *server) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.addr})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// open returns a store in the server.
func (s *server) open(opts ...redisstore.Option) *redisstore.Store {
	s.t.Helper()
	return open(s.t, s.client(), opts...)
}

func open(t *testing.T, client redis.UniversalClient, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(client, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = store.Close(ctx)
	})
	return store
}

// proxy passes bytes on, each after a delay.
type proxy struct {
	listener net.Listener
	to       string
	delay    time.Duration
	paused   atomic.Bool
	mu       sync.Mutex
	conns    []net.Conn
	group    sync.WaitGroup
}

func startProxy(t *testing.T, to string, delay time.Duration) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, to: to, delay: delay}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.resume()
		p.cut()
		p.group.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.group.Go(func() { p.copy(out, in) })
		p.group.Go(func() { p.copy(in, out) })
	}
}

func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(p.delay)
		for p.paused.Load() {
			time.Sleep(time.Millisecond)
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// pause holds back all bytes until resume.
func (p *proxy) pause() { p.paused.Store(true) }

func (p *proxy) resume() { p.paused.Store(false) }

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// counter is the service: it counts the requests of any minute by itself.
type counter struct {
	listener net.Listener
	limit    int
	minute   time.Duration
	group    sync.WaitGroup
	mu       sync.Mutex
	arrivals []time.Time
	refused  int
	conns    map[net.Conn]bool
}

// startCounter starts a service that speaks one byte: a caller sends one, and gets '.' or, for a 429, 'X'.
func startCounter(t *testing.T, limit int, minute time.Duration) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &counter{listener: l, limit: limit, minute: minute, conns: make(map[net.Conn]bool)}
	c.group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns[conn] = true
			c.mu.Unlock()
			c.group.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.mu.Lock()
		for conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		c.group.Wait()
	})
	return c
}

func (c *counter) serve(conn net.Conn) {
	defer conn.Close()
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		b[0] = c.arrive()
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

func (c *counter) arrive() byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if n := len(c.arrivals); n >= c.limit && now.Sub(c.arrivals[n-c.limit]) < c.minute {
		c.refused++
		return 'X'
	}
	c.arrivals = append(c.arrivals, now)
	return '.'
}

func (c *counter) counted() (calls, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.arrivals), c.refused
}

// child starts a copy of the test program.
func child(t *testing.T, name string, args ...any) *exec.Cmd {
	t.Helper()
	var texts []string
	for _, arg := range args {
		texts = append(texts, fmt.Sprint(arg))
	}
	cmd := exec.Command(os.Args[0], texts...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	endWithParent(cmd)
	return cmd
}

// number returns the number in an environment variable, or another one.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// length is number for a duration.
func length(t *testing.T, variable string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

// logs keeps what a store logs.
type logs struct {
	mu   sync.Mutex
	text []byte
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	return len(b), nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// within returns a context that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
