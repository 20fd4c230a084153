package drift

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift/internal/holder"
)

// renew looks into the store, and refreshes what it finds if that will not do.
func (s *OAuthTokenSource) renew(open context.Context, w wanted) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeoutCause(open, tokenTimeout, errStoreTimeout)
	defer cancel()
	before := s.held
	token, done, err := s.consult(ctx, before, w)
	if done && !s.mustSave() {
		return token, err
	}
	unlock, lockErr := s.store.Lock(ctx)
	switch {
	case lockErr != nil && done:
		_ = s.notSaved(lockErr)
		return token, err
	case lockErr != nil:
		return s.storeFailed(ctx, lockErr, w.refused)
	}
	defer unlock()
	token, done, err = s.consult(ctx, before, w)
	if !done {
		token, err = s.prepareAndRefresh(open, ctx, w.refused)
	}
	if s.mustSave() {
		_ = s.save()
		if err == nil {
			token = s.publish(s.lookAt)
		}
	}
	return token, err
}

// consult reports whether what the store has, or what is known already, answers the callers.
func (s *OAuthTokenSource) consult(
	ctx context.Context, before *oauth2.Token, w wanted,
) (token *oauth2.Token, done bool, err error) {
	if err := s.look(ctx); err != nil {
		token, err = s.storeFailed(ctx, err, w.refused)
		return token, true, err
	}
	switch {
	case s.held == nil:
		return nil, true, s.loggedOut(errNoToken)
	case s.good(w.refused) && (s.held != before || s.refreshAt.IsZero() || time.Now().Before(s.refreshAt)):
		return s.publish(time.Time{}), true, nil
	case w.asStored && s.good(""):
		return s.held, true, nil
	case s.held.RefreshToken == "":
		return nil, true, &refreshError{reauth: true, err: errNoRefreshToken}
	case s.failure.final || time.Now().Before(s.failure.until):
		token, err = s.failed(w.refused)
		return token, true, err
	}
	return nil, false, nil
}

// prepareAndRefresh refreshes only if the next token can be stored: the refresh token is used up when it has been sent.
func (s *OAuthTokenSource) prepareAndRefresh(open, ctx context.Context, refused string) (*oauth2.Token, error) {
	if store, ok := s.store.(PreparingTokenStore); ok {
		if err := s.prepare(ctx, store); err != nil {
			return s.storeFailed(ctx, err, refused)
		}
	}
	s.blocked = 0
	return s.refresh(open, refused)
}

func (s *OAuthTokenSource) prepare(ctx context.Context, store PreparingTokenStore) error {
	if s.unsaved {
		if err := s.save(); err != nil {
			return err
		}
	}
	return store.Prepare(ctx)
}

