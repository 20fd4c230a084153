package drift_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

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
	return testkit.ErrFull
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
	first := testkit.Issued(0, time.Time{})
	store := drift.NewMemoryTokenStore(first)
	first.AccessToken = "changed"
	loaded, err := store.Load(t.Context())
	testkit.RequireToken(t, 0, loaded, err)
	loaded.AccessToken = "changed"
	loaded, err = store.Load(t.Context())
	testkit.RequireToken(t, 0, loaded, err)
	id, _ := drift.OrgIDFromToken(loaded)
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
	*testkit.TroubledStore
	full      error // set with TroubledStore.Set
	prepared  int
	underLock int
}

func newPreparingStore(token *oauth2.Token) *preparingStore {
	return &preparingStore{TroubledStore: testkit.NewTroubledStore(token)}
}

func (s *preparingStore) Prepare(context.Context) (err error) {
	s.Set(func() {
		s.prepared++
		s.underLock += s.Locked
		err = s.full
	})
	return err
}

func (s *preparingStore) fill(err error) { s.Set(func() { s.full, s.SaveErr = err, err }) }
