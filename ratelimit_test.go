package drift_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

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
		interactive, bulk int // how many can go out in a second, and how many bulk calls in a minute
	}{
		"default":            {func() *drift.WindowLimiter { return drift.NewLimiter(100) }, 100, 90},
		"large":              {func() *drift.WindowLimiter { return drift.NewLimiter(1000) }, 1000, 989},
		"small":              {func() *drift.WindowLimiter { return drift.NewLimiter(20) }, 20, 18},
		"one":                {func() *drift.WindowLimiter { return drift.NewLimiter(1) }, 1, 1},
		"below one":          {func() *drift.WindowLimiter { return drift.NewLimiter(-5) }, 1, 1},
		"burst":              {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(5)) }, 6, 90},
		"burst too small":    {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(0)) }, 2, 90},
		"burst too large":    {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithBurst(500)) }, 100, 90},
		"reserve":            {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(40)) }, 100, 60},
		"no reserve":         {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(0)) }, 100, 100},
		"negative reserve":   {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(-1)) }, 100, 100},
		"reserve everything": {func() *drift.WindowLimiter { return drift.NewLimiter(100, drift.WithReserve(100)) }, 100, 5}, // its share
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				assert.Equal(t, test.interactive, slotsIn(t, time.Second, test.limiter(), drift.ClassInteractive))
				assert.Equal(t, test.bulk, slotsIn(t, time.Minute-100*time.Millisecond, test.limiter(), drift.ClassBulk))
			})
		})
	}
}

// slotsIn returns how many calls can go out in a time if each is answered at once.
func slotsIn(t *testing.T, d time.Duration, limiter drift.Limiter, class drift.Class) int {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for n := 0; ; n++ {
		slot, err := limiter.Acquire(ctx, drift.Turn{Class: class})
		if err != nil {
			return n
		}
		require.NoError(t, slot.Done(t.Context(), drift.Result{Outcome: drift.OutcomeAnswered}))
	}
}

