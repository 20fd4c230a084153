package drift_test

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestErrorsAfterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.NotSent, testkit.Answer(503), testkit.AnswerBody(409, "{}", "X-Request-Id", "r3")}}
		var api *drift.APIError
		require.ErrorAs(t, testkit.Get(t.Context(), testkit.Through(t, network.Serve)), &api)
		assert.Equal(t, "r3", api.RequestID)
		require.Len(t, api.Attempts, 3)
		assert.False(t, api.Attempts[0].Sent)
		assert.ErrorIs(t, api.Attempts[0].Err, syscall.ECONNREFUSED)
		assert.Equal(t, []int{0, 503, 409}, []int{api.Attempts[0].StatusCode, api.Attempts[1].StatusCode, api.Attempts[2].StatusCode})
	})
}

func TestDeleteThatWasApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []testkit.Responder{testkit.NoAnswer, testkit.Answer(502), testkit.Answer(408)} {
			network := &testkit.Network{Answers: []testkit.Responder{first, testkit.Answer(404)}}
			assert.NoError(t, testkit.Through(t, network.Serve).Contacts.Delete(t.Context(), 7))
		}
		for _, first := range []testkit.Responder{testkit.NotSent, testkit.Answer(429)} { // these changed nothing
			network := &testkit.Network{Answers: []testkit.Responder{first, testkit.Answer(404)}}
			assert.ErrorIs(t, testkit.Through(t, network.Serve).Contacts.Delete(t.Context(), 7), drift.ErrNotFound)
		}
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(404)}}
		assert.ErrorIs(t, testkit.Through(t, network.Serve).Contacts.Delete(t.Context(), 7), drift.ErrNotFound)
	})
}

func TestMaxAttempts(t *testing.T) {
	for _, most := range []int{1, 2, 7} {
		for _, respond := range []testkit.Responder{testkit.NotSent, testkit.Answer(500), testkit.Answer(429)} {
			synctest.Test(t, func(t *testing.T) {
				network := &testkit.Network{Answers: []testkit.Responder{respond}}
				assert.Error(t, testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithRetry(drift.RetryPolicy{MaxAttempts: most}))))
				assert.Len(t, network.Requests(), most)
			})
		}
	}
}

func TestWithoutRetry(t *testing.T) {
	for _, respond := range []testkit.Responder{testkit.NotSent, testkit.NoAnswer, testkit.Answer(500), testkit.Answer(429), testkit.Answer(401)} {
		synctest.Test(t, func(t *testing.T) {
			network := &testkit.Network{Answers: []testkit.Responder{respond}}
			source := &plainSource{tokens: []string{"first", "second"}}
			assert.Error(t, testkit.Get(t.Context(), testkit.ThroughWith(t, source, network.Serve), drift.WithoutRetry()))
			assert.Len(t, network.Requests(), 1)
		})
	}
}

