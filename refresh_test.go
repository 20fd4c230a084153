package drift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

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
				assert.Zero(t, time.Since(start), "no call waits")
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

// hookErrors collects what a hook is called with.
type hookErrors struct {
	mu   sync.Mutex
	errs []error
}

func (s *hookErrors) add(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

func (s *hookErrors) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.errs)
}

func TestTokenThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store, failed := newAuthority(), newTroubledStore(expired()), new(hookErrors)
		store.save = errFull
		config := authority.config()
		config.SaveFailed = failed.add
		source := newSource(t, config, store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		require.Equal(t, 1, failed.count())
		assert.ErrorIs(t, failed.errs[0], errFull)
		assert.NotContains(t, failed.errs[0].Error(), markedPrefix)

		for range 100 { // calls go on, and so do the tries, ever more seldom
			token, err := source.Token()
			requireToken(t, 1, token, err)
			time.Sleep(time.Second)
		}
		assert.Greater(t, failed.count(), 5)
		assert.Less(t, failed.count(), 10)
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
		config, called := authority.config(), 0
		config.SaveFailed = func(error) {
			called++
			must(store.TokenStore.Lock(t.Context()))()
		}
		source := config.TokenSource(store)
		token, err := source.Token()
		requireToken(t, 1, token, err)
		assert.Equal(t, 1, called)
		store.set(func() { store.save = nil })
		require.NoError(t, source.Close())
		assert.Equal(t, 1, called)
	})
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

// TestTokensAreNotUsedUpForNothing has a test for each way in which a refresh token was once lost.
func TestTokensAreNotUsedUpForNothing(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"t1 no room on the disk":                noRoomForTheNextToken,
		"t1 no room, and the token has expired": noRoomAndExpired,
		"t1 no room after a refusal":            noRoomAfterARefusal,
		"t1 the store prepares under its lock":  preparedUnderTheLock,
		"t1 the token is in memory alone":       notRefreshedFromMemory,
		"t6 a passing refusal of the client":    passingRefusal,
		"t6 a lasting refusal of the client":    lastingRefusal,
		"t6 invalid_grant is final":             invalidGrantIsFinal,
		"t7 an older token is put back":         olderTokenIsPutBack,
		"t7 put back while the token is good":   putBackWhileGood,
		"t8 a refresh ahead of time fails":      failsAheadOfTime,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { synctest.Test(t, test) })
	}
}

// refreshing is a source with its surroundings.
type refreshing struct {
	*drift.OAuthTokenSource
	t         *testing.T
	authority *authority
	store     *preparingStore
	failed    hookErrors
	log       bytes.Buffer
}

func newRefreshing(t *testing.T, token *oauth2.Token) *refreshing {
	t.Helper()
	r := &refreshing{t: t, authority: newAuthority(), store: newPreparingStore(token)}
	config := r.authority.config()
	config.RefreshFailed = r.failed.add
	config.Logger = slog.New(slog.NewTextHandler(&r.log, nil))
	r.OAuthTokenSource = newSource(t, config, r.store)
	return r
}

func (r *refreshing) requireToken(serial int) {
	r.t.Helper()
	token, err := r.Token()
	requireToken(r.t, serial, token, err)
	synctest.Wait()
}

// requireAlive: the authorization was not taken back, and the store has the newest pair.
func (r *refreshing) requireAlive() {
	r.t.Helper()
	assert.False(r.t, r.authority.killed, "a refresh token was used twice")
	stored := must(r.store.TokenStore.Load(r.t.Context()))
	assert.Equal(r.t, refreshToken(r.authority.serial), stored.RefreshToken)
}

func noRoomForTheNextToken(t *testing.T) {
	r := newRefreshing(t, issued(0, time.Now().Add(4*time.Minute)))
	r.store.fill(errFull)
	for range 30 {
		r.requireToken(0)
		time.Sleep(time.Second)
	}
	assert.Zero(t, r.authority.asked(), "nothing is sent")
	require.NotZero(t, r.failed.count())
	assert.ErrorIs(t, r.failed.errs[0], errFull)
	r.store.fill(nil)
	time.Sleep(31 * time.Second)
	r.requireToken(0) // and the refresh is under way
	r.requireToken(1)
	r.requireAlive()
}

func noRoomAndExpired(t *testing.T) {
	r := newRefreshing(t, expired())
	r.store.fill(errFull)
	for range 3 {
		_, err := r.Token()
		require.ErrorIs(t, err, errFull)
		require.NotErrorIs(t, err, drift.ErrReauthRequired)
		var passing interface{ Temporary() bool }
		require.ErrorAs(t, err, &passing)
		assert.True(t, passing.Temporary())
		assert.NotContains(t, err.Error(), markedPrefix)
		assert.NotErrorIs(t, err, drift.ErrInvalid)
	}
	assert.Zero(t, r.authority.asked())
	r.store.fill(nil)
	r.requireToken(1)
	r.requireAlive()
}

func noRoomAfterARefusal(t *testing.T) {
	r := newRefreshing(t, issued(0, time.Now().Add(time.Hour)))
	r.requireToken(0)
	r.store.fill(errFull)
	_, err := r.Refresh(t.Context(), issued(0, time.Time{}))
	require.ErrorIs(t, err, errFull)
	r.store.fill(nil)
	token, err := r.Refresh(t.Context(), issued(0, time.Time{}))
	requireToken(t, 1, token, err)
	r.requireAlive()
}

