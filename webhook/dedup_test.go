package webhook_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/webhook"
)

func claim(t *testing.T, store webhook.Dedup, key string) webhook.Claim {
	t.Helper()
	got, err := store.Claim(t.Context(), key, time.Minute)
	require.NoError(t, err)
	return got
}

func TestMemoryDedup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := webhook.NewMemoryDedup(0), t.Context()
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"))
		assert.Equal(t, webhook.InFlight, claim(t, store, "a"))
		assert.Equal(t, webhook.Claimed, claim(t, store, "b"))
		time.Sleep(time.Minute - 1)
		assert.Equal(t, webhook.InFlight, claim(t, store, "a"))
		time.Sleep(time.Nanosecond)
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"), "the lease is over")

		require.NoError(t, store.Done(ctx, "a", time.Hour))
		time.Sleep(time.Hour - 1)
		assert.Equal(t, webhook.Handled, claim(t, store, "a"))
		time.Sleep(time.Nanosecond)
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"))

		require.NoError(t, store.Abandon(ctx, "a"))
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"))
		require.NoError(t, store.Abandon(ctx, "never seen"))

		time.Sleep(2 * time.Minute)
		require.NoError(t, store.Done(ctx, "a", time.Hour))
		assert.Equal(t, webhook.Handled, claim(t, store, "a"), "done is done, also after the lease")
	})
}

func TestMemoryDedupIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, ctx := webhook.NewMemoryDedup(3), t.Context()
		for _, key := range []string{"a", "b", "c"} {
			assert.Equal(t, webhook.Claimed, claim(t, store, key))
		}
		_, err := store.Claim(ctx, "d", time.Minute)
		require.ErrorIs(t, err, webhook.ErrDedupFull, "none that is being handled is forgotten")
		assert.Equal(t, webhook.InFlight, claim(t, store, "a"))

		require.NoError(t, store.Done(ctx, "b", time.Hour))
		require.NoError(t, store.Done(ctx, "a", time.Hour))
		assert.Equal(t, webhook.Claimed, claim(t, store, "d"), "in place of b, which was done first")
		assert.Equal(t, webhook.Handled, claim(t, store, "a"))
		assert.Equal(t, webhook.InFlight, claim(t, store, "c"))
		assert.Equal(t, webhook.Claimed, claim(t, store, "b"), "in place of a")
		_, err = store.Claim(ctx, "a", time.Minute)
		require.ErrorIs(t, err, webhook.ErrDedupFull)

		time.Sleep(time.Minute)
		assert.Equal(t, webhook.Claimed, claim(t, store, "e"), "the leases are over")
		require.NoError(t, store.Done(ctx, "e", time.Second))
		time.Sleep(time.Second)
		for _, key := range []string{"f", "g", "h"} {
			assert.Equal(t, webhook.Claimed, claim(t, store, key))
		}
		require.NoError(t, store.Done(ctx, "late", time.Hour), "there is no place, and nothing to be done about it")
		require.NoError(t, store.Done(ctx, "f", time.Hour))
		assert.Equal(t, webhook.Handled, claim(t, store, "f"))
	})
}

// Leases may differ, so the one that is over need not be the oldest.
func TestMemoryDedupMakesRoomForItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := webhook.NewMemoryDedup(2)
		_, err := store.Claim(t.Context(), "long", time.Hour)
		require.NoError(t, err)
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"))
		time.Sleep(time.Minute)
		assert.Equal(t, webhook.Claimed, claim(t, store, "a"))
	})
}

func TestDuplicateWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t)
		n := count(h, nil)
		assert.Equal(t, 200, status(h, timed))
		assert.Equal(t, 200, status(h, timed))
		assert.Equal(t, int64(1), n.Load())
		time.Sleep(10*time.Minute - 1)
		assert.Equal(t, 200, status(h, timed))
		assert.Equal(t, int64(1), n.Load())
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 200, status(h, timed))
		assert.Equal(t, int64(2), n.Load(), "after ten minutes it counts as another one")

		h = newHandler(t, webhook.WithDuplicateWindow(time.Hour))
		n = count(h, nil)
		status(h, timed)
		time.Sleep(time.Hour - 1)
		status(h, timed)
		assert.Equal(t, int64(1), n.Load())

		h = newHandler(t, webhook.WithDuplicateWindow(0))
		n = count(h, nil)
		status(h, timed)
		status(h, timed)
		assert.Equal(t, int64(2), n.Load())
	})
}

