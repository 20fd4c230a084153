package drift_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// A refused token is refreshed once where that helps, and not at all where it does not.
func TestTokensThatAreRefused(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"t2 the adopted token is refused too": adoptedTokenIsRefused,
		"t2 again and again":                  adoptedTokensAreRefused,
		"t3 one endpoint refuses good tokens": oneEndpointRefuses,
		"t3 one id of an endpoint is refused": oneIDIsRefused,
		"t3 a source of the caller's own":     oneEndpointRefusesAnotherSource,
		"t3 a token that is really revoked":   revokedAfterItServed,
		"t3 two clients of one source":        refusedByTwoClients,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { synctest.Test(t, test) })
	}
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
