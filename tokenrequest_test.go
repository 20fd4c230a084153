package drift_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// A pair that has arrived counts, whatever happens to the connection.
func TestTokensOfABrokenAnswer(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"t5 complete before the connection breaks": completeBeforeTheBreak,
		"t5 complete before the answer stalls":     completeBeforeTheStall,
		"t5 cut off within the object":             cutOffWithinTheObject,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { synctest.Test(t, test) })
	}
}

func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	exchange := func(name string) error {
		config, _ := testkit.Answering(testkit.UnusableAnswers(testkit.MarkedCode)[name])
		_, err := config.Exchange(t.Context(), testkit.MarkedCode)
		return err
	}
	var api *drift.APIError
	require.ErrorAs(t, exchange("invalid client"), &api)
	assert.Equal(t, "invalid_client", api.Type)
	assert.Equal(t, "REDACTED is wrong, REDACTED too", api.Message)
	assert.Equal(t, 401, api.StatusCode)
	assert.Equal(t, "oauth.exchange", api.Operation)
	assert.Equal(t, "POST", api.Method)
	assert.Equal(t, "oauth2/token", api.Route)
	assert.Len(t, api.Attempts, 1)
	assert.ErrorIs(t, api, drift.ErrUnauthorized)
	require.ErrorAs(t, exchange("error as an object"), &api)
	assert.Equal(t, "authentication_error", api.Type)
	require.ErrorAs(t, exchange("error under success"), &api)
	assert.Equal(t, "invalid_grant", api.Type)

	var decode *drift.DecodeError
	require.ErrorAs(t, exchange("no access token"), &decode)
	assert.Equal(t, "/access_token", decode.Path)
	require.ErrorAs(t, exchange("MAC"), &decode)
	assert.Equal(t, "/token_type", decode.Path)

	assert.ErrorIs(t, exchange("HTML"), drift.ErrUnexpectedContent)
	assert.ErrorIs(t, exchange("2 MiB"), drift.ErrTooLarge)
	var transport *drift.TransportError
	require.ErrorAs(t, exchange("redirect"), &transport)
	assert.Equal(t, "oauth.exchange", transport.Operation)
	assert.True(t, transport.Sent)
}

func TestTokenURLs(t *testing.T) {
	for _, address := range []string{"https://drift.test/token?tenant=1", "http://127.0.0.1:1/token", "http://localhost/token", "http://[::1]/token"} {
		config, network := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "a"}`))
		config.TokenURL = address
		_, err := config.Exchange(t.Context(), "code")
		require.NoError(t, err, address)
		assert.Len(t, network.Sent, 1)
	}
	config, _ := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "a"}`))
	config.TokenURL, config.InsecureHTTP = "http://drift.test", true
	_, err := config.Exchange(t.Context(), "code")
	require.NoError(t, err)
}

