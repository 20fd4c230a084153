package filestore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/filestore"
)

func init() {
	children["refreshes as one of many"] = refreshAsOneOfMany
	children["saves until it is killed"] = saveUntilKilled
	children["holds the lock of tokens"] = holdTokens
}

func tokensPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "drift.tokens")
}

func openTokens(t testing.TB, path string, opts ...filestore.Option) *filestore.Tokens {
	t.Helper()
	tokens, err := filestore.OpenTokens(path, opts...)
	require.NoError(t, err)
	return tokens
}

// pair is a token with everything that a file keeps.
func pair(serial int, expiry time.Time) *oauth2.Token {
	token := &oauth2.Token{AccessToken: "mark-access-" + strconv.Itoa(serial), TokenType: "Bearer",
		RefreshToken: "mark-refresh-" + strconv.Itoa(serial), Expiry: expiry, ExpiresIn: 7200}
	return token.WithExtra(map[string]any{"orgId": int64(17035536800)})
}

func loadTokens(t testing.TB, tokens *filestore.Tokens) *oauth2.Token {
	t.Helper()
	token, err := tokens.Load(t.Context())
	require.NoError(t, err)
	return token
}

// requirePair: a token is whole, and one that pair has made.
func requirePair(t testing.TB, token *oauth2.Token) {
	t.Helper()
	require.NotNil(t, token)
	assert.Equal(t, strings.TrimPrefix(token.AccessToken, "mark-access-"), strings.TrimPrefix(token.RefreshToken, "mark-refresh-"))
}

func TestTokensAreKept(t *testing.T) {
	path := tokensPath(t)
	tokens := openTokens(t, path)
	assert.Nil(t, loadTokens(t, tokens), "nothing is stored")
	assert.NoFileExists(t, path)

	saved := pair(1, time.Now().Add(time.Hour))
	require.NoError(t, tokens.Save(t.Context(), saved))
	loaded := loadTokens(t, openTokens(t, path))
	assert.True(t, saved.Expiry.Equal(loaded.Expiry))
	assert.Equal(t, saved.AccessToken, loaded.AccessToken)
	assert.Equal(t, saved.RefreshToken, loaded.RefreshToken)
	assert.Equal(t, saved.TokenType, loaded.TokenType)
	assert.Equal(t, saved.ExpiresIn, loaded.ExpiresIn)
	id, ok := drift.OrgIDFromToken(loaded)
	assert.True(t, ok)
	assert.Equal(t, drift.OrgID(17035536800), id)

	require.NoError(t, tokens.Save(t.Context(), &oauth2.Token{AccessToken: "a"}))
	loaded = loadTokens(t, tokens)
	assert.Equal(t, &oauth2.Token{AccessToken: "a"}, loaded)

	require.NoError(t, tokens.Save(t.Context(), nil))
	assert.Nil(t, loadTokens(t, tokens))
	assert.NoFileExists(t, path)
	require.NoError(t, tokens.Save(t.Context(), nil))
}

func TestTokensThatCannotBeStored(t *testing.T) {
	tokens := openTokens(t, tokensPath(t))
	require.NoError(t, tokens.Save(t.Context(), pair(1, time.Time{})))
	for _, token := range []*oauth2.Token{{}, {AccessToken: "mark-\xff"}, {RefreshToken: "mark-\xff"},
		{AccessToken: "mark-", Expiry: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}} {
		err := tokens.Save(t.Context(), token)
		require.ErrorAs(t, err, new(*filestore.Error))
		assert.NotContains(t, err.Error(), "mark-")
	}
	requirePair(t, loadTokens(t, tokens))
}

func TestTokensFileIsPrivate(t *testing.T) {
	path := tokensPath(t)
	require.NoError(t, os.WriteFile(path+".new", []byte("of a process that died"), 0o644))
	tokens := openTokens(t, path)
	require.NoError(t, tokens.Save(t.Context(), pair(1, time.Time{})))
	require.NoError(t, tokens.Save(t.Context(), pair(2, time.Time{})))
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for i, name := range []string{"drift.tokens", "drift.tokens.lock"} {
		assert.Equal(t, name, entries[i].Name())
		if info, err := entries[i].Info(); runtime.GOOS != "windows" {
			require.NoError(t, err)
			assert.Equal(t, fs.FileMode(0o600), info.Mode())
		}
	}
}