func TestWithBulkShare(t *testing.T) {
	for share, least := range map[int]int{20: 3, 5: 15, 0: 0, -1: 0} {
		synctest.Test(t, func(t *testing.T) {
			limiter := drift.NewLimiter(100, drift.WithBulkShare(share))
			var group sync.WaitGroup
			for range 10 { // more than the minute has
				group.Go(func() { slotsIn(t, 5*time.Minute, limiter, drift.ClassInteractive) })
			}
			time.Sleep(time.Minute)
			var bulk atomic.Int64
			for range 4 { // one of them always waits, whatever the scheduler does
				group.Go(func() { bulk.Add(int64(slotsIn(t, 4*time.Minute, limiter, drift.ClassBulk))) })
			}
			group.Wait()
			assert.GreaterOrEqual(t, int(bulk.Load())/4, least, "a minute")
			if least == 0 {
				assert.LessOrEqual(t, bulk.Load(), int64(1))
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	for result, wait := range map[*drift.Result]time.Duration{
		{Outcome: drift.OutcomeNotSent}:                   0,
		{Outcome: drift.OutcomeAnswered, StatusCode: 200}: time.Minute,
		{Outcome: drift.OutcomeUnknown}:                   63 * time.Second, // the request may yet arrive
	} {
		synctest.Test(t, func(t *testing.T) {
			limiter, start := drift.NewLimiter(1), time.Now()
			slot, err := limiter.Acquire(t.Context(), drift.Turn{})
			require.NoError(t, err)
			require.NoError(t, slot.Done(t.Context(), *result))
			require.NoError(t, slot.Done(t.Context(), drift.Result{Outcome: drift.OutcomeNotSent}), "only the first counts")
			_, err = limiter.Acquire(t.Context(), drift.Turn{})
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
		for name, opts := range map[string][]drift.CallOption{
			"context":     nil,
			"WithTimeout": {drift.WithTimeout(20 * time.Second)},
		} {
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
		"answered":               {[]testkit.Responder{testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered}, nil},
		"not sent":               {[]testkit.Responder{testkit.NotSent, testkit.Answer(404)}, []drift.Outcome{drift.OutcomeNotSent, drift.OutcomeAnswered}, nil},
		"no answer":              {[]testkit.Responder{testkit.NoAnswer, testkit.Answer(200)}, []drift.Outcome{drift.OutcomeUnknown, drift.OutcomeAnswered}, nil},
		"broken answer":          {[]testkit.Responder{testkit.BrokenBody, testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, nil},
		"429":                    {[]testkit.Responder{testkit.Answer(429), testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, []time.Duration{time.Second}},
		"429 with Retry-After":   {[]testkit.Responder{testkit.Answer(429, "Retry-After", "7"), testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, []time.Duration{7 * time.Second}},
		"429 with an absurd one": {[]testkit.Responder{testkit.Answer(429, "Retry-After", "99999999999")}, []drift.Outcome{drift.OutcomeAnswered}, []time.Duration{5 * time.Minute}},
		"503":                    {[]testkit.Responder{testkit.Answer(503), testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, nil},
		"503 with Retry-After":   {[]testkit.Responder{testkit.Answer(503, "Retry-After", "7"), testkit.Answer(200)}, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered}, []time.Duration{7 * time.Second}},
		"401":                    {[]testkit.Responder{testkit.Answer(401)}, []drift.Outcome{drift.OutcomeAnswered}, nil},
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
	assert.Equal(t, []drift.Class{drift.ClassInteractive, drift.ClassBulk}, limiter.Classes)
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
		"Start":        {Start: func(context.Context, drift.RequestInfo) context.Context { panic("hook") }},
		"StartAttempt": {StartAttempt: func(context.Context, drift.RequestInfo, int) context.Context { panic("hook") }},
		"Attempt":      {Attempt: func(drift.AttemptInfo) { panic("hook") }},
		"Response":     {Response: func(drift.ResponseInfo) { panic("hook") }},
		"Quota":        {Quota: func(drift.Usage) { panic("hook") }},
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
		assert.Equal(t, []drift.Outcome{drift.OutcomeUnknown}, limiter.Outcomes)
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
		assert.Equal(t, []drift.Outcome{drift.OutcomeNotSent, drift.OutcomeNotSent, drift.OutcomeNotSent}, limiter.Outcomes)
	})
}

// counting is how a server counts calls. How the service counts is not documented, so the limiter must suit all of
// them.
type counting struct {
	name     string
	calendar bool // by the minutes of the clock, and not by any 60 seconds
	refusals bool // calls that it refuses count too; by the minutes of the clock that would change nothing
}

var (
	rolling   = counting{name: "rolling"}
	countings = []counting{rolling, {name: "rolling, refusals count", refusals: true}, {name: "calendar", calendar: true}}
)

// delays are how long a call is under way, in one direction.
type delays struct {
	name string
	draw func(*rand.Rand) time.Duration
}

var (
	noDelays    = delays{"none", func(*rand.Rand) time.Duration { return 0 }}
	usualDelays = delays{"20-120 ms", jittered}
	everyDelays = []delays{noDelays, usualDelays, {"1 % up to 3 s", jitteredWithOutliers}}
)

func jittered(r *rand.Rand) time.Duration {
	return 20*time.Millisecond + time.Duration(r.Int64N(int64(100*time.Millisecond)))
}

func jitteredWithOutliers(r *rand.Rand) time.Duration {
	if r.IntN(100) == 0 {
		return time.Duration(r.Int64N(int64(3 * time.Second)))
	}
	return jittered(r)
}

// oracle is a server behind a network. It counts a call when it arrives, independently of the limiter.
type oracle struct {
	counting
	delays

	mu      sync.Mutex
	random  *rand.Rand
	trips   []time.Duration // there and back, of every call
	arrived []time.Time     // the calls of the clients
	counted []time.Time     // of this minute
	refused []refusal
}

// refusal is a 429.
type refusal struct {
	at   time.Time
	wait time.Duration // its Retry-After
	next time.Time     // when the next call arrived
}

func newOracle(c counting, d delays, seed uint64) *oracle {
	return &oracle{counting: c, delays: d, random: rand.New(rand.NewPCG(seed, 0))}
}

func (o *oracle) serve(r *http.Request) (*http.Response, error) {
	there, back := o.trip()
	time.Sleep(there)
	wait := o.arrive(time.Now())
	time.Sleep(back)
	if wait > 0 {
		return testkit.Answer(http.StatusTooManyRequests, "Retry-After", strconv.Itoa(int(wait.Seconds())))(r)
	}
	return testkit.Answer(http.StatusOK)(r)
}

func (o *oracle) trip() (there, back time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	there, back = o.draw(o.random), o.draw(o.random)
	o.trips = append(o.trips, there+back)
	return there, back
}

// arrive counts a call, and returns after what time to try again if it is one too many.
func (o *oracle) arrive(now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.refused); n > 0 && o.refused[n-1].next.IsZero() {
		o.refused[n-1].next = now
	}
	o.arrived = append(o.arrived, now)
	full, wait := o.count(now)
	if full {
		o.refused = append(o.refused, refusal{at: now, wait: wait})
	}
	return wait
}

// count counts a call of anybody, and reports whether it is one too many, and after what time to try again.
func (o *oracle) count(now time.Time) (refused bool, wait time.Duration) {
	o.counted = slices.DeleteFunc(o.counted, func(at time.Time) bool { return !o.expires(at).After(now) })
	full := len(o.counted) >= drift.DefaultRateLimit
	if !full || o.refusals {
		o.counted = append(o.counted, now)
	}
	if !full {
		return false, 0
	}
	free := o.expires(o.counted[len(o.counted)-drift.DefaultRateLimit])
	return true, (free.Sub(now) + time.Second - 1).Truncate(time.Second)
}

// others makes calls that nobody knows of, evenly spaced, until the context ends.
func (o *oracle) others(ctx context.Context, perMinute int) {
	ticker := time.NewTicker(time.Minute / time.Duration(perMinute))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			o.mu.Lock()
			o.count(now)
			o.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// expires is when a call that arrived at this time no longer counts.
func (o *oracle) expires(at time.Time) time.Time {
	if o.calendar {
		return at.Truncate(time.Minute).Add(time.Minute)
	}
	return at.Add(time.Minute)
}

// longestTrips is how long the n slowest calls took together.
func (o *oracle) longestTrips(n int) (sum time.Duration) {
	slices.Sort(o.trips)
	for _, trip := range o.trips[max(0, len(o.trips)-n):] {
		sum += trip
	}
	return sum
}

// bucket is golang.org/x/time/rate and nothing else, as many programs use it.
type bucket struct{ *rate.Limiter }

func newBucket(burst int) drift.Limiter { return bucket{rate.NewLimiter(100.0/60, burst)} }

func (b bucket) Acquire(ctx context.Context, _ drift.Turn) (drift.Slot, error) {
	return b, b.Wait(ctx)
}

func (bucket) Done(context.Context, drift.Result) error { return nil }

func (bucket) Pause(context.Context, time.Time) error { return nil }

// design is a limiter to compare.
type design struct {
	name    string
	runs    int // with seeds of their own
	limiter func() drift.Limiter
}

var designs = []design{
	{"bucket, burst 100", 2, func() drift.Limiter { return newBucket(100) }},
	{"bucket, burst 10", 2, func() drift.Limiter { return newBucket(10) }},
	{ours, 3, func() drift.Limiter { return drift.NewLimiter(drift.DefaultRateLimit) }},
}

const ours = "this package"

// cell is one line of the table: a design against a server and a network.
type cell struct {
	design
	counting
	delays
	refused []int
	took    []time.Duration
}

func cells() (all []*cell) {
	for _, c := range countings {
		for _, d := range everyDelays {
			for _, design := range designs {
				if design.name != ours && d.name != usualDelays.name {
					continue // one network shows enough
				}
				all = append(all, &cell{design: design, counting: c, delays: d})
			}
		}
	}
	return all
}

// run makes a thousand calls by 64 workers, beginning anywhere in a minute of the clock.
func (c *cell) run(t *testing.T, seed uint64) {
	server := newOracle(c.counting, c.delays, seed)
	time.Sleep(time.Duration(server.random.Int64N(int64(time.Minute))))
	start := time.Now()
	patient := drift.WithRetryPolicy(drift.RetryPolicy{MaxAttempts: 1000, MaxRetryAfter: time.Hour}) // which a bucket needs
	testkit.CallAll(t, 1000, 64, testkit.Through(t, server.serve, patient, drift.WithLimiter(c.limiter())))

	refused, took := len(server.refused), time.Since(start)
	c.refused, c.took = append(c.refused, refused), append(c.took, took)
	if c.design.name == ours {
		assert.Zero(t, refused, "429s")
		assertMakespan(t, 9, took, server)
	}
}

// assertMakespan checks the time that calls take which have to wait a minute so many times. A slot makes one trip more
// than that. The limiter cannot know when the minutes of a server's clock begin, so the bound is the same there.
func assertMakespan(t *testing.T, waits int, took time.Duration, server *oracle) {
	t.Helper()
	least := time.Duration(waits) * time.Minute
	assert.GreaterOrEqual(t, took, least)
	assert.LessOrEqual(t, took, least*101/100+server.longestTrips(waits+1))
}

func TestLimits(t *testing.T) {
	seed, all := testkit.Seed(t), cells()
	t.Run("cells", func(t *testing.T) {
		for _, c := range all {
			t.Run(c.counting.name+"/"+c.delays.name+"/"+c.design.name, func(t *testing.T) {
				t.Parallel()
				for i := range c.runs {
					synctest.Test(t, func(t *testing.T) { c.run(t, seed+uint64(i)) })
				}
			})
		}
	})
	if !t.Failed() {
		t.Log(table(all))
	}
}

func table(cells []*cell) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "\ndesign\tserver\tdelays\t429s\tworst\tmakespan")
	for _, c := range cells {
		refused, took := 0, time.Duration(0)
		for i := range c.runs {
			refused += c.refused[i]
			took += c.took[i]
		}
		runs := float64(c.runs)
		fmt.Fprintf(w, "%s\t%s\t%s\t%.1f\t%d\t%.1f s\n", c.design.name, c.counting.name, c.delays.name,
			float64(refused)/runs, slices.Max(c.refused), took.Seconds()/runs)
	}
	_ = w.Flush()
	return text.String()
}

func TestLimitsOfAColdBurst(t *testing.T) {
	seed := testkit.Seed(t)
	for _, d := range everyDelays {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, start := newOracle(rolling, d, seed), time.Now()
				testkit.CallAll(t, 50, 50, testkit.Through(t, server.serve))
				assert.Empty(t, server.refused)
				assert.LessOrEqual(t, time.Since(start), server.longestTrips(6), "1, 2, 4, 8, 16 and 19 calls at a time")
			})
		})
	}
}

// A job of 1,000 calls, and beside it a user who makes one every 7 seconds.
func TestLimitsOfAJobBesideAUser(t *testing.T) {
	seed := testkit.Seed(t)
	synctest.Test(t, func(t *testing.T) {
		server := newOracle(rolling, usualDelays, seed)
		client := testkit.Through(t, server.serve)
		took, latencies := jobBesideAUser(t, client, client.With(drift.WithBulk()))
		_, p99 := logJob(t, "with WithBulk", took, latencies)
		assert.Empty(t, server.refused)
		assert.LessOrEqual(t, p99, time.Second)
		assertEvenly(t, 1000+len(latencies), took)
	})
	synctest.Test(t, func(t *testing.T) {
		server := newOracle(rolling, usualDelays, seed)
		client := testkit.Through(t, server.serve)
		took, latencies := jobBesideAUser(t, client, client)
		p50, _ := logJob(t, "without WithBulk", took, latencies)
		assert.Greater(t, p50, 10*time.Second, "WithBulk is not needed")
	})
	synctest.Test(t, func(t *testing.T) {
		server, start := newOracle(rolling, usualDelays, seed), time.Now()
		testkit.CallAll(t, 1000, 64, testkit.Through(t, server.serve, drift.WithBulk()))
		t.Logf("with WithBulk, alone: job %v", time.Since(start).Round(time.Millisecond))
		assertEvenly(t, 1000, time.Since(start))
	})
}

// assertEvenly checks the time that calls take at 90 a minute, evenly spaced.
func assertEvenly(t *testing.T, calls int, took time.Duration) {
	t.Helper()
	assert.InDelta(t, 1, took.Minutes()*90/float64(calls), 0.01)
}

// jobBesideAUser returns how long the job took, and each call of the user meanwhile.
func jobBesideAUser(t *testing.T, user, worker *drift.Client) (took time.Duration, latencies []time.Duration) {
	start, done := time.Now(), make(chan time.Duration, 1)
	go func() {
		testkit.CallAll(t, 1000, 64, worker)
		done <- time.Since(start)
	}()
	for tick := time.Tick(7 * time.Second); ; {
		select {
		case took = <-done:
			return took, latencies
		case asked := <-tick:
			assert.NoError(t, testkit.Get(t.Context(), user))
			latencies = append(latencies, time.Since(asked))
		}
	}
}

func logJob(t *testing.T, how string, took time.Duration, latencies []time.Duration) (p50, p99 time.Duration) {
	t.Helper()
	slices.Sort(latencies)
	p50, p99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	t.Logf("%s: job %v, %d calls of the user, p50 %v, p99 %v", how,
		took.Round(time.Millisecond), len(latencies), p50.Round(time.Millisecond), p99.Round(time.Millisecond))
	return p50, p99
}

// A process that starts does not know what the one before it has used of the minute.
func TestLimitsAfterARestart(t *testing.T) {
	seed := testkit.Seed(t)
	for _, c := range countings {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, took := restart(t, c, seed, 100)
				t.Logf("200 calls: %v", took.Round(time.Millisecond))
				require.Len(t, server.refused, 1, "the first one, which went alone")
				r := server.refused[0]
				assert.GreaterOrEqual(t, r.next.Sub(r.at), r.wait, "no call during the pause")
				// The pause ends when the old calls no longer count; then the calls come at the bucket's pace.
				assert.LessOrEqual(t, took, r.wait+2*time.Minute+3*time.Second)
			})
		})
	}
	t.Run("in a minute that is used in part", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			server, took := restart(t, rolling, seed, 50)
			t.Logf("200 calls: %v, 429s: %d", took.Round(time.Millisecond), len(server.refused))
			assert.LessOrEqual(t, len(server.refused), 64, "no more than are under way when the first one is refused")
		})
	})
}

