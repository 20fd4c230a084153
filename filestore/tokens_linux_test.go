package filestore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/filestore"
)

func init() {
	children["saves tokens on a full disk"] = saveOnFullDisk
	children["refreshes on a full disk"] = refreshOnFullDisk
	children["refreshes until it is killed"] = refreshUntilKilled
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
	t.Run("t1 a small file system", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
			t.Skip("cannot mount one:", err)
		}
		defer func() { assert.NoError(t, syscall.Unmount(dir, 0)) }()
		authority := new(killingAuthority)
		server := httptest.NewServer(authority)
		defer server.Close()
		tokens := openTokens(t, filepath.Join(dir, "drift.tokens"))
		require.NoError(t, tokens.Save(t.Context(), pair(0, time.Now().Add(time.Minute))))
		config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: server.URL}
		source := config.TokenSource(tokens)
		defer func() { assert.NoError(t, source.Close()) }()
		filler := filepath.Join(dir, "filler")
		require.Error(t, os.WriteFile(filler, make([]byte, 128<<10), 0o600))
		token, err := source.Token()
		require.NoError(t, err, "it is good for a minute")
		_, err = source.Refresh(t.Context(), token)
		require.ErrorIs(t, err, syscall.ENOSPC)
		assert.Zero(t, authority.refresh)
		require.NoError(t, os.Remove(filler))
		token, err = source.Refresh(t.Context(), token)
		require.NoError(t, err)
		requireStored(t, 1, tokens)
		assert.Equal(t, pair(1, time.Time{}).AccessToken, token.AccessToken)
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

const (
	shortTokenLife = 500 * time.Millisecond
	processHeader  = "X-Process"
)

// strictAuthority revokes a family when a refresh token is used twice, unless a kill has taken the answer with it.
type strictAuthority struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	serial   int
	holder   string          // the process that was given the newest pair
	killed   map[string]bool // processes
	onDisk   map[int]bool    // the pairs that were complete when their process was killed
	answered chan string     // the process that was just given a pair

	issued, excused, revoked, lost int
}

func (a *strictAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	process := r.Header.Get(processHeader)
	fault := mathrand.IntN(12)
	switch fault {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 1:
		panic(http.ErrAbortHandler)
	}
	if err := r.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	next, ok := a.rotate(process, r.PostForm.Get("refresh_token"))
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error": "invalid_grant"}`)
		return
	}
	body := fmt.Sprintf(`{"access_token": %q, "refresh_token": %q, "expires_in": 7200}`, next.AccessToken, next.RefreshToken)
	if fault == 2 { // and then the connection breaks
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+10))
	}
	_, _ = io.WriteString(w, body)
	_ = http.NewResponseController(w).Flush()
	select {
	case a.answered <- process:
	default:
	}
	if fault == 2 {
		panic(http.ErrAbortHandler)
	}
}

func (a *strictAuthority) rotate(process, sent string) (*oauth2.Token, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case sent == pair(a.serial, time.Time{}).RefreshToken:
	case a.onDisk[a.serial]:
		a.lost++
		return nil, false
	case a.killed[a.holder] && !a.stored():
		a.excused++
	default:
		a.revoked++
		return nil, false
	}
	a.issued++
	a.serial++
	a.holder = process
	return pair(a.serial, time.Time{}), true
}

// stored reports whether the newest pair is complete in the file, or in its successor.
func (a *strictAuthority) stored() bool {
	for _, path := range []string{a.path, a.path + ".new"} {
		contents, err := os.ReadFile(path)
		if err != nil || !json.Valid(contents) {
			continue
		}
		if bytes.Contains(contents, []byte(`"`+pair(a.serial, time.Time{}).RefreshToken+`"`)) {
			return true
		}
	}
	return false
}

// kill ends a process within milliseconds of the answer that it was given.
func (a *strictAuthority) kill(p *process) {
	time.Sleep(time.Duration(mathrand.Int64N(int64(3 * time.Millisecond))))
	a.mu.Lock()
	defer a.mu.Unlock()
	p.kill()
	process := strconv.Itoa(p.cmd.Process.Pid)
	a.killed[process] = true
	if a.holder == process && a.stored() {
		a.onDisk[a.serial] = true
	}
}

// TestTokensOfKilledProcesses has eight processes refresh one token, and kills them when they have just been given a
// new one. Meanwhile connections break, the service fails, and the disk is full now and then.
func TestTokensOfKilledProcesses(t *testing.T) {
	path := tokensPath(t)
	authority := &strictAuthority{t: t, path: path, killed: map[string]bool{}, onDisk: map[int]bool{}, answered: make(chan string, 1)}
	server := httptest.NewUnstartedServer(authority)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	require.NoError(t, openTokens(t, path).Save(t.Context(), pair(0, time.Now().Add(-time.Minute))))
	require.NoError(t, os.WriteFile(path+".url", []byte(server.URL), 0o600))
	processes := map[string]*process{}
	begin := func() {
		p := start(t, "refreshes until it is killed", path)
		processes[strconv.Itoa(p.cmd.Process.Pid)] = p
	}
	for range crowd {
		begin()
	}
	n := kills(t, 8)
	for range n {
		select {
		case id := <-authority.answered:
			if p := processes[id]; p != nil {
				authority.kill(p)
				delete(processes, id)
				begin()
			}
		case <-time.After(time.Minute):
			t.Fatal("no refresh for a minute")
		}
	}
	for _, p := range processes {
		p.kill()
	}
	authority.mu.Lock()
	defer authority.mu.Unlock()
	t.Logf("%d kills, %d pairs issued, %d complete on disk, %d lost with their process", n, authority.issued, len(authority.onDisk), authority.excused)
	assert.Zero(t, authority.revoked, "families revoked by the client's own fault")
	assert.Zero(t, authority.lost, "complete pairs on disk that were lost")
	assert.GreaterOrEqual(t, authority.issued, n)
}

// refreshUntilKilled refreshes a token that is half a second old. Now and then it has a full disk.
func refreshUntilKilled(path string) error {
	address, err := os.ReadFile(path + ".url")
	if err != nil {
		return err
	}
	tokens, err := filestore.OpenTokens(path)
	if err != nil {
		return err
	}
	config := drift.OAuthConfig{ClientID: "client", ClientSecret: "secret", TokenURL: string(address),
		HTTPClient: &http.Client{Transport: namedProcess{}}}
	source := config.TokenSource(tokens)
	fmt.Println("ready")
	var current string
	var since time.Time
	for {
		token, err := source.Token()
		if err == nil && token.AccessToken != current {
			current, since = token.AccessToken, time.Now()
		}
		if err == nil && time.Since(since) > shortTokenLife {
			if err := refreshPerhapsOnAFullDisk(source, token); errors.Is(err, drift.ErrReauthRequired) {
				return err
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func refreshPerhapsOnAFullDisk(source *drift.OAuthTokenSource, token *oauth2.Token) error {
	if mathrand.IntN(5) == 0 {
		lift, err := limitFileSize(100)
		if err != nil {
			return err
		}
		defer func() { _ = lift() }()
	}
	_, err := source.Refresh(background, token)
	return err
}

// namedProcess tells the authority which process asks.
type namedProcess struct{}

func (namedProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(processHeader, strconv.Itoa(os.Getpid()))
	return http.DefaultTransport.RoundTrip(r)
}
