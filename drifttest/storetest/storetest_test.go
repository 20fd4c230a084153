package storetest_test

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openMemoryLimiter(_ *testing.T, perMinute int) drift.Limiter { return drift.NewLimiter(perMinute) }

func openMemoryTokens(*testing.T) drift.TokenStore { return drift.NewMemoryTokenStore(nil) }

func openMemoryDedup(*testing.T) webhook.Dedup { return webhook.NewMemoryDedup(0) }

func TestMemory(t *testing.T) {
	storetest.TestTokenStore(t, openMemoryTokens)
	storetest.TestDedup(t, openMemoryDedup)
}

func TestMemoryInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storetest.TestLimiter(t, openMemoryLimiter)
		storetest.TestTokenStore(t, openMemoryTokens)
		storetest.TestDedup(t, openMemoryDedup)
	})
}
