package faults_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/faults"
	"github.com/driftsdk/drift/internal/raw"
	"github.com/driftsdk/drift/internal/testkit"
)

// connectionFaults: what can go wrong with connections.
func connectionFaults() faults.Cases {
	return faults.Cases{
		1: connectionRefused, 2: hostNotFound, 3: untrustedCertificate, 4: handshakeStalls, 5: resetBeforeHeaders,
		6: resetBeforeAnswer, 7: staleConnection, 8: idempotencyKey, 9: resetInHeaders, 10: resetInBody,
		11: chunksCutOff, 12: gzipCutOff, 13: extraBytes, 14: slowAnswerHeaders, 15: slowAnswerBody, 16: neverAnswers,
		17: goAwayAbove, 18: goAwayBelow, 19: refusedStream, 20: deadPeer, 21: streamResetInBody,
		22: informationalAnswers, 23: restartBetweenCalls, 24: poolIsKept, 25: proxyRefuses, 26: proxyLoginPage, 27: brokenIPv6,
	}
}

// wired is a client for one row, and the server that it is wired to, which sends what the row says.
type wired struct {
	*faultClient
	raw       *raw.Server
	transport *http.Transport
}

// patience is more than anything here takes: a test that hangs shall fail instead.
const patience = 20 * time.Second

// briefly is enough for an answer on loopback.
const briefly = 250 * time.Millisecond

func wire(t *testing.T, server *raw.Server) *wired {
	t.Helper()
	w := wireTo(t, server.URL, server.HTTPClient())
	w.raw = server
	return w
}

// wireTo returns a client that sends to baseURL through an http.Client of the test's.
func wireTo(t *testing.T, baseURL string, client *http.Client) *wired {
	t.Helper()
	transport := client.Transport.(*http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	bodies := new(openBodies)
	counted := &http.Client{Transport: pooled{bodies.count(transport.RoundTrip), transport}, Timeout: cmp.Or(client.Timeout, patience)}
	w := &wired{faultClient: newFaultClient(t, baseURL, drift.WithHTTPClient(counted)), transport: transport}
	w.bodies = bodies
	return w
}

// pooled is a transport whose pool the client could empty, as it could that of an http.Transport.
type pooled struct {
	testkit.Responder
	pool *http.Transport
}

func (p pooled) CloseIdleConnections() { p.pool.CloseIdleConnections() }

// The answers to read and write.
const (
	wholeList   = `{"data": [{"id": 1, "title": "` + testkit.MarkedAnswer + `"}, {"id": 2}]}`
	wholeRecord = `{"data": {"id": 1, "title": "` + testkit.MarkedAnswer + `"}}`
)

// read fetches a list: the whole list or nothing.
func (w *wired) read(ctx context.Context) error {
	w.t.Helper()
	page, err := w.Conversations.List(ctx, drift.ConversationListOptions{Title: testkit.MarkedQuery, Email: testkit.MarkedAddress})
	if err != nil {
		assert.Nil(w.t, page)
		return w.saw(err)
	}
	assert.Len(w.t, page.Items, 2)
	return nil
}

// write creates a record: the whole record or nothing.
func (w *wired) write(ctx context.Context) error {
	w.t.Helper()
	record, err := w.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{Email: testkit.MarkedAddress, Title: testkit.MarkedBody})
	if err != nil {
		assert.Nil(w.t, record)
		return w.saw(err)
	}
	assert.EqualValues(w.t, 1, record.ID)
	return nil
}

// both are the calls that rows treat alike.
var both = map[string]func(*wired, context.Context) error{"read": (*wired).read, "write": (*wired).write}

func forBoth(t *testing.T, check func(t *testing.T, call func(*wired, context.Context) error)) {
	t.Helper()
	for name, call := range both {
		t.Run(name, func(t *testing.T) { check(t, call) })
	}
}

// whole is the right answer to read and to write.
func whole(c *raw.Conn) { c.JSON(http.StatusOK, wholeFor(c)) }

