package drifttest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func ExampleRawServer() {
	raw, err := drifttest.ListenRaw()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer raw.Close()

	// The first request is applied, as far as the client can know, and its answer breaks off.
	raw.Answer(
		func(c *drifttest.RawConn) {
			c.Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n" + `{"data": {"id": 1`)
			c.Reset()
		},
		func(c *drifttest.RawConn) { c.JSON(http.StatusOK, `{"data": {"id": 1, "name": "vip"}}`) },
	)

	client := raw.Client()
	_, err = client.Tags.Create(context.Background(), drift.TagCreateRequest{Name: "vip"})
	fmt.Println(errors.Is(err, drift.ErrAmbiguous), len(raw.Requests()))

	tag, err := client.Tags.Get(context.Background(), 1)
	fmt.Println(tag.Name, err, len(raw.Requests()))
	// Output:
	// true 1
	// vip <nil> 2
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

func good(c *drifttest.RawConn) { c.JSON(http.StatusOK, `{"data":{"id":1}}`) }

func requireGood(t *testing.T, res result) {
	t.Helper()
	require.NoError(t, res.err)
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, `{"data":{"id":1}}`, string(res.body))
}

// Each way to set a server up, and the version of HTTP that it speaks.
var rawKinds = []struct {
	name  string
	proto string
	opts  []drifttest.RawOption
}{
	{"TCP", "HTTP/1.1", nil},
	{"TLS", "HTTP/1.1", []drifttest.RawOption{drifttest.RawTLS(drifttest.TrustedCertificate)}},
	{"HTTP/2", "HTTP/2.0", []drifttest.RawOption{nil, drifttest.RawHTTP2()}},
}

func forEachRawKind(t *testing.T, check func(t *testing.T, raw *drifttest.RawServer, client *http.Client)) {
	t.Helper()
	for _, kind := range rawKinds {
		t.Run(kind.name, func(t *testing.T) {
			raw := drifttest.StartRaw(t, kind.opts...)
			check(t, raw, raw.HTTPClient())
		})
	}
}

func TestRawSpeaksHTTP(t *testing.T) {
	for _, kind := range rawKinds {
		t.Run(kind.name, func(t *testing.T) {
			raw := drifttest.StartRaw(t, kind.opts...)
			raw.Answer(good)
			resp, err := raw.HTTPClient().Get(raw.URL)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, kind.proto, resp.Proto)
		})
	}
}

func TestRawAnswersInOrder(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		raw.Answer(func(c *drifttest.RawConn) { c.JSON(http.StatusTeapot, "") })
		raw.Answer(func(c *drifttest.RawConn) { c.JSON(http.StatusNotFound, string(c.Request.Body)) }, good)
		first := ask(t, client, http.MethodGet, raw.URL+"/a", "")
		assert.Equal(t, http.StatusTeapot, first.status)
		assert.Empty(t, first.body)
		second := ask(t, client, http.MethodPost, raw.URL+"/b", "payload")
		assert.Equal(t, http.StatusNotFound, second.status)
		assert.Equal(t, "payload", string(second.body))
		for range 2 {
			requireGood(t, ask(t, client, http.MethodGet, raw.URL, ""))
		}
		raw.Answer(func(c *drifttest.RawConn) { c.JSON(http.StatusGone, "") })
		assert.Equal(t, http.StatusGone, ask(t, client, http.MethodGet, raw.URL, "").status, "what was last until now is over")
		assert.Len(t, raw.Requests(), 5)
		assert.Equal(t, 1, raw.Connections(), "an answer that is whole leaves the connection as it is")
	})
}

func TestRawRequestsAreWhatCame(t *testing.T) {
	raw := drifttest.StartRaw(t)
	raw.Answer(good)
	client := raw.HTTPClient()
	long := strings.Repeat("x", 1<<20)
	ask(t, client, http.MethodPost, raw.URL+"/v2/tags?a=1", long)
	client.CloseIdleConnections()
	ask(t, client, http.MethodGet, raw.URL, "")

	requests := raw.Requests()
	require.Len(t, requests, 2)
	assert.True(t, strings.HasPrefix(string(requests[0].Head), "POST /v2/tags?a=1 HTTP/1.1\r\nHost: "), "%s", requests[0].Head)
	assert.True(t, strings.HasSuffix(string(requests[0].Head), "\r\n\r\n"), "%s", requests[0].Head)
	assert.Equal(t, long, string(requests[0].Body))
	assert.Equal(t, []int{1, 2}, []int{requests[0].Connection, requests[1].Connection})
	assert.Zero(t, requests[0].Stream)
	assert.True(t, strings.HasPrefix(string(requests[1].Head), "GET / HTTP/1.1\r\n"))
	assert.Empty(t, requests[1].Body)

	requests[0].Head[0], requests[0].Body[0] = '!', '!'
	again := raw.Requests()
	assert.Equal(t, "P", string(again[0].Head[:1]), "what a test does to its copy is its own affair")
	assert.Equal(t, "x", string(again[0].Body[:1]))
}

