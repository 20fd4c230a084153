package drift_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// A transport may keep, change or go on with what it was handed, even where it should not: no other attempt and no
// other call gets anything of it.

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A body that gives up with its context, and writes into the reader's bytes afterwards.
func TestBodyThatWritesAfterItWasRead(t *testing.T) {
	const mine, foreign = `{"data": {"id": 2, "name": "mine"}}`, `{"data": {"id": 2, "name": "them"}}`
	var kept []byte
	network := testkit.Responder(func(req *http.Request) (*http.Response, error) {
		resp := testkit.MemoryAnswer(req, http.StatusOK, "application/json", mine)
		resp.Body = io.NopCloser(readFunc(func(p []byte) (int, error) {
			if strings.HasSuffix(req.URL.Path, "/1") {
				kept = p
				<-req.Context().Done()
				return 0, req.Context().Err()
			}
			n := copy(p, mine)
			copy(kept, foreign)
			return n, io.EOF
		}))
		return resp, nil
	})
	for range 20 { // the race detector keeps a part of what is pooled from being used again
		synctest.Test(t, func(t *testing.T) {
			client := testkit.Through(t, network, drift.WithoutRetry())
			_, err := client.Tags.Get(t.Context(), 1, drift.WithTimeout(time.Second))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			tag, err := client.Tags.Get(t.Context(), 2)
			require.NoError(t, err)
			require.Equal(t, "mine", tag.Name)
		})
	}
}

func TestTransportThatChangesItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.Answer(503), testkit.Answer(200), testkit.Answer(200)}}
		var urls []string
		var requests []*http.Request
		client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
			urls = append(urls, req.URL.String())
			requests = append(requests, req)
			assert.Equal(t, "prod", req.Header.Get("X-Environment"))
			assert.NotEqual(t, "changed", req.Header.Get("Accept"))
			req.URL.Host, req.URL.Path, req.URL.RawPath = "gateway.test", "/prefix"+req.URL.Path, ""
			for _, values := range req.Header {
				values[0] = "changed"
			}
			return network.Serve(req)
		}, drift.WithHeader("X-Environment", "prod"))
		for range 2 {
			require.NoError(t, testkit.Get(t.Context(), client))
		}
		assert.Len(t, urls, 4)
		assert.Len(t, slices.Compact(urls), 1)
		assert.NotSame(t, requests[0].URL, requests[1].URL)
	})
}

// reporting is a network that takes a while to connect, and then to write, and tells httptrace what it does. As with
// net/http, the end of the context keeps it from connecting, and not from writing.
func reporting(sent *int, answer testkit.Responder) testkit.Responder {
	return func(req *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(req.Context())
		trace.GetConn("")
		time.Sleep(15 * time.Millisecond)
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		trace.GotConn(httptrace.GotConnInfo{})
		time.Sleep(15 * time.Millisecond)
		*sent++
		trace.WroteHeaders()
		return answer(req)
	}
}

// givingUp does not wait for the network inside the first time, but after that.
func givingUp(after time.Duration, inside testkit.Responder) testkit.Responder {
	first := true
	return func(req *http.Request) (*http.Response, error) {
		if !first {
			return inside(req)
		}
		first = false
		go func() { _, _ = inside(req) }()
		time.Sleep(after)
		return nil, errors.New("too slow")
	}
}

// slowSlots take a while to be given back, as those in a file do.
type slowSlots struct{ testkit.Slots }

func (s *slowSlots) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return s, nil }
func (s *slowSlots) Done(context.Context, drift.Result) error {
	time.Sleep(20 * time.Millisecond)
	return nil
}

// A transport that does not wait for the one inside: what was not sent when it gave up is not sent any more, and what
// may have been is not sent again.
func TestTransportThatGivesUpEarly(t *testing.T) {
	const dialling, connected = 5 * time.Millisecond, 20 * time.Millisecond
	post := func(t *testing.T, after time.Duration) (sent int, attempts []drift.Attempt, err error) {
		synctest.Test(t, func(t *testing.T) {
			var response drift.Response
			client := testkit.Through(t, testkit.Responder(givingUp(after, reporting(&sent, testkit.Answer(200)))), drift.WithLimiter(new(slowSlots)))
			err = testkit.Call(t.Context(), client, http.MethodPost, drift.WithResponse(&response))
			attempts = response.Attempts
		})
		return sent, attempts, err
	}
	sent, attempts, err := post(t, dialling)
	require.NoError(t, err)
	require.Len(t, attempts, 2)
	assert.False(t, attempts[0].Sent)
	assert.Equal(t, 1, sent)

	sent, attempts, err = post(t, connected)
	require.ErrorIs(t, err, drift.ErrAmbiguous)
	require.Len(t, attempts, 1)
	assert.True(t, attempts[0].Sent)
	assert.Equal(t, 1, sent)

	sent = 0
	synctest.Test(t, func(t *testing.T) {
		config, _ := testkit.Answering(givingUp(dialling, reporting(&sent, testkit.AnswerBody(200, `{"access_token": "a"}`))))
		_, err = config.Exchange(t.Context(), "code")
	})
	require.NoError(t, err)
	assert.Equal(t, 1, sent)
}

