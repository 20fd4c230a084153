package drift_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/door"
	"github.com/driftsdk/drift/internal/testkit"
)

// mockContacts answers Get alone; every other method panics.
type mockContacts struct {
	drift.ContactsService
	calls *int
}

func (m mockContacts) Get(context.Context, drift.ContactID, ...drift.CallOption) (*drift.Contact, error) {
	*m.calls++
	return &drift.Contact{ID: 7}, nil
}

// recordHeaders answers deletes, and keeps the headers of the last request.
type recordHeaders struct {
	mu   sync.Mutex
	last http.Header
}

func (r *recordHeaders) roundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = req.Header
	return testkit.MemoryAnswer(req, http.StatusNoContent, "", ""), nil
}

func TestViewAddsDefaults(t *testing.T) {
	network := new(recordHeaders)
	client := testkit.Through(t, network.roundTrip, drift.WithHeader("X-Client", "c"))
	view := client.With(drift.WithHeader("X-View", "v"))
	nested := view.With(drift.WithHeader("X-Nested", "n"), drift.WithHeader("X-View", "other"))
	for _, c := range []struct {
		client *drift.Client
		opts   []drift.CallOption
		want   map[string]string
	}{
		{nested, nil, map[string]string{"X-Client": "c", "X-View": "other", "X-Nested": "n"}},
		{view, nil, map[string]string{"X-Client": "c", "X-View": "v", "X-Nested": ""}},
		{client, nil, map[string]string{"X-Client": "c", "X-View": "", "X-Nested": ""}},
		{view, []drift.CallOption{drift.WithHeader("X-View", "call"), drift.WithHeader("X-Call", "y")}, map[string]string{"X-View": "call", "X-Call": "y"}},
		{view, nil, map[string]string{"X-View": "v", "X-Call": ""}},
	} {
		require.NoError(t, c.client.Tags.Delete(t.Context(), 1, c.opts...))
		for name, value := range c.want {
			assert.Equal(t, value, network.last.Get(name), name)
		}
		require.NoError(t, c.client.Do(t.Context(), drift.Request{Path: "x"}, nil, c.opts...))
		assert.Equal(t, c.want["X-View"], network.last.Get("X-View"))
	}
}

func TestViewSharesTheClient(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusNoContent}
	client := testkit.Through(t, network.RoundTrip, drift.WithPlan(3))
	view := client.With(drift.WithBulk()).With()
	require.NoError(t, client.Tags.Delete(t.Context(), 1))
	require.NoError(t, view.Tags.Delete(t.Context(), 1))
	usage, err := view.Quota(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, usage.Used)
	require.NoError(t, view.Close())
	require.NoError(t, view.Tags.Delete(t.Context(), 1), "Close on a view does nothing")
	require.ErrorIs(t, client.Tags.Delete(t.Context(), 1), drift.ErrQuotaExceeded)
	require.NoError(t, client.Close())
	require.ErrorIs(t, view.Tags.Delete(t.Context(), 1), drift.ErrClosed, "it ends with its client")
}

// A call that still waits is in the numbers, whichever limiter it waits for.
func TestLimiterStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := testkit.Through(t, testkit.AnswerBody(200, `{"id":1}`), drift.WithLimiter(drift.NewLimiter(2)))
		view := client.With(drift.WithBulk())
		stats := func() drift.LimiterStats {
			synctest.Wait()
			stats, known := view.LimiterStats()
			require.True(t, known)
			return stats
		}
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 2}, stats())
		require.NoError(t, client.Tags.Delete(t.Context(), 1))
		assert.Equal(t, drift.LimiterStats{Limit: 2, Free: 1}, stats())
		require.NoError(t, client.Tags.Delete(t.Context(), 1))

		own := door.Limiter(client, "own", 1).(drift.Limiter)
		_, err := own.Acquire(t.Context(), drift.Turn{})
		require.NoError(t, err)
		for _, class := range []drift.Class{drift.ClassInteractive, drift.ClassBulk, drift.ClassBulk} {
			go func() { _, _ = own.Acquire(t.Context(), drift.Turn{Class: class}) }()
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { assert.NoError(t, client.Tags.Delete(t.Context(), 1)) })
		}
		group.Go(func() { assert.NoError(t, view.Tags.Delete(t.Context(), 1)) })
		assert.Equal(t, drift.LimiterStats{Limit: 2, Interactive: 3, Bulk: 3}, stats())
		group.Wait()
	})
}

func TestLimiterStatsOfALimiterWithout(t *testing.T) {
	_, known := testkit.Through(t, testkit.Answer(200), drift.WithLimiter(testkit.OpenLimiter{})).LimiterStats()
	assert.False(t, known)
}

