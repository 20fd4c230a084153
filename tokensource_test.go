package drift_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
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

// troubledStore is a store in memory that fails on demand.
type troubledStore struct {
	drift.TokenStore

	mu                sync.Mutex
	load, save, lock  error
	slow              time.Duration // saving takes so long
	deaf              chan struct{} // nothing comes back before it is closed, whatever the context says
	loads, saved      int
	locked, mostLocks int
}

func newTroubledStore(token *oauth2.Token) *troubledStore {
	return &troubledStore{TokenStore: drift.NewMemoryTokenStore(token)}
}

func (s *troubledStore) Load(ctx context.Context) (*oauth2.Token, error) {
	s.mu.Lock()
	s.loads++
	err, deaf := s.load, s.deaf
	s.mu.Unlock()
	if deaf != nil {
		<-deaf
	}
	if err != nil {
		return nil, err
	}
	return s.TokenStore.Load(ctx)
}

func (s *troubledStore) Save(ctx context.Context, t *oauth2.Token) error {
	s.mu.Lock()
	err, slow := s.save, s.slow
	s.mu.Unlock()
	time.Sleep(slow)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.saved++
	s.mu.Unlock()
	return s.TokenStore.Save(ctx, t)
}

func (s *troubledStore) Lock(ctx context.Context) (func(), error) {
	s.mu.Lock()
	err := s.lock
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	unlock, err := s.TokenStore.Lock(ctx)
	if err != nil {
		return nil, err
	}
	s.count(1)
	return func() { s.count(-1); unlock() }, nil
}

func (s *troubledStore) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked += n
	s.mostLocks = max(s.mostLocks, s.locked)
}

func (s *troubledStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// access is the stored access token.
func (s *troubledStore) access(t testing.TB) string {
	t.Helper()
	token, err := s.TokenStore.Load(context.Background())
	require.NoError(t, err)
	if token == nil {
		return ""
	}
	return token.AccessToken
}

// newSource returns a source that is closed at the end of the test.
func newSource(t testing.TB, config drift.OAuthConfig, store drift.TokenStore) *drift.OAuthTokenSource {
	t.Helper()
	source := config.TokenSource(store)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

func requireToken(t testing.TB, serial int, token *oauth2.Token, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Equal(t, accessToken(serial), token.AccessToken)
}

func TestGoodTokenCostsNothing(t *testing.T) {
	authority := newAuthority()
	source := newSource(t, authority.config(), drift.NewMemoryTokenStore(issued(0, time.Now().Add(2*time.Hour))))
	token, err := source.TokenContext(t.Context())
	requireToken(t, 0, token, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = source.TokenContext(context.Background()) }))
	assert.Zero(t, authority.asked())
}

func BenchmarkGoodToken(b *testing.B) {
	source := newAuthority().config().TokenSource(drift.NewMemoryTokenStore(issued(0, time.Now().Add(2*time.Hour))))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.TokenContext(context.Background()); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestStoredTokenIsUsedAsLongAsItIsGood(t *testing.T) {
	for name, token := range map[string]*oauth2.Token{
		"two hours":           issued(0, time.Now().Add(2*time.Hour)),
		"no end":              issued(0, time.Time{}),
		"far away":            issued(0, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
		"cannot be refreshed": {AccessToken: accessToken(0), Expiry: time.Now().Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			authority, store := newAuthority(), newTroubledStore(token)
			source := newSource(t, authority.config(), store)
			for range 10 {
				got, err := source.TokenContext(t.Context())
				requireToken(t, 0, got, err)
			}
			assert.Equal(t, 1, store.loads)
			assert.Zero(t, authority.asked())
			assert.Zero(t, store.mostLocks)
		})
	}
}

func TestRefreshRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		source := newSource(t, authority.config(), store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		assert.Equal(t, []url.Values{{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken(0)},
			"client_id": {"client"}, "client_secret": {markedClientSecret}}}, authority.requests)
		assert.Equal(t, accessToken(1), store.access(t))
		assert.Equal(t, 1, store.mostLocks)
		assert.Zero(t, store.locked)
	})
}

func TestRefreshKeepsWhatTheAnswerLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.answers = []respondWith{answerBody(200, `{"access_token": "next"}`)}
		token, err := newSource(t, authority.config(), store).Token()
		require.NoError(t, err)
		assert.Equal(t, "next", token.AccessToken)
		assert.Equal(t, refreshToken(0), token.RefreshToken)
		assert.Equal(t, time.Hour, time.Until(token.Expiry))
		for _, token := range []*oauth2.Token{token, must(store.TokenStore.Load(t.Context()))} {
			id, _ := drift.OrgIDOf(token)
			assert.Equal(t, drift.OrgID(12345), id)
		}
		authority.answers = []respondWith{answerBody(200, `{"accessToken": "third", "refreshToken": "r", "orgId": "6"}`)}
		token, err = newSource(t, authority.config(), store).Refresh(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, "r", token.RefreshToken)
		id, _ := drift.OrgIDOf(token)
		assert.Equal(t, drift.OrgID(6), id)
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// When a token of a given life is refreshed ahead of time.
func TestEarlyRefreshTime(t *testing.T) {
	for _, test := range []struct{ life, notBefore, by time.Duration }{ // before the end
		{2 * time.Hour, 12*time.Minute + 72*time.Second, 12 * time.Minute},
		{30 * time.Minute, 5*time.Minute + 30*time.Second, 5 * time.Minute},
		{6 * time.Minute, 3*time.Minute + 18*time.Second, 3 * time.Minute},
		{time.Minute, 33 * time.Second, 30 * time.Second},
	} {
		t.Run(test.life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority := newAuthority()
				authority.life = test.life.Seconds()
				source := newSource(t, authority.config(), drift.NewMemoryTokenStore(expired()))
				token, err := source.Token()
				requireToken(t, 1, token, err)

				time.Sleep(time.Until(token.Expiry.Add(-test.notBefore - time.Second)))
				token, err = source.Token()
				requireToken(t, 1, token, err)
				synctest.Wait()
				assert.Equal(t, 1, authority.asked())

				authority.delay = time.Second
				time.Sleep(time.Until(token.Expiry.Add(-test.by + time.Millisecond)))
				start := time.Now()
				for range 10 {
					token, err = source.Token()
					requireToken(t, 1, token, err)
				}
				assert.Zero(t, time.Since(start), "nobody waits")
				time.Sleep(2 * time.Second)
				token, err = source.Token()
				requireToken(t, 2, token, err)
				assert.Equal(t, 2, authority.asked())
			})
		})
	}
}

// Processes that share a token should not all come at the same moment.
func TestEarlyRefreshIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early := 0
		for range 200 {
			authority := newAuthority()
			source := newSource(t, authority.config(), drift.NewMemoryTokenStore(issued(0, time.Now().Add(12*time.Minute+36*time.Second))))
			_, err := source.Token() // the first call knows the token, the second one looks after it
			require.NoError(t, err)
			_, err = source.Token()
			require.NoError(t, err)
			synctest.Wait()
			early += authority.asked()
		}
		assert.Greater(t, early, 50)
		assert.Less(t, early, 150)
	})
}

func TestEarlyRefreshThatFails(t *testing.T) {
	for name, respond := range unusableAnswers(refreshToken(0)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := answering(respond)
				token := issued(0, time.Now().Add(4*time.Minute))
				store := newTroubledStore(token)
				source := newSource(t, config, store)
				for time.Until(token.Expiry) > 11*time.Second {
					got, err := source.Token()
					requireToken(t, 0, got, err)
					time.Sleep(time.Second / 2)
				}
				assert.NotEmpty(t, network.requests())
				assert.Less(t, len(network.sent), 16, "no storm")
				assert.Less(t, store.loads, 40, "in the store neither")
				time.Sleep(2 * time.Second)
				_, err := source.Token()
				assert.Error(t, err, "now it is over")
			})
		})
	}
}

func TestRefreshOfAnOlderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(issued(0, time.Now().Add(time.Hour)))
		source := newSource(t, authority.config(), store)
		first, err := source.Token()
		requireToken(t, 0, first, err)
		second, err := source.Refresh(t.Context(), first)
		requireToken(t, 1, second, err)
		loads := store.loads
		for range 5 {
			again, err := source.Refresh(t.Context(), first)
			requireToken(t, 1, again, err)
		}
		assert.Equal(t, loads, store.loads, "the newest is at hand")
		assert.Equal(t, 1, authority.asked(), "each generation is refreshed once")
		third, err := source.Refresh(t.Context(), second)
		requireToken(t, 2, third, err)
		again, err := source.Refresh(t.Context(), nil)
		requireToken(t, 2, again, err)
	})
}

