package drifttest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now))
	w.send(http.MethodPost, "v2/tags", `{"name":"n"}`, header("X-Mine", "yes"))
	w.send(http.MethodGet, "v2/conversations/status/a%2Fb?limit=1", "")
	w.send(http.MethodGet, "nope", "", header("Authorization", "", "Bearer secret"))

	requests := w.Requests()
	require.Len(t, requests, 3)
	first := requests[0]
	assert.Equal(t, "tags.create", first.Operation)
	assert.Equal(t, "POST", first.Method)
	assert.Equal(t, "/v2/tags", first.Path)
	assert.Equal(t, `{"name":"n"}`, string(first.Body))
	assert.Equal(t, "yes", first.Header.Get("X-Mine"))
	assert.Equal(t, 200, first.Status)
	assert.Equal(t, c.Now(), first.At)
	assert.Equal(t, "/v2/conversations/status/a%2Fb", requests[1].Path)
	assert.Equal(t, "limit=1", requests[1].Query)
	assert.Empty(t, requests[2].Operation)
	assert.Equal(t, 401, requests[2].Status)
	for _, r := range requests {
		assert.Equal(t, []string{"REDACTED"}, r.Header["Authorization"])
	}

	first.Header.Set("X-Mine", "changed")
	first.Body[0] = 'x'
	assert.Equal(t, "yes", w.Requests()[0].Header.Get("X-Mine"), "copies")
	assert.Equal(t, `{"name":"n"}`, string(w.Requests()[0].Body), "copies")
}

func TestCountAndReset(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.ok(http.MethodPost, "v2/tags", `{"name":"n"}`)
	w.ok(http.MethodGet, "v2/tags/1", "")
	w.ok(http.MethodGet, "v2/tags/1", "")
	assert.Equal(t, 2, w.Count("tags.get"))
	assert.Equal(t, 3, w.Count("*"))
	assert.Zero(t, w.Count("tags.delete"))

	w.Fail("tags.get", drifttest.Fault{Status: 500})
	w.Reset()
	assert.Zero(t, w.Count("*"))
	assert.Empty(t, w.Requests())
	assert.Equal(t, "n", w.ok(http.MethodGet, "v2/tags/1", "")["name"], "faults are forgotten, records are not")

	minute, month := w.Used()
	assert.Equal(t, []int{4, 4}, []int{minute, month})
}

func TestRequestIDsAreUnique(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.send(http.MethodGet, "v2/tags", "")
	assert.Equal(t, "drifttest-000002", w.send(http.MethodGet, "v2/tags", "", header("Authorization")).header.Get("X-Request-Id"))
	w.Reset()
	assert.Equal(t, "drifttest-000003", w.send(http.MethodGet, "v2/tags", "").header.Get("X-Request-Id"))
}

func TestMinute(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-01T10:00:00Z")
	w := start(t, drifttest.WithClock(c.Now), drifttest.WithLimits(3, 0))
	get := func() result { return w.send(http.MethodGet, "v2/contacts", "") }

	assert.Equal(t, 200, get().status)
	c.advance(20*time.Second + time.Millisecond)
	assert.Equal(t, 200, get().status)
	assert.Equal(t, 401, w.send(http.MethodGet, "v2/contacts", "", header("Authorization")).status, "does not count")
	assert.Equal(t, 404, w.send(http.MethodGet, "nope", "").status, "counts")

	refused := get()
	assert.Equal(t, 429, refused.status)
	assert.Equal(t, "40", refused.header.Get("Retry-After"), "39.999 s, rounded up")
	assert.JSONEq(t, `{"error":{"type":"rate_limit","message":"Too many requests in a minute"}}`, string(refused.body))

	c.advance(39*time.Second + 998*time.Millisecond)
	assert.Equal(t, 429, get().status, "a millisecond early")
	c.advance(time.Millisecond)
	assert.Equal(t, 200, get().status, "the first request is 60 s ago; the refused ones did not count")
	assert.Equal(t, 429, get().status)

	minute, month := w.Used()
	assert.Equal(t, 3, minute)
	assert.Equal(t, 7, month)
	c.advance(time.Minute)
	minute, _ = w.Used()
	assert.Zero(t, minute)
}

func TestMonth(t *testing.T) {
	t.Parallel()
	c := newClock("2026-03-31T23:59:59Z")
	w := start(t, drifttest.WithClock(func() time.Time { return c.Now().In(time.FixedZone("east", 5*3600)) }), drifttest.WithLimits(0, 2))
	w.Fail("contacts.list", drifttest.Fault{Drop: drifttest.DropBeforeAnswer})
	assert.Error(t, w.send(http.MethodGet, "v2/contacts", "").err, "counts all the same")
	assert.Equal(t, 200, w.send(http.MethodGet, "v2/contacts", "").status)
	kind, _ := w.refused(http.StatusTooManyRequests, http.MethodGet, "v2/contacts", "")
	assert.Equal(t, "quota_exceeded", kind)
	_, month := w.Used()
	assert.Equal(t, 3, month)

	c.advance(time.Second)
	assert.Equal(t, 200, w.send(http.MethodGet, "v2/contacts", "").status, "a new month, in UTC")
	_, month = w.Used()
	assert.Equal(t, 1, month)
}

func TestDemoDataIsTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	one, two := start(t, drifttest.WithDemoData()), start(t, drifttest.WithDemoData(), drifttest.WithClock(newClock("2031-01-01T00:00:00Z").Now))
	for _, path := range []string{"v2/conversations?limit=100", "v2/contacts?limit=100", "v2/meetings", "v2/companies/acme.example/people",
		"v2/companies/acme.example/teams", "v2/tags/4", "v2/conversations/60/messages/210"} {
		a, b := one.send(http.MethodGet, path, ""), two.send(http.MethodGet, path, "")
		assert.Equal(t, 200, a.status, path)
		assert.Equal(t, string(a.body), string(b.body), path)
	}
}

func TestDemoDataIsBelievable(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	contacts := w.list("v2/contacts?limit=100")
	assert.Len(t, contacts.Data, 30)
	emails := map[any]bool{}
	for _, c := range contacts.Data {
		emails[c["email"]] = true
	}
	assert.Len(t, emails, 30, "addresses are unique")

	statuses := map[any]int{}
	for _, c := range w.list("v2/conversations?limit=100").Data {
		statuses[c["status"]]++
		assert.GreaterOrEqual(t, c["updated_at"], c["created_at"])
		assert.Less(t, c["last_activity_at"], 1.78e12, "stamped by the demo's own calendar")
	}
	assert.Equal(t, map[any]int{"open": 20, "closed": 20, "pending": 10, "bulk_sent": 10}, statuses)
	assert.Len(t, w.list("v2/meetings").Data, 4)
}

func TestServerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				w.send(http.MethodPost, "v2/conversations/1/messages", `{"body":"x"}`)
				w.send(http.MethodPatch, "v2/conversations/1", fmt.Sprintf(`{"custom_attributes":{"k%d":1}}`, i))
				w.send(http.MethodGet, "v2/conversations?limit=100", "")
				w.send(http.MethodPatch, "contacts/1", fmt.Sprintf(`{"attributes":{"k%d":1,"name":"N"}}`, i))
				w.send(http.MethodGet, "contacts/1", "")
				w.send(http.MethodPatch, "users/update?userId=1", `{"name":"N"}`)
				w.send(http.MethodGet, "users/list", "")
				w.send(http.MethodGet, "scim/Users", "")
				w.send(http.MethodGet, "conversations/1/messages", "")
				w.Contacts()
				w.Requests()
				w.Used()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 80, w.Count("messages.create"))
	assert.Len(t, w.ok(http.MethodGet, "v2/conversations/1", "")["custom_attributes"], 9)
}

func TestStartClosesWithTheTest(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	require.Len(t, tb.cleanups, 1)
	w := &wire{t: t, Server: srv, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	assert.Equal(t, 200, w.send(http.MethodGet, "v2/contacts", "").status)

	srv.Fail("nope", drifttest.Fault{})
	srv.Fail("*", drifttest.Fault{Status: 1})
	assert.Zero(t, srv.Count("nope"))
	assert.Len(t, tb.fatals, 3, "a mistake ends the test")

	tb.cleanups[0]()
	srv.Close()
	assert.Error(t, w.send(http.MethodGet, "v2/contacts", "").err)
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	taken := drifttest.NewServer()
	defer taken.Close()
	for _, opt := range []drifttest.Option{
		drifttest.WithToken(),
		drifttest.WithToken("a", ""),
		drifttest.WithAddress(""),
		drifttest.WithAddress(strings.TrimPrefix(taken.URL, "http://")),
		drifttest.WithLimits(-1, 0),
		drifttest.WithClock(nil),
	} {
		assert.Panics(t, func() { drifttest.NewServer(opt) })
		tb := &fakeTB{}
		assert.Nil(t, drifttest.Start(tb, opt))
		assert.Len(t, tb.fatals, 1)
		assert.Empty(t, tb.cleanups)
	}
}

func TestListenReportsWhyItCannot(t *testing.T) {
	server := drifttest.Start(t)
	_, err := drifttest.Listen(drifttest.WithAddress(strings.TrimPrefix(server.URL, "http://")))
	assert.Error(t, err, "the port is taken")
	_, err = drifttest.Listen(drifttest.WithToken(""))
	assert.ErrorContains(t, err, "WithToken")
}

func TestServerOnEveryAddressHasAURLOnLoopback(t *testing.T) {
	t.Parallel()
	server := drifttest.Start(t, drifttest.WithAddress("0.0.0.0:0"))
	assert.Contains(t, server.URL, "http://127.0.0.1:")
	_, err := server.Client().Contacts.List(t.Context(), drift.ContactListOptions{})
	assert.NoError(t, err)
}
