package drift_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// hookLog writes down what the hooks of a client tell.
type hookLog struct {
	mu        sync.Mutex
	requests  []drift.RequestInfo
	attempts  []drift.AttemptInfo
	waits     []drift.WaitInfo
	responses []drift.ResponseInfo
}

func (l *hookLog) hooks() drift.Hooks {
	return drift.Hooks{
		Start: func(ctx context.Context, i drift.RequestInfo) context.Context {
			l.locked(func() { l.requests = append(l.requests, i) })
			return ctx
		},
		Attempt:  func(i drift.AttemptInfo) { l.locked(func() { l.attempts = append(l.attempts, i) }) },
		Wait:     func(i drift.WaitInfo) { l.locked(func() { l.waits = append(l.waits, i) }) },
		Response: func(i drift.ResponseInfo) { l.locked(func() { l.responses = append(l.responses, i) }) },
	}
}

func (l *hookLog) locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func TestHooksOfACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(hookLog)
		network := &testkit.Network{Answers: []testkit.Responder{testkit.NotSent, testkit.Answer(503, "Retry-After", "5", "X-Request-Id", "r2"), testkit.Answer(404, "X-Request-Id", "r3")}, Delay: time.Second}
		client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()), drift.WithLimiter(new(testkit.Slots)))
		start := time.Now()
		ctx := context.WithValue(t.Context(), spanKey{}, "span")
		_, err := client.Conversations.Get(ctx, 42)
		require.ErrorIs(t, err, drift.ErrNotFound)

		info := drift.RequestInfo{Operation: "conversations.get", Method: http.MethodGet, Route: "v2/conversations/{conversationId}", Server: "drift.test:443"}
		assert.Equal(t, []drift.RequestInfo{info}, log.requests)
		require.Len(t, log.attempts, 3)
		for i, attempt := range log.attempts {
			assert.Equal(t, info, attempt.RequestInfo)
			assert.Equal(t, "span", attempt.Context().Value(spanKey{}))
			assert.Equal(t, i+1, attempt.Number)
			assert.Equal(t, time.Second, attempt.Duration)
			assert.Equal(t, []int{0, 503, 404}[i], attempt.StatusCode)
			assert.Equal(t, []string{"", "r2", "r3"}[i], attempt.RequestID)
			assert.Equal(t, i > 0, attempt.Sent)
			assert.Equal(t, i == 0, attempt.Err != nil)
		}
		require.Len(t, log.waits, 2)
		for _, wait := range log.waits {
			assert.Equal(t, info, wait.RequestInfo)
			assert.Equal(t, "span", wait.Context().Value(spanKey{}))
			assert.Equal(t, drift.WaitBackoff, wait.Reason)
		}
		require.Len(t, log.responses, 1)
		end := log.responses[0]
		assert.Equal(t, info, end.RequestInfo)
		assert.Equal(t, "span", end.Context().Value(spanKey{}))
		assert.Equal(t, 404, end.StatusCode)
		assert.Equal(t, 3, end.Attempts)
		assert.Equal(t, err, end.Err)
		assert.Equal(t, time.Since(start), end.Duration)
		assert.Equal(t, drift.Waits{Backoff: log.waits[0].Duration + log.waits[1].Duration}, end.Waited)
		assert.Equal(t, end.Duration, end.Waited.Total()+3*time.Second)
	})
}

// named returns hooks that write down what happens, under a name, and whether the contexts of both are seen.
func named(name string, lines *[]string, panics string) drift.Hooks {
	note := func(ctx context.Context, what string) {
		*lines = append(*lines, strings.TrimSpace(fmt.Sprint(name, " ", what, " ", seen(ctx))))
		if panics == what {
			panic(what)
		}
	}
	return drift.Hooks{
		Start: func(ctx context.Context, _ drift.RequestInfo) context.Context {
			note(ctx, "start")
			return context.WithValue(ctx, spanKey{}, seen(ctx)+name)
		},
		StartAttempt: func(ctx context.Context, _ drift.RequestInfo, number int) context.Context {
			note(ctx, fmt.Sprint("attempt ", number))
			return context.WithValue(ctx, spanKey{}, seen(ctx)+name+"'")
		},
		Attempt:  func(i drift.AttemptInfo) { note(i.Context(), fmt.Sprint("ended ", i.Number)) },
		Response: func(i drift.ResponseInfo) { note(i.Context(), "end") },
	}
}