func TestRawRequestsOfHTTP2(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(good)
	client := raw.HTTPClient()
	long := strings.Repeat("x", 5<<20) // more than the client may send without being told that it may go on
	requireGood(t, ask(t, client, http.MethodPost, raw.URL, long))
	header := func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("ö", 20<<10)) }
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw.URL, nil)
	require.NoError(t, err)
	header(r)
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	requests := raw.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, long, string(requests[0].Body))
	assert.Equal(t, []uint32{1, 3}, []uint32{requests[0].Stream, requests[1].Stream})
	assert.Greater(t, len(requests[1].Head), 16<<10, "headers of several frames are one request")
	assert.NotEmpty(t, requests[0].Head)
}

func TestRawHTTP2SendsMoreThanAFrame(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	value, body := strings.Repeat("v", 40<<10), strings.Repeat("b", 40<<10)
	raw.Answer(func(c *drifttest.RawConn) {
		c.Headers(http.StatusOK, http.Header{"X-Long": {value, "short"}}, false)
		c.Data(body, true)
	})
	res := ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "")
	require.NoError(t, res.err)
	assert.Equal(t, []string{value, "short"}, res.header["X-Long"])
	assert.Equal(t, body, string(res.body))
}

// A request whose client broke off in the body was sent all the same.
func TestRawRequestBrokenOff(t *testing.T) {
	raw := drifttest.StartRaw(t)
	raw.Answer(good)
	conn, err := net.Dial("tcp", strings.TrimPrefix(raw.URL, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Empty(t, answer)
	require.NoError(t, conn.Close())
	require.Len(t, raw.Requests(), 1)
	assert.Equal(t, "123", string(raw.Requests()[0].Body))
}

func TestRawWithoutAnswers(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		res := ask(t, client, http.MethodPost, raw.URL, "x")
		require.Error(t, res.err)
		assert.Len(t, raw.Requests(), 1)
	})
}

func TestRawReset(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		raw.Answer((*drifttest.RawConn).Reset)
		res := ask(t, client, http.MethodPost, raw.URL, "x")
		require.Error(t, res.err)
		if raw.Requests()[0].Stream == 0 { // in HTTP/2 the client may be writing, and its system tells only once that there was a reset
			require.ErrorIs(t, res.err, syscall.ECONNRESET)
		}
		assert.Len(t, raw.Requests(), 1)
	})
}

func TestRawResetInBody(t *testing.T) {
	raw := drifttest.StartRaw(t)
	raw.Answer(func(c *drifttest.RawConn) {
		c.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
		c.Reset()
	})
	res := ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x")
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "12345", string(res.body))
	require.ErrorIs(t, res.err, syscall.ECONNRESET)
}

func TestRawClose(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		raw.Answer((*drifttest.RawConn).Close)
		res := ask(t, client, http.MethodPost, raw.URL, "x")
		require.Error(t, res.err)
		assert.NotErrorIs(t, res.err, syscall.ECONNRESET)
	})
}

func TestRawCloseWrite(t *testing.T) {
	for _, opts := range [][]drifttest.RawOption{nil, {drifttest.RawTLS(drifttest.TrustedCertificate)}} {
		raw := drifttest.StartRaw(t, opts...)
		raw.Answer(func(c *drifttest.RawConn) {
			c.Send("HTTP/1.1 200 OK\r\n\r\nup to the end")
			c.CloseWrite()
		})
		res := ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "")
		require.NoError(t, res.err)
		assert.Equal(t, "up to the end", string(res.body))
	}
}

// The client of a half-closed connection can still be heard.
func TestRawCloseWriteHears(t *testing.T) {
	raw := drifttest.StartRaw(t)
	raw.Answer((*drifttest.RawConn).CloseWrite)
	conn, err := net.Dial("tcp", strings.TrimPrefix(raw.URL, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(raw.Requests()) == 2 }, time.Minute, time.Millisecond)
}

