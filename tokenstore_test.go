package drift_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// troubledStore is a store in memory that fails on demand.
type troubledStore struct {
	drift.TokenStore

	mu                sync.Mutex
	load, save, lock  error
	slow              time.Duration // saving takes so long
	deaf              chan struct{} // nothing comes back before it is closed, whatever the context says
	loads, saved      int
	locked, mostLocks int
}

func newTroubledStore(token *oauth2.Token) *troubledStore {
	return &troubledStore{TokenStore: drift.NewMemoryTokenStore(token)}
}

func (s *troubledStore) Load(ctx context.Context) (*oauth2.Token, error) {
	s.mu.Lock()
	s.loads++
	err, deaf := s.load, s.deaf
	s.mu.Unlock()
	if deaf != nil {
		<-deaf
	}
	if err != nil {
		return nil, err
	}
	return s.TokenStore.Load(ctx)
}

func (s *troubledStore) Save(ctx context.Context, t *oauth2.Token) error {
	s.mu.Lock()
	err, slow := s.save, s.slow
	s.mu.Unlock()
	time.Sleep(slow)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.saved++
	s.mu.Unlock()
	return s.TokenStore.Save(ctx, t)
}

func (s *troubledStore) Lock(ctx context.Context) (func(), error) {
	s.mu.Lock()
	err := s.lock
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	unlock, err := s.TokenStore.Lock(ctx)
	if err != nil {
		return nil, err
	}
	s.count(1)
	return func() { s.count(-1); unlock() }, nil
}

func (s *troubledStore) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locked += n
	s.mostLocks = max(s.mostLocks, s.locked)
}

func (s *troubledStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// access is the stored access token.
func (s *troubledStore) access(t testing.TB) string {
	t.Helper()
	token, err := s.TokenStore.Load(context.Background())
	require.NoError(t, err)
	if token == nil {
		return ""
	}
	return token.AccessToken
}

var errFull = fmt.Errorf("no space left for %s", markedRefresh)

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
	return errFull
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

func TestMemoryTokenStore(t *testing.T) {
	first := issued(0, time.Time{})
	store := drift.NewMemoryTokenStore(first)
	first.AccessToken = "changed"
	loaded, err := store.Load(t.Context())
	requireToken(t, 0, loaded, err)
	loaded.AccessToken = "changed"
	loaded, err = store.Load(t.Context())
	requireToken(t, 0, loaded, err)
	id, _ := drift.OrgIDOf(loaded)
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

// preparingStore is a store whose disk can be full.
type preparingStore struct {
	*troubledStore
	full      error // set with troubledStore.set
	prepared  int
	underLock int
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
