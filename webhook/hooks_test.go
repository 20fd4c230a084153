package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/webhook"
)

type spanKey struct{}

func seen(ctx context.Context) string {
	text, _ := ctx.Value(spanKey{}).(string)
	return text
}

// hookLog writes down what hooks are told.
type hookLog struct {
	mu         sync.Mutex
	lines      []string
	deliveries []webhook.DeliveryInfo
}

func (w *hookLog) note(parts ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintln(parts...))
}

func (w *hookLog) hooks(name string) webhook.Option {
	return webhook.WithHooks(webhook.Hooks{
		StartFunction: func(ctx context.Context, event webhook.EventType) context.Context {
			w.note(name, "start", event, seen(ctx))
			return context.WithValue(ctx, spanKey{}, seen(ctx)+name)
		},
		Function: func(i webhook.FunctionInfo) {
			w.note(name, "end", i.Event, seen(i.Context()), i.Err)
		},
		Delivery: func(i webhook.DeliveryInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.deliveries = append(w.deliveries, i)
		},
	})
}

// last returns the one delivery that was reported since the last call.
func (w *hookLog) last(t *testing.T) webhook.DeliveryInfo {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Len(t, w.deliveries, 1)
	info := w.deliveries[0]
	w.deliveries = nil
	return info
}

func TestHooksOfFunctions(t *testing.T) {
	w := new(hookLog)
	h := newHandler(t, w.hooks("a"), w.hooks("b"))
	failure := errors.New("failure")
	webhook.On(h, func(ctx context.Context, _ webhook.Event) error { w.note("first", seen(ctx)); return nil })
	webhook.On(h, func(ctx context.Context, _ *webhook.ConversationInactive) error {
		w.note("second", seen(ctx))
		return failure
	})
	webhook.On(h, func(context.Context, webhook.Event) error { w.note("never"); return nil })
	require.Equal(t, http.StatusInternalServerError, status(h, timed))
	const event = "conversation_inactive"
	line := func(parts ...any) string { return fmt.Sprintln(parts...) }
	assert.Equal(t, []string{
		line("a start", event, ""), line("b start", event, "a"), line("first ab"), line("b end", event, "ab", nil), line("a end", event, "ab", nil),
		line("a start", event, ""), line("b start", event, "a"), line("second ab"), line("b end", event, "ab", failure), line("a end", event, "ab", failure),
	}, w.lines)
}

func TestHooksEndAfterAPanic(t *testing.T) {
	w := new(hookLog)
	h := newHandler(t, w.hooks("a"))
	webhook.On(h, func(context.Context, webhook.Event) error { panic("mark-panic") })
	require.Equal(t, http.StatusInternalServerError, status(h, timed))
	require.Len(t, w.lines, 2)
	assert.Contains(t, w.lines[1], "recovered from a panic")
	assert.Equal(t, webhook.OutcomePanicked, w.last(t).Outcome)
}

// A hook cannot take a function out of reach of Shutdown.
func TestContextThatNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, new(failures).option(), webhook.WithQueue(1), webhook.WithHooks(webhook.Hooks{
			StartFunction: func(context.Context, webhook.EventType) context.Context { return context.Background() },
		}))
		ended := make(chan error, 1)
		webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
			ended <- context.Cause(ctx)
			return nil
		})
		require.Equal(t, http.StatusOK, status(h, timed))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		assert.ErrorIs(t, <-ended, webhook.ErrShutdown)
	})
}