// restart makes some calls from one process, and 30 seconds later 200 from the next.
func restart(t *testing.T, c counting, seed uint64, used int) (*oracle, time.Duration) {
	server := newOracle(c, usualDelays, seed)
	testkit.CallAll(t, used, 64, testkit.Through(t, server.serve))
	time.Sleep(30 * time.Second)
	start := time.Now()
	testkit.CallAll(t, 200, 64, testkit.Through(t, server.serve))
	return server, time.Since(start)
}

// Somebody else uses the allowance too. No call fails, and few are refused.
func TestLimitsBesideOthers(t *testing.T) {
	seed := testkit.Seed(t)
	for _, c := range countings {
		for _, others := range []int{30, 60} {
			for _, workers := range []int{1, 8, 64} {
				for _, ahead := range []time.Duration{0, 2 * time.Minute} {
					t.Run(fmt.Sprintf("%s, %d others %v ahead, %d workers", c.name, others, ahead, workers), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							server := newOracle(c, usualDelays, seed)
							besideOthers(t, server, others, ahead, workers, testkit.Through(t, server.serve, testkit.WithoutBudget))
						})
					})
				}
			}
		}
	}
}

// besideOthers makes 600 calls from these clients, while others use the allowance.
func besideOthers(t *testing.T, server *oracle, others int, ahead time.Duration, workers int, clients ...*drift.Client) {
	const calls = 600
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go server.others(ctx, others)
	time.Sleep(ahead)
	start := time.Now()
	testkit.CallAll(t, calls/len(clients), workers, clients...)
	took := time.Since(start)
	settled := start.Add(2 * time.Minute)
	sent := countAfter(server.arrived, settled, func(at time.Time) time.Time { return at })
	refused := countAfter(server.refused, settled, func(r refusal) time.Time { return r.at })
	t.Logf("429s: %d, after two minutes %d of %d; %v, %.2f of the least time", len(server.refused), refused, sent, took.Round(time.Second),
		took.Minutes()*float64(100-others)/calls)
	assert.LessOrEqual(t, len(server.refused)*10, len(server.arrived))
	assert.LessOrEqual(t, refused*25, sent)
}