// refusedTokens opens a file that must not be used: not when it is opened, and not when it became so later. It must be
// left as it is.
func refusedTokens(t *testing.T, spoil func(path string), reason error, opts ...filestore.Option) {
	t.Helper()
	path := tokensPath(t)
	tokens := openTokens(t, path, opts...)
	require.NoError(t, openTokens(t, path).Save(t.Context(), pair(1, time.Time{})))
	spoil(path)
	before, _ := os.ReadFile(path)
	_, err := tokens.Load(t.Context())
	requireFileError(t, err, reason)
	requireFileError(t, tokens.Save(t.Context(), pair(2, time.Time{})), reason)
	requireFileError(t, tokens.Save(t.Context(), nil), reason)
	after, _ := os.ReadFile(path)
	assert.Equal(t, before, after)
}

func requireFileError(t *testing.T, err, reason error) {
	t.Helper()
	var named *filestore.Error
	require.ErrorAs(t, err, &named)
	assert.ErrorIs(t, err, reason)
	assert.NotContains(t, err.Error(), "mark-")
}

func TestDamagedTokens(t *testing.T) {
	write := func(contents string) func(string) {
		return func(path string) { require.NoError(t, os.WriteFile(path, []byte(contents), 0o600)) }
	}
	edit := func(old, new string) func(string) {
		return func(path string) {
			contents, err := os.ReadFile(path)
			require.NoError(t, err)
			edited := strings.Replace(string(contents), old, new, 1)
			require.NotEqual(t, string(contents), edited)
			write(edited)(path)
		}
	}
	for name, test := range map[string]struct {
		spoil  func(string)
		reason error
	}{
		"empty":              {write(""), filestore.ErrCorrupt},
		"no JSON":            {write("mark-"), filestore.ErrCorrupt},
		"another file":       {write(`{"access_token": "mark-"}`), filestore.ErrCorrupt},
		"cut short":          {func(path string) { require.NoError(t, os.Truncate(path, 100)) }, filestore.ErrCorrupt},
		"huge":               {func(path string) { require.NoError(t, os.Truncate(path, 2<<20)) }, filestore.ErrCorrupt},
		"another token":      {edit("mark-access-1", "mark-access-2"), filestore.ErrCorrupt},
		"another account":    {edit(`"account":"e3`, `"account":"e4`), filestore.ErrCorrupt},
		"no token":           {edit(`"token":{`, `"other":{`), filestore.ErrCorrupt},
		"another checksum":   {edit(`"checksum":"`, `"checksum":"0`), filestore.ErrCorrupt},
		"another version":    {edit(`"version":1`, `"version":2`), filestore.ErrVersion},
		"two documents":      {edit("\n", "{}"), filestore.ErrCorrupt},
		"file of the quota":  {write("DRIFTQTA" + strings.Repeat("\x00", 1000)), filestore.ErrCorrupt},
		"the wrong checksum": {edit(`"access_token"`, `"access_tokem"`), filestore.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) { refusedTokens(t, test.spoil, test.reason) })
		t.Run(name+", opened", func(t *testing.T) {
			path := tokensPath(t)
			require.NoError(t, openTokens(t, path).Save(t.Context(), pair(1, time.Time{})))
			test.spoil(path)
			_, err := filestore.OpenTokens(path)
			requireFileError(t, err, test.reason)
		})
	}
	refusedTokens(t, func(string) {}, filestore.ErrAccount, filestore.WithAccount("other"))
}

