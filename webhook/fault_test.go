package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/webhook"
)

func TestFault(t *testing.T) {
	faults.Run(t, "webhook", faults.Cases{
		143: checkToken,
		144: checkWrongToken,
		145: checkNoToken,
		146: checkHugeBody,
		147: checkMethod,
		148: checkBadJSON,
		149: checkDuplicates,
		150: checkHandlerFails,
		151: checkCrash,
		152: checkOutOfOrder,
		153: checkUnknownEvent,
		154: checkShutdown,
	})
}

// watch gathers all that a handler shows to others.
type watch struct {
	mu    sync.Mutex
	shown bytes.Buffer
}

func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown.Write(p)
}

// newFaultHandler returns a handler that must not show a token, in logs, errors, events or answers.
func newFaultHandler(t *testing.T, opts ...webhook.Option) http.Handler {
	t.Helper()
	h, _ := newWatchedHandler(t, opts...)
	return h
}

func newWatchedHandler(t *testing.T, opts ...webhook.Option) (http.Handler, *webhook.Handler) {
	t.Helper()
	w := &watch{}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		assert.NotContains(t, w.shown.String(), testToken)
		assert.NotContains(t, w.shown.String(), otherToken)
		assert.NotContains(t, w.shown.String(), "mark-secret")
	})
	h := newHandler(t, append([]webhook.Option{
		webhook.WithLogger(slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		webhook.WithOnError(func(_ context.Context, e webhook.Event, err error) { fmt.Fprintf(w, "%v %+v %q\n", err, err, err) }),
	}, opts...)...)
	webhook.On(h, func(_ context.Context, e webhook.Event) error {
		text, err := json.Marshal(e)
		fmt.Fprintf(w, "%s %+v\n", text, e)
		return err
	})
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, r)
		fmt.Fprintln(w, recorder.Header(), recorder.Body.String())
		for name, values := range recorder.Header() {
			answer.Header()[name] = values
		}
		answer.WriteHeader(recorder.Code)
		_, _ = answer.Write(recorder.Body.Bytes())
	}), h
}

func withToken(token string) string {
	return `{"type":"new_message","orgId":123,"token":` + token + `}`
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func checkToken(t *testing.T) {
	h := newFaultHandler(t)
	right, wrong := quoted(testToken), quoted(otherToken)
	assert.Equal(t, 200, send(h, request(timeless)).StatusCode, "header")
	assert.Equal(t, 200, send(h, request(withToken(right), "X-Verification-Token", "")).StatusCode, "body")
	assert.Equal(t, 200, send(h, request(withToken(right))).StatusCode, "both")
	assert.Equal(t, 401, send(h, request(withToken(wrong))).StatusCode, "both, the body's is wrong")
	assert.Equal(t, 401, send(h, request(withToken(right), "X-Verification-Token", otherToken)).StatusCode, "both, the header's is wrong")
}

func checkWrongToken(t *testing.T) {
	h := newFaultHandler(t, webhook.WithMaxBodyBytes(4<<20))
	huge := strings.Repeat("x", 1<<20)
	var bodies []string
	refused := func(r *http.Request, why string) {
		answer := send(h, r)
		assert.Equal(t, 401, answer.StatusCode, why)
		bodies = append(bodies, fmt.Sprint(answer.Header, text(t, answer.Body)))
	}
	refused(request(timeless, "X-Verification-Token", ""), "missing")
	empty := request(timeless)
	empty.Header["X-Verification-Token"] = []string{""}
	refused(empty, "empty")
	for _, token := range []string{otherToken, testToken[:len(testToken)-1], testToken + "x", strings.ToUpper(testToken), testToken + ", " + testToken, "x", huge} {
		refused(request(timeless, "X-Verification-Token", token), "header")
		refused(request(withToken(quoted(token)), "X-Verification-Token", ""), "body")
	}
	refused(request(withToken(`""`), "X-Verification-Token", ""), "empty in the body")
	refused(request(withToken(`""`)), "empty in the body, right in the header")
	for _, values := range [][]string{{testToken, testToken}, {testToken, ""}, {testToken, otherToken}, {otherToken, testToken}} {
		twice := request(timeless)
		twice.Header["X-Verification-Token"] = values
		refused(twice, "twice")
		twice = request(withToken(quoted(testToken)))
		twice.Header["X-Verification-Token"] = values
		refused(twice, "twice, and right in the body")
	}
	for _, body := range bodies {
		require.Equal(t, bodies[0], body, "nothing tells why")
	}
}

func checkNoToken(t *testing.T) {
	for _, tokens := range [][]string{nil, {}, {""}, {testToken, ""}} {
		h, err := webhook.NewHandler(tokens)
		assert.Nil(t, h)
		require.ErrorIs(t, err, drift.ErrInvalid)
		assert.NotContains(t, err.Error(), "mark-")
	}
}

// endless counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func checkHugeBody(t *testing.T) {
	h := newFaultHandler(t)
	spaces := strings.Repeat(" ", webhook.DefaultMaxBodyBytes-len(timed))
	assert.Equal(t, 200, send(h, request(timed+spaces)).StatusCode, "1 MiB")
	assert.Equal(t, 413, send(h, request(timed+spaces+" ")).StatusCode, "one byte more")
	chunked := request("")
	chunked.Body, chunked.ContentLength = io.NopCloser(strings.NewReader(timed+spaces+" ")), -1
	assert.Equal(t, 413, send(h, chunked).StatusCode, "one byte more, without saying so")

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e := &endless{}
	r := request("")
	r.Body, r.ContentLength = io.NopCloser(e), -1
	assert.Equal(t, 413, send(h, r).StatusCode, "endless")
	runtime.ReadMemStats(&after)
	assert.LessOrEqual(t, e.read, int64(2<<20))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))

	assert.Equal(t, 415, send(h, request("\x1f\x8b\x08", "Content-Encoding", "gzip")).StatusCode)

	server := httptest.NewServer(newHandler(t, webhook.WithReadTimeout(50*time.Millisecond)))
	defer server.Close()
	assert.Equal(t, 408, slowBody(t, server.Listener.Addr().String(), "X-Verification-Token: "+testToken+"\r\n"))
}