// countAfter returns how many of the things happened after a time.
func countAfter[T any](things []T, after time.Time, at func(T) time.Time) (n int) {
	for _, thing := range things {
		if at(thing).After(after) {
			n++
		}
	}
	return n
}

// Clients of one user that do not share a limiter take the allowance twice.
func TestLimitsOfClientsThatDoNotShare(t *testing.T) {
	seed := testkit.Seed(t)
	synctest.Test(t, func(t *testing.T) {
		server, start := newOracle(rolling, usualDelays, seed), time.Now()
		testkit.CallAll(t, 500, 64, testkit.Through(t, server.serve), testkit.Through(t, server.serve))
		t.Logf("two clients, 500 calls each: %v, 429s: %d", time.Since(start).Round(time.Millisecond), len(server.refused))
		assert.NotEmpty(t, server.refused)
	})
	synctest.Test(t, func(t *testing.T) {
		server, start, shared := newOracle(rolling, usualDelays, seed), time.Now(), drift.NewLimiter(drift.DefaultRateLimit)
		testkit.CallAll(t, 500, 64, testkit.Through(t, server.serve, drift.WithLimiter(shared)), testkit.Through(t, server.serve, drift.WithLimiter(shared)))
		t.Logf("two clients with one limiter: %v, 429s: %d", time.Since(start).Round(time.Millisecond), len(server.refused))
		assert.Empty(t, server.refused)
		assertMakespan(t, 9, time.Since(start), server)
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := drift.NewLimiter(2)
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 2}, limiter.Stats())
		first, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 1, InFlight: 1}, limiter.Stats())
		require.NoError(t, first.Done(t.Context(), answered))
		second, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		for _, class := range []drift.Class{drift.ClassInteractive, drift.ClassBulk, drift.ClassBulk} {
			go func() { _, _ = limiter.Acquire(ctx, drift.Turn{Class: class}) }()
		}
		synctest.Wait()
		assert.Equal(t, drift.LimiterStats{Limit: 2, InFlight: 1, Interactive: 1, Bulk: 2}, limiter.Stats())
		require.NoError(t, limiter.Pause(t.Context(), time.Now().Add(time.Hour)))
		require.NoError(t, second.Done(t.Context(), drift.Result{Outcome: drift.OutcomeNotSent}))
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 1, Interactive: 1, Bulk: 2, Pause: time.Hour}, limiter.Stats())
		cancel()
		synctest.Wait()
		time.Sleep(time.Minute)
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 2, Pause: 59 * time.Minute}, limiter.Stats())
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, start := drift.NewLimiter(100), time.Now()
		slot, err := limiter.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		require.NoError(t, limiter.Pause(t.Context(), start.Add(24*time.Hour)))
		require.NoError(t, slot.Done(t.Context(), drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: 429}))
		var waiting sync.WaitGroup
		waiting.Go(func() {
			slot, err := limiter.Acquire(t.Context(), drift.Turn{})
			if assert.NoError(t, err) {
				assert.NoError(t, slot.Done(t.Context(), answered))
			}
		})
		time.Sleep(10 * time.Minute)
		limiter.Resume()
		waiting.Wait()
		testkit.AssertTook(t, 10*time.Minute, start)
		assert.Equal(t, 100, limiter.Stats().Limit)
	})
}