func TestUnsafeTokens(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are not looked at")
	}
	for name, spoil := range map[string]func(path string){
		"readable for the group": func(path string) { require.NoError(t, os.Chmod(path, 0o640)) },
		"readable for all":       func(path string) { require.NoError(t, os.Chmod(path, 0o604)) },
		"writable for all":       func(path string) { require.NoError(t, os.Chmod(path, 0o602)) },
		"symbolic link": func(path string) {
			require.NoError(t, os.Rename(path, path+".real"))
			require.NoError(t, os.Symlink(path+".real", path))
		},
		"directory": func(path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			refusedTokens(t, spoil, filestore.ErrUnsafe)

			path := tokensPath(t)
			require.NoError(t, openTokens(t, path).Save(t.Context(), pair(1, time.Time{})))
			spoil(path)
			_, err := filestore.OpenTokens(path)
			requireFileError(t, err, filestore.ErrUnsafe)
		})
	}
	t.Run("lock", func(t *testing.T) {
		path := tokensPath(t)
		require.NoError(t, os.WriteFile(path+".lock", nil, 0o644))
		require.NoError(t, os.Chmod(path+".lock", 0o644))
		_, err := filestore.OpenTokens(path)
		requireFileError(t, err, filestore.ErrUnsafe)
	})
	t.Run("t10 directory of a group", func(t *testing.T) {
		for _, mode := range []fs.FileMode{0o770, 0o720, 0o775} {
			path, _ := savedFiles(t, 1)
			require.NoError(t, os.Chmod(filepath.Dir(path), mode))
			_, err := filestore.OpenTokens(path)
			requireFileError(t, err, filestore.ErrUnsafe)
			requireStored(t, 1, openTokens(t, path, filestore.WithSharedOwnership()))
			require.NoError(t, os.Chmod(filepath.Dir(path), 0o750))
			requireStored(t, 1, openTokens(t, path))
		}
	})
	t.Run("directory of all", func(t *testing.T) {
		path := tokensPath(t)
		require.NoError(t, os.Chmod(filepath.Dir(path), 0o777))
		_, err := filestore.OpenTokens(path)
		requireFileError(t, err, filestore.ErrUnsafe)
		_, err = filestore.OpenTokens(path, filestore.WithSharedOwnership())
		requireFileError(t, err, filestore.ErrUnsafe)
		require.NoError(t, os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky))
		openTokens(t, path)
	})
}

func TestNoDirectoryForTokens(t *testing.T) {
	path := tokensPath(t)
	_, err := filestore.OpenTokens(filepath.Join(path, "tokens"))
	requireFileError(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = filestore.OpenTokens(filepath.Join(path, "tokens"))
	require.ErrorAs(t, err, new(*filestore.Error))
}

func TestTokensOfARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	tokens := openTokens(t, "drift.tokens")
	t.Chdir(t.TempDir())
	require.NoError(t, tokens.Save(t.Context(), pair(1, time.Time{})))
	requirePair(t, loadTokens(t, tokens))
}

func TestTokensLock(t *testing.T) {
	path := tokensPath(t)
	first, second := openTokens(t, path), openTokens(t, path)
	require.NoError(t, first.Save(t.Context(), pair(1, time.Time{})))
	unlock, err := first.Lock(t.Context())
	require.NoError(t, err)
	for _, other := range []*filestore.Tokens{first, second} {
		_, err := other.Lock(within(t, 20*time.Millisecond))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	requirePair(t, loadTokens(t, second))
	require.ErrorIs(t, second.Save(within(t, 20*time.Millisecond), pair(2, time.Time{})), context.DeadlineExceeded)
	require.NoError(t, first.Save(t.Context(), pair(3, time.Time{})), "who has the lock may")
	assert.Equal(t, "mark-access-3", loadTokens(t, second).AccessToken)
	unlock()
	unlock() // does no harm
	require.NoError(t, second.Save(t.Context(), pair(4, time.Time{})))
	unlock, err = second.Lock(t.Context())
	require.NoError(t, err)
	unlock()

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = first.Lock(ended)
	require.ErrorIs(t, err, context.Canceled)
	_, err = first.Load(ended)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, first.Save(ended, pair(5, time.Time{})), context.Canceled)
}

