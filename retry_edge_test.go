package drift_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
)

// Only a call that needed one attempt, and that the service answered without failing, is worth a fifth of a further attempt.
func TestWhatEarnsBudgetBack(t *testing.T) {
	for name, test := range map[string]struct {
		method  string
		answers []respondWith
		earns   bool
	}{
		"success":                {http.MethodGet, []respondWith{answer(200)}, true},
		"success of a write":     {http.MethodPost, []respondWith{answer(200)}, true},
		"refused by the service": {http.MethodGet, []respondWith{answer(404)}, true},
		"499":                    {http.MethodGet, []respondWith{answer(499)}, true},
		"500":                    {http.MethodPost, []respondWith{answer(500)}, false},
		"501":                    {http.MethodGet, []respondWith{answer(501)}, false},
		"no answer":              {http.MethodPost, []respondWith{noAnswer}, false},
		"not sent":               {http.MethodGet, []respondWith{noHost}, false},
		"the second attempt":     {http.MethodGet, []respondWith{answer(429), answer(200)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &network{answers: []respondWith{answer(503)}}
				client := through(t, network.serve, drift.WithRetry(drift.RetryPolicy{Budget: 1}), drift.WithLimiter(new(slots)))
				requestsInAnOutage := func() int {
					network.sent, network.answers = nil, []respondWith{answer(503)}
					assert.Error(t, get(t.Context(), client))
					return len(network.sent)
				}
				assert.Equal(t, 2, requestsInAnOutage())
				for range 5 {
					network.sent, network.answers = nil, test.answers
					_ = callMethod(t.Context(), client, test.method)
				}
				want := 1
				if test.earns {
					want = 2
				}
				assert.Equal(t, want, requestsInAnOutage())
			})
		})
	}
}