func wholeFor(c *raw.Conn) string {
	if len(c.Request.Body) == 0 {
		return wholeList
	}
	return wholeRecord
}

// sends is an answer of these bytes, after which the connection is closed.
func sends(text string) raw.Answer {
	return func(c *raw.Conn) {
		c.Send(text)
		c.Close()
	}
}

// requireSent: so many requests were on the wire, each with all its parts.
func (w *wired) requireSent(requests int) {
	w.t.Helper()
	arrived := w.raw.Requests()
	require.Len(w.t, arrived, requests)
	for _, r := range arrived {
		if r.Stream == 0 {
			assert.Contains(w.t, string(r.Head), "Authorization: Bearer "+testkit.MarkedToken+"\r\n")
		}
		assert.True(w.t, len(r.Body) == 0 || strings.Contains(string(r.Body), testkit.MarkedBody), "%s", r.Body)
	}
}

// requireAttempts returns the TransportError of a call and looks at its attempts.
func requireAttempts(t *testing.T, err error, attempts int, sent bool, status int) *drift.TransportError {
	t.Helper()
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.Equal(t, sent, transport.Sent)
	assert.Len(t, transport.Attempts, attempts)
	for _, attempt := range transport.Attempts {
		assert.Equal(t, sent, attempt.Sent)
		assert.Equal(t, status, attempt.StatusCode)
		require.Error(t, attempt.Err)
	}
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	assert.NotErrorIs(t, err, context.Canceled)
	return transport
}

// checkUnsent: nothing was sent, so the call went out that often, whatever it is, and counts nowhere.
func checkUnsent(t *testing.T, w *wired, err error, attempts int) {
	t.Helper()
	requireAttempts(t, err, attempts, false, 0)
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	w.requireSpent(0, 0)
}

// checkBrokenAnswer: the request was sent, and of its answer no more came than perhaps a status. A read goes out again;
// a write does not, because it may have been applied. start starts the server.
func checkBrokenAnswer(t *testing.T, start func(*testing.T) *wired, broken raw.Answer, status int) {
	t.Helper()
	t.Run("read once more", func(t *testing.T) {
		w := start(t)
		w.raw.Answer(broken, whole)
		require.NoError(t, w.read(t.Context()))
		w.requireSent(2)
		w.requireSpent(2, 2)
	})
	t.Run("read in vain", func(t *testing.T) {
		w := start(t)
		w.raw.Answer(broken)
		err := w.read(t.Context())
		requireAttempts(t, err, 3, true, status)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous)
		w.requireSent(3)
		w.requireSpent(3, 3)
	})
	t.Run("write", func(t *testing.T) {
		w := start(t)
		w.raw.Answer(broken, whole)
		err := w.write(t.Context())
		require.ErrorIs(t, err, drift.ErrAmbiguous)
		requireAttempts(t, err, 1, true, status)
		w.requireSent(1)
		w.requireSpent(1, 1)
		require.NoError(t, w.read(t.Context()), "the client is none the worse for it")
	})
}

func wireTCP(t *testing.T) *wired {
	t.Helper()
	return wire(t, raw.Start(t))
}

func wireHTTP2(t *testing.T) *wired {
	t.Helper()
	return wire(t, raw.Start(t, raw.HTTP2()))
}

func connectionRefused(t *testing.T) {
	forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
		server := raw.Start(t)
		server.Close() // so that connections are refused
		w := wireTo(t, server.URL, &http.Client{Transport: new(http.Transport)})
		err := call(w, t.Context())
		checkUnsent(t, w, err, 3)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.ErrorContains(t, err, "connection refused")
		assert.NotContains(t, err.Error(), server.URL)
	})
}

