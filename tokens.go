package drift

import (
	"context"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// RefreshingTokenSource is a token source that gets the caller's context and the token that was refused. Give it to
// [WithTokenSource]. Implementations must be safe for concurrent use, and should let callers that come at the same time
// share one refresh.
type RefreshingTokenSource interface {
	oauth2.TokenSource

	// TokenContext returns a token that is good for now.
	TokenContext(ctx context.Context) (*oauth2.Token, error)

	// Refresh returns a token in place of one that the service refused. Where stale is no longer the newest, the newest
	// is enough. Returning the same access token means that there is no other.
	Refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error)
}

// tokens is what a call needs of a token source.
type tokens interface {
	token(ctx context.Context) (*oauth2.Token, error)

	// refresh returns a token in place of one that was refused to the call. The same token means that a call with
	// another one would not fare better.
	refresh(ctx context.Context, stale *oauth2.Token, use tokenUse) (*oauth2.Token, error)

	// served notes that a call succeeded with the token.
	served(token *oauth2.Token, use tokenUse)
}

func newTokens(source oauth2.TokenSource) tokens {
	switch source := source.(type) {
	case staticTokens:
		return source
	case *OAuthTokenSource:
		return oauthTokens{source}
	case RefreshingTokenSource:
		return &refreshingTokens{RefreshingTokenSource: source}
	default:
		return &plainTokens{source: source}
	}
}

// staticTokens is the one token of WithToken.
type staticTokens struct{ only *oauth2.Token }

func (s staticTokens) Token() (*oauth2.Token, error) { return s.only, nil }

func (s staticTokens) token(context.Context) (*oauth2.Token, error) { return s.only, nil }

func (s staticTokens) refresh(context.Context, *oauth2.Token, tokenUse) (*oauth2.Token, error) {
	return s.only, nil
}

func (staticTokens) served(*oauth2.Token, tokenUse) {}

// oauthTokens is a source that keeps its own refusals, for all the clients that share it.
type oauthTokens struct{ *OAuthTokenSource }

func (s oauthTokens) token(ctx context.Context) (*oauth2.Token, error) { return s.TokenContext(ctx) }

func (s oauthTokens) refresh(ctx context.Context, stale *oauth2.Token, use tokenUse) (*oauth2.Token, error) {
	return s.replace(ctx, stale, use)
}

func (s oauthTokens) served(token *oauth2.Token, use tokenUse) {
	s.refusals.serve(token.AccessToken, use)
}

type refreshingTokens struct {
	RefreshingTokenSource
	refusals refusals
}

func (s *refreshingTokens) token(ctx context.Context) (*oauth2.Token, error) {
	return s.TokenContext(ctx)
}

func (s *refreshingTokens) refresh(ctx context.Context, stale *oauth2.Token, use tokenUse) (*oauth2.Token, error) {
	if !s.refusals.justify(stale.AccessToken, use) {
		return s.TokenContext(ctx)
	}
	token, err := s.Refresh(ctx, stale)
	s.refusals.trackNew(token, stale, err)
	return token, err
}

func (s *refreshingTokens) served(token *oauth2.Token, use tokenUse) {
	s.refusals.serve(token.AccessToken, use)
}

// plainTokens asks a source that takes no context, without letting it outlast the caller's. One goroutine asks for all
// who wait, and ends with the source's answer.
type plainTokens struct {
	source   oauth2.TokenSource
	refusals refusals

	mu     sync.Mutex
	asking *question // that is under way, or nil
}

// question is what one goroutine asks the source. A panic of the source reaches all who wait.
type question struct {
	done     chan struct{}
	token    *oauth2.Token
	err      error
	panicked any
}

func (s *plainTokens) token(ctx context.Context) (*oauth2.Token, error) {
	q, _ := s.ask()
	return q.wait(ctx)
}

func (s *plainTokens) refresh(ctx context.Context, stale *oauth2.Token, use tokenUse) (*oauth2.Token, error) {
	if !s.refusals.justify(stale.AccessToken, use) {
		return stale, nil
	}
	q, joined := s.ask()
	token, err := q.wait(ctx)
	if joined && err == nil && token != nil && token.AccessToken == stale.AccessToken {
		q, _ = s.ask() // the source may have been asked before the token was refused
		token, err = q.wait(ctx)
	}
	s.refusals.trackNew(token, stale, err)
	return token, err
}

func (s *plainTokens) served(token *oauth2.Token, use tokenUse) {
	s.refusals.serve(token.AccessToken, use)
}

// ask returns the question that is under way, or a new one.
func (s *plainTokens) ask() (q *question, joined bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asking != nil {
		return s.asking, true
	}
	q = &question{done: make(chan struct{})}
	s.asking = q
	go func() {
		defer func() {
			q.panicked = recover()
			s.mu.Lock()
			s.asking = nil
			s.mu.Unlock()
			close(q.done)
		}()
		q.token, q.err = s.source.Token()
	}()
	return q, false
}

func (q *question) wait(ctx context.Context) (*oauth2.Token, error) {
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	if q.panicked != nil {
		panic(q.panicked)
	}
	return q.token, q.err
}

// authorize returns the token for an attempt: the one that was just fetched in place of a refused one, or the source's.
func (c *call) authorize(ctx context.Context) (*oauth2.Token, error) {
	if fresh := c.fresh; fresh != nil {
		c.fresh = nil
		return fresh, nil
	}
	if static, ok := c.tokens.(staticTokens); ok { // WithToken has checked it
		return static.token(ctx)
	}
	start := time.Now()
	token, err := c.tokens.token(ctx)
	c.waitedFor(WaitToken, time.Since(start))
	return checkedToken(ctx, token, err, "the token source failed")
}

// newToken returns another token than the one that was refused, or nil where the source has none.
func (c *call) newToken(ctx context.Context) (*oauth2.Token, error) {
	start := time.Now()
	token, err := c.tokens.refresh(ctx, c.last.token, tokenUse{c.route.Name, c.start})
	c.waitedFor(WaitToken, time.Since(start))
	if err == nil && token != nil && token.AccessToken == c.last.token.AccessToken {
		return nil, nil
	}
	return checkedToken(ctx, token, err, "no new token")
}

func checkedToken(ctx context.Context, token *oauth2.Token, err error, none string) (*oauth2.Token, error) {
	switch {
	case err != nil:
		return nil, failed(ctx, none, err)
	case token == nil:
		return nil, local("the token source returned none", nil)
	case token.Type() != "Bearer":
		return nil, local("the token is not of type Bearer", nil)
	}
	if err := checkToken(token.AccessToken); err != nil {
		return nil, local("the token", err)
	}
	return token, nil
}
