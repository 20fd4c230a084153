package drift_test

import (
	"context"
	"errors"
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
	"github.com/driftsdk/drift/internal/testkit"
)

func TestGoodTokenCostsNothing(t *testing.T) {
	authority := testkit.NewAuthority()
	source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(2*time.Hour))))
	token, err := source.TokenContext(t.Context())
	testkit.RequireToken(t, 0, token, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = source.TokenContext(context.Background()) }))
	assert.Zero(t, authority.Asked())
}

func BenchmarkGoodToken(b *testing.B) {
	source := testkit.NewAuthority().Config().TokenSource(drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(2*time.Hour))))
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
		"two hours":           testkit.Issued(0, time.Now().Add(2*time.Hour)),
		"no end":              testkit.Issued(0, time.Time{}),
		"far away":            testkit.Issued(0, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)),
		"cannot be refreshed": {AccessToken: testkit.AccessToken(0), Expiry: time.Now().Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(token)
			source := testkit.NewSource(t, authority.Config(), store)
			for range 10 {
				got, err := source.TokenContext(t.Context())
				testkit.RequireToken(t, 0, got, err)
			}
			assert.Equal(t, 1, store.Loads)
			assert.Zero(t, authority.Asked())
			assert.Zero(t, store.MostLocks)
		})
	}
}

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

func TestRefreshOfAnOlderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Issued(0, time.Now().Add(time.Hour)))
		source := testkit.NewSource(t, authority.Config(), store)
		first, err := source.Token()
		testkit.RequireToken(t, 0, first, err)
		second, err := source.Refresh(t.Context(), first)
		testkit.RequireToken(t, 1, second, err)
		loads := store.Loads
		for range 5 {
			again, err := source.Refresh(t.Context(), first)
			testkit.RequireToken(t, 1, again, err)
		}
		assert.Equal(t, loads, store.Loads, "the newest is at hand")
		assert.Equal(t, 1, authority.Asked(), "each generation is refreshed once")
		third, err := source.Refresh(t.Context(), second)
		testkit.RequireToken(t, 2, third, err)
		again, err := source.Refresh(t.Context(), nil)
		testkit.RequireToken(t, 2, again, err)
	})
}

// The refusal of a token that is being refreshed anyway costs no second refresh, and that of a token that was just looked up
// is not answered with the same one.
func TestRefreshMeetsAnotherRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority := testkit.NewAuthority()
		authority.Delay = time.Second
		source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Issued(0, time.Now().Add(time.Minute))))
		for range 2 { // the second call begins a refresh ahead of time
			token, err := source.Token()
			testkit.RequireToken(t, 0, token, err)
		}
		token, err := source.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
		testkit.RequireToken(t, 1, token, err)
		assert.Equal(t, 1, authority.Asked())
	})
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Issued(0, time.Now().Add(time.Hour)))
		store.Deaf = make(chan struct{})
		source := testkit.NewSource(t, authority.Config(), store)
		go func() { _, _ = source.Token() }()
		synctest.Wait()
		go func() { time.Sleep(time.Second); close(store.Deaf) }()
		token, err := source.Refresh(t.Context(), testkit.Issued(0, time.Time{}))
		testkit.RequireToken(t, 1, token, err)
	})
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

func TestCloseStoresWhatCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		store.SaveErr = testkit.ErrFull
		source := authority.Config().TokenSource(store)
		_, err := source.Token()
		require.NoError(t, err)
		store.Set(func() { store.SaveErr = nil })
		require.NoError(t, source.Close())
		assert.Equal(t, testkit.AccessToken(1), store.Access(t))
		require.NoError(t, source.Close())
		assert.Zero(t, store.Locked)
	})
	for name, fail := range map[string]func(*testkit.TroubledStore){
		"saving":  func(s *testkit.TroubledStore) { s.SaveErr = testkit.ErrFull },
		"loading": func(s *testkit.TroubledStore) { s.LoadErr = testkit.ErrFull },
		"locking": func(s *testkit.TroubledStore) { s.LockErr = testkit.ErrFull },
	} {
		t.Run(name, func(t *testing.T) {
			authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
			store.SaveErr = errors.New("at first")
			source := authority.Config().TokenSource(store)
			_, err := source.Token()
			require.NoError(t, err)
			store.Set(func() { store.SaveErr = nil; fail(store) })
			err = source.Close()
			require.ErrorIs(t, err, testkit.ErrFull)
			assert.NotContains(t, err.Error(), testkit.MarkedPrefix)
			require.NoError(t, source.Close(), "it is closed")
		})
	}
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