// callingHandler makes a call for each record, as one does that sends records to a conversation.
type callingHandler struct {
	slog.Handler
	call func()
}

func (h callingHandler) Handle(context.Context, slog.Record) error {
	h.call()
	return nil
}

// callingClient makes a call for each warning.
func callingClient(t *testing.T, transport testkit.Responder, opts ...drift.Option) (client *drift.Client, calls *int) {
	calls = new(int)
	warnings := slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})
	client = testkit.Through(t, transport, append(opts, drift.WithLogger(slog.New(callingHandler{warnings, func() {
		*calls++
		assert.NoError(t, testkit.Get(context.Background(), client, drift.WithTimeout(time.Hour)))
	}})))...)
	return client, calls
}

// The log is told when the attempt holds nothing any more: a client's first call keeps all others waiting.
func TestLoggerThatCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, calls := callingClient(t, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(429, "Retry-After", "1"), testkit.Answer(200)}}).Serve)
		start := time.Now()
		require.NoError(t, testkit.Get(t.Context(), client))
		assert.Equal(t, 1, *calls)
		assert.Less(t, time.Since(start), 2*time.Minute)
	})
	t.Run("the body is read before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			usedUp := testkit.AnswerBody(429, `{"error": {"type": "quota_exceeded"}}`, "Retry-After", "60")
			client, calls := callingClient(t, (&testkit.Network{Answers: []testkit.Responder{func(req *http.Request) (*http.Response, error) {
				resp, err := usedUp(req)
				body := resp.Body
				resp.Body = io.NopCloser(readFunc(func(p []byte) (int, error) {
					if req.Context().Err() != nil {
						return 0, req.Context().Err()
					}
					return body.Read(p)
				}))
				return resp, err
			}, testkit.Answer(200)}}).Serve)
			require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrQuotaExceeded)
			assert.Equal(t, 1, *calls)
		})
	})
	t.Run("not sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			client, calls := callingClient(t, new(testkit.Network).Serve, drift.WithQuotaStore(cancellingStore{&store{refundErr: errors.New("x")}, cancel}))
			start := time.Now()
			require.ErrorIs(t, testkit.Get(ctx, client), context.Canceled)
			assert.Equal(t, 1, *calls)
			assert.Zero(t, time.Since(start))
		})
	})
}

// cancellingStore ends the caller's context as soon as a call is counted.
type cancellingStore struct {
	*store
	cancel context.CancelFunc
}

func (s cancellingStore) Reserve(ctx context.Context) (drift.Reservation, error) {
	s.cancel()
	return s.store.Reserve(ctx)
}

// net/http takes the body of a 101 out of the context's reach.
func TestStatusBelow200EndsTheCall(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn) // until the client closes
	}()
	client := testkit.NewClient(t, "http://"+listener.Addr().String())
	_, err = client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "a"})
	require.ErrorAs(t, err, new(*drift.TransportError))
	assert.ErrorIs(t, err, drift.ErrAmbiguous)
	assert.ErrorContains(t, err, "101")
	<-served
}

func TestContextEndsWhileAnErrorIsRead(t *testing.T) {
	for _, status := range []int{400, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			client := testkit.Through(t, testkit.Stalled(status, ""))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "a"})
			assert.ErrorIs(t, err, context.DeadlineExceeded, "the context's end wins")
			var api *drift.APIError
			require.ErrorAs(t, err, &api, "and the last answer is told")
			assert.Equal(t, status, api.StatusCode)
			assert.Equal(t, status >= 500, errors.Is(err, drift.ErrAmbiguous))
		})
	}
}

// If the context ends between getting a connection and writing the headers, the request may still be written.
func TestContextEndsBeforeTheHeadersAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			trace.GetConn("drift.test:443")
			trace.GotConn(httptrace.GotConnInfo{})
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, drift.WithPlan(10))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "a"})
		assert.ErrorIs(t, err, drift.ErrAmbiguous)
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, usage.Used)
	})
}

