package drift_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// throughWith is through, with a token source.
func throughWith(t testing.TB, source oauth2.TokenSource, transport roundTripper, opts ...drift.Option) *drift.Client {
	t.Helper()
	opts = append(opts, drift.WithTokenSource(source), drift.WithBaseURL("https://drift.test"), drift.WithHTTPClient(&http.Client{Transport: transport}))
	client, err := drift.NewClient(opts...)
	require.NoError(t, err)
	return client
}

// plainSource returns its tokens one after the other, and then the last one each time.
type plainSource struct {
	tokens []string
	delay  time.Duration
	err    error

	mu    sync.Mutex
	asked int
}

func (s *plainSource) Token() (*oauth2.Token, error) {
	token := s.next()
	time.Sleep(s.delay)
	if s.err != nil {
		return nil, s.err
	}
	return &oauth2.Token{AccessToken: token}, nil
}

func (s *plainSource) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.tokens[min(s.asked, len(s.tokens))-1]
}

// currentSource gives its token until somebody sets another.
type currentSource struct {
	mu    sync.Mutex
	token string
}

func (s *currentSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &oauth2.Token{AccessToken: s.token}, nil
}

func (s *currentSource) set(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// refusing answers 401 to every token but one.
func refusing(good string, refusal respondWith) respondWith {
	return func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == "Bearer "+good {
			return answer(http.StatusOK)(r)
		}
		return refusal(r)
	}
}

func tokensOf(requests []sentRequest) []string {
	var tokens []string
	for _, r := range requests {
		tokens = append(tokens, r.token)
	}
	return tokens
}

func TestStaticTokenIsNotTriedAgain(t *testing.T) {
	for _, refusal := range []respondWith{answer(401), authenticationFailed} {
		network := &network{answers: []respondWith{refusal}}
		err := get(t.Context(), through(t, network.serve))
		assert.ErrorIs(t, err, drift.ErrUnauthorized)
		assert.NotErrorIs(t, err, drift.ErrForbidden)
		assert.Len(t, network.requests(), 1)
	}
}

func TestPlainSourceIsAskedAgain(t *testing.T) {
	for name, refusal := range map[string]respondWith{"401": answer(401), "403 authentication_error": authenticationFailed} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			t.Run(name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source := &currentSource{token: "old"}
					network, limiter := new(network), new(slots)
					network.answers = []respondWith{refusing("new", func(r *http.Request) (*http.Response, error) {
						source.set("new")
						return refusal(r)
					})}
					client := throughWith(t, source, network.serve, drift.WithLimiter(limiter))
					start := time.Now()
					require.NoError(t, call(t.Context(), client, method))
					assert.Zero(t, time.Since(start), "no backoff")
					assert.Equal(t, []string{"old", "new"}, tokensOf(network.sent))
					assert.Equal(t, network.sent[0].body, network.sent[1].body)
					assert.Equal(t, []drift.Outcome{drift.Answered, drift.Answered}, limiter.outcomes)
					usage, err := client.Quota(t.Context())
					require.NoError(t, err)
					assert.Equal(t, 2, usage.Used)
				})
			})
		}
	}
}

func TestPlainSourceWithoutAnotherToken(t *testing.T) {
	source, network := &plainSource{tokens: []string{"only"}}, &network{answers: []respondWith{answer(401)}}
	assert.ErrorIs(t, get(t.Context(), throughWith(t, source, network.serve)), drift.ErrUnauthorized)
	assert.Len(t, network.requests(), 1)
	assert.Equal(t, 2, source.asked)
}

func TestNobodyIsAskedForATokenAfterTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	source := &plainSource{tokens: []string{"first", "second"}}
	network := &network{answers: []respondWith{func(r *http.Request) (*http.Response, error) {
		cancel()
		return answer(401)(r)
	}}}
	assert.Error(t, get(ctx, throughWith(t, source, network.serve)))
	assert.Equal(t, 1, source.asked)
}

func TestPlain403IsFinal(t *testing.T) {
	source, network := &plainSource{tokens: []string{"first", "second"}}, &network{answers: []respondWith{answer(403)}}
	assert.ErrorIs(t, get(t.Context(), throughWith(t, source, network.serve)), drift.ErrForbidden)
	assert.Len(t, network.requests(), 1)
	assert.Equal(t, 1, source.asked)
}

func TestNewTokenIsFreeOfBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &currentSource{token: "old"}, &network{answers: []respondWith{answer(500)}}
		client := throughWith(t, source, network.serve, drift.WithRetry(drift.RetryPolicy{Budget: 1}))
		require.Error(t, get(t.Context(), client))
		require.Len(t, network.sent, 2, "the budget is used up")
		network.answers = []respondWith{refusing("new", func(r *http.Request) (*http.Response, error) {
			source.set("new")
			return answer(401)(r)
		})}
		require.NoError(t, get(t.Context(), client))
	})
}

// refreshingSource writes down with what it was asked.
type refreshingSource struct {
	currentSource
	fresh     string
	err       error
	contexts  []context.Context
	refreshed []string
}

func (s *refreshingSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	s.contexts = append(s.contexts, ctx)
	return s.Token()
}

func (s *refreshingSource) Refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	s.contexts = append(s.contexts, ctx)
	s.refreshed = append(s.refreshed, stale.AccessToken)
	if s.err != nil {
		return nil, s.err
	}
	s.set(s.fresh)
	return s.Token()
}

type contextKey struct{}

func TestRefreshingSource(t *testing.T) {
	source := &refreshingSource{currentSource: currentSource{token: "old"}, fresh: "new"}
	network := &network{answers: []respondWith{refusing("new", answer(401))}}
	ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
	require.NoError(t, call(ctx, throughWith(t, source, network.serve), http.MethodPost))
	assert.Equal(t, []string{"old", "new"}, tokensOf(network.sent))
	assert.Equal(t, []string{"old"}, source.refreshed)
	require.Len(t, source.contexts, 2)
	for _, got := range source.contexts {
		assert.Equal(t, "the caller's", got.Value(contextKey{}))
	}
}

func TestRefreshThatFails(t *testing.T) {
	source := &refreshingSource{currentSource: currentSource{token: "old"}, err: fmt.Errorf("refresh_token=sEcReT: %w", drift.ErrReauthRequired)}
	network := &network{answers: []respondWith{answerBody(401, `{"error":{"message":"token expired"}}`)}}
	err := get(t.Context(), throughWith(t, source, network.serve))
	assert.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.ErrorIs(t, err, drift.ErrUnauthorized, "the answer that made it necessary")
	assert.NotContains(t, err.Error(), "sEcReT")
	assert.Len(t, network.requests(), 1)
}

func TestSourceThatFails(t *testing.T) {
	for name, test := range map[string]struct{ err, is error }{
		"unknown":      {errors.New("token sEcReT is locked"), nil},
		"must ask":     {fmt.Errorf("sEcReT: %w", drift.ErrReauthRequired), drift.ErrReauthRequired},
		"oauth2":       {&oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, Body: []byte("sEcReT"), ErrorCode: "invalid_grant"}, nil},
		"not mistaken": {&drift.APIError{StatusCode: 503, Message: "sEcReT"}, drift.ErrServer},
	} {
		t.Run(name, func(t *testing.T) {
			source, network, limiter := &plainSource{tokens: []string{""}, err: test.err}, new(network), new(slots)
			client := throughWith(t, source, network.serve, drift.WithLimiter(limiter))
			err := get(t.Context(), client)
			var failed *drift.TransportError
			require.ErrorAs(t, err, &failed)
			assert.False(t, failed.Sent)
			assert.Empty(t, failed.Attempts)
			assert.ErrorIs(t, err, test.err)
			if test.is != nil {
				assert.ErrorIs(t, err, test.is)
			}
			assert.NotContains(t, err.Error(), "sEcReT")
			assert.Empty(t, network.requests())
			assert.Equal(t, 1, source.asked, "not tried again")
			assert.Empty(t, limiter.outcomes, "no slot was taken")
		})
	}
}

func TestTokenThatMustNotBeSent(t *testing.T) {
	for name, token := range map[string]*oauth2.Token{
		"none":      nil,
		"empty":     {},
		"CR LF":     {AccessToken: "sEcReT\r\nX-Evil: 1"},
		"LF":        {AccessToken: "sEcReT\n"},
		"non-ASCII": {AccessToken: "sEcReTé"},
		"space":     {AccessToken: "sEcReT two"},
		"NUL":       {AccessToken: "sEcReT\x00"},
		"MAC":       {AccessToken: "sEcReT", TokenType: "MAC"},
		"Basic":     {AccessToken: "sEcReT", TokenType: "basic"},
	} {
		t.Run(name, func(t *testing.T) {
			network := new(network)
			err := get(t.Context(), throughWith(t, oauth2.StaticTokenSource(token), network.serve))
			var failed *drift.TransportError
			require.ErrorAs(t, err, &failed)
			assert.False(t, failed.Sent)
			assert.NotContains(t, err.Error(), "sEcReT")
			assert.Empty(t, network.requests())
		})
	}
	for _, bearer := range []string{"", "bearer", "Bearer", "BEARER"} {
		network := new(network)
		source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "good", TokenType: bearer})
		require.NoError(t, get(t.Context(), throughWith(t, source, network.serve)))
		assert.Equal(t, []string{"good"}, tokensOf(network.sent))
	}
}