// savedFiles saves pairs in turn, and returns the path and what the file had after each.
func savedFiles(t *testing.T, serials ...int) (path string, files [][]byte) {
	t.Helper()
	path = tokensPath(t)
	tokens := openTokens(t, path)
	for _, serial := range serials {
		require.NoError(t, tokens.Save(t.Context(), pair(serial, time.Time{})))
		contents, err := os.ReadFile(path)
		require.NoError(t, err)
		files = append(files, contents)
	}
	return path, files
}

func put(t *testing.T, path string, contents []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, contents, 0o600))
}

func requireStored(t *testing.T, serial int, tokens *filestore.Tokens) {
	t.Helper()
	token := loadTokens(t, tokens)
	requirePair(t, token)
	assert.Equal(t, pair(serial, time.Time{}).AccessToken, token.AccessToken)
}

func TestTokensSuccessor(t *testing.T) {
	t.Run("t4 a complete one is moved into place", func(t *testing.T) {
		path, files := savedFiles(t, 1, 2)
		put(t, path, files[0])
		put(t, path+".new", files[1])
		requireStored(t, 2, openTokens(t, path))
		assert.NoFileExists(t, path+".new")
	})
	t.Run("t4 while a store is open", func(t *testing.T) {
		path, files := savedFiles(t, 1, 2)
		put(t, path, files[0])
		tokens := openTokens(t, path)
		requireStored(t, 1, tokens)
		put(t, path+".new", files[1])
		unlock, err := tokens.Lock(t.Context())
		require.NoError(t, err)
		requireStored(t, 2, tokens)
		unlock()
		requireStored(t, 2, openTokens(t, path))
	})
	t.Run("t4 the file itself is not there yet", func(t *testing.T) {
		path, _ := savedFiles(t, 1)
		require.NoError(t, os.Rename(path, path+".new"))
		requireStored(t, 1, openTokens(t, path))
	})
	t.Run("t4 while another process has the lock", func(t *testing.T) {
		path, files := savedFiles(t, 1, 2)
		put(t, path, files[0])
		first := openTokens(t, path)
		unlock, err := first.Lock(t.Context())
		require.NoError(t, err)
		put(t, path+".new", files[1]) // it is about to take the place
		requireStored(t, 1, openTokens(t, path))
		assert.FileExists(t, path+".new")
		unlock()
		requireStored(t, 2, openTokens(t, path))
	})
}

func TestTokensWithoutASuccessor(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string, files [][]byte){
		"older":    func(t *testing.T, path string, files [][]byte) { put(t, path+".new", files[0]) },
		"same":     func(t *testing.T, path string, files [][]byte) { put(t, path+".new", files[1]) },
		"cut":      func(t *testing.T, path string, files [][]byte) { put(t, path+".new", files[2][:200]) },
		"reserved": func(t *testing.T, path string, _ [][]byte) { put(t, path+".new", bytes.Repeat([]byte(" "), 8192)) },
		"damaged": func(t *testing.T, path string, files [][]byte) {
			put(t, path+".new", bytes.Replace(files[2], []byte("mark-access-3"), []byte("mark-access-4"), 1))
		},
		"for others to read": func(t *testing.T, path string, files [][]byte) {
			put(t, path+".new", files[2])
			require.NoError(t, os.Chmod(path+".new", 0o644))
		},
		"of another account": func(t *testing.T, path string, _ [][]byte) {
			require.NoError(t, openTokens(t, path+"-x", filestore.WithAccount("x")).Save(t.Context(), pair(4, time.Time{})))
			require.NoError(t, os.Rename(path+"-x", path+".new"))
			require.NoError(t, os.Remove(path+"-x.lock"))
		},
	} {
		t.Run("t4 "+name, func(t *testing.T) {
			if name == "for others to read" && runtime.GOOS == "windows" {
				t.Skip("permissions are not looked at")
			}
			path, files := savedFiles(t, 1, 2, 3)
			put(t, path, files[1])
			spoil(t, path, files)
			tokens := openTokens(t, path)
			requireStored(t, 2, tokens)
			require.NoError(t, tokens.Save(t.Context(), pair(5, time.Time{})))
			requireStored(t, 5, openTokens(t, path))
			requireFiles(t, path, 2)
		})
	}
}

