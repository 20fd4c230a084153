package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
	"github.com/driftsdk/drift/filestore"
	"github.com/driftsdk/drift/internal/faults"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) {
	id, secret := "DRIFT_CLIENT_ID=an-id", "DRIFT_CLIENT_SECRET=a-secret-of-the-app"
	clitest.Transcript(t, []clitest.Start{
		{Title: "no client id"},
		{Title: "-h", Args: []string{"-h"}},
		{Title: "an argument that is not a flag", Args: []string{"browser"}},
		{Title: "a client id, without its secret", Env: []string{id}},
		{
			Title: "a port that does not exist",
			Args:  []string{"-tokens=testdata/none", "-port=99999"}, Env: []string{id, secret},
		},
		{Title: "no home folder", Env: []string{id, secret, "HOME=", "XDG_CONFIG_HOME=", "AppData="}},
		{Title: "no one opens the page", Args: []string{"-browser", "-wait=10ms"}},
	})
	assert.NoFileExists(t, "testdata/none")
}

// The program waits for you, and you press Ctrl-C instead.
func TestCtrlC(t *testing.T) {
	clitest.Interrupt(t, clitest.Start{Args: []string{"-browser"}},
		func(output string) bool { return strings.Contains(output, "Open this in your browser:") })
}

func TestTokensOutliveTheProgram(t *testing.T) {
	srv := drifttest.Start(t)
	asked := 0
	allow := allow(t.Context(), srv)
	p := program{baseURL: srv.URL, tokens: filepath.Join(t.TempDir(), "sub", "token.json")}
	p.flow = flow{config: srv.OAuthConfig(), wait: time.Minute, show: func(authURL string) error {
		asked++
		return allow(authURL)
	}}
	require.NoError(t, run(t.Context(), p, io.Discard))
	assert.Equal(t, 1, asked)
	info, err := os.Stat(p.tokens)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before := stored(t, p)

	srv.ExpireTokens()
	require.NoError(t, run(t.Context(), p, io.Discard))
	assert.Equal(t, 1, asked, "the refresh token does")
	assert.NotEqual(t, before.RefreshToken, stored(t, p).RefreshToken, "the new one is stored")

	srv.RevokeTokens()
	require.NoError(t, run(t.Context(), p, io.Discard))
	assert.Equal(t, 2, asked, "access was taken back")
}

func stored(t *testing.T, p program) *oauth2.Token {
	t.Helper()
	store, err := filestore.OpenTokens(p.tokens, filestore.WithAccount(p.flow.config.ClientID))
	require.NoError(t, err)
	token, err := store.Load(t.Context())
	require.NoError(t, err)
	return token
}

func TestEveryRunIsNew(t *testing.T) {
	srv := drifttest.Start(t)
	var states, challenges []string
	for range 2 {
		f := flow{config: srv.OAuthConfig(), wait: time.Minute, show: func(authURL string) error {
			u, err := url.Parse(authURL)
			require.NoError(t, err)
			states = append(states, u.Query().Get("state"))
			challenges = append(challenges, u.Query().Get("code_challenge"))
			assert.Equal(t, "S256", u.Query().Get("code_challenge_method"))
			return errors.New("no screen")
		}}
		_, err := f.authorize(t.Context())
		assert.EqualError(t, err, "no screen")
	}
	assert.NotEqual(t, states[0], states[1])
	assert.NotEqual(t, challenges[0], challenges[1])
	assert.GreaterOrEqual(t, len(states[0])*5, 128, "bits, at 5 a letter")
}

func TestFault(t *testing.T) { faults.Run(t, "examples/oauth", faults.Cases{142: oddCallbacks}) }

func oddCallbacks(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	t.Run("wrong, missing and used state", oddStates)
	t.Run("no code", noCode)
	t.Run("the user says no", refused)
	t.Run("nobody comes", nobody)
	t.Run("the caller gives up", givenUp)
	t.Run("the port is in use", portInUse)
	t.Run("the code is no good", badCode)
	assert.Empty(t, logged.String())
}

// visitor is a browser that has been shown the authorize page, and does as the test likes.
type visitor struct {
	t        *testing.T
	back     *url.URL // where the page sends it
	finished chan struct{}
	http     *http.Client
	err      error
	token    *oauth2.Token
}

func visit(t *testing.T, f flow, allow func(authURL string) *url.URL) *visitor {
	v := &visitor{t: t, finished: make(chan struct{}), http: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	shown := make(chan struct{})
	var once sync.Once
	f.show = func(authURL string) error {
		v.back = allow(authURL)
		once.Do(func() { close(shown) })
		return nil
	}
	go func() {
		defer close(v.finished)
		v.token, v.err = f.authorize(t.Context())
	}()
	<-shown
	return v
}

// open returns the status and where the browser is sent.
func (v *visitor) open(target string) (status int, location string) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, "http://"+v.back.Host+target, nil)
	require.NoError(v.t, err)
	response, err := v.http.Do(request)
	require.NoError(v.t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	if response.StatusCode != http.StatusNotFound {
		assert.Equal(v.t, "no-referrer", response.Header.Get("Referrer-Policy"))
		assert.Equal(v.t, "no-store", response.Header.Get("Cache-Control"))
	}
	for _, secret := range []string{v.back.Query().Get("state"), v.back.Query().Get("code")} {
		if secret != "" {
			assert.NotContains(v.t, string(body)+response.Header.Get("Location"), secret)
		}
	}
	return response.StatusCode, response.Header.Get("Location")
}

