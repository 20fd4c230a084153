package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/holder"
)

// TokenStore keeps the token of one authorization. The service gives out a new refresh token with each refresh, and the old
// one is then worth nothing: whoever loses the newest is logged out. filestore.OpenTokens is a store that processes of one
// machine share, [NewMemoryTokenStore] is one that the process takes with it when it ends. A store of your own should keep the
// organization too, see [OrgIDFromToken].
//
// Methods must be safe for concurrent use and must return soon after their context has ended.
type TokenStore interface {
	// Load returns the stored token, or nil where there is none. It is called with and without the lock. Under the lock it must
	// see the last Save, from wherever that came: no replica, no cache. A refresh token that is used up ends the authorization.
	Load(ctx context.Context) (*oauth2.Token, error)

	// Save stores a token in place of what is there, all of it or nothing. nil leaves nothing stored. The token source calls it
	// under the lock.
	Save(ctx context.Context, t *oauth2.Token) error

	// Lock keeps all other users of the same token, in other processes too, from refreshing it. It waits until they are done,
	// and returns what ends the lock, which is called once.
	Lock(ctx context.Context) (unlock func(), err error)
}

// NewMemoryTokenStore returns a store that is lost with the process. The token may be nil.
func NewMemoryTokenStore(t *oauth2.Token) TokenStore {
	s := &memoryTokenStore{turn: make(chan struct{}, 1)}
	s.token.Store(cloneToken(t))
	return s
}

type memoryTokenStore struct {
	token atomic.Pointer[oauth2.Token]
	turn  chan struct{} // holds one value while somebody has the lock
}

// Format keeps fmt from printing the token.
func (s *memoryTokenStore) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("drift memory token store"))
}

func (s *memoryTokenStore) Load(context.Context) (*oauth2.Token, error) {
	return cloneToken(s.token.Load()), nil
}

func (s *memoryTokenStore) Save(_ context.Context, t *oauth2.Token) error {
	s.token.Store(cloneToken(t))
	return nil
}

func (s *memoryTokenStore) Lock(ctx context.Context) (func(), error) {
	select {
	case s.turn <- struct{}{}:
		return sync.OnceFunc(func() { <-s.turn }), nil
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
}

func cloneToken(t *oauth2.Token) *oauth2.Token {
	if t == nil {
		return nil
	}
	clone := *t
	return &clone
}

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

// renew looks into the store, and refreshes what it finds if that is neither good nor new.
func (s *OAuthTokenSource) renew(open context.Context, refused string) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeoutCause(open, tokenTimeout, errStoreTimeout)
	defer cancel()
	before := s.held
	token, settled, err := s.settle(ctx, before, refused)
	if settled && !s.mustSave() {
		return token, err
	}
	unlock, lockErr := s.store.Lock(ctx)
	switch {
	case lockErr != nil && settled:
		_ = s.notSaved(lockErr)
		return token, err
	case lockErr != nil:
		return s.storeFailed(ctx, lockErr, refused)
	}
	defer unlock()
	token, settled, err = s.settle(ctx, before, refused)
	if !settled {
		return s.refresh(open, refused)
	}
	if s.mustSave() {
		_ = s.save()
		if err == nil {
			token = s.publish(time.Time{})
		}
	}
	return token, err
}

// settle reports whether what the store has, or what is known already, answers the callers.
func (s *OAuthTokenSource) settle(ctx context.Context, before *oauth2.Token, refused string) (token *oauth2.Token, settled bool, err error) {
	if err := s.look(ctx); err != nil {
		token, err = s.storeFailed(ctx, err, refused)
		return token, true, err
	}
	switch {
	case s.held == nil:
		return nil, true, s.loggedOut(errNoToken)
	case s.good(refused) && (s.held != before || s.refreshAt.IsZero() || time.Now().Before(s.refreshAt)):
		return s.publish(time.Time{}), true, nil
	case s.held.RefreshToken == "":
		return nil, true, &refreshError{reauth: true, err: errNoRefreshToken}
	case s.failure.permanent || time.Now().Before(s.failure.until):
		token, err = s.failed(refused)
		return token, true, err
	}
	return nil, false, nil
}

