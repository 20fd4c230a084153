package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/holder"
)

const (
	// lockLife is after how long others may take the lock of a process that has died.
	lockLife = 10 * time.Second

	lockPoll = 50 * time.Millisecond // between two tries to lock

	// saveFor is how long Save tries while Redis is away: the token may be the only one that is good.
	saveFor = 10 * time.Second
)

// Tokens keeps the token of one authorization in Redis, for all processes of the account. It is a
// [drift.PreparingTokenStore] and safe for concurrent use. Create one with [Store.Tokens].
//
// Redis holds the tokens in plain text, and so do its files and backups: use a Redis that only your programs reach,
// with a password and TLS. If Redis and all processes lose a token, a person has to authorize again. So let Redis write
// to its disk at once (appendonly yes, appendfsync always).
type Tokens struct {
	store *Store
	keys  []string
	life  time.Duration // of the lock
	claim chan struct{} // holds one value while the lock is taken in this process

	mu     sync.Mutex
	number int64 // of the lock; 0: it is not taken
	holder any   // who has the lock; nil: a program, which is not known by its contexts
	seen   seenToken
}

// seenToken is what Redis had when a process last saw it. A lower number in Redis means that it has lost that.
type seenToken struct {
	number int64
	value  string
}

var _ drift.PreparingTokenStore = (*Tokens)(nil)

// Tokens returns the store of one authorization, under any name that you choose, for example the id of the
// organization. Call it once for each authorization in a process. The name may be empty.
func (s *Store) Tokens(authorization string) *Tokens {
	return &Tokens{store: s, keys: []string{s.prefix + "tokens:" + authorization, s.prefix + "lock:" + authorization},
		life: lockLife, claim: make(chan struct{}, 1)}
}

// Format writes the address of Redis alone, for every verb.
func (t *Tokens) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "redisstore.Tokens{"+t.store.connection.addr+"}")
}

//go:embed tokens.lua
var tokensSource string

var tokensScript = newScript(tokensSource)

// Load implements [drift.TokenStore]. It asks the master. If Redis has lost the token that this process has last seen,
// Load returns that, and the next Lock restores it: so Save nil to remove a token, and do not delete its key. A value
// that is not a token is [ErrCorrupt].
func (t *Tokens) Load(ctx context.Context) (*oauth2.Token, error) {
	raw, err := t.run(ctx, nil, "load", 0, "")
	if err != nil {
		return nil, err
	}
	number, value := pair(raw)
	if _, err := t.decode(value); err != nil {
		return nil, err // and do not restore it
	}
	return t.decode(t.newest(seenToken{number, value}).value)
}

func (t *Tokens) decode(value string) (*oauth2.Token, error) {
	var stored storedToken
	switch {
	case value == "":
		return nil, nil
	case json.Unmarshal([]byte(value), &stored) != nil || stored.AccessToken+stored.RefreshToken == "":
		return nil, t.failed(ErrCorrupt)
	}
	return stored.token(), nil
}

// newest returns what Redis has, or what it had when it was last seen if it has lost that.
func (t *Tokens) newest(stored seenToken) seenToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stored.number >= t.seen.number {
		t.seen = stored
	}
	return t.seen
}

// Save implements [drift.TokenStore]. Without the lock it takes the lock first. If another process has taken the lock
// since, because this one did not renew it in time, Save stores nothing and returns [ErrLockLost]. While Redis is away
// it tries again, for ten seconds at most. Only while a program itself has called Lock of this store, every Save of the
// store is taken for that of the program.
func (t *Tokens) Save(ctx context.Context, token *oauth2.Token) error {
	value, err := encodeToken(token)
	if err != nil {
		return err
	}
	return t.exclusively(ctx, func(number int64) error {
		deadline := time.Now().Add(saveFor)
		for {
			err := t.change(ctx, "save", number, value)
			if err == nil {
				t.newest(seenToken{number, value})
			}
			if err == nil || !errors.Is(err, ErrAway) || time.Now().After(deadline) {
				return err
			}
			if err := sleep(ctx, lockPoll); err != nil {
				return err
			}
		}
	})
}

// Prepare implements [drift.PreparingTokenStore]. It renews the lock, which fails if Redis is full or read-only.
func (t *Tokens) Prepare(ctx context.Context) error {
	return t.exclusively(ctx, func(number int64) error { return t.change(ctx, "renew", number, "") })
}

