package drift

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const defaultAttemptTimeout = time.Minute

// newTransport has the timeouts and the connections for one busy host that http.DefaultTransport lacks: two idle
// connections a host, as there, cost a new connection on most calls under load.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ResponseHeaderTimeout:  30 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    100,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		OnProxyConnectResponse: proxyAnswer,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: 15 * time.Second,
		},
	}
}

// proxyAnswer says why a proxy does not connect: net/http's own error is the status line, which may say anything.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return unusable(errProxy, "status "+strconv.Itoa(resp.StatusCode))
	}
	return nil
}

// refuseRedirect is a second lock: RoundTrip turns redirects into errors before net/http sees them.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// roundTrip defends against transports that break the contract of http.RoundTripper.
func roundTrip(transport http.RoundTripper, req *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(req)
	switch {
	case err != nil && resp != nil && resp.Body != nil:
		_ = resp.Body.Close()
	case err == nil && resp == nil:
		err = errNoResponse
	case err == nil && resp.Body == nil:
		resp.Body = http.NoBody
	}
	if err == nil && resp.Header == nil {
		resp.Header = http.Header{}
	}
	return resp, err
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }
