package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

// What the program prints without a token has times in it, which differ.
func TestStarts(t *testing.T) { clitest.Transcript(t, clitest.WithToken(t)[1:]) }

func TestCtrlC(t *testing.T) { clitest.CtrlC(t) }

// account answers in memory, because sockets would not know of virtual time. The first calls are answered 429 if asked.
type account struct {
	mu      sync.Mutex
	refuse  int
	answers int
}

func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r}
	if a.refuse > 0 {
		a.refuse--
		answer.StatusCode = http.StatusTooManyRequests
		answer.Header.Set("Retry-After", "1")
	}
	a.answers++
	answer.Body = io.NopCloser(strings.NewReader(body(r.URL.Path)))
	return answer, nil
}

func body(path string) string {
	switch path {
	case "/v2/conversations":
		return `{"data":[` + strings.Repeat(`{"id":1},`, records-1) + `{"id":1}]}`
	case "/v2/contacts":
		return `{"data":[{"id":1}]}`
	default:
		return `{"data":{"id":1}}`
	}
}

func newClient(t *testing.T, a *account) *drift.Client {
	t.Helper()
	client, err := drift.NewClient(
		drift.WithBaseURL("https://drift.test"),
		drift.WithToken("test-token"),
		drift.WithHTTPClient(&http.Client{Transport: a}),
		drift.WithLimiter(limiter()),
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// waits finds the longest waits in what was printed.
func waits(t *testing.T, out string) (workers, user float64) {
	t.Helper()
	found := regexp.MustCompile(`longest wait (\d+\.\d) s`).FindAllStringSubmatch(out, -1)
	require.Len(t, found, 2, out)
	workers, err := strconv.ParseFloat(found[0][1], 64)
	require.NoError(t, err)
	user, err = strconv.ParseFloat(found[1][1], 64)
	require.NoError(t, err)
	return workers, user
}

func TestUserGetsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a, start := new(account), time.Now()
		require.NoError(t, run(t.Context(), newClient(t, a), &out))
		assert.Equal(t, 1+records+visits, a.answers)
		assert.InDelta(t, 6.7, time.Since(start).Seconds(), 0.1, "three at once, the others at just under 100 a minute")

		assert.Contains(t, out.String(), "Calls of the workers: 10,")
		assert.Contains(t, out.String(), "Calls of the user: 3,")
		assert.Contains(t, out.String(), "429s: 0.")
		workers, user := waits(t, out.String())
		assert.Greater(t, workers, 2.0)
		assert.LessOrEqual(t, user, 0.6, "the next call is the user's")
	})
}

// Without a token the program calls a server that enforces the limit. In a bubble, the server goes by virtual time too.
func TestOffline(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, start(t.Context(), &out))
		assert.Contains(t, out.String(), "DRIFT_TOKEN is not set: calling an in-memory Drift server.\n")
		assert.Contains(t, out.String(), "429s: 0.")
	})
}

func TestRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := new(account)
		client := newClient(t, a)
		time.AfterFunc(time.Second, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.refuse = 1
		})
		require.NoError(t, run(t.Context(), client, &out))
		assert.Contains(t, out.String(), "429s: 1.")
		assert.Equal(t, 1+records+visits+1, a.answers)
	})
}

func TestStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, run(ctx, newClient(t, new(account)), io.Discard), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 2*time.Second)
	})
}
