package drift_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestNewClientRefuses(t *testing.T) {
	const (
		tokenText   = "must be printable ASCII without spaces, and not empty"
		headerText  = "must name a header that the client does not set itself"
		positive    = "must be greater than 0"
		notNil      = "must not be nil"
		onlyOne     = ": use exactly one of WithToken, WithTokenSource and DRIFT_TOKEN"
		emptyToken  = "must not be empty: is the variable or setting that the token comes from set?"
		trimToken   = "must not have spaces or line breaks around it: trim what you read from a file"
		trim        = "must not have spaces or line breaks around it"
		scheme      = "must begin with https://, or with http:// for loopback"
		noHost      = "must have a host"
		noURL       = "is not a URL: it has a character that must be escaped, or a port that is not a number"
		noUser      = "must not have a user name or a password"
		noVersion   = `must not end in "v2": every operation's path begins with it`
		noQuery     = "must not have a query or a fragment"
		onlyHTTPS   = "must use https: http is only for loopback, or with WithInsecureHTTP"
		noDots      = `must not be "." or ".."`
		noneAtAll   = "is missing: use WithToken, WithTokenSource, or FromEnv with DRIFT_TOKEN"
		ascii       = "must be printable ASCII"
		notNegative = "must not be negative"
	)
	base := func(url string) drift.Option { return drift.WithBaseURL(url) }
	for _, c := range []struct {
		name     string
		option   drift.Option
		argument string
		reason   string
	}{
		{"no token", nil, "WithToken", noneAtAll},
		{"empty token", drift.WithToken(""), "WithToken", emptyToken},
		{"token with a space", drift.WithToken("a b"), "WithToken", tokenText},
		{"token with a line break", drift.WithToken("a\r\nX: y"), "WithToken", tokenText},
		{"token with a line feed at its end", drift.WithToken("a\n"), "WithToken", trimToken},
		{"token in quotes", drift.WithToken(`'a'`), "WithToken", "must not be in quotes: remove them"},
		{"token with its scheme", drift.WithToken("Bearer a"), "WithToken", `must be the token alone, without "Bearer"`},
		{"token beyond ASCII", drift.WithToken("tökn"), "WithToken", tokenText},
		{"token with NUL", drift.WithToken("a\x00"), "WithToken", tokenText},
		{"nil source", drift.WithTokenSource(nil), "WithTokenSource", notNil},
		{"relative base", base("/v2"), "WithBaseURL", scheme},
		{"base without a scheme", base("drift.test"), "WithBaseURL", scheme},
		{"base of another scheme", base("ftp://drift.test"), "WithBaseURL", scheme},
		{"opaque base", base("https:drift.test"), "WithBaseURL", noHost},
		{"base without a host", base("https:///v2"), "WithBaseURL", noHost},
		{"base with a port only", base("https://:443"), "WithBaseURL", noHost},
		{"empty base", base(""), "WithBaseURL", "must not be empty"},
		{"base that does not parse", base("https://user:password@host:port/%zz"), "WithBaseURL", noURL},
		{"base with a control character", base("https://drift.test/\x7f"), "WithBaseURL", noURL},
		{"base with a user", base("https://user@drift.test"), "WithBaseURL", noUser},
		{"base with a password", base("https://user:password@drift.test"), "WithBaseURL", noUser},
		{"base with a query", base("https://drift.test/?a=b"), "WithBaseURL", noQuery},
		{"base with an empty query", base("https://drift.test/?"), "WithBaseURL", noQuery},
		{"base with a fragment", base("https://drift.test/#a"), "WithBaseURL", noQuery},
		{"base with an empty fragment", base("https://drift.test/#"), "WithBaseURL", noQuery},
		{"base with dots", base("https://drift.test/a/../b"), "WithBaseURL", noDots},
		{"base with escaped dots", base("https://drift.test/a/%2e%2e/b"), "WithBaseURL", noDots},
		{"base with a line feed at its end", base("https://drift.test\n"), "WithBaseURL", trim},
		{"host and port alone", base("localhost:8080"), "WithBaseURL", scheme},
		{"address and port alone", base("127.0.0.1:8080"), "WithBaseURL", scheme},
		{"base with the version", base("https://drift.test/v2"), "WithBaseURL", noVersion},
		{"base with the version and a slash", base("https://drift.test/api/V2//"), "WithBaseURL", noVersion},
		{"http", base("http://drift.test"), "WithBaseURL", onlyHTTPS},
		{"http on a name like loopback", base("http://127.0.0.1.drift.test"), "WithBaseURL", onlyHTTPS},
		{"http on a name that ends like localhost", base("http://notlocalhost"), "WithBaseURL", onlyHTTPS},
		{"http on a private address", base("http://10.0.0.1"), "WithBaseURL", onlyHTTPS},
		{"nil client", drift.WithHTTPClient(nil), "WithHTTPClient", notNil},
		{"no plan", drift.WithPlan(0), "WithPlan", positive},
		{"negative plan", drift.WithPlan(-1), "WithPlan", positive},
		{"no rate", drift.WithRateLimit(0), "WithRateLimit", positive},
		{"negative rate", drift.WithRateLimit(-1), "WithRateLimit", positive},
		{"nil limiter", drift.WithLimiter(nil), "WithLimiter", notNil},
		{"nil store", drift.WithQuotaStore(nil), "WithQuotaStore", notNil},
		{"negative attempts", drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: -1}), "WithRetryPolicy", notNegative},
		{"negative backoff", drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: -1}), "WithRetryPolicy", notNegative},
		{"negative longest backoff", drift.WithRetryPolicy(drift.RetryPolicy{MaxBackoff: -1}), "WithRetryPolicy", notNegative},
		{"negative Retry-After", drift.WithRetryPolicy(drift.RetryPolicy{MaxRetryAfter: -1}), "WithRetryPolicy", notNegative},
		{"empty user agent", drift.WithUserAgent(""), "WithUserAgent", ascii},
		{"user agent with a line break", drift.WithUserAgent("a\r\nX: y"), "WithUserAgent", ascii},
		{"user agent beyond ASCII", drift.WithUserAgent("ä"), "WithUserAgent", ascii},
		{"no bytes", drift.WithMaxResponseBytes(0), "WithMaxResponseBytes", positive},
		{"negative bytes", drift.WithMaxResponseBytes(-1), "WithMaxResponseBytes", positive},
		{"no time", drift.WithTimeout(0), "WithTimeout", positive},
		{"negative time", drift.WithTimeout(-1), "WithTimeout", positive},
		{"header value with a line break", drift.WithHeader("X-A", "b\r\nX: y"), "WithHeader", ascii},
		{"header value beyond ASCII", drift.WithHeader("X-A", "ä"), "WithHeader", ascii},
		{"header without a name", drift.WithHeader("", "b"), "WithHeader", headerText},
		{"header name with a space", drift.WithHeader("X A", "b"), "WithHeader", headerText},
		{"header name with a colon", drift.WithHeader("X:A", "b"), "WithHeader", headerText},
		{"header name with a line break", drift.WithHeader("X\r\nA", "b"), "WithHeader", headerText},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := []drift.Option{c.option, drift.WithToken(testkit.Token)}
			if strings.HasPrefix(c.argument, "WithToken") {
				options = options[:1]
			}
			client, err := drift.NewClient(options...)
			assert.Nil(t, client)
			require.ErrorIs(t, err, drift.ErrInvalid)
			var invalid *drift.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, drift.ValidationError{Argument: c.argument, Reason: c.reason}, *invalid)
			assert.Equal(t, "drift: "+c.argument+" "+c.reason, err.Error())
		})
	}
	source := drift.WithTokenSource(testkit.StaticSource("a"))
	for name, options := range map[string][]drift.Option{
		"WithToken cannot be combined with WithToken":             {drift.WithToken("a"), drift.WithToken("a")},
		"WithTokenSource cannot be combined with WithToken":       {drift.WithToken("a"), source},
		"WithTokenSource cannot be combined with WithTokenSource": {source, source},
		"DRIFT_TOKEN cannot be combined with WithToken":           {drift.WithToken("a"), drift.FromEnv()},
		"WithTokenSource cannot be combined with DRIFT_TOKEN":     {drift.FromEnv(), source},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DRIFT_TOKEN", "b")
			_, err := drift.NewClient(options...)
			require.EqualError(t, err, "drift: "+name+onlyOne)
		})
	}
}