func TestLimiterThatWasNotMade(t *testing.T) {
	for _, limiter := range []*drift.WindowLimiter{nil, {}} {
		_, err := limiter.Acquire(t.Context(), drift.Turn{})
		assert.ErrorContains(t, err, "NewLimiter")
		assert.Error(t, limiter.Pause(t.Context(), time.Now()))
		limiter.Resume()
		assert.Zero(t, limiter.Stats())
	}
}

// A deadline that ends in the queue says that the limit is why, for either class and even if nobody could foresee it.
func TestDeadlineThatEndsInTheQueue(t *testing.T) {
	for name, opts := range map[string][]drift.CallOption{"interactive": nil, "bulk": {drift.WithBulk()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := testkit.Through(t, (&testkit.Network{Delay: 2 * time.Minute}).Serve, drift.WithRateLimit(1),
					drift.WithHTTPClient(&http.Client{Timeout: time.Hour}))
				var slow sync.WaitGroup
				slow.Go(func() { _ = testkit.Get(t.Context(), client) }) // holds the only slot: it may turn out to be unsent
				time.Sleep(time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), 61*time.Second)
				defer cancel()
				err := testkit.Get(ctx, client, opts...)
				var limited *drift.RateLimitError
				require.ErrorAs(t, err, &limited)
				assert.True(t, limited.Local)
				assert.Positive(t, limited.RetryAfter)
				require.ErrorIs(t, err, drift.ErrRateLimited)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				slow.Wait()
			})
		})
	}
}

