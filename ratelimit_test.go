package drift_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestRateLimitOfAThousandCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &testkit.MinuteServer{Limit: 100, Delay: testkit.Delays20To120}, time.Now()
		testkit.CallAll(t, 1000, 64, testkit.Through(t, server.Serve))
		assert.Zero(t, server.Refused)
		assert.GreaterOrEqual(t, time.Since(start), 540*time.Second)
		assert.Less(t, time.Since(start), 548*time.Second)
	})
}

func TestClientsShareALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &testkit.MinuteServer{Limit: 100, Delay: testkit.Delays20To120}, time.Now()
		limiter := drift.NewLimiter(100)
		testkit.CallAll(t, 125, 20, testkit.Through(t, server.Serve, drift.WithLimiter(limiter)), testkit.Through(t, server.Serve, drift.WithLimiter(limiter)))
		assert.Zero(t, server.Refused)
		assert.GreaterOrEqual(t, time.Since(start), 2*time.Minute)
	})
}

func TestWithRateLimit(t *testing.T) {
	for _, limit := range []int{1, 2, 10} {
		synctest.Test(t, func(t *testing.T) {
			server, start := &testkit.MinuteServer{Limit: limit, Delay: testkit.Delays20To120}, time.Now()
			testkit.CallAll(t, 2*limit+1, 5, testkit.Through(t, server.Serve, drift.WithRateLimit(limit)))
			assert.Zero(t, server.Refused)
			assert.GreaterOrEqual(t, time.Since(start), 2*time.Minute)
			assert.Less(t, time.Since(start), 2*time.Minute+2*time.Second)
		})
	}
}

func TestLimiterOptions(t *testing.T) {
	tests := map[string]struct {
		limiter           func() *drift.WindowLimiter
		interactive, bulk int // how many can go at once, after the first call
	}{
		"default":            {func() *drift.WindowLimiter { return drift.NewLimiter(100) }, 99, 89},
		"large":              {func() *drift.WindowLimiter { return drift.NewLimiter(1000) }, 999, 989},
		"small":              {func() *drift.WindowLimiter { return drift.NewLimiter(20) }, 19, 17},
		"one":                {func() *drift.WindowLimiter { return drift.NewLimiter(1) }, 0, 0},
		"below one":          {func() *drift.WindowLimiter { return drift.NewLimiter(-5) }, 0, 0},
		"burst":              {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(5)) }, 4, 4},
		"burst too small":    {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(0)) }, 0, 0},
		"burst too large":    {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(500)) }, 99, 89},
		"reserve":            {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(40)) }, 99, 59},
		"no reserve":         {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(0)) }, 99, 99},
		"negative reserve":   {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(-1)) }, 99, 99},
		"reserve everything": {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(100)) }, 99, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, test.interactive, slotsAtOnce(t, test.limiter(), drift.Interactive))
				assert.Equal(t, test.bulk, slotsAtOnce(t, test.limiter(), drift.Bulk))
			})
		})
	}
}

// slotsAtOnce is how many calls can go at once after a first one was answered.
func slotsAtOnce(t *testing.T, limiter drift.Limiter, class drift.Class) int {
	first, err := limiter.Acquire(t.Context(), class)
	require.NoError(t, err)
	first.Done(drift.Answered)
	for n := 0; ; n++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		_, err := limiter.Acquire(ctx, class)
		cancel()
		if err != nil {
			return n
		}
	}
}

func TestOutcomes(t *testing.T) {
	for outcome, wait := range map[drift.Outcome]time.Duration{drift.NotSent: 0, drift.Answered: time.Minute, drift.Unknown: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			limiter, start := drift.NewLimiter(1), time.Now()
			slot, err := limiter.Acquire(t.Context(), drift.Interactive)
			require.NoError(t, err)
			slot.Done(outcome)
			_, err = limiter.Acquire(t.Context(), drift.Interactive)
			require.NoError(t, err)
			testkit.AssertTook(t, wait, start)
		})
	}
}

func TestBulkLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &testkit.MinuteServer{Limit: 100, Delay: testkit.Delays20To120}, time.Now()
		client := testkit.Through(t, server.Serve)
		job := client.With(drift.WithBulk())
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() { assert.NoError(t, testkit.Get(t.Context(), job)) })
		}
		time.Sleep(time.Second)
		for range 60 {
			asked := time.Now()
			require.NoError(t, testkit.Get(t.Context(), client))
			assert.Less(t, time.Since(asked), time.Second)
			time.Sleep(7 * time.Second)
		}
		group.Wait()
		assert.Zero(t, server.Refused)
		assert.Less(t, time.Since(start), 720*time.Second)
	})
}

func TestLocalRateLimitError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(testkit.Network)
		client := testkit.Through(t, net.Serve, drift.WithRateLimit(1))
		require.NoError(t, testkit.Get(t.Context(), client))
		time.Sleep(10 * time.Second)
		asked := time.Now()
		for name, opts := range map[string][]drift.CallOption{"context": nil, "WithTimeout": {drift.WithTimeout(20 * time.Second)}} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			_, err := client.Conversations.Get(ctx, 42, opts...)
			cancel()
			var limited *drift.RateLimitError
			require.ErrorAs(t, err, &limited, name)
			assert.True(t, limited.Local)
			assert.InDelta(t, 50, limited.RetryAfter.Seconds(), 0.001)
			assert.Equal(t, "conversations.get", limited.Operation)
			assert.ErrorIs(t, err, drift.ErrRateLimited)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		}
		assert.Zero(t, time.Since(asked), "at once")
		assert.Len(t, net.Requests(), 1)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, usage.Used)
	})
}

func TestThrottledCallPausesEveryCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(200), testkit.Answer(429, "Retry-After", "30"), testkit.Answer(200)}, Delay: 100 * time.Millisecond}
		client := testkit.Through(t, net.Serve)
		view := client.With(drift.WithBulk())
		require.NoError(t, testkit.Get(t.Context(), client))
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() { assert.NoError(t, testkit.Get(t.Context(), client)) })
		time.Sleep(200 * time.Millisecond)
		for range 5 {
			group.Go(func() { assert.NoError(t, testkit.Get(t.Context(), client)) })
			group.Go(func() { assert.NoError(t, testkit.Get(t.Context(), view)) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		testkit.RequireLocalLimit(t, testkit.Get(ctx, client), 29*time.Second)
		assert.Equal(t, 200*time.Millisecond, time.Since(start), "at once")
		group.Wait()

		sent := net.Requests()
		require.Len(t, sent, 13)
		resumed := sent[1].At.Add(100*time.Millisecond + 30*time.Second)
		assert.Equal(t, resumed, sent[2].At, "one goes first, when the pause is over")
		for i, r := range sent[3:] {
			assert.GreaterOrEqual(t, r.At.Sub(sent[2+i].At), 500*time.Millisecond, "the rest at an even pace")
		}
	})
}

