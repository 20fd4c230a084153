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

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

func TestRefreshRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		source := testkit.NewSource(t, authority.Config(), store)
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
		assert.Equal(t, []url.Values{{"grant_type": {"refresh_token"}, "refresh_token": {testkit.RefreshToken(0)},
			"client_id": {"client"}, "client_secret": {testkit.MarkedClientSecret}}}, authority.Requests)
		assert.Equal(t, testkit.AccessToken(1), store.Access(t))
		assert.Equal(t, 1, store.MostLocks)
		assert.Zero(t, store.Locked)
	})
}

func TestRefreshKeepsWhatTheAnswerLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Answers = []testkit.Responder{testkit.AnswerBody(200, `{"access_token": "next"}`)}
		token, err := testkit.NewSource(t, authority.Config(), store).Token()
		require.NoError(t, err)
		assert.Equal(t, "next", token.AccessToken)
		assert.Equal(t, testkit.RefreshToken(0), token.RefreshToken)
		assert.Equal(t, time.Hour, time.Until(token.Expiry))
		for _, token := range []*oauth2.Token{token, testkit.Must(store.TokenStore.Load(t.Context()))} {
			id, _ := drift.OrgIDFromToken(token)
			assert.Equal(t, drift.OrgID(12345), id)
		}
		authority.Answers = []testkit.Responder{testkit.AnswerBody(200, `{"accessToken": "third", "refreshToken": "r", "orgId": "6"}`)}
		token, err = testkit.NewSource(t, authority.Config(), store).Refresh(t.Context(), token)
		require.NoError(t, err)
		assert.Equal(t, "r", token.RefreshToken)
		id, _ := drift.OrgIDFromToken(token)
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
				authority := testkit.NewAuthority()
				authority.Life = test.life.Seconds()
				source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Expired()))
				token, err := source.Token()
				testkit.RequireToken(t, 1, token, err)

				time.Sleep(time.Until(token.Expiry.Add(-test.notBefore - time.Second)))
				token, err = source.Token()
				testkit.RequireToken(t, 1, token, err)
				synctest.Wait()
				assert.Equal(t, 1, authority.Asked())

				authority.Delay = time.Second
				time.Sleep(time.Until(token.Expiry.Add(-test.by + time.Millisecond)))
				start := time.Now()
				for range 10 {
					token, err = source.Token()
					testkit.RequireToken(t, 1, token, err)
				}
				assert.Zero(t, time.Since(start), "nobody waits")
				time.Sleep(2 * time.Second)
				token, err = source.Token()
				testkit.RequireToken(t, 2, token, err)
				assert.Equal(t, 2, authority.Asked())
			})
		})
	}
}

// Processes that share a token should not all come at the same moment.
func TestEarlyRefreshIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early := 0
		for range 200 {
			authority := testkit.NewAuthority()
			source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(12*time.Minute+36*time.Second))))
			_, err := source.Token() // the first call knows the token, the second one looks after it
			require.NoError(t, err)
			_, err = source.Token()
			require.NoError(t, err)
			synctest.Wait()
			early += authority.Asked()
		}
		assert.Greater(t, early, 50)
		assert.Less(t, early, 150)
	})
}

func TestEarlyRefreshThatFails(t *testing.T) {
	for name, respond := range testkit.UnusableAnswers(testkit.RefreshToken(0)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := testkit.Answering(respond)
				token := testkit.Issued(0, time.Now().Add(4*time.Minute))
				store := testkit.NewTroubledStore(token)
				source := testkit.NewSource(t, config, store)
				for time.Until(token.Expiry) > 11*time.Second {
					got, err := source.Token()
					testkit.RequireToken(t, 0, got, err)
					time.Sleep(time.Second / 2)
				}
				assert.NotEmpty(t, network.Requests())
				assert.Less(t, len(network.Sent), 16, "no storm")
				assert.Less(t, store.Loads, 40, "in the store neither")
				time.Sleep(2 * time.Second)
				_, err := source.Token()
				assert.Error(t, err, "now it is over")
			})
		})
	}
}