func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &plainSource{tokens: []string{"slow"}, delay: time.Hour}, new(network)
		start := time.Now()
		err := get(t.Context(), throughWith(t, source, network.serve), drift.WithTimeout(3*time.Second))
		assert.Equal(t, 3*time.Second, time.Since(start), "the caller leaves at its own deadline")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, network.requests())
		time.Sleep(time.Hour) // what asked the source ends with its answer
	})
}

func TestSlowSourceAfterA401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &plainSource{tokens: []string{"slow"}, delay: time.Second}, &network{answers: []respondWith{answer(401)}}
		start := time.Now()
		err := get(t.Context(), throughWith(t, source, network.serve), drift.WithTimeout(1500*time.Millisecond))
		assert.Equal(t, 1500*time.Millisecond, time.Since(start))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, drift.ErrUnauthorized, "the last answer")
		time.Sleep(time.Second)
	})
}

// expiringSource gives tokens that are good for a while.
type expiringSource struct {
	life  time.Duration
	asked int
}

func (s *expiringSource) Token() (*oauth2.Token, error) {
	s.asked++
	return &oauth2.Token{AccessToken: fmt.Sprint("token-", s.asked), Expiry: time.Now().Add(s.life)}, nil
}

func TestTokenThatExpiresInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &expiringSource{life: 30 * time.Second}, new(network)
		client := throughWith(t, source, network.serve, drift.WithRateLimit(1))
		require.NoError(t, get(t.Context(), client))
		require.NoError(t, get(t.Context(), client))
		assert.Equal(t, []string{"token-1", "token-3"}, tokensOf(network.sent))
		assertTook(t, time.Minute, network.sent[0].at)
	})
}

// failsLater is good once.
type failsLater struct{ expiringSource }

func (s *failsLater) Token() (*oauth2.Token, error) {
	token, _ := s.expiringSource.Token()
	if s.asked > 2 {
		return nil, drift.ErrReauthRequired
	}
	return token, nil
}

func TestSourceThatFailsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &failsLater{expiringSource{life: 30 * time.Second}}, new(network)
		client := throughWith(t, source, network.serve, drift.WithRateLimit(1))
		require.NoError(t, get(t.Context(), client))
		assert.ErrorIs(t, get(t.Context(), client), drift.ErrReauthRequired)
		assert.Len(t, network.sent, 1)
		source.asked = 0
		start := time.Now()
		require.NoError(t, get(t.Context(), client))
		assert.Zero(t, time.Since(start), "its slot came back at once")
	})
}

// silentSource answers when it is let go.
type silentSource struct {
	asked  atomic.Int64
	answer chan string
}

func (s *silentSource) Token() (*oauth2.Token, error) {
	s.asked.Add(1)
	return &oauth2.Token{AccessToken: <-s.answer}, nil
}

func TestTokensOfAPlainSource(t *testing.T) {
	t.Run("t11 calls that gave up leave one goroutine", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, network := &silentSource{answer: make(chan string)}, new(network)
			client := throughWith(t, source, network.serve)
			for range 5 {
				var calls sync.WaitGroup
				for range 100 {
					calls.Go(func() {
						assert.ErrorIs(t, get(t.Context(), client, drift.WithTimeout(time.Second)), context.DeadlineExceeded)
					})
				}
				calls.Wait()
			}
			assert.EqualValues(t, 1, source.asked.Load())
			go func() {
				time.Sleep(time.Second)
				source.answer <- "late"
			}()
			require.NoError(t, get(t.Context(), client), "it waits for the same answer")
			assert.Equal(t, []string{"late"}, tokensOf(network.sent))
		})
	})
	t.Run("t11 a refused token is not taken from a question that came before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := &silentSource{answer: make(chan string)}
			network := &network{answers: []respondWith{refusing("new", answer(401))}, delay: time.Second}
			client := throughWith(t, source, network.serve)
			var calls sync.WaitGroup
			calls.Go(func() { assert.NoError(t, get(t.Context(), client)) })
			source.answer <- "old"
			synctest.Wait()
			calls.Go(func() { assert.NoError(t, get(t.Context(), client)) }) // it asks before the first call is refused
			synctest.Wait()
			time.Sleep(time.Second)
			synctest.Wait()
			source.answer <- "old"
			synctest.Wait()
			source.answer <- "new"
			source.answer <- "new" // for the second call
			calls.Wait()
			assert.EqualValues(t, 4, source.asked.Load())
		})
	})
	t.Run("t11 a panic reaches all who wait", func(t *testing.T) {
		client := throughWith(t, panickingSource{}, new(network).serve, drift.WithLimiter(openLimiter{}))
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { assert.PanicsWithValue(t, "source", func() { _ = get(t.Context(), client) }) })
		}
		calls.Wait()
	})
}

