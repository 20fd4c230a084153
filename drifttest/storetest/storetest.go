// Package storetest tests implementations of the interfaces behind which a client keeps its state: [drift.Limiter],
// [drift.QuotaStore], [drift.TokenStore] and [webhook.Dedup]. Each function runs one check after another against stores
// that the caller opens, and holds them to every promise that the documentation of the interface makes:
//
//	func TestLimiter(t *testing.T) {
//		storetest.TestLimiter(t, func(t *testing.T, perMinute int) drift.Limiter {
//			return mylimiter.New(t.TempDir(), perMinute)
//		})
//	}
//
// A function whose name contains Shared runs the same checks, and others with several instances of one store, as several
// processes would use it.
//
// A check is a subtest. Those that must wait a minute run in parallel, and not at all with -short. If the store can run
// in a bubble of [testing/synctest], call the function there: it then takes no time, and runs the checks one after another
// without subtests, because a bubble has none. Only there does it wait for the next month.
//
// "At once" means within a second. A slot may be handed out up to five seconds later than necessary.
package storetest

import (
	"context"
	"sync"
	"testing"
	"time"
)

const (
	soon  = time.Second     // what happens at once takes less
	slack = 5 * time.Second // a slot may be handed out so much later than necessary

	// early is by how much clocks that differ, and times that are rounded, may make something too early.
	early = 50 * time.Millisecond
)

// check is a test of something that open opens.
type check[Open any] struct {
	name string
	wait time.Duration // that it takes
	run  func(t *testing.T, open Open)
}

const (
	aMinute = time.Minute
	aMonth  = 31 * 24 * time.Hour
)

// runAll runs the checks, as subtests if that is possible.
func runAll[Open any](t *testing.T, open Open, checks []check[Open]) {
	t.Helper()
	bubble := inBubble(t)
	for _, c := range checks {
		if bubble {
			runHere(t, open, c)
			continue
		}
		if c.wait >= aMonth {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if c.wait >= aMinute {
				if testing.Short() {
					t.Skip("takes a minute or more")
				}
				t.Parallel()
			}
			c.run(t, open)
		})
	}
}

// runHere runs a check without a subtest.
func runHere[Open any](t *testing.T, open Open, c check[Open]) {
	t.Helper()
	failed := t.Failed()
	defer func() {
		if !failed && t.Failed() {
			t.Logf("the check was %s", c.name)
		}
	}()
	c.run(t, open)
}

// inBubble reports whether t is the test of a bubble, in which Deadline panics.
func inBubble(t *testing.T) (bubble bool) {
	defer func() { bubble = recover() != nil }()
	t.Deadline()
	return false
}

// within returns a context that ends after d, and at the latest with the test.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// ended returns a context that has ended.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// noError ends the test if there is an error.
func noError(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// returnsAtOnce ends the test if fn does not return at once.
func returnsAtOnce(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	returned(t, what, done)
}

// returned ends the test if done is not closed at once.
func returned(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s does not return at once", what)
	}
}

// together runs fn n times at the same time and waits for all of them. fn must not end the test.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