// A service that gives the same access token again has no other.
func TestRefreshWithTheSameAccessToken(t *testing.T) {
	config, network := testkit.Answering(testkit.AnswerBody(200, `{"access_token": "`+testkit.AccessToken(0)+`", "expires_in": 7200}`))
	source := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(time.Hour))))
	token, err := source.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
	testkit.RequireToken(t, 0, token, err)
	assert.Len(t, network.Sent, 1)
}

func TestTokenIsStoredBeforeItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Issued(0, time.Now().Add(time.Minute)))
		store.Slow = 5 * time.Second
		source := testkit.NewSource(t, authority.Config(), store)
		_, _ = source.Token()
		for range 40 {
			token, err := source.Token()
			require.NoError(t, err)
			if token.AccessToken != testkit.AccessToken(0) { // at the instant of the save the store may be ahead
				assert.Equal(t, store.Access(t), token.AccessToken)
			}
			time.Sleep(time.Second / 4)
		}
		assert.Equal(t, 1, authority.Asked())
		assert.Equal(t, testkit.AccessToken(1), store.Access(t))
	})
}

func TestTokenThatCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store, told := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired()), new(testkit.SavesThatFail)
		store.SaveErr = testkit.ErrFull
		config := authority.Config()
		config.SaveFailed = told.Tell
		source := testkit.NewSource(t, config, store)
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
		require.Equal(t, 1, told.Count())
		assert.ErrorIs(t, told.Errs[0], testkit.ErrFull)
		assert.NotContains(t, told.Errs[0].Error(), testkit.MarkedPrefix)

		for range 100 { // calls go on, and so do the tries, ever more seldom
			token, err := source.Token()
			testkit.RequireToken(t, 1, token, err)
			time.Sleep(time.Second)
		}
		assert.Greater(t, told.Count(), 5)
		assert.Less(t, told.Count(), 10)
		store.Set(func() { store.SaveErr = nil })
		for range 31 {
			_, _ = source.Token()
			time.Sleep(time.Second)
		}
		assert.Equal(t, testkit.AccessToken(1), store.Access(t))
		assert.Equal(t, 1, store.Saved)
		assert.Equal(t, 1, authority.Asked())
	})
}

// What is not stored is refreshed like everything else.
func TestRefreshOfATokenThatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		store.SaveErr = testkit.ErrFull
		source := testkit.NewSource(t, authority.Config(), store)
		for serial := 1; serial < 5; serial++ {
			token, err := source.Token()
			testkit.RequireToken(t, serial, token, err)
			time.Sleep(3 * time.Hour)
		}
		assert.False(t, authority.Killed)
		store.Set(func() { store.SaveErr = nil })
	})
}

// Who authorizes again, or signs out, while a token waits to be stored, has the last word.
func TestTokenThatIsNotStoredMakesWay(t *testing.T) {
	for _, other := range []*oauth2.Token{{AccessToken: "other"}, nil} {
		synctest.Test(t, func(t *testing.T) {
			authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
			store.SaveErr = testkit.ErrFull
			source := authority.Config().TokenSource(store)
			_, err := source.Token()
			require.NoError(t, err)
			store.Set(func() { store.SaveErr = nil })
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
			assert.Equal(t, other == nil, store.Access(t) == "")
			assert.NotEqual(t, testkit.AccessToken(1), store.Access(t))
		})
	}
}

func TestSignedOutDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Delay = time.Second
		source := testkit.NewSource(t, authority.Config(), store)
		go func() {
			time.Sleep(time.Second / 2)
			_ = store.TokenStore.Save(t.Context(), nil)
		}()
		_, err := source.Token()
		assert.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Empty(t, store.Access(t), "it does not come back")
	})
}

func TestAuthorizedAgainDuringARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, refusal := range []testkit.Responder{nil, testkit.InvalidGrant, testkit.Answer(503, "Retry-After", "100")} {
			authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
			authority.Delay, authority.Answers = time.Second, []testkit.Responder{refusal}
			source := testkit.NewSource(t, authority.Config(), store)
			go func() {
				time.Sleep(time.Second / 2)
				_ = store.TokenStore.Save(t.Context(), &oauth2.Token{AccessToken: "other", Expiry: time.Now().Add(time.Hour)})
			}()
			token, err := source.Token()
			require.NoError(t, err)
			assert.Equal(t, "other", token.AccessToken)
			assert.Equal(t, "other", store.Access(t))
		}
	})
}

func TestRotatedByAProcessThatKnowsNoLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Answers = []testkit.Responder{func(r *http.Request) (*http.Response, error) {
			authority.Set(func() { authority.Serial, authority.Refresh = 7, testkit.RefreshToken(7) })
			_ = store.TokenStore.Save(t.Context(), testkit.Issued(7, time.Now().Add(-time.Minute))) // and expired already
			return testkit.InvalidGrant(r)
		}}
		token, err := testkit.NewSource(t, authority.Config(), store).Token()
		testkit.RequireToken(t, 8, token, err)
		assert.Equal(t, 2, authority.Asked())
	})
}

func TestRefusedByCode(t *testing.T) {
	for _, code := range []string{"invalid_grant", "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
				authority.Answers = []testkit.Responder{testkit.AnswerBody(400, `{"error": "`+code+`", "error_description": "`+testkit.RefreshToken(0)+`"}`)}
				source := testkit.NewSource(t, authority.Config(), store)
				for range 10 {
					_, err := source.Token()
					require.Error(t, err)
					assert.Equal(t, code == "invalid_grant", errors.Is(err, drift.ErrReauthRequired))
					var api *drift.APIError
					require.ErrorAs(t, err, &api)
					assert.Equal(t, code, api.Type)
					assert.Equal(t, "oauth.refresh", api.Operation)
					assert.NotErrorIs(t, err, drift.ErrInvalid, "that is not the call's fault")
					assert.NotContains(t, err.Error(), testkit.MarkedPrefix)
					if code == "invalid_grant" {
						time.Sleep(time.Hour)
					}
				}
				assert.Equal(t, 1, authority.Asked(), "no storm")
				assert.Equal(t, testkit.AccessToken(0), store.Access(t), "what is stored stays")

				require.NoError(t, store.Save(t.Context(), testkit.Issued(0, time.Now().Add(-time.Second))))
				_, err := source.Token()
				require.Error(t, err, "that is the same")
				authority.Set(func() { authority.Refresh = testkit.RefreshToken(5) })
				require.NoError(t, store.Save(t.Context(), testkit.Issued(5, time.Now().Add(time.Hour))))
				token, err := source.Token()
				testkit.RequireToken(t, 5, token, err)
			})
		})
	}
}

// Where the service refuses both, the access token is not handed out any more. Where only a refresh ahead of time was
// refused, it is good up to its end.
func TestRefusedForGoodBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := testkit.NewAuthority()
		authority.Killed = true
		source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(time.Hour))))
		token, err := source.Token()
		testkit.RequireToken(t, 0, token, err)
		_, err = source.Refresh(t.Context(), token)
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		_, err = source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Equal(t, 1, authority.Asked())
	})
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Issued(0, time.Now().Add(4*time.Minute)))
		authority.Killed = true
		source := testkit.NewSource(t, authority.Config(), store)
		for range 220 {
			token, err := source.Token()
			testkit.RequireToken(t, 0, token, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, authority.Asked())
		assert.Less(t, store.Loads, 20)
		_, err := source.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		_, err = source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Equal(t, 1, authority.Asked())
	})
}