// Calls that are given up do not take their requests back: the server counts those later.
func TestLimitsOfCallsThatAreGivenUp(t *testing.T) {
	seed := testkit.Seed(t)
	for _, c := range countings {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, start, limiter := newOracle(c, usualDelays, seed), time.Now(), drift.NewLimiter(100)
				client := testkit.Through(t, server.serve, drift.WithLimiter(limiter))
				require.NoError(t, testkit.Get(t.Context(), client))
				hurried := testkit.Through(t, givenUp(server.serve), drift.WithLimiter(limiter))
				var group sync.WaitGroup
				for range 100 {
					group.Go(func() { assert.Error(t, testkit.Get(t.Context(), hurried, drift.WithoutRetry())) })
				}
				group.Wait()
				testkit.CallAll(t, 200, 64, client)
				assert.Empty(t, server.refused)
				assert.LessOrEqual(t, time.Since(start), 4*time.Minute)
			})
		})
	}
}

// givenUp gives up after 5 ms, and delivers the request two seconds later.
func givenUp(serve testkit.Responder) testkit.Responder {
	return func(r *http.Request) (*http.Response, error) {
		time.AfterFunc(2*time.Second, func() { _, _ = serve(r.WithContext(context.WithoutCancel(r.Context()))) })
		time.Sleep(5 * time.Millisecond)
		return testkit.NoAnswer(r)
	}
}