func TestDelays(t *testing.T) {
	tests := map[string]struct {
		respond   testkit.Responder
		i         int
		policy    drift.RetryPolicy
		low, high time.Duration
	}{
		"first":           {testkit.Answer(500), 0, drift.RetryPolicy{}, 0, 500 * time.Millisecond},
		"second":          {testkit.Answer(500), 1, drift.RetryPolicy{}, 0, time.Second},
		"not sent":        {testkit.NotSent, 0, drift.RetryPolicy{}, 0, 500 * time.Millisecond},
		"eighth":          {testkit.Answer(500), 7, drift.RetryPolicy{MaxAttempts: 9}, 0, 20 * time.Second},
		"own":             {testkit.Answer(500), 0, drift.RetryPolicy{MinBackoff: 3 * time.Second}, 0, 3 * time.Second},
		"own bound":       {testkit.Answer(500), 1, drift.RetryPolicy{MaxBackoff: 600 * time.Millisecond}, 0, 600 * time.Millisecond},
		"min above max":   {testkit.Answer(500), 1, drift.RetryPolicy{MinBackoff: 5 * time.Second, MaxBackoff: time.Second}, 0, 5 * time.Second},
		"429":             {testkit.Answer(429), 0, drift.RetryPolicy{}, 500 * time.Millisecond, 1500 * time.Millisecond},
		"429 again":       {testkit.Answer(429), 1, drift.RetryPolicy{}, 500 * time.Millisecond, 2500 * time.Millisecond},
		"Retry-After":     {testkit.Answer(429, "Retry-After", "5"), 0, drift.RetryPolicy{}, 5 * time.Second, 5500 * time.Millisecond},
		"Retry-After 60":  {testkit.Answer(429, "Retry-After", "60"), 1, drift.RetryPolicy{}, time.Minute, 61 * time.Second},
		"503 Retry-After": {testkit.Answer(503, "Retry-After", "2"), 0, drift.RetryPolicy{}, 2 * time.Second, 2200 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.policy.Budget = -1
				shortest, longest := testkit.Gaps(t, 200, test.i, test.respond, drift.WithRetry(test.policy))
				width := test.high - test.low
				assert.GreaterOrEqual(t, shortest, test.low)
				assert.Less(t, longest, test.high)
				assert.Less(t, shortest, test.low+width/10, "spread over the whole range")
				assert.Greater(t, longest, test.high-width/10, "spread over the whole range")
			})
		})
	}
}

func TestBudgetInAnOutage(t *testing.T) {
	for budget, further := range map[int]int{0: 10, 3: 3, -1: 200} {
		for _, respond := range []testkit.Responder{testkit.Answer(503), testkit.NoAnswer, testkit.NotSent} {
			synctest.Test(t, func(t *testing.T) {
				network := &testkit.Network{Answers: []testkit.Responder{respond}}
				client := testkit.Through(t, network.Serve, drift.WithRetry(drift.RetryPolicy{Budget: budget}))
				for range 100 {
					assert.Error(t, testkit.Get(t.Context(), client))
				}
				assert.Len(t, network.Requests(), 100+further)
			})
		}
	}
}

func TestSuccessesEarnBudgetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(testkit.Network)
		client := testkit.Through(t, network.Serve, drift.WithRetry(drift.RetryPolicy{Budget: 2}), drift.WithLimiter(new(testkit.Slots)))
		requests := func(respond testkit.Responder) int {
			network.Sent, network.Answers = nil, []testkit.Responder{respond}
			_ = testkit.Get(t.Context(), client)
			return len(network.Sent)
		}
		assert.Equal(t, 3, requests(testkit.Answer(500)))
		assert.Equal(t, 1, requests(testkit.Answer(500)), "nothing left")
		for range 4 {
			requests(testkit.Answer(200))
		}
		assert.Equal(t, 1, requests(testkit.Answer(500)), "four earn nothing")
		requests(testkit.Answer(200))
		assert.Equal(t, 2, requests(testkit.Answer(500)), "five earn one")
		for range 100 {
			requests(testkit.Answer(200))
		}
		assert.Equal(t, 3, requests(testkit.Answer(500)), "no more than the budget")
		assert.Equal(t, 1, requests(testkit.Answer(500)))
		assert.Equal(t, 3, requests(testkit.Answer(429)), "waits that the service asks for are free")
	})
}

func TestBodyIsTheSameInEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.NotSent, testkit.Answer(429), testkit.Answer(200)}}
		body := map[string]any{"text": strings.Repeat("long ", 10_000)}
		err := testkit.Through(t, network.Serve).Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/things", Body: body}, nil)
		require.NoError(t, err)
		require.Len(t, network.Sent, 3)
		for _, r := range network.Sent {
			assert.True(t, bytes.Equal([]byte(network.Sent[0].Body), []byte(r.Body)))
			assert.Len(t, r.Body, 50_000+len(`{"text":""}`))
		}
	})
}
