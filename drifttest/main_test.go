package drifttest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/driftsdk/drift/drifttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire talks to a server by net/http alone, without the SDK.
type wire struct {
	t *testing.T
	*drifttest.Server
	http *http.Client
}

func start(t *testing.T, opts ...drifttest.Option) *wire {
	t.Helper()
	// A connection for each request: on a kept one net/http itself sends again what was dropped.
	transport := &http.Transport{DisableKeepAlives: true}
	return &wire{t: t, Server: drifttest.Start(t, opts...), http: &http.Client{Transport: transport}}
}

type result struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request, or of reading its answer
}

// edit changes a request before it goes out.
type edit func(*http.Request)

func header(name string, values ...string) edit {
	return func(r *http.Request) {
		r.Header.Del(name)
		for _, value := range values {
			r.Header.Add(name, value)
		}
	}
}

func (w *wire) send(method, path, body string, edits ...edit) result {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.URL+"/"+path, strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Authorization", "Bearer "+drifttest.DefaultToken)
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, e := range edits {
		e(r)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return result{status: resp.StatusCode, header: resp.Header, body: data, err: err}
}

// ok sends a request that must succeed and returns what is under "data".
func (w *wire) ok(method, path, body string) map[string]any {
	w.t.Helper()
	res := w.send(method, path, body)
	require.NoError(w.t, res.err)
	require.Equal(w.t, http.StatusOK, res.status, "%s %s: %s", method, path, res.body)
	var envelope struct {
		Data map[string]any `json:"data"`
	}
	dec := json.NewDecoder(strings.NewReader(string(res.body)))
	dec.UseNumber()
	require.NoError(w.t, dec.Decode(&envelope))
	return envelope.Data
}

// refused sends a request that must be refused and returns type and message of the error.
func (w *wire) refused(status int, method, path, body string, edits ...edit) (kind, message string) {
	w.t.Helper()
	res := w.send(method, path, body, edits...)
	require.NoError(w.t, res.err)
	require.Equal(w.t, status, res.status, "%s %s: %s", method, path, res.body)
	assert.Equal(w.t, "application/json", res.header.Get("Content-Type"))
	assert.NotEmpty(w.t, res.header.Get("X-Request-Id"))
	var envelope struct {
		Error struct{ Type, Message string }
	}
	require.NoError(w.t, json.Unmarshal(res.body, &envelope))
	return envelope.Error.Type, envelope.Error.Message
}

type listing struct {
	Data       []map[string]any
	Pagination struct {
		More bool
		Next string
	}
}

func (l listing) ids() []int {
	ids := []int{}
	for _, r := range l.Data {
		ids = append(ids, int(r["id"].(float64)))
	}
	return ids
}

func (w *wire) list(path string) listing {
	w.t.Helper()
	res := w.send(http.MethodGet, path, "")
	require.NoError(w.t, res.err)
	require.Equal(w.t, http.StatusOK, res.status, "%s: %s", path, res.body)
	var l listing
	require.NoError(w.t, json.Unmarshal(res.body, &l))
	return l
}

// clock stands still until it is told otherwise.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(at string) *clock {
	now, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return &clock{now: now}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeTB records what a test would see.
type fakeTB struct {
	cleanups []func()
	fatals   []string
}

func (*fakeTB) Helper() {}

func (f *fakeTB) Cleanup(fn func()) { f.cleanups = append(f.cleanups, fn) }

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.fatals = append(f.fatals, fmt.Sprintf(format, args...))
}

// withContext gives a request a context that the test can end.
func withContext(ctx context.Context) edit {
	return func(r *http.Request) { *r = *r.WithContext(ctx) }
}