// The refusal of a token that is being refreshed anyway costs no second refresh, and that of a token that was just looked up
// is not answered with the same one.
func TestRefreshMeetsAnotherRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority()
		authority.delay = time.Second
		source := newSource(t, authority.config(), drift.NewMemoryTokenStore(issued(0, time.Now().Add(time.Minute))))
		for range 2 { // the second call begins a refresh ahead of time
			token, err := source.Token()
			requireToken(t, 0, token, err)
		}
		token, err := source.Refresh(t.Context(), issued(0, time.Time{}))
		requireToken(t, 1, token, err)
		assert.Equal(t, 1, authority.asked())
	})
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(issued(0, time.Now().Add(time.Hour)))
		store.deaf = make(chan struct{})
		source := newSource(t, authority.config(), store)
		go func() { _, _ = source.Token() }()
		synctest.Wait()
		go func() { time.Sleep(time.Second); close(store.deaf) }()
		token, err := source.Refresh(t.Context(), issued(0, time.Time{}))
		requireToken(t, 1, token, err)
	})
}

// A service that gives the same access token again has no other.
func TestRefreshWithTheSameAccessToken(t *testing.T) {
	config, network := answering(answerBody(200, `{"access_token": "`+accessToken(0)+`", "expires_in": 7200}`))
	source := newSource(t, config, drift.NewMemoryTokenStore(issued(0, time.Now().Add(time.Hour))))
	token, err := source.Refresh(t.Context(), issued(0, time.Time{}))
	requireToken(t, 0, token, err)
	assert.Len(t, network.sent, 1)
}

func TestTokenIsStoredBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(issued(0, time.Now().Add(time.Minute)))
		store.slow = 5 * time.Second
		source := newSource(t, authority.config(), store)
		_, _ = source.Token()
		for range 40 {
			token, err := source.Token()
			require.NoError(t, err)
			if token.AccessToken != accessToken(0) { // at the instant of the save the store may be ahead
				assert.Equal(t, store.access(t), token.AccessToken)
			}
			time.Sleep(time.Second / 4)
		}
		assert.Equal(t, 1, authority.asked())
		assert.Equal(t, accessToken(1), store.access(t))
	})
}

// savesThatFail gathers what the hook is told.
type savesThatFail struct {
	mu   sync.Mutex
	errs []error
}

func (s *savesThatFail) tell(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

func (s *savesThatFail) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.errs)
}

func TestTokenThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store, told := newAuthority(), newTroubledStore(expired()), new(savesThatFail)
		store.save = errFull
		config := authority.config()
		config.SaveFailed = told.tell
		source := newSource(t, config, store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		require.Equal(t, 1, told.count())
		assert.ErrorIs(t, told.errs[0], errFull)
		assert.NotContains(t, told.errs[0].Error(), markedPrefix)

		for range 100 { // calls go on, and so do the tries, ever more seldom
			token, err := source.Token()
			requireToken(t, 1, token, err)
			time.Sleep(time.Second)
		}
		assert.Greater(t, told.count(), 5)
		assert.Less(t, told.count(), 10)
		store.set(func() { store.save = nil })
		for range 31 {
			_, _ = source.Token()
			time.Sleep(time.Second)
		}
		assert.Equal(t, accessToken(1), store.access(t))
		assert.Equal(t, 1, store.saved)
		assert.Equal(t, 1, authority.asked())
	})
}

var errFull = fmt.Errorf("no space left for %s", markedRefresh)

// What is not stored is refreshed like everything else.
func TestRefreshOfATokenThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		store.save = errFull
		source := newSource(t, authority.config(), store)
		for serial := 1; serial < 5; serial++ {
			token, err := source.Token()
			requireToken(t, serial, token, err)
			time.Sleep(3 * time.Hour)
		}
		assert.False(t, authority.killed)
		store.set(func() { store.save = nil })
	})
}

func TestCloseStoresWhatCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		store.save = errFull
		source := authority.config().TokenSource(store)
		_, err := source.Token()
		require.NoError(t, err)
		store.set(func() { store.save = nil })
		require.NoError(t, source.Close())
		assert.Equal(t, accessToken(1), store.access(t))
		require.NoError(t, source.Close())
		assert.Zero(t, store.locked)
	})
	for name, fail := range map[string]func(*troubledStore){
		"saving":  func(s *troubledStore) { s.save = errFull },
		"loading": func(s *troubledStore) { s.load = errFull },
		"locking": func(s *troubledStore) { s.lock = errFull },
	} {
		t.Run(name, func(t *testing.T) {
			authority, store := newAuthority(), newTroubledStore(expired())
			store.save = errors.New("at first")
			source := authority.config().TokenSource(store)
			_, err := source.Token()
			require.NoError(t, err)
			store.set(func() { store.save = nil; fail(store) })
			err = source.Close()
			require.ErrorIs(t, err, errFull)
			assert.NotContains(t, err.Error(), markedPrefix)
			require.NoError(t, source.Close(), "it is closed")
		})
	}
}

// Who authorizes again, or signs out, while a token waits to be stored, has the last word.
func TestTokenThatIsNotStoredMakesWay(t *testing.T) {
	for _, other := range []*oauth2.Token{{AccessToken: "other"}, nil} {
		synctest.Test(t, func(t *testing.T) {
			authority, store := newAuthority(), newTroubledStore(expired())
			store.save = errFull
			source := authority.config().TokenSource(store)
			_, err := source.Token()
			require.NoError(t, err)
			store.set(func() { store.save = nil })
			require.NoError(t, store.TokenStore.Save(t.Context(), other))
			if other != nil {
				time.Sleep(time.Minute)
				_, _ = source.Token()
				synctest.Wait()
				token, err := source.Token()
				require.NoError(t, err)
				assert.Equal(t, "other", token.AccessToken)
			}
			require.NoError(t, source.Close())
			assert.Equal(t, other == nil, store.access(t) == "")
			assert.NotEqual(t, accessToken(1), store.access(t))
		})
	}
}

func TestSignedOutDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.delay = time.Second
		source := newSource(t, authority.config(), store)
		go func() {
			time.Sleep(time.Second / 2)
			_ = store.TokenStore.Save(t.Context(), nil)
		}()
		_, err := source.Token()
		assert.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Empty(t, store.access(t), "it does not come back")
	})
}

func TestAuthorizedAgainDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, refusal := range []respondWith{nil, invalidGrant, answer(503, "Retry-After", "100")} {
			authority, store := newAuthority(), newTroubledStore(expired())
			authority.delay, authority.answers = time.Second, []respondWith{refusal}
			source := newSource(t, authority.config(), store)
			go func() {
				time.Sleep(time.Second / 2)
				_ = store.TokenStore.Save(t.Context(), &oauth2.Token{AccessToken: "other", Expiry: time.Now().Add(time.Hour)})
			}()
			token, err := source.Token()
			require.NoError(t, err)
			assert.Equal(t, "other", token.AccessToken)
			assert.Equal(t, "other", store.access(t))
		}
	})
}

func TestRotatedByAProcessThatKnowsNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.answers = []respondWith{func(r *http.Request) (*http.Response, error) {
			authority.set(func() { authority.serial, authority.refresh = 7, refreshToken(7) })
			_ = store.TokenStore.Save(t.Context(), issued(7, time.Now().Add(-time.Minute))) // and expired already
			return invalidGrant(r)
		}}
		token, err := newSource(t, authority.config(), store).Token()
		requireToken(t, 8, token, err)
		assert.Equal(t, 2, authority.asked())
	})
}

func TestRefusedByCode(t *testing.T) {
	for _, code := range []string{"invalid_grant", "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := newAuthority(), newTroubledStore(expired())
				authority.answers = []respondWith{answerBody(400, `{"error": "`+code+`", "error_description": "`+refreshToken(0)+`"}`)}
				source := newSource(t, authority.config(), store)
				for range 10 {
					_, err := source.Token()
					require.Error(t, err)
					assert.Equal(t, code == "invalid_grant", errors.Is(err, drift.ErrReauthRequired))
					var api *drift.APIError
					require.ErrorAs(t, err, &api)
					assert.Equal(t, code, api.Type)
					assert.Equal(t, "oauth.refresh", api.Operation)
					assert.NotErrorIs(t, err, drift.ErrInvalid, "that is not the call's fault")
					assert.NotContains(t, err.Error(), markedPrefix)
					if code == "invalid_grant" {
						time.Sleep(time.Hour)
					}
				}
				assert.Equal(t, 1, authority.asked(), "no storm")
				assert.Equal(t, accessToken(0), store.access(t), "what is stored stays")

				require.NoError(t, store.Save(t.Context(), issued(0, time.Now().Add(-time.Second))))
				_, err := source.Token()
				require.Error(t, err, "that is the same")
				authority.set(func() { authority.refresh = refreshToken(5) })
				require.NoError(t, store.Save(t.Context(), issued(5, time.Now().Add(time.Hour))))
				token, err := source.Token()
				requireToken(t, 5, token, err)
			})
		})
	}
}