func TestTokenRequestIsSentAgain(t *testing.T) {
	broken := func(*http.Request) (*http.Response, error) { return nil, io.EOF }
	refused := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	}
	unknown := func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
	}
	good := testkit.AnswerBody(200, `{"access_token": "a"}`)
	cutOff := func(r *http.Request) (*http.Response, error) {
		resp := testkit.MemoryAnswer(r, 200, "application/json", "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"access_token": "`), errorReader{io.ErrUnexpectedEOF}))
		return resp, nil
	}
	for name, test := range map[string]struct {
		answers []testkit.Responder
		want    int
		ok      bool
	}{
		"not sent":                    {[]testkit.Responder{refused, good}, 2, true},
		"not sent three times":        {[]testkit.Responder{refused, refused, refused, good}, 3, false},
		"no answer":                   {[]testkit.Responder{broken, good}, 2, true},
		"no answer three times":       {[]testkit.Responder{broken, broken, broken, good}, 3, false},
		"cut off":                     {[]testkit.Responder{cutOff, good}, 2, true},
		"not sent, then no answer":    {[]testkit.Responder{refused, broken, good}, 3, true},
		"unknown host":                {[]testkit.Responder{unknown, good}, 1, false},
		"503 twice":                   {[]testkit.Responder{testkit.Answer(503), testkit.Answer(500), good}, 3, true},
		"503 three times":             {[]testkit.Responder{testkit.Answer(503), testkit.Answer(503), testkit.Answer(503), good}, 3, false},
		"429":                         {[]testkit.Responder{testkit.Answer(429), good}, 2, true},
		"408":                         {[]testkit.Responder{testkit.Answer(408), good}, 2, true},
		"501":                         {[]testkit.Responder{testkit.Answer(501), good}, 1, false},
		"asked to wait 2 s":           {[]testkit.Responder{testkit.Answer(503, "Retry-After", "2"), good}, 2, true},
		"asked to wait longer than a": {[]testkit.Responder{testkit.Answer(503, "Retry-After", "60"), good}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := testkit.Answering(test.answers...)
				start := time.Now()
				_, err := config.Exchange(t.Context(), "code")
				assert.Equal(t, test.ok, err == nil, "%v", err)
				assert.Len(t, network.Sent, test.want)
				assert.Less(t, time.Since(start), 10*time.Second)
				if strings.Contains(name, "2 s") {
					assert.GreaterOrEqual(t, time.Since(start), 2*time.Second)
				}
				for _, sent := range network.Sent {
					assert.Equal(t, network.Sent[0].Body, sent.Body)
				}
				var transport *drift.TransportError
				if errors.As(err, &transport) {
					assert.Len(t, transport.Attempts, test.want)
					assert.Equal(t, strings.Contains(name, "no answer"), transport.Sent)
				}
			})
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestExchangeObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := testkit.NewAuthority()
		authority.Delay = time.Hour
		cause := errors.New("shutting down")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, cause)
		defer cancel()
		start := time.Now()
		_, err := authority.Config().Exchange(ctx, "code")
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, cause)
		_, err = authority.Config().Exchange(ctx, "code")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, authority.Asked(), "nothing is sent when the context has ended")

		start = time.Now()
		_, err = authority.Config().Exchange(t.Context(), "code")
		assert.Equal(t, 30*time.Second, time.Since(start))
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "that is not the caller's")
		assert.Equal(t, 2, authority.Asked())

		config := authority.Config()
		config.HTTPClient.Timeout = 2 * time.Second
		start = time.Now()
		_, err = config.Exchange(t.Context(), "code")
		require.Error(t, err)
		assert.Equal(t, 5, authority.Asked(), "three attempts, because each may take less")
		assert.Less(t, time.Since(start), 8*time.Second)
	})
}

func TestTokenEndpointRedirects(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		requests := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests++
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, trap, status)
		}))
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		given := &http.Client{Jar: jar}
		for _, client := range []*http.Client{nil, given} {
			config := drift.OAuthConfig{ClientID: "client", ClientSecret: testkit.MarkedClientSecret, TokenURL: server.URL, HTTPClient: client}
			_, err := config.Exchange(t.Context(), testkit.MarkedCode)
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			assert.Contains(t, err.Error(), "redirect")
			assert.NotContains(t, err.Error(), trap)
		}
		assert.Equal(t, 2, requests)
		assert.Equal(t, http.Client{Jar: jar}, *given, "a given client is not changed")
		address, err := url.Parse(server.URL)
		require.NoError(t, err)
		assert.Empty(t, jar.Cookies(address))
		server.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	assert.Zero(t, calls())
}

// A goroutine that is left behind by the connections would fail TestMain.
func TestExchangeOverARealConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if assert.NoError(t, r.ParseForm()) && r.PostForm.Get("client_secret") == testkit.MarkedClientSecret && r.PostForm.Get("code") == testkit.MarkedCode {
			_, _ = io.WriteString(w, `{"access_token": "a", "refresh_token": "r", "expires_in": 7200}`)
		}
	}))
	defer server.Close()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: testkit.MarkedClientSecret, TokenURL: server.URL}
	token, err := config.Exchange(t.Context(), testkit.MarkedCode)
	require.NoError(t, err)
	assert.Equal(t, "a", token.AccessToken)
}

func TestRetryAfterOfTheTokenEndpoint(t *testing.T) {
	for asked, want := range map[string]time.Duration{"120": 2 * time.Minute, "86400": 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			authority := testkit.NewAuthority()
			authority.Answers = []testkit.Responder{testkit.Answer(429, "Retry-After", asked)}
			source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Expired()))
			start := time.Now()
			_, err := source.Token()
			assert.ErrorIs(t, err, drift.ErrRateLimited)
			assert.Zero(t, time.Since(start))
			time.Sleep(want - time.Second)
			_, err = source.Token()
			assert.ErrorIs(t, err, drift.ErrRateLimited)
			assert.Equal(t, 1, authority.Asked())
			time.Sleep(time.Second)
			token, err := source.Token()
			testkit.RequireToken(t, 1, token, err)
		})
	}
}

func TestTransportThatBreaksItsContract(t *testing.T) {
	config, _ := testkit.Answering(func(*http.Request) (*http.Response, error) { return nil, nil })
	_, err := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	require.ErrorAs(t, err, new(*drift.TransportError))
	config, _ = testkit.Answering(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	_, err = testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	require.ErrorIs(t, err, drift.ErrUnexpectedContent)
}

// brokenAfter is a body that ends with an error.
func brokenAfter(text string, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(text), errorReader{err}))
}

func completeBeforeTheBreak(t *testing.T) {
	for _, tail := range []string{"", "\r\n", "  "} {
		for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("connection reset by peer"), errors.New("malformed chunked encoding")} {
			r := newRefreshing(t, testkit.Expired())
			r.authority.Breaks = func(_ *http.Request, text string) io.ReadCloser { return brokenAfter(text+tail, broken) }
			r.requireToken(1)
			assert.Equal(t, 1, r.authority.Asked())
			r.requireAlive()
		}
	}
}

// stalledBody says nothing more until the context ends.
type stalledBody struct{ ctx context.Context }

func (b stalledBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func completeBeforeTheStall(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.authority.Breaks = func(req *http.Request, text string) io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader(text), stalledBody{req.Context()}))
	}
	start := time.Now()
	r.requireToken(1)
	assert.Less(t, time.Since(start), 2*time.Second)
	assert.Equal(t, 1, r.authority.Asked())
	r.requireAlive()
}

func cutOffWithinTheObject(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.authority.Answers = []testkit.Responder{func(req *http.Request) (*http.Response, error) {
		resp := testkit.Must(testkit.Answer(http.StatusOK)(req))
		resp.Body = brokenAfter(`{"access_token": "half", "x": {}`, io.ErrUnexpectedEOF)
		return resp, nil
	}}
	r.requireToken(1)
	assert.Equal(t, 2, r.authority.Asked(), "the object was not complete")
}

// Over real connections an answer can break off in more ways than a body in memory.
func TestTokensOfABrokenConnection(t *testing.T) {
	const object = `{"access_token": "a", "refresh_token": "r", "expires_in": 7200}`
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(object), object)
	for name, test := range map[string]struct {
		header, body string
		hang         bool
	}{
		"t5 a chunk is cut off":            {"Transfer-Encoding: chunked", chunk + "10\r\n  ", false},
		"t5 a chunk is malformed":          {"Transfer-Encoding: chunked", chunk + "zz\r\n", false},
		"t5 the last chunk is missing":     {"Transfer-Encoding: chunked", chunk, false},
		"t5 the last chunk never comes":    {"Transfer-Encoding: chunked", chunk, true},
		"t5 shorter than announced":        {"Content-Length: 1000", object, false},
		"t5 shorter, and stays open":       {"Content-Length: 1000", object + "\n", true},
		"t5 up to the end, and stays open": {"Connection: close", object, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests, done := 0, make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				_, _ = io.Copy(io.Discard, r.Body)
				conn, buffered, err := http.NewResponseController(w).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				_, _ = buffered.WriteString("HTTP/1.1 200 OK\r\n" + test.header + "\r\n\r\n" + test.body)
				_ = buffered.Flush()
				if test.hang {
					<-done
				}
				_ = conn.Close()
			}))
			defer server.Close()
			defer close(done)
			config := drift.OAuthConfig{ClientID: "client", ClientSecret: testkit.MarkedClientSecret, TokenURL: server.URL}
			start := time.Now()
			token, err := config.Exchange(t.Context(), testkit.MarkedCode)
			require.NoError(t, err)
			assert.Equal(t, "r", token.RefreshToken)
			assert.Equal(t, 1, requests)
			assert.Less(t, time.Since(start), 10*time.Second)
		})
	}
}
