package drifttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
)

func errorAs[E error](err error) (E, bool) { return errors.AsType[E](err) }

// say is a handler that answers a text.
func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestHandleSeesTheRequest(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Handle("PUT", "things/{thing}/parts/{part}", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		rw.Header().Set("Content-Type", "text/csv")
		rw.Header().Set("X-Thing", r.PathValue("thing"))
		rw.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(rw, "%s %s %s %s", r.Method, r.PathValue("part"), r.URL.RawQuery, body)
	})
	for range 2 {
		res := w.send("PUT", "things/a%20b/parts/..%2Fx?any=1&any=2&Odd[]=", "no JSON",
			header("Content-Type", "text/plain"), header("Accept"))
		require.NoError(t, res.err)
		assert.Equal(t, http.StatusCreated, res.status)
		assert.Equal(t, "PUT ../x any=1&any=2&Odd[]= no JSON", string(res.body))
		assert.Equal(t, "a b", res.header.Get("X-Thing"))
		assert.Equal(t, "text/csv", res.header.Get("Content-Type"))
		assert.NotEmpty(t, res.header.Get("X-Request-Id"))
		// With a fault the answer is buffered.
		w.Fail("PUT things/{}/parts/{}", drifttest.Fault{Delay: time.Nanosecond})
	}
	assert.Equal(t, http.StatusCreated, w.Requests()[1].Status)
	assert.Equal(t, "no JSON", string(w.Requests()[1].Body))

	res := w.send("GET", "things/1/parts/2", "")
	assert.Equal(t, http.StatusMethodNotAllowed, res.status)
	assert.Equal(t, "PUT", res.header.Get("Allow"))
	w.refused(http.StatusNotFound, "PUT", "things/1/parts", "")
	w.refused(http.StatusUnauthorized, "PUT", "things/1/parts/2", "", header("Authorization", "Bearer wrong"))
}

func TestHandleSilentHandlers(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Handle("GET", "quiet", func(http.ResponseWriter, *http.Request) {})
	w.Handle("GET", "hints", func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusEarlyHints)
		rw.WriteHeader(http.StatusNoContent)
	})
	for path, status := range map[string]int{"quiet": http.StatusOK, "hints": http.StatusNoContent} {
		for range 2 {
			w.Reset()
			res := w.send("GET", path, "")
			require.NoError(t, res.err)
			assert.Equal(t, status, res.status)
			assert.Empty(t, res.header.Get("Content-Type"))
			assert.Equal(t, status, w.Requests()[0].Status)
			w.Fail("GET "+path, drifttest.Fault{Delay: time.Nanosecond})
		}
	}
}

func TestHandleStreams(t *testing.T) {
	t.Parallel()
	w := start(t)
	read := make(chan struct{})
	w.Handle("GET", "stream", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, "one ")
		assert.NoError(t, http.NewResponseController(rw).Flush())
		<-read
		_, _ = io.WriteString(rw, "two")
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/stream", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	resp, err := w.http.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 4)
	_, err = io.ReadFull(resp.Body, first)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, w.Requests()[0].Status)
	close(read)
	rest, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "one two", string(first)+string(rest))

	w.Handle("GET", "stream", func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if assert.NoError(t, err) {
			_ = conn.Close()
		}
	})
	require.Error(t, w.send("GET", "stream", "").err)
	assert.Zero(t, w.Requests()[1].Status)
}

// The stages of a fault mean for a handler what they mean for an operation.
func TestHandleMeetsFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		fault         drifttest.Fault
		calls, status int
		body          string
	}{
		{"status", drifttest.Fault{Status: 418, Body: "tea"}, 0, 418, "tea"},
		{"applied", drifttest.Fault{Status: 500, Body: "no", Applied: true}, 1, 500, "no"},
		{"before the answer", drifttest.Fault{Drop: drifttest.DropBeforeAnswer}, 0, 0, ""},
		{"after handling", drifttest.Fault{Drop: drifttest.DropAfterHandling}, 1, 0, ""},
		{"in the headers", drifttest.Fault{Drop: drifttest.DropInHeaders}, 1, 0, ""},
		{"in the body", drifttest.Fault{Drop: drifttest.DropInBody}, 1, 200, "01234"},
		{"truncated", drifttest.Fault{Truncate: 3}, 1, 200, "012"},
		{"padded", drifttest.Fault{Pad: 2}, 1, 200, "0123456789  "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			var calls atomic.Int32
			w.Handle("POST", "things", func(rw http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				rw.Header().Set("Content-Length", "10")
				_, _ = io.WriteString(rw, "0123456789")
			})
			w.Fail("POST things", test.fault)
			res := w.send("POST", "things", `{}`)
			assert.EqualValues(t, test.calls, calls.Load())
			assert.Equal(t, test.status, res.status)
			assert.Equal(t, test.body, string(res.body))
			assert.Equal(t, test.fault.Drop != 0, res.err != nil, "%v", res.err)
		})
	}
}

