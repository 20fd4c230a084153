package page

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// NewKey returns a new key for [Handler]: 26 letters and digits with 128 random bits.
func NewKey() string { return rand.Text() }

// policy lets a page load the style sheet and submit the search form, and nothing else. Even if a script got into a
// page, it would not run.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"sandbox allow-forms allow-same-origin allow-popups allow-downloads"

// guard lets a request pass if it reads, comes from a page of this server, and knows the key. A cookie would not do in
// place of the key: the browser sends it to every port of the same host.
func guard(key string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		switch {
		case !isLoopback(r.Host):
			refuse(w, http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed)
		case !hasKey(r.URL.Path, key):
			refuse(w, http.StatusForbidden)
		default:
			pages.ServeHTTP(w, r)
		}
	})
}

func protect(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func refuse(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// isLoopback says whether the browser thinks that it talks to this machine. The port may differ, as through ssh -L. A
// hostile site whose name resolves to 127.0.0.1 still sends its own name.
func isLoopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return name == "127.0.0.1" || name == "::1" || strings.EqualFold(name, "localhost")
}

func hasKey(path, key string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return key != "" && subtle.ConstantTimeCompare([]byte(first), []byte(key)) == 1
}