// Where the service refuses both, the access token is not handed out any more. Where only a refresh ahead of time was refused,
// it is good up to its end.
func TestRefusedForGoodBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority()
		authority.killed = true
		source := newSource(t, authority.config(), drift.NewMemoryTokenStore(issued(0, time.Now().Add(time.Hour))))
		token, err := source.Token()
		requireToken(t, 0, token, err)
		_, err = source.Refresh(t.Context(), token)
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		_, err = source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Equal(t, 1, authority.asked())
	})
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(issued(0, time.Now().Add(4*time.Minute)))
		authority.killed = true
		source := newSource(t, authority.config(), store)
		for range 220 {
			token, err := source.Token()
			requireToken(t, 0, token, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, authority.asked())
		assert.Less(t, store.loads, 20)
		_, err := source.Refresh(t.Context(), issued(0, time.Time{}))
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		_, err = source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Equal(t, 1, authority.asked())
	})
}

func TestPassingFailures(t *testing.T) {
	for name, respond := range unusableAnswers(refreshToken(0)) {
		if name == "invalid client" || name == "error under success" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := answering(respond)
				store := newTroubledStore(expired())
				source := newSource(t, config, store)
				watch := new(secretWatch)
				start := time.Now()
				for time.Since(start) < 5*time.Minute {
					_, err := source.Token()
					require.Error(t, err)
					require.NotErrorIs(t, err, drift.ErrReauthRequired)
					require.NotErrorIs(t, err, drift.ErrNotFound, "a call must not take it for its own")
					watch.showError(err)
					time.Sleep(100 * time.Millisecond)
				}
				watch.check(t)
				var gaps []time.Duration
				for i, sent := range network.sent[1:] {
					gaps = append(gaps, sent.at.Sub(network.sent[i].at).Truncate(time.Second/2))
				}
				s := time.Second
				require.Greater(t, len(gaps), 10)
				assert.Equal(t, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}, gaps[:7])
				assert.Equal(t, accessToken(0), store.access(t))

				authority := newAuthority()
				network.mu.Lock()
				network.answers = []respondWith{authority.grant(url.Values{})}
				network.mu.Unlock()
				time.Sleep(30 * time.Second)
				token, err := source.Token()
				requireToken(t, 1, token, err)
			})
		})
	}
}

func TestRetryAfterOfTheTokenEndpoint(t *testing.T) {
	for asked, want := range map[string]time.Duration{"120": 2 * time.Minute, "86400": 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			authority := newAuthority()
			authority.answers = []respondWith{answer(429, "Retry-After", asked)}
			source := newSource(t, authority.config(), drift.NewMemoryTokenStore(expired()))
			start := time.Now()
			_, err := source.Token()
			assert.ErrorIs(t, err, drift.ErrRateLimited)
			assert.Zero(t, time.Since(start))
			time.Sleep(want - time.Second)
			_, err = source.Token()
			assert.ErrorIs(t, err, drift.ErrRateLimited)
			assert.Equal(t, 1, authority.asked())
			time.Sleep(time.Second)
			token, err := source.Token()
			requireToken(t, 1, token, err)
		})
	}
}

func TestNothingStored(t *testing.T) {
	authority, store := newAuthority(), drift.NewMemoryTokenStore(nil)
	source := newSource(t, authority.config(), store)
	for range 3 {
		_, err := source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Contains(t, err.Error(), "no token is stored")
	}
	require.NoError(t, store.Save(t.Context(), issued(3, time.Time{})))
	token, err := source.Token()
	requireToken(t, 3, token, err)
	require.NoError(t, store.Save(t.Context(), nil))
	_, err = source.Refresh(t.Context(), token)
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	_, err = source.Token()
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.Zero(t, authority.asked())
}