func TestReservedHeadersAreRefused(t *testing.T) {
	for _, name := range []string{
		"Accept-Encoding", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Expect", "Host",
		"Idempotency-Key", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "X-Idempotency-Key",
	} {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			_, err := drift.NewClient(drift.WithToken("a"), drift.WithHeader(spelled, "x"))
			require.ErrorIs(t, err, drift.ErrInvalid, spelled)
		}
	}
}

func TestBaseURLs(t *testing.T) {
	for base, want := range map[string]string{
		"https://drift.test":            "https://drift.test/v2/tags/1",
		"https://drift.test/":           "https://drift.test/v2/tags/1",
		"https://drift.test///":         "https://drift.test/v2/tags/1",
		"https://drift.test:8443/a/b":   "https://drift.test:8443/a/b/v2/tags/1",
		"https://drift.test/a/b/":       "https://drift.test/a/b/v2/tags/1",
		"https://drift.test/a%2Fb/c%20": "https://drift.test/a%2Fb/c%20/v2/tags/1",
		"HTTPS://drift.test":            "https://drift.test/v2/tags/1",
		"http://localhost:8080":         "http://localhost:8080/v2/tags/1",
		"http://127.0.0.1:8080/x":       "http://127.0.0.1:8080/x/v2/tags/1",
		"http://127.1.2.3":              "http://127.1.2.3/v2/tags/1",
		"http://[::1]:8080":             "http://[::1]:8080/v2/tags/1",
	} {
		assert.Equal(t, want, urlOf(t, drift.WithBaseURL(base)), base)
	}
	assert.Equal(t, "https://driftapi.com/v2/tags/1", urlOf(t))
	assert.Equal(t, "http://drift.test/v2/tags/1", urlOf(t, drift.WithBaseURL("http://drift.test"), drift.WithInsecureHTTP()))
	assert.Equal(t, "http://drift.test/v2/tags/1", urlOf(t, drift.WithInsecureHTTP(), drift.WithBaseURL("http://drift.test")))
}

