package drift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

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

		page := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(502), testkit.AnswerBody(404, "<html>")}}
		err := testkit.Through(t, page.Serve).Contacts.Delete(t.Context(), 7)
		testkit.RequireSentinels(t, err, []error{drift.ErrAmbiguous, drift.ErrUnexpectedContent}) // of a proxy
	})
}

func TestMaxAttempts(t *testing.T) {
	for _, most := range []int{1, 2, 7} {
		for _, respond := range []testkit.Responder{testkit.NotSent, testkit.Answer(500)} {
			synctest.Test(t, func(t *testing.T) {
				network := &testkit.Network{Answers: []testkit.Responder{respond}}
				assert.Error(t, testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: most}))))
				assert.Len(t, network.Requests(), most)
			})
		}
	}
}

// A 429 that is waited out is not an attempt of MaxAttempts.
func TestThrottledCallHasABoundOfItsOwn(t *testing.T) {
	for name, test := range map[string]struct {
		answers  []testkit.Responder
		policy   drift.RetryPolicy
		requests int
		took     time.Duration
		err      error
	}{
		"429 again and again": {[]testkit.Responder{testkit.Answer(429, "Retry-After", "20")}, drift.RetryPolicy{}, 10, 5 * time.Minute, drift.ErrRateLimited},
		"never retried":       {[]testkit.Responder{testkit.Answer(429)}, drift.RetryPolicy{MaxAttempts: 1}, 1, 0, drift.ErrRateLimited},
		"served at last": {slices.Concat(slices.Repeat([]testkit.Responder{testkit.Answer(429, "Retry-After", "10")}, 5),
			[]testkit.Responder{testkit.Answer(200)}), drift.RetryPolicy{}, 6, time.Minute, nil},
		"others count": {slices.Concat(slices.Repeat([]testkit.Responder{testkit.Answer(429, "Retry-After", "30"), testkit.NotSent}, 4)),
			drift.RetryPolicy{MaxAttempts: 3, MaxBackoff: 1}, 6, 90 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, start := &testkit.Network{Answers: test.answers}, time.Now()
				err := testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithRetryPolicy(test.policy)))
				if test.err != nil {
					require.ErrorIs(t, err, test.err)
				}
				assert.Equal(t, err == nil, name == "served at last", "%v", err)
				assert.Len(t, network.Requests(), test.requests)
				assert.InDelta(t, test.took.Seconds(), time.Since(start).Seconds(), 15, "the limiter waits longer with each")
			})
		})
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
		"Retry-After 60":  {testkit.Answer(429, "Retry-After", "60"), 0, drift.RetryPolicy{}, time.Minute, 61 * time.Second},
		"503 Retry-After": {testkit.Answer(503, "Retry-After", "2"), 0, drift.RetryPolicy{}, 2 * time.Second, 2200 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.policy.Budget = -1
				shortest, longest := testkit.Gaps(t, 200, test.i, test.respond, drift.WithRetryPolicy(test.policy))
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
				client := testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{Budget: budget}))
				for range 100 {
					assert.Error(t, testkit.Get(t.Context(), client))
				}
				assert.Len(t, network.Requests(), 100+further)
			})
		}
	}
}

func TestBudgetOfManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503)}}
		client := testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{Budget: 100}))
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { assert.Error(t, testkit.Get(t.Context(), client)) })
		}
		callers.Wait()
		assert.Len(t, network.Requests(), 100+100)
	})
}

func TestSuccessesEarnBudgetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(testkit.Network)
		client := testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{Budget: 2}), drift.WithLimiter(new(testkit.Slots)))
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
		for range 4 {
			requests(testkit.Answer(200))
		}
		assert.Equal(t, 1, requests(testkit.Answer(500)), "a full budget has earned nothing")
		assert.Greater(t, requests(testkit.Answer(429)), 3, "waits that the service asks for are free")
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

