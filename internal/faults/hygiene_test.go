package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/testkit"
)

// hygieneFaults: what must not add up, and what must not spread.
func hygieneFaults() faults.Cases {
	return faults.Cases{
		155: checkManyFailures,
		156: checkOddTransports,
		157: checkOddHooks,
		158: checkManyCallers,
	}
}

// openFiles is how many files and sockets this process has open; 0 where the system does not say.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	require.NoError(t, err)
	return len(entries)
}

// failures are answers to which a call is an error, in every way in which one can end.
func failures() []http.HandlerFunc {
	hangUp := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	return []http.HandlerFunc{
		testkit.Respond(500, markedErrorBody), testkit.Respond(404, markedErrorBody), testkit.Respond(401, markedErrorBody), testkit.Respond(200, `{"data": `), testkit.Respond(200, markedHTML),
		testkit.Respond(200, `{"data": "`+strings.Repeat("x", 5000)+`"}`),
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data": `)
		},
		func(_ http.ResponseWriter, r *http.Request) { // until the caller gives up
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		hangUp(""), hangUp("junk"), hangUp("HTTP/1.1 200 OK\r\n"),
	}
}

func checkManyFailures(t *testing.T) {
	const calls, workers = 10_000, 20
	handlers := failures()
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers[served.Add(1)%int64(len(handlers))](w, r)
	}))
	defer server.Close()
	filesBefore, routinesBefore := openFiles(t), runtime.NumGoroutine()
	c := newFaultClient(t, server.URL, drift.WithoutRetry(), drift.WithMaxResponseBytes(4000))
	c.limiter.Limiter = testkit.OpenLimiter{}
	c.watch.Every = 100

	fail := func(n int) {
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for i := range n / workers {
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					var target map[string]any
					method := []string{http.MethodGet, http.MethodPost}[i%2]
					assert.Error(t, c.Do(ctx, drift.Request{Method: method, Path: "v2/things"}, &target))
					cancel()
				}
			})
		}
		group.Wait()
	}
	fail(calls)

	// Each worker may keep a connection, of which both ends are here, and each end has up to two goroutines.
	flat := func(most int, now func() int) func() bool { return func() bool { return now() <= most } }
	files := func() int { return openFiles(t) }
	const patience = 10 * time.Second
	assert.Eventually(t, flat(filesBefore+2*workers+10, files), patience, 10*time.Millisecond, "open files")
	assert.Eventually(t, flat(routinesBefore+4*workers+10, runtime.NumGoroutine), patience, 10*time.Millisecond, "goroutines")
	require.NoError(t, c.Close())
	server.CloseClientConnections()
	assert.Eventually(t, flat(filesBefore+2, files), patience, 10*time.Millisecond, "open files, once the client is closed")
}

// panickingBody panics when it is read, or closed.
type panickingBody struct{ read bool }

func (b panickingBody) Read([]byte) (int, error) {
	if b.read {
		panic("transport")
	}
	return 0, io.EOF
}

func (b panickingBody) Close() error {
	if !b.read {
		panic("transport")
	}
	return nil
}

