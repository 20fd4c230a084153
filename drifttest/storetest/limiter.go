package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/driftsdk/drift"
)

// TestLimiter tests a limiter. Each call of open must return a limiter that allows perMinute calls in any 60 seconds, and
// of which no call was made yet. A limiter is held to these promises:
//
//   - At most perMinute calls arrive in any 60 seconds, at any time between Acquire and Done.
//   - A slot is free at once after [drift.OutcomeNotSent], 60 seconds after an answer, and 63 seconds after
//     [drift.OutcomeUnknown], because the service may yet count the call. Until Done it stays taken.
//   - Callers are served in order of arrival, those with [drift.ClassInteractive] before those with [drift.ClassBulk]. A
//     caller with an earlier [drift.Turn.Since] goes first.
//   - A deadline that cannot be met is a *RateLimitError at once, with Local and RetryAfter set, that matches both
//     [drift.ErrRateLimited] and [context.DeadlineExceeded]. If a context ends, its caller returns at once with the
//     context's error, and takes nothing.
//   - A pause holds all callers until it ends. It comes before the Done of the attempt that was told to pause. A shorter
//     pause, or one that is over, changes nothing.
//   - Done works after the end of the context that Acquire got.
func TestLimiter(t *testing.T, open func(t *testing.T, perMinute int) drift.Limiter) {
	t.Helper()
	runAll(t, func(t *testing.T, perMinute int) func() drift.Limiter {
		l := open(t, perMinute)
		return func() drift.Limiter { return l }
	}, limiterChecks)
}

// TestSharedLimiter runs the checks of [TestLimiter], and others with several limiters over one store, as processes would
// use them. Each call of open must make a new store, and return a function that returns another limiter over it. The
// limiters are held to these promises in addition: what one of them takes is taken for all, also for those that are made
// later, and a pause holds back the callers of all.
func TestSharedLimiter(t *testing.T, open func(t *testing.T, perMinute int) func() drift.Limiter) {
	t.Helper()
	runAll(t, open, slices.Concat(limiterChecks, sharedLimiterChecks))
}

type openLimiter = func(t *testing.T, perMinute int) func() drift.Limiter

var limiterChecks = []check[openLimiter]{
	{"NotSent", 0, checkNotSent},
	{"NotSentWakesTheNext", 0, checkNotSentWakes},
	{"Order", 0, checkOrder},
	{"DeadlineThatCannotBeMet", 0, checkDeadline},
	{"DeadlineInTheQueue", 0, checkDeadlineInQueue},
	{"ContextEnds", 0, checkContextEnds},
	{"Pause", 0, checkPause},
	{"PauseThatChangesNothing", 0, checkPastPause},
	{"PauseBeforeDone", 0, checkPauseBeforeDone},
	{"DeadlineInAPause", 0, checkDeadlineInPause},
	{"DoneAfterTheContext", 0, checkDoneAfterContext},
	{"Answered", aMinute, func(t *testing.T, open openLimiter) { checkBack(t, open, answered, time.Minute) }},
	{"Unknown", aMinute, func(t *testing.T, open openLimiter) { checkBack(t, open, unknown, 63*time.Second) }},
	{"InFlight", aMinute, checkInFlight},
	{"AnyMinute", aMinute, func(t *testing.T, open openLimiter) { checkAnyMinute(t, open, 1) }},
}

var sharedLimiterChecks = []check[openLimiter]{
	{"SharedSlot", 0, checkSharedSlot},
	{"SharedPause", 0, checkSharedPause},
	{"Restart", 0, checkRestart},
	{"SharedAnswer", aMinute, checkSharedAnswer},
	{"SharedMinute", 2 * aMinute, func(t *testing.T, open openLimiter) { checkAnyMinute(t, open, 3) }},
}

var (
	answered = drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: http.StatusOK, Header: http.Header{}}
	refused  = drift.Result{Outcome: drift.OutcomeAnswered, StatusCode: http.StatusTooManyRequests, Header: http.Header{}}
	unknown  = drift.Result{Outcome: drift.OutcomeUnknown}
	notSent  = drift.Result{Outcome: drift.OutcomeNotSent}
)

