package drift_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// tokenModel is a service, a store and some processes to which things happen at random. What must hold is checked
// whenever something comes back.
type tokenModel struct {
	t         *testing.T
	rand      *rand.Rand
	authority *testkit.Authority
	config    drift.OAuthConfig
	store     *preparingStore
	sources   []*drift.OAuthTokenSource
	callers   sync.WaitGroup
	backedUp  int // the newest serial number that was stored before a backup was put back

	mu       sync.Mutex
	sending  int       // requests that are under way
	troubled time.Time // until then somebody may feel that something fails
	ended    bool      // the authorization was taken back, until a person authorizes again
}

func (m *tokenModel) trouble(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if until := time.Now().Add(d); until.After(m.troubled) {
		m.troubled = until
	}
}

func (m *tokenModel) state() (troubled, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !time.Now().After(m.troubled), m.ended
}

// RoundTrip is the network before the authority.
func (m *tokenModel) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.sending++
	assert.Equal(m.t, 1, m.sending, "requests at the same time")
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.sending--
		m.mu.Unlock()
	}()
	return m.authority.RoundTrip(r)
}

// happen lets one thing happen.
func (m *tokenModel) happen() {
	switch m.rand.IntN(23) {
	default:
		m.call(false)
	case 10, 11, 12:
		m.call(true)
	case 13:
		time.Sleep(time.Duration(m.rand.Int64N(int64(3 * time.Hour))))
	case 14:
		time.Sleep(time.Duration(m.rand.Int64N(int64(5 * time.Second))))
	case 15:
		m.failAuthority()
	case 16:
		m.authority.Set(func() { m.authority.Delay = time.Duration(m.rand.Int64N(int64(20 * time.Second))) })
	case 17:
		m.failStore()
	case 18:
		m.rotateElsewhere()
	case 19:
		m.endOrBegin()
	case 20:
		m.fillDisk()
	case 21:
		m.kill()
	case 22:
		m.putBack()
	}
}

// fillDisk leaves no room for a new token, or makes room.
func (m *tokenModel) fillDisk() {
	if m.rand.IntN(2) == 0 {
		m.store.Set(func() { m.store.full = nil })
		return
	}
	m.trouble(1000 * time.Hour) // before it is full: a caller may notice at once
	m.store.Set(func() { m.store.full = testkit.ErrFull })
}

// kill ends a process that is doing nothing, and starts another one.
func (m *tokenModel) kill() {
	m.callers.Wait()
	if !m.storedIsNewest() {
		return // the new process would send what is used up: a person has put it there
	}
	m.sources[m.rand.IntN(len(m.sources))] = testkit.NewSource(m.t, m.config, m.store)
}

// putBack restores the token before the newest from a backup. Of a store in memory, only the process that has used it
// up can see that.
func (m *tokenModel) putBack() {
	m.callers.Wait()
	if _, ended := m.state(); len(m.sources) > 1 || ended || !m.storedIsNewest() {
		return
	}
	stored := testkit.Must(m.store.TokenStore.Load(context.Background()))
	newest, err := m.sources[0].Refresh(context.Background(), stored)
	if err != nil || !m.storedIsNewest() {
		return
	}
	m.store.Set(func() { m.backedUp = serialOf(newest) })
	_ = m.store.TokenStore.Save(context.Background(), stored)
}

func (m *tokenModel) storedIsNewest() bool {
	return testkit.Must(m.store.TokenStore.Load(context.Background())).RefreshToken == testkit.RefreshToken(m.authority.Newest())
}

// call asks for a token, and gives up after a random time.
func (m *tokenModel) call(refused bool) {
	source := m.sources[m.rand.IntN(len(m.sources))]
	patience := time.Duration(m.rand.Int64N(int64(40 * time.Second)))
	m.callers.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		start := time.Now()
		token, err := source.TokenContext(ctx)
		m.check(ctx, start, patience, token, err)
		if err != nil || !refused {
			return
		}
		fresh, err := source.Refresh(ctx, token)
		m.check(ctx, start, patience, fresh, err)
		if err == nil {
			assert.NotEqual(m.t, token.AccessToken, fresh.AccessToken)
		}
	})
}

func (m *tokenModel) check(ctx context.Context, start time.Time, patience time.Duration, token *oauth2.Token, err error) {
	assert.LessOrEqual(m.t, time.Since(start), patience, "no caller waits longer than it wants to")
	troubled, ended := m.state()
	switch {
	case err == nil:
		assert.True(m.t, token.Valid())
		m.store.Set(func() {
			stored := testkit.Must(m.store.TokenStore.Load(context.Background()))
			assert.LessOrEqual(m.t, serialOf(token), max(serialOf(stored), m.backedUp), "stored before it is used")
		})
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case errors.Is(err, drift.ErrReauthRequired):
		assert.True(m.t, ended, "logged out: %v", err)
	default:
		assert.True(m.t, troubled, "without a reason: %v", err)
	}
}

func serialOf(token *oauth2.Token) (serial int) {
	_, _ = fmt.Sscanf(token.AccessToken, testkit.MarkedAccess+"-%d", &serial)
	return serial
}