// refresh asks the service for a new token, while this process has the lock. Whatever comes of it, the store is looked into
// again: a process that knows no lock may have been faster, or a person may have authorized again or signed out.
func (s *OAuthTokenSource) refresh(open context.Context, refused string) (*oauth2.Token, error) {
	for again := false; open.Err() == nil; again = true {
		tried, start := s.held, time.Now()
		next, err := s.endpoint.refresh(context.Background(), tried)
		seen := s.lookAgain()
		if next != nil && next.RefreshToken != tried.RefreshToken {
			s.spent = tried.RefreshToken
		}
		switch {
		case s.held == nil:
			return nil, s.loggedOut(errNoToken)
		case s.held != tried && s.good(refused):
			return s.publish(time.Time{}), nil
		case s.held != tried && s.held.RefreshToken != "" && !again:
		case next == nil:
			return s.fail(err, seen, time.Since(start), refused)
		case err != nil:
			s.held = next // for its refresh token; its access token is the one before
			_ = s.save()
			return s.fail(err, seen, time.Since(start), refused)
		default:
			s.hold(next)
			_ = s.save()
			return s.publish(time.Time{}), nil
		}
	}
	return nil, ErrClosed
}

func (s *OAuthTokenSource) loggedOut(why error) error {
	s.current.Store(nil)
	return &refreshError{reauth: true, err: why}
}

// fail keeps why the held token was not refreshed. Unless the store was seen after it, nothing is final: there may be another
// token in it.
func (s *OAuthTokenSource) fail(err, seen error, took time.Duration, refused string) (*oauth2.Token, error) {
	s.failures++
	code := refusalCode(err)
	s.failure = failure{err: &refreshError{reauth: code == "invalid_grant" && seen == nil, err: err}, permanent: code != "" && seen == nil}
	if took < tokenTimeout { // one that took so long was pause enough
		s.failure.until = time.Now().Add(max(pauseAfter(s.failures), min(askedDelay(err), maxPause)))
	}
	return s.failed(refused)
}

// failed answers the callers after a refresh that failed: with the token as long as it is good.
func (s *OAuthTokenSource) failed(refused string) (*oauth2.Token, error) {
	if s.failure.permanent && refused == s.held.AccessToken {
		s.failure.refused = true
	}
	switch {
	case s.good(refused) && s.failure.permanent:
		return s.publish(time.Now().Add(maxTokenPause)), nil
	case s.good(refused):
		return s.publish(s.failure.until), nil
	case s.failure.permanent:
		s.current.Store(nil)
	}
	return nil, s.failure.err
}

// storeFailed answers the callers when the store cannot be used. Without it no refresh is safe.
func (s *OAuthTokenSource) storeFailed(ctx context.Context, err error, refused string) (*oauth2.Token, error) {
	if s.good(refused) {
		return s.publish(time.Now().Add(minPause)), nil
	}
	switch context.Cause(ctx) { // that is not the end of the caller's context
	case ErrClosed:
		return nil, ErrClosed
	case errStoreTimeout:
		err = errStoreTimeout
	}
	return nil, &refreshError{err: &TransportError{Operation: refreshOperation, Err: &cause{text: "the token store failed", err: err}}}
}

var errStoreTimeout = &cause{text: "the token store took too long", timeout: true}

// refusalCode returns the code with which the service refuses a refresh for good, or "". The same status without a code of
// RFC 6749 may come from anything on the way.
func refusalCode(err error) string {
	var answer *APIError
	if !errors.As(err, &answer) || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode == http.StatusRequestTimeout {
		return ""
	}
	switch answer.Type {
	case "invalid_grant", "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type":
		return answer.Type
	}
	return ""
}

func askedDelay(err error) time.Duration {
	var answer *APIError
	if errors.As(err, &answer) {
		return answer.RetryAfter
	}
	return 0
}

// pauseAfter grows with the number of failures one after the other.
func pauseAfter(failures int) time.Duration {
	return min(minPause<<min(max(failures-1, 0), 5), maxTokenPause)
}

func (s *OAuthTokenSource) mustSave() bool {
	return s.unsaved && !time.Now().Before(s.saveAt)
}

// save stores the held token.
func (s *OAuthTokenSource) save() error {
	s.unsaved = true
	ctx, cancel := s.saving()
	defer cancel()
	if err := s.store.Save(ctx, cloneToken(s.held)); err != nil {
		return s.notSaved(err)
	}
	s.saved(s.held)
	return nil
}

// saving is a context for what the store has to do whoever waits. By it the store knows who has its lock.
func (s *OAuthTokenSource) saving() (context.Context, context.CancelFunc) {
	return context.WithTimeout(holder.With(context.Background(), s), saveTimeout)
}