func checkOddTransports(t *testing.T) {
	success := func(change func(*http.Response)) testkit.Responder {
		return func(r *http.Request) (*http.Response, error) {
			resp, err := testkit.AnswerBody(200, `{"data": {"id": 7}}`)(r)
			change(resp)
			return resp, err
		}
	}
	for name, respond := range map[string]testkit.Responder{
		"nothing": func(*http.Request) (*http.Response, error) { return nil, nil },
		"both": func(r *http.Request) (*http.Response, error) {
			resp, _ := testkit.AnswerBody(200, `{"data": {"id": 7}}`)(r)
			return resp, errors.New(testkit.MarkedAnswer)
		},
		"an error without a text":   testkit.Fails(errors.New("")),
		"a nil pointer as an error": testkit.Fails((*http.MaxBytesError)(nil)),
		"no body":                   success(func(r *http.Response) { r.Body = nil }),
		"nothing at all":            func(*http.Request) (*http.Response, error) { return new(http.Response), nil },
		"a body that fails":         success(func(r *http.Response) { r.Body = io.NopCloser(testkit.FailingReader{}) }),
		"a body that is too short":  success(func(r *http.Response) { r.Body = io.NopCloser(strings.NewReader(`{"data": {`)) }),
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			c := throughFault(t, respond)
			_, err := c.Tags.Create(t.Context(), drift.TagCreateRequest{Name: testkit.MarkedBody})
			require.ErrorIs(t, err, drift.ErrAmbiguous)
			assert.True(t, errors.As(err, new(*drift.TransportError)) || errors.As(err, new(*drift.DecodeError)) || errors.As(err, new(*drift.APIError)))
			c.requireSpent(1, 1)
		}))
	}
	for name, respond := range map[string]testkit.Responder{
		"no headers":       success(func(r *http.Response) { r.Header = nil }),
		"no request":       success(func(r *http.Response) { r.Request = nil }),
		"a wrong length":   success(func(r *http.Response) { r.ContentLength = -7 }),
		"too large a one":  success(func(r *http.Response) { r.ContentLength = 1 << 20 }),
		"a status alone":   success(func(r *http.Response) { r.Status = "" }),
		"no protocol":      success(func(r *http.Response) { r.Proto, r.ProtoMajor, r.ProtoMinor = "", 0, 0 }),
		"a body of a byte": success(func(r *http.Response) { r.Body = io.NopCloser(&slowReader{text: `{"data": {"id": 7}}`}) }),
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			c := throughFault(t, respond)
			tag, err := c.Tags.Get(t.Context(), 7)
			require.NoError(t, err)
			assert.Equal(t, drift.TagID(7), tag.ID)
			c.requireSpent(1, 1)
		}))
	}
	for name, respond := range map[string]testkit.Responder{
		"panic":                func(*http.Request) (*http.Response, error) { panic("transport") },
		"panic in the body":    success(func(r *http.Response) { r.Body = panickingBody{read: true} }),
		"panic when it closes": success(func(r *http.Response) { r.Body = panickingBody{} }),
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			network := &testkit.Network{Answers: []testkit.Responder{respond, testkit.Answer(200)}}
			c := throughFault(t, network.Serve)
			assert.PanicsWithValue(t, "transport", func() { _ = c.get(t.Context()) })
			c.requireSpent(1, 1)
			requireUsable(t, c)
		}))
	}
}

// slowReader gives a byte at a time.
type slowReader struct{ text string }

func (s *slowReader) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

// requireUsable: after a panic no slot is taken and no lock held.
func requireUsable(t *testing.T, c *faultClient) {
	t.Helper()
	require.Zero(t, c.limiter.held())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(t, c.get(ctx))
}

// handlerFunc is a slog.Handler that logs everything.
type handlerFunc func(slog.Record)

func (handlerFunc) Enabled(context.Context, slog.Level) bool             { return true }
func (f handlerFunc) Handle(_ context.Context, record slog.Record) error { f(record); return nil }
func (f handlerFunc) WithAttrs([]slog.Attr) slog.Handler                 { return f }
func (f handlerFunc) WithGroup(string) slog.Handler                      { return f }

// interrupting returns hooks and loggers, by name, that do something when they are called.
func interrupting(do func()) map[string]drift.Option {
	options := map[string]drift.Option{
		"Start": drift.WithHooks(drift.Hooks{Start: func(context.Context, drift.RequestInfo) context.Context {
			do()
			return nil
		}}),
		"StartAttempt": drift.WithHooks(drift.Hooks{StartAttempt: func(context.Context, drift.RequestInfo, int) context.Context {
			do()
			return nil
		}}),
		"Attempt":  drift.WithHooks(drift.Hooks{Attempt: func(drift.AttemptInfo) { do() }}),
		"Wait":     drift.WithHooks(drift.Hooks{Wait: func(drift.WaitInfo) { do() }}),
		"Response": drift.WithHooks(drift.Hooks{Response: func(drift.ResponseInfo) { do() }}),
		"Quota":    drift.WithHooks(drift.Hooks{Quota: func(drift.Usage) { do() }}),
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		options["log at "+level.String()] = drift.WithLogger(slog.New(handlerFunc(func(r slog.Record) {
			if r.Level == level {
				do()
			}
		})))
	}
	return options
}

