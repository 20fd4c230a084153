package page

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/store"
)

// Each of the two defences is enough by itself: the sanitizer without the policy, and the policy without the sanitizer.
// Without both, the browser does what the bodies say, so that this test can fail.
func TestBrowserHostileBodies(t *testing.T) {
	b := startBrowser(t)
	var cleaned strings.Builder
	for _, body := range armed() {
		cleaned.WriteString(string(clean(body)))
	}
	for _, test := range []struct {
		name   string
		bodies []string
		policy string
		holds  bool
	}{
		{"sanitizer", []string{cleaned.String()}, "", true},
		{"policy", armed(), policy, true},
		{"neither", armed()[:30], "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serveBodies(t, test.bodies, test.policy)
			b.evil.take()
			acted := 0
			for i := range test.bodies {
				b.do(chromedp.Navigate(fmt.Sprintf("%s/%d", server.URL, i)), chromedp.Sleep(settle))
				got := b.evil.take()
				if len(got) > 0 {
					acted++
				}
				if test.holds {
					assert.Empty(t, got, "%s", hostile[i])
				}
			}
			t.Logf("%d of %d bodies did something", acted, len(test.bodies))
			if !test.holds {
				assert.Greater(t, acted, 10)
			}
		})
	}
}

// armed returns the hostile bodies, with scripts that send something.
func armed() (bodies []string) {
	for _, body := range hostile {
		bodies = append(bodies, strings.ReplaceAll(body, "alert(1)", "navigator.sendBeacon(`//evil.example/`)"))
	}
	return bodies
}

// serveBodies serves bodies at /0, /1 and so on.
func serveBodies(t *testing.T, bodies []string, policy string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if i, err := strconv.Atoi(r.URL.Path[1:]); err == nil && i < len(bodies) {
			_, _ = io.WriteString(w, "<!DOCTYPE html><title>x</title><body>"+bodies[i])
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// No page makes the browser ask another host, and no body leaves its place.
func TestBrowserPages(t *testing.T) {
	b := startBrowser(t)
	f := hostileArchive(t)
	server := httptest.NewServer(Handler(f.archive, key, ""))
	t.Cleanup(server.Close)
	root := server.URL + "/" + key
	for _, path := range []string{
		"/", "/?q=page", "/conversations/5", "/contacts/666", "/oddities", "/verification", "/x",
	} {
		b.do(chromedp.Navigate(root+path), chromedp.Sleep(settle),
			chromedp.WaitVisible(chromedp.CSS("main > * h1, main > h1")), chromedp.WaitVisible(chromedp.CSS("body > footer")))
		assert.Empty(t, b.foreign(server.URL), path)
		assert.Empty(t, b.evil.take(), path)
	}
	b.do(chromedp.Navigate(root + "/conversations/5"))
	places, err := chromedp.Run(b.ctx, chromedp.Nodes(chromedp.CSSAll("section > ol.thread > li.message > div.body")))
	require.NoError(t, err)
	assert.Len(t, places, len(hostile)+1)
}

// No text of a stranger makes a page wider than a small window, or a name taller than a few lines.
func TestBrowserNarrow(t *testing.T) {
	b := startBrowser(t)
	f := newFixture(t)
	long := strings.Repeat("W", 3_000)
	f.talk(1, map[string]any{"name": long, "email": long + "@example.com", long: long, "x": long}, long, long)
	f.says(0, "hit "+long, buttons(long), f.file(7, long+".pdf", nil),
		func(m *store.Message, raw map[string]any) {
			m.Type, raw["context"] = long, map[string]any{"title": long}
		})
	f.says(11, "<table><tr>"+strings.Repeat("<td>"+long[:50], 50)+"</table><pre>"+long+"</pre>"+
		strings.Repeat("<blockquote>", 100)+long+strings.Repeat("<ul><li>", 100)+long)
	f.write(func(tx *store.Tx) error {
		if err := tx.PutVerification(store.Verification{Checks: []store.Check{{Name: long, Result: long}}}); err != nil {
			return err
		}
		return tx.PutOddity(store.Oddity{Operation: long, Subject: long, Error: long, Raw: []byte(long), SeenAt: f.at})
	})
	server := httptest.NewServer(Handler(f.archive, key, ""))
	t.Cleanup(server.Close)
	for _, width := range []int64{320, 1200} {
		for _, path := range []string{"/", "/?q=hit", "/conversations/1", "/contacts/1", "/oddities", "/verification"} {
			b.picture(server.URL+"/"+key+path, width, 700, "dark")
			size, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]int64](`[document.documentElement.scrollWidth,
				Math.max(...Array.from(document.querySelectorAll('h1, .name, dd, .tags'), e => e.offsetHeight))]`))
			require.NoError(t, err)
			assert.LessOrEqual(t, size[0], width, path)
			assert.Less(t, size[1], int64(300), path)
		}
	}
}

// The form works without scripts.
func TestBrowserSearch(t *testing.T) {
	b := startBrowser(t)
	f := newFixture(t)
	f.acme()
	server := httptest.NewServer(Handler(f.archive, key, ""))
	t.Cleanup(server.Close)
	b.do(chromedp.Navigate(server.URL+"/"+key+"/"), chromedp.SendKeys(chromedp.CSS("#q"), "offer"),
		chromedp.Click(chromedp.CSS(".words button")), chromedp.WaitVisible(chromedp.CSS("mark")),
		chromedp.Click(chromedp.CSS("ol.conversations a")), chromedp.WaitVisible(chromedp.CSS(".thread")),
		chromedp.Click(chromedp.CSS(".message .raw summary")), chromedp.WaitVisible(chromedp.CSS(".message .raw pre")))
}

