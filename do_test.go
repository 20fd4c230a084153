package drift_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// echoNetwork answers with a fixed body and keeps what was sent.
type echoNetwork struct {
	contentType, answer string

	request *http.Request
	body    []byte
}

func (e *echoNetwork) roundTrip(req *http.Request) (*http.Response, error) {
	e.request = req
	e.body = nil
	if req.Body != nil {
		e.body, _ = io.ReadAll(req.Body)
	}
	return testkit.MemoryAnswer(req, http.StatusOK, e.contentType, e.answer), nil
}

func TestDoSends(t *testing.T) {
	for name, c := range map[string]struct {
		req    drift.Request
		method string
		url    string
		body   string
	}{
		"a GET by default":      {drift.Request{Path: "users/list"}, "GET", "/users/list", ""},
		"values":                {drift.Request{Path: "users/{userId}/x/{b}", Values: map[string]string{"userId": "7", "b": "c"}}, "GET", "/users/7/x/c", ""},
		"escaped values":        {drift.Request{Path: "a/{v}", Values: map[string]string{"v": "b/../c?d#e%2f;é ☃"}}, "GET", "/a/b%2F..%2Fc%3Fd%23e%252f%3B%C3%A9%20%E2%98%83", ""},
		"a value with dots":     {drift.Request{Path: "a/{v}", Values: map[string]string{"v": "..."}}, "GET", "/a/...", ""},
		"a query":               {drift.Request{Path: "a", Query: url.Values{"q": {"x y", "z"}, "a": {"&="}}}, "GET", "/a?a=%26%3D&q=x+y&q=z", ""},
		"a body":                {drift.Request{Method: "POST", Path: "a", Body: map[string]any{"b": 1, "a": "<x>"}}, "POST", "/a", `{"a":"<x>","b":1}`},
		"an empty PATCH":        {drift.Request{Method: "PATCH", Path: "a", Body: map[string]any{}}, "PATCH", "/a", `{}`},
		"a list":                {drift.Request{Method: "POST", Path: "emails/unsubscribe", Body: []string{"a@b.c"}}, "POST", "/emails/unsubscribe", `["a@b.c"]`},
		"another method":        {drift.Request{Method: "PUT", Path: "a"}, "PUT", "/a", ""},
		"a path of odd letters": {drift.Request{Path: "a-b_c.d~e/f:g@h"}, "GET", "/a-b_c.d~e/f:g@h", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := &echoNetwork{contentType: "application/json", answer: `{}`}
			require.NoError(t, testkit.Through(t, e.roundTrip).Do(t.Context(), c.req, nil))
			assert.Equal(t, c.method, e.request.Method)
			assert.Equal(t, "https://drift.test"+c.url, e.request.URL.String())
			assert.Equal(t, c.body, string(e.body))
			assert.Equal(t, "Bearer "+testkit.Token, e.request.Header.Get("Authorization"))
			assert.Equal(t, "application/json", e.request.Header.Get("Accept"))
			assert.Equal(t, c.body != "", e.request.Header.Get("Content-Type") == "application/json")
		})
	}
}

// The server's own router must see one segment.
func TestDoValueIsOneSegmentAtTheServer(t *testing.T) {
	const value = "a/b/../c%2F?x"
	var seen string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/things/{id}", func(w http.ResponseWriter, r *http.Request) {
		seen = r.PathValue("id")
		testkit.Respond(http.StatusOK, `{}`)(w, r)
	})
	client := testkit.Serve(t, mux.ServeHTTP)
	require.NoError(t, client.Do(t.Context(), drift.Request{Path: "v1/things/{id}", Values: map[string]string{"id": value}}, nil))
	assert.Equal(t, value, seen)
}

func TestDoKeepsThePathOfTheBase(t *testing.T) {
	e := &echoNetwork{contentType: "application/json", answer: `{}`}
	client, err := drift.NewClient(drift.WithToken("a"), drift.WithBaseURL("https://drift.test/x%2Fy/z/"), drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(e.roundTrip)}))
	require.NoError(t, err)
	require.NoError(t, client.Do(t.Context(), drift.Request{Path: "a/{v}", Values: map[string]string{"v": "b/c"}}, nil))
	assert.Equal(t, "https://drift.test/x%2Fy/z/a/b%2Fc", e.request.URL.String())
}