func checkMethod(t *testing.T) {
	h := newFaultHandler(t)
	for _, method := range []string{"GET", "PUT", "OPTIONS", "HEAD", "PATCH", "DELETE", "TRACE", "post", "CONNECT"} {
		r := request(timed)
		r.Method = method
		answer := send(h, r)
		assert.Equal(t, 405, answer.StatusCode, method)
		assert.Equal(t, "POST", answer.Header.Get("Allow"), method)
	}
}

func checkBadJSON(t *testing.T) {
	h := newFaultHandler(t)
	for name, body := range brokenDeliveries {
		assert.Equal(t, 400, send(h, request(body)).StatusCode, name)
		assert.Equal(t, 401, send(h, request(body, "X-Verification-Token", "")).StatusCode, name)
	}
	right, wrong := quoted(testToken), quoted(otherToken)
	for _, token := range []string{`7`, `null`, `true`, `[` + right + `]`, `{"token":` + right + `}`} {
		assert.Equal(t, 401, send(h, request(withToken(token), "X-Verification-Token", "")).StatusCode, token)
		assert.Equal(t, 401, send(h, request(withToken(token))).StatusCode, "%s beside the right one", token)
	}
	for tokens, want := range map[string][2]int{ // with the right one in the header, and without
		right + `,"token":` + right:               {400, 400},
		right + `,"token":` + wrong:               {400, 400},
		right + `,"Token":` + wrong:               {400, 400},
		right + `,"\u0074oken":` + wrong:          {400, 400},
		wrong + `,"token":` + right:               {401, 401},
		`null,"token":` + right:                   {401, 401},
		right + `,"data":{"token":"x"},"`:         {400, 400},
		right + `,"data":{"token":"x"}`:           {200, 200},
		wrong + `,"data":{"token":` + right + `}`: {401, 401},
	} {
		assert.Equal(t, want[0], send(h, request(withToken(tokens))).StatusCode, tokens)
		assert.Equal(t, want[1], send(h, request(withToken(tokens), "X-Verification-Token", "")).StatusCode, tokens)
	}
}

