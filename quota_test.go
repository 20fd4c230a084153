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
	"github.com/driftsdk/drift/drifttest/storetest"
	"github.com/driftsdk/drift/internal/testkit"
)

// until lets the clock of a bubble run.
func until(at time.Time) { time.Sleep(time.Until(at)) }

var february = time.Date(2000, time.February, 1, 0, 0, 0, 0, time.UTC)

func TestPlans(t *testing.T) {
	plans := []drift.Plan{drift.PlanStarter, drift.PlanProfessional, drift.PlanEnterprise}
	assert.Equal(t, []drift.Plan{10_000, 25_000, 50_000}, plans)
	for _, plan := range plans {
		synctest.Test(t, func(t *testing.T) {
			client := testkit.Through(t, new(testkit.Network).Serve, drift.WithPlan(plan))
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
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithLimiter(new(testkit.Slots)))
		for range 20 {
			require.NoError(t, testkit.Get(t.Context(), client))
		}
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, drift.Usage{Used: 20, ResetsAt: february}, usage)
	})
}

func TestQuotaCountsEveryAttempt(t *testing.T) {
	tests := map[string]struct {
		answers []testkit.Responder
		want    int
	}{
		"one":                {[]testkit.Responder{testkit.Answer(200)}, 1},
		"an error counts":    {[]testkit.Responder{testkit.Answer(404)}, 1},
		"retries":            {[]testkit.Responder{testkit.Answer(500), testkit.Answer(429), testkit.Answer(200)}, 3},
		"no answer":          {[]testkit.Responder{testkit.NoAnswer, testkit.Answer(200)}, 2},
		"broken body":        {[]testkit.Responder{testkit.BrokenBody, testkit.Answer(200)}, 2},
		"not sent":           {[]testkit.Responder{testkit.NotSent}, 0},
		"not sent, then":     {[]testkit.Responder{testkit.NotSent, testkit.Answer(200)}, 1},
		"no such host":       {[]testkit.Responder{testkit.NoHost}, 0},
		"written once":       {[]testkit.Responder{testkit.Traced(1, testkit.Answer(200))}, 1},
		"throttled and gone": {[]testkit.Responder{testkit.Answer(429, "Retry-After", "3600")}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := testkit.Through(t, (&testkit.Network{Answers: test.answers}).Serve, drift.WithPlan(100))
				_ = testkit.Get(t.Context(), client)
				assert.Equal(t, test.want, testkit.Used(t, client))
			})
		})
	}
}

func TestQuotaRefusesBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, limiter := new(testkit.Network), new(testkit.Slots)
		client := testkit.Through(t, network.Serve, drift.WithPlan(3), drift.WithLimiter(limiter))
		for range 3 {
			require.NoError(t, testkit.Get(t.Context(), client))
		}
		err := testkit.Get(t.Context(), client)
		var exceeded *drift.QuotaError
		require.ErrorAs(t, err, &exceeded)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Equal(t, drift.Usage{Used: 3, Limit: 3, ResetsAt: february}, exceeded.Usage)
		assert.Equal(t, "tests.call", exceeded.Operation)
		assert.NoError(t, exceeded.Err, "the service said nothing")
		assert.Len(t, network.Requests(), 3)
		assert.Len(t, limiter.Outcomes, 3, "it did not wait for the limiter")
	})
}

func TestQuotaRefusesARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, limiter := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503)}}, new(testkit.Slots)
		client := testkit.Through(t, network.Serve, drift.WithPlan(2), drift.WithLimiter(limiter))
		err := testkit.Get(t.Context(), client)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
		assert.Len(t, network.Requests(), 2)
		assert.Equal(t, []drift.Outcome{drift.OutcomeAnswered, drift.OutcomeAnswered, drift.OutcomeNotSent}, limiter.Outcomes)
		assert.Equal(t, 2, testkit.Used(t, client))
	})
}

// A write that may have been applied stays ambiguous, whatever stops the next attempt.
func TestQuotaRefusesARetryOfAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(503)}}).Serve, drift.WithPlan(1))
		err := testkit.Call(t.Context(), client, http.MethodDelete)
		assert.ErrorIs(t, err, drift.ErrAmbiguous)
		assert.ErrorIs(t, err, drift.ErrQuotaExceeded)
	})
}

func TestQuotaByTheServersWord(t *testing.T) {
	for name, respond := range map[string]testkit.Responder{"402": testkit.Answer(402), "429": testkit.QuotaGone, "403": testkit.AnswerBody(403, `{"code":"QUOTA-9"}`)} {
		synctest.Test(t, func(t *testing.T) {
			client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{respond}}).Serve, drift.WithPlan(100))
			var exceeded *drift.QuotaError
			require.ErrorAs(t, testkit.Get(t.Context(), client), &exceeded, name)
			assert.Equal(t, 1, exceeded.Usage.Used)
			var api *drift.APIError
			require.ErrorAs(t, exceeded, &api, name)
		})
	}
}

