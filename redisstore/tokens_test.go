package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/redisstore"
)

func token(name string) *oauth2.Token {
	return &oauth2.Token{AccessToken: "access-" + name, RefreshToken: "refresh-" + name, TokenType: "Bearer",
		Expiry: time.Date(2040, 1, 2, 3, 4, 5, 6, time.UTC), ExpiresIn: 7200}
}

func load(t *testing.T, s *redisstore.Tokens) *oauth2.Token {
	t.Helper()
	loaded, err := s.Load(t.Context())
	require.NoError(t, err)
	return loaded
}

func lock(t *testing.T, s *redisstore.Tokens) func() {
	t.Helper()
	unlock, err := s.Lock(t.Context())
	require.NoError(t, err)
	return unlock
}

func TestTokensKeepAToken(t *testing.T) {
	s := startRedis(t)
	a, b := s.open().Tokens("acme"), s.open().Tokens("acme")
	assert.Nil(t, load(t, a))
	saved := token("1").WithExtra(map[string]any{"orgId": int64(42)})
	require.NoError(t, a.Save(t.Context(), saved))
	loaded := load(t, b)
	assert.Equal(t, token("1"), loaded.WithExtra(nil))
	org, ok := drift.OrgIDFromToken(loaded)
	assert.True(t, ok)
	assert.EqualValues(t, 42, org)
	assert.Nil(t, load(t, s.open().Tokens("another")))
	require.NoError(t, b.Save(t.Context(), nil))
	assert.Nil(t, load(t, a))
	require.Error(t, a.Save(t.Context(), &oauth2.Token{}))
	require.Error(t, a.Save(t.Context(), &oauth2.Token{AccessToken: "\xff"}))
}

func TestTokensAreNotPrinted(t *testing.T) {
	s := startRedis(t)
	tokens := s.open().Tokens("acme")
	require.NoError(t, tokens.Save(t.Context(), token("secret")))
	load(t, tokens)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, tokens), "secret")
	}
	require.NoError(t, s.client().HSet(t.Context(), "drift:{default}:tokens:acme", "token", "not a secret").Err())
	_, err := tokens.Load(t.Context())
	requireReason(t, err, redisstore.ErrCorrupt)
	assert.NotContains(t, err.Error(), "secret")
	require.NoError(t, tokens.Save(t.Context(), token("2")))
	assert.Equal(t, token("2"), load(t, tokens))
}

func TestTokensLockExcludes(t *testing.T) {
	s := startRedis(t)
	a, b := s.open().Tokens(""), s.open().Tokens("")
	unlock := lock(t, a)
	for _, other := range []*redisstore.Tokens{a, b} {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
		start := time.Now()
		_, err := other.Lock(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(start), 120*time.Millisecond, "at once")
	}
	require.NoError(t, a.Save(t.Context(), token("1")), "under the lock")
	locked := make(chan func(), 1)
	go func() {
		unlock, err := b.Lock(t.Context())
		assert.NoError(t, err)
		locked <- unlock
	}()
	time.Sleep(20 * time.Millisecond)
	unlock()
	unlock()
	select {
	case unlock = <-locked:
	case <-time.After(5 * time.Second):
		t.Fatal("the lock was not free")
	}
	assert.Equal(t, token("1"), load(t, b))
	unlock()
}

