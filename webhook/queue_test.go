package webhook_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/webhook"
)

// record notes the conversations of events, each of which takes a second.
type record struct {
	mu    sync.Mutex
	order []int64
	most  int // at the same time
	now   int
}

func (r *record) handle(ctx context.Context, e *webhook.ConversationInactive) error {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now--
		r.order = append(r.order, int64(e.Data.ConversationID))
	}()
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		var r record
		h := newHandler(t, webhook.WithQueue(3), f.option())
		webhook.On(h, r.handle)
		begin := time.Now()
		for n := 1; n <= 4; n++ {
			assert.Equal(t, 200, status(h, numbered(n)))
		}
		assert.Zero(t, time.Since(begin), "it is answered at once")
		full := send(h, request(numbered(5)))
		assert.Equal(t, 503, full.StatusCode, "one is being handled, three wait")
		assert.NotEmpty(t, full.Header.Get("Retry-After"))
		assert.Equal(t, 409, status(h, numbered(2)), "it waits")

		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 200, status(h, numbered(1)), "it was handled")
		assert.Equal(t, 200, status(h, numbered(5)), "and made room; that it was refused before does not matter")
		assert.Equal(t, 503, status(h, numbered(6)))

		require.NoError(t, h.Shutdown(t.Context()))
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Equal(t, []int64{1, 2, 3, 4, 5}, r.order, "in order, each once")
		assert.Equal(t, 1, r.most)
		require.Len(t, f.all(), 2, "those that were refused")
		for i, conversation := range []drift.ConversationID{5, 6} {
			requireRefused(t, f.errs[i], 503)
			assert.Equal(t, conversation, f.events[i].(*webhook.ConversationInactive).Data.ConversationID)
		}
	})
}

func TestWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		var r record
		h := newHandler(t, webhook.WithQueue(10), webhook.WithWorkers(3), f.option())
		webhook.On(h, r.handle)
		begin := time.Now()
		for n := range 13 {
			assert.Equal(t, 200, status(h, numbered(n)))
		}
		assert.Equal(t, 503, status(h, numbered(13)))
		require.NoError(t, h.Shutdown(t.Context()))
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Equal(t, 3, r.most)
		assert.Len(t, r.order, 13)
	})
}

// A handler that nobody uses has no goroutine, whether or not it is shut down.
func TestIdleQueueHasNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails where a goroutine is left
		var f failures
		h := newHandler(t, webhook.WithQueue(3), webhook.WithWorkers(2), f.option())
		for n := range 2 {
			assert.Equal(t, 200, status(h, numbered(n)))
		}
	})
}

func TestFailuresInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		h := newHandler(t, webhook.WithQueue(10), f.option())
		failure := errors.New("no")
		n := count(h, func(n int64) error {
			switch n {
			case 1:
				return failure
			case 2:
				panic("no")
			case 3:
				runtime.Goexit()
			}
			return nil
		})
		for i := range 4 {
			assert.Equal(t, 200, status(h, numbered(i)))
		}
		synctest.Wait()
		assert.Equal(t, int64(4), n.Load(), "the worker goes on")
		errs := f.all()
		require.Len(t, errs, 3)
		require.ErrorIs(t, errs[0], failure)
		require.ErrorAs(t, errs[1], new(*webhook.PanicError))
		require.ErrorContains(t, errs[2], "ended its goroutine")
		assert.Equal(t, "conversation_inactive", string(f.events[2].EventType()))

		for i := range 4 {
			assert.Equal(t, 200, status(h, numbered(i)))
		}
		synctest.Wait()
		assert.Equal(t, int64(7), n.Load(), "what failed is handled when it comes again")
		require.NoError(t, h.Shutdown(t.Context()))
	})
}

func TestContextInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		h := newHandler(t, webhook.WithQueue(1), f.option())
		n := count(h, nil)
		webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
			assert.Equal(t, "value", ctx.Value(contextKey{}))
			time.Sleep(time.Second)
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "value"))
		assert.Equal(t, 200, send(h, request(timeless).WithContext(ctx)).StatusCode)
		cancel()
		require.NoError(t, h.Shutdown(t.Context()))
		assert.Equal(t, int64(1), n.Load())
		assert.Empty(t, f.all(), "it does not end with the request")
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t)
		var r record
		webhook.On(h, r.handle)
		go func() { assert.Equal(t, 200, status(h, numbered(1))) }()
		synctest.Wait()
		ended := make(chan error)
		go func() { ended <- h.Shutdown(t.Context()) }()
		synctest.Wait()
		refused := send(h, request(numbered(2)))
		assert.Equal(t, 503, refused.StatusCode)
		assert.NotEmpty(t, refused.Header.Get("Retry-After"))
		begin := time.Now()
		require.NoError(t, <-ended)
		assert.Equal(t, time.Second, time.Since(begin), "it waits for the one that is being handled")
		assert.Equal(t, []int64{1}, r.order)

		require.NoError(t, h.Shutdown(t.Context()), "again")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			require.NoError(t, h.Shutdown(over), "there is nothing to wait for")
		}
	})
}

func TestShutdownThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		store := webhook.NewMemoryDedup(0)
		h := newHandler(t, webhook.WithQueue(10), webhook.WithDedup(store), f.option())
		var r record
		webhook.On(h, r.handle)
		for n := 1; n <= 4; n++ {
			assert.Equal(t, 200, status(h, numbered(n)))
		}
		cause := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, cause)
		defer cancel()
		begin := time.Now()
		require.Equal(t, cause, h.Shutdown(ctx))
		assert.Equal(t, 1500*time.Millisecond, time.Since(begin))
		synctest.Wait()
		assert.Zero(t, time.Since(begin)-1500*time.Millisecond, "the one that was being handled has ended as well")
		assert.Equal(t, []error{webhook.ErrShutdown, webhook.ErrShutdown, webhook.ErrShutdown}, f.all())
		var lost []int64
		for _, e := range f.events {
			lost = append(lost, int64(e.(*webhook.ConversationInactive).Data.ConversationID))
		}
		slices.Sort(lost)
		assert.Equal(t, []int64{2, 3, 4}, lost, "each is reported, once")
		require.NoError(t, h.Shutdown(t.Context()))

		// The next process takes over.
		next := newHandler(t, webhook.WithDedup(store))
		n := count(next, nil)
		for i := 1; i <= 4; i++ {
			assert.Equal(t, 200, status(next, numbered(i)))
		}
		assert.Equal(t, int64(3), n.Load(), "all but the first")
	})
}

// While one waits for the store, the handler is shut down, and gives up.
func TestShutdownBetweenClaimAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		store := &slowStore{MemoryDedup: webhook.NewMemoryDedup(0)}
		h := newHandler(t, webhook.WithQueue(1), webhook.WithDedup(store), f.option())
		n := count(h, nil)
		go func() { assert.Equal(t, 503, status(h, timed), "nothing is acknowledged that will not be handled") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		require.NoError(t, h.Shutdown(t.Context()))
		assert.Zero(t, n.Load())
		require.Len(t, f.all(), 1)
		requireRefused(t, f.errs[0], 503)
		require.ErrorIs(t, f.errs[0], webhook.ErrShutdown)
		assert.Equal(t, webhook.Claimed, store.again(t), "and the claim was given up")
	})
}

// slowStore takes a second for a claim.
type slowStore struct {
	*webhook.MemoryDedup
	key string
}

func (s *slowStore) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	time.Sleep(time.Second)
	s.key = key
	return s.MemoryDedup.Claim(ctx, key, lease)
}

func (s *slowStore) again(t *testing.T) webhook.Claim { return claim(t, s, s.key) }

