package testkit

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/driftsdk/drift"
)

// OpenLimiter lets every attempt pass, for tests of many calls.
type OpenLimiter struct{}

func (OpenLimiter) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return OpenSlot{}, nil }

func (OpenLimiter) Pause(context.Context, time.Time) error { return nil }

// OpenSlot is a slot of [OpenLimiter].
type OpenSlot struct{}

func (OpenSlot) Done(context.Context, drift.Result) error { return nil }

// MinuteServer counts by itself, and answers 429 to a call that is one too many in a minute.
type MinuteServer struct {
	Limit    int
	Delay    func() time.Duration // each way
	mu       sync.Mutex
	arrivals []time.Time
	Refused  int
}

// Serve is a [Responder].
func (s *MinuteServer) Serve(r *http.Request) (*http.Response, error) {
	time.Sleep(s.Delay())
	refused := s.arrive()
	time.Sleep(s.Delay())
	if refused {
		return Answer(http.StatusTooManyRequests, "Retry-After", "60")(r)
	}
	return Answer(http.StatusOK)(r)
}

func (s *MinuteServer) arrive() (refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if n := len(s.arrivals); n >= s.Limit && now.Sub(s.arrivals[n-s.Limit]) < time.Minute {
		s.Refused++
		return true
	}
	s.arrivals = append(s.arrivals, now)
	return false
}

// Delays20To120 is a delay of 20 to 120 ms.
func Delays20To120() time.Duration { return 20*time.Millisecond + rand.N(100*time.Millisecond) }

// Slots is a limiter that lets every attempt pass and records it.
type Slots struct {
	mu       sync.Mutex
	Taken    int
	Classes  []drift.Class
	Outcomes []drift.Outcome
	Pauses   []time.Duration
	Err      error
}

func (s *Slots) Acquire(_ context.Context, turn drift.Turn) (drift.Slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil {
		return nil, s.Err
	}
	s.Taken++
	s.Classes = append(s.Classes, turn.Class)
	return s, nil
}

func (s *Slots) Done(_ context.Context, result drift.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Taken--
	s.Outcomes = append(s.Outcomes, result.Outcome)
	return nil
}

func (s *Slots) Pause(_ context.Context, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Pauses = append(s.Pauses, time.Until(until))
	return nil
}

// Held is how many slots are out.
func (s *Slots) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Taken
}

// Spent is how many slots were used.
func (s *Slots) Spent() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, outcome := range s.Outcomes {
		if outcome != drift.OutcomeNotSent {
			n++
		}
	}
	return n
}

// Reserved is a reservation; a nil Refunded makes every Refund succeed.
type Reserved struct {
	Used     drift.Usage
	Refunded func(context.Context) error
}

func (r Reserved) Usage() drift.Usage { return r.Used }

func (r Reserved) Refund(ctx context.Context) error {
	if r.Refunded == nil {
		return nil
	}
	return r.Refunded(ctx)
}

// SlowStore is a QuotaStore that takes its time; Reserve does so even if the context ends.
type SlowStore struct {
	Reserving time.Duration // how long Reserve takes
	Refunding time.Duration // how long Refund takes
	Refunds   int
}

func (s *SlowStore) Reserve(context.Context) (drift.Reservation, error) {
	time.Sleep(s.Reserving)
	return Reserved{Refunded: s.refund}, nil
}

func (s *SlowStore) Usage(context.Context) (drift.Usage, error) { return drift.Usage{}, nil }

func (s *SlowStore) refund(ctx context.Context) error {
	s.Refunds++
	select {
	case <-time.After(s.Refunding):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
