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

var errNoCallback = errors.New("nobody came back from the authorize page in time")

// refusedError is what the authorize page sends instead of a code, such as access_denied.
type refusedError struct{ Code string }

func (e *refusedError) Error() string {
	return fmt.Sprintf("the access was not granted: %.40q", e.Code)
}

// flow is the authorization code flow of a program on the user's own machine.
type flow struct {
	config drift.OAuthConfig
	// port is where the browser comes back to. With 0 the system chooses a free one; an app whose redirect URL is registered with a
	// port needs that one.
	port int
	// show gets the URL of the authorize page to the user: prints it, or opens a browser.
	show func(authURL string) error
	// wait is how long the user may take.
	wait time.Duration
}

// authorize asks the user for access and returns the token. While it runs, a server on loopback waits for the browser to come back.
func (f flow) authorize(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.wait, errNoCallback)
	defer cancel()

	// Nobody but this machine may connect. The name localhost could be another address.
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", f.port))
	if err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	f.config.RedirectURL = "http://" + listener.Addr().String() + callbackPath

	// The state binds the callback to this run, the verifier binds the code to it: who finds the one in a log or a history has no use
	// for it. Both are new every time.
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
	answered chan answer   // takes one
	shown    chan struct{} // closed when the browser has the last page
	once     sync.Once     // closes shown

	mu   sync.Mutex
	used bool
}

// answer is what the authorize page sent the browser back with.
type answer struct {
	code string
	err  error
}

func newCallback(state string) *callback {
	return &callback{state: state, answered: make(chan answer, 1), shown: make(chan struct{})}
}

// serve returns what ends the server again.
func (c *callback) serve(listener net.Listener) (stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, c.receive)
	mux.HandleFunc("GET "+grantedPath, c.last("Access granted", "Close this page and go back to the program."))
	mux.HandleFunc("GET "+refusedPath, c.last("No access", "The program got no access to your account. Start it again if you did not mean that."))
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a request that is logged has a code in it
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends with stop
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil { // a browser may hold a connection open that it has no use for
			_ = server.Close()
		}
		<-ended
	}
}

// result waits for the browser, and until it has left the URL with the code behind.
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
	case <-ctx.Done(): // it is only a page
	}
	return a.code, a.err
}

// receive takes the code out of the address bar and out of the history that the user sees: the browser goes on to a page without it.
// Files of the browser may hold it all the same. It is of no use by then: it was used, and needs the verifier.
func (c *callback) receive(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code, failure := query.Get("code"), query.Get("error")
	switch {
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(c.state)) != 1:
		page(w, http.StatusBadRequest, "Not expected", "This is not the answer that the program waits for. Start again in the program.")
	case code == "" && failure == "":
		page(w, http.StatusBadRequest, "Incomplete", "The answer lacks the code. Start again in the program.")
	case !c.use():
		page(w, http.StatusBadRequest, "Answered already", "The program has its answer. Close this page.")
	case failure != "":
		c.answered <- answer{err: &refusedError{Code: failure}}
		moveOn(w, refusedPath)
	default:
		c.answered <- answer{code: code}
		moveOn(w, grantedPath)
	}
}

// use reports whether it is the first time.
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

// page takes constant texts only: nothing of the request is shown.
func page(w http.ResponseWriter, status int, title, text string) {
	setHeaders(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%s</h1>\n<p>%s</p>\n", title, title, text)
}

func setHeaders(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