// interactive returns the turn of an interactive call.
func interactive() drift.Turn { return turn(drift.ClassInteractive) }

func turn(class drift.Class) drift.Turn {
	return drift.Turn{Class: class, Operation: "contacts.get", Timeout: 30 * time.Second, Since: time.Now()}
}

// acquire ends the test if there is no slot at once.
func acquire(t *testing.T, l drift.Limiter) drift.Slot {
	t.Helper()
	slot, err := l.Acquire(within(t, soon), interactive())
	noError(t, "Acquire", err)
	return slot
}

// acquireIn ends the test if there is no slot after a time, or there is one too early. It sets no deadline, which would
// be refused.
func acquireIn(t *testing.T, l drift.Limiter, after time.Duration) drift.Slot {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	timer := time.AfterFunc(after+slack, cancel)
	defer timer.Stop()
	start := time.Now()
	slot, err := l.Acquire(ctx, interactive())
	if errors.Is(err, context.Canceled) {
		t.Fatalf("the slot was not free %v after it was due", slack)
	}
	noError(t, "Acquire", err)
	if took := time.Since(start); took < after-early {
		t.Fatalf("the slot was free %v too early, after %v", after-took, took)
	}
	return slot
}

func done(t *testing.T, s drift.Slot, r drift.Result) {
	t.Helper()
	noError(t, "Done", s.Done(context.WithoutCancel(t.Context()), r))
}

func pause(t *testing.T, l drift.Limiter, d time.Duration) (until time.Time) {
	t.Helper()
	until = time.Now().Add(d)
	noError(t, "Pause", l.Pause(t.Context(), until))
	return until
}

// checkLate ends the test unless a caller with this deadline is refused at once.
func checkLate(t *testing.T, l drift.Limiter, deadline time.Duration) *drift.RateLimitError {
	t.Helper()
	start := time.Now()
	_, err := l.Acquire(within(t, deadline), interactive())
	if took := time.Since(start); took > soon {
		t.Fatalf("a deadline that cannot be met was refused after %v, not at once", took)
	}
	var limited *drift.RateLimitError
	switch {
	case !errors.As(err, &limited):
		t.Fatalf("a deadline that cannot be met: got the error %v, not a *RateLimitError", err)
	case !limited.Local:
		t.Fatal("a deadline that cannot be met: Local is not set")
	case !errors.Is(err, drift.ErrRateLimited) || !errors.Is(err, context.DeadlineExceeded):
		t.Fatal("a deadline that cannot be met: the error must match ErrRateLimited and context.DeadlineExceeded")
	}
	return limited
}

func checkNotSent(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	for range 3 {
		done(t, acquire(t, l), notSent)
	}
}

func checkNotSentWakes(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	slot := acquire(t, l)
	got := make(chan struct{})
	go func() {
		defer close(got)
		next, err := l.Acquire(t.Context(), interactive())
		if err != nil {
			t.Errorf("Acquire: %v", err)
			return
		}
		if err := next.Done(t.Context(), notSent); err != nil {
			t.Errorf("Done: %v", err)
		}
	}()
	time.Sleep(soon)
	done(t, slot, notSent)
	returned(t, "Acquire, once a slot is free,", got)
}

// queued is a caller of checkOrder.
type queued struct {
	name  string
	class drift.Class
	since time.Duration // before it calls
}