func (s *OAuthTokenSource) saved(token *oauth2.Token) {
	s.stored, s.unsaved, s.saveAt, s.saves = token, false, time.Time{}, 0
}

func (s *OAuthTokenSource) notSaved(err error) error {
	s.saves++
	s.saveAt = time.Now().Add(pauseAfter(s.saves))
	s.untold = &cause{text: "cannot store the token", err: err}
	return s.untold
}

// tell comes last, without the lock, because the hook may do anything.
func (s *OAuthTokenSource) tell() {
	err := s.untold
	s.untold = nil
	if err != nil && s.hook != nil {
		s.hook(err)
	}
}

var (
	errNoToken        = errors.New("no token is stored")
	errNoRefreshToken = errors.New("the token has no refresh token")
)

// look takes over what the store has, if that has changed: another process has refreshed it, or a person has authorized again.
// What is known to be used up comes from a store that lags behind.
func (s *OAuthTokenSource) look(ctx context.Context) error {
	loaded, err := s.store.Load(ctx)
	if err != nil {
		return err
	}
	usedUp := loaded != nil && loaded.RefreshToken != "" && loaded.RefreshToken == s.spent
	if !usedUp && !sameToken(loaded, s.stored) {
		s.saved(cloneToken(loaded))
		s.hold(s.stored)
	}
	return nil
}

// lookAgain is for the time after a request, when there may be a token to be saved: what is wrong with the store is then told
// by saving.
func (s *OAuthTokenSource) lookAgain() error {
	ctx, cancel := s.saving()
	defer cancel()
	return s.look(ctx)
}

func sameToken(a, b *oauth2.Token) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.AccessToken == b.AccessToken && a.RefreshToken == b.RefreshToken
}

// hold makes a token the newest.
func (s *OAuthTokenSource) hold(token *oauth2.Token) {
	s.held, s.failure, s.failures, s.refreshAt = token, failure{}, 0, time.Time{}
	if token == nil || token.Expiry.IsZero() || token.RefreshToken == "" {
		return
	}
	left := time.Until(token.Expiry)
	life := cmp.Or(time.Duration(max(0, min(token.ExpiresIn, int64(maxTokenLife/time.Second))))*time.Second, left)
	early := min(max(earliestRefresh, life/10), life/2)
	s.refreshAt = token.Expiry.Add(-early - jitter(early/10)).Round(0) // processes that share it should not come all at once
}

// good reports whether the held token can be used.
func (s *OAuthTokenSource) good(refused string) bool {
	t := s.held
	return t.Valid() && t.AccessToken != refused && !s.failure.refused && t.Type() == "Bearer" && checkToken(t.AccessToken) == nil
}

// publish lets calls use the held token until it has to be looked after: at the given time, or else when it is time to refresh
// it.
func (s *OAuthTokenSource) publish(next time.Time) *oauth2.Token {
	if next.IsZero() {
		next = s.refreshAt
	}
	end := s.held.Expiry
	if !end.IsZero() {
		end = end.Add(-expiryMargin)
	}
	until := int64(math.MaxInt64)
	for _, t := range []time.Time{next, s.saveAt, end} {
		if !t.IsZero() && t.Year() < 2200 { // after that nanoseconds overflow
			until = min(until, t.UnixNano())
		}
	}
	s.current.Store(&currentToken{s.held, until})
	return s.held
}

// refreshError is why there is no new token. Its text is known to be harmless.
type refreshError struct {
	reauth bool
	err    error
}

func (e *refreshError) Error() string {
	if e.reauth {
		return withCause(ErrReauthRequired.Error(), e.err)
	}
	return e.err.Error()
}

// Is keeps the status of the token endpoint apart from that of the call that needed the token: a token endpoint that is not
// found must not look like a record that is not found.
func (e *refreshError) Is(target error) bool {
	var answer *APIError
	switch {
	case e.reauth:
		return target == ErrReauthRequired
	case errors.As(e.err, &answer):
		return (target == ErrServer || target == ErrRateLimited) && answer.Is(target)
	}
	return errors.Is(e.err, target)
}

// As finds target in the cause.
func (e *refreshError) As(target any) bool { return errors.As(e.err, target) }

// Format writes the text for every verb.
func (e *refreshError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns whether a person has to authorize again, and the cause.
func (e *refreshError) LogValue() slog.Value {
	return logGroup(slog.Bool("reauth_required", e.reauth), slog.Any("cause", e.err))
}