// urlOf returns the URL to which a client with these options sends a call.
func urlOf(t *testing.T, opts ...drift.Option) (url string) {
	t.Helper()
	sent := requestOf(t, append([]drift.Option{drift.WithToken(testkit.Token)}, opts...)...)
	assert.Equal(t, sent.URL.Host, sent.Host)
	return sent.URL.String()
}

func requestOf(t *testing.T, opts ...drift.Option) (sent *http.Request) {
	t.Helper()
	network := testkit.Responder(func(req *http.Request) (*http.Response, error) {
		sent = req
		return testkit.MemoryAnswer(req, http.StatusOK, "application/json", `{"data": {"id": 1}}`), nil
	})
	client, err := drift.NewClient(append(opts, drift.WithHTTPClient(&http.Client{Transport: network}))...)
	require.NoError(t, err)
	_, err = client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	return sent
}

func TestFromEnv(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "env-token")
	t.Setenv("DRIFT_BASE_URL", "https://env.test/api")
	for name, limit := range map[string]int{"": 0, "starter": 10_000, "Professional": 25_000, "ENTERPRISE": 50_000, "1234": 1234} {
		t.Setenv("DRIFT_PLAN", name)
		client, err := drift.NewClient(drift.FromEnv())
		require.NoError(t, err)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, limit, usage.Limit)
	}
	sent := requestOf(t, drift.FromEnv())
	assert.Equal(t, "https://env.test/api/v2/tags/1", sent.URL.String())
	assert.Equal(t, "Bearer env-token", sent.Header.Get("Authorization"))
}