func TestNoLimitOfTheResponseSize(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":{"id":1}}`), drift.WithMaxResponseBytes(math.MaxInt64))
	_, err := client.Tags.Get(t.Context(), 1)
	assert.NoError(t, err)
}

func TestContentLengthIsNotTrusted(t *testing.T) {
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		resp := testkit.MemoryAnswer(r, http.StatusOK, "application/json", `{"data":{"id":1}}`)
		resp.ContentLength = 1 << 50
		return resp, nil
	}, drift.WithMaxResponseBytes(math.MaxInt64))
	_, err := client.Tags.Get(t.Context(), 1)
	assert.NoError(t, err)
}

// closer is a body that tells whether it was closed.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

func TestBodyBesideAnErrorIsClosed(t *testing.T) {
	body := &closer{Reader: strings.NewReader("")}
	client := testkit.Through(t, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: body}, errors.New("both")
	}, drift.WithoutRetry())
	require.Error(t, testkit.Get(t.Context(), client))
	assert.True(t, body.closed)
}

// The status of an error tells enough, however long its body takes.
func TestErrorAnswerThatStalls(t *testing.T) {
	for status, target := range map[int]error{http.StatusNotFound: drift.ErrNotFound, http.StatusUnauthorized: drift.ErrUnauthorized, http.StatusServiceUnavailable: nil, http.StatusTooManyRequests: nil} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
				if requests++; requests > 1 {
					return testkit.Answer(http.StatusOK)(r)
				}
				return testkit.Stalled(status, `{"a`)(r)
			})
			err := testkit.Get(t.Context(), client)
			if target == nil {
				require.NoError(t, err, "%d is sent again", status)
				assert.Equal(t, 2, requests)
				return
			}
			require.ErrorIs(t, err, target)
			var answered *drift.APIError
			require.ErrorAs(t, err, &answered)
			assert.Equal(t, status, answered.StatusCode)
			assert.Equal(t, 1, requests)
		})
	}
}

// A transport that changes what it should leave alone does so to its own request only.
func TestHeadersOfAnAttemptAreItsOwn(t *testing.T) {
	var seen []http.Header
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.Header.Clone())
		for _, values := range r.Header {
			values[0] = "changed"
		}
		return testkit.Answer(http.StatusOK)(r)
	})
	for range 2 {
		require.NoError(t, testkit.Call(t.Context(), client, http.MethodPost))
	}
	require.Len(t, seen, 2)
	assert.Equal(t, "Bearer "+testkit.Token, seen[0].Get("Authorization"))
	assert.Equal(t, seen[0], seen[1])
}

// middleware is a middleware of one function.
func middleware(f func(r *http.Request, next http.RoundTripper) (*http.Response, error)) drift.Option {
	return drift.WithMiddleware(func(next http.RoundTripper) http.RoundTripper {
		return testkit.Responder(func(r *http.Request) (*http.Response, error) { return f(r, next) })
	})
}

func TestMiddlewareIsAroundEveryAttempt(t *testing.T) {
	var lines []string
	note := func(name string) drift.Option {
		return middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			info, number, _ := drift.AttemptFromContext(r.Context())
			lines = append(lines, fmt.Sprint(name, " ", info.Route, " ", number, " ", r.Header.Get("Authorization")))
			resp, err := next.RoundTrip(r)
			lines = append(lines, name+" ended")
			return resp, err
		})
	}
	network := &testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.Answer(200)}}
	limiter := new(testkit.Slots)
	client := testkit.Through(t, network.Serve, testkit.Impatient(), drift.WithLimiter(limiter), drift.Options(nil, note("a"), note("b")))
	require.NoError(t, testkit.Get(t.Context(), client))
	var want []string
	for _, number := range []string{"1", "2"} {
		seen := " v2/things " + number + " Bearer " + testkit.Token
		want = append(want, "a"+seen, "b"+seen, "b ended", "a ended")
	}
	assert.Equal(t, want, lines)
	assert.Equal(t, 2, limiter.Spent())
}

// An answer of a middleware costs nothing, and a write that it answers was not applied.
func TestMiddlewareThatAnswersItself(t *testing.T) {
	network, limiter := new(testkit.Network), new(testkit.Slots)
	client := testkit.Through(t, network.Serve, drift.WithLimiter(limiter), middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return testkit.Answer(map[string]int{http.MethodGet: 404, http.MethodPost: 500}[r.Method])(r)
	}))
	var response drift.Response
	require.ErrorIs(t, testkit.Get(t.Context(), client, drift.WithResponse(&response)), drift.ErrNotFound)
	assert.False(t, response.Attempts[0].Sent)
	_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: "vip"})
	testkit.RequireSentinels(t, err, []error{drift.ErrServer})
	assert.Empty(t, network.Requests())
	assert.Zero(t, limiter.Spent())
	assert.Zero(t, testkit.Used(t, client))
}

