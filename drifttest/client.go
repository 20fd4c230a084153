package drifttest

import (
	"iter"
	"slices"

	"github.com/driftsdk/drift"
)

// Client returns a client of the server, with its base URL, its first token and the given options. [Server.Close]
// closes it. An option that sets another token is an error; for a client with another token, call [drift.NewClient]
// with the server's URL.
//
// A bad option ends the test that started the server, or panics if no test did.
func (s *Server) Client(opts ...drift.Option) *drift.Client {
	s.t.Helper()
	own := []drift.Option{drift.WithBaseURL(s.URL), drift.WithToken(s.settings.tokens[0])}
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

// OAuthConfig returns the configuration with which an app gets its tokens from this server. Set its RedirectURL to the
// URL at which your app listens. The default is the first of [OAuthApp.RedirectURLs], or a loopback URL without a
// listener, which is enough for [Server.Allow].
func (s *Server) OAuthConfig() drift.OAuthConfig {
	app := s.settings.app
	redirect := "http://127.0.0.1/callback"
	if len(app.RedirectURLs) > 0 {
		redirect = app.RedirectURLs[0]
	}
	return drift.OAuthConfig{
		ClientID:     app.ClientID,
		ClientSecret: app.ClientSecret,
		RedirectURL:  redirect,
		AuthURL:      s.URL + authorizePath,
		TokenURL:     s.URL + tokenPath,
	}
}

// Seq returns the value for a mocked All: a sequence of the items, then (nil, err) unless err is nil. You can range
// over it any number of times.
//
//	contacts.EXPECT().All(mock.Anything, mock.Anything).Return(drifttest.Seq(nil, &drift.Contact{ID: 1}))
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
