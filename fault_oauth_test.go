package drift_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
)

// oauthFaults: what can go wrong with tokens.
func oauthFaults() faults.Cases {
	cases := faults.Cases{}
	for number, row := range map[int]func(*testing.T){
		130: faultRefreshOfMany,
		131: faultRefreshRefused,
		132: faultRefreshUnavailable,
		133: faultRefreshHangs,
		134: faultRefresherCancelled,
		135: faultRefreshTokenRotated,
		136: faultTokenNotStored,
		137: faultRotatedElsewhere,
		138: faultOddTokenAnswers,
		139: faultTokenEndpointBlocked,
		140: faultTokenRevoked,
		141: faultUnprintableToken,
	} {
		cases[number] = func(t *testing.T) { synctest.Test(t, row) }
	}
	return cases
}

const manyCalls = 200

// oauthFault is a client whose tokens come from an authority, and whose API takes one access token alone.
type oauthFault struct {
	*faultClient
	authority *authority
	store     *troubledStore
	source    *drift.OAuthTokenSource
	failed    hookErrors

	mu   sync.Mutex
	slow time.Duration // of the API
	good int           // the serial number of the access token that it takes
	sent []string
}

func newOAuthFault(t *testing.T, stored *oauth2.Token) *oauthFault {
	t.Helper()
	f := &oauthFault{authority: newAuthority(), store: newTroubledStore(stored), good: 1}
	config := f.authority.config()
	config.SaveFailed = func(err error) {
		f.watch.showError(err)
		f.failed.add(err)
	}
	f.source = config.TokenSource(f.store)
	f.faultClient = throughFaultAs(t, drift.WithTokenSource(f.source), f.serve)
	f.limiter.Limiter = openLimiter{}
	t.Cleanup(func() {
		for _, value := range []any{config, f.source} {
			f.watch.show(value)
		}
		assert.NoError(t, f.source.Close())
		assert.Zero(t, f.store.locked)
	})
	return f
}

func (f *oauthFault) serve(r *http.Request) (*http.Response, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	f.mu.Lock()
	f.sent = append(f.sent, token)
	good := token == accessToken(f.good)
	f.mu.Unlock()
	time.Sleep(f.slow)
	if !good {
		return answerBody(http.StatusUnauthorized, `{"error": {"type": "authentication_error", "message": "`+token+` has expired"}}`)(r)
	}
	return answer(http.StatusOK)(r)
}

// callMany calls at the same time.
func (f *oauthFault) callMany(check func(error)) {
	var wg sync.WaitGroup
	for range manyCalls {
		wg.Go(func() { check(f.post(context.Background())) })
	}
	wg.Wait()
}

func (f *oauthFault) succeed(err error) { assert.NoError(f.t, err) }

func (f *oauthFault) mustReauthorize(err error) {
	assert.ErrorIs(f.t, err, drift.ErrReauthRequired)
	assert.NotErrorIs(f.t, err, drift.ErrInvalid)
	assert.ErrorAs(f.t, err, new(*drift.TransportError))
}

func faultRefreshOfMany(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.authority.delay = time.Second
	f.callMany(f.succeed)
	assert.Equal(t, 1, f.authority.asked())
	assert.Len(t, f.sent, manyCalls)
	f.requireSpent(manyCalls, manyCalls) // the refresh is no call of the API
}

func faultRefreshRefused(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.authority.delay, f.authority.killed = time.Second, true
	f.callMany(f.mustReauthorize)
	for range 3 {
		f.mustReauthorize(f.get(context.Background()))
		time.Sleep(time.Hour)
	}
	assert.Equal(t, 1, f.authority.asked())
	assert.Empty(t, f.sent)
	f.requireSpent(0, 0)
	assert.Equal(t, accessToken(0), f.store.access(t), "it is not for this package to delete it")
}

func faultRefreshUnavailable(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.authority.answers = []respondWith{answer(503), answer(503)}
	f.callMany(f.succeed)
	assert.Equal(t, 3, f.authority.asked())
	assert.Equal(t, accessToken(1), f.store.access(t))
}

func faultRefreshHangs(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.authority.delay = time.Hour
	start := time.Now()
	var wg sync.WaitGroup
	for seconds := range 20 {
		wg.Go(func() {
			patience := time.Duration(seconds+1) * time.Second
			err := f.get(context.Background(), drift.WithTimeout(patience))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, patience, time.Since(start))
		})
	}
	err := f.get(context.Background())
	assert.Equal(t, 30*time.Second, time.Since(start))
	assert.NotErrorIs(t, err, context.DeadlineExceeded, "that is not the caller's")
	assert.Equal(t, 1, f.authority.asked())
	wg.Wait()

	f.authority.set(func() { f.authority.delay = 0 })
	f.succeed(f.get(context.Background()))
	assert.Equal(t, 30*time.Second, time.Since(start), "at once")
	assert.Equal(t, 2, f.authority.asked())
}

func faultRefresherCancelled(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.authority.delay = 10 * time.Second
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := f.get(ctx)
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, cause)
	})
	synctest.Wait()
	wg.Go(func() { f.callMany(f.succeed) })
	time.Sleep(time.Second)
	start := time.Now()
	cancel(cause)
	synctest.Wait()
	assert.Zero(t, time.Since(start))
	wg.Wait()
	assert.Equal(t, 1, f.authority.asked())
}

