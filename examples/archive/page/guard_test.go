package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift/examples/archive/storetest"
)

const key = "KEYKEYKEYKEYKEYKEYKEYKEYKE"

// routes has one address of every kind, and what is answered.
var routes = map[string]int{
	"": 200, "/": 200, "/?q=engine": 200, "/?contact=x": 400, "/?from=x": 400, "/?after=x": 400,
	"/conversations/1": 200, "/conversations/999": 404, "/conversations/x": 404, "/conversations/-1": 404,
	"/conversations/99999999999999999999": 404,
	"/contacts/101":                       200, "/contacts/999": 404,
	"/files/1": 200, "/files/2": 404, "/files/999": 404,
	"/oddities": 200, "/verification": 200, "/conversations.csv": 200, "/conversations.csv?from=x": 400,
	"/conversations.jsonl": 200, "/style.css": 200, "/archive.db": 404, "/attachments/": 404, "/templates/layout.html": 404,
	"/files/..%2f..%2farchive.db": 404, "/files/%2e%2e%2farchive.db": 404,
}

func ask(t *testing.T, handler http.Handler, method, target, host string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.Host = host
	handler.ServeHTTP(w, r)
	return w
}

func assertProtected(t *testing.T, header http.Header) {
	t.Helper()
	csp := header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "style-src 'self'", "form-action 'self'", "base-uri 'none'",
		"frame-ancestors 'none'", "sandbox allow-forms allow-same-origin allow-popups allow-downloads"} {
		assert.Contains(t, strings.Split(csp, "; "), directive)
	}
	assert.NotContains(t, csp, "script")
	assert.NotContains(t, csp, "unsafe")
	assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
	assert.Equal(t, "no-store", header.Get("Cache-Control"))
	assert.NotEmpty(t, header.Get("Content-Type"))
	assert.Empty(t, header.Get("Set-Cookie"))
	assert.Empty(t, header.Get("Access-Control-Allow-Origin"))
}

func TestRoutes(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "")
	for path, want := range routes {
		t.Run(path, func(t *testing.T) {
			w := ask(t, handler, http.MethodGet, "/"+key+path, "127.0.0.1:8080")
			assert.Equal(t, want, w.Code, w.Body)
			assertProtected(t, w.Header())
		})
	}
}

func TestGuardKey(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "")
	for path := range routes {
		for _, wrong := range []string{
			path, "/" + key[1:] + path, "/" + strings.ToLower(key) + path, "/x/" + key + path, "//" + key + path,
		} {
			if wrong == "" {
				wrong = "/"
			}
			w := ask(t, handler, http.MethodGet, wrong, "localhost")
			assert.Equal(t, http.StatusForbidden, w.Code, wrong)
			assert.NotContains(t, w.Body.String(), key)
			assertProtected(t, w.Header())
		}
	}
}

// A site whose name is made to point to this machine still says its own name.
func TestGuardHost(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "")
	for _, host := range []string{"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example",
		"evil.example#localhost", "0.0.0.0", "10.0.0.1:8080", "", "user@127.0.0.1", "[::2]:80", "127.0.0.1:80:80"} {
		w := ask(t, handler, http.MethodGet, "/"+key+"/", host)
		assert.Equal(t, http.StatusMisdirectedRequest, w.Code, host)
		assertProtected(t, w.Header())
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.1:1", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]"} {
		assert.Equal(t, http.StatusOK, ask(t, handler, http.MethodGet, "/"+key+"/", host).Code, host)
	}
}

func TestGuardMethod(t *testing.T) {
	handler := Handler(storetest.Open(t), key, "")
	for path := range routes {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
			http.MethodOptions, http.MethodTrace, "SEARCH"} {
			w := ask(t, handler, method, "/"+key+path, "localhost")
			assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
			assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
			assertProtected(t, w.Header())
		}
	}
	assert.Equal(t, http.StatusOK, ask(t, handler, http.MethodHead, "/"+key+"/", "localhost").Code)
}

func TestGuardWithoutKey(t *testing.T) {
	handler := Handler(storetest.Open(t), "", "")
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Host = "localhost"
	handler.ServeHTTP(w, r)
	assert.Equal(t, http.StatusForbidden, w.Code)
}

func TestNewKey(t *testing.T) {
	require.GreaterOrEqual(t, len(NewKey()), 26)
	assert.NotEqual(t, NewKey(), NewKey())
}