func TestViewKeepsReplacedFields(t *testing.T) {
	calls := 0
	network := new(recordHeaders)
	client := testkit.Through(t, network.roundTrip)
	client.Contacts = mockContacts{calls: &calls}
	client.Notes = nil
	view := client.With(drift.WithHeader("X-View", "v")).With(drift.WithHeader("X-Nested", "n"))
	_, err := view.Contacts.Get(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, 1, calls)
	assert.Nil(t, view.Notes)
	require.NoError(t, view.Meetings.Delete(t.Context(), 1))
	assert.Equal(t, "v", network.last.Get("X-View"))
	assert.Equal(t, "n", network.last.Get("X-Nested"))
}

// A mock of a type that cannot be compared must not make With panic.
func TestViewKeepsAMockThatCannotBeCompared(t *testing.T) {
	type mock struct {
		drift.TagsService
		_ []int
	}
	client := testkit.Through(t, new(recordHeaders).roundTrip)
	client.Tags = mock{}
	assert.IsType(t, mock{}, client.With(drift.WithBulk()).Tags)
}

func TestViewWithAWrongOption(t *testing.T) {
	network := new(testkit.MemoryNetwork)
	client := testkit.Through(t, network.RoundTrip)
	view := client.With(drift.WithHeader("Authorization", "x"), drift.WithTimeout(-1)).With(drift.WithBulk())
	for _, call := range testkit.Invocations(t) {
		var invalid *drift.ValidationError
		require.ErrorAs(t, call.On(t.Context(), view), &invalid)
		assert.Equal(t, call.Operation.Name, invalid.Operation)
		assert.Equal(t, "WithHeader", invalid.Argument, "the first that is wrong")
	}
	require.ErrorIs(t, view.Do(t.Context(), drift.Request{Path: "x"}, nil), drift.ErrInvalid)
	assert.Zero(t, network.Requests.Load())
}

func TestViewsHaveNoCrossTalk(t *testing.T) {
	client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
		want := req.URL.Path[len("/v2/tags/"):]
		for _, name := range []string{"X-Number", "X-Call"} {
			if got := req.Header.Get(name); got != want {
				return nil, fmt.Errorf("%s is %s, not %s", name, got, want)
			}
		}
		return testkit.MemoryAnswer(req, http.StatusNoContent, "", ""), nil
	}, drift.WithHeader("X-Client", "c"), drift.WithLimiter(testkit.OpenLimiter{}), drift.WithoutRetry())
	shared := client.With(drift.WithHeader("X-Shared", "s"))
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			number := strconv.Itoa(i + 1)
			for range 5 {
				view := shared.With(drift.WithHeader("X-Number", number))
				assert.NoError(t, view.Tags.Delete(t.Context(), drift.TagID(i+1), drift.WithHeader("X-Call", number)))
			}
		})
	}
	group.Wait()
}

func TestClientOfMocks(t *testing.T) {
	calls := 0
	client := &drift.Client{Contacts: mockContacts{calls: &calls}}
	for _, c := range []*drift.Client{client, client.With(drift.WithBulk())} {
		contact, err := c.Contacts.Get(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, drift.ContactID(7), contact.ID)
		require.EqualError(t, c.Do(t.Context(), drift.Request{Path: "x"}, nil), "drift: this client was not made by NewClient")
		_, err = c.Quota(t.Context())
		require.Error(t, err)
		_, known := c.LimiterStats()
		assert.False(t, known)
		require.NoError(t, c.Close())
		assert.Equal(t, "drift.Client", c.String())
	}
	assert.Equal(t, 2, calls)
}

func TestCloseTwice(t *testing.T) {
	client := testkit.Through(t, new(recordHeaders).roundTrip)
	require.NoError(t, client.Close())
	require.NoError(t, client.Close())
	require.ErrorIs(t, client.Do(t.Context(), drift.Request{Path: "x"}, nil), drift.ErrClosed)
	_, err := drift.Collect(client.Contacts.All(t.Context(), drift.ContactListOptions{}), 0)
	require.ErrorIs(t, err, drift.ErrClosed)
}

// countingTransport counts how often its pool is flushed.
type countingTransport struct {
	testkit.Responder
	flushed *atomic.Int32
}

func (c countingTransport) CloseIdleConnections() { c.flushed.Add(1) }

