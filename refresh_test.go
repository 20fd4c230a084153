package drift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
)

// preparingStore is a store whose disk can be full.
type preparingStore struct {
	*troubledStore
	full       error // set with troubledStore.set
	prepared   int
	underLock  int
	withHolder int
}

func newPreparingStore(token *oauth2.Token) *preparingStore {
	return &preparingStore{troubledStore: newTroubledStore(token)}
}

func (s *preparingStore) Prepare(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepared++
	s.underLock += s.locked
	return s.full
}

func (s *preparingStore) fill(err error) { s.set(func() { s.full, s.save = err, err }) }

// hookErrors collects what a hook of a token source is called with.
type hookErrors = savesThatFail

// TestTokensAreNotUsedUpForNothing has a test for each way in which a refresh token was once lost.
func TestTokensAreNotUsedUpForNothing(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"t1 no room on the disk":                   noRoomForTheNextToken,
		"t1 no room, and the token has expired":    noRoomAndExpired,
		"t1 no room after a refusal":               noRoomAfterARefusal,
		"t1 the store prepares under its lock":     preparedUnderTheLock,
		"t1 the token is in memory alone":          notRefreshedFromMemory,
		"t2 the adopted token is refused too":      adoptedTokenIsRefused,
		"t2 again and again":                       adoptedTokensAreRefused,
		"t3 one endpoint refuses good tokens":      oneEndpointRefuses,
		"t3 one id of an endpoint is refused":      oneIDIsRefused,
		"t3 a source of the caller's own":          oneEndpointRefusesAnotherSource,
		"t3 a token that is really revoked":        revokedAfterItServed,
		"t3 two clients of one source":             refusedByTwoClients,
		"t5 complete before the connection breaks": completeBeforeTheBreak,
		"t5 complete before the answer stalls":     completeBeforeTheStall,
		"t5 cut off within the object":             cutOffWithinTheObject,
		"t6 a passing refusal of the client":       passingRefusal,
		"t6 a lasting refusal of the client":       lastingRefusal,
		"t6 invalid_grant is final":                invalidGrantIsFinal,
		"t7 an older token is put back":            olderTokenIsPutBack,
		"t7 put back while the token is good":      putBackWhileGood,
		"t8 a refresh ahead of time fails":         failsAheadOfTime,
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
	config.RefreshFailed = r.failed.tell
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

func adoptedTokenIsRefused(t *testing.T) {
	f := newOAuthFault(t, issued(0, time.Now().Add(time.Hour)))
	f.good = 0
	f.succeed(f.get(t.Context()))
	f.rotateElsewhere()
	f.good = 2
	f.callMany(f.succeed)
	assert.Equal(t, 1, f.authority.asked())
	assert.False(t, f.authority.killed)
}

func adoptedTokensAreRefused(t *testing.T) {
	f := newOAuthFault(t, issued(0, time.Now().Add(time.Hour)))
	f.good = 0
	f.succeed(f.get(t.Context()))
	for range 5 {
		f.rotateElsewhere()
		f.good = f.authority.serial + 1
		f.succeed(f.get(t.Context()))
		assert.Equal(t, f.good, f.authority.serial)
	}
	assert.Equal(t, 5, f.authority.asked())
}

// rotateElsewhere is another process that refreshes, under the lock.
func (f *oauthFault) rotateElsewhere() {
	unlock := must(f.store.TokenStore.Lock(f.t.Context()))
	defer unlock()
	var serial int
	f.authority.set(func() {
		f.authority.serial++
		serial = f.authority.serial
		f.authority.refresh = refreshToken(serial)
	})
	require.NoError(f.t, f.store.TokenStore.Save(f.t.Context(), issued(serial, time.Now().Add(time.Hour))))
}

// pickyClient is a client whose service refuses every token at some paths, and at the others all but the newest.
func pickyClient(t *testing.T, source oauth2.TokenSource, newest func() string) *drift.Client {
	t.Helper()
	return throughWith(t, source, func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "private") || r.Header.Get("Authorization") != "Bearer "+newest() {
			return answerBody(http.StatusUnauthorized, `{"error": {"code": "CONTACT-2", "message": "unauthorized to view or not found"}}`)(r)
		}
		return answer(http.StatusOK)(r)
	}, drift.WithLimiter(openLimiter{}))
}

func view(t *testing.T, client *drift.Client, name, path string) error {
	t.Helper()
	return client.Do(t.Context(), drift.Request{Name: name, Path: path}, nil)
}

func (r *refreshing) newest() string {
	r.authority.mu.Lock()
	defer r.authority.mu.Unlock()
	return accessToken(r.authority.serial)
}

