package drift_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
)

// A transport may keep, change or go on with what it was handed, even where it should not: no other attempt and no other call
// gets anything of it.

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A body that gives up with its context, and writes into the reader's bytes afterwards.
func TestBodyThatWritesAfterItWasRead(t *testing.T) {
	const mine, foreign = `{"data": {"id": 2, "name": "mine"}}`, `{"data": {"id": 2, "name": "them"}}`
	var kept []byte
	network := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp := memoryAnswer(req, http.StatusOK, "application/json", mine)
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
			client := through(t, network, drift.WithoutRetry())
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
		network := &network{answers: []respondWith{answer(503), answer(503), answer(200), answer(200)}}
		var urls []string
		var requests []*http.Request
		client := through(t, func(req *http.Request) (*http.Response, error) {
			urls = append(urls, req.URL.String())
			requests = append(requests, req)
			assert.Equal(t, "prod", req.Header.Get("X-Environment"))
			assert.NotEqual(t, "changed", req.Header.Get("Accept"))
			req.URL.Host, req.URL.Path, req.URL.RawPath = "gateway.test", "/prefix"+req.URL.Path, ""
			for _, values := range req.Header {
				values[0] = "changed"
			}
			return network.serve(req)
		}, drift.WithHeader("X-Environment", "prod"))
		for range 2 {
			require.NoError(t, get(t.Context(), client))
		}
		assert.Len(t, urls, 4)
		assert.Len(t, slices.Compact(urls), 1)
		assert.NotSame(t, requests[0].URL, requests[1].URL)
	})
}

// reporting is a network that takes a while to connect, tells httptrace what it does, and sends unless the context has ended.
func reporting(sent *int) roundTripper {
	return func(req *http.Request) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(req.Context())
		trace.GetConn("")
		time.Sleep(15 * time.Millisecond)
		trace.GotConn(httptrace.GotConnInfo{})
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		*sent++
		trace.WroteHeaders()
		return answer(200)(req)
	}
}

// slowSlots take a while to be given back, as those in a file do.
type slowSlots struct{ slots }

func (s *slowSlots) Acquire(context.Context, drift.Class) (drift.Slot, error) { return s, nil }
func (s *slowSlots) Done(drift.Outcome)                                       { time.Sleep(20 * time.Millisecond) }

// A transport that does not wait for the one inside: what was not sent when it gave up must not be sent any more.
func TestTransportThatGivesUpEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent, given int
		inside := reporting(&sent)
		client := through(t, func(req *http.Request) (*http.Response, error) {
			given++
			if given > 1 {
				return inside(req)
			}
			go func() { _, _ = inside(req) }()
			time.Sleep(5 * time.Millisecond)
			return nil, errors.New("too slow")
		}, drift.WithLimiter(new(slowSlots)))
		var response drift.Response
		require.NoError(t, call(t.Context(), client, http.MethodPost, drift.WithResponse(&response)))
		require.Len(t, response.Attempts, 2)
		assert.False(t, response.Attempts[0].Sent)
		assert.Equal(t, 1, sent)
	})
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

// The log is told of a pause when the attempt holds nothing any more: a client's first call keeps all others waiting.
func TestLoggerThatCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var client *drift.Client
		calls := 0
		client = through(t, (&network{answers: []respondWith{answer(429, "Retry-After", "1"), answer(200)}}).serve,
			drift.WithLogger(slog.New(callingHandler{slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn}), func() {
				calls++
				assert.NoError(t, get(t.Context(), client, drift.WithTimeout(time.Hour)))
			}})))
		start := time.Now()
		require.NoError(t, get(t.Context(), client))
		assert.Equal(t, 1, calls)
		assert.Less(t, time.Since(start), 2*time.Minute)
	})
}