func TestHandleAmongOtherTemplates(t *testing.T) {
	t.Parallel()
	w := start(t, drifttest.WithDemoData())
	get := func(path string) string { return string(w.send("GET", path, "").body) }

	w.Handle("GET", "v2/tags/{id}", say("own"))
	assert.Equal(t, "own", get("v2/tags/1"), "the test's handler takes the operation's place")
	w.Fail("tags.get", drifttest.Fault{Status: 500, Body: "broken"})
	assert.Equal(t, "broken", get("v2/tags/1"))
	w.Fail("GET v2/tags/{any}", drifttest.Fault{Status: 500, Body: "broken too"})
	assert.Equal(t, "broken too", get("v2/tags/1"))
	assert.Equal(t, 3, w.Count("tags.get"))
	assert.Equal(t, "tags.get", w.Requests()[0].Operation)
	assert.Equal(t, "renewed", w.ok("PATCH", "v2/tags/1", `{"name":"renewed"}`)["name"], "other methods stay")

	w.Handle("GET", "v2/tags/{tagId}", say("last"))
	assert.Equal(t, "last", get("v2/tags/1"))
	assert.Equal(t, 4, w.Count("tags.get"))

	w.Handle("GET", "v2/contacts/{id}", say("contact"))
	assert.Equal(t, "contact", get("v2/contacts/1"))
	w.refused(http.StatusBadRequest, "GET", "v2/contacts/match-email", "")

	w.Handle("GET", "v2/{kind}/{id}", say("wild"))
	assert.Equal(t, "contact", get("v2/contacts/1"), "fewer parameters win")
	assert.Equal(t, "wild", get("v2/webhooks/1"))
	w.Handle("GET", "v2/{kind}/1", say("first of all kinds"))
	assert.Equal(t, "first of all kinds", get("v2/meetings/1"), "a handler before an operation")
	assert.Equal(t, "first of all kinds", get("v2/tags/1"), "the later of two handlers")

	w.Reset()
	assert.Equal(t, "last", get("v2/tags/2"), "Reset leaves handlers alone")
}

func TestHandleMisused(t *testing.T) {
	t.Parallel()
	tb := &fakeTB{}
	srv := drifttest.Start(tb)
	defer srv.Close()
	misuses := 0
	for _, method := range []string{"", "get", "GET ", "G-T", "ÄB"} {
		srv.Handle(method, "things", say(""))
		misuses++
	}
	for _, template := range []string{
		"", "/things", "things/", "a//b", ".", "a/../b", "a?b", "a#b", "a%20b", "{}", "{a", "{a b}", "{a}b", "a{b}", "{a...}", "{$}", `a\b`,
		"ä", "a\nb", "authorize",
	} {
		srv.Handle("GET", template, say(""))
		misuses++
	}
	srv.Handle("POST", "oauth2/token", say(""))
	srv.Handle("GET", "things", nil)
	srv.Fail("GET things")
	assert.Zero(t, srv.Count("GET things"))
	assert.Len(t, tb.fatals, misuses+4)

	open := drifttest.NewServer()
	defer open.Close()
	assert.Panics(t, func() { open.Handle("GET", "/things", say("")) })
}

func TestHandleWhileRequestsRun(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Handle("GET", "things", say("0"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				assert.Equal(t, http.StatusOK, w.send("GET", "things", "").status)
			}
		})
	}
	for i := range 100 {
		w.Handle("GET", "things", say(fmt.Sprint(i)))
		w.Handle("GET", fmt.Sprintf("things/%d", i), say(""))
	}
	wg.Wait()
	assert.Equal(t, "99", string(w.send("GET", "things", "").body))
}

// A handler may use the server, and Close ends its context and waits for it.
func TestHandleAndTheServer(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Handle("POST", "import", func(rw http.ResponseWriter, _ *http.Request) {
		id := w.AddContact(drift.Contact{Email: "a@x.example"})
		w.Handle("GET", "imported", say("yes"))
		_, _ = fmt.Fprint(rw, id, w.Count("POST import"))
	})
	assert.Equal(t, "1 1", string(w.send("POST", "import", "").body))
	assert.Equal(t, "yes", string(w.send("GET", "imported", "").body))

	var ended context.Context
	arrived := make(chan struct{})
	w.Handle("GET", "slow", func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		ended = r.Context()
	})
	go func() {
		<-arrived
		w.Close()
	}()
	require.Error(t, w.send("GET", "slow", "").err)
	w.Close()
	assert.Error(t, ended.Err())
}

func TestHandleWithoutTheNetwork(t *testing.T) {
	t.Parallel()
	srv := drifttest.Start(t)
	srv.Handle("HEAD", "things/{thing}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Thing", r.PathValue("thing"))
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/things/7", strings.NewReader(""))
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	rec := httptest.NewRecorder()
	srv.ServeHTTP(rec, r)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Equal(t, "7", rec.Header().Get("X-Thing"))
	assert.Empty(t, r.PathValue("thing"), "the caller's request stays as it was")
}
