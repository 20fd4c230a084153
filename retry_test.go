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

func (n *network) requests() []sentRequest {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// answer has a status and headers, given as names and values.
func answer(status int, header ...string) respondWith { return answerBody(status, "{}", header...) }

func answerBody(status int, body string, header ...string) respondWith {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
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
	seeOther  = [3]expectation{{1, "transport"}, {1, "ambiguous transport"}, {1, "ambiguous transport"}}
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
		refused: {300, 304, 305, 306, 399, 400, 401, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422,
			423, 424, 425, 426, 428, 431, 444, 451, 499},
		transient: {408, 500, 502, 503, 504},
		broken:    {0, 99, 501, 505, 506, 507, 508, 510, 511, 520, 529, 599, 600, 999},
		hopeless:  {301, 302, 307, 308},
		seeOther:  {303},
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

// Sequences of up to three different outcomes, for every method, against a model of what the table promises.
func TestRetrySequences(t *testing.T) {
	outcomes := []modelOutcome{
		{name: "200", respond: answer(200), kind: "ok"},
		{name: "not sent", respond: notSent, kind: "transport", again: [3]bool{true, true, true}},
		{name: "no host", respond: noHost, kind: "transport"},
		{name: "no answer", respond: noAnswer, kind: "transport", again: [3]bool{true, true, false}, applied: true},
		{name: "broken body", respond: brokenBody, kind: "transport", again: [3]bool{true, true, false}, applied: true},
		{name: "429", respond: answer(429), kind: "rate", again: [3]bool{true, true, true}},
		{name: "429 late", respond: answer(429, "Retry-After", "300"), kind: "rate"},
		{name: "500", respond: answer(500), kind: "api", again: [3]bool{true, true, false}, applied: true},
		{name: "501", respond: answer(501), kind: "api", applied: true},
		{name: "404", respond: answer(404), kind: "api"},
		{name: "401", respond: answer(401), kind: "api"},
		{name: "307", respond: answer(307, "Location", "/"), kind: "transport"},
		{name: "quota", respond: quotaGone, kind: "quota"},
	}
	for group, methods := range methodGroups {
		for _, method := range methods {
			synctest.Test(t, func(t *testing.T) {
				for _, sequence := range sequences(outcomes, group) {
					network := new(network)
					client := through(t, network.serve, withoutBudget, drift.WithLimiter(new(slots)))
					for _, outcome := range sequence {
						network.answers = append(network.answers, outcome.respond)
					}
					err := callMethod(t.Context(), client, method)
					if got, want := (expectation{len(network.sent), kind(err)}), model(sequence, group, method); got != want {
						t.Errorf("%s %v: got %v, want %v", method, sequence, got, want)
					}
				}
			})
		}
	}
}

// sequences lists all sequences of up to three outcomes. One that should end the call is followed by an answer that tells
// if it did not.
func sequences(outcomes []modelOutcome, group int) (all [][]modelOutcome) {
	unexpected := modelOutcome{name: "one too many", respond: answer(http.StatusTeapot), kind: "unexpected"}
	for _, a := range outcomes {
		if !a.again[group] {
			all = append(all, []modelOutcome{a, unexpected})
			continue
		}
		for _, b := range outcomes {
			if !b.again[group] {
				all = append(all, []modelOutcome{a, b, unexpected})
				continue
			}
			for _, c := range outcomes {
				all = append(all, []modelOutcome{a, b, c, unexpected})
			}
		}
	}
	return all
}

func (o modelOutcome) String() string { return o.name }

type modelOutcome struct {
	name    string
	respond respondWith
	kind    string
	again   [3]bool // by group of methods
	applied bool
}

func model(sequence []modelOutcome, group int, method string) expectation {
	applied := false
	for i, outcome := range sequence {
		applied = applied || outcome.applied
		if outcome.again[group] && i < 2 {
			continue
		}
		switch {
		case outcome.kind == "ok", method == http.MethodDelete && outcome.name == "404" && applied:
			return expectation{i + 1, "ok"}
		case applied && group > 0:
			return expectation{i + 1, "ambiguous " + outcome.kind}
		default:
			return expectation{i + 1, outcome.kind}
		}
	}
	panic("the last attempt ends the call")
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

// After 429 the first delay tells how Retry-After was read. The local clock is an hour off.
func TestRetryAfter(t *testing.T) {
	const none = 0 // absent: the delay is that of a 429 without the header
	base := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
	date := func(seconds int, layout string) string {
		return base.Add(time.Duration(seconds) * time.Second).Format(layout)
	}
	tests := map[string]struct {
		lines []string
		want  time.Duration
	}{
		"seconds":        {[]string{"2"}, 2 * time.Second},
		"spaces":         {[]string{" 5 "}, 5 * time.Second},
		"fraction":       {[]string{"5.5"}, 6 * time.Second},
		"no fraction":    {[]string{"5.0"}, 5 * time.Second},
		"two lines":      {[]string{"3", "9"}, 9 * time.Second},
		"largest first":  {[]string{"9", "3"}, 9 * time.Second},
		"one line junk":  {[]string{"soon", "9"}, 9 * time.Second},
		"zero":           {[]string{"0"}, none},
		"negative":       {[]string{"-5"}, none},
		"plus":           {[]string{"+5"}, none},
		"junk":           {[]string{"abc"}, none},
		"exponent":       {[]string{"1e3"}, none},
		"NaN":            {[]string{"NaN"}, none},
		"Inf":            {[]string{"Inf"}, none},
		"hex":            {[]string{"0x10"}, none},
		"list":           {[]string{"5, 9"}, none},
		"dot":            {[]string{"5."}, none},
		"only fraction":  {[]string{".5"}, none},
		"two fractions":  {[]string{"5.5.5"}, none},
		"other digits":   {[]string{"٥"}, none},
		"empty":          {[]string{""}, none},
		"absent":         {nil, none},
		"date":           {[]string{date(7, http.TimeFormat)}, 7 * time.Second},
		"RFC 850":        {[]string{date(7, "Monday, 02-Jan-06 15:04:05 GMT")}, 7 * time.Second},
		"asctime":        {[]string{date(7, time.ANSIC)}, 7 * time.Second},
		"date gone by":   {[]string{date(-7, http.TimeFormat)}, none},
		"date and delay": {[]string{date(7, http.TimeFormat), "8"}, 8 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				header := []string{"Date", date(0, http.TimeFormat)}
				for _, line := range test.lines {
					header = append(header, "Retry-After", line)
				}
				network := &network{answers: []respondWith{answer(429, header...), answer(200)}}
				require.NoError(t, call(t.Context(), through(t, network.serve, drift.WithLimiter(new(slots))), http.MethodPost))
				delay := network.sent[1].at.Sub(network.sent[0].at)
				if test.want == none {
					assert.GreaterOrEqual(t, delay, 500*time.Millisecond)
					assert.Less(t, delay, 1500*time.Millisecond)
					return
				}
				assert.GreaterOrEqual(t, delay, test.want)
				assert.Less(t, delay, test.want*11/10+1)
			})
		})
	}
}