func TestPassingFailures(t *testing.T) {
	for name, respond := range testkit.UnusableAnswers(testkit.RefreshToken(0)) {
		if name == "invalid client" || name == "error under success" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config, network := testkit.Answering(respond)
				store := testkit.NewTroubledStore(testkit.Expired())
				source := testkit.NewSource(t, config, store)
				watch := new(testkit.SecretWatch)
				start := time.Now()
				for time.Since(start) < 5*time.Minute {
					_, err := source.Token()
					require.Error(t, err)
					require.NotErrorIs(t, err, drift.ErrReauthRequired)
					require.NotErrorIs(t, err, drift.ErrNotFound, "a call must not take it for its own")
					watch.ShowError(err)
					time.Sleep(100 * time.Millisecond)
				}
				watch.Check(t)
				var gaps []time.Duration
				for i, sent := range network.Sent[1:] {
					gaps = append(gaps, sent.At.Sub(network.Sent[i].At).Truncate(time.Second/2))
				}
				s := time.Second
				require.Greater(t, len(gaps), 10)
				assert.Equal(t, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}, gaps[:7])
				assert.Equal(t, testkit.AccessToken(0), store.Access(t))

				authority := testkit.NewAuthority()
				network.Set(authority.Grant(url.Values{}))
				time.Sleep(30 * time.Second)
				token, err := source.Token()
				testkit.RequireToken(t, 1, token, err)
			})
		})
	}
}

func TestNothingStored(t *testing.T) {
	authority, store := testkit.NewAuthority(), drift.NewMemoryTokenStore(nil)
	source := testkit.NewSource(t, authority.Config(), store)
	for range 3 {
		_, err := source.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		assert.Contains(t, err.Error(), "no token is stored")
	}
	require.NoError(t, store.Save(t.Context(), testkit.Issued(3, time.Time{})))
	token, err := source.Token()
	testkit.RequireToken(t, 3, token, err)
	require.NoError(t, store.Save(t.Context(), nil))
	_, err = source.Refresh(t.Context(), token)
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	_, err = source.Token()
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.Zero(t, authority.Asked())
}

func TestTokenWithoutRefreshToken(t *testing.T) {
	authority := testkit.NewAuthority()
	source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(&oauth2.Token{AccessToken: "private"}))
	token, err := source.Token()
	require.NoError(t, err)
	_, err = source.Refresh(t.Context(), token)
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	_, err = source.Token()
	require.NoError(t, err, "one refusal ends nothing that cannot be had again")

	source = testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(&oauth2.Token{AccessToken: "a", Expiry: time.Now()}))
	_, err = source.Token()
	require.ErrorIs(t, err, drift.ErrReauthRequired)
	assert.Zero(t, authority.Asked())
}

// What cannot be sent is not handed out, and costs nothing but a refresh.
func TestStoredTokenThatCannotBeUsed(t *testing.T) {
	for _, bad := range []*oauth2.Token{{AccessToken: "a\r\nb"}, {AccessToken: "é"}, {}, {AccessToken: "a", TokenType: "MAC"}} {
		bad.RefreshToken, bad.Expiry = testkit.RefreshToken(0), time.Now().Add(time.Hour)
		authority := testkit.NewAuthority()
		token, err := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(bad)).Token()
		testkit.RequireToken(t, 1, token, err)
	}
}

func TestTokenStoreThatFails(t *testing.T) {
	for name, fail := range map[string]func(*testkit.TroubledStore, error){
		"loading": func(s *testkit.TroubledStore, err error) { s.LoadErr = err },
		"locking": func(s *testkit.TroubledStore, err error) { s.LockErr = err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Issued(0, time.Now().Add(time.Minute)))
				source := testkit.NewSource(t, authority.Config(), store)
				token, err := source.Token()
				testkit.RequireToken(t, 0, token, err)
				store.Set(func() { fail(store, testkit.ErrFull) })
				for range 45 {
					token, err := source.Token()
					testkit.RequireToken(t, 0, token, err)
					time.Sleep(time.Second)
				}
				time.Sleep(10 * time.Second)
				_, err = source.Token()
				var failed *drift.TransportError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, "oauth.refresh", failed.Operation)
				assert.False(t, failed.Sent)
				assert.ErrorIs(t, err, testkit.ErrFull)
				assert.NotErrorIs(t, err, drift.ErrReauthRequired)
				assert.NotContains(t, err.Error(), testkit.MarkedPrefix)
				assert.Zero(t, authority.Asked(), "no refresh without the store")
				assert.Less(t, store.Loads, 100)
				store.Set(func() { fail(store, nil) })
				token, err = source.Token()
				testkit.RequireToken(t, 1, token, err)
			})
		})
	}
}

func TestLockHeldByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		source := testkit.NewSource(t, authority.Config(), store)
		unlock, err := store.Lock(t.Context())
		require.NoError(t, err)
		start := time.Now()
		_, err = source.Token()
		require.Error(t, err)
		assert.Equal(t, 30*time.Second, time.Since(start))
		assert.NotErrorIs(t, err, context.DeadlineExceeded, "that is not the caller's")
		assert.Contains(t, err.Error(), "store")
		assert.Zero(t, authority.Asked())
		unlock()
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
	})
}

func TestStoreThatLagsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, first := testkit.NewAuthority(), testkit.Expired()
		store := &laggingStore{TokenStore: drift.NewMemoryTokenStore(nil), before: first, last: first}
		source := testkit.NewSource(t, authority.Config(), store)
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
		for serial := 2; serial < 5; serial++ {
			token, err = source.Refresh(t.Context(), token)
			testkit.RequireToken(t, serial, token, err)
		}
		assert.Equal(t, testkit.AccessToken(4), store.last.AccessToken)

		store.last = testkit.Issued(9, time.Now().Add(time.Hour)) // a person has authorized again
		store.before = store.last
		token, err = source.Refresh(t.Context(), token)
		testkit.RequireToken(t, 9, token, err)
	})
}

// A refresh token that comes with an access token of no use is the only one that is good from then on.
func TestRefreshTokenOfAnUnusableAnswer(t *testing.T) {
	next := `"refresh_token": "` + testkit.RefreshToken(1) + `"`
	for name, body := range map[string]string{
		"MAC":             `{"access_token": "a", "token_type": "MAC", ` + next + `}`,
		"line break":      `{"access_token": "a\r\nb", ` + next + `}`,
		"no access token": `{` + next + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
				authority.Serial, authority.Refresh = 1, testkit.RefreshToken(1)
				authority.Answers = []testkit.Responder{testkit.AnswerBody(200, body)}
				source := testkit.NewSource(t, authority.Config(), store)
				_, err := source.Token()
				require.ErrorAs(t, err, new(*drift.DecodeError))
				stored := testkit.Must(store.TokenStore.Load(t.Context()))
				assert.Equal(t, testkit.RefreshToken(1), stored.RefreshToken)
				assert.Equal(t, testkit.AccessToken(0), stored.AccessToken)
				id, _ := drift.OrgIDFromToken(stored)
				assert.Equal(t, drift.OrgID(12345), id)

				_, err = source.Token()
				require.ErrorAs(t, err, new(*drift.DecodeError))
				assert.Equal(t, 1, authority.Asked(), "it is a failure, and has its pause")
				time.Sleep(time.Second)
				token, err := source.Token()
				testkit.RequireToken(t, 2, token, err)
			})
		})
	}
}

// Answers that are of no use, with a new refresh token each time, are no reason to ask more often.
func TestUnusableAnswersOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		for serial := range 100 {
			authority.Answers = append(authority.Answers, testkit.AnswerBody(200, `{"refresh_token": "`+testkit.RefreshToken(serial+1)+`"}`))
		}
		source := testkit.NewSource(t, authority.Config(), store)
		for range 200 {
			_, err := source.Token()
			require.Error(t, err)
			time.Sleep(time.Second / 2)
		}
		assert.Less(t, authority.Asked(), 10)
		assert.Equal(t, testkit.RefreshToken(authority.Asked()), testkit.Must(store.TokenStore.Load(t.Context())).RefreshToken)
	})
}

// The hook may use the store: its lock is free by then.
func TestSaveFailedMayLockTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		store.SaveErr = testkit.ErrFull
		config, told := authority.Config(), 0
		config.SaveFailed = func(error) {
			told++
			testkit.Must(store.TokenStore.Lock(t.Context()))()
		}
		source := config.TokenSource(store)
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
		assert.Equal(t, 1, told)
		store.Set(func() { store.SaveErr = nil })
		require.NoError(t, source.Close())
		assert.Equal(t, 1, told)
	})
}