// The pages in a folder are styled, and as quiet as those that are served.
func TestBrowserFolder(t *testing.T) {
	b := startBrowser(t)
	dir := filepath.Join(t.TempDir(), "pages")
	_, err := WriteFolder(t.Context(), hostileArchive(t).archive, store.Filter{}, dir)
	require.NoError(t, err)
	root := "file://" + dir
	for _, path := range []string{"/index.html", "/conversations/5.html", "/contacts/666.html", "/oddities.html"} {
		b.do(chromedp.Navigate(root+path), chromedp.Sleep(settle))
		assert.Empty(t, b.foreign(root), path)
		assert.Empty(t, b.evil.take(), path)
		styles, err := chromedp.Run(b.ctx, chromedp.ComputedStyle(chromedp.CSS("body")))
		require.NoError(t, err)
		for _, style := range styles {
			if style.Name == "max-width" {
				assert.Equal(t, "1216px", style.Value, path)
			}
		}
	}
}

// A file of a folder does nothing in the browser, whatever is in it: it would act with the rights of the whole folder.
func TestBrowserInertFiles(t *testing.T) {
	b := startBrowser(t)
	const page = "<!DOCTYPE html><script>navigator.sendBeacon('http://evil.example/')</script>" +
		"<img src=http://evil.example/a><link rel=stylesheet href=http://evil.example/b>"
	mail := strings.ReplaceAll("From: a@evil.example\nMIME-Version: 1.0\nContent-Type: text/html\n\n"+page, "\n", "\r\n")
	for i, extension := range append(slices.Clone(inertFiles), ".html", ".svg", ".xml", ".mhtml", "") {
		for j, content := range []string{page, mail} {
			a := store.Attachment{ID: int64(2*i + j), Name: "file" + extension}
			path := filepath.Join(t.TempDir(), filepath.Base(folderFile(a)))
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_ = chromedp.Do(b.ctx, chromedp.Navigate("file://"+path), chromedp.Sleep(settle)) // a download is an error
			assert.Empty(t, b.evil.take(), path)
		}
	}
}

// hostileArchive is an archive in which strangers have tried everything, in conversation 5.
func hostileArchive(t *testing.T) *fixture {
	t.Helper()
	const image = "<img src=http://evil.example/a>"
	f := newFixture(t)
	f.acme()
	f.talk(666, map[string]any{"name": image, "email": "a@evil.example"}, "open", image)
	for _, body := range armed() {
		f.says(0, body)
	}
	f.says(0, "a page", f.file(7, "page.html", []byte("<script>navigator.sendBeacon('http://evil.example/')</script>")))
	return f
}

var screenshot = flag.String("screenshot", "", "the `file` for a picture of the page of a conversation")

// TestScreenshot makes the picture: go test ./page -run Screenshot -args -screenshot "$PWD/../../docs/archive.png"
func TestScreenshot(t *testing.T) {
	if *screenshot == "" {
		t.Skip("-screenshot is not set")
	}
	f := newFixture(t)
	f.acme()
	server := httptest.NewServer(Handler(f.archive, key, ""))
	t.Cleanup(server.Close)
	picture := startBrowser(t).picture(server.URL+"/"+key+"/conversations/4", 1000, 920, "light")
	require.NoError(t, os.WriteFile(*screenshot, shrink(t, picture), 0o644))
}

// shrink reduces a picture to its 256 most frequent colors.
func shrink(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	bounds, counts := full.Bounds(), map[color.Color]int{}
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			counts[full.At(x, y)]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	small := image.NewPaletted(bounds, frequent[:min(len(frequent), 256)])
	draw.Draw(small, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	return out.Bytes()
}

// browserTimeout is generous: a browser on a busy machine takes its time to start.
const browserTimeout = 4 * time.Minute

// settle is how long a page has for what it does by itself.
const settle = 50 * time.Millisecond

// browser is a headless Chromium that notes every request, also one that it refuses to send. For it, evil.example is a
// server on this machine.
type browser struct {
	t    *testing.T
	ctx  context.Context
	evil evil

	mu       sync.Mutex
	requests []string
}

// evil is the server of evil.example. It notes what it is asked for.
type evil struct {
	mu  sync.Mutex
	got []string
}

func (e *evil) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, r.Method+" "+r.URL.String())
}

// take returns what was asked for since the last call.
func (e *evil) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

// startBrowser skips the test where there is no browser, unless DRIFT_BROWSER=required.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	b := &browser{t: t}
	server := httptest.NewServer(&b.evil)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findChromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(browserTimeout),
		chromedp.Flag("host-resolver-rules", "MAP evil.example "+server.Listener.Addr().String()))...)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.note))
	t.Cleanup(cancel)
	return b
}

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

func (b *browser) note(event any) {
	if request, ok := event.(*network.EventRequestWillBeSent); ok {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.requests = append(b.requests, request.Request.URL)
	}
}

// foreign returns the requests since the last call that went elsewhere than to root.
func (b *browser) foreign(root string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	foreign := slices.DeleteFunc(b.requests, func(url string) bool {
		return strings.HasPrefix(url, root) || strings.HasPrefix(url, "data:") // Chromium's own icons
	})
	b.requests = nil
	return foreign
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, actions...))
}

// picture opens a page in a window of a size, for a user who prefers light or dark, and takes a picture of it.
func (b *browser) picture(address string, width, height int64, scheme string) []byte {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}), chromedp.Navigate(address))
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	return picture
}