func TestTokenWithoutRefreshToken(t *testing.T) {
	authority := newAuthority()
	source := newSource(t, authority.config(), drift.NewMemoryTokenStore(&oauth2.Token{AccessToken: "private"}))
	token, err := source.Token()
	require.NoError(t, err)
	_, err = source.Refresh(t.Context(), token)
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	_, err = source.Token()
	require.NoError(t, err, "one refusal ends nothing that cannot be had again")

	source = newSource(t, authority.config(), drift.NewMemoryTokenStore(&oauth2.Token{AccessToken: "a", Expiry: time.Now()}))
	_, err = source.Token()
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.Zero(t, authority.asked())
}

// What cannot be sent is not handed out, and costs nothing but a refresh.
func TestStoredTokenThatCannotBeUsed(t *testing.T) {
	for _, bad := range []*oauth2.Token{{AccessToken: "a\r\nb"}, {AccessToken: "é"}, {}, {AccessToken: "a", TokenType: "MAC"}} {
		bad.RefreshToken, bad.Expiry = refreshToken(0), time.Now().Add(time.Hour)
		authority := newAuthority()
		token, err := newSource(t, authority.config(), drift.NewMemoryTokenStore(bad)).Token()
		requireToken(t, 1, token, err)
	}
}

func TestTokenStoreThatFails(t *testing.T) {
	for name, fail := range map[string]func(*troubledStore, error){
		"loading": func(s *troubledStore, err error) { s.load = err },
		"locking": func(s *troubledStore, err error) { s.lock = err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := newAuthority(), newTroubledStore(issued(0, time.Now().Add(time.Minute)))
				source := newSource(t, authority.config(), store)
				token, err := source.Token()
				requireToken(t, 0, token, err)
				store.set(func() { fail(store, errFull) })
				for range 45 {
					token, err := source.Token()
					requireToken(t, 0, token, err)
					time.Sleep(time.Second)
				}
				time.Sleep(10 * time.Second)
				_, err = source.Token()
				var failed *drift.TransportError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, "oauth.refresh", failed.Operation)
				assert.False(t, failed.Sent)
				assert.ErrorIs(t, err, errFull)
				assert.NotErrorIs(t, err, drift.ErrReauthRequired)
				assert.NotContains(t, err.Error(), markedPrefix)
				assert.Zero(t, authority.asked(), "no refresh without the store")
				assert.Less(t, store.loads, 100)
				store.set(func() { fail(store, nil) })
				token, err = source.Token()
				requireToken(t, 1, token, err)
			})
		})
	}
}

func TestLockHeldByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		source := newSource(t, authority.config(), store)
		unlock, err := store.Lock(t.Context())
		require.NoError(t, err)
		start := time.Now()
		_, err = source.Token()
		require.Error(t, err)
		assert.Equal(t, 30*time.Second, time.Since(start))
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "that is not the caller's")
		assert.Contains(t, err.Error(), "store")
		assert.Zero(t, authority.asked())
		unlock()
		token, err := source.Token()
		requireToken(t, 1, token, err)
	})
}

func TestStoreThatHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTroubledStore(expired())
		store.deaf = make(chan struct{})
		source := newAuthority().config().TokenSource(store)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			_, err := source.TokenContext(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()
		}
		close(store.deaf)
		require.NoError(t, source.Close())
	})
}

func TestTwoSourcesOfOneStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.delay = time.Second
		var wg sync.WaitGroup
		for range 8 {
			source := newSource(t, authority.config(), store)
			for range 5 {
				wg.Go(func() {
					token, err := source.Token()
					if assert.NoError(t, err) {
						assert.Equal(t, accessToken(1), token.AccessToken)
					}
				})
			}
		}
		wg.Wait()
		assert.Equal(t, 1, authority.asked())
		assert.Equal(t, 1, store.mostLocks)
	})
}

func TestCloseWaitsForARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.delay = 7 * time.Second
		source := authority.config().TokenSource(store)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := source.TokenContext(ctx)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait() // the request is on its way
		start := time.Now()
		require.NoError(t, source.Close())
		assert.Equal(t, 7*time.Second, time.Since(start))
		assert.Equal(t, accessToken(1), store.access(t), "it is not lost")
		_, err = source.Token()
		assert.ErrorIs(t, err, drift.ErrClosed)
		_, err = source.Refresh(t.Context(), expired())
		assert.ErrorIs(t, err, drift.ErrClosed)
	})
}

// Before anything is sent there is nothing to lose.
func TestCloseEndsAWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		unlock := must(store.TokenStore.Lock(t.Context()))
		defer unlock()
		source := authority.config().TokenSource(store)
		var waiter sync.WaitGroup
		waiter.Go(func() {
			_, err := source.Token()
			assert.ErrorIs(t, err, drift.ErrClosed)
		})
		synctest.Wait()
		start := time.Now()
		require.NoError(t, source.Close())
		waiter.Wait()
		assert.Zero(t, time.Since(start))
		assert.Zero(t, authority.asked())
	})
}

// The figure of Close's comment, with a store that takes all the time that it is given, and fails.
func TestCloseHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), &sluggishStore{TokenStore: drift.NewMemoryTokenStore(expired())}
		authority.delay = 30*time.Second - time.Millisecond
		source := authority.config().TokenSource(store)
		go func() { _, _ = source.Token() }()
		synctest.Wait()
		store.slow.Store(true)
		start := time.Now()
		require.Error(t, source.Close())
		assert.InDelta(t, 70, time.Since(start).Seconds(), 0.1)
	})
}

// sluggishStore does nothing until the context ends.
type sluggishStore struct {
	drift.TokenStore
	slow atomic.Bool
}

func (s *sluggishStore) wait(ctx context.Context) {
	if s.slow.Load() {
		<-ctx.Done()
	}
}

func (s *sluggishStore) Load(ctx context.Context) (*oauth2.Token, error) {
	s.wait(ctx)
	return s.TokenStore.Load(ctx)
}

func (s *sluggishStore) Save(ctx context.Context, _ *oauth2.Token) error {
	s.wait(ctx)
	return errFull
}

// laggingStore gives back what was there before the last Save.
type laggingStore struct {
	drift.TokenStore
	before, last *oauth2.Token
}

func (s *laggingStore) Load(context.Context) (*oauth2.Token, error) { return s.before, nil }

func (s *laggingStore) Save(_ context.Context, token *oauth2.Token) error {
	s.before, s.last = s.last, token
	return nil
}

func TestStoreThatLagsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, first := newAuthority(), expired()
		store := &laggingStore{TokenStore: drift.NewMemoryTokenStore(nil), before: first, last: first}
		source := newSource(t, authority.config(), store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		for serial := 2; serial < 5; serial++ {
			token, err = source.Refresh(t.Context(), token)
			requireToken(t, serial, token, err)
		}
		assert.Equal(t, accessToken(4), store.last.AccessToken)

		store.last = issued(9, time.Now().Add(time.Hour)) // a person has authorized again
		store.before = store.last
		token, err = source.Refresh(t.Context(), token)
		requireToken(t, 9, token, err)
	})
}

// A refresh token that comes with an access token of no use is the only one that is good from then on.
func TestRefreshTokenOfAnUnusableAnswer(t *testing.T) {
	next := `"refresh_token": "` + refreshToken(1) + `"`
	for name, body := range map[string]string{
		"MAC":             `{"access_token": "a", "token_type": "MAC", ` + next + `}`,
		"line break":      `{"access_token": "a\r\nb", ` + next + `}`,
		"no access token": `{` + next + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := newAuthority(), newTroubledStore(expired())
				authority.serial, authority.refresh = 1, refreshToken(1)
				authority.answers = []respondWith{answerBody(200, body)}
				source := newSource(t, authority.config(), store)
				_, err := source.Token()
				require.ErrorAs(t, err, new(*drift.DecodeError))
				stored := must(store.TokenStore.Load(t.Context()))
				assert.Equal(t, refreshToken(1), stored.RefreshToken)
				assert.Equal(t, accessToken(0), stored.AccessToken)
				id, _ := drift.OrgIDOf(stored)
				assert.Equal(t, drift.OrgID(12345), id)

				_, err = source.Token()
				require.ErrorAs(t, err, new(*drift.DecodeError))
				assert.Equal(t, 1, authority.asked(), "it is a failure, and has its pause")
				time.Sleep(time.Second)
				token, err := source.Token()
				requireToken(t, 2, token, err)
			})
		})
	}
}