func TestRefreshErrorsAreKind(t *testing.T) {
	watch := new(testkit.SecretWatch)
	for _, respond := range testkit.UnusableAnswers(testkit.RefreshToken(0)) {
		config, _ := testkit.Answering(respond)
		_, err := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
		require.Error(t, err)
		watch.ShowError(err)
		assert.True(t, strings.HasPrefix(err.Error(), "drift: "), err.Error())
		assert.Equal(t, 1, strings.Count(err.Error(), "drift:"), err.Error())
	}
	config, _ := testkit.Answering(testkit.Answer(503, "Retry-After", "100"))
	_, err := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	assert.ErrorIs(t, err, drift.ErrServer)
	config, _ = testkit.Answering(func(*http.Request) (*http.Response, error) { return nil, io.ErrClosedPipe })
	_, err = testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	watch.ShowError(err)
	watch.Check(t)
}

// hookErrors collects what a hook of a token source is called with.
type hookErrors = testkit.SavesThatFail

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
	authority *testkit.Authority
	store     *preparingStore
	failed    hookErrors
	log       bytes.Buffer
}

func newRefreshing(t *testing.T, token *oauth2.Token) *refreshing {
	t.Helper()
	r := &refreshing{t: t, authority: testkit.NewAuthority(), store: newPreparingStore(token)}
	config := r.authority.Config()
	config.RefreshFailed = r.failed.Tell
	config.Logger = slog.New(slog.NewTextHandler(&r.log, nil))
	r.OAuthTokenSource = testkit.NewSource(t, config, r.store)
	return r
}

func (r *refreshing) requireToken(serial int) {
	r.t.Helper()
	token, err := r.Token()
	testkit.RequireToken(r.t, serial, token, err)
	synctest.Wait()
}

// requireAlive: the authorization was not taken back, and the store has the newest pair.
func (r *refreshing) requireAlive() {
	r.t.Helper()
	assert.False(r.t, r.authority.Killed, "a refresh token was used twice")
	stored := testkit.Must(r.store.TokenStore.Load(r.t.Context()))
	assert.Equal(r.t, testkit.RefreshToken(r.authority.Serial), stored.RefreshToken)
}

func noRoomForTheNextToken(t *testing.T) {
	r := newRefreshing(t, testkit.Issued(0, time.Now().Add(4*time.Minute)))
	r.store.fill(testkit.ErrFull)
	for range 30 {
		r.requireToken(0)
		time.Sleep(time.Second)
	}
	assert.Zero(t, r.authority.Asked(), "nothing is sent")
	require.NotZero(t, r.failed.Count())
	assert.ErrorIs(t, r.failed.Errs[0], testkit.ErrFull)
	r.store.fill(nil)
	time.Sleep(31 * time.Second)
	r.requireToken(0) // and the refresh is under way
	r.requireToken(1)
	r.requireAlive()
}

func noRoomAndExpired(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.store.fill(testkit.ErrFull)
	for range 3 {
		_, err := r.Token()
		require.ErrorIs(t, err, testkit.ErrFull)
		require.NotErrorIs(t, err, drift.ErrReauthRequired)
		var passing interface{ Temporary() bool }
		require.ErrorAs(t, err, &passing)
		assert.True(t, passing.Temporary())
		assert.NotContains(t, err.Error(), testkit.MarkedPrefix)
		assert.NotErrorIs(t, err, drift.ErrInvalid)
	}
	assert.Zero(t, r.authority.Asked())
	r.store.fill(nil)
	r.requireToken(1)
	r.requireAlive()
}

func noRoomAfterARefusal(t *testing.T) {
	r := newRefreshing(t, testkit.Issued(0, time.Now().Add(time.Hour)))
	r.requireToken(0)
	r.store.fill(testkit.ErrFull)
	_, err := r.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
	require.ErrorIs(t, err, testkit.ErrFull)
	r.store.fill(nil)
	token, err := r.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
	testkit.RequireToken(t, 1, token, err)
	r.requireAlive()
}

