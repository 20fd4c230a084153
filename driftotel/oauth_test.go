package driftotel_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/driftotel"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		authority := testkit.NewAuthority()
		authority.Delay = time.Second
		authority.Answers = []testkit.Responder{testkit.Answer(418)}
		config := authority.Config()
		config.OnRefresh = driftotel.OnRefresh(b.options()...)
		source := testkit.NewSource(t, config, drift.NewMemoryTokenStore(testkit.Expired()))
		_, err := source.Token()
		require.Error(t, err)
		time.Sleep(time.Minute)
		_, err = source.Token()
		require.NoError(t, err)
		assert.Equal(t, []string{
			`oauth.refresh internal Error < "" drift.attempts=1 drift.operation=oauth.refresh error.type=_OTHER`,
			`oauth.refresh internal Unset < "" drift.attempts=1 drift.operation=oauth.refresh`,
		}, b.ended())
		for _, span := range b.spans.Ended() {
			assert.Equal(t, time.Second, span.EndTime().Sub(span.StartTime()))
			assert.Equal(t, trace.SpanContext{}, span.Parent(), "a root: it serves many callers")
		}
		assert.Equal(t, map[string]string{"error.type=_OTHER": "1 in 1", "": "1 in 1"}, b.points(t, "drift.oauth.refresh.duration"))
	})
}
