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

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// plainSource gives its tokens in turn, the last one again and again.
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

func TestStaticTokenIsNotTriedAgain(t *testing.T) {
	for _, refusal := range []testkit.Responder{testkit.Answer(401), testkit.AuthenticationFailed} {
		network := &testkit.Network{Answers: []testkit.Responder{refusal}}
		err := testkit.Get(t.Context(), testkit.Through(t, network.Serve))
		assert.ErrorIs(t, err, drift.ErrUnauthorized)
		assert.NotErrorIs(t, err, drift.ErrForbidden)
		assert.Len(t, network.Requests(), 1)
	}
}

func TestPlainSourceIsAskedAgain(t *testing.T) {
	for name, refusal := range map[string]testkit.Responder{"401": testkit.Answer(401), "403 authentication_error": testkit.AuthenticationFailed} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			t.Run(name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source := &currentSource{token: "old"}
					network, limiter := new(testkit.Network), new(testkit.Slots)
					network.Answers = []testkit.Responder{testkit.Refusing("new", func(r *http.Request) (*http.Response, error) {
						source.set("new")
						return refusal(r)
					})}
					client := testkit.ThroughWith(t, source, network.Serve, drift.WithLimiter(limiter))
					start := time.Now()
					require.NoError(t, testkit.Call(t.Context(), client, method))
					assert.Zero(t, time.Since(start), "no backoff")
					assert.Equal(t, []string{"old", "new"}, testkit.TokensOf(network.Sent))
					assert.Equal(t, network.Sent[0].Body, network.Sent[1].Body)
					assert.Equal(t, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, limiter.Outcomes)
					usage, err := client.Quota(t.Context())
					require.NoError(t, err)
					assert.Equal(t, 2, usage.Used)
				})
			})
		}
	}
}

func TestPlainSourceWithoutAnotherToken(t *testing.T) {
	source, network := &plainSource{tokens: []string{"only"}}, &testkit.Network{Answers: []testkit.Responder{testkit.Answer(401)}}
	assert.ErrorIs(t, testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve)), drift.ErrUnauthorized)
	assert.Len(t, network.Requests(), 1)
	assert.Equal(t, 2, source.asked)
}

func TestNobodyIsAskedForATokenAfterTheContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	source := &plainSource{tokens: []string{"first", "second"}}
	network := &testkit.Network{Answers: []testkit.Responder{func(r *http.Request) (*http.Response, error) {
		cancel()
		return testkit.Answer(401)(r)
	}}}
	assert.Error(t, testkit.Get(ctx, testkit.ThroughWith(t, source, network.Serve)))
	assert.Equal(t, 1, source.asked)
}

func TestPlain403IsFinal(t *testing.T) {
	source, network := &plainSource{tokens: []string{"first", "second"}}, &testkit.Network{Answers: []testkit.Responder{testkit.Answer(403)}}
	assert.ErrorIs(t, testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve)), drift.ErrForbidden)
	assert.Len(t, network.Requests(), 1)
	assert.Equal(t, 1, source.asked)
}

func TestNewTokenIsFreeOfBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &currentSource{token: "old"}, &testkit.Network{Answers: []testkit.Responder{testkit.Answer(500)}}
		client := testkit.ThroughWith(t, source, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{Budget: 1}))
		require.Error(t, testkit.Get(t.Context(), client))
		require.Len(t, network.Sent, 2, "the budget is used up")
		network.Answers = []testkit.Responder{testkit.Refusing("new", func(r *http.Request) (*http.Response, error) {
			source.set("new")
			return testkit.Answer(401)(r)
		})}
		require.NoError(t, testkit.Get(t.Context(), client))
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
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Refusing("new", testkit.Answer(401))}}
	ctx := context.WithValue(t.Context(), contextKey{}, "the caller's")
	require.NoError(t, testkit.Call(ctx, testkit.ThroughWith(t, source, network.Serve), http.MethodPost))
	assert.Equal(t, []string{"old", "new"}, testkit.TokensOf(network.Sent))
	assert.Equal(t, []string{"old"}, source.refreshed)
	require.Len(t, source.contexts, 2)
	for _, got := range source.contexts {
		assert.Equal(t, "the caller's", got.Value(contextKey{}))
	}
}

