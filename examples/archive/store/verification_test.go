package store_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestVerification(t *testing.T) {
	s := storetest.Open(t)
	got, err := s.Verification(t.Context())
	require.NoError(t, err)
	assert.True(t, got.OK())

	bad := store.Verification{At: storetest.Start, Checks: []store.Check{{Name: "files", Result: "One is missing."}}}
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.PutVerification(bad) }))
	got, err = s.Verification(t.Context())
	require.NoError(t, err)
	assert.Equal(t, &bad, got)
	assert.False(t, got.OK())
}

func TestWithoutVerification(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = s.Verification(t.Context())
	assert.ErrorIs(t, err, store.ErrNotFound)
}
