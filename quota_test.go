package drift_test

import (
	"context"
	"errors"
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
)

// used returns how many calls a client has counted.
func used(t *testing.T, client *drift.Client) int {
	t.Helper()
	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	return usage.Used
}

// until sleeps until the given time.
func until(at time.Time) { time.Sleep(time.Until(at)) }

var february = time.Date(2000, time.February, 1, 0, 0, 0, 0, time.UTC)

func TestPlans(t *testing.T) {
	plans := []drift.Plan{drift.PlanStarter, drift.PlanProfessional, drift.PlanEnterprise}
	assert.Equal(t, []drift.Plan{10_000, 25_000, 50_000}, plans)
	for _, plan := range plans {
		synctest.Test(t, func(t *testing.T) {
			client := through(t, new(network).serve, drift.WithPlan(plan))
			usage, err := client.Quota(t.Context())
			require.NoError(t, err)
			assert.Equal(t, drift.Usage{Limit: int(plan), ResetsAt: february}, usage)
			assert.Equal(t, int(plan), usage.Remaining())
		})
	}
}

func TestRemaining(t *testing.T) {
	assert.Equal(t, 3, drift.Usage{Used: 7, Limit: 10}.Remaining())
	assert.Zero(t, drift.Usage{Used: 12, Limit: 10}.Remaining())
	assert.Zero(t, drift.Usage{Used: 12}.Remaining())
}

func TestWithoutPlanCallsAreCountedAndNeverRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := through(t, new(network).serve, drift.WithLimiter(new(slots)))
		for range 20 {
			require.NoError(t, get(t.Context(), client))
		}
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, drift.Usage{Used: 20, ResetsAt: february}, usage)
	})
}

func TestQuotaCountsEveryAttempt(t *testing.T) {
	tests := map[string]struct {
		answers []respondWith
		want    int
	}{
		"one":                {[]respondWith{answer(200)}, 1},
		"an error counts":    {[]respondWith{answer(404)}, 1},
		"retries":            {[]respondWith{answer(500), answer(429), answer(200)}, 3},
		"no answer":          {[]respondWith{noAnswer, answer(200)}, 2},
		"broken body":        {[]respondWith{brokenBody, answer(200)}, 2},
		"not sent":           {[]respondWith{notSent}, 0},
		"not sent, then":     {[]respondWith{notSent, answer(200)}, 1},
		"no such host":       {[]respondWith{noHost}, 0},
		"written once":       {[]respondWith{traced(1, answer(200))}, 1},
		"throttled and gone": {[]respondWith{answer(429, "Retry-After", "3600")}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := through(t, (&network{answers: test.answers}).serve, drift.WithPlan(100))
				_ = get(t.Context(), client)
				assert.Equal(t, test.want, used(t, client))
			})
		})
	}
}

func TestQuotaRefusesBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, limiter := new(network), new(slots)
		client := through(t, network.serve, drift.WithPlan(3), drift.WithLimiter(limiter))
		for range 3 {
			require.NoError(t, get(t.Context(), client))
		}
		err := get(t.Context(), client)
		var exceeded *drift.QuotaError
		require.ErrorAs(t, err, &exceeded)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Equal(t, drift.Usage{Used: 3, Limit: 3, ResetsAt: february}, exceeded.Usage)
		assert.Equal(t, "tests.call", exceeded.Operation)
		assert.NoError(t, exceeded.Err, "the service was not asked")
		assert.Len(t, network.requests(), 3)
		assert.Len(t, limiter.outcomes, 3, "it did not wait for the limiter")
	})
}

func TestQuotaRefusesARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, limiter := &network{answers: []respondWith{answer(503)}}, new(slots)
		client := through(t, network.serve, drift.WithPlan(2), drift.WithLimiter(limiter))
		err := get(t.Context(), client)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Len(t, network.requests(), 2)
		assert.Equal(t, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered, drift.OutcomeNotSent}, limiter.outcomes)
		assert.Equal(t, 2, used(t, client))
	})
}

// A write that may have been applied stays ambiguous, whatever stops the next attempt.
func TestQuotaRefusesARetryOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := through(t, (&network{answers: []respondWith{answer(503)}}).serve, drift.WithPlan(1))
		err := call(t.Context(), client, http.MethodDelete)
		assert.ErrorIs(t, err, drift.ErrAmbiguous)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
	})
}

func TestQuotaExhaustedAtTheService(t *testing.T) {
	for name, respond := range map[string]respondWith{
		"402": answer(402),
		"429": quotaGone,
		"403": answerBody(403, `{"code":"QUOTA-9"}`),
	} {
		synctest.Test(t, func(t *testing.T) {
			client := through(t, (&network{answers: []respondWith{respond}}).serve, drift.WithPlan(100))
			var exceeded *drift.QuotaError
			require.ErrorAs(t, get(t.Context(), client), &exceeded, name)
			assert.Equal(t, 1, exceeded.Usage.Used)
			var api *drift.APIError
			require.ErrorAs(t, exceeded, &api, name)
		})
	}
}

