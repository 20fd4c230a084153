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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// tokenModel is a service, a store and some processes to which things happen at random. What must hold is checked whenever
// something comes back.
type tokenModel struct {
	t         *testing.T
	rand      *rand.Rand
	authority *testkit.Authority
	store     *testkit.TroubledStore
	sources   []*drift.OAuthTokenSource
	callers   sync.WaitGroup

	mu       sync.Mutex
	sending  int       // requests that are under way
	troubled time.Time // until then somebody may feel that something fails
	ended    bool      // the authorization was taken back, for as long as nobody authorizes again
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
	switch m.rand.IntN(20) {
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
	}
}

// call asks for a token, with a patience of its own.
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
	assert.LessOrEqual(m.t, time.Since(start), patience, "nobody is kept beyond his patience")
	troubled, ended := m.state()
	switch {
	case err == nil:
		assert.True(m.t, token.Valid())
		m.store.Set(func() {
			stored := testkit.Must(m.store.TokenStore.Load(context.Background()))
			assert.LessOrEqual(m.t, serialOf(token), serialOf(stored), "stored before it is used")
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
	if ended {
		return
	}
	token := testkit.Must(m.store.TokenStore.Load(context.Background()))
	m.authority.Grant(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
	m.saveCurrent()
}

func (m *tokenModel) saveCurrent() {
	var serial int
	m.authority.Set(func() { serial = m.authority.Serial })
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

// begin authorizes again, while nobody is under way.
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

// Whatever happens in whatever order: one request at a time, nobody waits longer than he wants to, no refresh token is used
// twice, only the service's word ends an authorization, and when all is well again so are all processes.
func TestTokenStateMachine(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runTokenModel(t, seed) })
		})
	}
}

func runTokenModel(t *testing.T, seed uint64) {
	m := &tokenModel{t: t, rand: rand.New(rand.NewPCG(seed, 0)), authority: testkit.NewAuthority(), store: testkit.NewTroubledStore(testkit.Expired())}
	config := m.authority.Config()
	config.HTTPClient = &http.Client{Transport: m}
	config.SaveFailed = func(err error) { assert.NoError(t, err) }
	for range 1 + m.rand.IntN(3) {
		m.sources = append(m.sources, testkit.NewSource(t, config, m.store))
	}
	for range 200 {
		m.happen()
		if _, ended := m.state(); !ended {
			m.authority.Set(func() { assert.False(t, m.authority.Killed, "a refresh token was used twice") })
		}
	}
	m.callers.Wait()
	m.authority.Set(func() { m.authority.Answers, m.authority.Delay = nil, 0 })
	m.store.Set(func() { m.store.LoadErr, m.store.LockErr, m.store.Slow = nil, nil, 0 })
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