func TestDoRefuses(t *testing.T) {
	values := func(v string) map[string]string { return map[string]string{"v": v} }
	for name, c := range map[string]struct {
		req      drift.Request
		argument string
	}{
		"no path":                     {drift.Request{}, "Path"},
		"an absolute path":            {drift.Request{Path: "/a"}, "Path"},
		"a URL":                       {drift.Request{Path: "https://drift.test/a"}, "Path"},
		"a URL without scheme":        {drift.Request{Path: "//drift.test/a"}, "Path"},
		"an empty segment":            {drift.Request{Path: "a//b"}, "Path"},
		"a slash at the end":          {drift.Request{Path: "a/"}, "Path"},
		"dots":                        {drift.Request{Path: "a/../b"}, "Path"},
		"a dot":                       {drift.Request{Path: "./b"}, "Path"},
		"escaped dots":                {drift.Request{Path: "a/%2e%2e/b"}, "Path"},
		"a query":                     {drift.Request{Path: "a?b=c"}, "Path"},
		"a fragment":                  {drift.Request{Path: "a#b"}, "Path"},
		"a backslash":                 {drift.Request{Path: `a\b`}, "Path"},
		"a line break":                {drift.Request{Path: "a\r\nb"}, "Path"},
		"a letter beyond ASCII":       {drift.Request{Path: "é"}, "Path"},
		"a parameter in a segment":    {drift.Request{Path: "a{v}", Values: values("x")}, "Path"},
		"a parameter without an end":  {drift.Request{Path: "{v", Values: values("x")}, "Path"},
		"a parameter without a start": {drift.Request{Path: "v}", Values: values("x")}, "Path"},
		"a value that is missing":     {drift.Request{Path: "a/{v}"}, "v"},
		"a value that is not used":    {drift.Request{Path: "a", Values: values("x")}, "Path"},
		"a value of another name":     {drift.Request{Path: "a/{w}", Values: values("x")}, "Path"},
		"an empty value":              {drift.Request{Path: "a/{v}", Values: values("")}, "v"},
		"braces in a name":            {drift.Request{Path: "{v}b}", Values: values("x")}, "Path"},
		"a line break in a name":      {drift.Request{Path: "{a\nb}"}, "Path"},
		"a name of nothing":           {drift.Request{Path: "{}"}, "Path"},
		"a value of dots":             {drift.Request{Path: "a/{v}", Values: values("..")}, "v"},
		"a value of white space":      {drift.Request{Path: "a/{v}", Values: values(" ")}, "v"},
		"a value with a line break":   {drift.Request{Path: "a/{v}", Values: values("x\r\n")}, "v"},
		"a value that is not UTF-8":   {drift.Request{Path: "a/{v}", Values: values("\xff")}, "v"},
		"a method in lower case":      {drift.Request{Method: "get", Path: "a"}, "Method"},
		"a method with a line break":  {drift.Request{Method: "GET\r\n", Path: "a"}, "Method"},
		"two methods":                 {drift.Request{Method: "GET POST", Path: "a"}, "Method"},
		"a body that cannot be sent":  {drift.Request{Method: "POST", Path: "a", Body: make(chan int)}, "Body"},
	} {
		t.Run(name, func(t *testing.T) {
			network := &testkit.MemoryNetwork{Status: http.StatusOK}
			err := testkit.Through(t, network.RoundTrip).Do(t.Context(), c.req, nil)
			var invalid *drift.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, c.argument, invalid.Argument)
			assert.NotEmpty(t, invalid.Reason)
			assert.Zero(t, network.Requests.Load())
		})
	}
}

func TestDoNamesTheCall(t *testing.T) {
	var infos []drift.RequestInfo
	hooks := testkit.OnStart(func(r drift.RequestInfo) {
		r.Server = ""
		infos = append(infos, r)
	})
	client := testkit.AnsweringClient(t, http.StatusNotFound, ``, hooks)
	req := drift.Request{Path: "users/{userId}", Values: map[string]string{"userId": "MARKER"}}
	err := client.Do(t.Context(), req, nil)
	require.ErrorIs(t, err, drift.ErrNotFound)
	assert.NotContains(t, err.Error(), "MARKER")
	req.Name, req.Method = "users.delete", "DELETE"
	require.Error(t, client.Do(t.Context(), req, nil))
	assert.Equal(t, []drift.RequestInfo{
		{Operation: "users/{userId}", Method: "GET", Route: "users/{userId}"},
		{Operation: "users.delete", Method: "DELETE", Route: "users/{userId}"},
	}, infos)
}