func TestFurtherAttemptsAreLogged(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil)) // level info
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.Answer(200)}}).Serve, drift.WithLogger(logger))
		require.NoError(t, testkit.Get(t.Context(), client))
	})
	assert.Equal(t, 1, strings.Count(log.String(), "drift: retrying"))
}

// Only a call that needed one attempt, and that the service answered without failing, is worth a fifth of a further
// attempt.
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
				client := testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{Budget: 1}), drift.WithLimiter(new(testkit.Slots)))
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

// nextStep is what a call does after an attempt.
type nextStep int

const (
	ends     nextStep = iota
	again             // after a backoff
	waits             // after a pause that the service asked for
	newToken          // at once, with another token, if the source has one and the call has not had one yet
)

// attemptRow is one outcome of an attempt with its documented consequences: what a read, a write that may be sent twice
// and any other write do next, and the error if the call ends there.
type attemptRow struct {
	name    string
	respond testkit.Responder

	read, repeatable, once nextStep
	error                  string  // type of the error; "": a success
	matches                []error // and what the error matches
	effect                 attemptEffect

	pause time.Duration // for which other callers are held back, and before which the call does not go on
}

// attemptEffect is what an attempt leaves behind.
type attemptEffect struct {
	status  int // as it is listed; 0: no answer
	slot    drift.Outcome
	sent    bool // it is listed as sent, and costs a call of the month
	changed bool // the service may have done what it was asked for
}

var (
	neverSent = attemptEffect{slot: drift.OutcomeNotSent}
	vanished  = attemptEffect{slot: drift.OutcomeUnknown, sent: true, changed: true}
)

// answeredWith is the effect of an answer that tells what the service did.
func answeredWith(status int) attemptEffect {
	return attemptEffect{status: status, slot: drift.OutcomeAnswered, sent: true}
}

// changedWith is the effect of an answer after which the service may have done what it was asked for.
func changedWith(status int) attemptEffect {
	return attemptEffect{status: status, slot: drift.OutcomeAnswered, sent: true, changed: true}
}

