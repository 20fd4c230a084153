package drift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/driftsdk/drift/internal/testkit"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// kind names the type of an error, and of what an AmbiguousError wraps.
func kind(err error) string {
	var ambiguous *drift.AmbiguousError
	if errors.As(err, &ambiguous) {
		return "ambiguous " + kind(ambiguous.Err)
	}
	switch err.(type) {
	case nil:
		return "ok"
	case *drift.APIError:
		return "api"
	case *drift.RateLimitError:
		return "rate"
	case *drift.QuotaError:
		return "quota"
	case *drift.TransportError:
		return "transport"
	}
	return fmt.Sprintf("%T", err)
}

// The methods in three groups: what reads, what may be repeated, and what must not be.
var methodGroups = [3][]string{
	{http.MethodGet, http.MethodHead, http.MethodOptions},
	{http.MethodDelete, "POST idempotent", "PATCH idempotent"},
	{http.MethodPost, http.MethodPatch, http.MethodPut},
}

func callMethod(ctx context.Context, client *drift.Client, method string) error {
	name, idempotent := strings.CutSuffix(method, " idempotent")
	if idempotent {
		return testkit.Call(ctx, client, name, drift.WithIdempotent())
	}
	return testkit.Call(ctx, client, name)
}

// expectation is how often a request is sent, and what the error is, when every attempt comes to the same.
type expectation struct {
	requests int
	kind     string
}

var (
	fine      = [3]expectation{{1, "ok"}, {1, "ok"}, {1, "ok"}}
	refused   = [3]expectation{{1, "api"}, {1, "api"}, {1, "api"}}
	transient = [3]expectation{{3, "api"}, {3, "ambiguous api"}, {1, "ambiguous api"}}
	broken    = [3]expectation{{1, "api"}, {1, "ambiguous api"}, {1, "ambiguous api"}}
	lost      = [3]expectation{{3, "transport"}, {3, "ambiguous transport"}, {1, "ambiguous transport"}}
	unsent    = [3]expectation{{3, "transport"}, {3, "transport"}, {3, "transport"}}
	hopeless  = [3]expectation{{1, "transport"}, {1, "transport"}, {1, "transport"}}
	moved     = [3]expectation{{1, "transport"}, {1, "ambiguous transport"}, {1, "ambiguous transport"}}
	throttled = [3]expectation{{3, "rate"}, {3, "rate"}, {3, "rate"}}
	toldToGo  = [3]expectation{{1, "rate"}, {1, "rate"}, {1, "rate"}}
	usedUp    = [3]expectation{{1, "quota"}, {1, "quota"}, {1, "quota"}}
)

type retryCase struct {
	name    string
	respond testkit.Responder
	want    [3]expectation
}

func retryTable() []retryCase {
	table := []retryCase{
		{"not sent", testkit.NotSent, unsent},
		{"no such host", testkit.NoHost, hopeless},
		{"certificate", testkit.BadCert, hopeless},
		{"no answer", testkit.NoAnswer, lost},
		{"broken body", testkit.BrokenBody, lost},
		{"no answer from a transport that does not report", testkit.Fails(io.EOF), lost},
		{"neither an answer nor an error", func(*http.Request) (*http.Response, error) { return nil, nil }, lost},
		{"403 authentication_error", testkit.AuthenticationFailed, refused},
		{"403 quota", testkit.AnswerBody(403, `{"code":"QUOTA-1"}`), usedUp},
		{"429 quota", testkit.QuotaGone, usedUp},
		{"429 in 1 s", testkit.Answer(429, "Retry-After", "1"), throttled},
		{"429 in 60 s", testkit.Answer(429, "Retry-After", "60"), throttled},
		{"429 in 61 s", testkit.Answer(429, "Retry-After", "61"), toldToGo},
		{"503 in 1 s", testkit.Answer(503, "Retry-After", "1"), transient},
		{"503 in a day", testkit.Answer(503, "Retry-After", "86400"), broken},
	}
	for want, statuses := range map[[3]expectation][]int{
		fine: {200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 299},
		refused: {304, 305, 306, 399, 400, 401, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422,
			423, 424, 425, 426, 428, 431, 444, 451, 499},
		transient: {408, 500, 502, 503, 504},
		broken:    {0, 99, 300, 501, 505, 506, 507, 508, 510, 511, 520, 529, 599, 600, 999},
		hopeless:  {307, 308},
		moved:     {301, 302, 303},
		usedUp:    {402},
		throttled: {429},
	} {
		for _, status := range statuses {
			table = append(table, retryCase{fmt.Sprint(status), testkit.Answer(status), want})
		}
	}
	return table
}

func TestRetryTable(t *testing.T) {
	for _, test := range retryTable() {
		for group, methods := range methodGroups {
			for _, method := range methods {
				synctest.Test(t, func(t *testing.T) {
					network := &testkit.Network{Answers: []testkit.Responder{test.respond}}
					err := callMethod(t.Context(), testkit.Through(t, network.Serve, testkit.WithoutBudget), method)
					got := expectation{len(network.Requests()), kind(err)}
					assert.Equal(t, test.want[group], got, "%s %s: %v", method, test.name, err)
				})
			}
		}
	}
}

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