func hostNotFound(t *testing.T) {
	const serverFailure, noSuchName = 2, 3
	for _, test := range []struct {
		name     string
		code     byte
		attempts int
	}{{"for good", noSuchName, 1}, {"for the moment", serverFailure, 3}} {
		t.Run(test.name, func(t *testing.T) {
			forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
				dialer := &net.Dialer{Resolver: nameServer{code: test.code}.resolver()}
				w := wireTo(t, "https://drift.invalid", &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}})
				err := call(w, t.Context())
				checkUnsent(t, w, err, test.attempts)
				var dns *net.DNSError
				require.ErrorAs(t, err, &dns)
				assert.Equal(t, test.code == noSuchName, dns.IsNotFound)
				require.ErrorContains(t, err, "not sent to drift.invalid:443: ")
			})
		})
	}
}

func untrustedCertificate(t *testing.T) {
	for certificate, reason := range map[raw.Certificate]any{
		raw.Untrusted: new(x509.UnknownAuthorityError),
		raw.Expired:   new(x509.CertificateInvalidError),
		raw.WrongHost: new(x509.HostnameError),
	} {
		t.Run(fmt.Sprintf("%T", reason), func(t *testing.T) {
			forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
				w := wire(t, raw.Start(t, raw.TLS(certificate)))
				w.raw.Answer(whole)
				err := call(w, t.Context())
				checkUnsent(t, w, err, 1)
				require.ErrorAs(t, err, reason)
				require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
				assert.Equal(t, 1, w.raw.Connections())
				w.requireSent(0)
			})
		})
	}
}

func handshakeStalls(t *testing.T) {
	start := func(t *testing.T, timeout time.Duration) *wired {
		w := wire(t, raw.Start(t, raw.TLS(raw.Trusted)))
		w.transport.TLSHandshakeTimeout = timeout
		w.raw.Answer(whole)
		return w
	}
	forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
		w := start(t, 50*time.Millisecond)
		w.raw.Accept((*raw.Conn).Silence)
		err := call(w, t.Context())
		checkUnsent(t, w, err, 3)
		require.ErrorContains(t, err, "timed out while connecting")
		testkit.RequireTimeout(t, err)
		assert.Equal(t, 3, w.raw.Connections())
		w.requireSent(0)

		w = start(t, 500*time.Millisecond)
		w.raw.Accept((*raw.Conn).Silence, nil)
		checkSentOnce(t, w, call)
	})
}

// checkSentOnce: the first attempt gets an unusable connection and sends nothing, the second one succeeds.
func checkSentOnce(t *testing.T, w *wired, call func(*wired, context.Context) error) {
	t.Helper()
	require.NoError(t, call(w, t.Context()))
	assert.GreaterOrEqual(t, w.raw.Connections(), 2)
	w.requireSent(1)
	w.requireSpent(1, 1)
}

// In TLS nothing of a request is written before the server has answered, so that it is certain that nothing was.
func resetBeforeHeaders(t *testing.T) {
	for name, broken := range map[string]raw.Answer{"reset": (*raw.Conn).Reset, "closed": (*raw.Conn).Close} {
		for protocol, option := range map[string]raw.Option{"HTTP/1.1": raw.TLS(raw.Trusted), "HTTP/2": raw.HTTP2()} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
					w := wire(t, raw.Start(t, option))
					w.raw.Accept(broken, nil)
					w.raw.Answer(whole)
					checkSentOnce(t, w, call)

					w = wire(t, raw.Start(t, option))
					w.raw.Accept(broken)
					checkUnsent(t, w, call(w, t.Context()), 3)
					assert.Equal(t, 3, w.raw.Connections())
				})
			})
		}
	}
}

func resetBeforeAnswer(t *testing.T) {
	checkBrokenAnswer(t, wireTCP, (*raw.Conn).Reset, 0)
	t.Run("reason", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer((*raw.Conn).Reset)
		require.ErrorIs(t, w.write(t.Context()), syscall.ECONNRESET)
	})
}