func attemptTable() []attemptRow {
	const transportErr, apiErr, rateErr, quotaErr, decodeErr = "TransportError", "APIError", "RateLimitError", "QuotaError", "DecodeError"
	none := []error(nil)
	server, invalid := []error{drift.ErrServer}, []error{drift.ErrInvalid}
	limited, spent := []error{drift.ErrRateLimited}, []error{drift.ErrQuotaExceeded}
	unauthorized, notJSON := []error{drift.ErrUnauthorized}, []error{drift.ErrUnexpectedContent}
	return []attemptRow{
		{"not sent", testkit.NotSent, again, again, again, transportErr, none, neverSent, 0},
		{"no such host", testkit.NoHost, ends, ends, ends, transportErr, none, neverSent, 0},
		{"bad certificate", testkit.BadCert, ends, ends, ends, transportErr, none, neverSent, 0},
		{"no answer", testkit.NoAnswer, again, again, ends, transportErr, none, vanished, 0},
		{"broken body", testkit.BrokenBody, again, again, ends, transportErr, none, changedWith(200), 0},
		{"200", testkit.AnswerBody(200, `{"data":{"id":1}}`), ends, ends, ends, "", none, answeredWith(200), 0},
		{"malformed JSON", testkit.AnswerBody(200, `{"data":{"id":1`), ends, ends, ends, decodeErr, none, changedWith(200), 0},
		{"no data", testkit.AnswerBody(204, ``), ends, ends, ends, decodeErr, none, changedWith(204), 0},
		{"HTML", testkit.AnswerBody(200, `<html>`), ends, ends, ends, transportErr, notJSON, changedWith(200), 0},
		{"error under 200", testkit.AnswerBody(200, `{"error":{"type":"validation_error"}}`), ends, ends, ends, apiErr, invalid, answeredWith(200), 0},
		{"302", testkit.Answer(302, "Location", "/"), ends, ends, ends, transportErr, none, changedWith(302), 0},
		{"400", testkit.Answer(400), ends, ends, ends, apiErr, invalid, answeredWith(400), 0},
		{"401", testkit.Answer(401), newToken, newToken, newToken, apiErr, unauthorized, answeredWith(401), 0},
		{"403", testkit.Answer(403), ends, ends, ends, apiErr, []error{drift.ErrForbidden}, answeredWith(403), 0},
		{"403 bad token", testkit.AuthenticationFailed, newToken, newToken, newToken, apiErr, unauthorized, answeredWith(403), 0},
		{"404", testkit.Answer(404), ends, ends, ends, apiErr, []error{drift.ErrNotFound}, answeredWith(404), 0},
		{"408", testkit.Answer(408), again, again, ends, apiErr, none, changedWith(408), 0},
		{"409", testkit.Answer(409), ends, ends, ends, apiErr, []error{drift.ErrConflict}, answeredWith(409), 0},
		{"422", testkit.Answer(422), ends, ends, ends, apiErr, invalid, answeredWith(422), 0},
		{"425", testkit.Answer(425), ends, ends, ends, apiErr, none, answeredWith(425), 0},
		{"429", testkit.Answer(429), waits, waits, waits, rateErr, limited, answeredWith(429), time.Second},
		{"429 in 3 s", testkit.Answer(429, "Retry-After", "3"), waits, waits, waits, rateErr, limited, answeredWith(429), 3 * time.Second},
		{"429 in 61 s", testkit.Answer(429, "Retry-After", "61"), ends, ends, ends, rateErr, limited, answeredWith(429), 61 * time.Second},
		{"429 used up", testkit.QuotaGone, ends, ends, ends, quotaErr, spent, answeredWith(429), time.Second},
		{"500", testkit.Answer(500), again, again, ends, apiErr, server, changedWith(500), 0},
		{"501", testkit.Answer(501), ends, ends, ends, apiErr, server, changedWith(501), 0},
		{"502", testkit.Answer(502), again, again, ends, apiErr, server, changedWith(502), 0},
		{"503", testkit.Answer(503), again, again, ends, apiErr, server, changedWith(503), 0},
		{"503 in 3 s", testkit.Answer(503, "Retry-After", "3"), again, again, ends, apiErr, server, changedWith(503), 3 * time.Second},
		{"504", testkit.Answer(504), again, again, ends, apiErr, server, changedWith(504), 0},
	}
}

// sequenceCall is a kind of call for which every sequence is tried.
type sequenceCall struct {
	name, method string
	opts         []drift.CallOption
	next         func(attemptRow) nextStep

	// How many sequences there are, so that none gets lost: with a source that has one token only, and, of those in
	// which the token is refused, with one that has another, in all and of at most three attempts.
	oneToken, twoTokens, ofThree int

	oneTokenOfThree int // those with a source that has one token only, of at most three attempts
}

// want is how many sequences are tried.
func (c sequenceCall) want(another bool) int {
	switch {
	case !another && testkit.UnderRaceDetector():
		return c.oneTokenOfThree
	case !another:
		return c.oneToken
	case testkit.UnderRaceDetector():
		return c.ofThree
	}
	return c.twoTokens
}

