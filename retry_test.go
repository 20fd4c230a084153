package drift_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// respondWith is what becomes of one attempt.
type respondWith func(*http.Request) (*http.Response, error)

// network gives its answers in turn, the last one again and again, and writes down what was sent. Without any it says 200.
type network struct {
	answers []respondWith
	delay   time.Duration

	mu   sync.Mutex
	sent []sentRequest
}

type sentRequest struct {
	at                  time.Time
	method, token, body string
}

func (n *network) serve(r *http.Request) (*http.Response, error) {
	respond := n.next(r)
	time.Sleep(n.delay)
	return respond(r)
}

func (n *network) next(r *http.Request) respondWith {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, sentRequest{time.Now(), r.Method, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), string(body)})
	if len(n.answers) == 0 {
		return answer(http.StatusOK)
	}
	return n.answers[min(len(n.sent), len(n.answers))-1]
}

// set replaces the answers.
func (n *network) set(answers ...respondWith) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers = answers
}

func (n *network) requests() []sentRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// answer has a status and headers, given as names and values.
func answer(status int, header ...string) respondWith { return answerBody(status, "{}", header...) }

func answerBody(status int, body string, header ...string) respondWith {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "application/json")
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
	}
}

func fails(err error) respondWith {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

var (
	notSent  = fails(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	noAnswer = traced(1, fails(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}))
	noHost   = fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}})
	badCert  = traced(0, fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}))

	authenticationFailed = answerBody(http.StatusForbidden, `{"error":{"type":"authentication_error","message":"bad token"}}`)
	quotaGone            = answerBody(http.StatusTooManyRequests, `{"error":{"type":"quota_exceeded"}}`)
)

// brokenBody ends before its length.
func brokenBody(r *http.Request) (*http.Response, error) {
	resp, err := answer(http.StatusOK)(r)
	resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"da`), failingReader{}))
	return resp, err
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func get(ctx context.Context, client *drift.Client, opts ...drift.CallOption) error {
	return call(ctx, client, http.MethodGet, opts...)
}

func call(ctx context.Context, client *drift.Client, method string, opts ...drift.CallOption) error {
	req := drift.Request{Name: "tests.call", Method: method, Path: "v2/things"}
	if method == http.MethodPost || method == http.MethodPatch || method == http.MethodPut {
		req.Body = map[string]string{"name": "value"}
	}
	return client.Do(ctx, req, nil, opts...)
}

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
		return call(ctx, client, name, drift.WithIdempotent())
	}
	return call(ctx, client, name)
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
	respond respondWith
	want    [3]expectation
}

func retryTable() []retryCase {
	table := []retryCase{
		{"not sent", notSent, unsent},
		{"no such host", noHost, hopeless},
		{"certificate", badCert, hopeless},
		{"no answer", noAnswer, lost},
		{"broken body", brokenBody, lost},
		{"no answer from a transport that does not report", fails(io.EOF), lost},
		{"neither an answer nor an error", func(*http.Request) (*http.Response, error) { return nil, nil }, lost},
		{"403 authentication_error", authenticationFailed, refused},
		{"403 quota", answerBody(403, `{"code":"QUOTA-1"}`), usedUp},
		{"429 quota", quotaGone, usedUp},
		{"429 in 1 s", answer(429, "Retry-After", "1"), throttled},
		{"429 in 60 s", answer(429, "Retry-After", "60"), throttled},
		{"429 in 61 s", answer(429, "Retry-After", "61"), toldToGo},
		{"503 in 1 s", answer(503, "Retry-After", "1"), transient},
		{"503 in a day", answer(503, "Retry-After", "86400"), broken},
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
			table = append(table, retryCase{fmt.Sprint(status), answer(status), want})
		}
	}
	return table
}

var withoutBudget = drift.WithRetry(drift.RetryPolicy{Budget: -1})

func TestRetryTable(t *testing.T) {
	for _, test := range retryTable() {
		for group, methods := range methodGroups {
			for _, method := range methods {
				synctest.Test(t, func(t *testing.T) {
					network := &network{answers: []respondWith{test.respond}}
					err := callMethod(t.Context(), through(t, network.serve, withoutBudget), method)
					got := expectation{len(network.requests()), kind(err)}
					assert.Equal(t, test.want[group], got, "%s %s: %v", method, test.name, err)
				})
			}
		}
	}
}

func TestErrorsAfterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{notSent, answer(503), answerBody(409, "{}", "X-Request-Id", "r3")}}
		var api *drift.APIError
		require.ErrorAs(t, get(t.Context(), through(t, network.serve)), &api)
		assert.Equal(t, "r3", api.RequestID)
		require.Len(t, api.Attempts, 3)
		assert.False(t, api.Attempts[0].Sent)
		assert.ErrorIs(t, api.Attempts[0].Err, syscall.ECONNREFUSED)
		assert.Equal(t, []int{0, 503, 409}, []int{api.Attempts[0].StatusCode, api.Attempts[1].StatusCode, api.Attempts[2].StatusCode})
	})
}

func TestDeleteThatWasApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []respondWith{noAnswer, answer(502), answer(408)} {
			network := &network{answers: []respondWith{first, answer(404)}}
			assert.NoError(t, through(t, network.serve).Contacts.Delete(t.Context(), 7))
		}
		for _, first := range []respondWith{notSent, answer(429)} { // these changed nothing
			network := &network{answers: []respondWith{first, answer(404)}}
			assert.ErrorIs(t, through(t, network.serve).Contacts.Delete(t.Context(), 7), drift.ErrNotFound)
		}
		network := &network{answers: []respondWith{answer(404)}}
		assert.ErrorIs(t, through(t, network.serve).Contacts.Delete(t.Context(), 7), drift.ErrNotFound)
	})
}

