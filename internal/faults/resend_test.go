package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/raw"
	"github.com/driftsdk/drift/internal/testkit"
)

// resendFaults are the rows about one attempt being one request, and about what ends or repeats a call.
func resendFaults() faults.Cases {
	return faults.Cases{
		161: resetWrites, 162: closedWhileIdle, 163: closedAtTheSecondRequest, 164: redirectedWrites, 165: foreignRecords, 166: lastAnswerThatCame,
		167: largeErrorBodies, 168: strayAnswer, 169: temporaryErrors, 192: rateLimitHeaders,
	}
}

const (
	protocolError = raw.HTTP2Code(0x1)
	cancelStream  = raw.HTTP2Code(0x8)
)

// speakers start a server for each way of speaking HTTP.
var speakers = map[string]func(*testing.T) *raw.Server{
	"HTTP/1": func(t *testing.T) *raw.Server { return raw.Start(t) },
	"HTTP/2": func(t *testing.T) *raw.Server { return raw.Start(t, raw.HTTP2()) },
	"h2c":    func(t *testing.T) *raw.Server { return raw.Start(t, raw.HTTP2Cleartext()) },
	"HTTP/1 TLS": func(t *testing.T) *raw.Server {
		return raw.Start(t, raw.TLS(raw.Trusted))
	},
}

func forHTTP2(t *testing.T, check func(t *testing.T, start func() *wired)) {
	t.Helper()
	for _, name := range []string{"HTTP/2", "h2c"} {
		t.Run(name, func(t *testing.T) {
			check(t, func() *wired { return wire(t, speakers[name](t)) })
		})
	}
}

func resets(code raw.HTTP2Code) raw.Answer {
	return func(c *raw.Conn) { c.ResetStream(code) }
}

func goesAway(below uint32, code raw.HTTP2Code) raw.Answer {
	return func(c *raw.Conn) { c.GoAway(c.Request.Stream-below, code) }
}

func resetWrites(t *testing.T) {
	t.Run("applied", func(t *testing.T) { forHTTP2(t, checkResetsOnce) })
	t.Run("not looked at", func(t *testing.T) { forHTTP2(t, checkRefusedThrice) })
	t.Run("a read", func(t *testing.T) { forHTTP2(t, checkResetReads) })
	t.Run("over HTTP/1 before", checkProtocolThatChanges)
	t.Run("a transport that insists", checkInsistentTransport)
	t.Run("a transport with requests of its own", checkTransportOfItsOwn)
	t.Run("a transport that asks elsewhere and insists", checkRefetchingTransport)
	t.Run("a transport that adds an idempotency key", checkKeyedTransport)
	t.Run("a write without a body", checkWritesWithoutBody)
	t.Run("a transport that dumps requests", checkDumpingTransport)
	t.Run("a transport that changes all headers", checkGateway)
	t.Run("a dump of a request that is not traced", checkDumpsOfUntracedRequests)
	t.Run("a gateway that repeats", checkGatewayThatRepeats)
	t.Run("a nonce that fails", checkNonceThatFails)
	t.Run("refused together", checkRefusedTogether)
	t.Run("storm", func(t *testing.T) {
		for name, start := range speakers {
			http2 := !strings.HasPrefix(name, "HTTP/1")
			t.Run(name, func(t *testing.T) { checkStorm(t, start(t), http2, true) })
		}
		t.Run("the client's own transport", func(t *testing.T) { checkStorm(t, speakers["HTTP/1"](t), false, false) })
	})
}

// checkResetsOnce: a write that was reset is on the wire once, and the caller is told.
func checkResetsOnce(t *testing.T, start func() *wired) {
	for _, code := range []raw.HTTP2Code{raw.HTTP2NoError, protocolError, raw.HTTP2InternalError, cancelStream, 0xd, 0xff} {
		for name, opts := range map[string][]drift.CallOption{"": nil, "without retry": {drift.WithoutRetry()}} {
			w := start()
			w.raw.Answer(resets(code))
			err := w.post(t.Context(), opts...)
			require.ErrorIs(t, err, drift.ErrAmbiguous, "%#x %s", code, name)
			requireAttempts(t, err, 1, true, 0)
			w.requireSent(1)
			w.requireSpent(1, 1)
		}
	}
}

// checkRefusedThrice: a write that the service has not looked at is repeated by the client, with a slot for each
// attempt.
func checkRefusedThrice(t *testing.T, start func() *wired) {
	for name, answer := range map[string]raw.Answer{
		"refused": resets(raw.HTTP2RefusedStream), "going away": goesAway(1, raw.HTTP2NoError),
		"going away with an error": goesAway(1, raw.HTTP2InternalError),
	} {
		w := start()
		w.raw.Answer(answer)
		err := w.post(t.Context())
		require.NotErrorIs(t, err, drift.ErrAmbiguous, name)
		requireAttempts(t, err, 3, false, 0)
		w.requireSent(3)
		w.requireSpent(0, 0)

		w = start()
		w.raw.Answer(whole, answer)
		require.NoError(t, w.post(t.Context()))
		requireAttempts(t, w.post(t.Context(), drift.WithoutRetry()), 1, false, 0)
		w.requireSent(2)
		w.requireSpent(1, 1)
	}
}

// checkResetReads: the reads that net/http would have sent again are the client's own attempts.
func checkResetReads(t *testing.T, start func() *wired) {
	for _, answer := range []raw.Answer{resets(protocolError), resets(raw.HTTP2RefusedStream), goesAway(1, raw.HTTP2NoError)} {
		w := start()
		w.raw.Answer(answer)
		requireAttempts(t, w.get(t.Context()), 3, true, 0)
		w.requireSent(3)
		w.requireSpent(3, 3)

		w = start()
		w.raw.Answer(answer)
		requireAttempts(t, w.get(t.Context(), drift.WithoutRetry()), 1, true, 0)
		w.requireSent(1)
	}
}

// insistent repeats whatever fails, as some transports do.
type insistent struct{ next http.RoundTripper }