// refresh asks the service for a new token, while this process has the lock. Afterwards it looks into the store again,
// whether the request succeeded or not: a process that ignores the lock may have been faster, or a person may have
// authorized again or signed out.
func (s *OAuthTokenSource) refresh(open context.Context, refused string) (*oauth2.Token, error) {
	for again := false; open.Err() == nil; again = true {
		tried, start := s.held, time.Now()
		next, attempts, err := s.endpoint.refresh(context.Background(), tried)
		took, rotated := time.Since(start), next != nil && next.RefreshToken != tried.RefreshToken
		s.refreshed(RefreshInfo{Duration: took, Attempts: attempts, Rotated: rotated, Err: err})
		seen := s.lookAgain()
		if rotated {
			s.usedUp.add(tried.RefreshToken)
		}
		switch {
		case s.held == nil:
			return nil, s.loggedOut(errNoToken)
		case s.held != tried && s.good(refused):
			return s.publish(time.Time{}), nil
		case s.held != tried && s.held.RefreshToken != "" && !again:
		case next == nil:
			return s.fail(err, seen, took, refused)
		case err != nil:
			s.held = next // for its refresh token; its access token is the one before
			_ = s.save()
			return s.fail(err, seen, took, refused)
		default:
			s.hold(next, time.Now())
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

// fail keeps why the held token was not refreshed. Unless the store was seen after it, nothing is final: there may be
// another token in it. A refusal of the client may come from a service that is being changed, so it passes too.
func (s *OAuthTokenSource) fail(err, seen error, took time.Duration, refused string) (*oauth2.Token, error) {
	s.failures++
	code := refusalCode(err)
	final := code == invalidGrant && seen == nil
	s.failure = failure{err: &refreshError{reauth: final, err: err}, final: final}
	switch {
	case code != "" && code != invalidGrant:
		s.failure.until = time.Now().Add(refusedPause)
	case took < tokenTimeout: // one that took so long was pause enough
		s.failure.until = time.Now().Add(max(pauseAfter(s.failures), min(askedDelay(err), maxPause)))
	}
	s.refreshFailed(s.failure.err)
	return s.failed(refused)
}

// failed answers the callers after a refresh that failed: with the token as long as it is good.
func (s *OAuthTokenSource) failed(refused string) (*oauth2.Token, error) {
	if s.failure.final && refused == s.held.AccessToken {
		s.failure.refused = true
	}
	switch {
	case s.good(refused) && s.failure.final:
		return s.publish(time.Now().Add(maxTokenPause)), nil
	case s.good(refused):
		return s.publish(s.failure.until), nil
	case s.failure.final:
		s.current.Store(nil)
	}
	return nil, s.failure.err
}

// storeFailed answers the callers when the store cannot be used. Without it no refresh is safe.
func (s *OAuthTokenSource) storeFailed(ctx context.Context, err error, refused string) (*oauth2.Token, error) {
	closed := false
	switch context.Cause(ctx) { // that is not the end of the caller's context
	case ErrClosed:
		closed = true
	case errStoreTimeout:
		err = errStoreTimeout
	}
	failed := &refreshError{err: &TransportError{Operation: refreshOperation, Err: local("the token store failed", err)}}
	if now := time.Now(); !closed && !now.Before(s.quietTill) {
		s.blocked++
		s.quietTill = now.Add(pauseAfter(s.blocked))
		s.refreshFailed(failed)
	}
	switch {
	case s.good(refused):
		return s.publish(time.Now().Add(pauseAfter(s.blocked))), nil
	case closed:
		return nil, ErrClosed
	}
	return nil, failed
}

var errStoreTimeout = &cause{kind: KindTimeout, text: "the store took too long", timeout: true}

// invalidGrant is the code for a refresh token that is not good any more, the only one that no retry can help.
const invalidGrant = "invalid_grant"

// refusalCode returns the code with which the service refuses a refresh, or "". The same status without a code of
// RFC 6749 may come from anything on the way.
func refusalCode(err error) string {
	var answer *APIError
	if !errors.As(err, &answer) || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests ||
		answer.StatusCode == http.StatusRequestTimeout {
		return ""
	}
	switch answer.Type {
	case invalidGrant, "invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type":
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

// saving returns a context for work on the store that must not end with a caller. It names the holder of the lock.
func (s *OAuthTokenSource) saving() (context.Context, context.CancelFunc) {
	return context.WithTimeout(holder.With(context.Background(), s), saveTimeout)
}

func (s *OAuthTokenSource) saved(token *oauth2.Token) {
	s.stored, s.unsaved, s.saveAt, s.saves = token, false, time.Time{}, 0
}

func (s *OAuthTokenSource) notSaved(err error) error {
	s.saves++
	s.saveAt = time.Now().Add(pauseAfter(s.saves))
	err = local("cannot store the token", err)
	s.reportLater("drift: the token was not stored", err, s.config.SaveFailed)
	return err
}

func (s *OAuthTokenSource) refreshed(info RefreshInfo) {
	if s.config.OnRefresh != nil {
		s.reports = append(s.reports, func() { s.config.OnRefresh(info) })
	}
}

func (s *OAuthTokenSource) refreshFailed(err error) {
	s.reportLater("drift: the token was not refreshed", err, s.config.RefreshFailed)
}

func (s *OAuthTokenSource) reportLater(message string, err error, callback func(error)) {
	s.reports = append(s.reports, func() {
		if logger := s.config.Logger; logger != nil {
			logger.LogAttrs(context.Background(), slog.LevelWarn, message, ErrorAttr(err))
		}
		if callback != nil {
			callback(err)
		}
	})
}

// report comes last, without the lock, because callbacks may do anything. A panic of one does not keep the others from
// running.
func (s *OAuthTokenSource) report() {
	if len(s.reports) == 0 {
		return
	}
	next := s.reports[0]
	s.reports = s.reports[1:]
	defer s.report()
	next()
}

var (
	errNoToken        = errors.New("no token is stored")
	errNoRefreshToken = errors.New("the token has no refresh token")
)

// look adopts the token in the store, if that has changed: another process has refreshed it, or a person has authorized
// again. A token that is known to be used up comes from a store that lags behind, or from a backup: the held one goes
// in its place.
func (s *OAuthTokenSource) look(ctx context.Context) error {
	loaded, err := s.store.Load(ctx)
	switch {
	case err != nil:
		return err
	case loaded != nil && s.usedUp.has(loaded.RefreshToken):
		s.unsaved = s.held != nil
	case !sameToken(loaded, s.stored):
		s.saved(cloneToken(loaded))
		s.hold(s.stored, time.Time{})
	}
	return nil
}

// lookAgain looks into the store after a request. If the store fails, saving the new token reports it.
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

// hold makes a token the newest. One that was not issued to this process just now has no time of issue.
func (s *OAuthTokenSource) hold(token *oauth2.Token, issued time.Time) {
	if token != nil {
		s.refusals.track(token.AccessToken, issued)
	}
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

// publish lets calls use the held token until it has to be looked after: at the given time, or else when it is time to
// refresh it.
func (s *OAuthTokenSource) publish(next time.Time) *oauth2.Token {
	s.lookAt = next
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

// usedUpTokens are hashes of the refresh tokens that this process has used up, the latest last.
type usedUpTokens [][sha256.Size]byte

const maxUsedUpTokens = 1000

func (u *usedUpTokens) add(token string) {
	*u = append((*u)[max(0, len(*u)+1-maxUsedUpTokens):], sha256.Sum256([]byte(token)))
}

func (u *usedUpTokens) has(token string) bool {
	return token != "" && slices.Contains(*u, sha256.Sum256([]byte(token)))
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

// Is keeps the status of the token endpoint apart from that of the call that needed the token: a token endpoint that is
// not found must not look like a record that is not found.
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

// Temporary reports whether the refresh may succeed later without a person.
func (e *refreshError) Temporary() bool { return !e.reauth }

// Format writes the text for every verb.
func (e *refreshError) Format(f fmt.State, verb rune) { formatError(f, verb, e) }

// LogValue returns the text, the kind and the fields of the cause.
func (e *refreshError) LogValue() slog.Value { return logValue(e) }
