package drift

import (
	"context"
	"time"

	"golang.org/x/oauth2"
)

// RefreshingTokenSource is a token source that gets the caller's context and is told which token was refused. Give it to
// [WithTokenSource]. Implementations must be safe for concurrent use, and should let callers that come at the same time
// share one refresh.
type RefreshingTokenSource interface {
	oauth2.TokenSource

	// TokenContext returns a token that is good for now.
	TokenContext(ctx context.Context) (*oauth2.Token, error)

	// Refresh returns a token in place of one that the service refused. Where stale is no longer the newest, the newest is
	// enough. Returning the same access token means that there is no other.
	Refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error)
}

// tokens is what an attempt needs of a token source.
type tokens interface {
	token(ctx context.Context) (*oauth2.Token, error)
	refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error)
}

func newTokens(source oauth2.TokenSource) tokens {
	switch source := source.(type) {
	case staticTokens:
		return source
	case RefreshingTokenSource:
		return refreshingTokens{source}
	default:
		return plainTokens{source}
	}
}

// staticTokens is the one token of WithToken.
type staticTokens struct{ only *oauth2.Token }

func (s staticTokens) Token() (*oauth2.Token, error) { return s.only, nil }

func (s staticTokens) token(context.Context) (*oauth2.Token, error) { return s.only, nil }

func (s staticTokens) refresh(context.Context, *oauth2.Token) (*oauth2.Token, error) {
	return s.only, nil
}

type refreshingTokens struct{ RefreshingTokenSource }

func (s refreshingTokens) token(ctx context.Context) (*oauth2.Token, error) {
	return s.TokenContext(ctx)
}

func (s refreshingTokens) refresh(ctx context.Context, stale *oauth2.Token) (*oauth2.Token, error) {
	return s.Refresh(ctx, stale)
}

// plainTokens asks a source that takes no context, without letting it outlast the caller's. The goroutine ends with the
// source's answer; a panic of the source reaches the caller.
type plainTokens struct{ source oauth2.TokenSource }

func (s plainTokens) token(ctx context.Context) (*oauth2.Token, error) {
	type result struct {
		token    *oauth2.Token
		err      error
		panicked any
	}
	answer := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			answer <- r
		}()
		r.token, r.err = s.source.Token()
	}()
	select {
	case r := <-answer:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.token, r.err
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
}

func (s plainTokens) refresh(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
	return s.token(ctx)
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
	return checkedToken(ctx, token, err, "no token")
}

// newToken returns another token than the one that was refused, or nil where the source has none.
func (c *call) newToken(ctx context.Context) (*oauth2.Token, error) {
	start := time.Now()
	token, err := c.tokens.refresh(ctx, c.last.token)
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
		return nil, &cause{text: "the token source returned none"}
	case token.Type() != "Bearer":
		return nil, &cause{text: "the token is not of type Bearer"}
	}
	if err := checkToken(token.AccessToken); err != nil {
		return nil, &cause{text: "the token", err: err}
	}
	return token, nil
}