// checkOrder lets callers queue for the only slot, one after another.
func checkOrder(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	slot := acquire(t, l)
	callers := []queued{
		{"the bulk call", drift.ClassBulk, 0},
		{"the first", drift.ClassInteractive, 0},
		{"the second", drift.ClassInteractive, 0},
		{"the third", drift.ClassInteractive, 0},
		{"the retry", drift.ClassInteractive, 10 * time.Second},
	}
	served := make(chan string, len(callers))
	for _, c := range callers {
		go func() {
			turn := turn(c.class)
			turn.Since = turn.Since.Add(-c.since)
			slot, err := l.Acquire(t.Context(), turn)
			if err != nil {
				served <- "an error"
				return
			}
			served <- c.name
			if err := slot.Done(t.Context(), notSent); err != nil {
				t.Errorf("Done: %v", err)
			}
		}()
		time.Sleep(soon / 5)
	}
	done(t, slot, notSent)
	for _, want := range []string{"the retry", "the first", "the second", "the third", "the bulk call"} {
		select {
		case got := <-served:
			if got != want {
				t.Fatalf("Acquire returned %s when it was the turn of %s", got, want)
			}
		case <-time.After(slack):
			t.Fatalf("%s got no slot, although one is free", want)
		}
	}
}

func checkDeadline(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	done(t, acquire(t, l), answered)
	time.Sleep(soon)
	limited := checkLate(t, l, 30*time.Second)
	if wait := limited.RetryAfter; wait < 30*time.Second || wait > time.Minute+slack {
		t.Errorf("the slot comes back in a minute, but RetryAfter is %v", wait)
	}
}

// checkDeadlineInQueue lets a deadline pass that might have been met, because a call in flight may turn out not to be
// sent.
func checkDeadlineInQueue(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	slot := acquire(t, l)
	start := time.Now()
	_, err := l.Acquire(within(t, soon), interactive())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the deadline has passed: got the error %v", err)
	}
	if took := time.Since(start); took > 2*soon {
		t.Fatalf("Acquire returned %v after the deadline", took-soon)
	}
	done(t, slot, notSent)
	done(t, acquire(t, l), notSent)
}

func checkContextEnds(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	if _, err := l.Acquire(ended(t), interactive()); !errors.Is(err, context.Canceled) {
		t.Fatalf("Acquire with a context that has ended: got the error %v", err)
	}
	slot := acquire(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		together(4, func(i int) {
			if _, err := l.Acquire(ctx, turn(drift.Class(i%2))); !errors.Is(err, context.Canceled) {
				t.Errorf("the context has ended: got the error %v", err)
			}
		})
	}()
	time.Sleep(soon / 2)
	cancel()
	returned(t, "Acquire, once its context has ended,", left)
	done(t, slot, notSent)
	done(t, acquire(t, l), notSent)
}

func checkPause(t *testing.T, open openLimiter) {
	l := open(t, 60)()
	until := pause(t, l, 3*time.Second)
	checkHeld(t, until, l, l)
}

// checkHeld lets callers of each limiter wait, and fails if one of them goes before a pause is over.
func checkHeld(t *testing.T, until time.Time, limiters ...drift.Limiter) {
	t.Helper()
	together(2*len(limiters), func(i int) {
		slot, err := limiters[i/2].Acquire(t.Context(), turn(drift.Class(i%2)))
		if err != nil {
			t.Errorf("Acquire in a pause: %v", err)
			return
		}
		if rest := time.Until(until); rest > early {
			t.Errorf("a call went out %v before the end of the pause", rest)
		}
		if err := slot.Done(t.Context(), notSent); err != nil {
			t.Errorf("Done: %v", err)
		}
	})
	if late := time.Since(until); late > 2*slack {
		t.Errorf("four calls waited for %v after the end of the pause", late)
	}
}

func checkPastPause(t *testing.T, open openLimiter) {
	l := open(t, 60)()
	pause(t, l, -time.Hour)
	done(t, acquire(t, l), notSent)
	until := pause(t, l, 3*time.Second)
	pause(t, l, time.Second)
	checkHeld(t, until, l)
}

func checkPauseBeforeDone(t *testing.T, open openLimiter) {
	l := open(t, 60)()
	slot := acquire(t, l)
	until := pause(t, l, 3*time.Second)
	done(t, slot, refused)
	checkHeld(t, until, l)
}