func TestRefreshThatFails(t *testing.T) {
	source := &refreshingSource{currentSource: currentSource{token: "old"}, err: fmt.Errorf("refresh_token=sEcReT: %w", drift.ErrReauthRequired)}
	network := &testkit.Network{Answers: []testkit.Responder{testkit.AnswerBody(401, `{"error":{"message":"token expired"}}`)}}
	err := testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve))
	assert.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.ErrorIs(t, err, drift.ErrUnauthorized, "the answer that made it necessary")
	assert.NotContains(t, err.Error(), "sEcReT")
	assert.Len(t, network.Requests(), 1)
}

func TestSourceThatFails(t *testing.T) {
	for name, test := range map[string]struct{ err, is error }{
		"unknown":      {errors.New("token sEcReT is locked"), nil},
		"must ask":     {fmt.Errorf("sEcReT: %w", drift.ErrReauthRequired), drift.ErrReauthRequired},
		"oauth2":       {&oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, Body: []byte("sEcReT"), ErrorCode: "invalid_grant"}, nil},
		"not mistaken": {&drift.APIError{StatusCode: 503, Message: "sEcReT"}, drift.ErrServer},
	} {
		t.Run(name, func(t *testing.T) {
			source, network, limiter := &plainSource{tokens: []string{""}, err: test.err}, new(testkit.Network), new(testkit.Slots)
			client := testkit.ThroughWith(t, source, network.Serve, drift.WithLimiter(limiter))
			err := testkit.Get(t.Context(), client)
			var failed *drift.TransportError
			require.ErrorAs(t, err, &failed)
			assert.False(t, failed.Sent)
			assert.Empty(t, failed.Attempts)
			assert.ErrorIs(t, err, test.err)
			if test.is != nil {
				assert.ErrorIs(t, err, test.is)
			}
			assert.NotContains(t, err.Error(), "sEcReT")
			assert.Empty(t, network.Requests())
			assert.Equal(t, 1, source.asked, "not tried again")
			assert.Empty(t, limiter.Outcomes, "nobody was kept waiting for it")
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
			network := new(testkit.Network)
			err := testkit.Get(t.Context(), testkit.ThroughWith(t, oauth2.StaticTokenSource(token), network.Serve))
			var failed *drift.TransportError
			require.ErrorAs(t, err, &failed)
			assert.False(t, failed.Sent)
			assert.NotContains(t, err.Error(), "sEcReT")
			assert.Empty(t, network.Requests())
		})
	}
	for _, bearer := range []string{"", "bearer", "Bearer", "BEARER"} {
		network := new(testkit.Network)
		source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "good", TokenType: bearer})
		require.NoError(t, testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve)))
		assert.Equal(t, []string{"good"}, testkit.TokensOf(network.Sent))
	}
}

func TestSlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &plainSource{tokens: []string{"slow"}, delay: time.Hour}, new(testkit.Network)
		start := time.Now()
		err := testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve), drift.WithTimeout(3*time.Second))
		assert.Equal(t, 3*time.Second, time.Since(start), "the caller leaves at its own deadline")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, network.Requests())
		time.Sleep(time.Hour) // what asked the source ends with its answer
	})
}

