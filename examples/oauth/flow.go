package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

var errNoCallback = errors.New("the authorize page was not answered in time")

// refusedError is an error that the authorize page sends instead of a code, such as access_denied.
type refusedError struct{ Code string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("access was not granted: %.40q", e.Code)
}

// flow is the authorization code flow of a program on the user's own machine.
type flow struct {
	config drift.OAuthConfig
	// port is the port to which the browser returns. It must be the one in the app's registered redirect URL, if that
	// has one. With 0 the system chooses a free port.
	port int
	// show shows the authorize page to the user: it prints the URL, or opens a browser.
	show func(authURL string) error
	// wait is how long to wait for the user.
	wait time.Duration
}

// authorize asks the user for access and returns the token. Meanwhile a server on loopback waits for the browser to
// return.
func (f flow) authorize(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.wait, errNoCallback)
	defer cancel()

	// Only this machine may connect. The name localhost might resolve to another address.
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", f.port))
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	f.config.RedirectURL = "http://" + listener.Addr().String() + callbackPath

	// The state binds the callback to this run, and the verifier binds the code to it. So a state or a code that leaks
	// through a log or the browser's history is useless. Both are new in every run.
	back := newCallback(rand.Text())
	defer back.serve(listener)()
	verifier := oauth2.GenerateVerifier()
	if err := f.show(f.config.AuthCodeURL(back.state, oauth2.S256ChallengeOption(verifier))); err != nil {
		return nil, err
	}
	code, err := back.result(ctx)
	if err != nil {
		return nil, err
	}
	return f.config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
}

const (
	callbackPath = "/callback"
	grantedPath  = "/granted"
	refusedPath  = "/refused"

	pageTimeout = 5 * time.Second // for the browser to fetch the last page
)

// callback receives the browser, once.
type callback struct {
	state    string
	answered chan answer   // has room for one
	shown    chan struct{} // closed when the browser has the last page
	once     sync.Once     // closes shown

	mu   sync.Mutex
	used bool
}

// answer is the authorize page's answer, which the browser brings back.
type answer struct {
	code string
	err  error
}

func newCallback(state string) *callback {
	return &callback{state: state, answered: make(chan answer, 1), shown: make(chan struct{})}
}

// serve starts the server. The returned function stops it.
func (c *callback) serve(listener net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, c.receive)
	mux.HandleFunc("GET "+grantedPath, c.last("Access granted", "Close this page and return to the program."))
	mux.HandleFunc("GET "+refusedPath, c.last("Access refused",
		"The program has no access to your account. To grant access after all, start the program again."))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a logged request would contain a code
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends with stop
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil { // a browser may keep an idle connection open
			_ = server.Close()
		}
		<-ended
	}
}

// result waits until the browser has returned and has left the URL with the code.
func (c *callback) result(ctx context.Context) (string, error) {
	var a answer
	select {
	case a = <-c.answered:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	select {
	case <-c.shown:
	case <-ctx.Done(): // the page is not essential
	}
	return a.code, a.err
}

// receive redirects the browser to a page without the code, so that the code does not stay in the address bar and the
// visible history. The browser's files may still contain it, but it is useless then: it has been used, and it needs the
// verifier.
func (c *callback) receive(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code, failure := query.Get("code"), query.Get("error")
	switch {
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(c.state)) != 1:
		page(w, http.StatusBadRequest, "Unexpected answer",
			"The program is waiting for a different answer. Start again in the program.")
	case code == "" && failure == "":
		page(w, http.StatusBadRequest, "Incomplete", "The answer lacks the code. Start again in the program.")
	case !c.use():
		page(w, http.StatusBadRequest, "Already answered", "The program already has its answer. Close this page.")
	case failure != "":
		c.answered <- answer{err: &refusedError{Code: failure}}
		moveOn(w, refusedPath)
	default:
		c.answered <- answer{code: code}
		moveOn(w, grantedPath)
	}
}

// use reports whether this is the first use.
func (c *callback) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.used
	c.used = true
	return first
}

func (c *callback) last(title, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, title, text)
		c.once.Do(func() { close(c.shown) })
	}
}

func moveOn(w http.ResponseWriter, path string) {
	setHeaders(w)
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// page shows constant texts only, and nothing from the request.
func page(w http.ResponseWriter, status int, title, text string) {
	setHeaders(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"+
		"<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n", title, title, text)
}

func setHeaders(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