// A read is sent again when a kept connection turns out to be closed: by the client, with a slot and a count for each.
func staleConnection(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(whole, (*raw.Conn).Close, whole)
		require.NoError(t, w.read(t.Context()))
		require.NoError(t, w.read(t.Context()))
		w.requireSent(3)
		w.requireSpent(3, 3)
	})
	t.Run("write", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(whole, (*raw.Conn).Close, whole)
		require.NoError(t, w.write(t.Context()))
		err := w.write(t.Context())
		require.ErrorIs(t, err, drift.ErrAmbiguous)
		requireAttempts(t, err, 1, true, 0)
		w.requireSent(2)
		w.requireSpent(2, 2)
		assert.Equal(t, 1, w.raw.Connections(), "it was a kept connection")
	})
}

func idempotencyKey(t *testing.T) {
	w := wireTCP(t)
	w.raw.Answer(whole)
	for _, name := range []string{"Idempotency-Key", "idempotency-key", "X-Idempotency-Key"} {
		_, err := drift.NewClient(drift.WithToken(testkit.MarkedToken), drift.WithHeader(name, testkit.MarkedHeader))
		require.ErrorIs(t, w.saw(err), drift.ErrInvalid)
		require.ErrorIs(t, w.post(t.Context(), drift.WithHeader(name, testkit.MarkedHeader)), drift.ErrInvalid)
	}
	w.requireSent(0)
	w.requireSpent(0, 0)
}

func resetInHeaders(t *testing.T) {
	for name, end := range map[string]raw.Answer{"reset": (*raw.Conn).Reset, "closed": (*raw.Conn).Close} {
		t.Run(name, func(t *testing.T) {
			checkBrokenAnswer(t, wireTCP, func(c *raw.Conn) {
				c.Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-" + testkit.MarkedAnswer)
				end(c)
			}, 0)
		})
	}
}

func resetInBody(t *testing.T) {
	for name, end := range map[string]raw.Answer{"reset": (*raw.Conn).Reset, "closed": (*raw.Conn).Close} {
		t.Run(name, func(t *testing.T) {
			checkBrokenAnswer(t, wireTCP, func(c *raw.Conn) {
				body := wholeFor(c) // valid JSON: only its length tells that something is missing
				c.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body)+1, body))
				end(c)
			}, http.StatusOK)
		})
	}
}

func chunksCutOff(t *testing.T) {
	for name, end := range map[string]string{"between chunks": "\r\n", "in a chunk": "", "in the last chunk": "\r\n0\r\n", "in a chunk's length": "\r\n1"} {
		t.Run(name, func(t *testing.T) {
			checkBrokenAnswer(t, wireTCP, func(c *raw.Conn) {
				body := wholeFor(c)
				c.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s%s", len(body), body, end))
				c.Close()
			}, http.StatusOK)
		})
	}
}

// The last eight bytes are a checksum and a length: without them the whole JSON is there.
func gzipCutOff(t *testing.T) {
	for _, missing := range []int{1, 8, 20} {
		t.Run(fmt.Sprintf("%d bytes missing", missing), func(t *testing.T) {
			checkBrokenAnswer(t, wireTCP, func(c *raw.Conn) {
				body := compressed(wholeFor(c))
				sendCompressed(c, body[:len(body)-missing])
			}, http.StatusOK)
		})
	}
	t.Run("nothing missing", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(func(c *raw.Conn) { sendCompressed(c, compressed(wholeFor(c))) })
		require.NoError(t, w.read(t.Context()))
	})
}

func compressed(text string) string {
	var data bytes.Buffer
	w := gzip.NewWriter(&data)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return data.String()
}