func TestHTTPClientIsNeverTouched(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	var flushed atomic.Int32
	redirected := false
	status := http.StatusOK
	transport := countingTransport{func(req *http.Request) (*http.Response, error) {
		assert.Empty(t, req.Header.Get("Cookie"))
		resp := testkit.MemoryAnswer(req, status, "application/json", `{"data": {"id": 1}}`)
		resp.Header.Set("Set-Cookie", "a=b")
		resp.Header.Set("Location", "https://drift.test/elsewhere")
		return resp, nil
	}, &flushed}
	given := &http.Client{Transport: transport, Jar: jar, Timeout: 1e9, CheckRedirect: func(*http.Request, []*http.Request) error {
		redirected = true
		return nil
	}}
	origin := &url.URL{Scheme: "https", Host: "drift.test"}
	jar.SetCookies(origin, []*http.Cookie{{Name: "kept", Value: "1"}})
	client, err := drift.NewClient(drift.WithToken("a"), drift.WithBaseURL("https://drift.test"), drift.WithHTTPClient(given), testkit.Impatient())
	require.NoError(t, err)
	before := *given // the copy that is compared at the end
	_, err = client.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
	for _, status = range []int{404, 302, 500} {
		_, err = client.Tags.Get(t.Context(), 1)
		require.Error(t, err)
	}
	require.NoError(t, client.Close())
	assert.False(t, redirected)
	assert.Len(t, jar.Cookies(origin), 1, "no cookie was kept")
	assert.Zero(t, flushed.Load(), "the pool is the caller's")
	assert.Equal(t, before.Timeout, given.Timeout)
	assert.Equal(t, before.Jar, given.Jar)
	assert.Same(t, transport.flushed, given.Transport.(countingTransport).flushed)
	assert.NotNil(t, given.CheckRedirect)

	given.Transport = testkit.Responder(func(*http.Request) (*http.Response, error) { panic("changed after it was given") })
	status = http.StatusOK
	another, err := drift.NewClient(drift.WithToken("a"), drift.WithHTTPClient(&before))
	require.NoError(t, err)
	_, err = another.Tags.Get(t.Context(), 1)
	require.NoError(t, err)
}

func TestHTTPClientIsCopied(t *testing.T) {
	network := &testkit.MemoryNetwork{Status: http.StatusNoContent}
	given := &http.Client{Transport: network}
	client, err := drift.NewClient(drift.WithToken("a"), drift.WithHTTPClient(given))
	require.NoError(t, err)
	given.Transport, given.Timeout = testkit.Responder(func(*http.Request) (*http.Response, error) { return nil, errors.New("replaced") }), 1
	require.NoError(t, client.Tags.Delete(t.Context(), 1))
}

// connectionCounter serves on loopback and counts the connections that are made to it.
func connectionCounter(t *testing.T, handler http.HandlerFunc) (string, *atomic.Int32) {
	t.Helper()
	connections := new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, connections
}

func TestManyCallersShareFewConnections(t *testing.T) {
	baseURL, connections := connectionCounter(t, func(w http.ResponseWriter, r *http.Request) {
		testkit.Respond(http.StatusOK, fmt.Sprintf(`{"data": {"id": %s}}`, r.URL.Path[len("/v2/tags/"):]))(w, r)
	})
	client := testkit.NewClient(t, baseURL, drift.WithRateLimit(1_000_000))
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for n := range 20 {
				id := drift.TagID(100*i + n + 1)
				tag, err := client.Tags.Get(t.Context(), id)
				if assert.NoError(t, err) {
					assert.Equal(t, id, tag.ID, "the answer to another call")
				}
			}
		})
	}
	group.Wait()
	// net/http dials beside waiting for a connection to become free, so there are some more than callers. With the two
	// idle connections of the standard library there would be more than 500.
	assert.LessOrEqual(t, connections.Load(), int32(128))
	usage, err := client.Quota(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 64*20, usage.Used)
}

// A failing call must not cost the others their connections, and its own is used again.
func TestFailingCallsKeepTheConnections(t *testing.T) {
	baseURL, connections := connectionCounter(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			testkit.Respond(http.StatusInternalServerError, `{"error": "x"}`)(w, r)
			return
		}
		testkit.Respond(http.StatusOK, `{}`)(w, r)
	})
	client := testkit.NewClient(t, baseURL, testkit.Impatient())
	for range 5 {
		_, err := client.Tags.Get(t.Context(), 1)
		require.ErrorIs(t, err, drift.ErrServer)
		require.NoError(t, client.Tags.Delete(t.Context(), 1))
	}
	assert.EqualValues(t, 1, connections.Load())
}

func TestClientShowsOnlyItsHost(t *testing.T) {
	client := testkit.NewClient(t, "https://drift.test/MARKER", drift.WithHeader("X-A", "MARKER3"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.Equal(t, "drift.Client(drift.test)", fmt.Sprintf(verb, client))
		assert.NotContains(t, fmt.Sprintf(verb, struct{ C *drift.Client }{client}), "MARKER")
	}
	assert.Equal(t, "drift.Client(drift.test)", client.LogValue().Resolve().String())
	assert.Equal(t, slog.KindString, client.LogValue().Kind())
	encoded, err := json.Marshal(client)
	require.NoError(t, err)
	assert.NotContains(t, string(encoded), "MARKER")
}

// net/http takes a negative timeout for none.
func TestNegativeTimeoutOfTheCallersClient(t *testing.T) {
	network := testkit.Responder(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return testkit.MemoryAnswer(r, http.StatusNoContent, "", ""), nil
	})
	client, err := drift.NewClient(drift.WithToken("a"), drift.WithHTTPClient(&http.Client{Timeout: -1, Transport: network}))
	require.NoError(t, err)
	assert.NoError(t, client.Tags.Delete(t.Context(), 1))
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