func TestMaxAttempts(t *testing.T) {
	for _, most := range []int{1, 2, 7} {
		for _, respond := range []respondWith{notSent, answer(500), answer(429)} {
			synctest.Test(t, func(t *testing.T) {
				network := &network{answers: []respondWith{respond}}
				assert.Error(t, get(t.Context(), through(t, network.serve, drift.WithRetry(drift.RetryPolicy{MaxAttempts: most}))))
				assert.Len(t, network.requests(), most)
			})
		}
	}
}

func TestWithoutRetry(t *testing.T) {
	for _, respond := range []respondWith{notSent, noAnswer, answer(500), answer(429), answer(401)} {
		synctest.Test(t, func(t *testing.T) {
			network := &network{answers: []respondWith{respond}}
			source := &plainSource{tokens: []string{"first", "second"}}
			assert.Error(t, get(t.Context(), throughWith(t, source, network.serve), drift.WithoutRetry()))
			assert.Len(t, network.requests(), 1)
		})
	}
}

// gaps makes calls and returns the longest and the shortest time between attempts number i and i+1.
func gaps(t *testing.T, calls, i int, respond respondWith, opts ...drift.Option) (shortest, longest time.Duration) {
	shortest = time.Hour
	network := &network{answers: []respondWith{respond}}
	client := through(t, network.serve, append(opts, drift.WithLimiter(new(slots)))...)
	for range calls {
		network.sent = nil
		_ = get(t.Context(), client)
		gap := network.sent[i+1].at.Sub(network.sent[i].at)
		shortest, longest = min(shortest, gap), max(longest, gap)
	}
	return shortest, longest
}

func TestDelays(t *testing.T) {
	tests := map[string]struct {
		respond   respondWith
		i         int
		policy    drift.RetryPolicy
		low, high time.Duration
	}{
		"first":           {answer(500), 0, drift.RetryPolicy{}, 0, 500 * time.Millisecond},
		"second":          {answer(500), 1, drift.RetryPolicy{}, 0, time.Second},
		"not sent":        {notSent, 0, drift.RetryPolicy{}, 0, 500 * time.Millisecond},
		"eighth":          {answer(500), 7, drift.RetryPolicy{MaxAttempts: 9}, 0, 20 * time.Second},
		"own":             {answer(500), 0, drift.RetryPolicy{MinBackoff: 3 * time.Second}, 0, 3 * time.Second},
		"own bound":       {answer(500), 1, drift.RetryPolicy{MaxBackoff: 600 * time.Millisecond}, 0, 600 * time.Millisecond},
		"min above max":   {answer(500), 1, drift.RetryPolicy{MinBackoff: 5 * time.Second, MaxBackoff: time.Second}, 0, 5 * time.Second},
		"429":             {answer(429), 0, drift.RetryPolicy{}, 500 * time.Millisecond, 1500 * time.Millisecond},
		"429 again":       {answer(429), 1, drift.RetryPolicy{}, 500 * time.Millisecond, 2500 * time.Millisecond},
		"Retry-After":     {answer(429, "Retry-After", "5"), 0, drift.RetryPolicy{}, 5 * time.Second, 5500 * time.Millisecond},
		"Retry-After 60":  {answer(429, "Retry-After", "60"), 1, drift.RetryPolicy{}, time.Minute, 61 * time.Second},
		"503 Retry-After": {answer(503, "Retry-After", "2"), 0, drift.RetryPolicy{}, 2 * time.Second, 2200 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.policy.Budget = -1
				shortest, longest := gaps(t, 200, test.i, test.respond, drift.WithRetry(test.policy))
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
		for _, respond := range []respondWith{answer(503), noAnswer, notSent} {
			synctest.Test(t, func(t *testing.T) {
				network := &network{answers: []respondWith{respond}}
				client := through(t, network.serve, drift.WithRetry(drift.RetryPolicy{Budget: budget}))
				for range 100 {
					assert.Error(t, get(t.Context(), client))
				}
				assert.Len(t, network.requests(), 100+further)
			})
		}
	}
}

func TestSuccessesEarnBudgetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(network)
		client := through(t, network.serve, drift.WithRetry(drift.RetryPolicy{Budget: 2}), drift.WithLimiter(new(slots)))
		requests := func(respond respondWith) int {
			network.sent, network.answers = nil, []respondWith{respond}
			_ = get(t.Context(), client)
			return len(network.sent)
		}
		assert.Equal(t, 3, requests(answer(500)))
		assert.Equal(t, 1, requests(answer(500)), "nothing left")
		for range 4 {
			requests(answer(200))
		}
		assert.Equal(t, 1, requests(answer(500)), "four earn nothing")
		requests(answer(200))
		assert.Equal(t, 2, requests(answer(500)), "five earn one")
		for range 100 {
			requests(answer(200))
		}
		assert.Equal(t, 3, requests(answer(500)), "no more than the budget")
		assert.Equal(t, 1, requests(answer(500)))
		assert.Equal(t, 3, requests(answer(429)), "waits that the service asks for are free")
	})
}

func TestBodyIsTheSameInEveryAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{notSent, answer(429), answer(200)}}
		body := map[string]any{"text": strings.Repeat("long ", 10_000)}
		err := through(t, network.serve).Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "v2/things", Body: body}, nil)
		require.NoError(t, err)
		require.Len(t, network.sent, 3)
		for _, r := range network.sent {
			assert.True(t, bytes.Equal([]byte(network.sent[0].body), []byte(r.body)))
			assert.Len(t, r.body, 50_000+len(`{"text":""}`))
		}
	})
}
