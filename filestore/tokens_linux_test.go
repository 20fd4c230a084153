package filestore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/filestore"
)

func init() { children["saves tokens on a full disk"] = saveOnFullDisk }

func TestTokensOnAFullDisk(t *testing.T) {
	path := tokensPath(t)
	require.NoError(t, child(t, "saves tokens on a full disk", path).Run())
	assert.Equal(t, "mark-access-3", loadTokens(t, openTokens(t, path)).AccessToken)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing half done is left")
}

func saveOnFullDisk(path string) error {
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	if err := tokens.Save(background, pair(1, time.Time{})); err != nil {
		return err
	}
	lift, err := limitFileSize(100)
	if err != nil {
		return err
	}
	if err := mustBeFull(tokens.Save(background, pair(2, time.Time{}))); err != nil {
		return err
	}
	token, err := tokens.Load(background)
	if err != nil || token.AccessToken != "mark-access-1" {
		return errors.Join(errors.New("the old token is gone"), err)
	}
	return errors.Join(lift(), tokens.Save(background, pair(3, time.Time{})))
}

func TestTokensInAReadOnlyDirectory(t *testing.T) {
	path := tokensPath(t)
	tokens := openTokens(t, path)
	require.NoError(t, tokens.Save(t.Context(), pair(1, time.Time{})))
	openTo(t, filepath.Dir(path))
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o500))
	unprivileged(t, func() {
		requireFileError(t, tokens.Save(t.Context(), pair(2, time.Time{})), fs.ErrPermission)
		requireFileError(t, tokens.Save(t.Context(), nil), fs.ErrPermission)
		assert.Equal(t, "mark-access-1", loadTokens(t, tokens).AccessToken)
	})
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o700))
	require.NoError(t, tokens.Save(t.Context(), pair(3, time.Time{})))
}