func sequenceCalls() []sequenceCall {
	idempotent, onlyOnce := drift.WithIdempotent(), drift.WithoutRetry()
	read := func(r attemptRow) nextStep { return r.read }
	repeatable := func(r attemptRow) nextStep { return r.repeatable }
	once := func(r attemptRow) nextStep { return r.once }
	never := func(attemptRow) nextStep { return ends }
	calls := []sequenceCall{
		{"GET", "GET", nil, read, 19068, 19042, 874, 3256},
		{"DELETE", "DELETE", nil, repeatable, 19068, 19042, 874, 3256},
		{"POST", "POST", nil, once, 1060, 1842, 378, 352},
		{"PATCH", "PATCH", nil, once, 1060, 1842, 378, 352},
		{"POST idempotent", "POST", []drift.CallOption{idempotent}, repeatable, 19068, 19042, 874, 3256},
		{"PATCH idempotent", "PATCH", []drift.CallOption{idempotent}, repeatable, 19068, 19042, 874, 3256},
	}
	for _, method := range []string{"GET", "DELETE", "POST", "PATCH"} {
		calls = append(calls,
			sequenceCall{method + " without retry", method, []drift.CallOption{onlyOnce}, never, 30, 2, 2, 30},
			sequenceCall{method + " idempotent without retry", method, []drift.CallOption{idempotent, onlyOnce}, never, 30, 2, 2, 30})
	}
	return calls
}

// Every sequence of outcomes that a call can meet, of up to three attempts and one with a new token, against the table.
func TestEverySequence(t *testing.T) {
	table, longest := attemptTable(), 4
	if testkit.UnderRaceDetector() {
		longest = 3
	}
	for _, call := range sequenceCalls() {
		for _, another := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, another token %t", call.name, another), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					run := &sequenceRun{t: t, call: call, another: another, table: table, longest: longest}
					run.from(nil, sequenceState{})
					assert.Equal(t, call.want(another), run.sequences)
					time.Sleep(time.Hour)
					assert.Equal(t, run.requests, run.network.requests, "nothing is sent once the calls are over")
				})
			})
		}
	}
}

type sequenceRun struct {
	t       *testing.T
	call    sequenceCall
	another bool // the source has another token when it is asked again
	table   []attemptRow
	longest int // sequence that is tried

	network             sequenceNetwork
	sequences, requests int
}

// sequenceState is what the documentation lets a call remember of its attempts.
type sequenceState struct {
	counted   int  // attempts, without the one for a new token
	refreshed bool // it has had that one
	throttled int  // 429s that it has waited out
	changed   bool
	told      []error // what the answer before matches: an error without an answer tells the last one
}

// from tries every sequence that begins with these attempts, and calls those that no attempt can follow.
func (r *sequenceRun) from(before []attemptRow, s sequenceState) {
	for _, row := range r.table {
		attempts := append(slices.Clip(before), row)
		if after, goesOn := r.after(row, s); goesOn {
			if len(attempts) < r.longest {
				r.from(attempts, after)
			}
			continue
		}
		if len(attempts) > r.longest || r.another && !slices.ContainsFunc(attempts, r.unauthorized) {
			continue // too long, or the same as without another token
		}
		if !r.check(attempts, s) {
			r.t.FailNow()
		}
	}
}

// after returns the state after an attempt, and whether another attempt follows.
func (r *sequenceRun) after(row attemptRow, s sequenceState) (sequenceState, bool) {
	s.changed = s.changed || row.effect.changed
	switch r.call.next(row) {
	case newToken:
		goesOn := r.another && !s.refreshed
		s.refreshed = true
		return s, goesOn
	case waits:
		s.told = row.matches
		s.throttled++
		return s, true
	case again:
		if row.effect.status >= 400 {
			s.told = row.matches
		}
		s.counted++
		return s, s.counted < 3
	default:
		return s, false
	}
}

func (r *sequenceRun) unauthorized(row attemptRow) bool { return row.once == newToken }