func seen(ctx context.Context) string {
	text, _ := ctx.Value(spanKey{}).(string)
	return text
}

func TestSeveralHooksAddUp(t *testing.T) {
	var lines []string
	inTransport := func(r *http.Request) (*http.Response, error) {
		lines = append(lines, "sent "+seen(r.Context()))
		if len(lines) < 6 {
			return testkit.Answer(503)(r)
		}
		return testkit.Answer(200)(r)
	}
	client := testkit.Through(t, inTransport, testkit.Impatient(), drift.WithHooks(named("a", &lines, "")), drift.WithHooks(named("b", &lines, "")))
	require.NoError(t, testkit.Get(t.Context(), client))
	assert.Equal(t, []string{
		"a start", "b start a",
		"a attempt 1 ab", "b attempt 1 aba'", "sent aba'b'", "b ended 1 aba'b'", "a ended 1 aba'b'",
		"a attempt 2 ab", "b attempt 2 aba'", "sent aba'b'", "b ended 2 aba'b'", "a ended 2 aba'b'",
		"b end ab", "a end ab",
	}, lines)
}

// What was started ends, whatever panics.
func TestHooksEndAfterAPanic(t *testing.T) {
	for panics, want := range map[string][]string{
		"start":     {"a start"},
		"attempt 1": {"a start", "b start a", "a attempt 1 ab", "b end ab", "a end ab"},
		"transport": {"a start", "b start a", "a attempt 1 ab", "b attempt 1 aba'", "b ended 1 aba'b'", "a ended 1 aba'b'", "b end ab", "a end ab"},
		"ended 1":   {"a start", "b start a", "a attempt 1 ab", "b attempt 1 aba'", "b ended 1 aba'b'", "a ended 1 aba'b'", "b end ab", "a end ab"},
		"end":       {"a start", "b start a", "a attempt 1 ab", "b attempt 1 aba'", "b ended 1 aba'b'", "a ended 1 aba'b'", "b end ab", "a end ab"},
	} {
		t.Run(panics, func(t *testing.T) {
			var lines []string
			var ended drift.ResponseInfo
			last := drift.Hooks{Response: func(i drift.ResponseInfo) { ended = i }}
			limiter := new(testkit.Slots)
			client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
				if panics == "transport" {
					panic("transport")
				}
				return testkit.Answer(200)(r)
			}, drift.WithLimiter(limiter), drift.WithHooks(last), drift.WithHooks(named("a", &lines, panics)), drift.WithHooks(named("b", &lines, panics)))
			var response drift.Response
			assert.PanicsWithValue(t, panics, func() { _ = testkit.Get(t.Context(), client, drift.WithResponse(&response)) })
			assert.Equal(t, want, lines)
			assert.Zero(t, limiter.Held())
			if panics == "end" {
				assert.NoError(t, ended.Err)
				return
			}
			assert.Equal(t, drift.KindPanic, drift.KindOf(ended.Err))
			if panics == "transport" {
				require.Len(t, response.Attempts, 1)
				assert.True(t, response.Attempts[0].Sent, "it may have been")
				assert.Equal(t, drift.KindPanic, drift.KindOf(response.Attempts[0].Err))
			}
		})
	}
}

// A hook cannot make a call outlast the caller's context, but it can shorten it.
func TestContextsOfHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		background := drift.Hooks{
			Start:        func(context.Context, drift.RequestInfo) context.Context { return context.Background() },
			StartAttempt: func(context.Context, drift.RequestInfo, int) context.Context { return context.Background() },
		}
		nothing := drift.Hooks{
			Start:        func(context.Context, drift.RequestInfo) context.Context { return nil },
			StartAttempt: func(context.Context, drift.RequestInfo, int) context.Context { return nil },
		}
		for _, hooks := range []drift.Hooks{background, nothing} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, testkit.Get(ctx, testkit.Through(t, blockedNetwork, drift.WithHooks(hooks))), context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(start))
		}
		var cancel context.CancelFunc
		shorter := drift.Hooks{StartAttempt: func(ctx context.Context, _ drift.RequestInfo, _ int) context.Context {
			ctx, cancel = context.WithTimeout(ctx, time.Second)
			return ctx
		}}
		start := time.Now()
		client := testkit.Through(t, blockedNetwork, drift.WithHooks(shorter), drift.WithoutRetry())
		require.ErrorIs(t, testkit.Get(t.Context(), client), context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		cancel()
	})
}

