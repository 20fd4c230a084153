package drift_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

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
			client := testkit.Through(t, testkit.Stalled(status))
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

// Between getting a connection and writing the headers nobody knows whether a request whose context ends is still written.
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

func TestContextEndsWhileTheQuotaIsReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testkit.SlowStore{Reserving: 2 * time.Second}
		network := new(testkit.Network)
		client := testkit.Through(t, network.Serve, drift.WithQuotaStore(store))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Tags.Create(ctx, drift.TagCreateRequest{Name: "a"})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous, "nothing was sent")
		assert.Empty(t, network.Sent)
		assert.Equal(t, 1, store.Refunds)
	})
}

func TestRefundHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testkit.SlowStore{Refunding: time.Hour}
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.NoHost}}).Serve, drift.WithQuotaStore(store))
		start := time.Now()
		require.Error(t, testkit.Get(t.Context(), client))
		assert.LessOrEqual(t, time.Since(start), time.Second)
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

func TestFailuresOfSeamsQuoteNothing(t *testing.T) {
	leak := errors.New("https://user:MARKER@redis/?token=MARKER")
	for name, option := range map[string]drift.Option{
		"limiter": drift.WithLimiter(failingLimiter{leak}),
		"store":   drift.WithQuotaStore(&store{reserveErr: leak}),
	} {
		t.Run(name, func(t *testing.T) {
			err := testkit.Get(t.Context(), testkit.Through(t, new(testkit.Network).Serve, option))
			require.ErrorIs(t, err, leak)
			assert.NotContains(t, err.Error(), "MARKER")
			assert.NotContains(t, err.Error(), "connection")
			assert.ErrorContains(t, err, name)
		})
	}
}

type failingLimiter struct{ err error }

func (l failingLimiter) Acquire(context.Context, drift.Class) (drift.Slot, error) { return nil, l.err }
func (failingLimiter) Pause(time.Time)                                            {}

func TestFurtherAttemptsAreLogged(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil)) // level info
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, (&testkit.Network{Answers: []testkit.Responder{testkit.Answer(503), testkit.Answer(200)}}).Serve, drift.WithLogger(logger))
		require.NoError(t, testkit.Get(t.Context(), client))
	})
	assert.Equal(t, 1, strings.Count(log.String(), "sending again"))
}

func TestZeroValuesAreErrors(t *testing.T) {
	client := testkit.Through(t, new(testkit.Network).Serve, drift.WithLimiter(new(drift.WindowLimiter)))
	assert.ErrorContains(t, testkit.Get(t.Context(), client), "limiter")
	client = testkit.Through(t, new(testkit.Network).Serve, drift.WithLimiter(drift.NewLimiter(100, drift.LimiterOption{})))
	assert.NoError(t, testkit.Get(t.Context(), client))
	items, err := drift.Collect[drift.Tag](nil, 0)
	assert.NoError(t, err)
	assert.Empty(t, items)
	assert.Error(t, new(drift.TagID).UnmarshalJSON([]byte(`"`)))
}

func TestQuotaAfterClose(t *testing.T) {
	client := testkit.Through(t, new(testkit.Network).Serve)
	require.NoError(t, client.Close())
	_, err := client.Quota(t.Context())
	assert.ErrorIs(t, err, drift.ErrClosed)
}

func TestZeroTimeOfAnyLocationIsNotSent(t *testing.T) {
	var query string
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		_, _ = io.WriteString(w, `{"data":[]}`)
	})
	zone := time.FixedZone("", 3600)
	_, err := client.Meetings.List(t.Context(), drift.MeetingListOptions{StartAfter: time.Time{}.In(zone), Subject: "a"})
	require.NoError(t, err)
	assert.Equal(t, "limit=100&subject=a", query)
}

func TestFiltersByAttributesAreRefused(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":[]}`))
	for _, value := range []any{time.Minute, time.Now(), "\xff", []int{1}, nil} {
		_, err := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{"a": value}})
		assert.ErrorIs(t, err, drift.ErrInvalid, "%v", value)
	}
}

func TestDoReportsAnErrorUnderSuccess(t *testing.T) {
	client := testkit.AnsweringClient(t, http.StatusOK, `{"error":{"type":"validation_error","message":"no"}}`)
	err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "a"}, nil)
	assert.ErrorIs(t, err, drift.ErrInvalid)
	assert.NoError(t, testkit.AnsweringClient(t, http.StatusOK, "fine").Do(t.Context(), drift.Request{Path: "a"}, nil))
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

// stallingBody gives a part, and then nothing until the request's context ends.
type stallingBody struct {
	ctx  context.Context
	part io.Reader
}

func (b *stallingBody) Read(p []byte) (int, error) {
	if n, err := b.part.Read(p); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (b *stallingBody) Close() error { return nil }

// The status of an error tells enough, however long its body takes.
func TestErrorAnswerThatStalls(t *testing.T) {
	for status, target := range map[int]error{http.StatusNotFound: drift.ErrNotFound, http.StatusUnauthorized: drift.ErrUnauthorized, http.StatusServiceUnavailable: nil, http.StatusTooManyRequests: nil} {
		synctest.Test(t, func(t *testing.T) {
			requests := 0
			client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
				if requests++; requests > 1 {
					return testkit.Answer(http.StatusOK)(r)
				}
				resp, err := testkit.Answer(status)(r)
				resp.Body, resp.ContentLength = &stallingBody{r.Context(), strings.NewReader(`{"a`)}, -1
				return resp, err
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

// Of data that come twice the last count, also where they are fewer.
func TestLastDataCount(t *testing.T) {
	match := func(body string) (*drift.Contact, error) {
		return testkit.Serve(t, testkit.Respond(http.StatusOK, body)).Contacts.MatchEmail(t.Context(), "a@example.com")
	}
	contact, err := match(`{"data":[{"id":1}],"data":[{"id":2}]}`)
	require.NoError(t, err)
	assert.Equal(t, drift.ContactID(2), contact.ID)
	_, err = match(`{"data":[{"id":1}],"data":[]}`)
	require.ErrorIs(t, err, drift.ErrNotFound)

	page, err := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":[{"id":1}],"data":null}`)).Contacts.List(t.Context(), drift.ContactListOptions{})
	require.NoError(t, err)
	assert.Empty(t, page.Items)
}

func TestExtraWithoutAValue(t *testing.T) {
	conversation := drift.Conversation{Extra: map[string]json.RawMessage{"conversation_tags": nil}}
	require.NoError(t, json.Unmarshal([]byte(`{"id":1}`), &conversation))
	assert.Equal(t, drift.ConversationID(1), conversation.ID)
}