func checkDuplicates(t *testing.T) {
	for name, opts := range map[string][]webhook.Option{
		"":            nil,
		"queue":       {webhook.WithQueue(1000), webhook.WithWorkers(10)},
		"small store": {webhook.WithDedup(webhook.NewMemoryDedup(1))},
	} {
		for _, delivery := range []string{timed, timeless} {
			synctest.Test(t, func(t *testing.T) {
				h, handler := newWatchedHandler(t, opts...)
				n := count(handler, func(int64) error {
					time.Sleep(time.Second)
					return nil
				})
				var group sync.WaitGroup
				answers := make([]int, 100)
				for i := range answers {
					group.Go(func() { answers[i] = send(h, request(delivery)).StatusCode })
				}
				group.Wait()
				require.NoError(t, handler.Shutdown(t.Context()))
				assert.Equal(t, int64(1), n.Load(), name)
				accepted := 0
				for _, answer := range answers {
					assert.Contains(t, []int{200, 409}, answer, name)
					if answer == 200 {
						accepted++
					}
				}
				assert.Equal(t, 1, accepted, "%s: the others are to try again", name)
			})
		}
	}

	// The same on real goroutines and connections.
	h, handler := newWatchedHandler(t)
	n := count(handler, nil)
	server := httptest.NewServer(h)
	defer server.Close()
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(timed))
			if !assert.NoError(t, err) {
				return
			}
			r.Header.Set("X-Verification-Token", testToken)
			answer, err := server.Client().Do(r)
			if assert.NoError(t, err) {
				assert.Contains(t, []int{200, 409}, answer.StatusCode)
				_, _ = io.Copy(io.Discard, answer.Body)
				assert.NoError(t, answer.Body.Close())
			}
		})
	}
	group.Wait()
	assert.Equal(t, int64(1), n.Load())
}

func checkHandlerFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("mark-secret is the function's own affair") },
		"panic": func() error { panic("mark-secret") },
	} {
		h := newHandler(t)
		n := count(h, func(n int64) error {
			if n <= 2 {
				return fail()
			}
			return nil
		})
		for i, want := range []int{500, 500, 200, 200} {
			answer := send(h, request(timed))
			assert.Equal(t, want, answer.StatusCode, "%s %d", name, i)
			assert.NotContains(t, text(t, answer.Body), "mark-")
		}
		assert.Equal(t, int64(3), n.Load(), name)
	}

	synctest.Test(t, func(t *testing.T) {
		h, handler := newWatchedHandler(t, webhook.WithQueue(2))
		n := count(handler, func(n int64) error {
			time.Sleep(time.Second)
			if n == 1 {
				panic("the worker survives")
			}
			return nil
		})
		for i, want := range []int{200, 200, 200, 503, 503} {
			answer := send(h, request(numbered(i)))
			assert.Equal(t, want, answer.StatusCode, "slow, %d", i)
			assert.Equal(t, want == 503, answer.Header.Get("Retry-After") != "")
		}
		require.NoError(t, handler.Shutdown(t.Context()))
		assert.Equal(t, int64(3), n.Load())
	})
}

func checkCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := webhook.NewMemoryDedup(0) // in place of one that outlives the process
		before, handler := newWatchedHandler(t, webhook.WithDedup(store))
		crash := make(chan struct{})
		first := count(handler, func(int64) error {
			<-crash
			runtime.Goexit() // and what is deferred comes when the lease is over
			return nil
		})
		go send(before, request(timed))
		synctest.Wait()
		require.Equal(t, int64(1), first.Load())

		after, handler := newWatchedHandler(t, webhook.WithDedup(store))
		n := count(handler, nil)
		assert.Equal(t, 409, send(after, request(timed)).StatusCode, "it may still be at work")
		time.Sleep(webhook.DefaultLease - 1)
		assert.Equal(t, 409, send(after, request(timed)).StatusCode)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, 200, send(after, request(timed)).StatusCode)
		assert.Equal(t, int64(1), n.Load())
		close(crash)
		synctest.Wait()
		assert.Equal(t, 200, send(after, request(timed)).StatusCode)
		assert.Equal(t, int64(1), n.Load(), "and once only")
	})
}