func TestAttemptFromContext(t *testing.T) {
	var numbers []int
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		info, number, ok := drift.AttemptFromContext(r.Context())
		assert.True(t, ok)
		assert.Equal(t, drift.RequestInfo{Operation: "tags.get", Method: "GET", Route: "v2/tags/{tagId}", Server: "drift.test:443"}, info)
		numbers = append(numbers, number)
		assert.Zero(t, testing.AllocsPerRun(10, func() { _, _, _ = drift.AttemptFromContext(r.Context()) }))
		return testkit.Answer(503)(r)
	}, testkit.Impatient())
	_, err := client.Tags.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrServer)
	assert.Equal(t, []int{1, 2, 3}, numbers)
	_, _, ok := drift.AttemptFromContext(t.Context())
	assert.False(t, ok)
}

// A call within an attempt of another client is no attempt yet while it waits for the limiter.
func TestAttemptFromContextOfACallWithinACall(t *testing.T) {
	var seen []string
	note := func(ctx context.Context) {
		info, number, ok := drift.AttemptFromContext(ctx)
		seen = append(seen, fmt.Sprint(info.Operation, " ", number, " ", ok))
	}
	inner := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), drift.WithLimiter(notingLimiter{note: note}))
	outer := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		note(r.Context())
		_, err := inner.Notes.Get(r.Context(), 1, 1)
		assert.NoError(t, err)
		return testkit.AnswerBody(200, `{"id":1}`)(r)
	})
	_, err := outer.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, []string{"tags.get 1 true", "tags.get 1 true"}, seen)
}

// notingLimiter notes the contexts of those who ask for a slot.
type notingLimiter struct {
	testkit.OpenLimiter
	note func(context.Context)
}

func (l notingLimiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	l.note(ctx)
	return l.OpenLimiter.Acquire(ctx, turn)
}

func TestProtocolOfAnAttempt(t *testing.T) {
	log := new(hookLog)
	client := testkit.Serve(t, testkit.Respond(200, `{"data":{"id":1}}`), drift.WithHooks(log.hooks()))
	_, err := client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	require.Error(t, testkit.Get(t.Context(), testkit.Through(t, testkit.NotSent, drift.WithHooks(log.hooks()), drift.WithoutRetry())))
	assert.Equal(t, "HTTP/1.1", log.attempts[0].Proto)
	assert.Empty(t, log.attempts[1].Proto)
	assert.Equal(t, strings.TrimPrefix(client.String(), "drift.Client("), log.attempts[0].Server+")")
}

func TestHooksOfACallThatIsNotSent(t *testing.T) {
	log, network := new(hookLog), new(testkit.Network)
	client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()))
	_, err := client.Conversations.Get(t.Context(), -1)
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.Len(t, log.requests, 1)
	assert.Empty(t, log.attempts)
	assert.Empty(t, log.waits)
	require.Len(t, log.responses, 1)
	assert.Equal(t, err, log.responses[0].Err)
	assert.Zero(t, log.responses[0].Attempts)
	var none context.Context
	_, err = client.Conversations.Get(none, 1)
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.Equal(t, context.Background(), log.responses[1].Context())
	assert.Len(t, log.requests, 2)
	assert.Equal(t, context.Background(), drift.AttemptInfo{}.Context())
}

func TestSuccessHasNoError(t *testing.T) {
	log := new(hookLog)
	require.NoError(t, testkit.Get(t.Context(), testkit.Through(t, new(testkit.Network).Serve, drift.WithHooks(log.hooks()))))
	require.Len(t, log.responses, 1)
	assert.NoError(t, log.responses[0].Err)
	assert.Empty(t, log.waits, "nothing was worth mentioning")
}

func TestWaitsByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(hookLog)
		source := &plainSource{tokens: []string{"slow"}, delay: 2 * time.Second}
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(200), testkit.Answer(500), testkit.Answer(200)}}
		client := testkit.ThroughWith(t, source, network.Serve, drift.WithHooks(log.hooks()), drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Equal(t, drift.Waits{Token: 2 * time.Second}, log.responses[0].Waited)

		var response drift.Response
		start := time.Now()
		require.NoError(t, testkit.Get(t.Context(), client, drift.WithResponse(&response)))
		waited := response.Waited
		assert.Equal(t, 4*time.Second, waited.Token, "once for each attempt")
		assert.InDelta(t, 60-2+60-2-waited.Backoff.Seconds(), waited.RateLimit.Seconds(), 0.001)
		assert.Equal(t, time.Since(start), waited.Total())
		assert.Equal(t, waited, log.responses[1].Waited)

		var sum drift.Waits
		for _, wait := range log.waits[1:] {
			switch wait.Reason {
			case drift.WaitToken:
				sum.Token += wait.Duration
			case drift.WaitBackoff:
				sum.Backoff += wait.Duration
			case drift.WaitRateLimit:
				sum.RateLimit += wait.Duration
			}
		}
		assert.Equal(t, waited, sum)
	})
}

func TestWaitForAPauseIsARateLimitWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, network := new(hookLog), &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", "100"), testkit.Answer(200)}}
		client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()))
		require.Error(t, testkit.Get(t.Context(), client))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.Len(t, log.waits, 1)
		assert.Equal(t, drift.WaitRateLimit, log.waits[0].Reason)
		assert.Equal(t, 100*time.Second, log.waits[0].Duration)
		assert.Equal(t, log.waits[0].Duration, log.responses[1].Waited.RateLimit)
	})
}

// A wait that ended without a call is one all the same.
func TestWaitThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, network := new(hookLog), new(testkit.Network)
		client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()), drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Second, cancel)
		require.ErrorIs(t, testkit.Get(ctx, client), context.Canceled)
		assert.Equal(t, 20*time.Second, log.responses[1].Waited.RateLimit)
		require.Len(t, log.waits, 1)
	})
}

func TestPanicOfAHookLeavesTheClientUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		hooks := drift.Hooks{Attempt: func(drift.AttemptInfo) {
			if broken {
				panic("hook")
			}
		}}
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithHooks(hooks), drift.WithRateLimit(2))
		assert.PanicsWithValue(t, "hook", func() { _ = testkit.Get(t.Context(), client) })
		broken = false
		start := time.Now()
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Zero(t, time.Since(start), "the first call was answered, and holds nobody up")
	})
}

func TestPanicOfTheWaitHookGivesTheSlotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		hooks := drift.Hooks{Wait: func(drift.WaitInfo) {
			if broken {
				panic("hook")
			}
		}}
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithHooks(hooks), drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		broken = true
		assert.PanicsWithValue(t, "hook", func() { _ = testkit.Get(t.Context(), client) })
		broken = false
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		assert.NoError(t, testkit.Get(ctx, client))
	})
}

func TestPanicOfTheQuotaHookGivesTheSlotBack(t *testing.T) {
	limiter := new(testkit.Slots)
	hooks := drift.Hooks{Quota: func(drift.Usage) { panic("hook") }}
	client := testkit.Through(t, new(testkit.Network).Serve, drift.WithLimiter(limiter), drift.WithHooks(hooks), drift.WithPlan(1))
	assert.PanicsWithValue(t, "hook", func() { _ = testkit.Get(t.Context(), client) })
	assert.Equal(t, []drift.Outcome{drift.OutcomeAnswered}, limiter.Outcomes)
	assert.Equal(t, 1, testkit.Used(t, client), "the call was sent and counts")
}

func TestInterruptedBackoffIsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503, "Retry-After", "30")}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		var response drift.Response
		require.Error(t, testkit.Get(ctx, testkit.Through(t, network.Serve), drift.WithResponse(&response)))
		assert.Equal(t, 10*time.Second, response.Waited.Backoff)
	})
}

