package drift

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/driftsdk/drift/internal/trace"
)

const defaultAttemptTimeout = time.Minute

// newTransport returns a transport for one busy host. Unlike http.DefaultTransport, it has a timeout for response
// headers and keeps 100 idle connections per host: with the default of two, most calls under load need a new
// connection.
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

// proxyAnswer returns an error if the proxy refuses to connect. It replaces the error of net/http, which quotes the
// proxy's status line.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		refused := trace.RefusedByProxy(resp.StatusCode)
		return &cause{kind: Kind(refused.Kind), text: refused.Text, hint: refused.Hint, err: errProxy}
	}
	return nil
}

// refuseRedirect is a second safeguard: RoundTrip turns redirects into errors before net/http sees them.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// wrapped returns transport inside the middleware, with a guard between them.
func wrapped(
	transport http.RoundTripper, base *url.URL, middleware []func(http.RoundTripper) http.RoundTripper,
) (http.RoundTripper, error) {
	if len(middleware) == 0 {
		return transport, nil
	}
	transport = trace.Guard{Base: base, Next: transport}
	for _, wrap := range slices.Backward(middleware) {
		if transport = wrap(transport); transport == nil {
			return nil, invalidOption("WithMiddleware", errors.New("must return an http.RoundTripper, not nil"))
		}
	}
	return transport, nil
}

// roundTrip calls the transport, and corrects results that violate the contract of http.RoundTripper.
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