func oneEndpointRefuses(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Second, 15 * time.Second, 2 * time.Minute} {
		r := newRefreshing(t, issued(0, time.Now().Add(24*time.Hour)))
		client := pickyClient(t, r.OAuthTokenSource, r.newest)
		for range 20 {
			assert.ErrorIs(t, view(t, client, "one", "private"), drift.ErrUnauthorized)
			time.Sleep(pause)
			require.NoError(t, view(t, client, "other", "public"))
		}
		assert.LessOrEqual(t, r.authority.asked(), 1, "%v between the calls", pause)
		r.requireAlive()
	}
}

func oneIDIsRefused(t *testing.T) {
	r := newRefreshing(t, issued(0, time.Now().Add(24*time.Hour)))
	client := pickyClient(t, r.OAuthTokenSource, r.newest)
	for i := range 200 {
		err := view(t, client, "contacts.get", []string{"private", "public", "public", "private", "private"}[i%5])
		assert.True(t, err == nil || errors.Is(err, drift.ErrUnauthorized))
		time.Sleep(time.Second)
	}
	assert.LessOrEqual(t, r.authority.asked(), 1)
}

func oneEndpointRefusesAnotherSource(t *testing.T) {
	source := new(rotatingSource)
	client := pickyClient(t, source, func() string { return must(source.Token()).AccessToken })
	for range 20 {
		assert.ErrorIs(t, view(t, client, "one", "private"), drift.ErrUnauthorized)
		time.Sleep(15 * time.Second)
		require.NoError(t, view(t, client, "other", "public"))
	}
	assert.EqualValues(t, 1, source.refreshes.Load())
}

// A token that served calls and is then revoked is refreshed soon, whatever it was refused for before.
func revokedAfterItServed(t *testing.T) {
	for _, name := range []string{"one", "other"} {
		r := newRefreshing(t, issued(0, time.Now().Add(24*time.Hour)))
		valid := accessToken(1)
		client := pickyClient(t, r.OAuthTokenSource, func() string { return valid })
		assert.ErrorIs(t, view(t, client, "one", "private"), drift.ErrUnauthorized)
		for range 10 {
			require.NoError(t, view(t, client, "other", "public"))
			time.Sleep(time.Minute)
		}
		valid = accessToken(2)
		revoked := time.Now()
		for view(t, client, name, "public") != nil {
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, time.Since(revoked), time.Minute, name)
		assert.Equal(t, 2, r.authority.asked())
	}
}

func refusedByTwoClients(t *testing.T) {
	r := newRefreshing(t, issued(0, time.Now().Add(24*time.Hour)))
	clients := []*drift.Client{pickyClient(t, r.OAuthTokenSource, r.newest), pickyClient(t, r.OAuthTokenSource, r.newest)}
	for i := range 40 {
		assert.ErrorIs(t, view(t, clients[i%2], "one", "private"), drift.ErrUnauthorized)
		require.NoError(t, view(t, clients[i%2], "other", "public"))
		time.Sleep(5 * time.Second)
	}
	assert.LessOrEqual(t, r.authority.asked(), 1)
}

// brokenAfter is a body that ends with an error.
func brokenAfter(text string, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(text), errorReader{err}))
}

func completeBeforeTheBreak(t *testing.T) {
	for _, tail := range []string{"", "\r\n", "  "} {
		for _, broken := range []error{io.ErrUnexpectedEOF, errors.New("connection reset by peer"), errors.New("malformed chunked encoding")} {
			r := newRefreshing(t, expired())
			r.authority.breaks = func(_ *http.Request, text string) io.ReadCloser { return brokenAfter(text+tail, broken) }
			r.requireToken(1)
			assert.Equal(t, 1, r.authority.asked())
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
	r := newRefreshing(t, expired())
	r.authority.breaks = func(req *http.Request, text string) io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader(text), stalledBody{req.Context()}))
	}
	start := time.Now()
	r.requireToken(1)
	assert.Less(t, time.Since(start), 2*time.Second)
	assert.Equal(t, 1, r.authority.asked())
	r.requireAlive()
}

func cutOffWithinTheObject(t *testing.T) {
	r := newRefreshing(t, expired())
	r.authority.answers = []respondWith{func(req *http.Request) (*http.Response, error) {
		resp := must(answer(http.StatusOK)(req))
		resp.Body = brokenAfter(`{"access_token": "half", "x": {}`, io.ErrUnexpectedEOF)
		return resp, nil
	}}
	r.requireToken(1)
	assert.Equal(t, 2, r.authority.asked(), "the object was not complete")
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