func (i insistent) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	for range 3 {
		if resp, err = i.next.RoundTrip(req); err == nil && resp.StatusCode < 500 {
			return resp, nil
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		req = req.Clone(req.Context())
		if req.GetBody == nil {
			continue
		}
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return resp, err
}

func checkInsistentTransport(t *testing.T) {
	for name, start := range speakers {
		for _, bad := range []raw.Answer{(*raw.Conn).Reset, func(c *raw.Conn) { c.JSON(http.StatusServiceUnavailable, "{}") }} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				server := start(t)
				server.Answer(whole, bad)
				client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: insistent{server.HTTPClient().Transport}}))
				require.NoError(t, client.get(t.Context()))
				err := client.call(t.Context(), method, drift.WithoutRetry())
				require.Error(t, err)
				assert.Equal(t, method != http.MethodGet, errors.Is(err, drift.ErrAmbiguous), "%s %s", name, method)
				assert.Len(t, server.Requests(), 2, "%s %s", name, method)
			}
		}
	}
}

// fetching asks another server before and after each request, with the request's context, as a transport that fetches
// credentials does.
type fetching struct {
	next  http.RoundTripper
	other string
}

func (f fetching) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := f.fetch(req.Context()); err != nil {
		return nil, err
	}
	resp, err := f.next.RoundTrip(req)
	if err == nil {
		err = f.fetch(req.Context())
	}
	return resp, err
}

func (f fetching) fetch(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.other, nil)
	if err != nil {
		return err
	}
	resp, err := f.next.RoundTrip(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close()
}

func checkTransportOfItsOwn(t *testing.T) {
	for name, proxied := range map[string]bool{"directly": false, "through a proxy": true} {
		t.Run(name, func(t *testing.T) {
			server, other := raw.Start(t), raw.Start(t)
			server.Answer(whole)
			other.Answer(whole)
			transport := server.HTTPClient().Transport.(*http.Transport)
			requests := func() int { return len(server.Requests()) }
			if proxied { // it plays the service and the other server
				transport.Proxy = http.ProxyURL(testkit.Must(url.Parse(server.URL)))
			}
			client := newFaultClient(t, "http://127.0.0.1:1", drift.WithHTTPClient(&http.Client{Transport: fetching{transport, other.URL}}))
			if !proxied {
				client = newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: fetching{transport, other.URL}}))
			}
			for range 3 {
				require.NoError(t, client.get(t.Context()))
				require.NoError(t, client.post(t.Context()))
			}
			client.requireSpent(6, 6)
			if proxied {
				assert.Equal(t, 18, requests())
				return
			}
			assert.Equal(t, 6, requests())
			assert.Len(t, other.Requests(), 12)
		})
	}
	t.Run("at the service itself", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(whole)
		client := newFaultClient(t, w.raw.URL, drift.WithHTTPClient(&http.Client{Transport: fetching{w.transport, w.raw.URL + "/oauth2/token"}}))
		require.NoError(t, client.get(t.Context()))
		require.NoError(t, client.post(t.Context()))
		client.requireSpent(2, 2)
		w.requireArrived(6)
	})
}

// refetching gets credentials from another server after a bad answer, and sends again.
type refetching struct{ fetching }

func (r refetching) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil || resp.StatusCode < 400 {
		return resp, err
	}
	_ = resp.Body.Close()
	if err := r.fetch(req.Context()); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	if req.GetBody != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return r.next.RoundTrip(req)
}

func checkRefetchingTransport(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost, http.MethodPut} {
		for name, body := range map[string]any{"with a body": map[string]int{"a": 1}, "without": nil} {
			server, other := raw.Start(t), raw.Start(t)
			server.Answer(func(c *raw.Conn) { c.JSON(http.StatusServiceUnavailable, "{}") })
			other.Answer(whole)
			client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: refetching{fetching{server.HTTPClient().Transport, other.URL}}}))
			err := client.Do(t.Context(), drift.Request{Name: "tests.fault", Method: method, Path: "things", Body: body}, nil, drift.WithoutRetry())
			require.Error(t, client.saw(err))
			assert.Equal(t, method != http.MethodGet, errors.Is(err, drift.ErrAmbiguous), "%s %s", method, name)
			assert.Len(t, server.Requests(), 1, "%s %s", method, name)
		}
	}
}

// keyed adds a header that net/http takes for a promise.
type keyed struct {
	next http.RoundTripper
	name string
	none bool
}

func (k keyed) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if req.Header[k.name] = []string{"key"}; k.none {
		req.Header[k.name] = nil
	}
	return k.next.RoundTrip(req)
}

func checkKeyedTransport(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, none := range []bool{false, true} {
			server := raw.Start(t)
			server.Answer(whole, (*raw.Conn).Close, whole)
			client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: keyed{server.HTTPClient().Transport, name, none}}))
			require.NoError(t, client.post(t.Context()))
			require.ErrorIs(t, client.post(t.Context()), drift.ErrAmbiguous)
			assert.Len(t, server.Requests(), 2)
		}
	}
}

// checkWritesWithoutBody: net/http says nothing of why a write without a body failed, so it may have been applied. It
// has the length 0, as strict servers want it.
func checkWritesWithoutBody(t *testing.T) {
	forHTTP2(t, func(t *testing.T, start func() *wired) {
		archive := drift.Request{Name: "tests.fault", Method: http.MethodPost, Path: "archive"}
		for name, answer := range map[string]raw.Answer{"refused": resets(raw.HTTP2RefusedStream),
			"going away": goesAway(1, raw.HTTP2NoError), "broken": resets(protocolError)} {
			w := start()
			w.raw.Answer(whole, answer, whole)
			require.NoError(t, w.get(t.Context()))
			require.ErrorIs(t, w.saw(w.Do(t.Context(), archive, nil)), drift.ErrAmbiguous, name)
			w.requireArrived(2)
		}
	})
	var length int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		w.WriteHeader(http.StatusNoContent)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newFaultClient(t, server.URL, drift.WithHTTPClient(server.Client()))
	for range 2 { // the client knows the protocol the second time
		length = -1
		require.NoError(t, client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "archive"}, nil))
		assert.Zero(t, length)
	}
}

// dumping logs a request before it sends it.
type dumping struct{ next http.RoundTripper }

func (d dumping) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := httputil.DumpRequestOut(req, true); err != nil {
		return nil, err
	}
	return d.next.RoundTrip(req)
}

// checkDumpingTransport: what httputil writes to look at it goes to no service.
func checkDumpingTransport(t *testing.T) {
	for protocol, speak := range speakers {
		t.Run(protocol, func(t *testing.T) {
			server := speak(t)
			server.Answer(whole)
			client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: dumping{server.HTTPClient().Transport}}))
			for range 3 {
				require.NoError(t, client.get(t.Context()))
				require.NoError(t, client.post(t.Context()))
			}
			assert.Len(t, server.Requests(), 6)
		})
	}
}

