package drift_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// minuteServer answers with bookkeeping of its own: 429 to a call that is one too many in a minute.
type minuteServer struct {
	limit    int
	delay    func() time.Duration // each way
	mu       sync.Mutex
	arrivals []time.Time
	refused  int
}

func (s *minuteServer) serve(r *http.Request) (*http.Response, error) {
	time.Sleep(s.delay())
	refused := s.arrive()
	time.Sleep(s.delay())
	if refused {
		return answer(http.StatusTooManyRequests, "Retry-After", "60")(r)
	}
	return answer(http.StatusOK)(r)
}

func (s *minuteServer) arrive() (refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if n := len(s.arrivals); n >= s.limit && now.Sub(s.arrivals[n-s.limit]) < time.Minute {
		s.refused++
		return true
	}
	s.arrivals = append(s.arrivals, now)
	return false
}

func delays20to120() time.Duration { return 20*time.Millisecond + rand.N(100*time.Millisecond) }

// callAll makes n calls from each of the clients, from a number of workers.
func callAll(t *testing.T, n, workers int, clients ...*drift.Client) {
	jobs := make(chan *drift.Client, n*len(clients))
	for range n {
		for _, client := range clients {
			jobs <- client
		}
	}
	close(jobs)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for client := range jobs {
				assert.NoError(t, get(t.Context(), client))
			}
		})
	}
	group.Wait()
}

func TestRateLimitOfAThousandCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &minuteServer{limit: 100, delay: delays20to120}, time.Now()
		callAll(t, 1000, 64, through(t, server.serve))
		assert.Zero(t, server.refused)
		assert.GreaterOrEqual(t, time.Since(start), 540*time.Second)
		assert.Less(t, time.Since(start), 548*time.Second)
	})
}

func TestClientsShareALimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &minuteServer{limit: 100, delay: delays20to120}, time.Now()
		limiter := drift.NewLimiter(100)
		callAll(t, 125, 20, through(t, server.serve, drift.WithLimiter(limiter)), through(t, server.serve, drift.WithLimiter(limiter)))
		assert.Zero(t, server.refused)
		assert.GreaterOrEqual(t, time.Since(start), 2*time.Minute)
	})
}

func TestWithRateLimit(t *testing.T) {
	for _, limit := range []int{1, 2, 10} {
		synctest.Test(t, func(t *testing.T) {
			server, start := &minuteServer{limit: limit, delay: delays20to120}, time.Now()
			callAll(t, 2*limit+1, 5, through(t, server.serve, drift.WithRateLimit(limit)))
			assert.Zero(t, server.refused)
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

// assertTook allows for the nanosecond by which the bucket rounds up.
func assertTook(t *testing.T, want time.Duration, start time.Time) {
	t.Helper()
	assert.InDelta(t, want.Seconds(), time.Since(start).Seconds(), 1e-6)
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
			assertTook(t, wait, start)
		})
	}
}

func TestBulkLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, start := &minuteServer{limit: 100, delay: delays20to120}, time.Now()
		client := through(t, server.serve)
		job := client.With(drift.WithBulk())
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() { assert.NoError(t, get(t.Context(), job)) })
		}
		time.Sleep(time.Second)
		for range 60 {
			asked := time.Now()
			require.NoError(t, get(t.Context(), client))
			assert.Less(t, time.Since(asked), time.Second)
			time.Sleep(7 * time.Second)
		}
		group.Wait()
		assert.Zero(t, server.refused)
		assert.Less(t, time.Since(start), 720*time.Second)
	})
}

func TestLocalRateLimitError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(network)
		client := through(t, net.serve, drift.WithRateLimit(1))
		require.NoError(t, get(t.Context(), client))
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
		assert.Len(t, net.requests(), 1)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, usage.Used)
	})
}

func TestThrottledCallPausesEveryCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &network{answers: []respondWith{answer(200), answer(429, "Retry-After", "30"), answer(200)}, delay: 100 * time.Millisecond}
		client := through(t, net.serve)
		view := client.With(drift.WithBulk())
		require.NoError(t, get(t.Context(), client))
		start := time.Now()
		var group sync.WaitGroup
		group.Go(func() { assert.NoError(t, get(t.Context(), client)) })
		time.Sleep(200 * time.Millisecond)
		for range 5 {
			group.Go(func() { assert.NoError(t, get(t.Context(), client)) })
			group.Go(func() { assert.NoError(t, get(t.Context(), view)) })
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		requireLocalLimit(t, get(ctx, client), 29*time.Second)
		assert.Equal(t, 200*time.Millisecond, time.Since(start), "at once")
		group.Wait()

		sent := net.requests()
		require.Len(t, sent, 13)
		resumed := sent[1].at.Add(100*time.Millisecond + 30*time.Second)
		assert.Equal(t, resumed, sent[2].at, "one goes first, when the pause is over")
		for i, r := range sent[3:] {
			assert.GreaterOrEqual(t, r.at.Sub(sent[2+i].at), 500*time.Millisecond, "the rest at an even pace")
		}
	})
}