// What is refused may have anything in it, such as an address in a query, so nothing shows it.
func TestDoShowsNothingOfAPathThatIsRefused(t *testing.T) {
	for _, req := range []drift.Request{
		{Path: "contacts?email=" + testkit.MarkedAddress}, {Path: "https://drift.test/contacts/" + testkit.MarkedPath},
		{Path: "/" + testkit.MarkedPath}, {Path: testkit.MarkedPath + "\xff"}, {Method: testkit.MarkedPath, Path: "contacts"},
	} {
		watch := new(testkit.SecretWatch)
		client := testkit.AnsweringClient(t, http.StatusOK, "{}", watch.Options()...)
		watch.ShowError(client.Do(t.Context(), req, nil))
		_, err := drift.ListOf[drift.Tag](t.Context(), client, req)
		watch.ShowError(err)
		watch.Check(t)
	}
	err := testkit.AnsweringClient(t, http.StatusOK, "{}").Do(t.Context(), drift.Request{Path: "a?b"}, nil)
	assert.EqualError(t, err, "drift: a: Path has a character that must be escaped: use Values and Query")
	err = testkit.AnsweringClient(t, http.StatusOK, "{}").Do(t.Context(), drift.Request{Path: "/a?b"}, nil)
	assert.EqualError(t, err, "drift: request: Path must be relative to the base URL, without empty segments")
	err = testkit.AnsweringClient(t, http.StatusOK, "{}").Do(t.Context(), drift.Request{Name: "deals.list", Path: "a?b"}, nil)
	assert.ErrorContains(t, err, "drift: deals.list: Path")
}

type conversationCount struct {
	ConversationCount map[string]int
}

func TestDoDecodes(t *testing.T) {
	get := func(t *testing.T, contentType, answer string, raw bool, out any) error {
		e := &echoNetwork{contentType: contentType, answer: answer}
		return testkit.Through(t, e.roundTrip).Do(t.Context(), drift.Request{Path: "a", Raw: raw}, out)
	}
	const enveloped, bare = `{"data": {"conversation_count": {"OPEN": 125}}}`, `{"conversationCount": {"OPEN": 125}, "data": null}`
	want := conversationCount{map[string]int{"OPEN": 125}}

	t.Run("data", func(t *testing.T) {
		var out conversationCount
		require.NoError(t, get(t, "application/json", enveloped, false, &out))
		assert.Equal(t, want, out)
	})
	t.Run("raw", func(t *testing.T) {
		var out conversationCount
		require.NoError(t, get(t, "application/json", bare, true, &out))
		assert.Equal(t, want, out)
	})
	t.Run("record", func(t *testing.T) {
		var out drift.Conversation
		require.NoError(t, get(t, "application/json", `{"id": "9007199254740993", "createdAt": 1}`, false, &out))
		assert.Equal(t, drift.ConversationID(9007199254740993), out.ID)
	})
	t.Run("nothing", func(t *testing.T) {
		for _, answer := range []string{enveloped, ``, `null`, `plain`, `{"data": null}`} {
			require.NoError(t, get(t, "text/plain", answer, false, nil))
		}
	})
	t.Run("bytes", func(t *testing.T) {
		for _, answer := range []string{"", "Ada: hello\n", "<html>", "\x00\xff"} {
			out := []byte("old")
			require.NoError(t, get(t, "text/html", answer, false, &out))
			assert.Equal(t, answer, string(out))
		}
	})
	t.Run("writer", func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, get(t, "text/plain", "transcript", false, &out))
		assert.Equal(t, "transcript", out.String())
	})
	t.Run("bytes outlive the call", func(t *testing.T) {
		outs := make([][]byte, 10)
		for i := range outs {
			require.NoError(t, get(t, "text/plain", string(rune('0'+i)), false, &outs[i]))
		}
		assert.Equal(t, "0123456789", string(bytes.Join(outs, nil)))
	})
	t.Run("no data", func(t *testing.T) {
		for _, answer := range []string{``, `null`, `{"data": null}`, `{"data": 1}`, `[]`, `{"data": {}} x`} {
			out := want
			require.ErrorAs(t, get(t, "application/json", answer, false, &out), new(*drift.DecodeError), answer)
		}
	})
	t.Run("text for a JSON target", func(t *testing.T) {
		out := want
		require.ErrorIs(t, get(t, "text/html", enveloped, false, &out), drift.ErrUnexpectedContent)
		require.ErrorIs(t, get(t, "text/plain", "Ada: hello", false, &out), drift.ErrUnexpectedContent, "%v", out)
		assert.Equal(t, want, out)
	})
	t.Run("an error in the answer", func(t *testing.T) {
		out := want
		require.ErrorIs(t, get(t, "application/json", `{"error": {"type": "not_found"}}`, false, &out), drift.ErrNotFound)
		assert.Equal(t, want, out)
	})
}

