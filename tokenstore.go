package drift

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/oauth2"
)

// TokenStore keeps the token of one authorization. The service issues a new refresh token with each refresh, and the
// old one is then invalid: if the newest is lost, a person has to authorize again. filestore.OpenTokens is a store that
// processes of one machine share, [NewMemoryTokenStore] is one that ends with the process. A store of your own should
// keep the organization too, see [OrgIDFromToken].
//
// Methods must be safe for concurrent use and must return soon after their context has ended.
type TokenStore interface {
	// Load returns the stored token, or nil where there is none. It is called with and without the
	// lock. Under the lock it must see the last Save, whichever process that came from: no replica,
	// no cache. A used refresh token ends the authorization.
	Load(ctx context.Context) (*oauth2.Token, error)

	// Save stores a token in place of what is there, all of it or nothing. nil leaves nothing
	// stored. The token source calls it under the lock.
	Save(ctx context.Context, t *oauth2.Token) error

	// Lock keeps all other users of the same token, in other processes too, from refreshing it. It
	// waits until they are done, and returns a function that ends the lock, which is called once.
	Lock(ctx context.Context) (unlock func(), err error)
}

// PreparingTokenStore is a store that can make sure, before a refresh, that the next token can be stored. A store that
// may run out of room should implement it: a token that was issued and could not be stored is lost with the process,
// and the one in the store is used up by then.
type PreparingTokenStore interface {
	TokenStore

	// Prepare sets aside what the next Save needs. The token source calls it under the lock, and
	// refreshes only if it returns nil.
	Prepare(ctx context.Context) error
}

// NewMemoryTokenStore returns a store that is lost with the process. The token may be nil.
func NewMemoryTokenStore(t *oauth2.Token) TokenStore {
	s := &memoryTokenStore{lock: make(chan struct{}, 1)}
	s.token.Store(cloneToken(t))
	return s
}

type memoryTokenStore struct {
	token atomic.Pointer[oauth2.Token]
	lock  chan struct{} // holds one value while the lock is taken
}

// Format keeps fmt from printing the token.
func (s *memoryTokenStore) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("drift memory token store"))
}

func (s *memoryTokenStore) Load(context.Context) (*oauth2.Token, error) {
	return cloneToken(s.token.Load()), nil
}

func (s *memoryTokenStore) Save(_ context.Context, t *oauth2.Token) error {
	s.token.Store(cloneToken(t))
	return nil
}

func (s *memoryTokenStore) Lock(ctx context.Context) (func(), error) {
	select {
	case s.lock <- struct{}{}:
		return sync.OnceFunc(func() { <-s.lock }), nil
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
}

func cloneToken(t *oauth2.Token) *oauth2.Token {
	if t == nil {
		return nil
	}
	clone := *t
	return &clone
}