func (v *visitor) callback(changes ...string) (status int, location string) {
	v.t.Helper()
	query := v.back.Query()
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			query.Del(changes[i])
		}
	}
	return v.open(v.back.Path + "?" + query.Encode())
}

func (v *visitor) finish() {
	v.t.Helper()
	<-v.finished
	for _, text := range []string{fmt.Sprint(v.err), fmt.Sprintf("%+v", v.err)} {
		for _, name := range []string{"code", "state"} {
			if value := v.back.Query().Get(name); value != "" {
				assert.NotContains(v.t, text, value)
			}
		}
	}
	_, err := net.DialTimeout("tcp4", v.back.Host, time.Second)
	assert.ErrorIs(v.t, err, syscall.ECONNREFUSED, "the server is gone")
}

// Nothing that a stranger sends uses the callback up or ends the wait.
func oddStates(t *testing.T) {
	srv := drifttest.Start(t)
	v := visit(t, flow{config: srv.OAuthConfig(), wait: time.Minute}, srv.Allow)
	for _, state := range []string{rand.Text(), "", v.back.Query().Get("state") + "x", v.back.Query().Get("state")[1:]} {
		status, _ := v.callback("state", state)
		assert.Equal(t, http.StatusBadRequest, status)
		status, _ = v.callback("state", state, "code", "", "error", "access_denied")
		assert.Equal(t, http.StatusBadRequest, status)
	}
	for _, path := range []string{"/favicon.ico", "/", "/callback/", "/other?code=1"} {
		status, _ := v.open(path)
		assert.Equal(t, http.StatusNotFound, status, path)
	}

	status, location := v.callback()
	assert.Equal(t, http.StatusSeeOther, status)
	assert.Equal(t, "/granted", location)
	for _, changes := range [][]string{nil, {"code", "another"}, {"code", "", "error", "access_denied"}} {
		status, _ = v.callback(changes...)
		assert.Equal(t, http.StatusBadRequest, status, "the state was used")
	}
	status, _ = v.open(location)
	assert.Equal(t, http.StatusOK, status)
	v.finish()
	require.NoError(t, v.err)
	assert.NotEmpty(t, v.token.AccessToken)
	assert.Equal(t, 1, srv.Count("oauth.token"))
}

func noCode(t *testing.T) {
	srv := drifttest.Start(t)
	v := visit(t, flow{config: srv.OAuthConfig(), wait: time.Minute}, srv.Allow)
	status, _ := v.callback("code", "")
	assert.Equal(t, http.StatusBadRequest, status)
	_, location := v.callback()
	_, _ = v.open(location)
	v.finish()
	assert.NoError(t, v.err)
}

func refused(t *testing.T) {
	srv := drifttest.Start(t)
	v := visit(t, flow{config: srv.OAuthConfig(), wait: time.Minute}, srv.Deny)
	status, location := v.callback()
	assert.Equal(t, http.StatusSeeOther, status)
	assert.Equal(t, "/refused", location)
	status, _ = v.open(location)
	assert.Equal(t, http.StatusOK, status)
	v.finish()
	var refusal *refusedError
	require.ErrorAs(t, v.err, &refusal)
	assert.Equal(t, "access_denied", refusal.Code)
	assert.Zero(t, srv.Count("oauth.token"))
}

func nobody(t *testing.T) {
	srv := drifttest.Start(t)
	v := visit(t, flow{config: srv.OAuthConfig(), wait: 20 * time.Millisecond}, srv.Allow)
	v.finish()
	assert.ErrorIs(t, v.err, errNoCallback)
}

func givenUp(t *testing.T) {
	srv := drifttest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := flow{config: srv.OAuthConfig(), wait: time.Minute, show: func(string) error { cancel(); return nil }}
	_, err := f.authorize(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

func portInUse(t *testing.T) {
	other, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	_, text, err := net.SplitHostPort(other.Addr().String())
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	f := flow{port: port, wait: time.Minute, show: func(string) error {
		t.Error("nobody can come back")
		return nil
	}}
	_, err = f.authorize(t.Context())
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, "wait for the browser")
}

func badCode(t *testing.T) {
	srv := drifttest.Start(t)
	v := visit(t, flow{config: srv.OAuthConfig(), wait: time.Minute}, srv.Allow)
	_, location := v.callback("code", "made-up-by-somebody")
	_, _ = v.open(location)
	v.finish()
	var refusal *drift.APIError
	require.ErrorAs(t, v.err, &refusal)
	assert.Equal(t, "invalid_grant", refusal.Type)
	assert.False(t, strings.Contains(v.err.Error(), "made-up-by-somebody"))
}