func TestRawSilence(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan struct{})
		raw.Answer(func(c *drifttest.RawConn) {
			time.AfterFunc(20*time.Millisecond, cancel)
			c.Silence()
			close(returned)
		}, good)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, raw.URL, nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.ErrorIs(t, err, context.Canceled)
		assert.Nil(t, resp)
		requireGood(t, ask(t, client, http.MethodGet, raw.URL, ""))
		require.Eventually(t, func() bool { // over HTTP/2 the request that was cancelled may hold its connection for a moment
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

func TestRawDrip(t *testing.T) {
	const text, pause = "HTTP/1.1 204 No Content\r\n\r\n", 2 * time.Millisecond
	raw := drifttest.StartRaw(t)
	raw.Answer(func(c *drifttest.RawConn) { c.Drip(text, pause) })
	start := time.Now()
	res := ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "")
	require.NoError(t, res.err)
	assert.Equal(t, http.StatusNoContent, res.status)
	assert.GreaterOrEqual(t, time.Since(start), time.Duration(len(text))*pause)
}

// Sending ends when the client has gone, or nothing that is endless would end.
func TestRawEndlessHeaders(t *testing.T) {
	raw := drifttest.StartRaw(t)
	ended := make(chan struct{})
	raw.Answer(func(c *drifttest.RawConn) {
		defer close(ended)
		c.Send("HTTP/1.1 200 OK\r\n")
		for c.Send("X-Filler: and so on\r\n") {
		}
	})
	client := raw.HTTPClient()
	client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
	res := ask(t, client, http.MethodGet, raw.URL, "")
	require.ErrorContains(t, res.err, "exceeded")
	<-ended
}

func TestRawInterimAnswers(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		raw.Answer(func(c *drifttest.RawConn) {
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
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			interim++
			assert.Equal(t, http.StatusEarlyHints, code)
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, raw.URL, nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 3, interim)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
	})
}

func TestRawSendsWhatNoServerShould(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 abc OK\r\n\r\n":      "malformed",
		"SSH-2.0-OpenSSH_9.9\r\n":      "malformed",
		"HTTP/1.1 200 OK\r\nX\r\n\r\n": "malformed",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n": "unexpected EOF",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345":                "unexpected EOF",
	} {
		raw := drifttest.StartRaw(t)
		raw.Answer(func(c *drifttest.RawConn) {
			c.Send(text)
			c.Close()
		})
		res := ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x")
		require.ErrorContains(t, res.err, want, "%q", text)
	}
}

func TestRawAccept(t *testing.T) {
	forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
		raw.Accept((*drifttest.RawConn).Reset)
		raw.Accept((*drifttest.RawConn).Close, nil)
		raw.Answer(good)
		for range 2 {
			require.Error(t, ask(t, client, http.MethodPost, raw.URL, "x").err)
		}
		for range 2 {
			requireGood(t, ask(t, client, http.MethodPost, raw.URL, "x"))
			client.CloseIdleConnections()
		}
		assert.Len(t, raw.Requests(), 2)
		assert.Equal(t, 4, raw.Connections())
	})
}

func TestRawStalledHandshake(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawTLS(drifttest.TrustedCertificate))
	raw.Accept((*drifttest.RawConn).Silence, nil)
	raw.Answer(good)
	hasty := raw.HTTPClient()
	hasty.Transport.(*http.Transport).TLSHandshakeTimeout = 50 * time.Millisecond
	require.ErrorContains(t, ask(t, hasty, http.MethodPost, raw.URL, "x").err, "handshake timeout")
	requireGood(t, ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x"))
}

func TestRawCertificates(t *testing.T) {
	for certificate, want := range map[drifttest.Certificate]any{
		drifttest.UntrustedCertificate: new(x509.UnknownAuthorityError),
		drifttest.ExpiredCertificate:   new(x509.CertificateInvalidError),
		drifttest.WrongHostCertificate: new(x509.HostnameError),
	} {
		raw := drifttest.StartRaw(t, drifttest.RawTLS(certificate))
		raw.Answer(good)
		res := ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "")
		require.ErrorAs(t, res.err, new(*tls.CertificateVerificationError))
		require.ErrorAs(t, res.err, want)
		assert.Empty(t, raw.Requests())
		assert.Equal(t, 1, raw.Connections())
	}
	_, err := drifttest.ListenRaw(drifttest.RawTLS(drifttest.WrongHostCertificate + 1))
	require.ErrorContains(t, err, "RawTLS")
	_, err = drifttest.ListenRaw(drifttest.RawTLS(-1))
	require.ErrorContains(t, err, "RawTLS")
}

func TestRawHTTP2WithAnotherCertificate(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2(), drifttest.RawTLS(drifttest.ExpiredCertificate))
	res := ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "")
	require.ErrorAs(t, res.err, new(x509.CertificateInvalidError))
}