func sendCompressed(c *raw.Conn, body string) {
	c.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

func extraBytes(t *testing.T) {
	log.SetOutput(io.Discard) // net/http prints what it did not ask for
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	const foreign = `HTTP/1.1 200 OK` + "\r\nContent-Length: 20\r\n\r\n" + `{"data": {"id": 66}}`
	forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
		w := wireTCP(t)
		closed := make(chan struct{})
		w.raw.Answer(func(c *raw.Conn) {
			whole(c)
			c.Send(foreign)
			c.Silence()
			close(closed)
		}, whole)
		require.NoError(t, call(w, t.Context()))
		<-closed // by the client: it does not use the connection again
		require.NoError(t, call(w, t.Context()))
		w.requireSent(2)
		w.requireSpent(2, 2)
		assert.Equal(t, 2, w.raw.Connections())
	})
	t.Run("of the JSON itself", func(t *testing.T) {
		forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
			w := wireTCP(t)
			w.raw.Answer(sends("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + wholeList))
			require.ErrorAs(t, call(w, t.Context()), new(*drift.DecodeError))
			w.requireSent(1)
			w.requireSpent(1, 1)
		})
	})
}

// dripped is the right answer, from some byte on much too slow.
func dripped(from func(answer string) int) raw.Answer {
	return func(c *raw.Conn) {
		body := wholeFor(c)
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		n := from(answer)
		_ = c.Send(answer[:n]) && c.Drip(answer[n:], 100*time.Millisecond)
	}
}

var (
	slowFromTheStart = dripped(func(string) int { return 0 })
	slowFromTheBody  = dripped(func(answer string) int { return strings.Index(answer, "{") })
)

// wireImpatient has a short timeout for headers.
func wireImpatient(t *testing.T) *wired {
	t.Helper()
	w := wireTCP(t)
	w.transport.ResponseHeaderTimeout = briefly
	return w
}

// wireImpatientInAll has a short timeout for an attempt.
func wireImpatientInAll(t *testing.T) *wired {
	t.Helper()
	server := raw.Start(t)
	client := server.HTTPClient()
	client.Timeout = briefly
	w := wireTo(t, server.URL, client)
	w.raw = server
	return w
}

// checkContext: the end of the caller's context comes first, ends the call at once, and is what the error says.
func checkContext(t *testing.T, slow raw.Answer) {
	t.Helper()
	t.Run("deadline", func(t *testing.T) {
		forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
			w := wireTCP(t)
			w.raw.Answer(whole, slow)
			require.NoError(t, call(w, t.Context())) // so that there is a connection
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := call(w, ctx)
			assert.Less(t, time.Since(start), patience/4)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorAs(t, err, new(*drift.TransportError))
			w.requireSent(2)
			w.requireSpent(2, 2)
		})
	})
}

func slowAnswerHeaders(t *testing.T) {
	checkBrokenAnswer(t, wireImpatient, slowFromTheStart, 0)
	checkContext(t, slowFromTheStart)
}

func slowAnswerBody(t *testing.T) {
	checkBrokenAnswer(t, wireImpatientInAll, slowFromTheBody, http.StatusOK)
	checkContext(t, slowFromTheBody)
	t.Run("context of several attempts", func(t *testing.T) {
		w := wireImpatientInAll(t)
		ctx, cancel := context.WithCancel(t.Context())
		w.raw.Answer(slowFromTheBody, func(c *raw.Conn) {
			cancel()
			c.Silence()
		})
		require.ErrorIs(t, w.read(ctx), context.Canceled)
		w.requireSent(2)
	})
}

