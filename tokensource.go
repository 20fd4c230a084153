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
	refusedPause    = 2 * time.Minute  // after the service refused the client, and not its refresh token
	expiryMargin    = 10 * time.Second // as in package oauth2: a token so close to its end counts as expired
)

// OAuthTokenSource keeps the token of one authorization good. Make it with [OAuthConfig.TokenSource], one for each
// authorization in a process, and give it to [WithTokenSource] of as many clients as you like. It is safe for
// concurrent use.
//
// At most one refresh runs at a time; concurrent callers share its result. It runs apart from its callers, each of whom
// leaves when its own context ends. A token that is about to expire is refreshed ahead of time while callers go on with
// it.
//
// A failing service or the page of a firewall logs no one out: the token stays as it is, and the next request waits for
// 1 s, growing to 30 s. You get [ErrReauthRequired] only when the service rejects the refresh token; no further request
// goes out then until the store has another token. Errors of the service are an [*APIError], a [*TransportError] or a
// [*DecodeError] whose Operation is "oauth.refresh", for errors.As.
type OAuthTokenSource struct {
	current  atomic.Pointer[currentToken] // nil: callers have to wait for a renewal
	refusals refusals
	endpoint *tokenEndpoint
	store    TokenStore
	config   OAuthConfig // for its callbacks and its logger
	invalid  error       // why the configuration cannot be used

	mu      sync.Mutex
	renewal *renewal // that is under way, or nil
	closed  bool

	// What follows belongs to the renewal that is under way.
	held      *oauth2.Token // the newest
	stored    *oauth2.Token // what the store had when it was last seen
	usedUp    usedUpTokens
	refreshAt time.Time // of held; zero: never
	lookAt    time.Time // what publish was last given
	failure   failure   // of refreshing held
	failures  int       // in a row
	blocked   int       // times in a row that the store could not be used
	quietTill time.Time // no failure of the store is reported again before
	unsaved   bool      // held is not in the store
	saveAt    time.Time // when to try again
	saves     int       // that have failed in a row
	reports   []func()  // for the time when the lock is free
}

var _ RefreshingTokenSource = (*OAuthTokenSource)(nil)

// currentToken is what a call needs to know of the token.
type currentToken struct {
	token *oauth2.Token
	until int64 // by the wall clock in ns: from then on it is to be looked after
}

// failure is why a token was not refreshed. It is kept so that the next caller need not ask the service to learn the
// same.
type failure struct {
	err     error
	until   time.Time // of a passing one
	final   bool      // it holds as long as the store has no other token
	refused bool      // the service refuses the access token too
}

// TokenSource keeps the stored token good. Nothing is read or sent before the first call; a configuration that is wrong
// is a [*ValidationError] then.
func (c OAuthConfig) TokenSource(store TokenStore) *OAuthTokenSource {
	s := &OAuthTokenSource{store: store, config: c}
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

// Token is TokenContext without a context: it waits for as long as a refresh takes, at most about 30 seconds with each
// of the store and the service.
func (s *OAuthTokenSource) Token() (*oauth2.Token, error) {
	return s.TokenContext(context.Background())
}

// TokenContext returns the token if it is good, and else waits for a new one. The token is shared: do not change it.
func (s *OAuthTokenSource) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	if c := s.current.Load(); c != nil && time.Now().UnixNano() < c.until {
		return c.token, nil
	}
	return s.renewed(ctx, wanted{})
}

// Refresh returns a token in place of one that the service refused: the newest, where that is another one already, and
// else one from a refresh that all who were refused the same token share.
func (s *OAuthTokenSource) Refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	if stale == nil {
		return s.TokenContext(ctx)
	}
	if newer := s.newer(stale); newer != nil {
		return newer, nil
	}
	return s.renewed(ctx, wanted{refused: stale.AccessToken})
}

// replace is Refresh for a call that was refused: only if a refresh may help.
func (s *OAuthTokenSource) replace(ctx context.Context, stale *oauth2.Token, use tokenUse) (*oauth2.Token, error) {
	if newer := s.newer(stale); newer != nil {
		return newer, nil
	}
	justified := s.refusals.justify(stale.AccessToken, use)
	return s.renewed(ctx, wanted{refused: stale.AccessToken, asStored: !justified})
}

// newer returns the token at hand if that is another one.
func (s *OAuthTokenSource) newer(stale *oauth2.Token) *oauth2.Token {
	if c := s.current.Load(); c != nil && c.token.AccessToken != stale.AccessToken && c.token.Valid() {
		return c.token
	}
	return nil
}

// wanted is which token a caller can use.
type wanted struct {
	refused  string // not this access token, which the service refused; "": any that is good
	asStored bool   // one that is there already, even the refused one: a refresh would not help
}

// Close refuses further calls with [ErrClosed], and waits for a refresh that is under way: its answer may hold the only
// refresh token that is good from then on. Programs that end should call it for that reason. A token that could not be
// stored is stored now; the error is that of the store, if it fails again.
//
// Callers that still wait for the store or its lock get ErrClosed at once. A request that is under way has 30 s, and
// the store 20 s after that, 40 s if it fails: with a store that obeys its contexts, and a quick SaveFailed, Close
// takes 70 s at most.
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
	wanted
	cancel   context.CancelCauseFunc // ends it, if no request has been sent yet
	done     chan struct{}
	token    *oauth2.Token
	err      error
	panicked any
}

// renewed returns a token as the caller wants it. It does not wait while the one at hand will do.
func (s *OAuthTokenSource) renewed(ctx context.Context, w wanted) (*oauth2.Token, error) {
	switch {
	case s.invalid != nil:
		return nil, s.invalid
	case ctx == nil:
		return nil, &ValidationError{Operation: refreshOperation, Argument: "ctx", Reason: errNil.Error()}
	}
	for again := false; ; again = true {
		r, joined, err := s.join(w)
		if err != nil {
			return nil, err
		}
		if c := s.current.Load(); w.refused == "" && c != nil && c.token.Valid() {
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
		if r.err != nil || r.wanted == w || r.token.AccessToken != w.refused {
			return r.token, r.err
		}
	}
}

// join returns the renewal that is under way, or starts one.
func (s *OAuthTokenSource) join(w wanted) (r *renewal, joined bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	joined = s.renewal != nil
	if !joined {
		ctx, cancel := context.WithCancelCause(holder.With(context.Background(), s))
		s.renewal = &renewal{wanted: w, cancel: cancel, done: make(chan struct{}), err: errNoRenewal}
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
	r.token, r.err = s.renew(ctx, r.wanted)
	if r.err != nil {
		r.token = nil
	}
	s.report()
}