func TestRawProxy(t *testing.T) {
	raw := drifttest.StartRaw(t)
	raw.Answer(func(c *drifttest.RawConn) {
		c.Send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
	})
	proxy, err := url.Parse(raw.URL)
	require.NoError(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	res := ask(t, &http.Client{Transport: transport}, http.MethodGet, "https://drift.test/", "")
	require.ErrorContains(t, res.err, "Proxy Authentication Required")
	require.Len(t, raw.Requests(), 1)
	assert.True(t, strings.HasPrefix(string(raw.Requests()[0].Head), "CONNECT drift.test:443 HTTP/1.1\r\n"))
}

// net/http sends again what the server says it has not looked at, on another connection.
func TestRawGoAway(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(func(c *drifttest.RawConn) { c.GoAway(c.Request.Stream-1, drifttest.HTTP2NoError) }, good)
	requireGood(t, ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x"))
	requests := raw.Requests()
	require.Len(t, requests, 2)
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
	assert.Equal(t, []string{"x", "x"}, []string{string(requests[0].Body), string(requests[1].Body)})
}

// What the server has taken is still answered, and the next request goes elsewhere.
func TestRawGoAwayAfterTheStream(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(func(c *drifttest.RawConn) {
		c.GoAway(c.Request.Stream, drifttest.HTTP2NoError)
		good(c)
	}, good)
	client := raw.HTTPClient()
	for range 2 {
		requireGood(t, ask(t, client, http.MethodPost, raw.URL, "x"))
	}
	requests := raw.Requests()
	require.Len(t, requests, 2)
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
}

func TestRawGoAwayTaken(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(func(c *drifttest.RawConn) {
		c.GoAway(c.Request.Stream, drifttest.HTTP2NoError)
		c.Close()
	})
	require.ErrorContains(t, ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x").err, "GOAWAY")
	assert.Len(t, raw.Requests(), 1)
}

func TestRawRefusedStream(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(func(c *drifttest.RawConn) { c.ResetStream(drifttest.HTTP2RefusedStream) }, good)
	requireGood(t, ask(t, raw.HTTPClient(), http.MethodPost, raw.URL, "x"))
	assert.Len(t, raw.Requests(), 2)
	assert.Equal(t, 1, raw.Connections())
}

func TestRawResetStreamInBody(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(func(c *drifttest.RawConn) {
		c.Headers(http.StatusOK, nil, false)
		c.Data("12345", false)
		c.ResetStream(drifttest.HTTP2InternalError)
	}, good)
	client := raw.HTTPClient()
	res := ask(t, client, http.MethodPost, raw.URL, "x")
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "12345", string(res.body))
	require.ErrorContains(t, res.err, "INTERNAL_ERROR")
	requireGood(t, ask(t, client, http.MethodPost, raw.URL, "x"))
	assert.Equal(t, 1, raw.Connections(), "the connection is none the worse for it")
}

// pinging returns a client that soon asks a silent peer whether it is there.
func pinging(raw *drifttest.RawServer, timeout time.Duration) *http.Client {
	client := raw.HTTPClient()
	client.Transport.(*http.Transport).HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Millisecond, PingTimeout: timeout}
	return client
}

func TestRawBlackhole(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	sent := make(chan bool, 1)
	raw.Answer(func(c *drifttest.RawConn) {
		c.Blackhole()
		sent <- c.Send("x")
	}, good)
	client := pinging(raw, 200*time.Millisecond)
	require.Error(t, ask(t, client, http.MethodPost, raw.URL, "x").err)
	assert.False(t, <-sent)
	requireGood(t, ask(t, client, http.MethodPost, raw.URL, "x"))
	requests := raw.Requests()
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
}

// A stream that is silent is no dead peer: the pings are answered.
func TestRawSilenceAnswersPings(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer((*drifttest.RawConn).Silence)
	client := pinging(raw, 500*time.Millisecond)
	client.Timeout = time.Second
	res := ask(t, client, http.MethodGet, raw.URL, "")
	var timeout net.Error
	require.ErrorAs(t, res.err, &timeout)
	assert.True(t, timeout.Timeout(), "%v", res.err)
	assert.Equal(t, 1, raw.Connections())
}

func TestRawHTTP2RefusesOtherClients(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer(good)
	client := raw.HTTPClient()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	require.Error(t, ask(t, client, http.MethodGet, raw.URL, "").err)
	assert.Empty(t, raw.Requests())
}

func TestRawHTTP2RefusesHugeFrames(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	config := raw.HTTPClient().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(raw.URL, "https://"), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x40\x01\x00\x00\x00\x00\x00\x01")
	require.NoError(t, err)
	sent, _ := io.ReadAll(conn)
	assert.Equal(t, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", string(sent), "settings, and the end")
}

// Padding and priority, which net/http does not send, are not part of a request; nor are trailers one of their own.
func TestRawHTTP2ReadsPaddedFrames(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawHTTP2())
	raw.Answer((*drifttest.RawConn).Close)
	config := raw.HTTPClient().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(raw.URL, "https://"), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+
		"\x00\x00\x0b\x01\x2c\x00\x00\x00\x05\x02\x00\x00\x00\x00\x10HDR\x00\x00"+ // HEADERS: padded, priority, end of headers
		"\x00\x00\x06\x00\x08\x00\x00\x00\x05\x01BODY\x00"+ // DATA: padded
		"\x00\x00\x03\x01\x05\x00\x00\x00\x05TRL"+ // HEADERS: end of headers, end of stream
		"\x00\x00\x01\x00\x00\x00\x00\x00\x63x") // DATA of a stream that is not open
	require.NoError(t, err)
	_, _ = io.ReadAll(conn)
	assert.Equal(t, []drifttest.RawRequest{{Connection: 1, Stream: 5, Head: []byte("HDR"), Body: []byte("BODY")}}, raw.Requests())
}

