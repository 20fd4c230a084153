package drift_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

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

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
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
