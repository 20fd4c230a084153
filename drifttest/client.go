package drifttest

import (
	"iter"
	"net/http"
	"slices"

	"github.com/driftsdk/drift"
)

// noLimit is more calls than a test makes in a minute.
const noLimit = 1_000_000

// Client returns a client of the server, with its base URL, its first token and the given options. [Server.Close]
// closes it. An option that sets another token is an error; for a client with another token, call [drift.NewClient]
// with the server's URL.
//
// The client has no rate limit, so that a test with many calls does not wait for a minute. With [WithLimits] on the
// minute it has the usual one, and [drift.WithRateLimit] or [drift.WithLimiter] sets another.
//
// A bad option ends the test that started the server, or panics if no test did.
func (s *Server) Client(opts ...drift.Option) *drift.Client {
	s.t.Helper()
	own := []drift.Option{drift.WithBaseURL(s.URL), drift.WithToken(s.settings.tokens[0])}
	if s.inMemory {
		own = append(own, drift.WithHTTPClient(s.client))
	}
	if s.settings.perMinute == 0 {
		own = append(own, drift.WithRateLimit(noLimit))
	}
	client, err := drift.NewClient(slices.Concat(own, opts)...)
	if err != nil {
		s.t.Fatalf("drifttest: Client: %v", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = client.Close()
	}
	s.closers = append(s.closers, client)
	return client
}

// HTTPClient returns an HTTP client that reaches the server, even one that has no port because it started in a bubble of
// testing/synctest. Use it for requests of your own, and as a base of the client that you pass to
// [drift.WithHTTPClient]. [Server.Close] closes its idle connections.
func (s *Server) HTTPClient() *http.Client { return s.client }

// OAuthConfig returns the configuration with which an app gets its tokens from this server. Set its RedirectURL to the
// URL at which your app listens. The default is the first of [OAuthApp.RedirectURLs], or a loopback URL without a
// listener, which is enough for [Server.Allow].
func (s *Server) OAuthConfig() drift.OAuthConfig {
	app := s.settings.app
	redirect := "http://127.0.0.1/callback"
	if len(app.RedirectURLs) > 0 {
		redirect = app.RedirectURLs[0]
	}
	config := drift.OAuthConfig{
		ClientID:     app.ClientID,
		ClientSecret: app.ClientSecret,
		RedirectURL:  redirect,
		AuthURL:      s.URL + authorizePath,
		TokenURL:     s.URL + tokenPath,
	}
	if s.inMemory {
		config.HTTPClient = s.client
	}
	return config
}

// Seq returns the value for a mocked All: a sequence of the items, then (nil, err) unless err is nil. You can range
// over it any number of times.
//
//	all := drifttest.Seq(nil, &drift.Contact{ID: 1})
//	contacts.EXPECT().All(mock.Anything, mock.Anything).Return(all)
//
// For an error before the end, such as a [*drift.RecordError] in place of a record, return a func:
//
//	func(yield func(*drift.Contact, error) bool) {
//		_ = yield(&drift.Contact{ID: 1}, nil) &&
//			yield(nil, &drift.RecordError{Index: 1}) &&
//			yield(&drift.Contact{ID: 3}, nil)
//	}
func Seq[T any](err error, items ...*T) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}
