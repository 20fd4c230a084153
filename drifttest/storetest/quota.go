package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/driftsdk/drift"
)

// TestQuotaStore tests a store of the month's count. Each call of open must return an empty store for an account with
// this plan, which is 0 if the number of calls is not limited. A store is held to these promises:
//
//   - Reserve counts one call. Its usage includes that call, and Usage shows the same.
//   - Once the plan's calls are used up, Reserve counts nothing and returns a *QuotaError with the usage, whoever asks at
//     the same time.
//   - Refund takes one call back, even if the month was used up. In the next month it does nothing.
//   - The count starts over when the month ends by the store's clock. A bubble of [testing/synctest] is needed to see
//     that.
//   - If a context has ended, Reserve returns at once. It counts a call only if it returns no error.
func TestQuotaStore(t *testing.T, open func(t *testing.T, plan drift.Plan) drift.QuotaStore) {
	t.Helper()
	runAll(t, func(t *testing.T, plan drift.Plan) func() drift.QuotaStore {
		s := open(t, plan)
		return func() drift.QuotaStore { return s }
	}, quotaChecks)
}

// TestSharedQuotaStore runs the checks of [TestQuotaStore], and others with several instances of one store, as processes
// would use them. Each call of open must make a new store, and return a function that returns another instance of it. The
// instances must count together.
func TestSharedQuotaStore(t *testing.T, open func(t *testing.T, plan drift.Plan) func() drift.QuotaStore) {
	t.Helper()
	runAll(t, open, slices.Concat(quotaChecks, sharedQuotaChecks))
}

type openQuota = func(t *testing.T, plan drift.Plan) func() drift.QuotaStore

var quotaChecks = []check[openQuota]{
	{"Counts", 0, checkCounts},
	{"WithoutPlan", 0, checkWithoutPlan},
	{"UsedUp", 0, checkUsedUp},
	{"Refund", 0, checkRefund},
	{"LastCalls", 0, func(t *testing.T, open openQuota) { checkLastCalls(t, open, 1) }},
	{"Refunds", 0, checkRefunds},
	{"ContextEnds", 0, checkQuotaContext},
	{"NextMonth", aMonth, checkNextMonth},
}

var sharedQuotaChecks = []check[openQuota]{
	{"SharedCount", 0, checkSharedCount},
	{"SharedLastCalls", 0, func(t *testing.T, open openQuota) { checkLastCalls(t, open, 3) }},
}

// reserve ends the test if the call is not counted, or not as this many.
func reserve(t *testing.T, s drift.QuotaStore, used int) drift.Reservation {
	t.Helper()
	r, err := s.Reserve(t.Context())
	noError(t, "Reserve", err)
	if r == nil {
		t.Fatal("Reserve returned neither a reservation nor an error")
	}
	if got := r.Usage().Used; got != used {
		t.Fatalf("the usage of a reservation: got %d used, want %d", got, used)
	}
	return r
}

// checkUsed ends the test if Usage does not show this count.
func checkUsed(t *testing.T, s drift.QuotaStore, used int) drift.Usage {
	t.Helper()
	usage, err := s.Usage(t.Context())
	noError(t, "Usage", err)
	if usage.Used != used {
		t.Fatalf("Usage: got %d used, want %d", usage.Used, used)
	}
	return usage
}

func refund(t *testing.T, r drift.Reservation) {
	t.Helper()
	noError(t, "Refund", r.Refund(t.Context()))
}

// checkRejected ends the test if the store does not reject a call.
func checkRejected(t *testing.T, s drift.QuotaStore, used int) {
	t.Helper()
	r, err := s.Reserve(t.Context())
	var rejected *drift.QuotaError
	switch {
	case !errors.As(err, &rejected):
		t.Fatalf("the month is used up: got the error %v, not a *QuotaError", err)
	case !errors.Is(err, drift.ErrQuotaExceeded):
		t.Fatal("the month is used up: the error must match ErrQuotaExceeded")
	case r != nil:
		t.Fatal("Reserve returned a reservation beside its error")
	case rejected.Usage.Used != used || rejected.Usage.Limit != used:
		t.Fatalf("the usage of the error: got %d of %d", rejected.Usage.Used, rejected.Usage.Limit)
	}
	checkUsed(t, s, used)
}

func checkCounts(t *testing.T, open openQuota) {
	s := open(t, drift.PlanStarter)()
	checkUsed(t, s, 0)
	for used := 1; used <= 3; used++ {
		r := reserve(t, s, used)
		if usage := checkUsed(t, s, used); !sameUsage(usage, r.Usage()) {
			t.Errorf("Usage: got %+v, want that of the reservation, %+v", usage, r.Usage())
		}
	}
	usage := checkUsed(t, s, 3)
	if usage.Limit != int(drift.PlanStarter) {
		t.Errorf("the limit: got %d, want that of the plan", usage.Limit)
	}
	if rest := time.Until(usage.ResetsAt); rest <= 0 || rest > aMonth {
		t.Errorf("the month ends in %v", rest)
	}
}