// Two deliveries without a time can tell of two events, so only those at the same time are duplicates.
func TestDuplicatesWithoutTime(t *testing.T) {
	for name := range goldenEvents {
		delivery := string(golden(t, name))
		h := newHandler(t)
		n := count(h, func(n int64) error {
			if n == 1 {
				assert.Equal(t, http.StatusConflict, status(h, delivery), "%s: while it is being handled", name)
			}
			return nil
		})
		assert.Equal(t, 200, status(h, delivery), name)
		assert.Equal(t, 200, status(h, delivery), name)
		want := int64(2)
		if !goldenEvents[name].at.IsZero() {
			want = 1
		}
		assert.Equal(t, want, n.Load(), name)
	}
}

// The token may change between two tries, and stand anywhere. Everything else makes another delivery.
func TestSameDelivery(t *testing.T) {
	h, err := webhook.NewHandler([]string{testToken, otherToken})
	require.NoError(t, err)
	n := count(h, nil)
	const rest = `"type":"conversation_inactive","orgId":123,"data":{"conversationId":42,"lastUpdated":1767225600123}`
	for _, delivery := range []string{
		`{` + rest + `}`, `{"token":"` + testToken + `",` + rest + `}`, `{` + rest + `,"token":"` + testToken + `"}`,
		`{"type":"conversation_inactive","token":"` + testToken + strings.TrimPrefix(`{`+rest, `{"type":"conversation_inactive`) + `}`,
	} {
		assert.Equal(t, 200, status(h, delivery), delivery)
	}
	assert.Equal(t, 200, send(h, request(`{"token":"`+otherToken+`",`+rest+`}`, "X-Verification-Token", "")).StatusCode)
	assert.Equal(t, int64(1), n.Load())

	for _, other := range []string{
		strings.Replace(rest, "42", "43", 1), strings.Replace(rest, "600123", "600124", 1), strings.Replace(rest, `"orgId":123`, `"orgId":124`, 1), rest + `,"x":1`,
	} {
		before := n.Load()
		assert.Equal(t, 200, status(h, `{`+other+`}`))
		assert.Equal(t, before+1, n.Load(), other)
	}
}

func TestFailedDeliveryIsHandledAgain(t *testing.T) {
	h := newHandler(t)
	n := count(h, func(n int64) error {
		if n == 1 {
			return errors.New("no")
		}
		return nil
	})
	for _, want := range []int{500, 200, 200} {
		assert.Equal(t, want, status(h, timed))
	}
	assert.Equal(t, int64(2), n.Load())
}

// A handler that outlives its lease must not give up the claim of the one that took over.
func TestLeaseThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, webhook.WithLease(time.Minute))
		n := count(h, func(n int64) error {
			time.Sleep(map[int64]time.Duration{1: 90 * time.Second, 2: 50 * time.Second}[n])
			return errors.New("no")
		})
		go status(h, timed)
		time.Sleep(30 * time.Second)
		assert.Equal(t, 409, status(h, timed))
		time.Sleep(30 * time.Second)
		go status(h, timed) // the second one takes over
		time.Sleep(40 * time.Second)
		assert.Equal(t, 409, status(h, timed), "the first one has failed meanwhile")
		assert.Equal(t, int64(2), n.Load())
		time.Sleep(20 * time.Second)
		assert.Equal(t, 500, status(h, timed), "and now the second one has")
		assert.Equal(t, int64(3), n.Load())
	})
}

// brittle is a store that fails, and checks what it is asked.
type brittle struct {
	*webhook.MemoryDedup
	claim, done, abandon error
	state                webhook.Claim

	mu    sync.Mutex
	calls []string
}

func (b *brittle) note(ctx context.Context, call, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, call)
	if len(key) != 64 || strings.Trim(key, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is no key", key)
	}
	return ctx.Err()
}

func (b *brittle) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	if err := errors.Join(b.note(ctx, fmt.Sprint("claim ", lease), key), b.claimError()); err != nil || b.state != 0 {
		return b.state, err
	}
	return b.MemoryDedup.Claim(ctx, key, lease)
}

