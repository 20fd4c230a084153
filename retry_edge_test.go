package drift_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// Only a call that needed one attempt, and that the service answered without failing, is worth a fifth of a further attempt.
func TestWhatEarnsBudgetBack(t *testing.T) {
	for name, test := range map[string]struct {
		method  string
		answers []testkit.Responder
		earns   bool
	}{
		"success":                {http.MethodGet, []testkit.Responder{testkit.Answer(200)}, true},
		"success of a write":     {http.MethodPost, []testkit.Responder{testkit.Answer(200)}, true},
		"refused by the service": {http.MethodGet, []testkit.Responder{testkit.Answer(404)}, true},
		"499":                    {http.MethodGet, []testkit.Responder{testkit.Answer(499)}, true},
		"500":                    {http.MethodPost, []testkit.Responder{testkit.Answer(500)}, false},
		"501":                    {http.MethodGet, []testkit.Responder{testkit.Answer(501)}, false},
		"no answer":              {http.MethodPost, []testkit.Responder{testkit.NoAnswer}, false},
		"not sent":               {http.MethodGet, []testkit.Responder{testkit.NoHost}, false},
		"the second attempt":     {http.MethodGet, []testkit.Responder{testkit.Answer(429), testkit.Answer(200)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503)}}
				client := testkit.Through(t, network.Serve, drift.WithRetry(drift.RetryPolicy{Budget: 1}), drift.WithLimiter(new(testkit.Slots)))
				requestsInAnOutage := func() int {
					network.Sent, network.Answers = nil, []testkit.Responder{testkit.Answer(503)}
					assert.Error(t, testkit.Get(t.Context(), client))
					return len(network.Sent)
				}
				assert.Equal(t, 2, requestsInAnOutage())
				for range 5 {
					network.Sent, network.Answers = nil, test.answers
					_ = testkit.Call(t.Context(), client, test.method)
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