func TestFromEnvPassesOverWhatIsNotSet(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	t.Setenv("DRIFT_BASE_URL", "")
	t.Setenv("DRIFT_PLAN", "")
	_, err := drift.NewClient(drift.FromEnv())
	require.ErrorIs(t, err, drift.ErrInvalid)
	require.EqualError(t, err, "drift: DRIFT_TOKEN is not set: set it to an access token, or use WithToken or WithTokenSource")
	assert.Equal(t, "https://driftapi.com/v2/tags/1", urlOf(t, drift.FromEnv()))
}

func TestFromEnvRefuses(t *testing.T) {
	for variable, values := range map[string][]string{
		"DRIFT_TOKEN":    {"SECRET SECRET", "SECRETö"},
		"DRIFT_BASE_URL": {"SECRET", "https://drift.test/SECRET/v2", "http://drift.test/SECRET", "https://SECRET:SECRET@drift.test"},
		"DRIFT_PLAN":     {"SECRET", "0", "-1", "1.5"},
	} {
		for _, value := range values {
			t.Run(variable, func(t *testing.T) {
				t.Setenv("DRIFT_TOKEN", "a")
				t.Setenv(variable, value)
				_, err := drift.NewClient(drift.FromEnv())
				require.ErrorIs(t, err, drift.ErrInvalid)
				assert.NotContains(t, err.Error(), "SECRET")
				assert.Contains(t, err.Error(), variable)
			})
		}
	}
}

func TestTheEnvironmentAloneChangesNothing(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "env-token")
	_, err := drift.NewClient()
	require.ErrorIs(t, err, drift.ErrInvalid)
}

func TestOrderOfOptionsDoesNotMatter(t *testing.T) {
	options := []drift.Option{
		drift.WithToken("a"), drift.WithBaseURL("http://drift.test/x"), drift.WithInsecureHTTP(), drift.WithUserAgent("billing/1.4"),
		drift.WithPlan(17), drift.WithHeader("X-A", "1"), drift.WithHeader("x-b", "2"), drift.WithTimeout(time.Hour),
		drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: 2}), drift.WithRateLimit(5), drift.WithBulk(), drift.WithLogger(nil),
		drift.WithHooks(drift.Hooks{}), drift.WithMaxResponseBytes(50), drift.WithoutRetry(), drift.WithIdempotent(), nil,
	}
	for range 20 {
		rand.Shuffle(len(options), func(i, j int) { options[i], options[j] = options[j], options[i] })
		sent := requestOf(t, slices.Clone(options)...)
		assert.Equal(t, "http://drift.test/x/v2/tags/1", sent.URL.String())
		assert.Equal(t, "Bearer a", sent.Header.Get("Authorization"))
		assert.Regexp(t, `^billing/1\.4 drift-go`, sent.Header.Get("User-Agent"))
		assert.Equal(t, "1", sent.Header.Get("X-A"))
		assert.Equal(t, "2", sent.Header.Get("X-B"))
		assert.Equal(t, []string{"Accept", "Authorization", "User-Agent", "X-A", "X-B"}, slices.Sorted(maps.Keys(sent.Header)))
		_, ok := sent.Context().Deadline()
		assert.True(t, ok)
	}
}

func TestTheLastOfTwoEqualOptionsCounts(t *testing.T) {
	sent := requestOf(t, drift.WithToken("a"), drift.WithBaseURL("not a base"), drift.WithBaseURL("https://drift.test"),
		drift.WithUserAgent("one"), drift.WithUserAgent("two"), drift.WithHeader("X-A", "one"), drift.WithHeader("x-a", "two"))
	assert.Equal(t, "drift.test", sent.Host)
	assert.Equal(t, []string{"two"}, sent.Header["X-A"])
	assert.NotContains(t, sent.Header.Get("User-Agent"), "one")
}

