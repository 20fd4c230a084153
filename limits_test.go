package drift_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// counting is how a server counts calls. Nobody here has seen how the real one does, so the limiter has to be right for all.
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

// oracle is a server with a network in front of it. It counts a call when it arrives there, by books of its own.
type oracle struct {
	counting
	delays

	mu      sync.Mutex
	random  *rand.Rand
	trips   []time.Duration // there and back, of every call
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
	o.counted = slices.DeleteFunc(o.counted, func(at time.Time) bool { return !o.expires(at).After(now) })
	full := len(o.counted) >= drift.DefaultRateLimit
	if !full || o.refusals {
		o.counted = append(o.counted, now)
	}
	if !full {
		return 0
	}
	free := o.expires(o.counted[len(o.counted)-drift.DefaultRateLimit])
	wait := (free.Sub(now) + time.Second - 1).Truncate(time.Second)
	o.refused = append(o.refused, refusal{at: now, wait: wait})
	return wait
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

func (b bucket) Acquire(ctx context.Context, _ drift.Class) (drift.Slot, error) {
	return b, b.Wait(ctx)
}
func (bucket) Done(drift.Outcome) {}
func (bucket) Pause(time.Time)    {}

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
	patient := drift.WithRetry(drift.RetryPolicy{MaxAttempts: 1000}) // which a bucket needs
	testkit.CallAll(t, 1000, 64, testkit.Through(t, server.serve, patient, drift.WithLimiter(c.limiter())))

	refused, took := len(server.refused), time.Since(start)
	c.refused, c.took = append(c.refused, refused), append(c.took, took)
	if c.design.name == ours {
		assert.Zero(t, refused, "429s")
		assertMakespan(t, 9, took, server)
	}
}

// assertMakespan checks the time that calls take which have to wait a minute so many times. A slot makes one trip more than
// that. The limiter cannot know when the minutes of a server's clock begin, so the bound is the same there.
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
				assert.LessOrEqual(t, time.Since(start), server.longestTrips(2), "one call alone, then the others at once")
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
		// Both have 90 calls a minute between them, and make 1,103 or so.
		assertMakespan(t, 12, took, server)
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
		t.Logf("with WithBulk, nobody beside it: job %v", time.Since(start).Round(time.Millisecond))
		assertMakespan(t, 11, time.Since(start), server)
	})
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
				assert.GreaterOrEqual(t, r.next.Sub(r.at), r.wait, "nobody calls during the pause")
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