func neverAnswers(t *testing.T) {
	checkBrokenAnswer(t, wireImpatient, (*raw.Conn).Silence, 0)
	checkContext(t, (*raw.Conn).Silence)
	t.Run("timeout", func(t *testing.T) {
		w := wireImpatient(t)
		w.raw.Answer((*raw.Conn).Silence)
		testkit.RequireTimeout(t, w.write(t.Context()))
	})
	t.Run("others go on", func(t *testing.T) {
		w := wireTCP(t)
		silent := make(chan struct{})
		w.raw.Answer(whole, func(c *raw.Conn) {
			close(silent)
			c.Silence()
		}, whole)
		require.NoError(t, w.read(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.write(ctx) }()
		<-silent
		require.NoError(t, w.read(t.Context()))
		require.NoError(t, w.write(t.Context()))
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		w.requireSent(4)
		w.requireSpent(4, 4)
	})
}

// The service says that it has not looked at the request.
func goAwayAbove(t *testing.T) {
	above := func(code raw.HTTP2Code) raw.Answer {
		return func(c *raw.Conn) { c.GoAway(c.Request.Stream-1, code) }
	}
	for _, code := range []raw.HTTP2Code{raw.HTTP2NoError, raw.HTTP2InternalError} {
		w := checkNotLookedAt(t, above(code))
		requests := w.raw.Requests()
		assert.NotEqual(t, requests[0].Connection, requests[1].Connection)
	}
}

func refusedStream(t *testing.T) {
	w := checkNotLookedAt(t, func(c *raw.Conn) { c.ResetStream(raw.HTTP2RefusedStream) })
	assert.Equal(t, 1, w.raw.Connections())
}

// checkNotLookedAt: a write that the service has not looked at is another attempt, and the first costs nothing. Of a
// read net/http does not tell why it failed, so it counts as sent.
func checkNotLookedAt(t *testing.T, answer raw.Answer) (write *wired) {
	t.Helper()
	read := wireHTTP2(t)
	read.raw.Answer(answer, whole)
	require.NoError(t, read.read(t.Context()))
	read.requireSent(2)
	write = wireHTTP2(t)
	write.raw.Answer(answer, whole)
	require.NoError(t, write.write(t.Context()))
	write.requireSent(2)
	write.requireSpent(1, 1)
	requests := write.raw.Requests()
	assert.Equal(t, string(requests[0].Body), string(requests[1].Body))
	return write
}

func goAwayBelow(t *testing.T) {
	checkBrokenAnswer(t, wireHTTP2, func(c *raw.Conn) {
		c.GoAway(c.Request.Stream, raw.HTTP2NoError)
		c.Close()
	}, 0)
}

// deadPeer: that the client's own Transport finds out within 25 s is for TestOwnTransport to show.
func deadPeer(t *testing.T) {
	start := func(t *testing.T) *wired {
		w := wireHTTP2(t)
		w.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Millisecond, PingTimeout: briefly}
		return w
	}
	checkBrokenAnswer(t, start, (*raw.Conn).Blackhole, 0)
	t.Run("another connection", func(t *testing.T) {
		w := start(t)
		w.raw.Answer(whole, (*raw.Conn).Blackhole, whole)
		for _, want := range []error{nil, drift.ErrAmbiguous, nil, nil} {
			require.ErrorIs(t, w.write(t.Context()), want)
		}
		w.requireSent(4)
		w.requireSpent(4, 4)
		on := func(request int) int { return w.raw.Requests()[request].Connection }
		assert.Equal(t, on(0), on(1))
		assert.NotEqual(t, on(1), on(2))
		assert.Equal(t, on(2), on(3), "and stays with it")
	})
}

func streamResetInBody(t *testing.T) {
	checkBrokenAnswer(t, wireHTTP2, func(c *raw.Conn) {
		c.Headers(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, false)
		c.Data(wholeFor(c), false)
		c.ResetStream(raw.HTTP2InternalError)
	}, http.StatusOK)
}

