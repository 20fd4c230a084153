package page

import (
	"context"
	"flag"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserTimeout is generous: a browser on a busy machine takes its time to start.
const browserTimeout = 2 * time.Minute

// browser is a headless Chromium that notes every request.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	problems []string // dialogs
}

// startBrowser skips the test where there is no browser, unless DRIFT_BROWSER=required.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" && os.Getenv("DRIFT_BROWSER") == "required" {
		t.Fatal("there is no chromium in PATH")
	}
	if path == "" {
		t.Skip("there is no chromium in PATH, and DRIFT_BROWSER=required is not set")
	}
	b := &browser{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(browserTimeout))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.note))
	t.Cleanup(cancel)
	b.ctx = ctx
	return b
}

func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, event.Request.URL)
	case *page.EventJavascriptDialogOpening:
		b.problems = append(b.problems, "dialog: "+event.Message)
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// colors is the scheme that the user prefers: light or dark.
func colors(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	})
}

var screenshot = flag.String("screenshot", "", "the `file` for a picture of the page of a conversation")

// TestScreenshot makes the picture of the README: go test ./page -run Screenshot -screenshot ../../../docs/archive.png
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("-screenshot is not set")
	}
	f := newFixture(t)
	f.acme()
	server := httptest.NewServer(Handler(f.archive, key, ""))
	t.Cleanup(server.Close)
	b := startBrowser(t)
	for suffix, look := range map[string]struct {
		path   string
		width  int64
		height int64
		scheme string
	}{
		"": {"/conversations/4", 1100, 860, "light"}, "-dark": {"/conversations/4", 1100, 860, "dark"}, "-narrow": {"/conversations/4", 400, 1000, "light"},
		"-list": {"/?q=plan+OR", 1100, 700, "light"}, "-list-all": {"/?status=", 1100, 700, "light"}, "-list-narrow": {"/?agent=11", 400, 1000, "dark"},
		"-contact": {"/contacts/101", 1100, 600, "light"}, "-verification": {"/verification", 1100, 500, "light"}, "-oddities": {"/oddities", 1100, 500, "light"},
	} {
		_ = url.Values{}
		b.do(chromedp.EmulateViewport(look.width, look.height),
			colors(look.scheme),
			chromedp.Navigate(server.URL+"/"+key+look.path))
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		file := *screenshot
		ext := filepath.Ext(file)
		require.NoError(t, os.WriteFile(file[:len(file)-len(ext)]+suffix+ext, picture, 0o600))
	}
}