func faultRefreshTokenRotated(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.store.slow = 5 * time.Second
	start := time.Now()
	f.succeed(f.get(context.Background()))
	assert.Equal(t, 5*time.Second, time.Since(start))
	assert.Equal(t, []string{f.store.access(t)}, f.sent)
	stored := must(f.store.Load(t.Context()))
	assert.Equal(t, refreshToken(1), stored.RefreshToken)

	// Another process that starts now goes on with it.
	token, err := newSource(t, f.authority.config(), f.store).Refresh(t.Context(), stored)
	requireToken(t, 2, token, err)
	assert.False(t, f.authority.killed)
}

func faultTokenNotStored(t *testing.T) {
	f := newOAuthFault(t, expired())
	f.store.save = errFull
	f.callMany(f.succeed)
	require.Equal(t, 1, f.failed.count())
	assert.ErrorIs(t, f.failed.errs[0], errFull)
	time.Sleep(time.Second)
	f.callMany(f.succeed)
	synctest.Wait()
	assert.Equal(t, 2, f.failed.count())
	f.store.set(func() { f.store.save = nil })
	time.Sleep(2 * time.Second)
	f.callMany(f.succeed)
	synctest.Wait()
	assert.Equal(t, accessToken(1), f.store.access(t))
	assert.Equal(t, 1, f.authority.asked())
	assert.Equal(t, 2, f.failed.count())
}

func faultRotatedElsewhere(t *testing.T) {
	f := newOAuthFault(t, issued(0, time.Now().Add(time.Hour)))
	f.good = 0
	f.succeed(f.get(t.Context()))
	f.good = 1
	require.NoError(t, f.store.Save(t.Context(), issued(1, time.Now().Add(time.Hour))))
	f.callMany(f.succeed)
	f.good = 2
	require.NoError(t, f.store.Save(t.Context(), issued(2, time.Now().Add(3*time.Hour))))
	time.Sleep(50 * time.Minute) // the token at hand is at its end
	f.callMany(f.succeed)
	assert.Zero(t, f.authority.asked())
}

func faultOddTokenAnswers(t *testing.T) {
	for name, respond := range unusableAnswers(refreshToken(0)) {
		f := newOAuthFault(t, expired())
		f.authority.answers = []respondWith{respond}
		start := time.Now()
		err := f.get(context.Background())
		require.Error(t, err, name)
		assert.Equal(t, name == "error under success", errors.Is(err, drift.ErrReauthRequired), name)
		assert.Zero(t, time.Since(start), name)
		assert.Empty(t, f.sent, name)
		assert.Equal(t, accessToken(0), f.store.access(t), name)
	}
	for _, life := range []any{nil, "3600", 0, -5, 1e12, ""} {
		f := newOAuthFault(t, expired())
		f.authority.life = life
		f.succeed(f.get(context.Background()))
		f.succeed(f.get(context.Background()))
		assert.Equal(t, 1, f.authority.asked(), life)
		token := must(f.source.Token())
		switch life {
		case 0:
			assert.Zero(t, token.Expiry)
		case 1e12:
			assert.Equal(t, 365*24*time.Hour, time.Until(token.Expiry))
		default:
			assert.Equal(t, time.Hour, time.Until(token.Expiry), life)
		}
	}
}

func faultTokenEndpointBlocked(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 407, 451} {
		f := newOAuthFault(t, expired())
		f.authority.answers = []respondWith{answerBody(status, "<html>"+markedAnswer, "Content-Type", "text/html")}
		for range 3 {
			err := f.get(context.Background())
			assert.Error(t, err)
			assert.NotErrorIs(t, err, drift.ErrReauthRequired)
			assert.NotErrorIs(t, err, drift.ErrNotFound)
		}
		assert.Equal(t, 1, f.authority.asked())
		assert.Equal(t, accessToken(0), f.store.access(t))
		time.Sleep(time.Second)
		f.succeed(f.get(context.Background()))
		assert.Equal(t, 2, f.authority.asked())
	}
}

func faultTokenRevoked(t *testing.T) {
	f := newOAuthFault(t, issued(0, time.Now().Add(time.Hour)))
	f.slow, f.authority.delay = time.Second, time.Second
	f.callMany(f.succeed)
	assert.Equal(t, 1, f.authority.asked())
	assert.Len(t, f.sent, 2*manyCalls)
	f.requireSpent(2*manyCalls, 2*manyCalls)
	f.good = 3 // and never again
	assert.ErrorIs(t, f.get(context.Background()), drift.ErrUnauthorized)
	assert.Equal(t, 2, f.authority.asked())
}

func faultUnprintableToken(t *testing.T) {
	for _, bad := range []string{`\r\nX-Evil: 1`, `\n`, `é`, ` x`, `\u0000`, `\u007f`} {
		f := newOAuthFault(t, expired())
		f.authority.answers = []respondWith{answerBody(200, `{"access_token": "`+markedAccess+bad+`", "refresh_token": "r"}`)}
		var decode *drift.DecodeError
		require.ErrorAs(t, f.get(context.Background()), &decode)
		assert.Equal(t, "/access_token", decode.Path)
		assert.Empty(t, f.sent)
		assert.Equal(t, accessToken(0), f.store.access(t))
	}
}