func TestRawClient(t *testing.T) {
	for _, kind := range rawKinds {
		t.Run(kind.name, func(t *testing.T) {
			raw := drifttest.StartRaw(t, kind.opts...)
			raw.Answer(good)
			client := raw.Client(drift.WithUserAgent("raw/1"))
			tag, err := client.Tags.Get(t.Context(), 1)
			require.NoError(t, err)
			assert.EqualValues(t, 1, tag.ID)
			raw.Close()
			_, err = client.Tags.Get(t.Context(), 1)
			require.ErrorIs(t, err, drift.ErrClosed)
			_, err = raw.Client().Tags.Get(t.Context(), 1)
			require.ErrorIs(t, err, drift.ErrClosed, "a client of a closed server is closed")
		})
	}
}

// Close ends whatever an answer is about.
func TestRawCloseEndsAnswers(t *testing.T) {
	for name, answer := range map[string]drifttest.RawAnswer{
		"silence":   (*drifttest.RawConn).Silence,
		"blackhole": (*drifttest.RawConn).Blackhole,
		"drip":      func(c *drifttest.RawConn) { assert.False(t, c.Drip("HTTP/1.1", time.Hour)) },
		"pause":     func(c *drifttest.RawConn) { assert.False(t, c.Pause(time.Hour)) },
		"endless": func(c *drifttest.RawConn) {
			for c.Send("HTTP/1.1 100 Continue\r\n\r\n") {
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			forEachRawKind(t, func(t *testing.T, raw *drifttest.RawServer, client *http.Client) {
				arrived := make(chan struct{})
				var once atomic.Bool
				raw.Answer(func(c *drifttest.RawConn) {
					if once.CompareAndSwap(false, true) {
						close(arrived)
					}
					answer(c)
				})
				asked := make(chan error)
				go func() { asked <- ask(t, client, http.MethodPost, raw.URL, "x").err }()
				<-arrived
				start := time.Now()
				raw.Close()
				raw.Close()
				assert.Less(t, time.Since(start), 30*time.Second)
				require.Error(t, <-asked)
				require.Error(t, ask(t, client, http.MethodPost, raw.URL, "x").err)
			})
		})
	}
}

func TestRawCloseEndsHandshakes(t *testing.T) {
	raw := drifttest.StartRaw(t, drifttest.RawTLS(drifttest.TrustedCertificate))
	conn, err := net.Dial("tcp", strings.TrimPrefix(raw.URL, "https://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.Eventually(t, func() bool { return raw.Connections() == 1 }, time.Minute, time.Millisecond)
	raw.Close()
}

func TestRawMistakesEndTheTest(t *testing.T) {
	tb := &fakeTB{}
	assert.Nil(t, drifttest.StartRaw(tb, drifttest.RawTLS(-1)))
	assert.Len(t, tb.fatals, 1)
	assert.Empty(t, tb.cleanups)

	raw := drifttest.StartRaw(tb)
	require.Len(t, tb.cleanups, 1)
	raw.Answer(good, nil)
	assert.Len(t, tb.fatals, 2)
	assert.Nil(t, raw.Client(drift.WithRateLimit(-1)))
	assert.Len(t, tb.fatals, 3)
	tb.cleanups[0]()
	require.Error(t, ask(t, raw.HTTPClient(), http.MethodGet, raw.URL, "").err)
}