func TestUserAgentNamesTheSDK(t *testing.T) {
	assert.Regexp(t, `^drift-go`, requestOf(t, drift.WithToken("a")).Header.Get("User-Agent"))
}

func TestMaxResponseBytesIsExact(t *testing.T) {
	body := `{"data": {"id": 1}}`
	for limit, want := range map[int64]error{int64(len(body)): nil, int64(len(body)) - 1: drift.ErrTooLarge} {
		_, err := testkit.AnsweringClient(t, http.StatusOK, body, drift.WithMaxResponseBytes(limit)).Tags.Get(t.Context(), 1)
		require.ErrorIs(t, err, want)
	}
}

func TestAWrongCallOptionFailsTheCall(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusOK}
	client := testkit.Through(t, network.RoundTrip)
	for _, option := range []drift.CallOption{drift.WithHeader("Host", "x"), drift.WithTimeout(0)} {
		_, err := client.Tags.Get(t.Context(), 1, drift.WithBulk(), nil, option)
		var invalid *drift.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "tags.get", invalid.Operation)
	}
	assert.Zero(t, network.Requests.Load())
}

// countingLimiter counts attempts by class.
type countingLimiter struct{ classes map[drift.Class]int }

func (l countingLimiter) Acquire(_ context.Context, turn drift.Turn) (drift.Slot, error) {
	l.classes[turn.Class]++
	return testkit.OpenSlot{}, nil
}

func (countingLimiter) Pause(context.Context, time.Time) error { return nil }

func TestBulkIsTheCallsClass(t *testing.T) {
	limiter := countingLimiter{map[drift.Class]int{}}
	network := &testkit.MemoryNetwork{Status: http.StatusNoContent}
	client := testkit.Through(t, network.RoundTrip, drift.WithLimiter(limiter))
	require.NoError(t, client.Tags.Delete(t.Context(), 1))
	require.NoError(t, client.Tags.Delete(t.Context(), 1, drift.WithBulk()))
	require.NoError(t, client.With(drift.WithBulk()).Tags.Delete(t.Context(), 1))
	assert.Equal(t, map[drift.Class]int{drift.ClassInteractive: 1, drift.ClassBulk: 2}, limiter.classes)
}

func TestIdempotentWriteIsSentAgain(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusBadGateway}
	client := testkit.Through(t, network.RoundTrip, testkit.Impatient())
	_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{}, drift.WithIdempotent())
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	assert.EqualValues(t, 3, network.Requests.Load())
	_, err = client.Tags.Create(t.Context(), drift.TagCreateRequest{}, drift.WithIdempotent(), drift.WithoutRetry())
	require.Error(t, err)
	assert.EqualValues(t, 4, network.Requests.Load())
}

func TestResponseIsFilledOnErrorsToo(t *testing.T) {
	response := drift.Response{StatusCode: 7, Body: []byte("old")}
	_, err := testkit.AnsweringClient(t, http.StatusConflict, `{"error": "x"}`).Tags.Get(t.Context(), 1, drift.WithResponse(&response))
	require.Error(t, err)
	assert.Equal(t, http.StatusConflict, response.StatusCode)
	assert.Equal(t, `{"error": "x"}`, string(response.Body))
	assert.Equal(t, "req-1", response.RequestID)
	assert.Equal(t, "application/json", response.Header.Get("Content-Type"))
	assert.Len(t, response.Attempts, 1)

	_, err = testkit.AnsweringClient(t, http.StatusOK, ``).Tags.Get(t.Context(), 0, drift.WithResponse(&response))
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.Equal(t, drift.Response{}, response, "nothing is left of an earlier call")
}

func TestResponseOutlivesTheCall(t *testing.T) {
	n := 0
	client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
		n++
		return testkit.MemoryAnswer(req, http.StatusOK, "application/json", fmt.Sprintf(`{"data": {"id": %d}}`, n)), nil
	})
	responses := make([]drift.Response, 20)
	for i := range responses {
		_, err := client.Tags.Get(t.Context(), drift.TagID(i+1), drift.WithResponse(&responses[i]))
		require.NoError(t, err)
	}
	for i, response := range responses {
		assert.Equal(t, fmt.Sprintf(`{"data": {"id": %d}}`, i+1), string(response.Body))
	}
}