// failAuthority lets the next requests fail before the authority has taken anything from them.
func (m *tokenModel) failAuthority() {
	failures := []testkit.Responder{testkit.Answer(503), testkit.Answer(429), testkit.Answer(500, "Retry-After", "3"), testkit.AnswerBody(403, "<html>", "Content-Type", "text/html"),
		testkit.AnswerBody(200, "<html>", "Content-Type", "text/html"), func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") }}
	m.trouble(1000 * time.Hour) // before it fails: a caller may notice at once
	m.authority.Set(func() {
		for range 1 + m.rand.IntN(5) {
			m.authority.Answers = append(m.authority.Answers, failures[m.rand.IntN(len(failures))])
		}
	})
}

// failStore lets the store fail for a while, except for saving: what several processes cannot store, they lose.
func (m *tokenModel) failStore() {
	failure := m.rand.IntN(4)
	if failure == 3 {
		m.store.Set(func() { m.store.LoadErr, m.store.LockErr, m.store.Slow = nil, nil, 0 })
		return
	}
	m.trouble(1000 * time.Hour) // before it fails: a caller may notice at once
	switch failure {
	case 0:
		m.store.Set(func() { m.store.LoadErr = testkit.ErrFull })
	case 1:
		m.store.Set(func() { m.store.LockErr = testkit.ErrFull })
	case 2:
		m.store.Set(func() { m.store.Slow = time.Duration(m.rand.Int64N(int64(5 * time.Second))) })
	}
}

// rotateElsewhere is a process that keeps to the lock, or would.
func (m *tokenModel) rotateElsewhere() {
	_, ended := m.state()
	unlock, err := m.store.TokenStore.Lock(context.Background())
	require.NoError(m.t, err)
	defer unlock()
	if ended || !m.storedIsNewest() {
		return
	}
	token := testkit.Must(m.store.TokenStore.Load(context.Background()))
	m.authority.Grant(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
	m.saveCurrent()
}

func (m *tokenModel) saveCurrent() {
	serial := m.authority.Newest()
	_ = m.store.TokenStore.Save(context.Background(), testkit.Issued(serial, time.Now().Add(2*time.Hour)))
}

// endOrBegin takes the authorization back, or authorizes again.
func (m *tokenModel) endOrBegin() {
	m.mu.Lock()
	ended := m.ended
	m.mu.Unlock()
	if !ended {
		m.mu.Lock()
		m.ended = true
		m.mu.Unlock()
		m.authority.Set(func() { m.authority.Killed = true })
		return
	}
	m.begin()
}

// begin authorizes again, while no call is under way.
func (m *tokenModel) begin() {
	m.callers.Wait()
	unlock, err := m.store.TokenStore.Lock(context.Background())
	require.NoError(m.t, err)
	defer unlock()
	m.authority.Set(func() {
		m.authority.Killed = false
		m.authority.Serial++
		m.authority.Refresh = testkit.RefreshToken(m.authority.Serial)
	})
	m.saveCurrent()
	m.mu.Lock()
	m.ended = false
	m.mu.Unlock()
}

// tokenState is a row of the table in docs/oauth.md: how a source comes into a state, and what a call gets then.
type tokenState struct {
	name   string
	stored func() *oauth2.Token
	reach  func(m *stateMachine)

	asked   int   // requests for a token that the call leads to
	err     error // of the call; nil: it succeeds
	trouble error // of the call while the disk is full, or the service is down
}

var tokenStates = []tokenState{
	{
		name: "good", stored: func() *oauth2.Token { return testkit.Issued(0, time.Now().Add(time.Hour)) },
		reach: func(m *stateMachine) { m.requireToken(0) },
	},
	{
		name: "due", stored: func() *oauth2.Token { return testkit.Issued(0, time.Now().Add(4*time.Minute)) },
		reach: func(m *stateMachine) { m.requireToken(0) }, asked: 1,
	},
	{
		name: "refused", stored: func() *oauth2.Token { return testkit.Issued(0, time.Now().Add(time.Hour)) },
		reach: func(m *stateMachine) { m.requireToken(0); m.accepts = 1 }, asked: 1, trouble: drift.ErrUnauthorized,
	},
	{
		name: "adopted", stored: func() *oauth2.Token { return testkit.Issued(0, time.Now().Add(time.Hour)) },
		reach: func(m *stateMachine) {
			m.requireToken(0)
			m.authority.Serial, m.authority.Refresh, m.accepts = 1, testkit.RefreshToken(1), 2 // the adopted token is dead too
			require.NoError(m.t, m.store.TokenStore.Save(m.t.Context(), testkit.Issued(1, time.Now().Add(time.Hour))))
		}, asked: 1, trouble: drift.ErrUnauthorized,
	},
	{
		name: "just issued", stored: testkit.Expired,
		reach: func(m *stateMachine) { m.requireToken(1); m.accepts = 9 }, // the endpoint refuses good tokens
		err:   drift.ErrUnauthorized, trouble: drift.ErrUnauthorized,
	},
	{
		name: "used up", stored: testkit.Expired,
		reach: func(m *stateMachine) {
			m.requireToken(1)
			require.NoError(m.t, m.store.TokenStore.Save(m.t.Context(), testkit.Expired())) // a file from a backup
		},
	},
}

// stateMachine is a source, and a service that accepts access tokens from a serial number on.
type stateMachine struct {
	*refreshing
	client  *drift.Client
	accepts int
}

func newStateMachine(t *testing.T, state tokenState) *stateMachine {
	t.Helper()
	m := &stateMachine{refreshing: newRefreshing(t, state.stored())}
	m.client = testkit.ThroughWith(t, m.OAuthTokenSource, func(r *http.Request) (*http.Response, error) {
		var serial int
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer "+testkit.MarkedAccess+"-%d", &serial)
		if serial < m.accepts {
			return testkit.Answer(http.StatusUnauthorized)(r)
		}
		return testkit.Answer(http.StatusOK)(r)
	})
	state.reach(m)
	return m
}

// call makes a call, and waits for a refresh that it has started. It returns how many requests for a token that took.
func (m *stateMachine) call() (asked int, err error) {
	before := m.authority.Asked()
	err = testkit.Get(m.t.Context(), m.client)
	time.Sleep(40 * time.Second)
	synctest.Wait()
	return m.authority.Asked() - before, err
}

// goOn ends all trouble. The source, and a process that starts when this one was killed, must find a good token.
func (m *stateMachine) goOn() {
	m.store.fill(nil)
	m.authority.Set(func() { m.authority.Answers = nil })
	time.Sleep(3 * time.Hour)
	token, err := m.Token()
	require.NoError(m.t, err)
	another, err := testkit.NewSource(m.t, m.authority.Config(), m.store).Token()
	require.NoError(m.t, err)
	assert.Equal(m.t, token.AccessToken, another.AccessToken)
	m.requireAlive()
}

// TestTokenStateMachine walks through the table of states in docs/oauth.md: when all is well, with a full disk, and
// with a service that is down.
func TestTokenStateMachine(t *testing.T) {
	for _, state := range tokenStates {
		t.Run(state.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newStateMachine(t, state)
				asked, err := m.call()
				assert.ErrorIs(t, err, state.err)
				assert.Equal(t, state.asked, asked)
				m.goOn()
			})
		})
		t.Run(state.name+", the disk is full", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newStateMachine(t, state)
				m.store.fill(testkit.ErrFull)
				asked, err := m.call()
				assert.ErrorIs(t, err, state.trouble)
				assert.Zero(t, asked, "no refresh token is sent")
				m.goOn()
			})
		})
		t.Run(state.name+", the service is down", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newStateMachine(t, state)
				for range 100 {
					m.authority.Answers = append(m.authority.Answers, testkit.Answer(http.StatusServiceUnavailable))
				}
				_, err := m.call()
				assert.ErrorIs(t, err, state.trouble)
				m.goOn()
			})
		})
	}
}

