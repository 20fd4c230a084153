package redisstore_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/redisstore"
	"github.com/driftsdk/drift/webhook"
)

// openEach returns a function that returns stores of one new account, each with connections of its own.
func (s *server) openEach(opts ...redisstore.Option) func() *redisstore.Store {
	opts = append(opts, redisstore.WithAccount(rand.Text()), redisstore.WithTimeout(time.Second))
	return func() *redisstore.Store { return s.open(opts...) }
}

// at returns the server for a subtest, at whose end the stores are closed.
func (s *server) at(t *testing.T) *server { return &server{t: t, addr: s.addr} }

func TestLimiterKeepsAllPromises(t *testing.T) {
	s := startRedis(t)
	storetest.TestSharedLimiter(t, func(t *testing.T, perMinute int) func() drift.Limiter {
		open := s.at(t).openEach()
		return func() drift.Limiter { return open().Limiter(perMinute) }
	})
}

func TestQuotaKeepsAllPromises(t *testing.T) {
	s := startRedis(t)
	storetest.TestSharedQuotaStore(t, func(t *testing.T, plan drift.Plan) func() drift.QuotaStore {
		open := s.at(t).openEach(redisstore.WithPlan(plan))
		return func() drift.QuotaStore { return open() }
	})
}

func TestTokensKeepAllPromises(t *testing.T) {
	s := startRedis(t)
	storetest.TestSharedTokenStore(t, func(t *testing.T) func() drift.TokenStore {
		open := s.at(t).openEach()
		return func() drift.TokenStore { return open().Tokens("acme") }
	})
}

func TestDedupKeepsAllPromises(t *testing.T) {
	s := startRedis(t)
	storetest.TestSharedDedup(t, func(t *testing.T) func() webhook.Dedup {
		open := s.at(t).openEach()
		return func() webhook.Dedup { return open().Dedup() }
	})
}