// The state of a call is used for another one. What callers keep of the first is not, and the second gets nothing of
// it.
func TestACallLeavesNothingToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unavailable := testkit.Answer(http.StatusServiceUnavailable, "Retry-After", "5", "X-Request-Id", "first")
		network := &testkit.Network{Answers: []testkit.Responder{unavailable, unavailable, unavailable, testkit.Answer(http.StatusInternalServerError), testkit.NoAnswer}}
		var headers []http.Header
		client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			headers = append(headers, r.Header)
			return network.Serve(r)
		}, drift.WithLimiter(new(testkit.Slots)))
		var response drift.Response
		_, failed := client.Notes.Create(t.Context(), 1, drift.NoteCreateRequest{Body: "a", ClientID: "a"}, drift.WithIdempotent(), drift.WithBulk(),
			drift.WithHeader("X-Extra", "1"), drift.WithResponse(&response))
		var first *drift.APIError
		require.ErrorAs(t, failed, &first)
		kept, told := *first, failed.Error()
		kept.Attempts = slices.Clone(first.Attempts)
		require.Len(t, kept.Attempts, 3)

		err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/tags"}, nil)
		var ambiguous *drift.AmbiguousError
		require.ErrorAs(t, err, &ambiguous)
		assert.Empty(t, ambiguous.ClientID)
		var second *drift.APIError
		require.ErrorAs(t, err, &second)
		assert.Len(t, second.Attempts, 1, "it is not idempotent")
		assert.Empty(t, headers[3].Values("X-Extra"))
		_, err = client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "c"})
		var transport *drift.TransportError
		require.ErrorAs(t, err, &transport)
		assert.Len(t, transport.Attempts, 1)
		assert.False(t, errors.Is(err, drift.ErrServer), "that was the answer to another call")
		for range 20 {
			assert.Error(t, client.Tags.Delete(t.Context(), 1))
		}

		assert.Equal(t, kept, *first)
		assert.Equal(t, told, failed.Error())
		assert.Equal(t, kept.Attempts, response.Attempts)
		assert.Len(t, kept.Attempts, 3)
		assert.Equal(t, "first", response.RequestID)
		assert.Greater(t, response.Waited.Backoff, 9*time.Second)
		for _, header := range headers[:3] {
			assert.Equal(t, "1", header.Get("X-Extra"))
		}
	})
}

func TestOptionsShowNothing(t *testing.T) {
	for _, option := range []drift.Option{
		drift.WithToken("MARKER"), drift.WithHeader("X-A", "MARKER"), drift.WithBaseURL("https://MARKER.test"),
		drift.WithTokenSource(testkit.StaticSource("MARKER")), drift.WithUserAgent("MARKER"),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			assert.NotContains(t, fmt.Sprintf(verb, option), "MARKER")
			assert.NotContains(t, fmt.Sprintf(verb, []any{option}), "MARKER")
		}
	}
}

// A store that fails is the caller's to see: the call is not sent, and the store's error can be reached.
func TestQuotaStoreThatFails(t *testing.T) {
	broken := errors.New("disk full")
	network := &testkit.MemoryNetwork{Status: http.StatusOK}
	client := testkit.Through(t, network.RoundTrip, drift.WithQuotaStore(failingStore{broken}), drift.WithLogger(slog.New(slog.DiscardHandler)))
	_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{})
	require.ErrorIs(t, err, broken)
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.False(t, transport.Sent)
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	assert.Zero(t, network.Requests.Load())
}

type failingStore struct{ err error }

func (s failingStore) Reserve(context.Context) (drift.Reservation, error) { return nil, s.err }
func (s failingStore) Usage(context.Context) (drift.Usage, error)         { return drift.Usage{}, nil }
