package main

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/driftsdk/drift"
)

// manyGoroutines share a client in the comparison with one goroutine.
const (
	manyGoroutines = 256
	leastPerCore   = 0.75 // all goroutines share the queue of the limiter
)

// scaling is the throughput per core of many goroutines over that of one, with the client and by hand. By hand nothing is
// shared but the transport, so it tells what the machine and the runtime can do.
type scaling struct {
	cores        int
	client, hand interval
	together     interval // the throughput of many goroutines with the client over theirs by hand
}

// counts reports whether the run says something of the client: by hand it has to be about what one goroutine does.
func (s scaling) counts() bool { return s.hand.median >= leastControl }

// scalingUntilGood measures again where the machine disturbs it.
func scalingUntilGood(e effort) (s scaling, err error) {
	for range e.tries {
		if s, err = measureScaling(e); err != nil || s.client.median >= leastPerCore {
			break
		}
	}
	return s, err
}

// measureScaling runs slices of one goroutine on one core and of many on all cores, in random order. Each of the many makes 128
// calls: what it takes to start so many and to wait for the last one is nobody's throughput.
func measureScaling(e effort) (scaling, error) {
	const callsTogether = 128 * manyGoroutines
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	result := scaling{cores: runtime.NumCPU()}
	transport := newStub(answerOne())
	hand := getByHand(newByHand(stubURL, transport))
	client := withClient("drift", stubURL, transport, getOne, drift.WithRateLimit(2*callsTogether))
	slices := []struct {
		candidate
		goroutines, cores int
	}{{hand, 1, 1}, {hand, manyGoroutines, result.cores}, {client, 1, 1}, {client, manyGoroutines, result.cores}}
	random := rand.New(rand.NewPCG(5, 6))
	var ofHand, ofClient, ofBoth []float64
	for range e.plan(40, callsTogether).rounds {
		perCore := make([]float64, len(slices))
		for _, i := range random.Perm(len(slices)) {
			s := slices[i]
			runtime.GOMAXPROCS(s.cores)
			seconds, err := timeTogether(s.candidate, s.goroutines, plan{calls: callsTogether, clock: e.clock})
			if err != nil {
				return result, err
			}
			if !e.clock.sums {
				seconds *= float64(s.cores)
			}
			perCore[i] = callsTogether / seconds
		}
		ofHand, ofClient = append(ofHand, perCore[1]/perCore[0]), append(ofClient, perCore[3]/perCore[2])
		ofBoth = append(ofBoth, perCore[3]/perCore[1])
	}
	result.hand, result.client, result.together = bootstrap(ofHand), bootstrap(ofClient), bootstrap(ofBoth)
	return result, nil
}

// timeTogether is how long goroutines take for so many calls in all. One call goes before, because a limiter sends its first
// one alone, and then one of each goroutine, because a new one has to grow its stack.
func timeTogether(c candidate, goroutines int, p plan) (seconds float64, err error) {
	call, err := c.prepare()
	if err != nil {
		return 0, err
	}
	if err := call(); err != nil {
		return 0, err
	}
	var ready sync.WaitGroup
	ready.Add(goroutines)
	begin := make(chan struct{})
	var start time.Duration
	go func() {
		ready.Wait()
		start = p.clock.now()
		close(begin)
	}()
	err = together(goroutines, func() error {
		err := call()
		ready.Done()
		<-begin
		if err != nil {
			return err
		}
		return repeat(p.calls/goroutines, call)
	})
	return (p.clock.now() - start).Seconds(), err
}

// together runs a function in each of so many goroutines, and returns one of their errors.
func together(goroutines int, run func() error) error {
	var group sync.WaitGroup
	var failed atomic.Pointer[error]
	for range goroutines {
		group.Go(func() {
			if err := run(); err != nil {
				failed.Store(&err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func repeat(times int, call func() error) error {
	for range times {
		if err := call(); err != nil {
			return err
		}
	}
	return nil
}

// Goroutines that call over loopback, and the connections that they may open.
const (
	callers         = 64
	callsOfCaller   = 100
	mostConnections = 96
)

// measureConnections counts the connections that a client with its own transport opens, and those of http.DefaultTransport.
func measureConnections() (client, hand int, err error) {
	client, err = connections(func(url string) (func() error, func(), error) {
		c, err := drift.NewClient(drift.WithToken(token), drift.WithBaseURL(url), drift.WithRateLimit(2*callers*callsOfCaller))
		return func() error { return getOne(c) }, func() { _ = c.Close() }, err
	})
	if err != nil {
		return 0, 0, err
	}
	hand, err = connections(func(url string) (func() error, func(), error) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		h := newByHand(url, transport)
		return func() error {
			_, err := h.conversation(context.Background(), conversationID)
			return err
		}, transport.CloseIdleConnections, nil
	})
	return client, hand, err
}

func connections(open func(url string) (call func() error, end func(), err error)) (int, error) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(answering(answerOne()))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	call, end, err := open(server.URL)
	if err != nil {
		return 0, err
	}
	defer end()
	err = together(callers, func() error { return repeat(callsOfCaller, call) })
	return int(opened.Load()), err
}