func TestTokensSignOutRemovesTheSuccessor(t *testing.T) {
	t.Run("t4 a sign-out removes it", func(t *testing.T) {
		path, files := savedFiles(t, 1, 2)
		put(t, path, files[0])
		tokens := openTokens(t, path)
		put(t, path+".new", files[1])
		require.NoError(t, tokens.Save(t.Context(), nil))
		assert.Nil(t, loadTokens(t, tokens))
		put(t, path+".new", files[1])
		require.NoError(t, tokens.Save(t.Context(), nil), "a file that is gone already")
		assert.Nil(t, loadTokens(t, openTokens(t, path)))
		requireFiles(t, path, 1)

		require.NoError(t, tokens.Save(t.Context(), pair(3, time.Time{})))
		put(t, path+".new", files[1]) // an older one
		require.NoError(t, tokens.Save(t.Context(), nil))
		assert.Nil(t, loadTokens(t, openTokens(t, path)))
	})
}

// requireFiles: the directory has so many files, and no other.
func requireFiles(t *testing.T, path string, want int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, want)
}

func TestTokensPrepare(t *testing.T) {
	path, _ := savedFiles(t, 1)
	tokens := openTokens(t, path)
	unlock, err := tokens.Lock(t.Context())
	require.NoError(t, err)
	require.NoError(t, tokens.Prepare(t.Context()))
	info, err := os.Stat(path + ".new")
	require.NoError(t, err)
	current, err := os.Stat(path)
	require.NoError(t, err)
	assert.Greater(t, info.Size(), current.Size(), "the next token may be longer")
	requireStored(t, 1, tokens)
	require.NoError(t, tokens.Save(t.Context(), pair(2, time.Time{})))
	requireFiles(t, path, 2)
	require.NoError(t, tokens.Prepare(t.Context()))
	unlock()
	requireFiles(t, path, 2) // a refresh that failed leaves nothing
	require.NoError(t, tokens.Prepare(t.Context()), "it takes the lock itself")
	requireStored(t, 2, tokens)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, tokens.Prepare(ended), context.Canceled)
}

func TestTokensPutBack(t *testing.T) {
	for name, after := range map[string]int{"t7 by the process that used it up": 0, "t7 by another process": 1} {
		t.Run(name, func(t *testing.T) {
			authority := new(killingAuthority)
			server := httptest.NewServer(authority)
			defer server.Close()
			config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: server.URL}
			path := tokensPath(t)
			require.NoError(t, openTokens(t, path).Save(t.Context(), pair(0, time.Now().Add(time.Hour))))
			contents, err := os.ReadFile(path)
			require.NoError(t, err)
			var sources []*drift.OAuthTokenSource
			for range 2 {
				source := config.TokenSource(openTokens(t, path))
				defer func() { assert.NoError(t, source.Close()) }()
				sources = append(sources, source)
			}
			refresh := func(source, stale, want int) {
				t.Helper()
				token, err := sources[source].Refresh(t.Context(), pair(stale, time.Time{}))
				require.NoError(t, err)
				assert.Equal(t, pair(want, time.Time{}).AccessToken, token.AccessToken)
			}
			refresh(0, 0, 1)
			refresh(0, 1, 2)
			refresh(1, 0, 2) // adopts it
			put(t, path, contents)
			refresh(after, 2, 3)
			assert.False(t, authority.killed)
			requireStored(t, 3, openTokens(t, path))
		})
	}
	t.Run("t7 a person who authorizes again has the last word", func(t *testing.T) {
		tokens := openTokens(t, tokensPath(t))
		for _, serial := range []int{7, 3, 7} {
			require.NoError(t, tokens.Save(t.Context(), pair(serial, time.Time{})))
			requireStored(t, serial, tokens)
		}
	})
	t.Run("t7 a file from elsewhere is not from a backup", func(t *testing.T) {
		_, files := savedFiles(t, 8)
		path, _ := savedFiles(t, 1)
		tokens := openTokens(t, path)
		require.NoError(t, tokens.Save(t.Context(), pair(9, time.Time{})))
		put(t, path, files[0])
		requireStored(t, 8, tokens)
	})
}

func TestTokensLockIsRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is in use is not removed")
	}
	t.Run("t9 during a refresh", func(t *testing.T) {
		path, _ := savedFiles(t, 1)
		first, second := openTokens(t, path), openTokens(t, path)
		unlock, err := first.Lock(t.Context())
		require.NoError(t, err)
		require.NoError(t, os.Remove(path+".lock"))
		_, err = second.Lock(within(t, 50*time.Millisecond))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, first.Save(t.Context(), pair(2, time.Time{})))
		unlock()
		unlock, err = second.Lock(within(t, 10*time.Second))
		require.NoError(t, err)
		requireStored(t, 2, second)
		unlock()
	})
	t.Run("t9 while another process waits", func(t *testing.T) {
		path, _ := savedFiles(t, 1)
		holder, waiting, late := openTokens(t, path), openTokens(t, path), openTokens(t, path)
		unlock, err := holder.Lock(t.Context())
		require.NoError(t, err)
		var held sync.Mutex
		var waiters sync.WaitGroup
		claim := func(tokens *filestore.Tokens) {
			unlock, err := tokens.Lock(within(t, 10*time.Second))
			if !assert.NoError(t, err) {
				return
			}
			assert.True(t, held.TryLock(), "only one has the lock")
			time.Sleep(50 * time.Millisecond)
			held.Unlock()
			unlock()
		}
		waiters.Go(func() { claim(waiting) })
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, os.Remove(path+".lock"))
		waiters.Go(func() { claim(late) })
		time.Sleep(50 * time.Millisecond)
		unlock()
		waiters.Wait()
	})
}

// disturbed lets something happen between the last look of a refresh and its Save.
type disturbed struct {
	*filestore.Tokens
	beforeSave func()
}

func (d *disturbed) Save(ctx context.Context, token *oauth2.Token) error {
	d.beforeSave()
	return d.Tokens.Save(ctx, token)
}

// Who signs out, or authorizes again, has the last word, in the process that refreshes too.
func TestTokensSavedDuringARefresh(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token": "refreshed", "refresh_token": "r2", "expires_in": 7200}`)
	}))
	defer server.Close()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: server.URL}
	for name, saved := range map[string]*oauth2.Token{"signed out": nil, "authorized again": pair(7, time.Time{})} {
		t.Run(name, func(t *testing.T) {
			tokens := openTokens(t, tokensPath(t))
			require.NoError(t, tokens.Save(t.Context(), pair(1, time.Now().Add(-time.Hour))))
			done := make(chan error, 1)
			source := config.TokenSource(&disturbed{tokens, func() {
				assert.ErrorIs(t, tokens.Save(within(t, 20*time.Millisecond), saved), context.DeadlineExceeded)
				go func() { done <- tokens.Save(context.Background(), saved) }()
			}})
			token, err := source.Token()
			require.NoError(t, err)
			assert.Equal(t, "refreshed", token.AccessToken)
			require.NoError(t, <-done)
			require.NoError(t, source.Close())
			assert.Equal(t, saved, loadTokens(t, tokens))
		})
	}
}