// The client asks the service again after a while, because the plan may have changed.
func TestQuotaExhaustedAtTheServiceUntilACallSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{quotaGone, quotaGone, answer(200)}}
		client := through(t, network.serve)
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)

		time.Sleep(14 * time.Minute)
		err := get(t.Context(), client)
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		require.NotErrorAs(t, err, new(*drift.APIError), "this call was not sent")
		require.Len(t, network.sent, 1)

		time.Sleep(time.Minute)
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded, "tried again, and refused again")
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
		require.Len(t, network.sent, 2)

		time.Sleep(15 * time.Minute)
		require.NoError(t, get(t.Context(), client), "now it serves")
		require.NoError(t, get(t.Context(), client))
		require.Len(t, network.sent, 4)
	})
}

// While the call that tries again is under way, the others are still refused.
func TestOneCallTriesAgainAfterTheServiceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{quotaGone}, delay: time.Second}
		client := through(t, network.serve)
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
		time.Sleep(15 * time.Minute)
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() { assert.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded) })
		}
		group.Wait()
		assert.Len(t, network.requests(), 2)
	})
}

func TestQuotaExhaustedAtTheServiceUntilTheMonthEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := through(t, (&network{answers: []respondWith{quotaGone, answer(200)}}).serve)
		until(february.Add(-time.Minute))
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
		until(february)
		require.NoError(t, get(t.Context(), client))
	})
}

func TestMonthTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := through(t, new(network).serve, drift.WithPlan(2), drift.WithLimiter(new(slots)))
		require.NoError(t, get(t.Context(), client))
		until(february.Add(-time.Millisecond))
		require.NoError(t, get(t.Context(), client))
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
		until(february)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, drift.Usage{Limit: 2, ResetsAt: february.AddDate(0, 1, 0)}, usage, "February of a leap year")
		require.NoError(t, get(t.Context(), client))
		assert.Equal(t, 1, used(t, client))
	})
}

// The month is decided when the attempt goes out, not when the call is made.
func TestMonthTurnsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := through(t, new(network).serve, drift.WithPlan(2), drift.WithRateLimit(1))
		until(february.Add(-30 * time.Second))
		require.NoError(t, get(t.Context(), client))
		require.NoError(t, get(t.Context(), client))
		assert.Equal(t, 1, used(t, client))
		require.NoError(t, get(t.Context(), client))
		require.ErrorIs(t, get(t.Context(), client), drift.ErrQuotaExceeded)
	})
}

// A call that is not sent is refunded in the month in which it was counted, not in the next one.
func TestRefundAcrossTheMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{answers: []respondWith{notSent, answer(200)}, delay: 2 * time.Second}
		client := through(t, network.serve, drift.WithPlan(100), drift.WithLimiter(new(slots)))
		until(february.Add(-time.Second))
		var group sync.WaitGroup
		group.Go(func() { assert.Error(t, get(t.Context(), client, drift.WithoutRetry())) })
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, get(t.Context(), client))
		group.Wait()
		assert.Equal(t, 1, used(t, client))
	})
}

func TestLastCallOfFifty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &network{delay: time.Second}
		client := through(t, network.serve, drift.WithPlan(10), drift.WithLimiter(new(slots)))
		for range 9 {
			require.NoError(t, get(t.Context(), client))
		}
		var mu sync.Mutex
		results := map[string]int{}
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				err := get(t.Context(), client)
				mu.Lock()
				defer mu.Unlock()
				results[kind(err)]++
			})
		}
		group.Wait()
		assert.Equal(t, map[string]int{"ok": 1, "quota": 49}, results)
		assert.Len(t, network.requests(), 10)
		assert.Equal(t, 10, used(t, client))
	})
}

func TestQuotaHook(t *testing.T) {
	for plan, want := range map[drift.Plan][]int{100: {80, 90, 100}, 10: {8, 9, 10}, 7: {6, 7}, 3: {3}, 1: {1}} {
		synctest.Test(t, func(t *testing.T) {
			var seen []int
			hooks := drift.Hooks{Quota: func(u drift.Usage) {
				assert.Equal(t, int(plan), u.Limit)
				assert.Equal(t, february, u.ResetsAt)
				seen = append(seen, u.Used)
			}}
			client := through(t, new(network).serve, drift.WithPlan(plan), drift.WithHooks(hooks), drift.WithLimiter(new(slots)))
			for range plan + 5 {
				_ = get(t.Context(), client)
			}
			assert.Equal(t, want, seen, "plan %d", plan)
		})
	}
}

// store is a QuotaStore that can fail.
type store struct {
	limit                            int
	reserveErr, refundErr, usageErr  error
	mu                               sync.Mutex
	used, reserved, refunded, looked int
	reservedAt, refundedAt           []time.Time
}