func (b *brittle) claimError() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.claim
}

// breakDown makes all further claims fail.
func (b *brittle) breakDown(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claim = err
}

func (b *brittle) Done(ctx context.Context, key string, keep time.Duration) error {
	return errors.Join(b.note(ctx, fmt.Sprint("done ", keep), key), b.done, b.MemoryDedup.Done(ctx, key, keep))
}

func (b *brittle) Abandon(ctx context.Context, key string) error {
	return errors.Join(b.note(ctx, "abandon", key), b.abandon, b.MemoryDedup.Abandon(ctx, key))
}

func TestStoreOfOnesOwn(t *testing.T) {
	failure, broken := errors.New("no"), errors.New("broken")
	for name, test := range map[string]struct {
		store    *brittle
		delivery string
		handler  error
		want     int
		calls    []string
		errs     []error
	}{
		"handled":           {delivery: timed, want: 200, calls: []string{"claim 5m0s", "done 10m0s"}},
		"handled, timeless": {delivery: timeless, want: 200, calls: []string{"claim 5m0s", "abandon"}},
		"failed":            {delivery: timed, handler: failure, want: 500, calls: []string{"claim 5m0s", "abandon"}, errs: []error{failure}},
		"claim fails":       {store: &brittle{claim: broken}, delivery: timed, want: 503, calls: []string{"claim 5m0s"}, errs: []error{broken}},
		"done fails":        {store: &brittle{done: broken}, delivery: timed, want: 200, calls: []string{"claim 5m0s", "done 10m0s"}, errs: []error{broken}},
		"abandon fails":     {store: &brittle{abandon: broken}, delivery: timed, handler: failure, want: 500, calls: []string{"claim 5m0s", "abandon"}, errs: []error{failure, broken}},
		"in flight":         {store: &brittle{state: webhook.InFlight}, delivery: timed, want: 409, calls: []string{"claim 5m0s"}},
		"done elsewhere":    {store: &brittle{state: webhook.Handled}, delivery: timed, want: 200, calls: []string{"claim 5m0s"}},
		"no claim":          {store: &brittle{state: 7}, delivery: timed, want: 503, calls: []string{"claim 5m0s"}, errs: []error{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			var f failures
			store := cmp.Or(test.store, &brittle{})
			store.MemoryDedup = webhook.NewMemoryDedup(0)
			h := newHandler(t, webhook.WithDedup(store), f.option())
			n := count(h, func(int64) error { return test.handler })
			answer := send(h, request(test.delivery))
			assert.Equal(t, test.want, answer.StatusCode)
			assert.Equal(t, test.want == 409 || test.want == 503, answer.Header.Get("Retry-After") != "")
			assert.Equal(t, test.calls, store.calls)
			assert.Equal(t, len(test.calls) == 2, n.Load() == 1)
			require.Len(t, f.all(), len(test.errs))
			for i, err := range test.errs {
				require.Error(t, f.errs[i])
				if err != nil {
					require.ErrorIs(t, f.errs[i], err)
				}
			}
		})
	}
}

// What became of a delivery is kept although the sender has gone.
func TestStoreAfterTheRequest(t *testing.T) {
	for _, failure := range []error{nil, errors.New("no")} {
		var f failures
		store := &brittle{MemoryDedup: webhook.NewMemoryDedup(0)}
		h := newHandler(t, webhook.WithDedup(store), f.option())
		ctx, cancel := context.WithCancel(t.Context())
		count(h, func(int64) error {
			cancel()
			return failure
		})
		send(h, request(timed).WithContext(ctx))
		for _, err := range f.all() {
			require.NotErrorIs(t, err, context.Canceled)
		}
		assert.Len(t, store.calls, 2)
	}
}

// panicking is a store that panics in one of its methods, and from the given claim on.
type panicking struct {
	*webhook.MemoryDedup
	method string
	from   int
	claims int
}

func (p *panicking) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	if p.claims++; p.method == "claim" && p.claims >= p.from {
		panic("mark-secret")
	}
	return p.MemoryDedup.Claim(ctx, key, lease)
}

func (p *panicking) Done(ctx context.Context, key string, keep time.Duration) error {
	if p.method == "done" {
		panic("mark-secret")
	}
	return p.MemoryDedup.Done(ctx, key, keep)
}

