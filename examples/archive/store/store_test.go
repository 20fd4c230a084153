package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
	"github.com/driftsdk/drift/examples/archive/storetest"
)

func TestOnlyOwnerCanRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	s, err := store.Open(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	folder, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), folder.Mode().Perm())
	files, err := filepath.Glob(filepath.Join(dir, "archive.db*"))
	require.NoError(t, err)
	require.Len(t, files, 3, "the database, its log and its index")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

func TestReaderNeedsArchive(t *testing.T) {
	_, err := store.OpenReader(t.Context(), t.TempDir())
	assert.ErrorIs(t, err, store.ErrNoArchive)
}

func TestReaderCannotWrite(t *testing.T) {
	s := storetest.Open(t)
	reader, err := store.OpenReader(t.Context(), s.Dir())
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	found, err := reader.Conversations(t.Context(), store.Filter{})
	require.NoError(t, err)
	assert.Len(t, found, 3)
}

func TestRefusesOtherSchema(t *testing.T) {
	s := storetest.Open(t)
	require.NoError(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.SetMeta("schema", "99") }))
	_, err := store.OpenReader(t.Context(), s.Dir())
	assert.ErrorContains(t, err, `schema "99"`)
	_, err = store.Open(t.Context(), s.Dir())
	assert.ErrorContains(t, err, `schema "99"`)
}