// oddHook is a client with a hook or a logger that does something once it is armed. The next call is one in which it is
// called: its attempts are the seventh to the ninth of ten in the month.
func oddHook(t *testing.T, name string, do func()) (c *faultClient, armed *atomic.Bool) {
	t.Helper()
	const before = 6
	armed = new(atomic.Bool)
	network := &testkit.Network{Answers: slices.Repeat([]testkit.Responder{testkit.Answer(200)}, before)}
	network.Answers = append(network.Answers, testkit.Answer(503), testkit.Answer(429, "Retry-After", "1"), testkit.Answer(200))
	option := interrupting(func() {
		if armed.Load() {
			do()
		}
	})[name]
	c = throughFault(t, network.Serve, drift.WithPlan(10), option)
	for range before {
		require.NoError(t, c.get(t.Context()))
	}
	armed.Store(true)
	return c, armed
}

func checkOddHooks(t *testing.T) {
	for name := range interrupting(nil) {
		t.Run(name+" panics", inBubble(func(t *testing.T) {
			c, armed := oddHook(t, name, func() { panic("hook") })
			assert.PanicsWithValue(t, "hook", func() { _ = c.get(t.Context()) })
			armed.Store(false)
			requireUsable(t, c)
		}))
		t.Run(name+" ends the goroutine", inBubble(func(t *testing.T) {
			c, armed := oddHook(t, name, runtime.Goexit)
			var group sync.WaitGroup
			ended := true
			group.Go(func() {
				_ = c.get(t.Context())
				ended = false
			})
			group.Wait()
			assert.True(t, ended)
			armed.Store(false)
			requireUsable(t, c)
		}))
		t.Run(name+" blocks", inBubble(func(t *testing.T) {
			var blocks atomic.Bool
			goOn := make(chan struct{})
			c, _ := oddHook(t, name, func() {
				if blocks.CompareAndSwap(false, true) {
					<-goOn
				}
			})
			held := make(chan error, 1)
			go func() { held <- c.get(t.Context()) }()
			time.Sleep(time.Minute) // by then it blocks, wherever that is in the call
			assert.True(t, blocks.Load())
			assert.NoError(t, c.get(t.Context()), "the others go on")
			assert.Empty(t, held, "the call itself waits for the hook")
			close(goOn)
			assert.NoError(t, <-held)
		}))
	}
}

func checkManyCallers(t *testing.T) {
	const callers, patient = 5000, 1000
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		server := &testkit.MinuteServer{Limit: 100, Delay: testkit.Delays20To120}
		c := throughFault(t, server.Serve)
		c.watch.Every = 500
		var served, late, cancelled atomic.Int64
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var opts []drift.CallOption
				switch {
				case i%5 == 0: // patient
				case i%5 < 3:
					opts = append(opts, drift.WithTimeout(time.Duration(1+i%300)*time.Second))
				default:
					time.AfterFunc(time.Duration(1+i%300)*time.Second, cancel)
				}
				switch err := c.get(ctx, opts...); {
				case err == nil:
					served.Add(1)
				case errors.Is(err, drift.ErrRateLimited):
					late.Add(1)
				case errors.Is(err, context.Canceled):
					cancelled.Add(1)
				default:
					t.Errorf("%v", err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		runtime.GC()
		runtime.ReadMemStats(&during)
		group.Wait()
		assert.EqualValues(t, callers, served.Load()+late.Load()+cancelled.Load(), "every call ends")
		assert.GreaterOrEqual(t, served.Load(), int64(patient), "callers that stay are served")
		assert.Positive(t, late.Load())
		assert.Positive(t, cancelled.Load())
		assert.Zero(t, server.Refused, "more than 100 calls in a minute")
		c.requireSpent(int(served.Load()), int(served.Load()))
	})
	used := int64(during.HeapAlloc+during.StackInuse) - int64(before.HeapAlloc+before.StackInuse)
	t.Logf("%d waiting calls take %s each", callers, fmt.Sprint(used/callers, " bytes"))
	assert.Less(t, used, int64(callers*64<<10))
}