func (p *panicking) Abandon(ctx context.Context, key string) error {
	if p.method == "abandon" {
		panic("mark-secret")
	}
	return p.MemoryDedup.Abandon(ctx, key)
}

// A store that panics must not end the process, which in the queue nobody else would prevent.
func TestStoreThatPanics(t *testing.T) {
	failure := errors.New("no")
	for name, test := range map[string]struct {
		method  string
		handler error
		want    int
	}{
		"claim":   {method: "claim", want: 503},
		"done":    {method: "done", want: 200},
		"abandon": {method: "abandon", handler: failure, want: 500},
	} {
		t.Run(name, func(t *testing.T) {
			var f failures
			h := newHandler(t, webhook.WithDedup(&panicking{MemoryDedup: webhook.NewMemoryDedup(0), method: test.method}), f.option())
			count(h, func(int64) error { return test.handler })
			assert.Equal(t, test.want, status(h, timed))
			requirePanic(t, f.all())
		})
		t.Run(name+" in the queue", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f failures
				store := &panicking{MemoryDedup: webhook.NewMemoryDedup(0), method: test.method, from: 3}
				h := newHandler(t, webhook.WithDedup(store), f.option(), webhook.WithQueue(2), webhook.WithLease(time.Minute))
				count(h, func(n int64) error {
					if n == 1 && test.method == "claim" {
						time.Sleep(90 * time.Second) // so that the second one is claimed anew
					}
					return test.handler
				})
				assert.Equal(t, 200, status(h, numbered(1)))
				assert.Equal(t, 200, status(h, numbered(2)))
				require.NoError(t, h.Shutdown(t.Context()), "no delivery is left")
				requirePanic(t, f.all())
			})
		})
	}
}

func requirePanic(t *testing.T, errs []error) {
	t.Helper()
	require.NotEmpty(t, errs)
	var panicked *webhook.PanicError
	require.ErrorAs(t, errs[len(errs)-1], &panicked)
	assert.Equal(t, "mark-secret", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "panicking")
	for _, err := range errs {
		assert.NotContains(t, err.Error(), "mark-")
	}
}

// hasty is a store that gives up waiting when its context ends, after the claim was written.
type hasty struct{ *webhook.MemoryDedup }

func (s hasty) Claim(ctx context.Context, key string, lease time.Duration) (webhook.Claim, error) {
	claim, err := s.MemoryDedup.Claim(ctx, key, lease)
	select {
	case <-time.After(time.Second):
		return claim, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// A sender that hangs up while a delivery is being claimed leaves no claim behind.
func TestClaimOutlivesTheRequest(t *testing.T) {
	for name, opts := range map[string][]webhook.Option{"": nil, "queue": {webhook.WithQueue(1)}} {
		synctest.Test(t, func(t *testing.T) {
			var f failures
			h := newHandler(t, append(opts, webhook.WithDedup(hasty{webhook.NewMemoryDedup(0)}), f.option())...)
			n := count(h, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			assert.Equal(t, 200, send(h, request(timeless).WithContext(ctx)).StatusCode, name)
			synctest.Wait()
			assert.Equal(t, 200, status(h, timeless), name)
			require.NoError(t, h.Shutdown(t.Context()))
			assert.Equal(t, int64(2), n.Load(), name)
			assert.Empty(t, f.all(), name)
		})
	}
}

// A store that hangs keeps no request for longer than five seconds.
func TestClaimIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f failures
		h := newHandler(t, webhook.WithDedup(&elsewhere{MemoryDedup: webhook.NewMemoryDedup(0), claims: 2}), f.option())
		begin := time.Now()
		assert.Equal(t, 503, status(h, timed))
		assert.Equal(t, 5*time.Second, time.Since(begin))
		require.Len(t, f.all(), 1)
		require.ErrorIs(t, f.errs[0], context.DeadlineExceeded)
	})
}

// A click may come twice, and the message with the button has one time.
func TestEqualClicks(t *testing.T) {
	h := newHandler(t)
	n := count(h, nil)
	for range 2 {
		assert.Equal(t, 200, status(h, `{"type":"button_clicked","data":{"id":7,"createdAt":1767225600123,"buttons":[{"label":"Yes"}]}}`))
	}
	assert.Equal(t, int64(2), n.Load())
}
