package raw_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/internal/raw"
)

func TestRequestsOfHTTP2(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(good)
	client := server.HTTPClient()
	long := strings.Repeat("x", 5<<20) // more than the client may send without being told that it may go on
	requireGood(t, ask(t, client, http.MethodPost, server.URL, long))
	header := func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("ö", 20<<10)) }
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	header(r)
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	requests := server.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, long, string(requests[0].Body))
	assert.Equal(t, []uint32{1, 3}, []uint32{requests[0].Stream, requests[1].Stream})
	assert.Greater(t, len(requests[1].Head), 16<<10, "headers of several frames are one request")
	assert.NotEmpty(t, requests[0].Head)
}

func TestHTTP2SendsMoreThanAFrame(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	value, body := strings.Repeat("v", 40<<10), strings.Repeat("b", 40<<10)
	server.Answer(func(c *raw.Conn) {
		c.Headers(http.StatusOK, http.Header{"X-Long": {value, "short"}}, false)
		c.Data(body, true)
	})
	res := ask(t, server.HTTPClient(), http.MethodGet, server.URL, "")
	require.NoError(t, res.err)
	assert.Equal(t, []string{value, "short"}, res.header["X-Long"])
	assert.Equal(t, body, string(res.body))
}

func TestHTTP2WithAnotherCertificate(t *testing.T) {
	server := raw.Start(t, raw.HTTP2(), raw.TLS(raw.Expired))
	res := ask(t, server.HTTPClient(), http.MethodGet, server.URL, "")
	require.ErrorAs(t, res.err, new(x509.CertificateInvalidError))
}

// net/http sends again what the server says it has not looked at, on another connection.
func TestGoAway(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(func(c *raw.Conn) { c.GoAway(c.Request.Stream-1, raw.HTTP2NoError) }, good)
	requireGood(t, ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x"))
	requests := server.Requests()
	require.Len(t, requests, 2)
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
	assert.Equal(t, []string{"x", "x"}, []string{string(requests[0].Body), string(requests[1].Body)})
}

// What the server has taken is still answered, and the next request goes elsewhere.
func TestGoAwayAfterTheStream(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(func(c *raw.Conn) {
		c.GoAway(c.Request.Stream, raw.HTTP2NoError)
		good(c)
	}, good)
	client := server.HTTPClient()
	for range 2 {
		requireGood(t, ask(t, client, http.MethodPost, server.URL, "x"))
	}
	requests := server.Requests()
	require.Len(t, requests, 2)
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
}

func TestGoAwayTaken(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(func(c *raw.Conn) {
		c.GoAway(c.Request.Stream, raw.HTTP2NoError)
		c.Close()
	})
	require.ErrorContains(t, ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x").err, "GOAWAY")
	assert.Len(t, server.Requests(), 1)
}

func TestRefusedStream(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(func(c *raw.Conn) { c.ResetStream(raw.HTTP2RefusedStream) }, good)
	requireGood(t, ask(t, server.HTTPClient(), http.MethodPost, server.URL, "x"))
	assert.Len(t, server.Requests(), 2)
	assert.Equal(t, 1, server.Connections())
}

func TestResetStreamInBody(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(func(c *raw.Conn) {
		c.Headers(http.StatusOK, nil, false)
		c.Data("12345", false)
		c.ResetStream(raw.HTTP2InternalError)
	}, good)
	client := server.HTTPClient()
	res := ask(t, client, http.MethodPost, server.URL, "x")
	assert.Equal(t, http.StatusOK, res.status)
	assert.Equal(t, "12345", string(res.body))
	require.ErrorContains(t, res.err, "INTERNAL_ERROR")
	requireGood(t, ask(t, client, http.MethodPost, server.URL, "x"))
	assert.Equal(t, 1, server.Connections(), "the connection is none the worse for it")
}

// pinging returns a client that soon asks a silent peer whether it is there.
func pinging(server *raw.Server, timeout time.Duration) *http.Client {
	client := server.HTTPClient()
	transport := client.Transport.(*http.Transport)
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Millisecond, PingTimeout: timeout}
	return client
}

func TestBlackhole(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	sent := make(chan bool, 1)
	server.Answer(func(c *raw.Conn) {
		c.Blackhole()
		sent <- c.Send("x")
	}, good)
	client := pinging(server, 200*time.Millisecond)
	require.Error(t, ask(t, client, http.MethodPost, server.URL, "x").err)
	assert.False(t, <-sent)
	requireGood(t, ask(t, client, http.MethodPost, server.URL, "x"))
	requests := server.Requests()
	assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
}

// A silent stream does not mean a dead peer: pings are answered.
func TestSilenceAnswersPings(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer((*raw.Conn).Silence)
	client := pinging(server, 500*time.Millisecond)
	client.Timeout = time.Second
	res := ask(t, client, http.MethodGet, server.URL, "")
	var timeout net.Error
	require.ErrorAs(t, res.err, &timeout)
	assert.True(t, timeout.Timeout(), "%v", res.err)
	assert.Equal(t, 1, server.Connections())
}

func TestHTTP2RefusesOtherClients(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer(good)
	client := server.HTTPClient()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	require.Error(t, ask(t, client, http.MethodGet, server.URL, "").err)
	assert.Empty(t, server.Requests())
}

func TestHTTP2RefusesHugeFrames(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	config := server.HTTPClient().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(server.URL, "https://"), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x40\x01\x00\x00\x00\x00\x00\x01")
	require.NoError(t, err)
	sent, _ := io.ReadAll(conn)
	assert.Equal(t, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", string(sent), "settings, and the end")
}

// Padding and priority, which net/http does not send, are not part of a request; nor are trailers one of their own.
func TestHTTP2ReadsPaddedFrames(t *testing.T) {
	server := raw.Start(t, raw.HTTP2())
	server.Answer((*raw.Conn).Close)
	config := server.HTTPClient().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(server.URL, "https://"), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+
		"\x00\x00\x0b\x01\x2c\x00\x00\x00\x05\x02\x00\x00\x00\x00\x10HDR\x00\x00"+ // HEADERS: padded, priority, end of headers
		"\x00\x00\x06\x00\x08\x00\x00\x00\x05\x01BODY\x00"+ // DATA: padded
		"\x00\x00\x03\x01\x05\x00\x00\x00\x05TRL"+ // HEADERS: end of headers, end of stream
		"\x00\x00\x01\x00\x00\x00\x00\x00\x63x") // DATA of a stream that is not open
	require.NoError(t, err)
	_, _ = io.ReadAll(conn)
	want := raw.Request{Connection: 1, Stream: 5, Head: []byte("HDR"), Body: []byte("BODY")}
	assert.Equal(t, []raw.Request{want}, server.Requests())
}