// slowStores takes its time for everything that a call needs of it while an attempt runs, or after it.
type slowStores struct{ testkit.OpenLimiter }

func (s slowStores) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return s, nil }

func (slowStores) Done(context.Context, drift.Result) error {
	time.Sleep(3 * time.Second)
	return nil
}

func (slowStores) Pause(context.Context, time.Time) error {
	time.Sleep(5 * time.Second)
	return nil
}

// An attempt takes as long as the network, whatever stores do meanwhile: that is a wait.
func TestStoresAreWaits(t *testing.T) {
	used := drift.Usage{Used: 10, Limit: 10}
	for name, test := range map[string]struct {
		answer testkit.Responder
		option drift.Option
		want   drift.Waits
	}{
		"a slot that is taken back":   {testkit.Answer(200), drift.WithLimiter(slowStores{}), drift.Waits{RateLimit: 3 * time.Second}},
		"a slot that was not used":    {testkit.NotSent, drift.WithLimiter(slowStores{}), drift.Waits{RateLimit: 3 * time.Second}},
		"a pause":                     {testkit.Answer(429), drift.WithLimiter(slowStores{}), drift.Waits{RateLimit: 8 * time.Second}},
		"a refund":                    {testkit.NotSent, drift.WithQuotaStore(&testkit.SlowStore{Refunding: 500 * time.Millisecond}), drift.Waits{Quota: 500 * time.Millisecond}},
		"the service says used up":    {testkit.QuotaGone, drift.WithQuotaStore(slowUsage{}), drift.Waits{Quota: 2 * time.Second}},
		"the month is used up before": {testkit.Answer(200), drift.WithQuotaStore(slowUsage{used}), drift.Waits{Quota: 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, network := new(hookLog), &testkit.Network{Answers: []testkit.Responder{test.answer}, Delay: time.Second}
				client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()), drift.WithoutRetry(), test.option)
				_ = testkit.Get(t.Context(), client)
				if name == "the month is used up before" {
					_ = testkit.Get(t.Context(), client)
				}
				last := log.responses[len(log.responses)-1]
				assert.Equal(t, test.want, last.Waited)
				require.Len(t, log.attempts, 1)
				assert.Equal(t, time.Second, log.attempts[0].Duration)
				attempts := time.Duration(last.Attempts) * time.Second
				assert.Equal(t, last.Duration, last.Waited.Total()+attempts)
			})
		})
	}
}

// slowUsage is a quota store that takes two seconds to say what is used.
type slowUsage struct{ used drift.Usage }

func (s slowUsage) Reserve(context.Context) (drift.Reservation, error) {
	return testkit.Reserved{Used: s.used}, nil
}

func (s slowUsage) Usage(context.Context) (drift.Usage, error) {
	time.Sleep(2 * time.Second)
	return s.used, nil
}

// A retry at once has no delay before it.
func TestNoDelayIsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, network := new(hookLog), &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", "7"), testkit.Answer(200)}}
		require.NoError(t, testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()))))
		require.Len(t, log.waits, 1)
		assert.Equal(t, drift.WaitRateLimit, log.waits[0].Reason)
	})
}