func informationalAnswers(t *testing.T) {
	interim := func(c *raw.Conn, status int) bool {
		if c.Request.Stream != 0 {
			return c.Headers(status, http.Header{"Link": {"</" + testkit.MarkedAnswer + ">"}}, false)
		}
		return c.Send(fmt.Sprintf("HTTP/1.1 %d %s\r\nLink: </%s>\r\n\r\n", status, http.StatusText(status), testkit.MarkedAnswer))
	}
	for protocol, start := range map[string]func(*testing.T) *wired{"HTTP/1.1": wireTCP, "HTTP/2": wireHTTP2} {
		t.Run(protocol, func(t *testing.T) {
			forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
				w := start(t)
				w.raw.Answer(func(c *raw.Conn) {
					for _, status := range slices.Concat([]int{http.StatusContinue, http.StatusProcessing}, slices.Repeat([]int{http.StatusEarlyHints}, 20)) {
						interim(c, status)
					}
					whole(c)
				})
				require.NoError(t, call(w, t.Context()))
				w.requireSent(1)
				w.requireSpent(1, 1)
			})
			t.Run("without end", func(t *testing.T) {
				checkBrokenAnswer(t, func(t *testing.T) *wired {
					w := start(t)
					w.transport.MaxResponseHeaderBytes = 64 << 10
					return w
				}, func(c *raw.Conn) {
					for interim(c, http.StatusEarlyHints) {
					}
				}, 0)
			})
		})
	}
	t.Run("another protocol", func(t *testing.T) {
		forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
			w := wireTCP(t)
			w.raw.Answer(func(c *raw.Conn) {
				c.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + testkit.MarkedAnswer + "\r\n\r\n")
				c.Pause(patience)
				c.Close()
			})
			err := call(w, t.Context())
			requireAttempts(t, err, 1, true, http.StatusSwitchingProtocols)
			require.ErrorContains(t, err, "101")
			w.requireSent(1)
			w.requireSpent(1, 1)
		})
	})
}

// Whether the client learns of the end of its connection before or after it sends is a matter of luck, so this is tried
// often.
func restartBetweenCalls(t *testing.T) {
	closing := func(c *raw.Conn) {
		whole(c)
		c.Close()
	}
	const calls = 20
	t.Run("read", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(closing)
		for range calls {
			require.NoError(t, w.read(t.Context()))
		}
		w.requireSent(calls)
		assert.Equal(t, calls, w.raw.Connections())
	})
	t.Run("write", func(t *testing.T) {
		w := wireTCP(t)
		w.raw.Answer(closing)
		failed, failedBefore := 0, false
		for range calls {
			err := w.write(t.Context())
			if err != nil {
				require.ErrorIs(t, err, drift.ErrAmbiguous)
				require.False(t, failedBefore, "two errors of one restart")
				failed++
			}
			failedBefore = err != nil
		}
		w.requireSent(calls - failed)
		assert.Equal(t, calls, w.limiter.spent())
	})
}

func poolIsKept(t *testing.T) {
	for name, broken := range map[string]raw.Answer{
		"reset": (*raw.Conn).Reset,
		"error": sends("HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"),
	} {
		t.Run(name, func(t *testing.T) {
			w := wireTCP(t)
			w.transport.MaxIdleConnsPerHost = 10
			w.raw.Answer(whole)
			require.NoError(t, w.write(t.Context())) // the limiter sends a client's first call alone
			for _, others := range []int{4, 3} {
				w.raw.Answer(together(others)...)
				w.raw.Answer(broken)
				w.atOnce(others)
				require.Error(t, w.post(t.Context()))
			}
			assert.Equal(t, 4, w.raw.Connections())
		})
	}
}

// together are answers that wait for each other, so that each request needs its own connection.
func together(n int) []raw.Answer {
	var all sync.WaitGroup
	all.Add(n)
	return slices.Repeat([]raw.Answer{func(c *raw.Conn) {
		all.Done()
		all.Wait()
		whole(c)
	}}, n)
}

func (w *wired) atOnce(calls int) {
	w.t.Helper()
	var all sync.WaitGroup
	for range calls {
		all.Go(func() { assert.NoError(w.t, w.write(w.t.(*testing.T).Context())) })
	}
	all.Wait()
}

