package raw_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift/internal/raw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type result struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request, or of reading its answer
}

// ask sends a request and reads the answer to its end.
func ask(t *testing.T, client *http.Client, method, target, body string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a test that hangs should say where
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := client.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return result{status: resp.StatusCode, header: resp.Header, body: data, err: err}
}

func good(c *raw.Conn) { c.JSON(http.StatusOK, `{"data":{"id":1}}`) }

func requireGood(t *testing.T, res result) {
	t.Helper()
	require.NoError(t, res.err)
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, `{"data":{"id":1}}`, string(res.body))
}

// Each way to set a server up, and the version of HTTP that it speaks.
var kinds = []struct {
	name  string
	proto string
	opts  []raw.Option
}{
	{"TCP", "HTTP/1.1", nil},
	{"TLS", "HTTP/1.1", []raw.Option{raw.TLS(raw.Trusted)}},
	{"HTTP/2", "HTTP/2.0", []raw.Option{raw.HTTP2()}},
}

func forEachKind(t *testing.T, check func(t *testing.T, server *raw.Server, client *http.Client)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			server := raw.Start(t, kind.opts...)
			check(t, server, server.HTTPClient())
		})
	}
}

func TestSpeaksHTTP(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			server := raw.Start(t, kind.opts...)
			server.Answer(good)
			resp, err := server.HTTPClient().Get(server.URL)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, kind.proto, resp.Proto)
		})
	}
}

func TestAnswersInOrder(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		server.Answer(func(c *raw.Conn) { c.JSON(http.StatusTeapot, "") })
		server.Answer(func(c *raw.Conn) { c.JSON(http.StatusNotFound, string(c.Request.Body)) }, good)
		first := ask(t, client, http.MethodGet, server.URL+"/a", "")
		assert.Equal(t, http.StatusTeapot, first.status)
		assert.Empty(t, first.body)
		second := ask(t, client, http.MethodPost, server.URL+"/b", "payload")
		assert.Equal(t, http.StatusNotFound, second.status)
		assert.Equal(t, "payload", string(second.body))
		for range 2 {
			requireGood(t, ask(t, client, http.MethodGet, server.URL, ""))
		}
		server.Answer(func(c *raw.Conn) { c.JSON(http.StatusGone, "") })
		last := ask(t, client, http.MethodGet, server.URL, "")
		assert.Equal(t, http.StatusGone, last.status, "the last answer until now is over")
		assert.Len(t, server.Requests(), 5)
		assert.Equal(t, 1, server.Connections(), "an answer that is whole leaves the connection as it is")
	})
}

func TestRequestsAreWhatCame(t *testing.T) {
	server := raw.Start(t)
	server.Answer(good)
	client := server.HTTPClient()
	long := strings.Repeat("x", 1<<20)
	ask(t, client, http.MethodPost, server.URL+"/v2/tags?a=1", long)
	client.CloseIdleConnections()
	ask(t, client, http.MethodGet, server.URL, "")

	requests := server.Requests()
	require.Len(t, requests, 2)
	head := string(requests[0].Head)
	assert.True(t, strings.HasPrefix(head, "POST /v2/tags?a=1 HTTP/1.1\r\nHost: "), head)
	assert.True(t, strings.HasSuffix(head, "\r\n\r\n"), head)
	assert.Equal(t, long, string(requests[0].Body))
	assert.Equal(t, []int{1, 2}, []int{requests[0].Connection, requests[1].Connection})
	assert.Zero(t, requests[0].Stream)
	assert.True(t, strings.HasPrefix(string(requests[1].Head), "GET / HTTP/1.1\r\n"))
	assert.Empty(t, requests[1].Body)

	requests[0].Head[0], requests[0].Body[0] = '!', '!'
	again := server.Requests()
	assert.Equal(t, "P", string(again[0].Head[:1]), "what a test does to its copy is its own affair")
	assert.Equal(t, "x", string(again[0].Body[:1]))
}

// A request whose client broke off in the body was sent all the same.
func TestRequestBrokenOff(t *testing.T) {
	server := raw.Start(t)
	server.Answer(good)
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Empty(t, answer)
	require.NoError(t, conn.Close())
	require.Len(t, server.Requests(), 1)
	assert.Equal(t, "123", string(server.Requests()[0].Body))
}

func TestWithoutAnswers(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		res := ask(t, client, http.MethodPost, server.URL, "x")
		require.Error(t, res.err)
		assert.Len(t, server.Requests(), 1)
	})
}

func TestAccept(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		server.Accept((*raw.Conn).Reset)
		server.Accept((*raw.Conn).Close, nil)
		server.Answer(good)
		for range 2 {
			require.Error(t, ask(t, client, http.MethodPost, server.URL, "x").err)
		}
		for range 2 {
			requireGood(t, ask(t, client, http.MethodPost, server.URL, "x"))
			client.CloseIdleConnections()
		}
		assert.Len(t, server.Requests(), 2)
		assert.Equal(t, 4, server.Connections())
	})
}

func TestStalledHandshake(t *testing.T) {
	server := raw.Start(t, raw.TLS(raw.Trusted))
	server.Accept((*raw.Conn).Silence, nil)
	server.Answer(good)
	hasty := server.HTTPClient()
	hasty.Transport.(*http.Transport).TLSHandshakeTimeout = 50 * time.Millisecond
	require.ErrorContains(t, ask(t, hasty, http.MethodPost, server.URL, "x").err, "handshake timeout")
	requireGood(t, ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x"))
}

func TestProxy(t *testing.T) {
	server := raw.Start(t)
	server.Answer(func(c *raw.Conn) {
		c.Send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
	})
	proxy, err := url.Parse(server.URL)
	require.NoError(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	res := ask(t, &http.Client{Transport: transport}, http.MethodGet, "https://drift.test/", "")
	require.ErrorContains(t, res.err, "Proxy Authentication Required")
	require.Len(t, server.Requests(), 1)
	assert.True(t, strings.HasPrefix(string(server.Requests()[0].Head), "CONNECT drift.test:443 HTTP/1.1\r\n"))
}

// Close ends whatever an answer is about.
func TestCloseEndsAnswers(t *testing.T) {
	for name, answer := range map[string]raw.Answer{
		"silence":   (*raw.Conn).Silence,
		"blackhole": (*raw.Conn).Blackhole,
		"drip":      func(c *raw.Conn) { assert.False(t, c.Drip("HTTP/1.1", time.Hour)) },
		"pause":     func(c *raw.Conn) { assert.False(t, c.Pause(time.Hour)) },
		"endless": func(c *raw.Conn) {
			for c.Send("HTTP/1.1 100 Continue\r\n\r\n") {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
				arrived := make(chan struct{})
				var once atomic.Bool
				server.Answer(func(c *raw.Conn) {
					if once.CompareAndSwap(false, true) {
						close(arrived)
					}
					answer(c)
				})
				asked := make(chan error)
				go func() { asked <- ask(t, client, http.MethodPost, server.URL, "x").err }()
				<-arrived
				start := time.Now()
				server.Close()
				server.Close()
				assert.Less(t, time.Since(start), 30*time.Second)
				require.Error(t, <-asked)
				require.Error(t, ask(t, client, http.MethodPost, server.URL, "x").err)
			})
		})
	}
}

func TestCloseEndsHandshakes(t *testing.T) {
	server := raw.Start(t, raw.TLS(raw.Trusted))
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "https://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.Eventually(t, func() bool { return server.Connections() == 1 }, time.Minute, time.Millisecond)
	server.Close()
}