func sameUsage(a, b drift.Usage) bool {
	return a.Used == b.Used && a.Limit == b.Limit && a.ResetsAt.Equal(b.ResetsAt)
}

func checkWithoutPlan(t *testing.T, open openQuota) {
	s := open(t, 0)()
	for used := 1; used <= 3; used++ {
		if limit := reserve(t, s, used).Usage().Limit; limit != 0 {
			t.Fatalf("without a plan: got a limit of %d", limit)
		}
	}
}

func checkUsedUp(t *testing.T, open openQuota) {
	s := open(t, 3)()
	for used := 1; used <= 3; used++ {
		reserve(t, s, used)
	}
	checkRejected(t, s, 3)
	checkRejected(t, s, 3)
}

func checkRefund(t *testing.T, open openQuota) {
	s := open(t, 3)()
	first := reserve(t, s, 1)
	reserve(t, s, 2)
	third := reserve(t, s, 3)
	checkRejected(t, s, 3)
	refund(t, first)
	checkUsed(t, s, 2)
	reserve(t, s, 3)
	checkRejected(t, s, 3)
	refund(t, third)
	checkUsed(t, s, 2)
}

// checkLastCalls lets more callers than the plan allows ask at the same time.
func checkLastCalls(t *testing.T, open openQuota, instances int) {
	const plan, calls = 20, 45
	another := open(t, plan)
	all := make([]drift.QuotaStore, instances)
	for i := range all {
		all[i] = another()
	}
	var mu sync.Mutex
	var counts []int
	together(calls, func(i int) {
		r, err := all[i%instances].Reserve(t.Context())
		if err != nil {
			if !errors.Is(err, drift.ErrQuotaExceeded) {
				t.Errorf("Reserve: %v", err)
			}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		counts = append(counts, r.Usage().Used)
	})
	slices.Sort(counts)
	for i, used := range counts {
		if used != i+1 {
			t.Fatalf("calls at the same time were counted as %v", counts)
		}
	}
	if len(counts) != plan {
		t.Fatalf("of %d calls at the same time, %d went out, but the plan allows %d", calls, len(counts), plan)
	}
	checkUsed(t, all[0], plan)
}

func checkRefunds(t *testing.T, open openQuota) {
	const calls = 20
	s := open(t, drift.PlanStarter)()
	var kept atomic.Int32
	together(calls, func(i int) {
		r, err := s.Reserve(t.Context())
		if err != nil {
			t.Errorf("Reserve: %v", err)
			return
		}
		if i%2 == 0 {
			kept.Add(1)
		} else if err := r.Refund(t.Context()); err != nil {
			t.Errorf("Refund: %v", err)
		}
	})
	checkUsed(t, s, int(kept.Load()))
}

func checkQuotaContext(t *testing.T, open openQuota) {
	s := open(t, drift.PlanStarter)()
	reserve(t, s, 1)
	used := 1
	returnsAtOnce(t, "Reserve with a context that has ended", func() {
		if _, err := s.Reserve(ended(t)); err == nil {
			used++
		}
	})
	checkUsed(t, s, used)
	returnsAtOnce(t, "Usage with a context that has ended", func() { _, _ = s.Usage(ended(t)) })
	r := reserve(t, s, used+1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	returnsAtOnce(t, "Refund with a context that has ended", func() {
		if r.Refund(ctx) != nil {
			used++
		}
	})
	checkUsed(t, s, used)
}

func checkNextMonth(t *testing.T, open openQuota) {
	s := open(t, 2)()
	old := reserve(t, s, 1)
	reserve(t, s, 2)
	checkRejected(t, s, 2)
	ends := checkUsed(t, s, 2).ResetsAt

	time.Sleep(time.Until(ends) - time.Second)
	checkRejected(t, s, 2)
	time.Sleep(2 * time.Second)
	usage := checkUsed(t, s, 0)
	if !usage.ResetsAt.After(ends) {
		t.Fatalf("a new month has begun, which ends at %v", usage.ResetsAt)
	}
	reserve(t, s, 1)
	refund(t, old)
	checkUsed(t, s, 1)
}

func checkSharedCount(t *testing.T, open openQuota) {
	another := open(t, 3)
	here, there := another(), another()
	r := reserve(t, here, 1)
	checkUsed(t, there, 1)
	reserve(t, there, 2)
	reserve(t, here, 3)
	checkRejected(t, there, 3)
	refund(t, r)
	checkUsed(t, there, 2)
	reserve(t, another(), 3)
	checkRejected(t, here, 3)
}