// passingError says that it will pass.
type passingError struct{}

func (passingError) Error() string   { return "MARKER" }
func (passingError) Temporary() bool { return true }

// A middleware that ends an attempt has sent nothing, so that a write is not ambiguous.
func TestMiddlewareThatFails(t *testing.T) {
	for want, failure := range map[int]error{1: errors.New("MARKER"), 3: passingError{}} {
		network, limiter := new(testkit.Network), new(testkit.Slots)
		client := testkit.Through(t, network.Serve, testkit.Impatient(), drift.WithLimiter(limiter),
			middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, failure }))
		_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{})
		testkit.RequireSentinels(t, err, nil)
		var transport *drift.TransportError
		require.ErrorAs(t, err, &transport)
		assert.False(t, transport.Sent)
		assert.Len(t, transport.Attempts, want)
		assert.Equal(t, drift.KindOther, drift.KindOf(err))
		assert.Equal(t, failure, transport.Unsafe())
		assert.ErrorContains(t, err, "not sent to drift.test:443: the middleware failed")
		assert.NotContains(t, err.Error(), "MARKER")
		assert.Empty(t, network.Requests())
		assert.Zero(t, limiter.Spent())
		assert.Zero(t, testkit.Used(t, client))
	}
}

// The token goes to the origin of the base URL, whatever a middleware does.
func TestMiddlewareCannotMisdirectTheToken(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	elsewhere := testkit.Must(url.Parse(trap))
	for name, change := range map[string]func(*http.Request){
		"host":         func(r *http.Request) { r.URL.Host = elsewhere.Host },
		"scheme":       func(r *http.Request) { r.URL.Scheme = "https" },
		"host header":  func(r *http.Request) { r.Host = elsewhere.Host },
		"opaque":       func(r *http.Request) { r.URL.Opaque = "//" + elsewhere.Host + "/" },
		"another URL":  func(r *http.Request) { r.URL = elsewhere },
		"no URL":       func(r *http.Request) { r.URL = nil },
		"user context": func(r *http.Request) { *r = *r.WithContext(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				testkit.Respond(200, `{"data":{"id":1}}`)(w, r)
			}, middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				r = r.Clone(r.Context())
				change(r)
				return next.RoundTrip(r)
			}))
			_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{})
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			assert.False(t, transport.Sent)
			assert.Len(t, transport.Attempts, 1)
			assert.ErrorContains(t, err, "the middleware failed: it ")
			assert.Zero(t, requests.Load())
		})
	}
	assert.Zero(t, calls())
}

// A middleware cannot repeat a request, over whatever transport.
func TestMiddlewareCannotRepeatARequest(t *testing.T) {
	for name, answer := range map[string]testkit.Responder{"answered": testkit.Answer(503), "broken": testkit.NoAnswer} {
		t.Run(name, func(t *testing.T) {
			network := &testkit.Network{Answers: []testkit.Responder{answer}}
			client := testkit.Through(t, network.Serve, middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					_ = resp.Body.Close()
				}
				return next.RoundTrip(r)
			}))
			_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{})
			require.ErrorIs(t, err, drift.ErrAmbiguous)
			assert.ErrorContains(t, err, "a middleware sent the request a second time")
			assert.Len(t, network.Requests(), 1)
			require.Error(t, testkit.Get(t.Context(), client))
			assert.Len(t, network.Requests(), 2, "nor is the attempt repeated")
		})
	}
}

func TestMiddlewareThatIsNil(t *testing.T) {
	_, err := drift.NewClient(drift.WithToken("a"), drift.WithMiddleware(nil))
	require.EqualError(t, err, "drift: WithMiddleware must not be nil")
	_, err = drift.NewClient(drift.WithToken("a"), drift.WithMiddleware(func(http.RoundTripper) http.RoundTripper { return nil }))
	require.EqualError(t, err, "drift: WithMiddleware must return an http.RoundTripper, not nil")
	_, err = drift.NewClient(drift.Options(drift.WithToken("a"), drift.Options(drift.WithPlan(-1))))
	require.EqualError(t, err, "drift: WithPlan must be greater than 0")
}
