package drift

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the fault matrix shows with short timeouts must hold for the Transport that clients make themselves: nothing
// waits for ever, and nothing grows for ever.
func TestOwnTransport(t *testing.T) {
	transport := newTransport()
	for name, timeout := range map[string]time.Duration{
		"handshake": transport.TLSHandshakeTimeout, "headers": transport.ResponseHeaderTimeout, "idle": transport.IdleConnTimeout,
	} {
		assert.Positive(t, timeout, name)
		assert.LessOrEqual(t, timeout, defaultAttemptTimeout, name)
	}
	assert.Positive(t, transport.MaxResponseHeaderBytes)
	assert.LessOrEqual(t, transport.MaxResponseHeaderBytes, int64(1<<20))
	assert.EqualValues(t, tls.VersionTLS12, transport.TLSClientConfig.MinVersion)
	assert.False(t, transport.TLSClientConfig.InsecureSkipVerify)

	assert.NotNil(t, transport.Proxy)
	require.NotNil(t, transport.OnProxyConnectResponse)
	for status, text := range map[int]string{http.StatusProxyAuthRequired: "the proxy requires a login", http.StatusBadGateway: "the proxy refused the connection (502 Bad Gateway)"} {
		err := transport.OnProxyConnectResponse(t.Context(), nil, nil, &http.Response{StatusCode: status, Status: "MARKER"})
		require.ErrorContains(t, err, text)
		assert.NotContains(t, err.Error(), "MARKER")
	}
	require.NoError(t, transport.OnProxyConnectResponse(t.Context(), nil, nil, &http.Response{StatusCode: http.StatusOK}))

	assert.True(t, transport.ForceAttemptHTTP2)
	require.NotNil(t, transport.HTTP2)
	assert.Positive(t, transport.HTTP2.SendPingTimeout)
	assert.Positive(t, transport.HTTP2.PingTimeout)
	assert.LessOrEqual(t, transport.HTTP2.SendPingTimeout+transport.HTTP2.PingTimeout, 25*time.Second, "until a dead peer is found out")
	assert.Positive(t, transport.HTTP2.WriteByteTimeout)
}

// A call that outlasts Close, or is between two attempts, leaves no connection behind when it has got its answer.
func TestCloseDuringACallClosesItsConnection(t *testing.T) {
	for protocol, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		for name, first := range map[string]int{"under way": http.StatusOK, "between attempts": http.StatusServiceUnavailable} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				var client *Client
				var open, calls atomic.Int32
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					assert.Equal(t, protocol, strings.TrimSuffix(r.Proto, ".0"))
					w.Header().Set("Content-Type", "application/json")
					if calls.Add(1) == 1 {
						assert.NoError(t, client.Close())
						w.WriteHeader(first)
					}
					_, _ = io.WriteString(w, `{"data": {"id": 1}}`)
				}))
				server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					switch state {
					case http.StateNew:
						open.Add(1)
					case http.StateClosed:
						open.Add(-1)
					}
				}
				server.EnableHTTP2 = http2
				server.StartTLS()
				t.Cleanup(server.Close)
				var err error
				client, err = NewClient(WithToken("token"), WithBaseURL(server.URL), WithRetryPolicy(RetryPolicy{MinBackoff: 1, MaxBackoff: 1}))
				require.NoError(t, err)
				client.caller.ownTransport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
				_, err = client.Tags.Get(t.Context(), 1)
				require.NoError(t, err)
				assert.Eventually(t, func() bool { return open.Load() == 0 }, 10*time.Second, time.Millisecond)
			})
		}
	}
}