func TestDoLeavesTheTargetOfAFailedCall(t *testing.T) {
	out := []byte("old")
	require.Error(t, testkit.AnsweringClient(t, http.StatusNotFound, `new`).Do(t.Context(), drift.Request{Path: "a"}, &out))
	assert.Equal(t, "old", string(out))
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestDoWithAWriterThatFails(t *testing.T) {
	full := errors.New("disk full")
	client := testkit.AnsweringClient(t, http.StatusOK, `x`)
	require.ErrorIs(t, client.Do(t.Context(), drift.Request{Path: "a"}, brokenWriter{full}), full)
	err := client.Do(t.Context(), drift.Request{Method: "POST", Path: "a"}, brokenWriter{full})
	require.ErrorIs(t, err, full)
	require.ErrorIs(t, err, drift.ErrAmbiguous, "the service has answered, and so done it")
}

func TestDoPassesLimiterQuotaAndRetries(t *testing.T) {
	for method, attempts := range map[string]int{"GET": 3, "HEAD": 3, "PUT": 1, "DELETE": 3, "POST": 1, "PATCH": 1} {
		network := &testkit.MemoryNetwork{Status: http.StatusBadGateway}
		limiter := countingLimiter{map[drift.Class]int{}}
		client := testkit.Through(t, network.RoundTrip, testkit.Impatient(), drift.WithLimiter(limiter), drift.WithPlan(100))
		err := client.Do(t.Context(), drift.Request{Method: method, Path: "a"}, nil)
		require.ErrorIs(t, err, drift.ErrServer)
		assert.Equal(t, method != "GET" && method != "HEAD", errors.Is(err, drift.ErrAmbiguous), method)
		assert.EqualValues(t, attempts, network.Requests.Load(), method)
		assert.Equal(t, attempts, limiter.classes[drift.ClassInteractive])
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Equal(t, attempts, usage.Used)
	}
	spent := testkit.AnsweringClient(t, http.StatusOK, `{}`, drift.WithPlan(1))
	require.NoError(t, spent.Do(t.Context(), drift.Request{Path: "a"}, nil))
	require.ErrorIs(t, spent.Do(t.Context(), drift.Request{Path: "a"}, nil), drift.ErrQuotaExceeded)
}

func TestDoUsesAValueTwice(t *testing.T) {
	var path string
	client := testkit.Serve(t, func(_ http.ResponseWriter, r *http.Request) { path = r.URL.Path })
	req := drift.Request{Path: "a/{id}/b/{id}", Values: map[string]string{"id": "1"}}
	require.NoError(t, client.Do(t.Context(), req, nil))
	assert.Equal(t, "/a/1/b/1", path)
}

func TestDoRefusesATargetThatCannotBeFilled(t *testing.T) {
	for name, out := range map[string]any{
		"typed nil": (*[]byte)(nil), "a value": struct{}{}, "a nil pointer": (*struct{})(nil), "a nil buffer": (*bytes.Buffer)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			network := &testkit.MemoryNetwork{Status: http.StatusOK, Body: "{}"}
			err := testkit.Through(t, network.RoundTrip).Do(t.Context(), drift.Request{Path: "a"}, out)
			var invalid *drift.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "out", invalid.Argument)
			assert.Zero(t, network.Requests.Load())
		})
	}
}

func TestDoKeepsTheNamesOfABodyToItself(t *testing.T) {
	client := testkit.AnsweringClient(t, http.StatusOK, "{}")
	body := map[string]any{"ada@example.com\n": func() {}}
	err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "a", Body: body}, nil)
	require.ErrorIs(t, err, drift.ErrInvalid)
	assert.NotContains(t, err.Error(), "ada@")
}

func TestDoReportsAnErrorUnderSuccess(t *testing.T) {
	client := testkit.AnsweringClient(t, http.StatusOK, `{"error":{"type":"validation_error","message":"no"}}`)
	err := client.Do(t.Context(), drift.Request{Method: http.MethodPost, Path: "a"}, nil)
	assert.ErrorIs(t, err, drift.ErrInvalid)
	assert.NoError(t, testkit.AnsweringClient(t, http.StatusOK, "fine").Do(t.Context(), drift.Request{Path: "a"}, nil))
}