func preparedUnderTheLock(t *testing.T) {
	r := newRefreshing(t, expired())
	r.requireToken(1)
	assert.Equal(t, 1, r.store.prepared)
	assert.Equal(t, 1, r.store.underLock)
}

// A pair that could not be stored is stored before it is used up.
func notRefreshedFromMemory(t *testing.T) {
	r := newRefreshing(t, expired())
	r.store.set(func() { r.store.save = errFull }) // although there was room
	r.requireToken(1)
	time.Sleep(3 * time.Hour)
	for range 3 {
		_, err := r.Token()
		require.ErrorIs(t, err, errFull)
		time.Sleep(time.Minute)
	}
	assert.Equal(t, 1, r.authority.asked())
	r.store.set(func() { r.store.save = nil })
	r.requireToken(2)
	r.requireAlive()
}

var clientRefusals = []string{"invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"}

func refuseWith(code string) respondWith {
	return answerBody(http.StatusBadRequest, `{"error": "`+code+`"}`)
}

func passingRefusal(t *testing.T) {
	for _, code := range clientRefusals {
		r := newRefreshing(t, expired())
		r.authority.answers = []respondWith{refuseWith(code)}
		_, err := r.Token()
		var api *drift.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, code, api.Type)
		require.NotErrorIs(t, err, drift.ErrReauthRequired)
		time.Sleep(5 * time.Minute)
		r.requireToken(1)
	}
}

func lastingRefusal(t *testing.T) {
	for _, code := range clientRefusals {
		r := newRefreshing(t, expired())
		for range 100 {
			r.authority.answers = append(r.authority.answers, refuseWith(code))
		}
		for range 3600 {
			_, err := r.Token()
			require.ErrorAs(t, err, new(*drift.APIError))
			time.Sleep(time.Second)
		}
		assert.Greater(t, r.authority.asked(), 10, code)
		assert.Less(t, r.authority.asked(), 61, code)
	}
}

func invalidGrantIsFinal(t *testing.T) {
	r := newRefreshing(t, expired())
	r.authority.killed = true
	for range 100 {
		_, err := r.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		time.Sleep(time.Hour)
	}
	assert.Equal(t, 1, r.authority.asked())
}

func olderTokenIsPutBack(t *testing.T) {
	for back := range 3 {
		r := newRefreshing(t, expired())
		r.requireToken(1)
		for serial := 1; serial < 3; serial++ {
			token, err := r.Refresh(t.Context(), issued(serial, time.Time{}))
			requireToken(t, serial+1, token, err)
		}
		require.NoError(t, r.store.TokenStore.Save(t.Context(), issued(back, time.Now().Add(time.Minute))))
		time.Sleep(3 * time.Hour)
		r.requireToken(4)
		r.requireAlive()
	}
}

func putBackWhileGood(t *testing.T) {
	r := newRefreshing(t, expired())
	r.requireToken(1)
	token, err := r.Refresh(t.Context(), issued(1, time.Time{}))
	requireToken(t, 2, token, err)
	require.NoError(t, r.store.TokenStore.Save(t.Context(), expired()))
	time.Sleep(time.Until(token.Expiry) - 10*time.Minute) // it is time to look into the store, and the service is down
	r.authority.answers = []respondWith{answer(503), answer(503), answer(503)}
	r.requireToken(2)
	time.Sleep(20 * time.Second)
	r.requireToken(2)
	r.requireAlive()
}

func failsAheadOfTime(t *testing.T) {
	for name, fail := range map[string]func(*refreshing){
		"service":     func(r *refreshing) { r.authority.answers = []respondWith{answer(501)} },
		"final":       func(r *refreshing) { r.authority.killed = true },
		"client":      func(r *refreshing) { r.authority.answers = []respondWith{refuseWith("invalid_client")} },
		"disk":        func(r *refreshing) { r.store.fill(errFull) },
		"store":       func(r *refreshing) { r.store.set(func() { r.store.lock = errFull }) },
		"unreadable":  func(r *refreshing) { r.store.set(func() { r.store.load = errFull }) },
		"no new pair": func(r *refreshing) { r.authority.answers = []respondWith{answer(200)} },
	} {
		r := newRefreshing(t, issued(0, time.Now().Add(4*time.Minute)))
		r.requireToken(0)
		assert.Zero(t, r.failed.count(), name)
		fail(r)
		r.requireToken(0)
		require.Equal(t, 1, r.failed.count(), name)
		assert.NotContains(t, fmt.Sprint(r.failed.errs), markedPrefix, name)
		assert.Contains(t, r.log.String(), "level=WARN", name)
		assert.Contains(t, r.log.String(), "refresh", name)
		assert.NotContains(t, r.log.String(), markedPrefix, name)
		assert.Equal(t, name == "final", errors.Is(r.failed.errs[0], drift.ErrReauthRequired), name)
		r.requireToken(0)
		assert.Equal(t, 1, r.failed.count(), "once for each failure: %s", name)
		r.store.set(func() { r.store.load, r.store.lock = nil, nil })
	}
}

// The callbacks may run at the same time as calls.
func TestRefreshFailedMayUseTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := newAuthority(), newTroubledStore(expired())
		authority.answers = []respondWith{answer(501)}
		config, called := authority.config(), 0
		var mu sync.Mutex
		config.RefreshFailed = func(error) {
			mu.Lock()
			defer mu.Unlock()
			called++
			must(store.TokenStore.Lock(t.Context()))()
		}
		_, err := newSource(t, config, store).Token()
		require.Error(t, err)
		assert.Equal(t, 1, called)
	})
}