// gateway puts credentials and a name of its own in place of the client's.
type gateway struct{ next http.RoundTripper }

func (g gateway) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer of-the-gateway")
	req.Header.Set("User-Agent", "acme/1")
	return g.next.RoundTrip(req)
}

// checkGateway: a request is written once even if no header of it is the client's.
func checkGateway(t *testing.T) {
	for protocol, speak := range speakers {
		broken := (*raw.Conn).Close
		if strings.HasPrefix(protocol, "HTTP/2") || protocol == "h2c" {
			broken = resets(protocolError)
		}
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
			t.Run(protocol+" "+method, func(t *testing.T) {
				server := speak(t)
				server.Answer(whole, broken, whole)
				client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: gateway{server.HTTPClient().Transport}}))
				req := drift.Request{Method: method, Path: "x"}
				require.NoError(t, client.Do(t.Context(), req, nil))
				err := client.Do(t.Context(), req, nil, drift.WithoutRetry())
				require.Error(t, err)
				if method != http.MethodGet {
					require.ErrorIs(t, err, drift.ErrAmbiguous)
				}
				assert.Len(t, server.Requests(), 2)
			})
		}
	}
}

// checkRefusedTogether: refusals are outside the budget, however many calls meet them at once.
func checkRefusedTogether(t *testing.T) {
	const together = 40
	policy := drift.RetryPolicy{MaxAttempts: together + 1, MinBackoff: 1, MaxBackoff: 1}
	for _, protocol := range []string{"HTTP/2", "h2c"} {
		for _, send := range []func(*faultClient) error{
			func(c *faultClient) error { return c.get(t.Context()) }, func(c *faultClient) error { return c.post(t.Context()) },
		} {
			server := speakers[protocol](t)
			server.Answer(append(slices.Repeat([]raw.Answer{resets(raw.HTTP2RefusedStream)}, together), whole)...)
			client := newFaultClient(t, server.URL, drift.WithHTTPClient(server.HTTPClient()), drift.WithRetryPolicy(policy))
			errs := make([]error, together)
			var group sync.WaitGroup
			for i := range errs {
				group.Go(func() { errs[i] = send(client) })
			}
			group.Wait()
			assert.NoError(t, errors.Join(errs...), protocol)
		}
	}
}

// checkDumpsOfUntracedRequests: a dump says nothing about a request that does not report to httptrace.
func checkDumpsOfUntracedRequests(t *testing.T) {
	server := speakers["HTTP/1"](t)
	server.Answer((*raw.Conn).Reset)
	inner := server.HTTPClient().Transport
	client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(
		func(r *http.Request) (*http.Response, error) {
			_, _ = httputil.DumpRequestOut(r, true)
			return inner.RoundTrip(r.Clone(context.Background()))
		})}))
	require.ErrorIs(t, client.post(t.Context()), drift.ErrAmbiguous)
	assert.Len(t, server.Requests(), 1)
}

// checkGatewayThatRepeats: the first request counts as sent, however the transport's own repetition of it ends.
func checkGatewayThatRepeats(t *testing.T) {
	server := speakers["HTTP/1"](t)
	server.Answer(whole)
	inner := gateway{server.HTTPClient().Transport}
	client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(
		func(r *http.Request) (*http.Response, error) {
			again := r.Clone(r.Context())
			again.URL.Host = "127.0.0.1:1"
			again.Body = http.NoBody
			resp, err := inner.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			_ = resp.Body.Close()
			return inner.RoundTrip(again)
		})}))
	require.ErrorIs(t, client.post(t.Context()), drift.ErrAmbiguous)
	assert.Len(t, server.Requests(), 1)
}

// checkNonceThatFails: a request of the transport's own that gets no answer is not the call's.
func checkNonceThatFails(t *testing.T) {
	server := speakers["HTTP/1"](t)
	server.Answer((*raw.Conn).Close, whole)
	inner := server.HTTPClient().Transport
	client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(
		func(r *http.Request) (*http.Response, error) {
			nonce := testkit.Must(http.NewRequestWithContext(r.Context(), http.MethodGet, server.URL+"/nonce", nil))
			if resp, err := inner.RoundTrip(nonce); err == nil {
				_ = resp.Body.Close()
			}
			return inner.RoundTrip(r)
		})}))
	require.NoError(t, client.post(t.Context()))
	assert.Len(t, server.Requests(), 2)
}

// requireArrived: so many requests were on the wire, those of others included.
func (w *wired) requireArrived(requests int) {
	w.t.Helper()
	assert.Len(w.t, w.raw.Requests(), requests)
}

// switching sends over one transport and then over another.
type switching struct {
	mu  sync.Mutex
	now http.RoundTripper
	to  string
}

func (s *switching) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	now, to := s.now, s.to
	s.mu.Unlock()
	req = req.Clone(req.Context())
	req.URL.Host = to
	return now.RoundTrip(req)
}

// checkProtocolThatChanges: a request that was made for HTTP/1 meets HTTP/2, which has the means to send it again, and
// does not.
func checkProtocolThatChanges(t *testing.T) {
	before, after := speakers["HTTP/1"](t), speakers["h2c"](t)
	before.Answer(whole)
	after.Answer(resets(protocolError))
	network := &switching{now: before.HTTPClient().Transport, to: strings.TrimPrefix(before.URL, "http://")}
	client := newFaultClient(t, before.URL, drift.WithHTTPClient(&http.Client{Transport: network}))
	require.NoError(t, client.post(t.Context()))
	network.mu.Lock()
	network.now, network.to = after.HTTPClient().Transport, strings.TrimPrefix(after.URL, "http://")
	network.mu.Unlock()
	require.ErrorIs(t, client.post(t.Context()), drift.ErrAmbiguous)
	assert.Len(t, after.Requests(), 1)
}

// storm is a server that applies writes, or does not, and answers, or does not. It counts by the key that a request
// carries.
type storm struct {
	http2 bool

	mu       sync.Mutex
	random   *rand.Rand
	arrived  map[string]int
	applied  map[string]int
	requests int
	highest  map[int]uint32 // stream that was applied, by connection
	gone     map[int]bool   // connections that are going away
}

var stormKey = regexp.MustCompile(`key-\d+`)

