package drift

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/holder"
)

const (
	earliestRefresh = 5 * time.Minute // before the token expires, or a tenth of its life if that is longer
	saveTimeout     = 10 * time.Second
	minPause        = time.Second
	maxTokenPause   = 30 * time.Second
	expiryMargin    = 10 * time.Second // as in package oauth2: a token so close to its end counts as expired
)

// OAuthTokenSource keeps the token of one authorization good. Make it with [OAuthConfig.TokenSource], one for each
// authorization in a process, and give it to [WithTokenSource] of as many clients as you like. It is safe for concurrent use.
//
// However many callers ask, one refresh is under way at a time, and all share what it comes to. It runs apart from its callers,
// each of whom leaves when its own context ends. A token that is about to expire is refreshed ahead of time while callers go on
// with it.
//
// Nobody is logged out by what goes wrong. A service that fails, or a page of a firewall, leaves the token as it is, and the
// next request waits for 1 s, growing to 30 s. Only the service's word that the refresh token is no longer good gives
// [ErrReauthRequired]; no further request goes out then until the store has another token. Errors of the service are an
// [*APIError], a [*TransportError] or a [*DecodeError] whose Operation is "oauth.refresh", for errors.As.
type OAuthTokenSource struct {
	current  atomic.Pointer[currentToken] // nil: callers have to wait for a renewal
	endpoint *tokenEndpoint
	store    TokenStore
	hook     func(error)
	invalid  error // why the configuration cannot be used

	mu      sync.Mutex
	renewal *renewal // that is under way, or nil
	closed  bool

	// What follows is for the renewal that is under way alone.
	held      *oauth2.Token // the newest
	stored    *oauth2.Token // what the store had when it was last seen
	spent     string        // the last refresh token for which the service gave another one; "": none
	refreshAt time.Time     // of held; zero: never
	failure   failure       // of refreshing held
	failures  int           // one after the other
	unsaved   bool          // held is not in the store
	saveAt    time.Time     // when to try again
	saves     int           // that have failed, one after the other
	untold    error         // why the last one failed, for the hook
}

var _ RefreshingTokenSource = (*OAuthTokenSource)(nil)

// currentToken is what a call needs to know of the token.
type currentToken struct {
	token *oauth2.Token
	until int64 // by the wall clock in ns: from then on it is to be looked after
}

// failure is why a token was not refreshed. It is kept so that the next caller need not ask the service to learn the same.
type failure struct {
	err       error
	until     time.Time // of a passing one
	permanent bool      // it holds as long as the store has no other token
	refused   bool      // the service refuses the access token too
}

// TokenSource keeps the stored token good. Nothing is read or sent before the first call; a configuration that is wrong is a
// [*ValidationError] then.
func (c OAuthConfig) TokenSource(store TokenStore) *OAuthTokenSource {
	s := &OAuthTokenSource{store: store, hook: c.SaveFailed}
	s.endpoint, s.invalid = c.endpoint(refreshOperation)
	if store == nil && s.invalid == nil {
		s.invalid = &ValidationError{Operation: refreshOperation, Argument: "store", Reason: errNil.Error()}
	}
	return s
}

// Format keeps fmt from printing tokens and secrets.
func (s *OAuthTokenSource) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("drift OAuth token source"))
}

// Token is TokenContext without a context: it waits for as long as a refresh takes, at most about 30 seconds with each of the
// store and the service.
func (s *OAuthTokenSource) Token() (*oauth2.Token, error) {
	return s.TokenContext(context.Background())
}

// TokenContext returns the token if it is good, and else waits for a new one. The token is shared: do not change it.
func (s *OAuthTokenSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if c := s.current.Load(); c != nil && time.Now().UnixNano() < c.until {
		return c.token, nil
	}
	return s.renewed(ctx, "")
}

