package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// TestTokenStore tests a store of an authorization's token. Each call of open must return a store without a token. A
// store is held to these promises:
//
//   - Load returns what the last Save stored, all of it, with the organization of [drift.OrgIDFromToken], or nil if
//     nothing is stored. Save(nil) leaves nothing stored. Load works with and without the lock, also while another
//     caller has it.
//   - Lock excludes all others until its function is called. If the context ends, it returns at once.
//   - A token of a caller can be changed without effect on the store.
//   - Neither fmt nor encoding/json shows a token of the store.
//   - If it is a [drift.PreparingTokenStore], Prepare changes nothing that Load returns.
func TestTokenStore(t *testing.T, open func(t *testing.T) drift.TokenStore) {
	t.Helper()
	runAll(t, func(t *testing.T) func() drift.TokenStore {
		s := open(t)
		return func() drift.TokenStore { return s }
	}, tokenChecks)
}

// TestSharedTokenStore runs the checks of [TestTokenStore], and others with several instances of one store, as
// processes would use them. Each call of open must make a new store, and return a function that returns another
// instance of it. The lock of one must exclude those of the others, and each must see at once what another has saved.
func TestSharedTokenStore(t *testing.T, open func(t *testing.T) func() drift.TokenStore) {
	t.Helper()
	runAll(t, open, slices.Concat(tokenChecks, sharedTokenChecks))
}

type openTokens = func(t *testing.T) func() drift.TokenStore

var tokenChecks = []check[openTokens]{
	{"Save", 0, checkSave},
	{"SaveNil", 0, checkSaveNil},
	{"Copies", 0, checkCopies},
	{"Secrets", 0, checkSecrets},
	{"LoadWithoutTheLock", 0, checkLoadWithoutLock},
	{"Lock", 0, func(t *testing.T, open openTokens) { checkLock(t, open, 1) }},
	{"LockContext", 0, func(t *testing.T, open openTokens) { checkLockContext(t, open, 1) }},
	{"Prepare", 0, checkPrepare},
}

var sharedTokenChecks = []check[openTokens]{
	{"SharedSave", 0, checkSharedSave},
	{"SharedLock", 0, func(t *testing.T, open openTokens) { checkLock(t, open, 3) }},
	{"SharedLockContext", 0, func(t *testing.T, open openTokens) { checkLockContext(t, open, 2) }},
}

// newToken returns a token that differs from others in every part.
func newToken(n int) *oauth2.Token {
	token := &oauth2.Token{
		AccessToken:  fmt.Sprintf("access-token-%d", n),
		RefreshToken: fmt.Sprintf("refresh-token-%d", n),
		TokenType:    "bearer",
		Expiry:       time.Date(2100, time.January, 1, n, 0, 0, 0, time.UTC),
	}
	return token.WithExtra(map[string]any{"orgId": int64(n)})
}

func lock(t *testing.T, s drift.TokenStore) (unlock func()) {
	t.Helper()
	unlock, err := s.Lock(within(t, slack))
	noError(t, "Lock", err)
	if unlock == nil {
		t.Fatal("Lock returned neither a function nor an error")
	}
	return unlock
}

// save saves a token under the lock, as a token source does.
func save(t *testing.T, s drift.TokenStore, token *oauth2.Token) {
	t.Helper()
	defer lock(t, s)()
	noError(t, "Save", s.Save(t.Context(), token))
}

func load(t *testing.T, s drift.TokenStore) *oauth2.Token {
	t.Helper()
	token, err := s.Load(t.Context())
	noError(t, "Load", err)
	return token
}

// checkLoad ends the test if the store does not have this token.
func checkLoad(t *testing.T, s drift.TokenStore, want *oauth2.Token) {
	t.Helper()
	got := load(t, s)
	if got == nil || want == nil {
		if got != want {
			t.Fatalf("Load: got a token: %t, want one: %t", got != nil, want != nil)
		}
		return
	}
	gotOrg, _ := drift.OrgIDFromToken(got)
	wantOrg, _ := drift.OrgIDFromToken(want)
	switch {
	case got.AccessToken != want.AccessToken:
		t.Fatal("Load: the access token is not the one that was saved last")
	case got.RefreshToken != want.RefreshToken:
		t.Fatal("Load: the refresh token is not the one that was saved last")
	case !strings.EqualFold(got.Type(), want.Type()):
		t.Fatalf("Load: the token's type is %s, want %s", got.Type(), want.Type())
	case !got.Expiry.Equal(want.Expiry):
		t.Fatalf("Load: the token expires at %v, want %v", got.Expiry, want.Expiry)
	case gotOrg != wantOrg:
		t.Fatalf("Load: the organization is %d, want %d", gotOrg, wantOrg)
	}
}

func checkSave(t *testing.T, open openTokens) {
	s := open(t)()
	checkLoad(t, s, nil)
	for n := 1; n <= 3; n++ {
		save(t, s, newToken(n))
		checkLoad(t, s, newToken(n))
	}
	bare := &oauth2.Token{AccessToken: "access-token-alone"}
	save(t, s, bare)
	checkLoad(t, s, bare)
	noError(t, "Save without the lock", s.Save(t.Context(), newToken(4)))
	checkLoad(t, s, newToken(4))
}