// check makes the call and compares everything that it leaves behind with the table.
func (r *sequenceRun) check(attempts []attemptRow, before sequenceState) bool {
	r.sequences++
	r.requests += len(attempts)
	r.network.begin(attempts)
	limiter, quota, source := new(sequenceLimiter), new(store), &refreshedSource{another: r.another}
	client, err := drift.NewClient(drift.WithTokenSource(source), drift.WithHTTPClient(&http.Client{Transport: &r.network}),
		drift.WithLimiter(limiter), drift.WithQuotaStore(quota), testkit.WithoutBudget)
	require.NoError(r.t, err)
	req := drift.Request{Name: "tests.call", Method: r.call.method, Path: "v2/things"}
	if r.call.method == "POST" || r.call.method == "PATCH" {
		req.Body = map[string]string{"name": "value"}
	}
	var response drift.Response
	var out struct{ ID int }
	err = client.Do(r.t.Context(), req, &out, append(slices.Clip(r.call.opts), drift.WithResponse(&response))...)

	want := r.want(attempts, before)
	got := sequenceResult{
		requests: len(r.network.sent), err: errorTypes(err), matches: matchedSentinels(err), attempts: listedAttempts(response.Attempts),
		ofError: listedAttempts(attemptsOfError(err)), slots: limiter.Outcomes, pauses: limiter.Pauses, held: limiter.Taken,
		used: quota.used, reserved: quota.reserved, refreshes: source.refreshes,
	}
	if err == nil {
		got.id = out.ID
	}
	return assert.Equal(r.t, want, got, "%s: %v: %v", r.call.name, attempts, err) && r.checkSent(attempts)
}

// sequenceResult is what a call leaves behind.
type sequenceResult struct {
	requests, used, reserved, refreshes, held, id int
	err                                           string
	matches                                       []error
	attempts, ofError                             []drift.Attempt
	slots                                         []drift.Outcome
	pauses                                        []time.Duration
}

func (r *sequenceRun) want(attempts []attemptRow, before sequenceState) sequenceResult {
	last := attempts[len(attempts)-1]
	want := sequenceResult{requests: len(attempts), reserved: len(attempts), err: last.error, matches: last.matches}
	changed := before.changed || last.effect.changed
	throttled := 0
	for _, a := range attempts {
		want.attempts = append(want.attempts, drift.Attempt{StatusCode: a.effect.status, Sent: a.effect.sent})
		want.slots = append(want.slots, a.effect.slot)
		if a.pause > 0 {
			want.pauses = append(want.pauses, a.pauseAfter(throttled))
		}
		if r.call.next(a) == waits {
			throttled++
		}
		if a.effect.sent {
			want.used++
		}
		if r.another && r.call.next(a) == newToken {
			want.refreshes = 1
		}
	}
	switch {
	case last.error == "":
		want.id = 1
	case r.call.method == "DELETE" && last.name == "404" && changed: // an attempt before this one has deleted it
		want.err, want.matches = "", nil
	case r.call.method != "GET" && changed:
		want.err = "AmbiguousError " + last.error
		want.matches = append(slices.Clip(want.matches), drift.ErrAmbiguous)
	}
	if last.error == "TransportError" {
		want.matches = append(slices.Clip(want.matches), before.told...)
	}
	if want.err != "" && last.error != "DecodeError" {
		want.ofError = want.attempts
	}
	want.matches = sentinelsInOrder(want.matches)
	return want
}

// checkSent compares the requests: when they were sent, with which token, and with which body.
func (r *sequenceRun) checkSent(attempts []attemptRow) bool {
	bearer := "first"
	for i, sent := range r.network.sent[1:] {
		gap := sent.At.Sub(r.network.sent[i].At)
		if r.call.next(attempts[i]) == newToken {
			bearer = "second"
			if !assert.Zero(r.t, gap, "%v: at once", attempts) {
				return false
			}
		}
		if gap < attempts[i].pause || sent.Token != bearer || sent.Body != r.network.sent[0].Body || sent.Method != r.call.method {
			return assert.Fail(r.t, "request", "%v: number %d after %v: %+v", attempts, i+2, gap, sent)
		}
	}
	return true
}

// pauseAfter is the pause after so many 429s before. Without a Retry-After, it doubles with each.
func (a attemptRow) pauseAfter(throttled int) time.Duration {
	if a.effect.status == http.StatusTooManyRequests && a.pause == time.Second {
		return a.pause << throttled
	}
	return a.pause
}

