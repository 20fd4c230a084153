package drift_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "test-token"

// newClient returns a client whose API is at baseURL; it is closed at the end of the test.
func newClient(t testing.TB, baseURL string, opts ...drift.Option) *drift.Client {
	t.Helper()
	client, err := drift.NewClient(append([]drift.Option{drift.WithToken(testToken), drift.WithBaseURL(baseURL)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// serve returns a client of a server on loopback that answers with handler.
func serve(t testing.TB, handler http.HandlerFunc, opts ...drift.Option) *drift.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, server.URL, opts...)
}

// respond answers every request with this status and body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// roundTripper is a network in memory, for tests in virtual time: sockets are not part of it.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// through returns a client that sends through transport.
func through(t testing.TB, transport roundTripper, opts ...drift.Option) *drift.Client {
	t.Helper()
	return newClient(t, "https://drift.test", append(opts, drift.WithHTTPClient(&http.Client{Transport: transport}))...)
}
