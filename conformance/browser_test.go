package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browserTimeout is generous: a browser on a busy machine takes its time to start.
const browserTimeout = 2 * time.Minute

// The OAuth example leads a real browser through the whole flow, and what the user then sees of it has no code in it.
func TestBrowser(t *testing.T) {
	chromium := findChromium(t)
	program := filepath.Join(t.TempDir(), "oauth")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "..", "-o", program, "./examples/oauth")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)

	t.Run("allow", func(t *testing.T) {
		example, b := startExample(t, program), startBrowser(t, chromium)
		b.decide(example.authURL, "#allow", "Access granted")
		assert.Equal(t, "/granted", b.address().RequestURI(), "what the address bar shows")
		assert.Contains(t, b.text(), "return to the program")

		code := b.callback().Query().Get("code")
		require.NotEmpty(t, code)
		state := b.callback().Query().Get("state")
		b.checkHistory(code, state)

		require.NoError(t, example.wait(), "%s", example.output())
		assert.Contains(t, example.output(), "Two hours later, the program is started again:\n1  grace.abbott@customer01.example\n")
		assert.NotContains(t, example.output(), code)
	})
	t.Run("deny", func(t *testing.T) {
		example, b := startExample(t, program), startBrowser(t, chromium)
		b.decide(example.authURL, "#deny", "Access refused")
		assert.Equal(t, "/refused", b.address().RequestURI())
		assert.Contains(t, b.text(), "start the program again")
		assert.Equal(t, "access_denied", b.callback().Query().Get("error"))
		b.checkHistory("access_denied", b.callback().Query().Get("state"))

		assert.Error(t, example.wait())
		assert.Contains(t, example.output(), `access was not granted: "access_denied"`)
	})
}

// findChromium skips the test where there is no browser, unless DRIFT_BROWSER=required.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("DRIFT_BROWSER") == "required" {
		t.Fatal("there is no chromium in PATH")
	}
	t.Skip("there is no chromium in PATH, and DRIFT_BROWSER=required is not set")
	return ""
}

// example is the program, waiting for its browser.
type example struct {
	authURL string
	command *exec.Cmd
	printed *buffer
	read    chan struct{} // closed when the output is at its end
}

func startExample(t *testing.T, program string) *example {
	t.Helper()
	e := &example{printed: &buffer{}, read: make(chan struct{})}
	e.command = exec.CommandContext(t.Context(), program, "-browser", "-wait", browserTimeout.String())
	e.command.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	e.command.Stderr = e.printed
	stdout, err := e.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, e.command.Start())
	found := make(chan string, 1)
	go func() {
		defer close(e.read)
		e.scan(stdout, found)
	}()
	t.Cleanup(func() {
		_ = e.command.Process.Kill()
		_ = e.wait()
	})
	select {
	case e.authURL = <-found:
	case <-e.read:
		t.Fatalf("the example printed no URL: %s", e.output())
	case <-time.After(browserTimeout):
		t.Fatal("the example did not start")
	}
	return e
}

func (e *example) scan(stdout io.Reader, found chan<- string) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(e.printed, lines.Text())
		if line := strings.TrimSpace(lines.Text()); strings.HasPrefix(line, "http://") && len(found) == 0 {
			found <- line
		}
	}
}

// wait returns how the program ended.
func (e *example) wait() error {
	<-e.read
	return e.command.Wait()
}

func (e *example) output() string { return e.printed.String() }

// buffer may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// browser is a headless Chromium with a profile of its own.
type browser struct {
	t       *testing.T
	ctx     context.Context
	profile string

	mu   sync.Mutex
	urls []string // of all requests
}

func startBrowser(t *testing.T, path string) *browser {
	t.Helper()
	b := &browser{t: t, profile: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(cancel)
	ctx, cancelAllocator := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(b.profile),
		chromedp.WSURLReadTimeout(browserTimeout),
	)...)
	t.Cleanup(cancelAllocator)
	ctx, cancelBrowser := chromedp.NewContext(ctx, chromedp.WithListener(b.record))
	t.Cleanup(cancelBrowser)
	b.ctx = ctx
	return b
}

func (b *browser) record(event any) {
	if request, ok := event.(*network.EventRequestWillBeSent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.urls = append(b.urls, request.Request.URL)
	}
}

// decide opens the authorize page, presses a button, and waits for the page with that heading.
func (b *browser) decide(authURL, button, heading string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx,
		chromedp.Navigate(authURL),
		chromedp.Click(chromedp.CSS(button)),
		chromedp.WaitVisible(fmt.Sprintf("//h1[text()=%q]", heading)),
	))
}

func (b *browser) address() *url.URL {
	b.t.Helper()
	location, err := chromedp.Run(b.ctx, chromedp.Location())
	require.NoError(b.t, err)
	address, err := url.Parse(location)
	require.NoError(b.t, err)
	return address
}

func (b *browser) text() string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("body")))
	require.NoError(b.t, err)
	return text
}

// callback is the URL that the authorize page sent the browser to.
func (b *browser) callback() *url.URL {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, raw := range b.urls {
		if u, err := url.Parse(raw); err == nil && u.Path == "/callback" {
			return u
		}
	}
	require.Fail(b.t, "the browser never came back", "%q", b.urls)
	return nil
}

// checkHistory looks at all that a page or a user can see of where the browser was. The state is in the URL of the authorize page,
// and may be nowhere else.
func (b *browser) checkHistory(secret, state string) {
	b.t.Helper()
	history, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	require.NoError(b.t, err)
	require.NotEmpty(b.t, history.Entries)
	for _, entry := range history.Entries {
		for _, shown := range []string{entry.URL, entry.UserTypedURL, entry.Title} {
			assert.NotContains(b.t, shown, secret)
			if !strings.Contains(shown, "/authorize?") {
				assert.NotContains(b.t, shown, state)
			}
		}
	}
	referrer, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.referrer"))
	require.NoError(b.t, err)
	assert.Empty(b.t, referrer)
}