func preparedUnderTheLock(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.requireToken(1)
	assert.Equal(t, 1, r.store.prepared)
	assert.Equal(t, 1, r.store.underLock)
}

// A pair that could not be stored is stored before it is used up.
func notRefreshedFromMemory(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.store.Set(func() { r.store.SaveErr = testkit.ErrFull }) // although there was room
	r.requireToken(1)
	time.Sleep(3 * time.Hour)
	for range 3 {
		_, err := r.Token()
		require.ErrorIs(t, err, testkit.ErrFull)
		time.Sleep(time.Minute)
	}
	assert.Equal(t, 1, r.authority.Asked())
	r.store.Set(func() { r.store.SaveErr = nil })
	r.requireToken(2)
	r.requireAlive()
}

var clientRefusals = []string{"invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type"}

func refuseWith(code string) testkit.Responder {
	return testkit.AnswerBody(http.StatusBadRequest, `{"error": "`+code+`"}`)
}

func passingRefusal(t *testing.T) {
	for _, code := range clientRefusals {
		r := newRefreshing(t, testkit.Expired())
		r.authority.Answers = []testkit.Responder{refuseWith(code)}
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
		r := newRefreshing(t, testkit.Expired())
		for range 100 {
			r.authority.Answers = append(r.authority.Answers, refuseWith(code))
		}
		for range 3600 {
			_, err := r.Token()
			require.ErrorAs(t, err, new(*drift.APIError))
			time.Sleep(time.Second)
		}
		assert.Greater(t, r.authority.Asked(), 10, code)
		assert.Less(t, r.authority.Asked(), 61, code)
	}
}

func invalidGrantIsFinal(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.authority.Killed = true
	for range 100 {
		_, err := r.Token()
		require.ErrorIs(t, err, drift.ErrReauthRequired)
		time.Sleep(time.Hour)
	}
	assert.Equal(t, 1, r.authority.Asked())
}

func olderTokenIsPutBack(t *testing.T) {
	for back := range 3 {
		r := newRefreshing(t, testkit.Expired())
		r.requireToken(1)
		for serial := 1; serial < 3; serial++ {
			token, err := r.Refresh(t.Context(), testkit.Issued(serial, time.Time{}))
			testkit.RequireToken(t, serial+1, token, err)
		}
		require.NoError(t, r.store.TokenStore.Save(t.Context(), testkit.Issued(back, time.Now().Add(time.Minute))))
		time.Sleep(3 * time.Hour)
		r.requireToken(4)
		r.requireAlive()
	}
}

func putBackWhileGood(t *testing.T) {
	r := newRefreshing(t, testkit.Expired())
	r.requireToken(1)
	token, err := r.Refresh(t.Context(), testkit.Issued(1, time.Time{}))
	testkit.RequireToken(t, 2, token, err)
	require.NoError(t, r.store.TokenStore.Save(t.Context(), testkit.Expired()))
	time.Sleep(time.Until(token.Expiry) - 10*time.Minute) // it is time to look into the store, and the service is down
	r.authority.Answers = []testkit.Responder{testkit.Answer(503), testkit.Answer(503), testkit.Answer(503)}
	r.requireToken(2)
	time.Sleep(20 * time.Second)
	r.requireToken(2)
	r.requireAlive()
}

