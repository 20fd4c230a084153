package testkit

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// Token is the token of clients that have no other.
const Token = "test-token"

// NewClient returns a client of the API at baseURL that is closed when the test ends.
func NewClient(t testing.TB, baseURL string, opts ...drift.Option) *drift.Client {
	t.Helper()
	own := []drift.Option{drift.WithToken(Token), drift.WithBaseURL(baseURL)}
	client, err := drift.NewClient(append(own, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// Serve returns a client of a server on loopback that answers with handler.
func Serve(t testing.TB, handler http.HandlerFunc, opts ...drift.Option) *drift.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return NewClient(t, server.URL, opts...)
}

// Respond answers every request with this status and body.
func Respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// Through returns a client that sends through transport.
func Through(t testing.TB, transport Responder, opts ...drift.Option) *drift.Client {
	t.Helper()
	return NewClient(t, "https://drift.test", append(opts, drift.WithHTTPClient(&http.Client{Transport: transport}))...)
}

// AnsweringClient answers every attempt with the same status and body, and sends each call once.
func AnsweringClient(t testing.TB, status int, body string, opts ...drift.Option) *drift.Client {
	return Through(t, func(req *http.Request) (*http.Response, error) {
		resp := MemoryAnswer(req, status, "application/json", body)
		resp.Header.Set("X-Request-Id", "req-1")
		return resp, nil
	}, append(opts, drift.WithoutRetry(), drift.WithLimiter(OpenLimiter{}))...)
}

// OnStart calls f at the start of every call.
func OnStart(f func(drift.RequestInfo)) drift.Option {
	return drift.WithHooks(drift.Hooks{Start: func(_ context.Context, info drift.RequestInfo) context.Context {
		f(info)
		return nil
	}})
}

// Impatient retries without delays.
func Impatient() drift.Option {
	return drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1})
}

// StaticSource always gives the same token.
func StaticSource(token string) oauth2.TokenSource {
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
}

// ThroughWith is [Through] with a token source. It does not close the client.
func ThroughWith(t testing.TB, source oauth2.TokenSource, transport Responder, opts ...drift.Option) *drift.Client {
	t.Helper()
	opts = append(opts, drift.WithTokenSource(source), drift.WithBaseURL("https://drift.test"),
		drift.WithHTTPClient(&http.Client{Transport: transport}))
	client, err := drift.NewClient(opts...)
	require.NoError(t, err)
	return client
}