func (s *store) Reserve(_ context.Context, at time.Time) (drift.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved++
	s.reservedAt = append(s.reservedAt, at)
	if s.reserveErr != nil {
		return drift.Usage{}, s.reserveErr
	}
	s.used++
	return drift.Usage{Used: s.used, Limit: s.limit}, nil
}

func (s *store) Refund(ctx context.Context, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refunded++
	s.refundedAt = append(s.refundedAt, at)
	s.used--
	return errors.Join(s.refundErr, ctx.Err())
}

func (s *store) Usage(context.Context, time.Time) (drift.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked++
	return drift.Usage{Used: s.used, Limit: s.limit}, s.usageErr
}

func TestPlanBesideAStoreIsMentioned(t *testing.T) {
	var log strings.Builder
	logger := drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	through(t, new(network).serve, logger, drift.WithPlan(3))
	through(t, new(network).serve, logger, drift.WithQuotaStore(new(store)))
	assert.Empty(t, log.String())
	through(t, new(network).serve, logger, drift.WithPlan(3), drift.WithQuotaStore(new(store)))
	assert.Contains(t, log.String(), "WithPlan has no effect")
}

func TestStoreThatFails(t *testing.T) {
	broken := errors.New("disk sEcReT is full")
	for name, s := range map[string]*store{"Reserve": {reserveErr: broken}, "Usage": {usageErr: broken}} {
		t.Run(name, func(t *testing.T) {
			network, limiter := new(network), new(slots)
			err := get(t.Context(), through(t, network.serve, drift.WithQuotaStore(s), drift.WithLimiter(limiter)))
			var failed *drift.TransportError
			require.ErrorAs(t, err, &failed)
			assert.ErrorIs(t, err, broken)
			assert.False(t, failed.Sent)
			assert.Equal(t, "tests.call", failed.Operation)
			assert.Empty(t, network.requests())
			assert.LessOrEqual(t, s.reserved, 1, "not tried again")
			assert.Zero(t, s.refunded, "nothing was counted")
			for _, outcome := range limiter.outcomes {
				assert.Equal(t, drift.OutcomeNotSent, outcome)
			}
			assert.Zero(t, limiter.taken)
		})
	}
}

func TestStoreThatCannotRefund(t *testing.T) {
	s := &store{refundErr: errors.New("disk is full")}
	network := &network{answers: []respondWith{notSent}}
	err := get(t.Context(), through(t, network.serve, drift.WithQuotaStore(s)), drift.WithoutRetry())
	assert.Equal(t, "transport", kind(err), "the call's own error: %v", err)
	assert.Equal(t, 1, s.refunded)
}

func TestRefundIsMadeOnceAndInTheMonthOfTheReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, network := new(store), &network{answers: []respondWith{notSent, notSent, answer(200)}, delay: time.Second}
		require.NoError(t, get(t.Context(), through(t, network.serve, drift.WithQuotaStore(s))))
		assert.Equal(t, 1, s.used)
		assert.Equal(t, 2, s.refunded)
		assert.Equal(t, s.reservedAt[:2], s.refundedAt)
	})
}

// The count must be right even if the caller has given up.
func TestRefundAfterTheContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		stalled := traced(0, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		client := through(t, roundTripper(stalled), drift.WithQuotaStore(s))
		require.ErrorIs(t, get(t.Context(), client, drift.WithTimeout(time.Second)), context.DeadlineExceeded)
		assert.Equal(t, 1, s.refunded)
		assert.Zero(t, s.used)
	})
}

func TestQuotaErrorOfAStore(t *testing.T) {
	s := &store{reserveErr: &drift.QuotaError{Usage: drift.Usage{Used: 9, Limit: 9}}}
	network := new(network)
	err := get(t.Context(), through(t, network.serve, drift.WithQuotaStore(s)))
	var exceeded *drift.QuotaError
	require.ErrorAs(t, err, &exceeded)
	assert.Equal(t, "tests.call", exceeded.Operation)
	assert.Equal(t, 9, exceeded.Usage.Used)
	assert.Empty(t, network.requests())
}

// What was sent is counted, and nothing else.
func TestQuotaIsWhatTheServerSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := 0
		seeing := func(respond respondWith) respondWith {
			return func(r *http.Request) (*http.Response, error) {
				seen++
				return respond(r)
			}
		}
		outcomes := []respondWith{notSent, noHost, badCert, seeing(answer(200)), seeing(noAnswer), seeing(brokenBody),
			seeing(answer(500)), seeing(answer(429)), seeing(answer(404)), seeing(answer(302))}
		for _, a := range outcomes {
			for _, b := range outcomes {
				seen = 0
				network := &network{answers: []respondWith{a, b, seeing(answer(200))}}
				client := through(t, network.serve, drift.WithLimiter(new(slots)))
				_ = get(t.Context(), client)
				assert.Equal(t, seen, used(t, client))
			}
		}
	})
}