func failsAheadOfTime(t *testing.T) {
	for name, fail := range map[string]func(*refreshing){
		"service":     func(r *refreshing) { r.authority.Answers = []testkit.Responder{testkit.Answer(501)} },
		"final":       func(r *refreshing) { r.authority.Killed = true },
		"client":      func(r *refreshing) { r.authority.Answers = []testkit.Responder{refuseWith("invalid_client")} },
		"disk":        func(r *refreshing) { r.store.fill(testkit.ErrFull) },
		"store":       func(r *refreshing) { r.store.Set(func() { r.store.LockErr = testkit.ErrFull }) },
		"unreadable":  func(r *refreshing) { r.store.Set(func() { r.store.LoadErr = testkit.ErrFull }) },
		"no new pair": func(r *refreshing) { r.authority.Answers = []testkit.Responder{testkit.Answer(200)} },
	} {
		r := newRefreshing(t, testkit.Issued(0, time.Now().Add(4*time.Minute)))
		r.requireToken(0)
		assert.Zero(t, r.failed.Count(), name)
		fail(r)
		r.requireToken(0)
		require.Equal(t, 1, r.failed.Count(), name)
		assert.NotContains(t, fmt.Sprint(r.failed.Errs), testkit.MarkedPrefix, name)
		assert.Contains(t, r.log.String(), "level=WARN", name)
		assert.Contains(t, r.log.String(), "refresh", name)
		assert.NotContains(t, r.log.String(), testkit.MarkedPrefix, name)
		assert.Equal(t, name == "final", errors.Is(r.failed.Errs[0], drift.ErrReauthRequired), name)
		r.requireToken(0)
		assert.Equal(t, 1, r.failed.Count(), "once for each failure: %s", name)
		r.store.Set(func() { r.store.LoadErr, r.store.LockErr = nil, nil })
	}
}

// The callbacks may run at the same time as calls.
func TestRefreshFailedMayUseTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Answers = []testkit.Responder{testkit.Answer(501)}
		config, called := authority.Config(), 0
		var mu sync.Mutex
		config.RefreshFailed = func(error) {
			mu.Lock()
			defer mu.Unlock()
			called++
			testkit.Must(store.TokenStore.Lock(t.Context()))()
		}
		_, err := testkit.NewSource(t, config, store).Token()
		require.Error(t, err)
		assert.Equal(t, 1, called)
	})
}

// Each request for a new token is reported with its retries, whether or not it succeeds.
func TestRefreshesAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var infos []drift.RefreshInfo
		authority := testkit.NewAuthority()
		authority.Delay = time.Second
		config := authority.Config()
		config.OnRefresh = func(info drift.RefreshInfo) { infos = append(infos, info) }
		source := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired()))
		next := func(answers ...testkit.Responder) drift.RefreshInfo {
			infos = nil
			authority.Set(func() { authority.Answers = answers })
			_, _ = source.Token() // the one at hand has expired
			synctest.Wait()
			time.Sleep(time.Minute)
			require.Len(t, infos, 1)
			return infos[0]
		}
		info := next(testkit.AnswerBody(200, `{"access_token": "same", "expires_in": 1}`))
		assert.Equal(t, drift.RefreshInfo{Duration: time.Second, Attempts: 1}, info)

		info = next(testkit.Answer(503, "Retry-After", "2"), testkit.AnswerBody(200, `{"access_token": "next", "refresh_token": "next", "expires_in": 1}`))
		assert.Equal(t, 2, info.Attempts)
		assert.True(t, info.Rotated)
		assert.GreaterOrEqual(t, info.Duration, 4*time.Second)
		require.NoError(t, info.Err)

		info = next(testkit.NotSent, testkit.NotSent, testkit.NotSent)
		assert.Equal(t, 3, info.Attempts)
		assert.False(t, info.Rotated)
		assert.Equal(t, drift.KindConnect, drift.KindOf(info.Err))
		require.EqualError(t, info.Err, "drift: oauth.refresh: not sent to driftapi.com:443: connection refused; check the host and port of TokenURL")
	})
}

// A function that panics does not keep the others from running, and the panic reaches the caller.
func TestPanicOfOnRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, told := testkit.NewTroubledStore(testkit.Expired()), new(testkit.SavesThatFail)
		store.SaveErr = testkit.ErrFull
		config := testkit.NewAuthority().Config()
		config.OnRefresh, config.SaveFailed = func(drift.RefreshInfo) { panic("hook") }, told.Tell
		source := testkit.NewSource(t, config, store)
		assert.PanicsWithValue(t, "hook", func() { _, _ = source.Token() })
		assert.Equal(t, 1, told.Count())
		token, err := source.Token()
		testkit.RequireToken(t, 1, token, err)
		store.Set(func() { store.SaveErr = nil })
	})
}