func TestTokensLockIsRenewed(t *testing.T) {
	s := startRedis(t)
	a, b := s.open().Tokens(""), s.open().Tokens("")
	a.SetLockLife(300 * time.Millisecond)
	unlock := lock(t, a)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := b.Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTokensOfASlowHolder(t *testing.T) {
	s := startRedis(t)
	p := startProxy(t, s.addr, 0)
	client := redis.NewClient(&redis.Options{Addr: p.addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	slow, fast := open(t, client).Tokens(""), s.open().Tokens("")
	slow.SetLockLife(100 * time.Millisecond)
	unlock := lock(t, slow)
	defer unlock()
	p.pause()
	time.Sleep(150 * time.Millisecond)
	unlockFast := lock(t, fast)
	require.NoError(t, fast.Save(t.Context(), token("fast")))
	unlockFast()
	p.resume()
	var err error
	require.Eventually(t, func() bool {
		err = slow.Save(t.Context(), token("slow"))
		return !errors.Is(err, redisstore.ErrAway)
	}, 5*time.Second, 10*time.Millisecond)
	requireReason(t, err, redisstore.ErrLockLost, "lock of the tokens was lost")
	requireReason(t, slow.Prepare(t.Context()), redisstore.ErrLockLost)
	assert.Equal(t, token("fast"), load(t, fast))
}

// A lock that nobody has taken since is as good as one that was renewed: the token may be the only one that is good.
func TestTokensOfAnExpiredLockThatNobodyTook(t *testing.T) {
	s := startRedis(t)
	a := s.open().Tokens("")
	unlock := lock(t, a)
	require.NoError(t, s.client().Del(t.Context(), "drift:{default}:lock:").Err())
	require.NoError(t, a.Save(t.Context(), token("1")))
	unlock()
	assert.Equal(t, token("1"), load(t, a))
}

func init() {
	children["holds the lock"] = func(args []string) error {
		client := redis.NewClient(&redis.Options{Addr: args[0]})
		store, err := redisstore.New(client)
		if err != nil {
			return err
		}
		tokens := store.Tokens("")
		tokens.SetLockLife(300 * time.Millisecond)
		if _, err := tokens.Lock(context.Background()); err != nil {
			return err
		}
		fmt.Println("locked")
		select {}
	}
}

func TestTokensOfADeadHolder(t *testing.T) {
	s := startRedis(t)
	cmd := child(t, "holds the lock", s.addr)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = out.Read(make([]byte, 6))
	require.NoError(t, err)
	tokens := s.open().Tokens("")
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	_, err = tokens.Lock(ctx)
	cancel()
	require.ErrorIs(t, err, context.DeadlineExceeded, "while it lives")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	start := time.Now()
	lock(t, tokens)()
	assert.Less(t, time.Since(start), 600*time.Millisecond)
}

func TestTokensThatRedisHasLost(t *testing.T) {
	s := startRedis(t)
	tokens := s.open().Tokens("")
	require.NoError(t, tokens.Save(t.Context(), token("1")))
	unlock := lock(t, tokens)
	s.restartEmpty()
	require.NoError(t, tokens.Save(t.Context(), token("2")), "the only one that is good")
	unlock()
	s.restartEmpty()
	require.Eventually(t, func() bool {
		loaded, err := tokens.Load(t.Context())
		return err == nil && loaded.AccessToken == "access-2"
	}, 3*time.Second, 10*time.Millisecond)
	lock(t, tokens)()
	assert.Equal(t, token("2"), load(t, s.open().Tokens("")), "another process finds it")
}

func TestTokensAreSavedWhenRedisIsBack(t *testing.T) {
	s := startRedis(t)
	tokens := s.open().Tokens("")
	unlock := lock(t, tokens)
	defer unlock()
	s.stop()
	time.AfterFunc(500*time.Millisecond, s.resume)
	require.NoError(t, tokens.Save(t.Context(), token("1")))
	assert.Equal(t, token("1"), load(t, tokens))
}

// Many processes refresh the token of one authorization. Each refresh token is used once.
func TestTokensOfManySources(t *testing.T) {
	s := startRedis(t)
	var used sync.Map
	var refreshes, reused atomic.Int32
	service := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := used.LoadOrStore(r.FormValue("refresh_token"), true); again {
			reused.Add(1)
		}
		n := refreshes.Add(1)
		w.Header().Set("Content-Type", "application/json")
		const answer = `{"access_token":"access-%d","refresh_token":"refresh-%[1]d","token_type":"Bearer","expires_in":1}`
		fmt.Fprintf(w, answer, n)
	})
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	first := token("0")
	first.Expiry = time.Now()
	require.NoError(t, s.open().Tokens("").Save(t.Context(), first))
	var group sync.WaitGroup
	for range 8 {
		config := drift.OAuthConfig{ClientID: "id", ClientSecret: "secret", TokenURL: server.URL}
		source := config.TokenSource(s.open(redisstore.WithTimeout(2 * time.Second)).Tokens(""))
		group.Go(func() {
			for range 5 {
				_, err := source.TokenContext(t.Context())
				assert.NoError(t, err)
			}
			assert.NoError(t, source.Close())
		})
	}
	group.Wait()
	assert.Positive(t, refreshes.Load())
	assert.Zero(t, reused.Load())
}