// Whatever happens in whatever order: one request at a time, no caller waits longer than it wants to, no refresh token
// is used twice, only the service's word ends an authorization, and when all is well again so are all processes.
func TestTokensWhateverHappens(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runTokenModel(t, seed) })
		})
	}
}

func runTokenModel(t *testing.T, seed uint64) {
	m := &tokenModel{t: t, rand: rand.New(rand.NewPCG(seed, 0)), authority: testkit.NewAuthority(), store: newPreparingStore(testkit.Expired())}
	m.config = m.authority.Config()
	m.config.HTTPClient = &http.Client{Transport: m}
	m.config.SaveFailed = func(err error) {
		troubled, _ := m.state()
		assert.True(t, troubled, "without a reason: %v", err)
	}
	for range 1 + m.rand.IntN(3) {
		m.sources = append(m.sources, testkit.NewSource(t, m.config, m.store))
	}
	for range 200 {
		m.happen()
		if _, ended := m.state(); !ended {
			m.authority.Set(func() { assert.False(t, m.authority.Killed, "a refresh token was used twice") })
		}
	}
	m.callers.Wait()
	m.authority.Set(func() { m.authority.Answers, m.authority.Delay = nil, 0 })
	m.store.Set(func() { m.store.LoadErr, m.store.LockErr, m.store.Slow, m.store.full = nil, nil, 0, nil })
	time.Sleep(3 * time.Hour)
	if _, ended := m.state(); ended {
		m.begin()
	}
	for _, source := range m.sources {
		token, err := source.Token()
		require.NoError(t, err)
		assert.True(t, token.Valid())
	}
}

func TestManyUseOneSource(t *testing.T) {
	authority := testkit.NewAuthority()
	source := testkit.NewSource(t, authority.Config(), drift.NewMemoryTokenStore(testkit.Expired()))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				token, err := source.TokenContext(context.Background())
				if !assert.NoError(t, err) {
					return
				}
				if serialOf(token) < 20 {
					fresh, err := source.Refresh(context.Background(), token)
					if assert.NoError(t, err) {
						assert.Greater(t, serialOf(fresh), serialOf(token))
					}
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 20, authority.Asked(), "each generation once")
}