// A delivery that waits longer than its lease is claimed anew, unless it came again meanwhile.
func TestLeaseInTheQueue(t *testing.T) {
	for name, again := range map[string]bool{"alone": false, "sent again": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f failures
				store := webhook.NewMemoryDedup(0)
				h := newHandler(t, webhook.WithQueue(2), webhook.WithLease(time.Minute), webhook.WithDedup(store), f.option())
				n := count(h, func(n int64) error {
					if n == 1 {
						time.Sleep(90 * time.Second)
					}
					return nil
				})
				assert.Equal(t, 200, status(h, numbered(1)))
				assert.Equal(t, 200, status(h, numbered(2)))
				time.Sleep(75 * time.Second)
				if again {
					assert.Equal(t, 200, status(h, numbered(2)))
				}
				require.NoError(t, h.Shutdown(t.Context()))
				assert.Equal(t, int64(2), n.Load(), "each once")
				if !again {
					assert.Empty(t, f.all())
					return
				}
				require.Len(t, f.all(), 1, "whether the other one succeeds is not known yet")
				require.ErrorIs(t, f.errs[0], webhook.ErrInFlight)
				assert.Equal(t, "conversation_inactive", string(f.events[0].EventType()))
			})
		})
	}
}

func TestStoreThatFailsInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		store := &brittle{MemoryDedup: webhook.NewMemoryDedup(0)}
		h := newHandler(t, webhook.WithQueue(2), webhook.WithLease(time.Minute), webhook.WithDedup(store), f.option())
		broken := errors.New("broken")
		n := count(h, func(int64) error {
			time.Sleep(90 * time.Second)
			store.breakDown(broken)
			return nil
		})
		assert.Equal(t, 200, status(h, numbered(1)))
		assert.Equal(t, 200, status(h, numbered(2)))
		require.NoError(t, h.Shutdown(t.Context()))
		assert.Equal(t, int64(1), n.Load())
		require.Len(t, f.all(), 1, "it was answered 200, so it must not vanish")
		require.ErrorIs(t, f.errs[0], broken)
	})
}

// elsewhere is a store in which another process holds or has handled the delivery whose lease is over.
type elsewhere struct {
	*webhook.MemoryDedup
	second webhook.Claim // what the third claim, the second one of the second delivery, returns; 0: it waits for its context
	claims int
}

func (e *elsewhere) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	switch e.claims++; {
	case e.claims != 3:
		return e.MemoryDedup.Claim(ctx, key, lease)
	case e.second == 0:
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	return e.second, nil
}

// What was answered 200 is handled, by whomever, or reported, and a store that hangs does not hold up the queue for
// good.
func TestLeaseTakenOver(t *testing.T) {
	for name, test := range map[string]struct {
		second webhook.Claim
		want   error
		took   time.Duration
	}{
		"in flight": {second: webhook.InFlight, want: webhook.ErrInFlight, took: 90 * time.Second},
		"handled":   {second: webhook.Handled, took: 90 * time.Second},
		"hangs":     {want: context.DeadlineExceeded, took: 95 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f failures
				store := &elsewhere{MemoryDedup: webhook.NewMemoryDedup(0), second: test.second}
				h := newHandler(t, webhook.WithQueue(2), webhook.WithLease(time.Minute), webhook.WithDedup(store), f.option())
				n := count(h, func(int64) error {
					time.Sleep(90 * time.Second)
					return nil
				})
				begin := time.Now()
				assert.Equal(t, 200, status(h, numbered(1)))
				assert.Equal(t, 200, status(h, numbered(2)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				require.NoError(t, h.Shutdown(ctx))
				assert.Equal(t, test.took, time.Since(begin))
				assert.Equal(t, int64(1), n.Load())
				if test.want == nil {
					assert.Empty(t, f.all())
					return
				}
				require.Len(t, f.all(), 1)
				require.ErrorIs(t, f.errs[0], test.want)
			})
		})
	}
}

// stubborn is a function that ignores its context and ends when it is released.
func stubborn(released <-chan struct{}, started *atomic.Int64) func(context.Context, webhook.Event) error {
	return func(context.Context, webhook.Event) error {
		started.Add(1)
		<-released
		return errors.New("too late")
	}
}