// The client asks the service again after a while, because the plan may have changed.
func TestQuotaExhaustedAtTheServiceUntilACallSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.QuotaGone, testkit.QuotaGone, testkit.Answer(200)}}
		client := testkit.Through(t, network.Serve)
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)

		time.Sleep(14 * time.Minute)
		err := testkit.Get(t.Context(), client)
		require.ErrorIs(t, err, drift.ErrQuotaExceeded)
		require.NotErrorAs(t, err, new(*drift.APIError), "this call was not sent")
		require.Len(t, network.Sent, 1)

		time.Sleep(time.Minute)
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded, "asked again, and told again")
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
		require.Len(t, network.Sent, 2)

		time.Sleep(15 * time.Minute)
		require.NoError(t, testkit.Get(t.Context(), client), "now it serves")
		require.NoError(t, testkit.Get(t.Context(), client))
		require.Len(t, network.Sent, 4)
	})
}

// While the call that tries again is under way, the others are still refused.
func TestOneCallTriesAgainAfterTheServiceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.QuotaGone}, Delay: time.Second}
		client := testkit.Through(t, network.Serve)
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
		time.Sleep(15 * time.Minute)
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() { assert.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded) })
		}
		group.Wait()
		assert.Len(t, network.Requests(), 2)
	})
}

func TestQuotaExhaustedAtTheServiceUntilTheMonthEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.QuotaGone, testkit.Answer(200)}}).Serve)
		until(february.Add(-time.Minute))
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
		until(february)
		require.NoError(t, testkit.Get(t.Context(), client))
	})
}

func TestMonthTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithPlan(2), drift.WithLimiter(new(testkit.Slots)))
		require.NoError(t, testkit.Get(t.Context(), client))
		until(february.Add(-time.Millisecond))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
		until(february)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, drift.Usage{Limit: 2, ResetsAt: february.AddDate(0, 1, 0)}, usage, "February of a leap year")
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Equal(t, 1, testkit.Used(t, client))
	})
}

// The month is decided when the attempt goes out, not when the call is made.
func TestMonthTurnsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, new(testkit.Network).Serve, drift.WithPlan(2), drift.WithRateLimit(1))
		until(february.Add(-30 * time.Second))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Equal(t, 1, testkit.Used(t, client))
		require.NoError(t, testkit.Get(t.Context(), client))
		require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
	})
}

// A call that is not sent is refunded in the month in which it was counted, not in the next one.
func TestRefundAcrossTheMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.NotSent, testkit.Answer(200)}, Delay: 2 * time.Second}
		client := testkit.Through(t, network.Serve, drift.WithPlan(100), drift.WithLimiter(new(testkit.Slots)))
		until(february.Add(-time.Second))
		var group sync.WaitGroup
		group.Go(func() { assert.Error(t, testkit.Get(t.Context(), client, drift.WithoutRetry())) })
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, testkit.Get(t.Context(), client))
		group.Wait()
		assert.Equal(t, 1, testkit.Used(t, client))
	})
}

func TestLastCallOfFifty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Delay: time.Second}
		client := testkit.Through(t, network.Serve, drift.WithPlan(10), drift.WithLimiter(new(testkit.Slots)))
		for range 9 {
			require.NoError(t, testkit.Get(t.Context(), client))
		}
		var mu sync.Mutex
		var passed, refused int
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() {
				err := testkit.Get(t.Context(), client)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					passed++
				} else if assert.ErrorAs(t, err, new(*drift.QuotaError)) {
					refused++
				}
			})
		}
		group.Wait()
		assert.Equal(t, 1, passed)
		assert.Equal(t, 49, refused)
		assert.Len(t, network.Requests(), 10)
		assert.Equal(t, 10, testkit.Used(t, client))
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
			client := testkit.Through(t, new(testkit.Network).Serve, drift.WithPlan(plan), drift.WithHooks(hooks), drift.WithLimiter(new(testkit.Slots)))
			for range plan + 5 {
				_ = testkit.Get(t.Context(), client)
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
}

func (s *store) Reserve(context.Context) (drift.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved++
	if s.reserveErr != nil {
		return nil, s.reserveErr
	}
	s.used++
	return testkit.Reserved{Used: drift.Usage{Used: s.used, Limit: s.limit}, Refunded: s.refund}, nil
}

func (s *store) refund(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refunded++
	s.used--
	return errors.Join(s.refundErr, ctx.Err())
}

func (s *store) Usage(context.Context) (drift.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked++
	return drift.Usage{Used: s.used, Limit: s.limit}, s.usageErr
}

func TestPlanBesideAStoreIsMentioned(t *testing.T) {
	var log strings.Builder
	logger := drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	testkit.Through(t, new(testkit.Network).Serve, logger, drift.WithPlan(3))
	testkit.Through(t, new(testkit.Network).Serve, logger, drift.WithQuotaStore(new(store)))
	assert.Empty(t, log.String())
	testkit.Through(t, new(testkit.Network).Serve, logger, drift.WithPlan(3), drift.WithQuotaStore(new(store)))
	assert.Contains(t, log.String(), "WithPlan has no effect")
}