// The ways in which a storm answers.
const (
	answersWell = iota
	answersAndCloses
	answersAndClosesLater // perhaps just when the next request comes
	answersBadly
	resetsConnection
	closesConnection
	breaksTheAnswer // over HTTP/2 the stream
	goesAwayWithIt
	refusesIt
	goesAwayWithoutIt
	waysToAnswer
)

// decide notes the request, and returns how it is answered and what to wait for.
func (s *storm) decide(r raw.Request) (way int, pause time.Duration) {
	key := string(stormKey.Find(append(bytes.Clone(r.Head), r.Body...)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.arrived[key]++
	way = s.random.IntN(waysToAnswer)
	switch {
	case !s.http2 && way >= goesAwayWithIt:
		way = answersWell
	case s.gone[r.Connection]:
		way = refusesIt
	case way == goesAwayWithoutIt && s.highest[r.Connection] > r.Stream, way == goesAwayWithIt && s.highest[r.Connection] > r.Stream:
		way = refusesIt // a higher stream was applied, so that it would be a lie
	}
	s.gone[r.Connection] = s.gone[r.Connection] || way == goesAwayWithoutIt || way == goesAwayWithIt
	certain := way <= answersAndClosesLater || way == goesAwayWithIt
	if way != refusesIt && way != goesAwayWithoutIt && (certain || s.random.IntN(2) == 0) {
		s.applied[key]++
		s.highest[r.Connection] = max(s.highest[r.Connection], r.Stream)
	}
	return way, time.Duration(s.random.IntN(300)) * time.Microsecond
}

func (s *storm) answer(c *raw.Conn) {
	way, pause := s.decide(c.Request)
	if way <= answersAndClosesLater {
		c.JSON(http.StatusOK, `{"data": {"id": 1}}`)
	}
	switch way {
	case answersAndCloses, closesConnection:
		c.Close()
	case answersAndClosesLater:
		c.Pause(pause)
		c.Close()
	case answersBadly:
		c.JSON(http.StatusServiceUnavailable, `{}`)
	case resetsConnection:
		c.Reset()
	case breaksTheAnswer:
		s.breakAnswer(c)
	case goesAwayWithIt:
		c.GoAway(c.Request.Stream, raw.HTTP2NoError)
		c.Close()
	case refusesIt:
		c.ResetStream(raw.HTTP2RefusedStream)
	case goesAwayWithoutIt:
		c.GoAway(c.Request.Stream-1, raw.HTTP2NoError)
	}
}

func (s *storm) breakAnswer(c *raw.Conn) {
	if s.http2 {
		c.ResetStream([]raw.HTTP2Code{protocolError, raw.HTTP2InternalError, cancelStream}[c.Request.Stream%3])
		return
	}
	c.Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"data\"")
	c.Reset()
}

// stormCalls is how many calls each storm has. The nightly run has more.
func stormCalls(t *testing.T) int {
	text := os.Getenv("DRIFT_STORM_CALLS")
	if text == "" {
		return 1000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

func checkStorm(t *testing.T, server *raw.Server, http2, foreign bool) {
	seed := testkit.Seed(t)
	s := &storm{random: rand.New(rand.NewPCG(seed, 1)), http2: http2, arrived: map[string]int{}, applied: map[string]int{},
		highest: map[int]uint32{}, gone: map[int]bool{}}
	server.Answer(s.answer)
	limiter := &countedLimiter{Limiter: testkit.OpenLimiter{}}
	opts := []drift.Option{drift.WithBaseURL(server.URL), drift.WithToken(testkit.MarkedToken), drift.WithLimiter(limiter),
		drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: time.Millisecond, Budget: -1})}
	if foreign {
		opts = append(opts, drift.WithHTTPClient(server.HTTPClient()))
	}
	client, err := drift.NewClient(opts...)
	require.NoError(t, err)
	defer client.Close()
	var calls atomic.Int32
	var attempts atomic.Int64
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for n := calls.Add(1); int(n) <= stormCalls(t) && !t.Failed(); n = calls.Add(1) {
				attempts.Add(int64(s.call(t, client, int(n))))
			}
		})
	}
	running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.LessOrEqual(t, int64(s.requests), attempts.Load(), "no request without an attempt")
	assert.Equal(t, attempts.Load(), int64(len(limiter.books.Outcomes)), "no attempt without a slot")
	t.Logf("%d calls, %d attempts, %d requests", stormCalls(t), attempts.Load(), s.requests)
}

// call makes one call and compares what it says with what the server has done.
func (s *storm) call(t *testing.T, client *drift.Client, n int) (attempts int) {
	key := fmt.Sprintf("key-%d", n)
	var response drift.Response
	opts := []drift.CallOption{drift.WithResponse(&response)}
	if n%5 == 0 {
		opts = append(opts, drift.WithoutRetry())
	}
	var err error
	switch n % 3 {
	case 0:
		_, err = client.Conversations.CreateFromScratch(t.Context(), drift.ConversationCreateFromScratchRequest{Title: key}, opts...)
	case 1:
		_, err = client.Conversations.Update(t.Context(), 1, drift.ConversationUpdateRequest{Labels: drift.Set([]string{key})}, opts...)
	default:
		_, err = client.Conversations.List(t.Context(), drift.ConversationListOptions{Title: key}, opts...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	applied, arrived := s.applied[key], s.arrived[key]
	assert.LessOrEqual(t, arrived, len(response.Attempts), "%s: requests for one attempt each", key)
	if n%3 == 2 {
		return len(response.Attempts)
	}
	assert.LessOrEqual(t, applied, 1, "%s: applied more than once", key)
	switch {
	case err == nil:
		assert.Equal(t, 1, applied, "%s: reported as a success", key)
	case !errors.Is(err, drift.ErrAmbiguous):
		assert.Zero(t, applied, "%s: reported as failed for sure: %v", key, err)
	}
	return len(response.Attempts)
}

// tap is a connection of the client that remembers the keys of the requests that were written to it.
type tap struct {
	net.Conn
	taps *taps
}

type taps struct {
	mu      sync.Mutex
	written map[string]int
}

// Write counts before it writes: the answer may come before it returns.
func (c *tap) Write(p []byte) (int, error) {
	c.taps.count(p, 1)
	n, err := c.Conn.Write(p)
	if n == 0 {
		c.taps.count(p, -1)
	}
	return n, err
}

func (s *taps) count(p []byte, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range stormKey.FindAll(p, -1) {
		s.written[string(key)] += by
	}
}

func (s *taps) client() *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &tap{conn, s}, nil
	}}}
}

