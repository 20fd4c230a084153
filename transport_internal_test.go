package drift

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the fault matrix shows with short timeouts must hold for the Transport that clients make themselves: nothing waits for
// ever, and nothing grows for ever.
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
	for status, text := range map[int]string{http.StatusProxyAuthRequired: "(status 407)", http.StatusBadGateway: "(status 502)"} {
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