func checkOutOfOrder(t *testing.T) {
	h, handler := newWatchedHandler(t)
	var newest webhook.Newest[drift.ContactID]
	alias := map[drift.ContactID]string{}
	webhook.On(handler, func(_ context.Context, e *webhook.ContactUpdated) error {
		if newest.Accept(e.Data.EndUserID, e.OccurredAt()) {
			alias[e.Data.EndUserID] = string(e.Data.Diff[0].Updated)
		}
		return nil
	})
	changed := func(contact, seconds int, to string) string {
		return fmt.Sprintf(`{"type":"contact_updated","orgId":123,"data":{"endUserId":%d,"timestamp":%d,"diff":[{"name":"attributes.alias","updated":%q}]}}`,
			contact, instant(int64(seconds)).UnixMilli(), to)
	}
	for _, delivery := range []string{changed(1, 2, "b"), changed(2, 1, "x"), changed(1, 4, "d"), changed(1, 3, "c"), changed(1, 1, "a")} {
		assert.Equal(t, 200, send(h, request(delivery)).StatusCode)
	}
	assert.Equal(t, map[drift.ContactID]string{1: `"d"`, 2: `"x"`}, alias)
}

func checkUnknownEvent(t *testing.T) {
	h, handler := newWatchedHandler(t)
	var got []*webhook.UnknownEvent
	webhook.On(handler, func(_ context.Context, e *webhook.UnknownEvent) error {
		got = append(got, e)
		return nil
	})
	const newType = `{"type":"something_new","orgId":123,"data":{"a":1}}`
	const newShape = `{"type":"new_message","orgId":123,"data":[{"id":1}]}`
	assert.Equal(t, 200, send(h, request(newType)).StatusCode)
	assert.Equal(t, 200, send(h, request(newShape)).StatusCode)
	require.Len(t, got, 2)
	assert.Equal(t, webhook.EventType("something_new"), got[0].Type)
	assert.JSONEq(t, newType, string(got[0].Raw))
	require.NoError(t, got[0].Err)
	assert.Equal(t, webhook.EventTypeNewMessage, got[1].Type)
	assert.JSONEq(t, newShape, string(got[1].Raw))
	require.Error(t, got[1].Err)

	assert.Equal(t, 200, send(newFaultHandler(t), request(newType)).StatusCode, "nobody wants it")
}

func checkShutdown(t *testing.T) {
	for name, opts := range map[string][]webhook.Option{"": nil, "queue": {webhook.WithQueue(100)}} {
		for _, patience := range []time.Duration{3500 * time.Millisecond, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				var f failures
				var r record
				store := webhook.NewMemoryDedup(0)
				h, handler := newWatchedHandler(t, append(opts, webhook.WithDedup(store), f.option())...)
				webhook.On(handler, r.handle)
				answers := make([]int, 10)
				var group sync.WaitGroup
				for i := range answers {
					group.Go(func() {
						time.Sleep(time.Duration(i) * 300 * time.Millisecond)
						answers[i] = send(h, request(numbered(i))).StatusCode
					})
				}
				time.Sleep(2 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), patience-2*time.Second)
				defer cancel()
				err := handler.Shutdown(ctx)
				synctest.Wait()
				group.Wait()

				done := len(r.order)
				refused, lost := 0, 0
				for _, failure := range f.all() {
					require.ErrorIs(t, failure, webhook.ErrShutdown)
					if errors.As(failure, new(*webhook.RefusedError)) {
						refused++
					} else {
						lost++
					}
				}
				statuses := map[int]int{}
				for _, answer := range answers {
					assert.Contains(t, []int{200, 500, 503}, answer)
					statuses[answer]++
				}
				accepted := statuses[200]
				assert.Equal(t, statuses[503], refused, "%s: each refusal is reported", name)
				assert.Equal(t, 503, answers[9], "it came after the shutdown")
				if patience == time.Minute {
					require.NoError(t, err)
					assert.Equal(t, accepted, done, "%s: what was acknowledged was handled", name)
					assert.Zero(t, lost)
					return
				}
				if name == "queue" {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Positive(t, lost)
				}
				// Whatever was not handled is taken when it comes again, and what was acknowledged is handled or
				// reported.
				next := newHandler(t, webhook.WithDedup(store))
				n := count(next, nil)
				for i := range answers {
					assert.Equal(t, 200, status(next, numbered(i)))
				}
				handled := 10 - int(n.Load())
				assert.LessOrEqual(t, accepted, handled+lost, name)
			})
		}
	}
}