// What was answered 200 and is not handled when Shutdown returns was reported by then.
func TestDeliveriesAtShutdown(t *testing.T) {
	t.Run("w3_running_and_waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			var started atomic.Int64
			released := make(chan struct{})
			h := newHandler(t, webhook.WithQueue(10), webhook.WithWorkers(4), f.option())
			webhook.On(h, stubborn(released, &started))
			for n := range 6 {
				require.Equal(t, 200, status(h, numbered(n)))
			}
			synctest.Wait()
			require.Equal(t, int64(4), started.Load())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
			assert.Equal(t, time.Minute+time.Second, time.Since(begin), "it waits for a second more")
			require.Len(t, f.all(), 6)
			conversations := map[drift.ConversationID]bool{}
			for i, err := range f.all() {
				require.ErrorIs(t, err, webhook.ErrShutdown)
				conversations[f.events[i].(*webhook.ConversationInactive).Data.ConversationID] = true
			}
			assert.Len(t, conversations, 6, "each once")
			close(released)
			synctest.Wait()
			assert.Len(t, f.all(), 6, "what fails later was reported before")
		})
	})

	t.Run("w3_functions_that_obey_their_context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			h := newHandler(t, webhook.WithQueue(10), webhook.WithWorkers(2), f.option())
			webhook.On(h, func(ctx context.Context, _ *webhook.ConversationInactive) error {
				<-ctx.Done()
				time.Sleep(500 * time.Millisecond) // to put its work away
				return context.Cause(ctx)
			})
			for n := range 2 {
				require.Equal(t, 200, status(h, numbered(n)))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
			assert.Equal(t, time.Minute+500*time.Millisecond, time.Since(begin))
			assert.Equal(t, []error{webhook.ErrShutdown, webhook.ErrShutdown}, f.all())
		})
	})

	t.Run("w3_without_a_queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			var started atomic.Int64
			released := make(chan struct{})
			h := newHandler(t, f.option())
			webhook.On(h, stubborn(released, &started))
			go send(h, request(timed))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
			require.Len(t, f.all(), 1)
			require.ErrorIs(t, f.errs[0], webhook.ErrShutdown)
			close(released)
		})
	})

	t.Run("w3_a_report_that_takes_time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var reported atomic.Int64
			h := newHandler(t, webhook.WithQueue(10), webhook.WithOnError(func(context.Context, webhook.Event, error) {
				time.Sleep(3 * time.Second) // to put the event away
				reported.Add(1)
			}))
			webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			require.Equal(t, 200, status(h, timed))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
			assert.Equal(t, int64(1), reported.Load())
		})
	})

	t.Run("w3_a_failure_while_the_store_hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			h := newHandler(t, webhook.WithQueue(1), webhook.WithDedup(slowDone{webhook.NewMemoryDedup(0)}), f.option())
			webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
				<-ctx.Done()
				return errors.New("no")
			})
			require.Equal(t, 200, status(h, timed))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
			assert.Len(t, f.all(), 1)
			time.Sleep(time.Minute)
			assert.Len(t, f.all(), 1)
		})
	})

	t.Run("w3_handled_while_the_store_hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			h := newHandler(t, webhook.WithQueue(1), webhook.WithDedup(slowDone{webhook.NewMemoryDedup(0)}), f.option())
			n := count(h, nil)
			require.Equal(t, 200, status(h, timed))
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, h.Shutdown(ctx), context.Canceled)
			assert.Equal(t, int64(1), n.Load())
			assert.Empty(t, f.all(), "its function succeeded")
			time.Sleep(3 * time.Second)
		})
	})
}

// slowDone takes three seconds to mark a delivery as done, or to release its claim.
type slowDone struct{ *webhook.MemoryDedup }

func (s slowDone) Abandon(ctx context.Context, key string) error {
	time.Sleep(3 * time.Second)
	return s.MemoryDedup.Abandon(ctx, key)
}

func (s slowDone) Done(ctx context.Context, key string, keep time.Duration) error {
	time.Sleep(3 * time.Second)
	return s.MemoryDedup.Done(ctx, key, keep)
}