// A call that the service has refused goes before those that came later.
func TestRefusedCallKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", "10"), testkit.Answer(200)}, Delay: time.Second}
		client := testkit.Through(t, network.Serve)
		var group sync.WaitGroup
		var mu sync.Mutex
		var served []int
		for i := range 5 { // the first one goes alone, and the others wait for its answer
			group.Go(func() {
				assert.NoError(t, testkit.Get(t.Context(), client))
				mu.Lock()
				defer mu.Unlock()
				served = append(served, i)
			})
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		assert.Equal(t, []int{0, 1, 2, 3, 4}, served)
	})
}

// A job beside more interactive calls than the minute has room for still gets its share.
func TestLimitsOfAJobBesideManyUsers(t *testing.T) {
	seed := testkit.Seed(t)
	for _, perMinute := range []int{95, 120} {
		synctest.Test(t, func(t *testing.T) {
			const minutes = 10
			server := newOracle(rolling, usualDelays, seed)
			client := testkit.Through(t, server.serve)
			ctx, stop := context.WithTimeout(t.Context(), (minutes+2)*time.Minute)
			defer stop()
			var group sync.WaitGroup
			var served [2]atomic.Int32
			time.AfterFunc(2*time.Minute, func() { // the first calls find the minute empty
				served[0].Store(0)
				served[1].Store(0)
			})
			for range 8 {
				group.Go(func() {
					for testkit.Get(ctx, client, drift.WithBulk()) == nil {
						served[1].Add(1)
					}
				})
			}
			for range perMinute * (minutes + 2) {
				time.Sleep(time.Minute / time.Duration(perMinute))
				group.Go(func() {
					if testkit.Get(ctx, client) == nil {
						served[0].Add(1)
					}
				})
			}
			group.Wait()
			t.Logf("beside %d interactive calls a minute: %.1f of the job, %.1f others", perMinute,
				float64(served[1].Load())/minutes, float64(served[0].Load())/minutes)
			assert.Empty(t, server.refused)
			assert.GreaterOrEqual(t, served[1].Load(), int32(4*minutes))
		})
	}
}

// A user's twenty calls at once, beside a job.
func TestLimitsOfABurstBesideAJob(t *testing.T) {
	seed := testkit.Seed(t)
	synctest.Test(t, func(t *testing.T) {
		server := newOracle(rolling, usualDelays, seed)
		client := testkit.Through(t, server.serve)
		ctx, stop := context.WithCancel(t.Context())
		var job, burst sync.WaitGroup
		for range 64 {
			job.Go(func() {
				for testkit.Get(ctx, client, drift.WithBulk()) == nil {
				}
			})
		}
		var mu sync.Mutex
		var latencies []time.Duration
		for range 20 {
			time.Sleep(3 * time.Minute)
			for range 20 {
				burst.Go(func() {
					asked := time.Now()
					assert.NoError(t, testkit.Get(t.Context(), client))
					mu.Lock()
					defer mu.Unlock()
					latencies = append(latencies, time.Since(asked))
				})
			}
			burst.Wait()
		}
		stop()
		job.Wait()
		slices.Sort(latencies)
		t.Logf("p50 %v, p90 %v, worst %v", latencies[len(latencies)/2], latencies[len(latencies)*9/10], latencies[len(latencies)-1])
		assert.Empty(t, server.refused)
		assert.LessOrEqual(t, latencies[len(latencies)-1], 8*time.Second)
	})
}