func TestSlowSourceAfterA401(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, network := &plainSource{tokens: []string{"slow"}, delay: time.Second}, &testkit.Network{Answers: []testkit.Responder{testkit.Answer(401)}}
		start := time.Now()
		err := testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve), drift.WithTimeout(1500*time.Millisecond))
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
		source, network := &expiringSource{life: 30 * time.Second}, new(testkit.Network)
		client := testkit.ThroughWith(t, source, network.Serve, drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Equal(t, []string{"token-1", "token-3"}, testkit.TokensOf(network.Sent))
		testkit.AssertTook(t, time.Minute, network.Sent[0].At)
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
		source, network := &failsLater{expiringSource{life: 30 * time.Second}}, new(testkit.Network)
		client := testkit.ThroughWith(t, source, network.Serve, drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrReauthRequired)
		assert.Len(t, network.Sent, 1)
		source.asked = 0
		start := time.Now()
		require.NoError(t, testkit.Get(t.Context(), client))
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
			source, network := &silentSource{answer: make(chan string)}, new(testkit.Network)
			client := testkit.ThroughWith(t, source, network.Serve)
			for range 5 {
				var calls sync.WaitGroup
				for range 100 {
					calls.Go(func() {
						assert.ErrorIs(t, testkit.Get(t.Context(), client, drift.WithTimeout(time.Second)), context.DeadlineExceeded)
					})
				}
				calls.Wait()
			}
			assert.EqualValues(t, 1, source.asked.Load())
			go func() {
				time.Sleep(time.Second)
				source.answer <- "late"
			}()
			require.NoError(t, testkit.Get(t.Context(), client), "it waits for the same answer")
			assert.Equal(t, []string{"late"}, testkit.TokensOf(network.Sent))
		})
	})
	t.Run("t11 a refused token is not taken from a question that came before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source := &silentSource{answer: make(chan string)}
			network := &testkit.Network{Answers: []testkit.Responder{testkit.Refusing("new", testkit.Answer(401))}, Delay: time.Second}
			client := testkit.ThroughWith(t, source, network.Serve)
			var calls sync.WaitGroup
			calls.Go(func() { assert.NoError(t, testkit.Get(t.Context(), client)) })
			source.answer <- "old"
			synctest.Wait()
			calls.Go(func() { assert.NoError(t, testkit.Get(t.Context(), client)) }) // it asks before the first call is refused
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
		client := testkit.ThroughWith(t, panickingSource{}, new(testkit.Network).Serve, drift.WithLimiter(testkit.OpenLimiter{}))
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { assert.PanicsWithValue(t, "source", func() { _ = testkit.Get(t.Context(), client) }) })
		}
		calls.Wait()
	})
}

type panickingSource struct{}

func (panickingSource) Token() (*oauth2.Token, error) { panic("source") }

func TestPanicOfASourceReachesTheCaller(t *testing.T) {
	network, limiter := new(testkit.Network), new(testkit.Slots)
	client := testkit.ThroughWith(t, panickingSource{}, network.Serve, drift.WithLimiter(limiter))
	assert.PanicsWithValue(t, "source", func() { _ = testkit.Get(t.Context(), client) })
	assert.Empty(t, network.Requests())
	assert.Zero(t, limiter.Taken)
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
		opaque: "the token source failed", fmt.Errorf("sEcReT: %w", opaque): "the token source failed", errors.Join(opaque): "the token source failed", &net.AddrError{Err: "sEcReT"}: "the token source failed: *net.AddrError",
		fmt.Errorf("sEcReT: %w", fs.ErrClosed): "the token source failed: file already closed",
	} {
		client := testkit.ThroughWith(t, &plainSource{tokens: []string{"a"}, err: err}, new(testkit.Network).Serve)
		require.EqualError(t, testkit.Get(t.Context(), client), "drift: tests.call: not sent: "+text)
	}
	client := testkit.ThroughWith(t, &plainSource{tokens: []string{"sEcReT sEcReT"}}, new(testkit.Network).Serve)
	require.EqualError(t, testkit.Get(t.Context(), client), "drift: tests.call: not sent: the token: must be printable ASCII without spaces, and not empty")
	synctest.Test(t, func(t *testing.T) {
		source := &refusingSource{err: opaque}
		client := testkit.ThroughWith(t, source, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(http.StatusUnauthorized)}}).Serve)
		require.ErrorContains(t, testkit.Get(t.Context(), client), "drift: tests.call: sent to drift.test:443: no new token: GET v2/things: 401")
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
		client := testkit.ThroughWith(t, source, func(r *http.Request) (*http.Response, error) {
			if refuses {
				return testkit.Answer(http.StatusUnauthorized)(r)
			}
			return testkit.AnswerBody(http.StatusOK, `{"data": {"id": 1, "name": "a"}}`)(r)
		})
		refused := func(calls int) {
			for range calls {
				assert.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrUnauthorized)
			}
		}

		refused(20)
		assert.EqualValues(t, 1, source.refreshes.Load(), "twenty calls in a row")
		time.Sleep(11 * time.Second)
		refused(20)
		assert.EqualValues(t, 2, source.refreshes.Load(), "and twenty after a while")

		refuses = false
		assert.NoError(t, testkit.Get(t.Context(), client))
		refuses = true
		time.Sleep(30 * time.Second)
		refused(20)
		assert.EqualValues(t, 2, source.refreshes.Load(), "it served a call since it was refused")
		time.Sleep(time.Minute)
		refused(20)
		assert.EqualValues(t, 3, source.refreshes.Load(), "that was long ago")
	})
}