// Refresh returns a token in place of one that the service refused: the newest, where that is another one already, and else
// one from a refresh that all who were refused the same token share.
func (s *OAuthTokenSource) Refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	if stale == nil {
		return s.TokenContext(ctx)
	}
	if c := s.current.Load(); c != nil && c.token.AccessToken != stale.AccessToken && c.token.Valid() {
		return c.token, nil
	}
	return s.renewed(ctx, stale.AccessToken)
}

// Close refuses further calls with [ErrClosed], and waits for a refresh that is under way: its answer may hold the only refresh
// token that is good from then on. Programs that end should call it for that reason. A token that could not be stored is stored
// now; the error is that of the store, if it fails again.
//
// Who still waits for the store or its lock gets ErrClosed at once. A request that is under way has 30 s, and the store 20 s
// after that, 40 s if it fails: with a store that obeys its contexts, and a quick SaveFailed, Close takes 70 s at most.
func (s *OAuthTokenSource) Close() error {
	s.mu.Lock()
	first, last := !s.closed, s.renewal
	s.closed = true
	s.mu.Unlock()
	if last != nil {
		last.cancel(ErrClosed)
		<-last.done
	}
	s.current.Store(nil)
	if !first || !s.unsaved {
		return nil
	}
	return s.saveLate()
}

// saveLate stores what could not be stored before, if the store has no other token by now.
func (s *OAuthTokenSource) saveLate() error {
	ctx, cancel := s.saving()
	defer cancel()
	unlock, err := s.store.Lock(ctx)
	if err != nil {
		return s.notSaved(err)
	}
	defer unlock()
	if err := s.look(ctx); err != nil {
		return s.notSaved(err)
	}
	if !s.unsaved {
		return nil
	}
	return s.save()
}

// renewal is the work of one goroutine for all who wait for it.
type renewal struct {
	refused  string                  // the access token that the service refused; "": none
	cancel   context.CancelCauseFunc // ends it, if no request has been sent yet
	done     chan struct{}
	token    *oauth2.Token
	err      error
	panicked any
}

// renewed returns a token that is good and is not the refused one. While the one at hand is good nobody waits.
func (s *OAuthTokenSource) renewed(ctx context.Context, refused string) (*oauth2.Token, error) {
	switch {
	case s.invalid != nil:
		return nil, s.invalid
	case ctx == nil:
		return nil, &ValidationError{Operation: refreshOperation, Argument: "ctx", Reason: errNil.Error()}
	}
	for again := false; ; again = true {
		r, joined, err := s.join(refused)
		if err != nil {
			return nil, err
		}
		if c := s.current.Load(); refused == "" && c != nil && c.token.Valid() {
			return c.token, nil
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, contextError(ctx)
		}
		if r.panicked != nil {
			panic(r.panicked)
		}
		if errors.Is(r.err, ErrReauthRequired) && joined && !again {
			continue // it may have looked into the store before this caller came
		}
		if r.err != nil || r.refused == refused || r.token.AccessToken != refused {
			return r.token, r.err
		}
	}
}

// join returns the renewal that is under way, or starts one.
func (s *OAuthTokenSource) join(refused string) (r *renewal, joined bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	joined = s.renewal != nil
	if !joined {
		ctx, cancel := context.WithCancelCause(holder.With(context.Background(), s))
		s.renewal = &renewal{refused: refused, cancel: cancel, done: make(chan struct{}), err: errNoRenewal}
		go s.run(ctx, s.renewal)
	}
	return s.renewal, joined, nil
}

var errNoRenewal = errors.New("drift: the token store ended the goroutine that asked it")

// run works apart from all callers, because each of them may leave.
func (s *OAuthTokenSource) run(ctx context.Context, r *renewal) {
	defer func() {
		r.panicked = recover()
		s.mu.Lock()
		s.renewal = nil
		s.mu.Unlock()
		r.cancel(nil)
		close(r.done)
	}()
	r.token, r.err = s.renew(ctx, r.refused)
	if r.err != nil {
		r.token = nil
	}
	s.tell()
}
