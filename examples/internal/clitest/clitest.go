// Package clitest tests the examples as a user meets them: as commands that are started with the wrong token, the wrong
// URL or no network, and stopped with Ctrl-C.
package clitest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/drifttest"
	"github.com/driftsdk/drift/internal/testkit"
)

// The variables of a process that is the command instead of its tests.
const (
	asCommand = "CLITEST_COMMAND"
	noNetwork = "CLITEST_NO_NETWORK"
)

// Main is the TestMain of an example. The test binary runs its tests, or main if a test has started it.
func Main(m *testing.M, main func()) {
	if os.Getenv(asCommand) == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(noNetwork) != "" {
		unreachable := func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("the network is unreachable")
		}
		net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: unreachable}
	}
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError) // without the flags of tests
	main()
	os.Exit(0)
}

// Start is a start of the command.
type Start struct {
	Title string
	Args  []string
	Env   []string // NAME=value; no other variable with the prefix DRIFT_ is set
	Dir   string   // the working directory; "": that of the test
}

// Command returns the process of a start, which the caller runs. It is killed when ctx ends.
func Command(ctx context.Context, t *testing.T, s Start) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(ctx, program, s.Args...)
	command.Dir = s.Dir
	command.WaitDelay = 10 * time.Second
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "DRIFT_") {
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(append(command.Env, asCommand+"=1"), s.Env...)
	return command
}

// Transcript runs the command once for each start, and compares what it prints with testdata/starts.txt.
func Transcript(t *testing.T, starts []Start) {
	t.Helper()
	outputs := make([]string, len(starts))
	var group sync.WaitGroup
	for i, s := range starts {
		command := Command(t.Context(), t, s)
		group.Go(func() {
			output, _ := command.CombinedOutput()
			outputs[i] = fmt.Sprintf("== %s\n%sexit status %d\n", s.Title, output, command.ProcessState.ExitCode())
		})
	}
	group.Wait()
	testkit.CompareGolden(t, "testdata", "starts.txt", []byte(constant(strings.Join(outputs, "\n"))))
}

// varying has what differs from run to run. The ports that the system chooses have five digits.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\bhttp://127\.0\.0\.1:\d+/\S*state=\S*`), "AUTHORIZE-URL"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\bfor \d+s\b`), "for SECONDS"},
	{regexp.MustCompile(`\d{1,2} [A-Z][a-z]+ 20\d\d`), "DATE"},
}

func constant(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.name)
	}
	return text
}

// WithToken returns the usual starts of an example that calls the account of DRIFT_TOKEN: without a token, with one but
// without the flags that are needed, and then with everything else wrong.
func WithToken(t *testing.T, needed ...string) []Start {
	t.Helper()
	server := drifttest.Start(t, drifttest.WithDemoData())
	strangers := drifttest.Start(t, drifttest.WithToken("a-token-of-strangers"))
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<!doctype html>\n<title>Not found</title>")
	}))
	t.Cleanup(website.Close)

	right, account := "DRIFT_TOKEN="+drifttest.DefaultToken, "DRIFT_BASE_URL="+server.URL
	starts := []Start{
		{Title: "no token"},
		{Title: "-h", Args: []string{"-h"}},
		{Title: "an argument that is not a flag", Args: []string{"help"}},
	}
	for n := range needed {
		starts = append(starts, Start{Title: "a token, without " + needed[n], Args: needed[:n], Env: []string{right, account}})
	}
	return append(starts,
		Start{Title: "the wrong token", Args: needed, Env: []string{right, "DRIFT_BASE_URL=" + strangers.URL}},
		Start{Title: "a token with a line break", Args: needed, Env: []string{right + "\n", account}},
		Start{Title: "a URL that ends in v2", Args: needed, Env: []string{right, account + "/v2"}},
		Start{Title: "the URL of a web site", Args: needed, Env: []string{right, "DRIFT_BASE_URL=" + website.URL}},
		Start{Title: "a URL at which nothing listens", Args: needed, Env: []string{right, "DRIFT_BASE_URL=" + deserted(t)}},
		Start{Title: "no network", Args: needed, Env: []string{right, noNetwork + "=1"}},
	)
}

// deserted returns the URL of a port at which nothing listens.
func deserted(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(nil)
	server.Close()
	return server.URL
}

// CtrlC starts the command with an account that does not answer, presses Ctrl-C, and checks that the command ends with
// status 0.
func CtrlC(t *testing.T, args ...string) {
	t.Helper()
	var called atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		called.Store(true)
		<-r.Context().Done()
	}))
	defer server.Close()
	start := Start{Args: args, Env: []string{"DRIFT_TOKEN=" + drifttest.DefaultToken, "DRIFT_BASE_URL=" + server.URL}}
	Interrupt(t, start, func(string) bool { return called.Load() })
}

// Interrupt starts the command, presses Ctrl-C as soon as it is ready by what it has printed, and checks that it ends
// with status 0. It returns what the command printed.
func Interrupt(t *testing.T, s Start, ready func(output string) bool) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a test cannot press Ctrl-C on Windows")
	}
	command := Command(t.Context(), t, s)
	output := new(Buffer)
	command.Stdout, command.Stderr = output, output
	require.NoError(t, command.Start())
	assert.Eventually(t, func() bool { return ready(output.String()) }, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, command.Process.Signal(os.Interrupt))
	assert.NoError(t, command.Wait(), output.String())
	assert.Contains(t, output.String(), "Stopped")
	return output.String()
}

// Buffer is a buffer that may be read while a program writes.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