// Answers that are of no use, with a new refresh token each time, are no reason to ask more often.
func TestUnusableAnswersOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		for serial := range 100 {
			authority.answers = append(authority.answers, answerBody(200, `{"refresh_token": "`+refreshToken(serial+1)+`"}`))
		}
		source := newSource(t, authority.config(), store)
		for range 200 {
			_, err := source.Token()
			require.Error(t, err)
			time.Sleep(time.Second / 2)
		}
		assert.Less(t, authority.asked(), 10)
		assert.Equal(t, refreshToken(authority.asked()), must(store.TokenStore.Load(t.Context())).RefreshToken)
	})
}

// The hook may use the store: its lock is free by then.
func TestSaveFailedMayLockTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		store.save = errFull
		config, told := authority.config(), 0
		config.SaveFailed = func(error) {
			told++
			must(store.TokenStore.Lock(t.Context()))()
		}
		source := config.TokenSource(store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		assert.Equal(t, 1, told)
		store.set(func() { store.save = nil })
		require.NoError(t, source.Close())
		assert.Equal(t, 1, told)
	})
}

func TestCloseOfAnUnusedSource(t *testing.T) {
	source := newAuthority().config().TokenSource(drift.NewMemoryTokenStore(nil))
	require.NoError(t, source.Close())
	_, err := source.Token()
	assert.ErrorIs(t, err, drift.ErrClosed)
	require.NoError(t, drift.OAuthConfig{}.TokenSource(nil).Close())
}

// A panic reaches those who wait, and leaves nothing locked.
func TestPanicDuringARefresh(t *testing.T) {
	authority, store := newAuthority(), newTroubledStore(expired())
	authority.answers = []respondWith{func(*http.Request) (*http.Response, error) { panic("transport") }}
	source := newSource(t, authority.config(), store)
	assert.PanicsWithValue(t, "transport", func() { _, _ = source.Token() })
	assert.Zero(t, store.locked)
	token, err := source.Token()
	requireToken(t, 1, token, err)
}

func TestTransportThatBreaksItsContract(t *testing.T) {
	config, _ := answering(func(*http.Request) (*http.Response, error) { return nil, nil })
	_, err := newSource(t, config, drift.NewMemoryTokenStore(expired())).Token()
	require.ErrorAs(t, err, new(*drift.TransportError))
	config, _ = answering(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	_, err = newSource(t, config, drift.NewMemoryTokenStore(expired())).Token()
	require.ErrorIs(t, err, drift.ErrUnexpectedContent)
}

func TestRefreshErrorsAreKind(t *testing.T) {
	watch := new(secretWatch)
	for _, respond := range unusableAnswers(refreshToken(0)) {
		config, _ := answering(respond)
		_, err := newSource(t, config, drift.NewMemoryTokenStore(expired())).Token()
		require.Error(t, err)
		watch.showError(err)
		assert.True(t, strings.HasPrefix(err.Error(), "drift: "), err.Error())
		assert.Equal(t, 1, strings.Count(err.Error(), "drift:"), err.Error())
	}
	config, _ := answering(answer(503, "Retry-After", "100"))
	_, err := newSource(t, config, drift.NewMemoryTokenStore(expired())).Token()
	assert.ErrorIs(t, err, drift.ErrServer)
	config, _ = answering(func(*http.Request) (*http.Response, error) { return nil, io.ErrClosedPipe })
	_, err = newSource(t, config, drift.NewMemoryTokenStore(expired())).Token()
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	watch.showError(err)
	watch.check(t)
}

func TestMemoryTokenStore(t *testing.T) {
	first := issued(0, time.Time{})
	store := drift.NewMemoryTokenStore(first)
	first.AccessToken = "changed"
	loaded, err := store.Load(t.Context())
	requireToken(t, 0, loaded, err)
	loaded.AccessToken = "changed"
	loaded, err = store.Load(t.Context())
	requireToken(t, 0, loaded, err)
	id, _ := drift.OrgIDOf(loaded)
	assert.Equal(t, drift.OrgID(12345), id)

	unlock, err := store.Lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = store.Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	unlock, err = store.Lock(t.Context())
	require.NoError(t, err)
	unlock()
}