// String names an attempt in a message.
func (a attemptRow) String() string { return a.name }

// errorTypes names the type of an error, and of what an AmbiguousError wraps.
func errorTypes(err error) string {
	if err == nil {
		return ""
	}
	name := strings.TrimPrefix(fmt.Sprintf("%T", err), "*drift.")
	if ambiguous, ok := err.(*drift.AmbiguousError); ok {
		return name + " " + errorTypes(ambiguous.Err)
	}
	return name
}

// matchedSentinels returns the sentinels that an error matches.
func matchedSentinels(err error) (found []error) {
	for _, sentinel := range testkit.AllSentinels {
		if errors.Is(err, sentinel) {
			found = append(found, sentinel)
		}
	}
	return found
}

// sentinelsInOrder puts sentinels into the order in which matchedSentinels finds them.
func sentinelsInOrder(wanted []error) (sorted []error) {
	for _, sentinel := range testkit.AllSentinels {
		if slices.Contains(wanted, sentinel) {
			sorted = append(sorted, sentinel)
		}
	}
	return sorted
}

// listedAttempts keeps of attempts what the table knows.
func listedAttempts(attempts []drift.Attempt) (kept []drift.Attempt) {
	for _, a := range attempts {
		kept = append(kept, drift.Attempt{StatusCode: a.StatusCode, Sent: a.Sent})
	}
	return kept
}

// attemptsOfError returns the attempts that the error of a call lists.
func attemptsOfError(err error) []drift.Attempt {
	var transport *drift.TransportError
	var api *drift.APIError
	switch {
	case errors.As(err, &transport):
		return transport.Attempts
	case errors.As(err, &api):
		return api.Attempts
	}
	return nil
}

// sequenceNetwork answers with the attempts of one sequence after the other. What is sent after the last attempt of a
// sequence finds a teapot.
type sequenceNetwork struct {
	attempts []attemptRow
	sent     []testkit.SentRequest
	requests int // of all sequences
}

func (n *sequenceNetwork) begin(attempts []attemptRow) { n.attempts, n.sent = attempts, n.sent[:0] }

func (n *sequenceNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.requests++
	n.sent = append(n.sent, testkit.Sent(r))
	if len(n.sent) > len(n.attempts) {
		return testkit.Answer(http.StatusTeapot)(r)
	}
	return n.attempts[len(n.sent)-1].respond(r)
}

// sequenceLimiter records what it is told, and holds all callers back during a pause.
type sequenceLimiter struct {
	testkit.Slots
	until time.Time
}

func (l *sequenceLimiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	time.Sleep(time.Until(l.until))
	return l.Slots.Acquire(ctx, turn)
}

func (l *sequenceLimiter) Pause(ctx context.Context, until time.Time) error {
	l.until = until
	return l.Slots.Pause(ctx, until)
}

// refreshedSource has one other token, if it has another.
type refreshedSource struct {
	another   bool
	refreshes int
}

func (s *refreshedSource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

func (s *refreshedSource) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: [...]string{"first", "second", "third", "fourth"}[s.refreshes]}, nil
}

func (s *refreshedSource) Refresh(ctx context.Context, _ *oauth2.Token) (*oauth2.Token, error) {
	if s.another {
		s.refreshes++
	}
	return s.TokenContext(ctx)
}

// Attempts that do not count make the backoff no longer, and no number of attempts is too large.
func TestBackoffAfterFreeAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stale := func(*http.Request) (*http.Response, error) {
			return nil, errors.New("http: server closed idle connection")
		}
		network := &testkit.Network{Answers: append(slices.Repeat([]testkit.Responder{stale}, 10), testkit.Answer(503), testkit.Answer(200))}
		client := testkit.Through(t, network.Serve, drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: math.MaxInt}))
		start := time.Now()
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Less(t, time.Since(start), time.Second)
		assert.Len(t, network.Requests(), 12)
	})
}