func proxyRefuses(t *testing.T) {
	credentials := url.UserPassword(testkit.MarkedAddress, testkit.MarkedSecret)
	encoded := base64.StdEncoding.EncodeToString([]byte(testkit.MarkedAddress + ":" + testkit.MarkedSecret))
	for _, status := range []int{http.StatusProxyAuthRequired, http.StatusBadGateway} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
				proxy := raw.Start(t)
				proxy.Answer(func(c *raw.Conn) {
					c.Send(fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 9\r\n\r\n%s", status, http.StatusText(status), testkit.MarkedAnswer[:9]))
				})
				address := &url.URL{Scheme: "http", Host: strings.TrimPrefix(proxy.URL, "http://"), User: credentials}
				w := wireTo(t, "https://drift.test", &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}})
				err := call(w, t.Context())
				checkUnsent(t, w, err, 3)
				assert.NotContains(t, err.Error(), encoded)
				assert.NotContains(t, err.Error(), address.Host)
				assert.NotContains(t, err.Error(), "errorString", "a type that says nothing")
				require.Len(t, proxy.Requests(), 3)
				for _, request := range proxy.Requests() {
					assert.Contains(t, string(request.Head), "Proxy-Authorization: Basic "+encoded)
					assert.NotContains(t, string(request.Head), testkit.MarkedToken)
				}
			})
		})
	}
}

func proxyLoginPage(t *testing.T) {
	const page = "<!doctype html><title>" + testkit.MarkedAnswer + "</title>"
	for _, contentType := range []string{"text/html; charset=utf-8", "application/json"} {
		t.Run(contentType, func(t *testing.T) {
			forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
				w := wireTCP(t)
				w.raw.Answer(func(c *raw.Conn) {
					c.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(page), page))
				})
				err := call(w, t.Context())
				require.ErrorIs(t, err, drift.ErrUnexpectedContent)
				requireAttempts(t, err, 1, true, http.StatusOK)
				w.requireSent(1)
				w.requireSpent(1, 1)
			})
		})
	}
}

// A dial of the first address, which is one of IPv6, hangs until it is given up.
func brokenIPv6(t *testing.T) {
	forBoth(t, func(t *testing.T, call func(*wired, context.Context) error) {
		server := raw.Start(t)
		server.Answer(whole)
		_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
		require.NoError(t, err)
		dialer := &net.Dialer{
			Timeout:       patience,
			FallbackDelay: 20 * time.Millisecond,
			Resolver:      nameServer{ipv4: net.IPv4(127, 0, 0, 1), ipv6: net.IPv6loopback}.resolver(),
			ControlContext: func(ctx context.Context, network, _ string, _ syscall.RawConn) error {
				if network == "tcp6" {
					<-ctx.Done()
				}
				return ctx.Err()
			},
		}
		w := wireTo(t, "http://drift.localhost:"+port, &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}})
		w.raw = server
		start := time.Now()
		require.NoError(t, call(w, t.Context()))
		assert.Less(t, time.Since(start), patience/2)
		w.requireSent(1)
		w.requireSpent(1, 1)
	})
}

// nameServer answers every question of a resolver in the same way.
type nameServer struct {
	code       byte // 0: the name exists
	ipv4, ipv6 net.IP
}

// resolver asks the name server, in memory.
func (n nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

func (n nameServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := n.answer(question)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer speaks just enough DNS: it repeats the id and the question, and adds an address if it has one of the kind
// asked for.
func (n nameServer) answer(question []byte) []byte {
	const headerSize, a, aaaa = 12, 1, 28
	end := headerSize + bytes.IndexByte(question[headerSize:], 0) + 1 // of the name; type and class follow
	kind := binary.BigEndian.Uint16(question[end:])
	address := map[uint16]net.IP{a: n.ipv4.To4(), aaaa: n.ipv6}[kind]
	answer := append([]byte{}, question[:2]...)
	answer = append(answer, 0x81, 0x80|n.code, 0, 1, 0, byte(min(len(address), 1)), 0, 0, 0, 0)
	answer = append(answer, question[headerSize:end+4]...)
	if len(address) == 0 {
		return answer
	}
	answer = append(answer, 0xc0, headerSize, 0, byte(kind), 0, 1, 0, 0, 0, 60, 0, byte(len(address)))
	return append(answer, address...)
}