func closedWhileIdle(t *testing.T) {
	t.Run("nothing is written", nothingIsWritten)
	t.Run("at random", closedAtRandom)
}

// deaf is a connection that takes nothing any more once it is told so.
type deaf struct {
	net.Conn
	stopped *atomic.Bool
}

func (c deaf) Write(p []byte) (int, error) {
	if c.stopped.CompareAndSwap(true, false) {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

// nothingIsWritten: a kept connection takes not a byte, so that the request is not sent until it has another one.
func nothingIsWritten(t *testing.T) {
	t.Run("by a client that has made no call", func(t *testing.T) {
		server := raw.Start(t)
		server.Answer(whole)
		stopped := new(atomic.Bool)
		transport := server.HTTPClient().Transport.(*http.Transport)
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return deaf{conn, stopped}, err
		}
		resp, err := transport.RoundTrip(testkit.Must(http.NewRequest(http.MethodGet, server.URL, nil)))
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, resp.Body)
		stopped.Store(true)
		client := newFaultClient(t, server.URL, drift.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, client.post(t.Context()))
		assert.Len(t, server.Requests(), 2)
		client.requireSpent(1, 1)
	})
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodGet} {
		server := raw.Start(t)
		server.Answer(whole)
		stopped := new(atomic.Bool)
		transport := server.HTTPClient().Transport.(*http.Transport)
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return deaf{conn, stopped}, err
		}
		w := wireTo(t, server.URL, &http.Client{Transport: transport})
		require.NoError(t, w.call(t.Context(), method))
		stopped.Store(true)
		var response drift.Response
		require.NoError(t, w.call(t.Context(), method, drift.WithResponse(&response)))
		assert.Len(t, server.Requests(), 2)
		if method != http.MethodGet { // a read may be sent again in any case, so that nothing more is known of it
			assert.Equal(t, 2, server.Connections())
			assert.Len(t, response.Attempts, 1)
			w.requireSpent(2, 2)
		}
	}
}

// closedAtRandom looks at what the client's own sockets were given: that is certain whatever the network did with it.
func closedAtRandom(t *testing.T) {
	server := raw.Start(t)
	random := rand.New(rand.NewPCG(testkit.Seed(t), 2))
	var mu sync.Mutex
	server.Answer(func(c *raw.Conn) {
		mu.Lock()
		closes, pause := random.IntN(3) == 0, time.Duration(random.IntN(400))*time.Microsecond
		mu.Unlock()
		c.JSON(http.StatusOK, `{"data": {"id": 1}}`)
		if closes {
			c.Pause(pause)
			c.Close()
		}
	})
	taps := &taps{written: map[string]int{}}
	transport := taps.client()
	defer transport.CloseIdleConnections()
	client, err := drift.NewClient(drift.WithBaseURL(server.URL), drift.WithToken(testkit.MarkedToken), drift.WithLimiter(testkit.OpenLimiter{}), drift.WithHTTPClient(transport),
		drift.WithRetryPolicy(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: time.Millisecond, Budget: -1}))
	require.NoError(t, err)
	ambiguous := 0
	for n := range 2 * stormCalls(t) {
		key := fmt.Sprintf("key-%d", n)
		var response drift.Response
		_, err := client.Conversations.CreateFromScratch(t.Context(), drift.ConversationCreateFromScratchRequest{Title: key}, drift.WithResponse(&response))
		taps.mu.Lock()
		written := taps.written[key]
		taps.mu.Unlock()
		require.Equal(t, 1, written, "%s is written once, whatever comes of it: %v", key, err)
		for _, earlier := range response.Attempts[:len(response.Attempts)-1] {
			require.False(t, earlier.Sent)
		}
		if err != nil {
			require.ErrorIs(t, err, drift.ErrAmbiguous)
			ambiguous++
		}
	}
	t.Logf("%d calls, of which %d are ambiguous", 2*stormCalls(t), ambiguous)
}

// closedPool: a service that restarts leaves many kept connections behind that are closed.
func closedPool(t *testing.T) {
	const kept = 8
	for name, own := range map[string]bool{"of the client's own": true, "of the caller's": false} {
		t.Run(name, func(t *testing.T) {
			server := raw.Start(t)
			server.Answer(append(together(kept), func(c *raw.Conn) {
				if c.Request.Connection <= kept {
					c.Close()
					return
				}
				whole(c)
			})...)
			opts := []drift.Option{drift.WithLimiter(testkit.OpenLimiter{})}
			if !own {
				transport := server.HTTPClient()
				transport.Transport.(*http.Transport).MaxIdleConnsPerHost = kept
				opts = append(opts, drift.WithHTTPClient(transport))
			}
			client := newFaultClient(t, server.URL, opts...)
			client.limiter.Limiter = testkit.OpenLimiter{}
			var all sync.WaitGroup
			for range kept {
				all.Go(func() { assert.NoError(t, client.get(t.Context())) })
			}
			all.Wait()
			for range 3 {
				var response drift.Response
				require.NoError(t, client.get(t.Context(), drift.WithResponse(&response)))
			}
			sent := len(server.Requests())
			client.requireSpent(sent, sent)
			if own {
				assert.Equal(t, kept+1+3, sent, "the others are not tried")
			}
		})
	}
}

// readsWithABody: net/http would send them again after they were written, if it could.
func readsWithABody(t *testing.T) {
	w := wireTCP(t)
	w.raw.Answer(whole, (*raw.Conn).Close, whole)
	search := drift.Request{Name: "tests.fault", Path: "search", Body: map[string]string{testkit.MarkedBody: testkit.MarkedBody}}
	for i, fails := range []bool{false, true, false} {
		err := w.saw(w.Do(t.Context(), search, nil, drift.WithoutRetry()))
		assert.Equal(t, fails, err != nil)
		assert.Len(t, w.raw.Requests(), i+1)
	}
}

// keptConnectionsAside: the next connection is ready when the first one breaks, and gets nothing. The transport takes
// it, or not, by chance, so this is tried often.
func keptConnectionsAside(t *testing.T) {
	const kept = 8
	for range 10 {
		w := wireTCP(t)
		w.limiter.Limiter = testkit.OpenLimiter{} // the client's own lets its first call go alone
		w.transport.MaxIdleConnsPerHost = kept
		w.raw.Answer(append(together(kept), func(c *raw.Conn) { c.Close() })...)
		w.atOnce(kept)
		require.Error(t, w.get(t.Context(), drift.WithoutRetry()))
		w.requireSent(kept + 1)
	}
}

