package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/internal/clitest"
)

func TestMain(m *testing.M) { clitest.Main(m, main) }

func TestStarts(t *testing.T) {
	clitest.Transcript(t, []clitest.Start{
		{Title: "-h", Args: []string{"-h"}},
		{Title: "an argument that is not a flag", Args: []string{":8080"}},
		{Title: "an address without a port", Args: []string{"-addr", "127.0.0.1"}},
		{Title: "a limit below 0", Args: []string{"-addr", "127.0.0.1:0", "-per-minute", "-1"}},
	})
}

func TestCtrlC(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		output := clitest.Interrupt(t, clitest.Start{Args: []string{"-addr", addr}},
			func(output string) bool { return strings.Contains(output, "With the SDK:") })
		assert.Regexp(t, `(?m)^  URL    http://127\.0\.0\.1:\d+$`, output)
		assert.Contains(t, output, "There were 0 requests.\nStopped.\n")
	}
}

// serve runs the server until the test ends, and returns what it printed at the start, line by line.
func serve(t *testing.T, perMinute int) []string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, "127.0.0.1:0", perMinute, 0, in)
		in.CloseWithError(err)
		done <- err
	}()
	scanner := bufio.NewScanner(out)
	var lines []string
	for scanner.Scan() {
		lines = append(lines, strings.TrimSpace(scanner.Text()))
		if strings.HasPrefix(scanner.Text(), "With the SDK:") {
			break
		}
	}
	require.NoError(t, scanner.Err())
	t.Cleanup(func() {
		stop()
		assert.True(t, scanner.Scan())
		assert.Contains(t, scanner.Text(), "There were")
		assert.NoError(t, <-done)
	})
	return lines
}

// valueOf finds the rest of the line that begins with name.
func valueOf(t *testing.T, lines []string, name string) string {
	t.Helper()
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no line begins with %q: %q", name, lines)
	return ""
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestAnswersWithThePrintedToken(t *testing.T) {
	lines := serve(t, 100)
	url, token := valueOf(t, lines, "URL"), valueOf(t, lines, "Token")

	status, body := get(t, url+"/v2/conversations/1", token)
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `"title":"Invoice is missing a VAT number"`)

	status, _ = get(t, url+"/v2/conversations/1", "another")
	assert.Equal(t, http.StatusUnauthorized, status)
}

func TestEnforcesTheMinute(t *testing.T) {
	lines := serve(t, 2)
	url, token := valueOf(t, lines, "URL"), valueOf(t, lines, "Token")
	for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		status, _ := get(t, url+"/v2/contacts", token)
		assert.Equal(t, want, status)
	}
}

// The commands that are printed must work as they stand.
func TestPrintedCommands(t *testing.T) {
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program, "is not installed")
		}
	}
	tried := 0
	for _, line := range serve(t, 100) {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		answer, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
		require.NoError(t, err, line)
		var envelope struct{ Data json.RawMessage }
		require.NoError(t, json.Unmarshal(answer, &envelope), line)
		assert.NotEmpty(t, envelope.Data, "%s: %s", line, answer)
		tried++
	}
	assert.Equal(t, 4, tried)
}

func TestSaysWhyItCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	assert.ErrorContains(t, run(t.Context(), taken.Addr().String(), 0, 0, io.Discard), "listen tcp")
	for _, limits := range [][2]int{{-1, 0}, {0, -1}} {
		err := run(t.Context(), "127.0.0.1:0", limits[0], limits[1], io.Discard)
		assert.EqualError(t, err, "-per-minute and -per-month must not be negative")
	}
}