// Each delivery is reported once, with how it ended.
func TestOutcomesOfDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(hookLog)
		h := newHandler(t, w.hooks("a"))
		var result error
		webhook.On(h, func(context.Context, webhook.Event) error {
			time.Sleep(time.Second)
			return result
		})
		for _, test := range []struct {
			request *http.Request
			result  error
			outcome webhook.Outcome
			event   webhook.EventType
			status  int
			took    time.Duration
		}{
			{request(timed), errors.New("failure"), webhook.OutcomeFailed, webhook.EventTypeConversationInactive, 500, time.Second},
			{request(timed), nil, webhook.OutcomeHandled, webhook.EventTypeConversationInactive, 200, time.Second},
			{request(timed), nil, webhook.OutcomeDuplicate, webhook.EventTypeConversationInactive, 200, 0},
			{request(`{"type":"mark-type","data":{}}`), nil, webhook.OutcomeHandled, webhook.EventTypeUnknown, 200, time.Second},
			{request(`{`), nil, webhook.OutcomeRefused, webhook.EventTypeUnknown, 400, 0},
			{request(timed, "X-Verification-Token", "wrong"), nil, webhook.OutcomeRefused, webhook.EventTypeUnknown, 401, 0},
		} {
			result = test.result
			require.Equal(t, test.status, send(h, test.request).StatusCode)
			info := w.last(t)
			assert.Equal(t, test.outcome, info.Outcome)
			assert.Equal(t, test.event, info.Event)
			assert.Equal(t, test.status, info.StatusCode)
			assert.Equal(t, test.took, info.Duration)
		}
		get := request(timed)
		get.Method = http.MethodGet
		require.Equal(t, http.StatusMethodNotAllowed, send(h, get).StatusCode)
		assert.Empty(t, w.deliveries, "not a delivery")

		require.NoError(t, h.Shutdown(t.Context()))
		require.Equal(t, http.StatusServiceUnavailable, status(h, timeless))
		assert.Equal(t, webhook.OutcomeShutdown, w.last(t).Outcome)
	})
}

func TestOutcomesOfQueuedDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, failed := new(hookLog), new(failures)
		h := newHandler(t, w.hooks("a"), webhook.WithQueue(1), failed.option())
		webhook.On(h, func(ctx context.Context, _ webhook.Event) error {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return nil
		})
		require.Equal(t, http.StatusOK, status(h, numbered(1)))
		require.Equal(t, http.StatusOK, status(h, numbered(2)))
		require.Equal(t, http.StatusServiceUnavailable, status(h, numbered(3)))
		assert.Equal(t, webhook.OutcomeRefused, w.last(t).Outcome, "the queue is full")

		time.Sleep(time.Minute)
		synctest.Wait()
		first := w.last(t)
		assert.Equal(t, webhook.OutcomeHandled, first.Outcome)
		assert.Equal(t, time.Minute, first.Duration)
		require.Equal(t, http.StatusOK, status(h, numbered(4)))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		synctest.Wait()
		var outcomes []webhook.Outcome
		for _, info := range w.deliveries {
			outcomes = append(outcomes, info.Outcome)
		}
		assert.ElementsMatch(t, []webhook.Outcome{webhook.OutcomeShutdown, webhook.OutcomeHandled}, outcomes)
	})
}

// A delivery that waits for longer than its lease, and comes again meanwhile, is handled once.
func TestOutcomeOfADeliveryThatCameAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, failed := new(hookLog), new(failures)
		h := newHandler(t, w.hooks("a"), webhook.WithQueue(9), webhook.WithLease(10*time.Second), failed.option())
		webhook.On(h, func(context.Context, webhook.Event) error {
			time.Sleep(15 * time.Second)
			return nil
		})
		require.Equal(t, http.StatusOK, status(h, numbered(1)))
		require.Equal(t, http.StatusOK, status(h, numbered(2)))
		time.Sleep(11 * time.Second)
		require.Equal(t, http.StatusOK, status(h, numbered(2)), "the lease is over")
		time.Sleep(time.Minute)
		synctest.Wait()
		outcomes := map[webhook.Outcome]int{}
		for _, info := range w.deliveries {
			outcomes[info.Outcome]++
		}
		assert.Equal(t, map[webhook.Outcome]int{webhook.OutcomeHandled: 2, webhook.OutcomeDuplicate: 1}, outcomes)
	})
}

// A hook that panics harms no delivery, and the other hooks run.
func TestPanicOfTheDeliveryHook(t *testing.T) {
	w, failed := new(hookLog), new(failures)
	broken := webhook.WithHooks(webhook.Hooks{Delivery: func(webhook.DeliveryInfo) { panic("hook") }})
	h := newHandler(t, w.hooks("a"), broken, failed.option())
	webhook.On(h, func(context.Context, webhook.Event) error { return errors.New("failure") })
	require.Equal(t, http.StatusInternalServerError, status(h, timed))
	assert.Equal(t, webhook.OutcomeFailed, w.last(t).Outcome)
	assert.Len(t, failed.all(), 1)
}