// Lock implements [drift.TokenStore]. The lock of a process that has died ends after ten seconds. Until it is unlocked,
// it is renewed.
func (t *Tokens) Lock(ctx context.Context) (unlock func(), err error) {
	select {
	case t.claim <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	number, err := t.acquire(ctx)
	if err != nil {
		<-t.claim
		return nil, err
	}
	t.mu.Lock()
	t.number, t.holder = number, holder.Of(ctx)
	t.mu.Unlock()
	renewing, stop := context.WithCancel(context.Background())
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		for sleep(renewing, t.life/3) == nil {
			if errors.Is(t.change(renewing, "renew", number, ""), ErrLockLost) {
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		stop()
		<-renewed
		t.unlock(number)
	}), nil
}

// acquire takes the lock in Redis, and returns its number. If Redis has lost the token, it is restored.
func (t *Tokens) acquire(ctx context.Context) (int64, error) {
	attempt, seen := rand.Text(), t.newest(seenToken{})
	for {
		raw, err := t.run(ctx, func(ctx context.Context, raw any) {
			if number, _ := pair(raw); number > 0 {
				_, _ = t.eval(ctx, "unlock", number, "")
			}
		}, "lock", seen.number, attempt)
		if err != nil {
			return 0, err
		}
		number, last := pair(raw)
		switch {
		case number > 0 && integer(last) < seen.number:
			if err := t.change(ctx, "save", number, seen.value); err != nil {
				_, _ = t.run(ctx, nil, "unlock", number, "")
				return 0, err
			}
			return number, nil
		case number > 0:
			return number, nil
		}
		if err := sleep(ctx, lockPoll); err != nil {
			return 0, err
		}
	}
}

// unlock ends the lock. If Redis is away, it ends by itself.
func (t *Tokens) unlock(number int64) {
	t.mu.Lock()
	t.number, t.holder = 0, nil
	t.mu.Unlock()
	_, _ = t.run(context.Background(), nil, "unlock", number, "")
	<-t.claim
}

// exclusively calls fn with the number of the lock, which it takes unless the caller has it.
func (t *Tokens) exclusively(ctx context.Context, fn func(number int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	number, mine := t.held(ctx)
	if !mine {
		unlock, err := t.Lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
		number, _ = t.held(ctx)
	}
	return fn(number)
}

func (t *Tokens) held(ctx context.Context) (number int64, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.number, t.number != 0 && (t.holder == nil || t.holder == holder.Of(ctx))
}

// change runs an operation that needs the lock.
func (t *Tokens) change(ctx context.Context, op string, number int64, value string) error {
	raw, err := t.run(ctx, nil, op, number, value)
	if done, _ := pair(raw); err == nil && done == 0 {
		err = t.failed(ErrLockLost)
	}
	return err
}

func (t *Tokens) run(
	ctx context.Context, late func(context.Context, any), op string, number int64, value string,
) (any, error) {
	return t.store.connection.run(ctx, func(ctx context.Context) (any, error) {
		return t.eval(ctx, op, number, value)
	}, late)
}

func (t *Tokens) eval(ctx context.Context, op string, number int64, value string) (any, error) {
	return t.store.connection.eval(ctx, tokensScript, t.keys, op, number, t.life.Milliseconds(), value)
}

func (t *Tokens) failed(reason error) error {
	return &Error{Addr: t.store.connection.addr, Reason: reason}
}

// pair returns the two values of an answer.
func pair(raw any) (int64, string) {
	list, _ := raw.([]any)
	if len(list) < 2 {
		return 0, ""
	}
	if value, ok := list[1].(string); ok {
		return integer(list[0]), value
	}
	return integer(list[0]), text(uint64(integer(list[1])))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// storedToken is a token as Redis has it.
type storedToken struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type,omitzero"`
	RefreshToken string      `json:"refresh_token,omitzero"`
	Expiry       time.Time   `json:"expiry,omitzero"`
	ExpiresIn    int64       `json:"expires_in,omitzero"`
	OrgID        drift.OrgID `json:"org_id,omitzero"`
}

var errNotStorable = errors.New("redisstore: the token is empty, or not valid UTF-8")

// encodeToken returns "" for nil.
func encodeToken(token *oauth2.Token) (string, error) {
	if token == nil {
		return "", nil
	}
	if token.AccessToken+token.RefreshToken == "" || !utf8.ValidString(token.AccessToken+token.RefreshToken) {
		return "", errNotStorable
	}
	orgID, _ := drift.OrgIDFromToken(token)
	value, err := json.Marshal(storedToken{AccessToken: token.AccessToken, TokenType: token.TokenType,
		RefreshToken: token.RefreshToken, Expiry: token.Expiry.Round(0), ExpiresIn: token.ExpiresIn, OrgID: orgID})
	if err != nil {
		return "", errNotStorable // the error might quote it
	}
	return string(value), nil
}

func (s storedToken) token() *oauth2.Token {
	token := &oauth2.Token{AccessToken: s.AccessToken, TokenType: s.TokenType, RefreshToken: s.RefreshToken,
		Expiry: s.Expiry, ExpiresIn: s.ExpiresIn}
	if s.OrgID > 0 {
		token = token.WithExtra(map[string]any{"orgId": int64(s.OrgID)}) // for drift.OrgIDFromToken
	}
	return token
}
