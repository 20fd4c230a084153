package raw_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/raw"
)

func TestReset(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		server.Answer((*raw.Conn).Reset)
		res := ask(t, client, http.MethodPost, server.URL, "x")
		require.Error(t, res.err)
		// A reset is reported once, and in HTTP/2 a write of the client may be the one that gets it.
		if server.Requests()[0].Stream == 0 {
			require.ErrorIs(t, res.err, syscall.ECONNRESET)
		}
		assert.Len(t, server.Requests(), 1)
	})
}

func TestResetInBody(t *testing.T) {
	server := raw.Start(t)
	server.Answer(func(c *raw.Conn) {
		c.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
		c.Reset()
	})
	res := ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x")
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "12345", string(res.body))
	require.ErrorIs(t, res.err, syscall.ECONNRESET)
}

func TestClose(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		server.Answer((*raw.Conn).Close)
		res := ask(t, client, http.MethodPost, server.URL, "x")
		require.Error(t, res.err)
		assert.NotErrorIs(t, res.err, syscall.ECONNRESET)
	})
}

func TestCloseWrite(t *testing.T) {
	for _, opts := range [][]raw.Option{nil, {raw.TLS(raw.Trusted)}} {
		server := raw.Start(t, opts...)
		server.Answer(func(c *raw.Conn) {
			c.Send("HTTP/1.1 200 OK\r\n\r\nup to the end")
			c.CloseWrite()
		})
		res := ask(t, server.HTTPClient(), http.MethodGet, server.URL, "")
		require.NoError(t, res.err)
		assert.Equal(t, "up to the end", string(res.body))
	}
}

// The client of a half-closed connection can still be heard.
func TestCloseWriteHears(t *testing.T) {
	server := raw.Start(t)
	server.Answer((*raw.Conn).CloseWrite)
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(server.Requests()) == 2 }, time.Minute, time.Millisecond)
}

func TestSilence(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan struct{})
		server.Answer(func(c *raw.Conn) {
			time.AfterFunc(20*time.Millisecond, cancel)
			c.Silence()
			close(returned)
		}, good)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.ErrorIs(t, err, context.Canceled)
		assert.Nil(t, resp)
		requireGood(t, ask(t, client, http.MethodGet, server.URL, ""))
		// Over HTTP/2 the cancelled request may hold its connection for a moment.
		require.Eventually(t, func() bool {
			client.CloseIdleConnections()
			select {
			case <-returned:
				return true
			default:
				return false
			}
		}, time.Minute, time.Millisecond)
	})
}

func TestDrip(t *testing.T) {
	const text, pause = "HTTP/1.1 204 No Content\r\n\r\n", 2 * time.Millisecond
	server := raw.Start(t)
	server.Answer(func(c *raw.Conn) { c.Drip(text, pause) })
	start := time.Now()
	res := ask(t, server.HTTPClient(), http.MethodGet, server.URL, "")
	require.NoError(t, res.err)
	assert.Equal(t, http.StatusNoContent, res.status)
	assert.GreaterOrEqual(t, time.Since(start), time.Duration(len(text))*pause)
}

// Sending ends when the client has gone, or nothing that is endless would end.
func TestEndlessHeaders(t *testing.T) {
	server := raw.Start(t)
	ended := make(chan struct{})
	server.Answer(func(c *raw.Conn) {
		defer close(ended)
		c.Send("HTTP/1.1 200 OK\r\n")
		for c.Send("X-Filler: and so on\r\n") {
		}
	})
	client := server.HTTPClient()
	client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
	res := ask(t, client, http.MethodGet, server.URL, "")
	require.ErrorContains(t, res.err, "exceeded")
	<-ended
}

func TestInterimAnswers(t *testing.T) {
	forEachKind(t, func(t *testing.T, server *raw.Server, client *http.Client) {
		server.Answer(func(c *raw.Conn) {
			for range 3 {
				if c.Request.Stream != 0 {
					c.Headers(http.StatusEarlyHints, nil, false)
				} else {
					c.Send("HTTP/1.1 103 Early Hints\r\n\r\n")
				}
			}
			good(c)
		})
		interim := 0
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			interim++
			assert.Equal(t, http.StatusEarlyHints, code)
			return nil
		}}
		ctx := httptrace.WithClientTrace(t.Context(), trace)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 3, interim)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	})
}

func TestSendsWhatNoServerShould(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 abc OK\r\n\r\n":      "malformed",
		"SSH-2.0-OpenSSH_9.9\r\n":      "malformed",
		"HTTP/1.1 200 OK\r\nX\r\n\r\n": "malformed",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n": "unexpected EOF",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345":                "unexpected EOF",
	} {
		server := raw.Start(t)
		server.Answer(func(c *raw.Conn) {
			c.Send(text)
			c.Close()
		})
		res := ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x")
		require.ErrorContains(t, res.err, want, "%q", text)
	}
}