// A wait that is too long is the caller's to decide; the others are held back, but not for good.
func TestRetryAfterTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		value string
		min   time.Duration
	}{
		"an hour":         {"3600", time.Hour},
		"61 s":            {"61", 61 * time.Second},
		"overflow":        {"9223372037", 200 * 365 * 24 * time.Hour},
		"wraps to little": {"18446744074", 200 * 365 * 24 * time.Hour},
		"20 digits":       {"99999999999999999999", 200 * 365 * 24 * time.Hour},
		"year 9999":       {"Fri, 31 Dec 9999 23:59:59 GMT", 200 * 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &network{answers: []respondWith{answer(429, "Retry-After", test.value), answer(200)}}
				client, start := through(t, network.serve), time.Now()
				var limited *drift.RateLimitError
				err := get(t.Context(), client)
				require.ErrorAs(t, err, &limited)
				assert.False(t, limited.Local)
				assert.GreaterOrEqual(t, limited.RetryAfter, test.min)
				assert.Equal(t, "tests.call", limited.Operation)
				assert.NotErrorIs(t, err, context.DeadlineExceeded, "it is not the deadline's fault")
				var api *drift.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, 429, api.StatusCode)
				assert.Len(t, network.requests(), 1)

				pause := min(limited.RetryAfter, 5*time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), pause-time.Second)
				defer cancel()
				requireLocalLimit(t, get(ctx, client), pause)
				assert.Zero(t, time.Since(start), "both at once")
				assert.Len(t, network.requests(), 1)

				require.NoError(t, get(t.Context(), client))
				assert.Equal(t, pause, time.Since(start))
			})
		})
	}
}

func TestDeadlineBeforeRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{answer(429, "Retry-After", "30")}}
		client, start := through(t, network.serve), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		err := get(ctx, client)
		assert.Zero(t, time.Since(start), "at once")
		assert.ErrorIs(t, err, drift.ErrRateLimited)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		var limited *drift.RateLimitError
		require.ErrorAs(t, err, &limited)
		assert.False(t, limited.Local)
		assert.Equal(t, 30*time.Second, limited.RetryAfter)
		requireLocalLimit(t, get(ctx, client), 30*time.Second)
	})
}

func TestDeadlineBeforeTheBackoffIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{answer(503, "Retry-After", "30")}}
		start := time.Now()
		var api *drift.APIError
		require.ErrorAs(t, get(t.Context(), through(t, network.serve), drift.WithTimeout(20*time.Second)), &api)
		assert.Equal(t, 30*time.Second, api.RetryAfter)
		assert.Zero(t, time.Since(start), "at once")
	})
}

func TestCancelDuringBackoff(t *testing.T) {
	stop := errors.New("the user has gone")
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{answerBody(503, `{"error":{"message":"down for maintenance"}}`, "Retry-After", "30")}}
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		time.AfterFunc(10*time.Second, func() { cancel(stop) })
		var response drift.Response
		err := get(ctx, through(t, network.serve), drift.WithResponse(&response))
		assert.Equal(t, 10*time.Second, time.Since(start), "at once")
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorIs(t, err, stop)
		assert.ErrorIs(t, err, drift.ErrServer, "the last answer")
		assert.ErrorContains(t, err, "down for maintenance")
		assert.Len(t, network.requests(), 1)
		assert.Len(t, response.Attempts, 1)
	})
}

func TestContextEndsDuringTheAttempt(t *testing.T) {
	for method, want := range map[string]string{http.MethodGet: "transport", http.MethodPost: "ambiguous transport"} {
		synctest.Test(t, func(t *testing.T) {
			hangs := traced(1, func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			network := &network{answers: []respondWith{hangs}}
			start := time.Now()
			err := call(t.Context(), through(t, network.serve), method, drift.WithTimeout(5*time.Second))
			assert.Equal(t, 5*time.Second, time.Since(start))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, want, kind(err))
			assert.Len(t, network.requests(), 1)
		})
	}
}

// The timeout of an attempt is not the caller's: it must not look like one, and what may be repeated is.
func TestAttemptTimeout(t *testing.T) {
	for method, want := range map[string]expectation{http.MethodGet: {3, "transport"}, http.MethodPost: {1, "ambiguous transport"}} {
		synctest.Test(t, func(t *testing.T) {
			network := &network{answers: []respondWith{traced(1, func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}}
			err := call(t.Context(), through(t, network.serve), method)
			assert.Equal(t, want, expectation{len(network.requests()), kind(err)})
			assert.NotErrorIs(t, err, context.DeadlineExceeded)
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