func checkSaveNil(t *testing.T, open openTokens) {
	s := open(t)()
	save(t, s, nil)
	checkLoad(t, s, nil)
	save(t, s, newToken(1))
	save(t, s, nil)
	checkLoad(t, s, nil)
	save(t, s, newToken(2))
	checkLoad(t, s, newToken(2))
}

func checkCopies(t *testing.T, open openTokens) {
	s := open(t)()
	token := newToken(1)
	save(t, s, token)
	token.AccessToken, token.RefreshToken = "changed", "changed"
	checkLoad(t, s, newToken(1))
	token = load(t, s)
	token.AccessToken, token.RefreshToken = "changed", "changed"
	checkLoad(t, s, newToken(1))
}

func checkSecrets(t *testing.T, open openTokens) {
	s := open(t)()
	token := newToken(1)
	save(t, s, token)
	load(t, s)
	shown := []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%q %x", s, s)}
	if encoded, err := json.Marshal(s); err == nil {
		shown = append(shown, string(encoded))
	}
	if _, err := s.Lock(ended(t)); err != nil {
		shown = append(shown, err.Error())
	}
	for _, text := range shown {
		for _, secret := range []string{token.AccessToken, token.RefreshToken} {
			if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Error("the store shows its token")
			}
		}
	}
}

// checkLock refreshes a token many times at once. Each refresh must see the one before.
func checkLock(t *testing.T, open openTokens, instances int) {
	const workers, refreshes = 6, 4
	another := open(t)
	all := make([]drift.TokenStore, instances)
	for i := range all {
		all[i] = another()
	}
	save(t, all[0], newToken(1))
	var holders atomic.Int32
	together(workers, func(worker int) {
		for range refreshes {
			if err := refresh(t.Context(), all[worker%instances], &holders); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if !t.Failed() {
		checkLoad(t, all[0], newToken(1+workers*refreshes))
	}
}

// refresh stores the successor of the token in a store.
func refresh(ctx context.Context, s drift.TokenStore, holders *atomic.Int32) error {
	unlock, err := s.Lock(ctx)
	if err != nil {
		return fmt.Errorf("locking: %w", err)
	}
	defer unlock()
	defer holders.Add(-1)
	if holders.Add(1) > 1 {
		return errors.New("two callers have the lock")
	}
	token, err := s.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	time.Sleep(time.Millisecond)
	var n int
	if _, err := fmt.Sscanf(token.RefreshToken, "refresh-token-%d", &n); err != nil {
		return errors.New("the refresh token is not one that was saved")
	}
	if err := s.Save(ctx, newToken(n+1)); err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	return nil
}

// checkLockContext checks that the context ends the wait for the lock, and that nothing is left of it.
func checkLockContext(t *testing.T, open openTokens, instances int) {
	another := open(t)
	here := another()
	there := here
	if instances > 1 {
		there = another()
	}
	unlock := lock(t, here)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		if _, err := there.Lock(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Lock, while another caller has it: got the error %v", err)
		}
	}()
	time.Sleep(soon / 5)
	cancel()
	returned(t, "Lock, once its context has ended,", left)
	unlock()
	lock(t, there)()
	lock(t, here)()
	if unlock, err := here.Lock(ended(t)); err == nil {
		unlock()
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("Lock with a context that has ended: got the error %v", err)
	}
	lock(t, there)()
}

func checkLoadWithoutLock(t *testing.T, open openTokens) {
	s := open(t)()
	save(t, s, newToken(1))
	unlock := lock(t, s)
	defer unlock()
	returnsAtOnce(t, "Load, while another caller has the lock,", func() {
		if _, err := s.Load(t.Context()); err != nil {
			t.Errorf("Load: %v", err)
		}
	})
	returnsAtOnce(t, "Load with a context that has ended", func() { _, _ = s.Load(ended(t)) })
}

func checkPrepare(t *testing.T, open openTokens) {
	s, ok := open(t)().(drift.PreparingTokenStore)
	if !ok {
		return
	}
	save(t, s, newToken(1))
	for range 2 { // a refresh that succeeds, after one that fails
		unlock := lock(t, s)
		noError(t, "Prepare", s.Prepare(t.Context()))
		checkLoad(t, s, newToken(1))
		unlock()
		checkLoad(t, s, newToken(1))
	}
	unlock := lock(t, s)
	defer unlock()
	noError(t, "Prepare", s.Prepare(t.Context()))
	noError(t, "Save", s.Save(t.Context(), newToken(2)))
	checkLoad(t, s, newToken(2))
}

func checkSharedSave(t *testing.T, open openTokens) {
	another := open(t)
	here, there := another(), another()
	for n := 1; n <= 3; n++ {
		save(t, here, newToken(n))
		checkLoad(t, there, newToken(n))
		here, there = there, here
	}
	checkLoad(t, another(), newToken(3))
	save(t, here, nil)
	checkLoad(t, there, nil)
}
