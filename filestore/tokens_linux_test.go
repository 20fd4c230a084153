package filestore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

func init() {
	children["saves tokens on a full disk"] = saveOnFullDisk
	children["refreshes on a full disk"] = refreshOnFullDisk
}

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
	tokens := openTokens(t, path, filestore.WithSharedOwnership())
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

func TestTokensOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	for name, give := range map[string]func(path string) error{
		"t10 file":      func(path string) error { return os.Chown(path, nobody, -1) },
		"t10 lock":      func(path string) error { return os.Chown(path+".lock", nobody, -1) },
		"t10 directory": func(path string) error { return os.Chown(filepath.Dir(path), nobody, -1) },
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := savedFiles(t, 1)
			require.NoError(t, give(path))
			_, err := filestore.OpenTokens(path)
			requireFileError(t, err, filestore.ErrUnsafe)
			requireStored(t, 1, openTokens(t, path, filestore.WithSharedOwnership()))
		})
	}
	t.Run("t10 later", func(t *testing.T) {
		path, _ := savedFiles(t, 1)
		tokens := openTokens(t, path)
		require.NoError(t, os.Chown(path, nobody, -1))
		_, err := tokens.Load(t.Context())
		requireFileError(t, err, filestore.ErrUnsafe)
		requireFileError(t, tokens.Save(t.Context(), pair(2, time.Time{})), filestore.ErrUnsafe)
	})
	t.Run("t10 successor", func(t *testing.T) {
		path, files := savedFiles(t, 1, 2)
		put(t, path, files[0])
		put(t, path+".new", files[1])
		require.NoError(t, os.Chown(path+".new", nobody, -1))
		requireStored(t, 1, openTokens(t, path))
	})
}

func TestRefreshOnAFullDisk(t *testing.T) {
	t.Run("t1 no request without room", func(t *testing.T) {
		path := tokensPath(t)
		require.NoError(t, child(t, "refreshes on a full disk", path).Run())
		requireStored(t, 1, openTokens(t, path))
		requireFiles(t, path, 2)
	})
}

func refreshOnFullDisk(path string) error {
	authority := new(killingAuthority)
	server := httptest.NewServer(authority)
	defer server.Close()
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	if err := tokens.Save(background, pair(0, time.Now().Add(-time.Minute))); err != nil {
		return err
	}
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: server.URL}
	source := config.TokenSource(tokens)
	lift, err := limitFileSize(100)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := source.Token(); !errors.Is(err, syscall.EFBIG) || errors.Is(err, drift.ErrReauthRequired) {
			return fmt.Errorf("not the error of a full disk: %w", err)
		}
	}
	if err := lift(); err != nil {
		return err
	}
	if authority.refresh != 0 {
		return errors.New("the refresh token was sent")
	}
	token, err := source.Token()
	if err != nil || token.AccessToken != pair(1, time.Time{}).AccessToken {
		return errors.Join(errors.New("no new token"), err)
	}
	return source.Close()
}