// closedAtTheSecondRequest: every second request on a connection is read, and the connection closed.
func closedAtTheSecondRequest(t *testing.T) {
	t.Run("beside other kept connections", keptConnectionsAside)
	t.Run("a pool of closed connections", closedPool)
	t.Run("a read with a body", readsWithABody)
	for _, name := range []string{"HTTP/1", "HTTP/1 TLS"} {
		t.Run(name, func(t *testing.T) {
			const calls = 100
			second := func(t *testing.T) (*wired, *atomic.Int32) {
				w := wire(t, speakers[name](t))
				w.limiter.Limiter = testkit.OpenLimiter{}
				var seen sync.Map
				closed := new(atomic.Int32)
				w.raw.Answer(func(c *raw.Conn) {
					if _, again := seen.LoadOrStore(c.Request.Connection, true); again {
						closed.Add(1)
						c.Close()
						return
					}
					whole(c)
				})
				return w, closed
			}
			w, closed := second(t)
			failed := 0
			for range calls {
				if err := w.get(t.Context(), drift.WithoutRetry()); err != nil {
					requireAttempts(t, err, 1, true, 0)
					failed++
				}
			}
			w.requireSent(calls)
			w.requireSpent(calls, calls)
			assert.EqualValues(t, closed.Load(), failed)
			assert.Greater(t, failed, calls/4)

			w, closed = second(t)
			for range calls {
				require.NoError(t, w.get(t.Context()), "the budget is not for connections that were closed while idle")
			}
			sent := calls + int(closed.Load())
			w.requireSent(sent)
			w.requireSpent(sent, sent)
			assert.Greater(t, sent, calls+calls/4)
		})
	}
}

func redirectedWrites(t *testing.T) {
	t.Run("a slow body", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := wireTCP(t)
			w.raw.Answer(func(c *raw.Conn) {
				c.Send("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 100\r\n\r\nslow")
				c.Silence()
			})
			err := w.call(t.Context(), method)
			require.ErrorContains(t, err, "redirect")
			assert.NotErrorIs(t, err, context.Canceled)
			assert.Equal(t, method == http.MethodPost, errors.Is(err, drift.ErrAmbiguous))
		}
	})
	for status := 300; status <= 303; status++ {
		for method, ambiguous := range map[string]bool{"GET": false, "HEAD": false, "POST": true, "PATCH": true, "PUT": true, "DELETE": true} {
			client := throughFault(t, testkit.Answer(status, "Location", "/elsewhere"))
			err := client.call(t.Context(), method)
			require.Error(t, err)
			assert.Equal(t, ambiguous, errors.Is(err, drift.ErrAmbiguous), "%s %d", method, status)
			client.requireSpent(1, 1)
		}
	}
}

func lastAnswerThatCame(t *testing.T) {
	for name, test := range map[string]struct {
		answers []testkit.Responder
		status  int
	}{
		"then a reset":         {[]testkit.Responder{testkit.AnswerBody(503, testkit.MarkedAnswer, "X-Request-Id", "r1"), testkit.NoAnswer}, 503},
		"then nothing is sent": {[]testkit.Responder{testkit.AnswerBody(503, testkit.MarkedAnswer, "X-Request-Id", "r1"), testkit.NotSent}, 503},
		"then a broken body":   {[]testkit.Responder{testkit.Answer(503), testkit.BrokenBody}, 200},
		"two":                  {[]testkit.Responder{testkit.Answer(502), testkit.AnswerBody(503, testkit.MarkedAnswer, "X-Request-Id", "r1"), testkit.NoAnswer}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told drift.ResponseInfo
				client := testkit.Through(t, (&testkit.Network{Answers: test.answers}).Serve, drift.WithHooks(drift.Hooks{Response: func(r drift.ResponseInfo) { told = r }}))
				var response drift.Response
				require.Error(t, testkit.Get(t.Context(), client, drift.WithResponse(&response)))
				assert.Equal(t, test.status, response.StatusCode)
				assert.Equal(t, test.status, told.StatusCode)
				assert.Len(t, response.Attempts, 3)
				if test.status == 503 {
					assert.Equal(t, testkit.MarkedAnswer, string(response.Body))
					assert.Equal(t, "r1", response.RequestID)
					assert.Equal(t, "r1", response.Header.Get("X-Request-Id"))
				}
			})
		})
	}
}

func largeErrorBodies(t *testing.T) {
	for name, start := range speakers {
		if strings.HasPrefix(name, "HTTP/2") || name == "h2c" { // raw.Server has no flow control, and a stream costs no connection
			continue
		}
		for _, size := range []int{64<<10 + 1, 200 << 10, 1 << 20} {
			w := wire(t, start(t))
			w.raw.Answer(func(c *raw.Conn) { c.JSON(http.StatusNotFound, strings.Repeat("x", size)) })
			for range 10 {
				require.ErrorIs(t, w.get(t.Context()), drift.ErrNotFound)
			}
			assert.Equal(t, 1, w.raw.Connections(), "%s, %d bytes", name, size)
		}
		w := wire(t, start(t))
		w.raw.Answer(func(c *raw.Conn) {
			c.Send("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n{" + strings.Repeat("x", 1<<16-1) + "\r\n1\r\nx\r\n")
			c.Silence()
		})
		began := time.Now()
		require.ErrorIs(t, w.get(t.Context()), drift.ErrNotFound)
		assert.Less(t, time.Since(began), patience/2, "a body that stalls is not waited for")
	}
}

// strayAnswer is held by words: net/http prints what it did not ask for, and SECURITY.md says so.
func strayAnswer(t *testing.T) {
	var printed bytes.Buffer
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	w := wireTCP(t)
	w.raw.Answer(func(c *raw.Conn) {
		whole(c)
		c.Pause(10 * time.Millisecond)
		c.Send("HTTP/1.1 200 OK\r\nX-Stray: text\r\n")
	})
	require.NoError(t, w.read(t.Context()))
	require.NoError(t, w.read(t.Context()))
	security, err := os.ReadFile(filepath.Join(testkit.Root(t), "SECURITY.md"))
	require.NoError(t, err)
	for _, word := range []string{"log.SetOutput", "GODEBUG", "http2debug"} {
		assert.Contains(t, string(security), word)
	}
}