func checkDeadlineInPause(t *testing.T, open openLimiter) {
	l := open(t, 60)()
	until := pause(t, l, 20*time.Second)
	limited := checkLate(t, l, 10*time.Second)
	if rest := time.Until(until); limited.RetryAfter < rest-early {
		t.Errorf("the pause lasts another %v, but RetryAfter is %v", rest, limited.RetryAfter)
	}
}

func checkDoneAfterContext(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	ctx, cancel := context.WithCancel(t.Context())
	slot, err := l.Acquire(ctx, interactive())
	noError(t, "Acquire", err)
	cancel()
	time.Sleep(soon / 10)
	done(t, slot, notSent)
	done(t, acquire(t, l), notSent)
}

// checkBack checks when a slot comes back. The time counts from Done.
func checkBack(t *testing.T, open openLimiter, result drift.Result, after time.Duration) {
	l := open(t, 1)()
	slot := acquire(t, l)
	time.Sleep(3 * time.Second)
	done(t, slot, result)
	acquireIn(t, l, after)
}

func checkInFlight(t *testing.T, open openLimiter) {
	l := open(t, 1)()
	turn := interactive()
	turn.Timeout = 10 * time.Minute
	slot, err := l.Acquire(within(t, soon), turn)
	noError(t, "Acquire", err)
	time.Sleep(70 * time.Second)
	if _, err := l.Acquire(within(t, soon), interactive()); err == nil {
		t.Fatal("the slot of a call in flight was given to another call")
	}
	done(t, slot, notSent)
	done(t, acquire(t, l), notSent)
}

// checkAnyMinute makes calls through several limiters of one store, each of which arrives at some time between Acquire and
// Done, and looks for a minute with too many.
func checkAnyMinute(t *testing.T, open openLimiter, limiters int) {
	const perMinute, calls, workers = 20, 50, 8
	another := open(t, perMinute)
	all := make([]drift.Limiter, limiters)
	for i := range all {
		all[i] = another()
	}
	var mu sync.Mutex
	var arrivals []time.Time
	arrive := func() {
		mu.Lock()
		defer mu.Unlock()
		arrivals = append(arrivals, time.Now())
	}
	together(workers, func(worker int) {
		random := rand.New(rand.NewPCG(1, uint64(worker)))
		for i := worker; i < calls; i += workers {
			slot, err := all[i%limiters].Acquire(within(t, 4*time.Minute), turn(drift.Class(i%5/4)))
			if err != nil {
				t.Errorf("Acquire: %v", err)
				return
			}
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			arrive()
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
			if err := slot.Done(context.WithoutCancel(t.Context()), answered); err != nil {
				t.Errorf("Done: %v", err)
			}
		}
	})
	for i := perMinute; i < len(arrivals); i++ {
		if span := arrivals[i].Sub(arrivals[i-perMinute]); span < time.Minute-early {
			t.Fatalf("%d calls arrived within %v, but only %d may in a minute", perMinute+1, span, perMinute)
		}
	}
}

func checkSharedSlot(t *testing.T, open openLimiter) {
	another := open(t, 1)
	here, there := another(), another()
	slot := acquire(t, here)
	if _, err := there.Acquire(within(t, soon), interactive()); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the slot is taken by another instance: got the error %v", err)
	}
	done(t, slot, notSent)
	done(t, acquireIn(t, there, 0), notSent)
}

func checkSharedPause(t *testing.T, open openLimiter) {
	another := open(t, 60)
	here, there := another(), another()
	until := pause(t, here, 3*time.Second)
	checkHeld(t, until, there, another())
}

// checkRestart checks that a new instance knows what others have used.
func checkRestart(t *testing.T, open openLimiter) {
	another := open(t, 1)
	done(t, acquire(t, another()), answered)
	time.Sleep(soon)
	checkLate(t, another(), 30*time.Second)
}

func checkSharedAnswer(t *testing.T, open openLimiter) {
	another := open(t, 1)
	here, there := another(), another()
	slot := acquire(t, here)
	time.Sleep(3 * time.Second)
	done(t, slot, answered)
	acquireIn(t, there, time.Minute)
}