// An attempt is of the kind of the error that the call has if it is the last one.
func TestKindsOfAttempts(t *testing.T) {
	get := func(ctx context.Context, c *drift.Client) error { _, err := c.Tags.Get(ctx, 1); return err }
	remove := func(ctx context.Context, c *drift.Client) error { return c.Tags.Delete(ctx, 1) }
	for name, test := range map[string]struct {
		call    func(context.Context, *drift.Client) error
		answers []testkit.Responder
		want    drift.Kind
	}{
		"success":                   {get, []testkit.Responder{testkit.AnswerBody(200, `{"id":1}`)}, drift.KindOK},
		"no record":                 {get, []testkit.Responder{testkit.Answer(404)}, drift.KindNotFound},
		"a bad token":               {get, []testkit.Responder{testkit.AuthenticationFailed}, drift.KindUnauthorized},
		"forbidden":                 {get, []testkit.Responder{testkit.Answer(403)}, drift.KindForbidden},
		"used up":                   {get, []testkit.Responder{testkit.QuotaGone}, drift.KindQuotaExceeded},
		"payment required":          {get, []testkit.Responder{testkit.Answer(402)}, drift.KindQuotaExceeded},
		"not modified":              {get, []testkit.Responder{testkit.Answer(304)}, drift.KindOther},
		"a redirect":                {get, []testkit.Responder{testkit.Answer(302)}, drift.KindUnexpectedContent},
		"not sent":                  {get, []testkit.Responder{testkit.NotSent}, drift.KindConnect},
		"no status":                 {get, []testkit.Responder{testkit.Answer(0)}, drift.KindOther},
		"deleted before":            {remove, []testkit.Responder{testkit.Answer(503), testkit.Answer(404)}, drift.KindOK},
		"deleted before, throttled": {remove, []testkit.Responder{testkit.Answer(503), testkit.Answer(429), testkit.Answer(404)}, drift.KindOK},
		"never there, throttled":    {remove, []testkit.Responder{testkit.Answer(429), testkit.Answer(404)}, drift.KindNotFound},
		"never there, not sent":     {remove, []testkit.Responder{testkit.NotSent, testkit.Answer(404)}, drift.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, network := new(hookLog), &testkit.Network{Answers: test.answers}
				client := testkit.Through(t, network.Serve, drift.WithHooks(log.hooks()), testkit.Impatient())
				err := test.call(t.Context(), client)
				assert.Equal(t, test.want, drift.KindOf(err), "%v", err)
				assert.Equal(t, test.want, log.attempts[len(log.attempts)-1].Kind)
			})
		})
	}
}

// panickyLog panics at one message.
type panickyLog struct {
	slog.Handler
	message string
}

func (l panickyLog) Handle(_ context.Context, record slog.Record) error {
	if record.Message == l.message {
		panic(l.message)
	}
	return nil
}

func (panickyLog) Enabled(context.Context, slog.Level) bool { return true }

// What was started ends, even if the log panics.
func TestHooksEndAfterAPanicOfTheLog(t *testing.T) {
	for _, message := range []string{"drift: attempt", "drift: the service asked for a pause", "drift: the call failed"} {
		log := new(hookLog)
		client := testkit.Through(t, testkit.Answer(429), drift.WithHooks(log.hooks()), drift.WithoutRetry(),
			drift.WithLogger(slog.New(panickyLog{message: message})))
		var response drift.Response
		assert.PanicsWithValue(t, message, func() { _ = testkit.Get(t.Context(), client, drift.WithResponse(&response)) })
		assert.Len(t, log.attempts, 1, message)
		assert.Len(t, log.responses, 1, message)
		assert.Len(t, response.Attempts, 1)
	}
}

// A panic of the hook Waiting, which runs on a goroutine of the client, reaches the caller too.
func TestPanicOfTheWaitingHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, limiter := new(hookLog), drift.NewLimiter(1)
		hooks := drift.Hooks{Waiting: func(drift.WaitInfo) { panic("hook") }}
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithLimiter(limiter), drift.WithHooks(hooks), drift.WithHooks(log.hooks()))
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.PanicsWithValue(t, "hook", func() { _ = testkit.Get(t.Context(), client) })
		assert.Len(t, log.responses, 2)
		assert.Equal(t, 1, limiter.Stats().Free, "the slot was given back")
	})
}

// A wait for the limiter is reported while it lasts, once it has lasted for a while.
func TestWaitThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var waiting []drift.WaitInfo
		start := time.Now()
		hooks := drift.Hooks{Waiting: func(info drift.WaitInfo) {
			testkit.AssertTook(t, 5*time.Second, start)
			waiting = append(waiting, info)
		}}
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithRateLimit(1), drift.WithHooks(hooks),
			drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.Empty(t, waiting)
		require.NoError(t, testkit.Get(t.Context(), client))
		require.Len(t, waiting, 1)
		assert.Equal(t, "tests.call", waiting[0].Operation)
		assert.Equal(t, drift.WaitRateLimit, waiting[0].Reason)
		assert.Equal(t, 5*time.Second, waiting[0].Duration)
		assert.Equal(t, 1, strings.Count(log.String(), `msg="drift: waiting for the rate limit" operation=tests.call waited=5s`))
	})
}
