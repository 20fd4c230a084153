package drift_test

import (
	"context"
	"errors"
	"net/http"
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

// The refusal of a token that is being refreshed anyway costs no second refresh, and that of a token that was just
// looked up is not answered with the same one.
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