func TestRefusedForGood(t *testing.T) {
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
					time.Sleep(time.Hour)
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

// Where the service refuses both, the access token is not handed out any more. Where only a refresh ahead of time was refused,
// it is good up to its end.
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

func TestStoreThatHearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := testkit.NewTroubledStore(testkit.Expired())
		store.Deaf = make(chan struct{})
		source := testkit.NewAuthority().Config().TokenSource(store)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			_, err := source.TokenContext(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
			cancel()
		}
		close(store.Deaf)
		require.NoError(t, source.Close())
	})
}

func TestTwoSourcesOfOneStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Delay = time.Second
		var wg sync.WaitGroup
		for range 8 {
			source := testkit.NewSource(t, authority.Config(), store)
			for range 5 {
				wg.Go(func() {
					token, err := source.Token()
					if assert.NoError(t, err) {
						assert.Equal(t, testkit.AccessToken(1), token.AccessToken)
					}
				})
			}
		}
		wg.Wait()
		assert.Equal(t, 1, authority.Asked())
		assert.Equal(t, 1, store.MostLocks)
	})
}

func TestCloseWaitsForARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		authority.Delay = 7 * time.Second
		source := authority.Config().TokenSource(store)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := source.TokenContext(ctx)
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait() // the request is on its way
		start := time.Now()
		require.NoError(t, source.Close())
		assert.Equal(t, 7*time.Second, time.Since(start))
		assert.Equal(t, testkit.AccessToken(1), store.Access(t), "it is not lost")
		_, err = source.Token()
		assert.ErrorIs(t, err, drift.ErrClosed)
		_, err = source.Refresh(t.Context(), testkit.Expired())
		assert.ErrorIs(t, err, drift.ErrClosed)
	})
}

// Before anything is sent there is nothing to lose.
func TestCloseEndsAWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
		unlock := testkit.Must(store.TokenStore.Lock(t.Context()))
		defer unlock()
		source := authority.Config().TokenSource(store)
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
		assert.Zero(t, authority.Asked())
	})
}

// The figure of Close's comment, with a store that takes all the time that it is given, and fails.
func TestCloseHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, store := testkit.NewAuthority(), &sluggishStore{TokenStore: drift.NewMemoryTokenStore(testkit.Expired())}
		authority.Delay = 30*time.Second - time.Millisecond
		source := authority.Config().TokenSource(store)
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
	return testkit.ErrFull
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

func TestCloseOfAnUnusedSource(t *testing.T) {
	source := testkit.NewAuthority().Config().TokenSource(drift.NewMemoryTokenStore(nil))
	require.NoError(t, source.Close())
	_, err := source.Token()
	assert.ErrorIs(t, err, drift.ErrClosed)
	require.NoError(t, drift.OAuthConfig{}.TokenSource(nil).Close())
}

// A panic reaches those who wait, and leaves nothing locked.
func TestPanicDuringARefresh(t *testing.T) {
	authority, store := testkit.NewAuthority(), testkit.NewTroubledStore(testkit.Expired())
	authority.Answers = []testkit.Responder{func(*http.Request) (*http.Response, error) { panic("transport") }}
	source := testkit.NewSource(t, authority.Config(), store)
	assert.PanicsWithValue(t, "transport", func() { _, _ = source.Token() })
	assert.Zero(t, store.Locked)
	token, err := source.Token()
	testkit.RequireToken(t, 1, token, err)
}

func TestTransportThatBreaksItsContract(t *testing.T) {
	config, _ := testkit.Answering(func(*http.Request) (*http.Response, error) { return nil, nil })
	_, err := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	require.ErrorAs(t, err, new(*drift.TransportError))
	config, _ = testkit.Answering(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	_, err = testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired())).Token()
	require.ErrorIs(t, err, drift.ErrUnexpectedContent)
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

func TestMemoryTokenStore(t *testing.T) {
	first := testkit.Issued(0, time.Time{})
	store := drift.NewMemoryTokenStore(first)
	first.AccessToken = "changed"
	loaded, err := store.Load(t.Context())
	testkit.RequireToken(t, 0, loaded, err)
	loaded.AccessToken = "changed"
	loaded, err = store.Load(t.Context())
	testkit.RequireToken(t, 0, loaded, err)
	id, _ := drift.OrgIDFromToken(loaded)
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