func TestWhatTheLimiterIsTold(t *testing.T) {
	tests := map[string]struct {
		answers  []testkit.Responder
		outcomes []drift.Outcome
		pauses   []time.Duration
	}{
		"answered":               {[]testkit.Responder{testkit.Answer(200)}, []drift.Outcome{drift.Answered}, nil},
		"not sent":               {[]testkit.Responder{testkit.NotSent, testkit.Answer(404)}, []drift.Outcome{drift.NotSent, drift.Answered}, nil},
		"no answer":              {[]testkit.Responder{testkit.NoAnswer, testkit.Answer(200)}, []drift.Outcome{drift.Unknown, drift.Answered}, nil},
		"broken answer":          {[]testkit.Responder{testkit.BrokenBody, testkit.Answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, nil},
		"429":                    {[]testkit.Responder{testkit.Answer(429), testkit.Answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{time.Second}},
		"429 with Retry-After":   {[]testkit.Responder{testkit.Answer(429, "Retry-After", "7"), testkit.Answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{7 * time.Second}},
		"429 with an absurd one": {[]testkit.Responder{testkit.Answer(429, "Retry-After", "99999999999")}, []drift.Outcome{drift.Answered}, []time.Duration{5 * time.Minute}},
		"503":                    {[]testkit.Responder{testkit.Answer(503), testkit.Answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, nil},
		"503 with Retry-After":   {[]testkit.Responder{testkit.Answer(503, "Retry-After", "7"), testkit.Answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{7 * time.Second}},
		"401":                    {[]testkit.Responder{testkit.Answer(401)}, []drift.Outcome{drift.Answered}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter, net := new(testkit.Slots), &testkit.Network{Answers: test.answers}
				_ = testkit.Get(t.Context(), testkit.Through(t, net.Serve, drift.WithLimiter(limiter)))
				assert.Zero(t, limiter.Taken)
				assert.Equal(t, test.outcomes, limiter.Outcomes)
				assert.Equal(t, test.pauses, limiter.Pauses)
				assert.Len(t, net.Requests(), len(test.outcomes))
			})
		})
	}
}

func TestClassOfACall(t *testing.T) {
	limiter, net := new(testkit.Slots), new(testkit.Network)
	client := testkit.Through(t, net.Serve, drift.WithLimiter(limiter))
	require.NoError(t, testkit.Get(t.Context(), client))
	require.NoError(t, testkit.Get(t.Context(), client, drift.WithBulk()))
	assert.Equal(t, []drift.Class{drift.Interactive, drift.Bulk}, limiter.Classes)
}

func TestLimiterThatFails(t *testing.T) {
	broken := errors.New("secret of the limiter")
	limiter, net := &testkit.Slots{Err: broken}, new(testkit.Network)
	client := testkit.Through(t, net.Serve, drift.WithLimiter(limiter))
	err := testkit.Get(t.Context(), client)
	var failed *drift.TransportError
	require.ErrorAs(t, err, &failed)
	assert.ErrorIs(t, err, broken)
	assert.False(t, failed.Sent)
	assert.Empty(t, net.Requests())
	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	assert.Zero(t, usage.Used)
}

func TestPanicsGiveTheSlotBack(t *testing.T) {
	hooks := map[string]drift.Hooks{
		"Request":  {Request: func(drift.RequestInfo) { panic("hook") }},
		"Attempt":  {Attempt: func(drift.AttemptInfo) { panic("hook") }},
		"Response": {Response: func(drift.ResponseInfo) { panic("hook") }},
		"Quota":    {Quota: func(drift.Usage) { panic("hook") }},
	}
	for name, hook := range hooks {
		t.Run(name, func(t *testing.T) {
			limiter, net := new(testkit.Slots), new(testkit.Network)
			client := testkit.Through(t, net.Serve, drift.WithLimiter(limiter), drift.WithHooks(hook), drift.WithPlan(1))
			assert.PanicsWithValue(t, "hook", func() { _ = testkit.Get(t.Context(), client) })
			assert.Zero(t, limiter.Taken)
			_, err := client.Quota(t.Context())
			assert.NoError(t, err, "no lock is held")
		})
	}
	t.Run("transport", func(t *testing.T) {
		limiter := new(testkit.Slots)
		client := testkit.Through(t, func(*http.Request) (*http.Response, error) { panic("transport") }, drift.WithLimiter(limiter))
		assert.PanicsWithValue(t, "transport", func() { _ = testkit.Get(t.Context(), client) })
		assert.Zero(t, limiter.Taken)
		assert.Equal(t, []drift.Outcome{drift.Unknown}, limiter.Outcomes)
	})
}

func TestDialThatOutlastsItsTimeoutIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := new(testkit.Slots)
		var attempts atomic.Int32
		stalled := func(r *http.Request) (*http.Response, error) {
			attempts.Add(1)
			return testkit.Traced(0, func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})(r)
		}
		err := testkit.Call(t.Context(), testkit.Through(t, stalled, drift.WithLimiter(limiter)), http.MethodPost)
		var failed *drift.TransportError
		require.ErrorAs(t, err, &failed)
		assert.False(t, failed.Sent)
		assert.EqualValues(t, 3, attempts.Load(), "nothing was sent, so it is safe")
		assert.Equal(t, []drift.Outcome{drift.NotSent, drift.NotSent, drift.NotSent}, limiter.Outcomes)
	})
}