func requireLocalLimit(t *testing.T, err error, atLeast time.Duration) {
	t.Helper()
	var limited *drift.RateLimitError
	require.ErrorAs(t, err, &limited)
	require.True(t, limited.Local)
	require.GreaterOrEqual(t, limited.RetryAfter, atLeast)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// slots is a limiter that lets everybody through and keeps books about it.
type slots struct {
	mu       sync.Mutex
	taken    int
	classes  []drift.Class
	outcomes []drift.Outcome
	pauses   []time.Duration
	err      error
}

func (s *slots) Acquire(_ context.Context, class drift.Class) (drift.Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.taken++
	s.classes = append(s.classes, class)
	return s, nil
}

func (s *slots) Done(o drift.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.outcomes = append(s.outcomes, o)
}

func (s *slots) Pause(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pauses = append(s.pauses, time.Until(until))
}

// held is how many slots are out.
func (s *slots) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// spent is how many slots were used.
func (s *slots) spent() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, outcome := range s.outcomes {
		if outcome != drift.NotSent {
			n++
		}
	}
	return n
}

func TestWhatTheLimiterIsTold(t *testing.T) {
	tests := map[string]struct {
		answers  []respondWith
		outcomes []drift.Outcome
		pauses   []time.Duration
	}{
		"answered":               {[]respondWith{answer(200)}, []drift.Outcome{drift.Answered}, nil},
		"not sent":               {[]respondWith{notSent, answer(404)}, []drift.Outcome{drift.NotSent, drift.Answered}, nil},
		"no answer":              {[]respondWith{noAnswer, answer(200)}, []drift.Outcome{drift.Unknown, drift.Answered}, nil},
		"broken answer":          {[]respondWith{brokenBody, answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, nil},
		"429":                    {[]respondWith{answer(429), answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{time.Second}},
		"429 with Retry-After":   {[]respondWith{answer(429, "Retry-After", "7"), answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{7 * time.Second}},
		"429 with an absurd one": {[]respondWith{answer(429, "Retry-After", "99999999999")}, []drift.Outcome{drift.Answered}, []time.Duration{5 * time.Minute}},
		"503":                    {[]respondWith{answer(503), answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, nil},
		"503 with Retry-After":   {[]respondWith{answer(503, "Retry-After", "7"), answer(200)}, []drift.Outcome{drift.Answered, drift.Answered}, []time.Duration{7 * time.Second}},
		"401":                    {[]respondWith{answer(401)}, []drift.Outcome{drift.Answered}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limiter, net := new(slots), &network{answers: test.answers}
				_ = get(t.Context(), through(t, net.serve, drift.WithLimiter(limiter)))
				assert.Zero(t, limiter.taken)
				assert.Equal(t, test.outcomes, limiter.outcomes)
				assert.Equal(t, test.pauses, limiter.pauses)
				assert.Len(t, net.requests(), len(test.outcomes))
			})
		})
	}
}

func TestClassOfACall(t *testing.T) {
	limiter, net := new(slots), new(network)
	client := through(t, net.serve, drift.WithLimiter(limiter))
	require.NoError(t, get(t.Context(), client))
	require.NoError(t, get(t.Context(), client, drift.WithBulk()))
	assert.Equal(t, []drift.Class{drift.Interactive, drift.Bulk}, limiter.classes)
}

func TestLimiterThatFails(t *testing.T) {
	broken := errors.New("secret of the limiter")
	limiter, net := &slots{err: broken}, new(network)
	client := through(t, net.serve, drift.WithLimiter(limiter))
	err := get(t.Context(), client)
	var failed *drift.TransportError
	require.ErrorAs(t, err, &failed)
	assert.ErrorIs(t, err, broken)
	assert.False(t, failed.Sent)
	assert.Empty(t, net.requests())
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
			limiter, net := new(slots), new(network)
			client := through(t, net.serve, drift.WithLimiter(limiter), drift.WithHooks(hook), drift.WithPlan(1))
			assert.PanicsWithValue(t, "hook", func() { _ = get(t.Context(), client) })
			assert.Zero(t, limiter.taken)
			_, err := client.Quota(t.Context())
			assert.NoError(t, err, "no lock is held")
		})
	}
	t.Run("transport", func(t *testing.T) {
		limiter := new(slots)
		client := through(t, func(*http.Request) (*http.Response, error) { panic("transport") }, drift.WithLimiter(limiter))
		assert.PanicsWithValue(t, "transport", func() { _ = get(t.Context(), client) })
		assert.Zero(t, limiter.taken)
		assert.Equal(t, []drift.Outcome{drift.Unknown}, limiter.outcomes)
	})
}

// traced reports to httptrace that the request's headers were written a number of times.
func traced(times int, then respondWith) respondWith {
	return func(r *http.Request) (*http.Response, error) {
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
			trace.GetConn("drift.test:443")
			for range times {
				trace.GotConn(httptrace.GotConnInfo{})
				trace.WroteHeaders()
			}
		}
		return then(r)
	}
}

func TestDialThatOutlastsItsTimeoutIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := new(slots)
		var attempts atomic.Int32
		stalled := func(r *http.Request) (*http.Response, error) {
			attempts.Add(1)
			return traced(0, func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})(r)
		}
		err := call(t.Context(), through(t, stalled, drift.WithLimiter(limiter)), http.MethodPost)
		var failed *drift.TransportError
		require.ErrorAs(t, err, &failed)
		assert.False(t, failed.Sent)
		assert.EqualValues(t, 3, attempts.Load(), "nothing was sent, so it is safe")
		assert.Equal(t, []drift.Outcome{drift.NotSent, drift.NotSent, drift.NotSent}, limiter.outcomes)
	})
}