// passing is an error that says that it will pass.
type passing struct{ error }

func (passing) Temporary() bool { return true }

// late is an error that says that time ran out.
type late struct{ error }

func (late) Timeout() bool { return true }

// flaky fails as often as it is told, in the part of the client that is named.
type flaky struct {
	part  string
	err   error
	times int
}

func (f *flaky) fails(part string) error {
	if f.part == part && f.times > 0 {
		f.times--
		return f.err
	}
	return nil
}

func temporaryErrors(t *testing.T) {
	for _, part := range []string{"limiter", "reserve", "token", "refresh"} {
		for name, test := range map[string]struct {
			err   error
			times int
			fails bool
		}{
			"temporary once": {passing{errors.New(testkit.MarkedAnswer)}, 1, false},
			"timeout twice":  {late{errors.New(testkit.MarkedAnswer)}, 2, false},
			"for ever":       {passing{errors.New(testkit.MarkedAnswer)}, 1000, true},
			"permanent":      {errors.New(testkit.MarkedAnswer), 1, true},
		} {
			t.Run(part+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					checkTemporary(t, &flaky{part, test.err, test.times}, test.fails)
				})
			})
		}
	}
}

func checkTemporary(t *testing.T, f *flaky, fails bool) {
	good := "token0"
	if f.part == "refresh" {
		good = "token1"
	}
	service := func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "Bearer "+good {
			return testkit.Answer(401)(r)
		}
		return testkit.Answer(200)(r)
	}
	times := f.times
	limiter := &countedLimiter{Limiter: &flakyLimiter{flaky: f}}
	client, err := drift.NewClient(drift.WithBaseURL("https://drift.test"), drift.WithTokenSource(&flakySource{flaky: f}), drift.WithLimiter(limiter),
		drift.WithQuotaStore(&flakyStore{flaky: f}), drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(service)}))
	require.NoError(t, err)
	var response drift.Response
	err = testkit.Call(t.Context(), client, http.MethodPost, drift.WithResponse(&response))
	assert.Zero(t, limiter.held())
	if fails {
		require.Error(t, err)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous)
		assert.NotContains(t, err.Error(), testkit.MarkedAnswer)
		assert.Equal(t, min(times, 3), times-f.times, "as many attempts as a call has")
		return
	}
	require.NoError(t, err)
	if f.part == "refresh" { // each failure comes after an attempt that was refused
		assert.Len(t, response.Attempts, times+2)
		return
	}
	assert.Len(t, response.Attempts, 1)
}

type flakyLimiter struct {
	testkit.OpenLimiter
	flaky *flaky
}

func (l *flakyLimiter) Acquire(ctx context.Context, turn drift.Turn) (drift.Slot, error) {
	if err := l.flaky.fails("limiter"); err != nil {
		return nil, err
	}
	return l.OpenLimiter.Acquire(ctx, turn)
}

type flakyStore struct{ flaky *flaky }

func (s *flakyStore) Reserve(context.Context) (drift.Reservation, error) {
	return testkit.Reserved{}, s.flaky.fails("reserve")
}

func (s *flakyStore) Usage(context.Context) (drift.Usage, error) {
	return drift.Usage{}, nil
}

type flakySource struct {
	flaky *flaky
	count int
}

func (s *flakySource) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

func (s *flakySource) TokenContext(context.Context) (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: fmt.Sprint("token", s.count)}, s.flaky.fails("token")
}

func (s *flakySource) Refresh(context.Context, *oauth2.Token) (*oauth2.Token, error) {
	if err := s.flaky.fails("refresh"); err != nil {
		return nil, err
	}
	s.count++
	return &oauth2.Token{AccessToken: fmt.Sprint("token", s.count)}, nil
}

// rateLimitHeaders: what the service says of its limit holds the other calls back.
func rateLimitHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header []string
		until  time.Duration
	}{
		"429":                       {429, []string{"RateLimit-Reset", "7"}, 7 * time.Second},
		"429 with X":                {429, []string{"X-RateLimit-Reset", "7"}, 7 * time.Second},
		"429 with an epoch":         {429, []string{"X-RateLimit-Reset", "946684807", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 7 * time.Second},
		"429 with Retry-After":      {429, []string{"RateLimit-Reset", "7", "Retry-After", "3"}, 3 * time.Second},
		"429 with junk":             {429, []string{"RateLimit-Reset", "soon"}, time.Second},
		"remaining 0":               {200, []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "9"}, 9 * time.Second},
		"remaining 0 with X":        {200, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "9"}, 9 * time.Second},
		"remaining 0 with windows":  {200, []string{"RateLimit-Remaining", "0;w=60, 12;w=3600", "RateLimit-Reset", "9;w=60, 900"}, 9 * time.Second},
		"remaining 0 for a day":     {200, []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "86400"}, 5 * time.Minute},
		"remaining 0 with ms":       {404, []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "946684807000", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 7 * time.Second},
		"429 with a fraction":       {429, []string{"X-RateLimit-Reset", "946684806.5", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 7 * time.Second},
		"429 with microseconds":     {429, []string{"X-RateLimit-Reset", "946684807000000", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 7 * time.Second},
		"429 with nanoseconds":      {429, []string{"X-RateLimit-Reset", "946684807000000000", "Date", "Sat, 01 Jan 2000 00:00:00 GMT"}, 7 * time.Second},
		"429 with a date":           {429, []string{"RateLimit-Reset", "Sat, 01 Jan 2000 00:00:07 GMT"}, 7 * time.Second},
		"429 with RFC 3339":         {429, []string{"RateLimit-Reset", "2000-01-01T00:00:07Z"}, 7 * time.Second},
		"429 with a small fraction": {429, []string{"RateLimit-Reset", "6.1"}, 7 * time.Second},
		"remaining less than 0":     {200, []string{"RateLimit-Remaining", "-1", "RateLimit-Reset", "9"}, 9 * time.Second},
		"remaining 0.0":             {200, []string{"RateLimit-Remaining", "0.0", "RateLimit-Reset", "9"}, 9 * time.Second},
		"remaining 0, a fraction":   {200, []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "946684806.5"}, 7 * time.Second},
		"remaining 1":               {200, []string{"RateLimit-Remaining", "1", "RateLimit-Reset", "9"}, 0},
		"remaining 0, no reset":     {200, []string{"RateLimit-Remaining", "0"}, 0},
		"remaining junk":            {200, []string{"RateLimit-Remaining", "none", "RateLimit-Reset", "9"}, 0},
		"reset in the past":         {200, []string{"RateLimit-Remaining", "0", "RateLimit-Reset", "-9"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := throughFault(t, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(test.status, test.header...), testkit.Answer(200)}}).Serve)
				err := client.get(t.Context(), drift.WithoutRetry())
				var limited *drift.RateLimitError
				if errors.As(err, &limited) {
					assert.Equal(t, test.until, limited.RetryAfter)
				}
				began := time.Now()
				require.NoError(t, client.get(t.Context()))
				assert.Equal(t, test.until, time.Since(began))
			})
		})
	}
}

