package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/driftsdk/drift"
)

const (
	seed    = 1
	calls   = 1000
	workers = 64
)

// server counts the calls of any 60 seconds as they arrive, by books of its own.
type server struct {
	mu       sync.Mutex
	random   *rand.Rand
	start    time.Time
	arrivals []arrival
	others   []time.Duration // calls of others that were not refused
}

// arrival is a call that has come to the server.
type arrival struct {
	at      time.Duration
	refused bool
}

func newServer() *server { return &server{random: rand.New(rand.NewPCG(seed, 0)), start: time.Now()} }

// serve is the network: 20 to 120 ms there, and 20 to 120 ms back.
func (s *server) serve(r *http.Request) (*http.Response, error) {
	there, back := s.delays()
	time.Sleep(there)
	wait := s.arrive(time.Since(s.start))
	time.Sleep(back)
	return respond(r, wait), nil
}

// delays draws both at once: the order in which calls are sent is the same in every run, that of simultaneous events is not.
func (s *server) delays() (there, back time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	draw := func() time.Duration {
		return 20*time.Millisecond + time.Duration(s.random.Int64N(int64(100*time.Millisecond)))
	}
	return draw(), draw()
}

// arrive counts a call, and returns after what time to try again if it is one too many. Calls that are refused do not count.
func (s *server) arrive(now time.Duration) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var minute []time.Duration
	for _, a := range slices.Backward(s.arrivals) {
		if now-a.at >= time.Minute {
			break
		}
		if !a.refused {
			minute = append(minute, a.at)
		}
	}
	for _, at := range s.others {
		if now-at < time.Minute {
			minute = append(minute, at)
		}
	}
	full := len(minute) >= drift.DefaultRateLimit
	s.arrivals = append(s.arrivals, arrival{now, full})
	if !full {
		return 0
	}
	return slices.Min(minute) + time.Minute - now
}

// serveOthers counts calls of others, evenly spaced, until the context ends.
func (s *server) serveOthers(ctx context.Context, perMinute int) {
	for ctx.Err() == nil {
		now := time.Since(s.start)
		s.mu.Lock()
		inMinute := 0
		for _, a := range s.arrivals {
			if !a.refused && now-a.at < time.Minute {
				inMinute++
			}
		}
		for _, at := range s.others {
			if now-at < time.Minute {
				inMinute++
			}
		}
		if inMinute < drift.DefaultRateLimit {
			s.others = append(s.others, now)
		}
		s.mu.Unlock()
		time.Sleep(time.Minute / time.Duration(perMinute))
	}
}

func respond(r *http.Request, wait time.Duration) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	status := http.StatusOK
	if wait > 0 {
		status = http.StatusTooManyRequests
		header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: 2, Request: r}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// bucket is golang.org/x/time/rate and nothing else, as many programs use it.
type bucket struct{ *rate.Limiter }

func (b bucket) Acquire(ctx context.Context, _ drift.Turn) (drift.Slot, error) {
	return b, b.Wait(ctx)
}
func (bucket) Done(context.Context, drift.Result) error { return nil }
func (bucket) Pause(context.Context, time.Time) error   { return nil }

func newBucket() drift.Limiter {
	return bucket{rate.NewLimiter(drift.DefaultRateLimit/60.0, drift.DefaultRateLimit)}
}

func newWindow() drift.Limiter { return drift.NewLimiter(drift.DefaultRateLimit) }

// simulate lets 64 workers make calls through a limiter, and returns what came to the server. Others use the allowance
// too, and have done so for two minutes before.
func simulate(t *testing.T, newLimiter func() drift.Limiter, calls, others int) (arrivals []arrival) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		ctx, stop := context.WithCancel(t.Context())
		if others > 0 {
			var serving sync.WaitGroup
			defer serving.Wait()
			s.start = time.Now().Add(2 * time.Minute)
			serving.Go(func() { s.serveOthers(ctx, others) })
			time.Sleep(2 * time.Minute)
		}
		defer stop()
		client, err := drift.NewClient(
			drift.WithToken("simulated"),
			drift.WithBaseURL("https://drift.test"),
			drift.WithHTTPClient(&http.Client{Transport: transport(s.serve)}),
			drift.WithLimiter(newLimiter()),
			drift.WithoutRetry(), // its delays are random; callUntilDone waits without
		)
		require.NoError(t, err)
		defer client.Close()
		var group sync.WaitGroup
		jobs := numbers(calls)
		for range workers {
			group.Go(func() {
				for range jobs {
					assert.NoError(t, callUntilDone(t.Context(), client))
				}
			})
		}
		group.Wait()
		arrivals = s.arrivals
	})
	return arrivals
}

func numbers(n int) <-chan int {
	c := make(chan int, n)
	for i := range n {
		c <- i
	}
	close(c)
	return c
}

// callUntilDone makes a call, and makes it again after as long as a 429 says.
func callUntilDone(ctx context.Context, client *drift.Client) error {
	for {
		err := client.Do(ctx, drift.Request{Path: "v2/things"}, nil)
		var limited *drift.RateLimitError
		if !errors.As(err, &limited) {
			return err
		}
		time.Sleep(limited.RetryAfter)
	}
}

// busiest is the largest number of calls in any minute.
func busiest(arrivals []arrival) int {
	most := 0
	for _, a := range arrivals {
		most = max(most, inMinuteTo(a.at, arrivals))
	}
	return most
}

// inMinuteTo is how many calls came in the 60 seconds up to an instant, refused ones included.
func inMinuteTo(at time.Duration, arrivals []arrival) int {
	n := 0
	for _, a := range arrivals {
		if a.at <= at && at-a.at < time.Minute {
			n++
		}
	}
	return n
}

func refusals(arrivals []arrival) int {
	n := 0
	for _, a := range arrivals {
		if a.refused {
			n++
		}
	}
	return n
}