func TestStoreThatFails(t *testing.T) {
	broken := errors.New("disk sEcReT is full")
	s, network, limiter := &store{reserveErr: broken}, new(testkit.Network), new(testkit.Slots)
	client := testkit.Through(t, network.Serve, drift.WithQuotaStore(s), drift.WithLimiter(limiter))
	requireNotSent := func(err error) {
		t.Helper()
		var failed *drift.TransportError
		require.ErrorAs(t, err, &failed)
		assert.ErrorIs(t, err, broken)
		assert.False(t, failed.Sent)
		assert.Equal(t, "tests.call", failed.Operation)
		assert.Empty(t, network.Requests())
	}
	requireNotSent(testkit.Get(t.Context(), client))
	assert.Equal(t, 1, s.reserved, "not tried again")
	assert.Zero(t, s.refunded, "nothing was counted")
	assert.Equal(t, []drift.Outcome{drift.OutcomeNotSent}, limiter.Outcomes)
	assert.Zero(t, limiter.Taken)

	s.reserveErr = new(drift.QuotaError)
	require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
	s.usageErr = broken
	requireNotSent(testkit.Get(t.Context(), client))
	assert.Equal(t, 2, s.reserved, "Usage comes first once the month is used up")
}

func TestStoreThatCannotRefund(t *testing.T) {
	s := &store{refundErr: errors.New("disk is full")}
	network := &testkit.Network{Answers: []testkit.Responder{testkit.NotSent}}
	err := testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithQuotaStore(s)), drift.WithoutRetry())
	require.ErrorAs(t, err, new(*drift.TransportError), "the call's own error")
	assert.Equal(t, 1, s.refunded)
}

func TestRefundIsMadeOncePerAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, network := new(store), &testkit.Network{Answers: []testkit.Responder{testkit.NotSent, testkit.NotSent, testkit.Answer(200)}, Delay: time.Second}
		require.NoError(t, testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithQuotaStore(s))))
		assert.Equal(t, 1, s.used)
		assert.Equal(t, 2, s.refunded)
	})
}

// The count must be right even if the caller has given up.
func TestRefundAfterTheContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(store)
		stalled := testkit.Traced(0, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		client := testkit.Through(t, testkit.Responder(stalled), drift.WithQuotaStore(s))
		require.ErrorIs(t, testkit.Get(t.Context(), client, drift.WithTimeout(time.Second)), context.DeadlineExceeded)
		assert.Equal(t, 1, s.refunded)
		assert.Zero(t, s.used)
	})
}

func TestQuotaErrorOfAStore(t *testing.T) {
	s := &store{reserveErr: &drift.QuotaError{Usage: drift.Usage{Used: 9, Limit: 9}}}
	network := new(testkit.Network)
	err := testkit.Get(t.Context(), testkit.Through(t, network.Serve, drift.WithQuotaStore(s)))
	var exceeded *drift.QuotaError
	require.ErrorAs(t, err, &exceeded)
	assert.Equal(t, "tests.call", exceeded.Operation)
	assert.Equal(t, 9, exceeded.Usage.Used)
	assert.Empty(t, network.Requests())
}

// What was sent is counted, and nothing else.
func TestQuotaIsWhatTheServerSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := 0
		seeing := func(respond testkit.Responder) testkit.Responder {
			return func(r *http.Request) (*http.Response, error) {
				seen++
				return respond(r)
			}
		}
		outcomes := []testkit.Responder{testkit.NotSent, testkit.NoHost, testkit.BadCert, seeing(testkit.Answer(200)), seeing(testkit.NoAnswer), seeing(testkit.BrokenBody), seeing(testkit.Answer(500)),
			seeing(testkit.Answer(429)), seeing(testkit.Answer(404)), seeing(testkit.Answer(302))}
		for _, a := range outcomes {
			for _, b := range outcomes {
				seen = 0
				network := &testkit.Network{Answers: []testkit.Responder{a, b, seeing(testkit.Answer(200))}}
				client := testkit.Through(t, network.Serve, drift.WithLimiter(new(testkit.Slots)))
				_ = testkit.Get(t.Context(), client)
				assert.Equal(t, seen, testkit.Used(t, client))
			}
		}
	})
}

func TestContextEndsWhileTheQuotaIsReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testkit.SlowStore{Reserving: 2 * time.Second}
		network := new(testkit.Network)
		client := testkit.Through(t, network.Serve, drift.WithQuotaStore(store))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "a"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous, "nothing was sent")
		assert.Empty(t, network.Sent)
		assert.Equal(t, 1, store.Refunds)
	})
}

func TestRefundHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testkit.SlowStore{Refunding: time.Hour}
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.NoHost}}).Serve, drift.WithQuotaStore(store))
		start := time.Now()
		require.Error(t, testkit.Get(t.Context(), client))
		assert.LessOrEqual(t, time.Since(start), time.Second)
	})
}

func TestQuotaAfterClose(t *testing.T) {
	client := testkit.Through(t, new(testkit.Network).Serve)
	require.NoError(t, client.Close())
	_, err := client.Quota(t.Context())
	assert.ErrorIs(t, err, drift.ErrClosed)
}

func TestMemoryQuotaStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storetest.TestQuotaStore(t, func(_ *testing.T, plan drift.Plan) drift.QuotaStore { return drift.NewMemoryQuota(plan) })
	})
}
