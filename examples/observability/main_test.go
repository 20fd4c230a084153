package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) {
	clitest.Transcript(t, []clitest.Start{
		{Title: "-h", Args: []string{"-h"}},
		{Title: "an argument that is not a flag", Args: []string{"otel"}},
		{Title: "an address without a port", Args: []string{"-addr=127.0.0.1"}},
		{Title: "a token with a line break", Env: []string{"DRIFT_TOKEN=" + drifttest.DefaultToken + "\n"}},
	})
}

// With a wrong token the program says what to check, and goes on until Ctrl-C.
func TestCtrlC(t *testing.T) {
	srv := drifttest.Start(t, drifttest.WithToken("a-token-of-strangers"))
	for _, flags := range [][]string{{"-addr=0.0.0.0:0"}, {"-addr=127.0.0.1:0", "-otel"}} {
		output := clitest.Interrupt(t, clitest.Start{
			Args: flags, Env: []string{"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + srv.URL},
		}, func(output string) bool { return strings.Contains(output, "check DRIFT_TOKEN and DRIFT_BASE_URL") })
		assert.Contains(t, output, `"kind":"unauthorized"`)
		assert.Regexp(t, `(?m)^Metrics: http://127\.0\.0\.1:\d+/metrics$`, output)
	}
}

// run starts the program without an account. It returns the program's URL, what it writes, and a function that presses
// Ctrl-C.
func run(t *testing.T, withOTel bool) (url string, diagnostics *clitest.Buffer, stop func() error) {
	t.Helper()
	t.Setenv("DRIFT_TOKEN", "")
	ctx, cancel := context.WithCancel(t.Context())
	out, diagnostics, ended := &clitest.Buffer{}, &clitest.Buffer{}, make(chan error, 1)
	go func() { ended <- start(ctx, "127.0.0.1:0", withOTel, out, diagnostics) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	require.Eventually(t, func() bool {
		found := regexp.MustCompile(`Metrics: (\S+)/metrics`).FindStringSubmatch(out.String())
		if found != nil {
			url = found[1]
		}
		return found != nil
	}, 10*time.Second, 10*time.Millisecond)
	return url, diagnostics, stop
}

// page returns the status and the body of an answer.
func page(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestProgram(t *testing.T) {
	for name, test := range map[string]struct {
		withOTel          bool
		counted, reported string
	}{
		"hooks": {false, `drift_call_duration_seconds_count{operation="conversations.listByStatus",outcome="ok"}`,
			`"msg":"contacts read"`},
		"driftotel": {true, `drift_client_call_duration_seconds_count{drift_operation="conversations.listByStatus"}`,
			`"Name":"conversations.listByStatus"`},
	} {
		t.Run(name, func(t *testing.T) {
			url, diagnostics, stop := run(t, test.withOTel)
			status, titles := page(t, url+"/inbox")
			assert.Equal(t, http.StatusOK, status)
			assert.NotEmpty(t, titles)
			assert.Eventually(t, func() bool {
				_, metrics := page(t, url+"/metrics")
				return strings.Contains(metrics, test.counted)
			}, 10*time.Second, 50*time.Millisecond)
			pressed := time.Now()
			require.NoError(t, stop())
			assert.Less(t, time.Since(pressed), 4*time.Second)
			assert.Contains(t, diagnostics.String(), test.reported)
		})
	}
}

func TestWrongStarts(t *testing.T) {
	t.Setenv("DRIFT_TOKEN", "")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, withOTel := range []bool{false, true} {
		err = start(t.Context(), taken.Addr().String(), withOTel, io.Discard, io.Discard)
		require.ErrorContains(t, err, "address already in use")
	}
	t.Setenv("DRIFT_TOKEN", "two words")
	err = start(t.Context(), "127.0.0.1:0", false, io.Discard, io.Discard)
	require.ErrorIs(t, err, drift.ErrInvalid)
	require.ErrorContains(t, err, "DRIFT_TOKEN")
}

// What a customer has entered, and the token, show neither in metrics nor in spans nor in the log, even if Drift
// repeats them in its errors.
func TestNothingPersonalShows(t *testing.T) {
	for name, withOTel := range map[string]bool{"hooks": false, "driftotel": true} {
		t.Run(name, func(t *testing.T) {
			server := drifttest.Start(t, drifttest.WithToken("mark-token-5d1f2e3a4b5c"))
			server.AddConversation(drift.Conversation{Title: "mark-title"})
			server.AddContact(drift.Contact{Email: "mark@example.com"})
			words := `{"error": {"type": "mark-type", "message": "mark@example.com: mark-message", "code": "mark-code"}}`
			refused := drifttest.Fault{Status: http.StatusUnprocessableEntity, Body: words}
			failed := drifttest.Fault{Status: http.StatusInternalServerError, Body: words}
			server.Fail("contacts.get", drifttest.Fault{}, refused, failed, failed, failed)

			registry, diagnostics := prometheus.NewRegistry(), &clitest.Buffer{}
			watch, err := newMonitor(registry, withOTel, diagnostics)
			require.NoError(t, err)
			client := server.Client(watch.option)
			require.NoError(t, watch.observe(client))
			s := &service{client: client, log: watch.logger, registry: registry}
			answers := ask(s, "/inbox", "/contacts/1", "/contacts/1", "/contacts/1", "/contacts/mark-id", "/contacts/77")
			assert.Equal(t, []int{200, 200, 400, 502, 400, 404}, statusesOf(answers))
			for _, answer := range answers[1:] {
				assert.NotContains(t, answer.Body.String(), "mark")
			}
			metrics := ask(s, "/metrics")[0].Body.String()
			require.NoError(t, watch.close())
			assert.Contains(t, metrics, "contacts.get")
			assert.NotContains(t, metrics, "mark")
			assert.Contains(t, diagnostics.String(), `"kind":"server"`)
			assert.NotContains(t, diagnostics.String(), "mark")
		})
	}
}