func TestTokensOfManyGoroutines(t *testing.T) {
	path := tokensPath(t)
	require.NoError(t, openTokens(t, path).Save(t.Context(), pair(0, time.Time{})))
	var wg sync.WaitGroup
	var held sync.Mutex
	for i := range 4 {
		tokens := openTokens(t, path)
		for range 3 {
			wg.Go(func() {
				for serial := range 5 {
					assert.NoError(t, tokens.Save(t.Context(), pair(serial, time.Time{})))
					token, err := tokens.Load(t.Context())
					if assert.NoError(t, err) {
						requirePair(t, token)
					}
					unlock, err := tokens.Lock(t.Context())
					if assert.NoError(t, err) {
						assert.True(t, held.TryLock(), "only one has the lock")
						assert.NoError(t, tokens.Save(t.Context(), pair(i, time.Time{})))
						held.Unlock()
						unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

func TestTokensShowNothing(t *testing.T) {
	path := tokensPath(t)
	tokens := openTokens(t, path)
	require.NoError(t, tokens.Save(t.Context(), pair(1, time.Time{})))
	require.NoError(t, os.Truncate(path, 300))
	_, err := tokens.Load(t.Context())
	require.Error(t, err)
	var shown bytes.Buffer
	for _, value := range []any{tokens, err, struct{ Store drift.TokenStore }{tokens}, []any{tokens, err}} {
		for _, verb := range "vtbcdoOeEfFgGUxXsqp" {
			fmt.Fprintf(&shown, "%"+string(verb)+" %+"+string(verb)+" %#"+string(verb)+"\n", value, value, value)
		}
		encoded, _ := json.Marshal(value)
		shown.Write(encoded)
		slog.New(slog.NewJSONHandler(&shown, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&shown, nil)).Info("x", "value", value)
	}
	assert.NotContains(t, shown.String(), "mark-")
	assert.NotContains(t, shown.String(), fmt.Sprintf("%x", "mark-"))
	assert.NotContains(t, shown.String(), "109 97 114 107 45")
}

// killingAuthority gives out a new refresh token with each refresh. Whoever brings one that was used before loses all.
type killingAuthority struct {
	mu      sync.Mutex
	serial  int
	killed  bool
	refresh int // requests
}

func (a *killingAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refresh++
	time.Sleep(200 * time.Millisecond) // so that the others come while it is under way
	if r.PostForm.Get("refresh_token") != pair(a.serial, time.Time{}).RefreshToken {
		a.killed = true
	}
	w.Header().Set("Content-Type", "application/json")
	if a.killed {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
		return
	}
	a.serial++
	next := pair(a.serial, time.Time{})
	_, _ = fmt.Fprintf(w, `{"access_token": %q, "refresh_token": %q, "token_type": "bearer", "expires_in": 7200}`, next.AccessToken, next.RefreshToken)
}

// Eight processes find the same token expired, twice.
func TestProcessesRefreshOnce(t *testing.T) {
	authority := new(killingAuthority)
	server := httptest.NewServer(authority)
	defer server.Close()
	path := tokensPath(t)
	tokens := openTokens(t, path)
	require.NoError(t, os.WriteFile(path+".url", []byte(server.URL), 0o600))
	for round := 1; round <= 2; round++ {
		last := pair(round-1, time.Now().Add(-time.Minute))
		require.NoError(t, tokens.Save(t.Context(), last))
		var processes []*process
		var inputs []io.Closer
		for range crowd {
			processes = append(processes, start(t, "refreshes as one of many", path, func(cmd *exec.Cmd) {
				input, err := cmd.StdinPipe()
				require.NoError(t, err)
				inputs = append(inputs, input)
			}))
		}
		for _, input := range inputs { // now all are ready
			assert.NoError(t, input.Close())
		}
		for _, p := range processes {
			for p.said.Scan() {
				assert.Equal(t, pair(round, time.Time{}).AccessToken, p.said.Text())
			}
			assert.NoError(t, p.cmd.Wait())
		}
		authority.mu.Lock()
		assert.Equal(t, round, authority.refresh, "exactly one refresh")
		assert.False(t, authority.killed, "and nobody is logged out")
		authority.mu.Unlock()
		stored := loadTokens(t, tokens)
		assert.Equal(t, pair(round, time.Time{}).RefreshToken, stored.RefreshToken)
		id, _ := drift.OrgIDFromToken(stored)
		assert.Equal(t, drift.OrgID(17035536800), id)
	}
}

// refreshAsOneOfMany says that it is ready, waits for the end of its input, and then says which token it has, from
// several goroutines.
func refreshAsOneOfMany(path string) error {
	address, err := os.ReadFile(path + ".url")
	if err != nil {
		return err
	}
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: string(address)}
	source := config.TokenSource(tokens)
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	failed := make(chan error, crowdRoutines)
	for range crowdRoutines {
		go func() {
			token, err := source.Token()
			if err == nil {
				_, err = fmt.Println(token.AccessToken)
			}
			failed <- err
		}()
	}
	for range crowdRoutines {
		err = errors.Join(err, <-failed)
	}
	return errors.Join(err, source.Close())
}

func TestTokensAfterKills(t *testing.T) {
	path := tokensPath(t)
	require.NoError(t, openTokens(t, path).Save(t.Context(), pair(0, time.Time{})))
	saved := 0
	for range kills(t, 25) {
		p := start(t, "saves until it is killed", path)
		for p.said.Scan() {
			serial, err := strconv.Atoi(p.said.Text())
			require.NoError(t, err)
			saved = serial
			if serial%10 == 9 {
				_ = p.cmd.Process.Kill()
			}
		}
		_ = p.cmd.Wait()
		token := loadTokens(t, openTokens(t, path))
		requirePair(t, token)
		serial, err := strconv.Atoi(strings.TrimPrefix(token.AccessToken, "mark-access-"))
		require.NoError(t, err)
		assert.GreaterOrEqual(t, serial, saved, "what was saved is there")
	}
	assert.Greater(t, saved, 9)
}

// saveUntilKilled says a number for each token that is saved.
func saveUntilKilled(path string) error {
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	token, err := tokens.Load(background)
	if err != nil {
		return err
	}
	serial, err := strconv.Atoi(strings.TrimPrefix(token.AccessToken, "mark-access-"))
	if err != nil {
		return err
	}
	for {
		serial++
		if err := tokens.Save(background, pair(serial, time.Time{})); err != nil {
			return err
		}
		fmt.Println(serial)
	}
}

func holdTokens(path string) error {
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	if _, err := tokens.Lock(background); err != nil {
		return err
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

func TestTokensLockOfAKilledProcess(t *testing.T) {
	path := tokensPath(t)
	p := startHolding(t, "holds the lock of tokens", path)
	tokens := openTokens(t, path)
	_, err := tokens.Lock(within(t, 20*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.kill()
	unlock, err := tokens.Lock(within(t, 10*time.Second))
	require.NoError(t, err)
	unlock()
}

// The whole way: a code, a file, a client.
func TestAuthorizeStoreAndCall(t *testing.T) {
	var form url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/oauth2/token" {
			assert.Equal(t, "Bearer second", r.Header.Get("Authorization"))
			_, _ = io.WriteString(w, `{"data": {"id": 1}}`)
			return
		}
		_ = r.ParseForm()
		form = r.PostForm
		if form.Get("code") != "" {
			_, _ = io.WriteString(w, `{"accessToken": "first", "refreshToken": "r1", "expiresIn": 15, "orgId": 9}`)
			return
		}
		_, _ = io.WriteString(w, `{"accessToken": "second", "refreshToken": "r2", "expiresIn": 7200, "orgId": 9}`)
	}))
	defer server.Close()
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: server.URL + "/oauth2/token"}
	token, err := config.Exchange(t.Context(), "code")
	require.NoError(t, err)
	token.Expiry = time.Now()
	tokens := openTokens(t, tokensPath(t), filestore.WithAccount(config.ClientID))
	require.NoError(t, tokens.Save(t.Context(), token))

	source := config.TokenSource(tokens)
	client, err := drift.NewClient(drift.WithTokenSource(source), drift.WithBaseURL(server.URL))
	require.NoError(t, err)
	contact, err := client.Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, drift.ContactID(1), contact.ID)
	assert.Equal(t, "r1", form.Get("refresh_token"))
	require.NoError(t, client.Close())
	require.NoError(t, source.Close())
	stored := loadTokens(t, tokens)
	assert.Equal(t, "r2", stored.RefreshToken)
	id, _ := drift.OrgIDFromToken(stored)
	assert.Equal(t, drift.OrgID(9), id)
}

func TestTokenStore(t *testing.T) {
	storetest.TestSharedTokenStore(t, func(t *testing.T) func() drift.TokenStore {
		path := filepath.Join(t.TempDir(), "tokens")
		return func() drift.TokenStore {
			tokens, err := filestore.OpenTokens(path)
			require.NoError(t, err)
			return tokens
		}
	})
}