type panickingSource struct{}

func (panickingSource) Token() (*oauth2.Token, error) { panic("source") }

func TestPanicOfASourceReachesTheCaller(t *testing.T) {
	network, limiter := new(network), new(slots)
	client := throughWith(t, panickingSource{}, network.serve, drift.WithLimiter(limiter))
	assert.PanicsWithValue(t, "source", func() { _ = get(t.Context(), client) })
	assert.Empty(t, network.requests())
	assert.Zero(t, limiter.taken)
}

// rotatingSource has a new token whenever it is asked for one.
type rotatingSource struct{ refreshes atomic.Int64 }

func (s *rotatingSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

func (s *rotatingSource) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "token-" + strconv.FormatInt(s.refreshes.Load(), 10)}, nil
}

func (s *rotatingSource) Refresh(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
	s.refreshes.Add(1)
	return s.TokenContext(ctx)
}

func TestTextsOfTokensThatCannotBeHad(t *testing.T) {
	opaque := errors.New("sEcReT")
	for err, text := range map[error]string{
		opaque: "no token", fmt.Errorf("sEcReT: %w", opaque): "no token", errors.Join(opaque): "no token", &net.AddrError{Err: "sEcReT"}: "no token: *net.AddrError",
		fmt.Errorf("sEcReT: %w", fs.ErrClosed): "no token: file already closed",
	} {
		client := throughWith(t, &plainSource{tokens: []string{"a"}, err: err}, new(network).serve)
		require.EqualError(t, get(t.Context(), client), "drift: tests.call: not sent: "+text)
	}
	client := throughWith(t, &plainSource{tokens: []string{"sEcReT sEcReT"}}, new(network).serve)
	require.EqualError(t, get(t.Context(), client), "drift: tests.call: not sent: the token: must be printable ASCII without spaces, and not empty")
	synctest.Test(t, func(t *testing.T) {
		source := &refusingSource{err: opaque}
		client := throughWith(t, source, (&network{answers: []respondWith{answer(http.StatusUnauthorized)}}).serve)
		require.ErrorContains(t, get(t.Context(), client), "drift: tests.call: sent: no new token: GET v2/things: 401")
	})
}

// refusingSource has a token, and none after that.
type refusingSource struct {
	plainSource
	err error
}

func (s *refusingSource) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: "first"}, nil
}

func (s *refusingSource) Refresh(context.Context, *oauth2.Token) (*oauth2.Token, error) {
	return nil, s.err
}

// A service that refuses new tokens too must not make a client use up one refresh token after the other.
func TestNewTokensAreNotAskedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := new(rotatingSource)
		refuses := true
		client := throughWith(t, source, func(r *http.Request) (*http.Response, error) {
			if refuses {
				return answer(http.StatusUnauthorized)(r)
			}
			return answerBody(http.StatusOK, `{"data": {"id": 1, "name": "a"}}`)(r)
		})
		refused := func(calls int) {
			for range calls {
				assert.ErrorIs(t, get(t.Context(), client), drift.ErrUnauthorized)
			}
		}

		refused(20)
		assert.EqualValues(t, 1, source.refreshes.Load(), "twenty calls in a row")
		time.Sleep(11 * time.Second)
		refused(20)
		assert.EqualValues(t, 2, source.refreshes.Load(), "and twenty after a while")

		refuses = false
		assert.NoError(t, get(t.Context(), client))
		refuses = true
		time.Sleep(30 * time.Second)
		refused(20)
		assert.EqualValues(t, 2, source.refreshes.Load(), "it served a call since it was refused")
		time.Sleep(time.Minute)
		refused(20)
		assert.EqualValues(t, 3, source.refreshes.Load(), "that was long ago")
	})
}