// foreignRecords: an answer that belongs to another call is never taken for the call's own.
func foreignRecords(t *testing.T) {
	for name, test := range map[string]struct {
		call func(*drift.Client) error
		body string
		path string // "": the answer is taken
	}{
		"conversations.get":      {func(c *drift.Client) error { return second(c.Conversations.Get(t.Context(), 1)) }, `{"data":{"id":2}}`, "/id"},
		"under another spelling": {func(c *drift.Client) error { return second(c.Conversations.Get(t.Context(), 1)) }, `{"data":{"ID":"2"}}`, "/ID"},
		"conversations.get, own": {func(c *drift.Client) error { return second(c.Conversations.Get(t.Context(), 1)) }, `{"data":{"id":"1"}}`, ""},
		"conversations.update":   {updateConversation(t), `{"data":{"id":2}}`, "/id"},
		"tags.get":               {func(c *drift.Client) error { return second(c.Tags.Get(t.Context(), 1)) }, `{"data":{"id":2}}`, "/id"},
		"tags.update": {func(c *drift.Client) error {
			return second(c.Tags.Update(t.Context(), 1, drift.TagUpdateRequest{Name: drift.Set("a")}))
		}, `{"data":{"id":2}}`, "/id"},
		"meetings.get": {func(c *drift.Client) error { return second(c.Meetings.Get(t.Context(), 1)) }, `{"data":{"id":2}}`, "/id"},
		"meetings.update": {func(c *drift.Client) error {
			return second(c.Meetings.Update(t.Context(), 1, drift.MeetingUpdateRequest{Subject: drift.Set("a")}))
		}, `{"data":{"id":2}}`, "/id"},
		"messages.get": {func(c *drift.Client) error { return second(c.Messages.Get(t.Context(), 7, 1)) }, `{"data":{"id":7}}`, "/id"},
		"messages.update": {func(c *drift.Client) error {
			return second(c.Messages.Update(t.Context(), 7, 1, drift.MessageUpdateRequest{Body: drift.Set("a")}))
		}, `{"data":{"id":7}}`, "/id"},
		"notes.get": {func(c *drift.Client) error { return second(c.Notes.Get(t.Context(), 7, 1)) }, `{"data":{"id":7}}`, "/id"},
		"notes.update": {func(c *drift.Client) error {
			return second(c.Notes.Update(t.Context(), 7, 1, drift.NoteUpdateRequest{Body: drift.Set("a")}))
		}, `{"data":{"id":7}}`, "/id"},
		"contacts.get": {func(c *drift.Client) error { return second(c.Contacts.Get(t.Context(), 1)) }, `{"data":{"id":2}}`, ""},
		"driftbot.updateMessage": {func(c *drift.Client) error {
			return second(c.Driftbot.UpdateMessage(t.Context(), 1, drift.DriftbotUpdateMessageRequest{Body: drift.Set("a")}))
		}, `{"data":{"id":2}}`, ""},
		"messages.create":         {createMessage(t), `{"data":{"id":9,"conversation_id":2}}`, "/conversation_id"},
		"messages.create, key":    {createMessage(t), `{"data":{"id":9,"conversation_id":1,"clientMessageId":"b"}}`, "/clientMessageId"},
		"messages.create, own":    {createMessage(t), `{"data":{"id":9,"conversation_id":1,"client_message_id":"a"}}`, ""},
		"messages.create, silent": {createMessage(t), `{"data":{"id":9}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			network := &testkit.Network{Answers: []testkit.Responder{testkit.AnswerBody(200, test.body)}}
			err := test.call(testkit.Through(t, network.Serve))
			if test.path == "" {
				require.NoError(t, err)
				return
			}
			var decode *drift.DecodeError
			require.ErrorAs(t, err, &decode)
			assert.Equal(t, test.path, decode.Path)
			assert.Len(t, network.Requests(), 1)
			assert.Equal(t, network.Requests()[0].Method != http.MethodGet, errors.Is(err, drift.ErrAmbiguous))
		})
	}
	t.Run("the connection is given up", proxyOutOfStep)
}

func second[T any](_ *T, err error) error { return err }

func updateConversation(t *testing.T) func(*drift.Client) error {
	return func(c *drift.Client) error {
		return second(c.Conversations.Update(t.Context(), 1, drift.ConversationUpdateRequest{Labels: drift.Set([]string{"a"})}))
	}
}

func createMessage(t *testing.T) func(*drift.Client) error {
	return func(c *drift.Client) error {
		return second(c.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "text", ClientMessageID: "a"}))
	}
}

// proxyOutOfStep answers each request with the answer to the one before, on its connection.
func proxyOutOfStep(t *testing.T) {
	server := raw.Start(t)
	var before sync.Map
	server.Answer(func(c *raw.Conn) {
		path, _, _ := strings.Cut(strings.TrimPrefix(string(c.Request.Head), "GET /v2/tags/"), " ")
		answered, late := before.Swap(c.Request.Connection, path)
		if !late {
			answered = path
		}
		c.JSON(http.StatusOK, fmt.Sprintf(`{"data":{"id":%s}}`, answered))
	})
	client, err := drift.NewClient(drift.WithBaseURL(server.URL), drift.WithToken(testkit.MarkedToken), drift.WithLimiter(testkit.OpenLimiter{}))
	require.NoError(t, err)
	defer client.Close()
	foreign := 0
	for id := range drift.TagID(10) {
		tag, err := client.Tags.Get(t.Context(), id+1)
		if err != nil {
			require.ErrorAs(t, err, new(*drift.DecodeError))
			foreign++
			continue
		}
		assert.Equal(t, id+1, tag.ID)
	}
	assert.Equal(t, 5, foreign, "the next connection is in step, once")
}
