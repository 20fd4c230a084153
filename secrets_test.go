package drift_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
)

// Values that only the caller and the service may see. Each is also looked for in hex and in base 10, as verbs of fmt write
// bytes.
const (
	markedToken   = "mark-token+/5e1d=="
	markedHeader  = "mark-header-5e1d"
	markedQuery   = "mark-query-5e1d"
	markedPath    = "mark-path-5e1d"
	markedBody    = "mark-body-5e1d"
	markedAnswer  = "mark-answer-5e1d"
	markedAddress = "mark-address-5e1d@example.com"
	markedBase    = "mark-base-5e1d"
	markedSecret  = "mark-secret-5e1d"
	markedPrefix  = "mark-"
)

var secretVerbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"}

// secretWatch looks at everything that a client shows to others than its caller.
type secretWatch struct {
	every int // look at one value in so many; 0: at all

	mu    sync.Mutex
	seen  int
	shown int
	leak  string // the first text in which a marker shows
}

func (w *secretWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown += len(p)
	if w.leak == "" && marked(p) {
		w.leak = string(p)
	}
	return len(p), nil
}

// markedForms are the ways in which a marker can show: as it is, and as verbs of fmt and encoding/json write bytes.
var markedForms = func() (forms [][]byte) {
	inHex := hex.EncodeToString([]byte(markedPrefix))
	inDecimal := strings.Trim(fmt.Sprint([]byte(markedPrefix)), "[]")
	for _, form := range []string{markedPrefix, inHex, strings.ToUpper(inHex), inDecimal} {
		forms = append(forms, []byte(form))
	}
	for before := range 3 { // base64 depends on how many bytes come before
		inBase64 := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + markedPrefix + "\x00\x00"))
		whole := (before*8 + 5) / 6
		forms = append(forms, []byte(inBase64[whole:whole+len(markedPrefix)*8/6-1]))
	}
	return forms
}()

func marked(text []byte) bool {
	return slices.ContainsFunc(markedForms, func(form []byte) bool { return bytes.Contains(text, form) })
}

// show writes a value in every way in which programs write values.
func (w *secretWatch) show(value any) {
	if w.skips() {
		return
	}
	for _, verb := range secretVerbs {
		fmt.Fprintf(w, verb+"\n", value)
		fmt.Fprintf(w, verb+"\n", []any{value})
	}
	encoded, _ := json.Marshal(value)
	fmt.Fprintf(w, "%s\n", encoded)
	if reflect.ValueOf(value).Kind() != reflect.Pointer || !reflect.ValueOf(value).IsNil() { // of which gob panics
		_ = gob.NewEncoder(w).Encode(value)
	}
	slog.New(slog.NewJSONHandler(w, nil)).Info("x", "value", value)
	slog.New(slog.NewTextHandler(w, nil)).Info("x", "value", value)
}

func (w *secretWatch) skips() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen++
	return w.every > 1 && w.seen%w.every != 0
}

// showError shows an error and everything that it wraps. It stops at the types of other packages: what a caller digs out of
// those with errors.As is its own affair.
func (w *secretWatch) showError(err error) {
	if err == nil {
		return
	}
	w.show(err)
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		w.showError(err.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range err.Unwrap() {
			w.showError(inner)
		}
	}
}

func (w *secretWatch) options() []drift.Option {
	return []drift.Option{
		drift.WithHeader("X-Marked", markedHeader), impatient(),
		drift.WithLogger(slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))),
		drift.WithPlan(10), // so that the warnings about the month are logged too
		drift.WithHooks(drift.Hooks{
			Request:  func(i drift.RequestInfo) { w.show(i) },
			Attempt:  func(i drift.AttemptInfo) { w.show(i); w.showError(i.Err) },
			Wait:     func(i drift.WaitInfo) { w.show(i) },
			Response: func(i drift.ResponseInfo) { w.show(i); w.showError(i.Err) },
			Quota:    func(u drift.Usage) { w.show(u) },
		}),
	}
}

// found returns a text in which a marker shows.
func (w *secretWatch) found() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leak
}

func (w *secretWatch) check(t testing.TB) {
	t.Helper()
	require.Empty(t, w.found())
	require.NotZero(t, w.shown)
}

// markedCalls are calls with markers wherever a value goes.
func markedCalls(ctx context.Context, client *drift.Client) map[string]error {
	_, get := client.Conversations.ListByStatus(ctx, markedPath, drift.ConversationListByStatusOptions{})
	_, list := client.Conversations.List(ctx, drift.ConversationListOptions{Title: markedQuery, Email: markedAddress, CustomAttributes: drift.Attributes{markedQuery: markedQuery}})
	_, all := drift.Collect(client.Companies.AllPeople(ctx, markedPath, drift.CompanyListPeopleOptions{Search: markedQuery}), 0)
	_, match := client.Contacts.MatchEmail(ctx, markedAddress)
	_, upsert := client.Contacts.UpsertByEmail(ctx, markedAddress)
	_, create := client.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{Email: markedAddress, Title: markedBody, CustomAttributes: drift.Attributes{markedBody: markedBody}})
	_, update := client.Messages.Update(ctx, 1, 2, drift.MessageUpdateRequest{Body: drift.Set(markedBody)})
	do := client.Do(ctx, drift.Request{Method: "POST", Path: "a/{v}", Values: map[string]string{"v": markedPath}, Query: url.Values{"q": {markedQuery}}, Body: map[string]any{"x": markedBody}}, new(map[string]any))
	remove := client.Tags.Delete(ctx, 1)
	return map[string]error{"get": get, "list": list, "all": all, "match": match, "upsert": upsert, "create": create, "update": update, "do": do, "remove": remove}
}

// markedAnswers are handlers whose answers repeat everything that they got, except in the words that errors quote.
func markedAnswers() map[string]http.HandlerFunc {
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			sent, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Marked", r.Header.Get("Authorization"))
			w.Header().Set("Location", "https://"+markedAnswer+"@drift.test/"+r.URL.RequestURI())
			w.WriteHeader(status)
			quoted, _ := json.Marshal(string(sent) + r.URL.RequestURI() + r.Header.Get("Authorization"))
			_, _ = io.WriteString(w, strings.ReplaceAll(strings.ReplaceAll(body, "SENT", string(quoted)), "MARK", markedAnswer))
		}
	}
	const asJSON = "application/json"
	return map[string]http.HandlerFunc{
		"record":       answer(200, asJSON, `{"data": {"id": "1", "title": "MARK", "MARK": SENT}}`),
		"list":         answer(200, asJSON, `{"data": [{"id": "1", "name": "MARK", "MARK": SENT}]}`),
		"broken":       answer(200, asJSON, `{"data": {"id": "MARK", "MARK": SENT}}`),
		"broken list":  answer(200, asJSON, `{"data": [{"id": {"MARK": SENT}}]}`),
		"wrong kind":   answer(200, asJSON, `{"data": "MARK"}`),
		"no JSON":      answer(200, asJSON, `{"data": {"id": 1, "MARK MARK`),
		"wrong cursor": answer(200, asJSON, `{"data": [], "links": {"next": "https://drift.test/MARK"}}`),
		"HTML":         answer(200, "text/html", `<title>MARK SENT</title>`),
		"charset":      answer(200, "application/json; charset=MARK", `MARK`),
		"redirect":     answer(307, "text/html", `MARK`),
		"bad request":  answer(400, asJSON, `{"error": {"type": "validation_error", "message": "no"}, "MARK": SENT}`),
		"unauthorized": answer(401, asJSON, `{"error": {"type": "authentication_error", "message": "bad token `+markedToken+`"}}`),
		"escaped":      answer(401, asJSON, `{"error": {"message": "bad token `+url.QueryEscape(markedToken)+`", "code": "`+url.PathEscape(markedToken)+`"}}`),
		"in base64":    answer(403, asJSON, `{"error": {"message": "bad header `+base64.StdEncoding.EncodeToString([]byte("Bearer "+markedToken))+`"}}`),
		"in hex":       answer(400, asJSON, `{"errors": {"`+hex.EncodeToString([]byte(markedToken))+`": ["\u006dark-token&#43;&#x2F;5e1d=="]}}`),
		"used up":      answer(402, asJSON, `{"MARK": SENT}`),
		"too many":     answer(429, asJSON, `{"MARK": SENT}`),
		"server error": answer(500, "text/html", `<pre>MARK SENT</pre>`),
		"dropped": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"data": "`+markedAnswer)
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "MARK"+markedAnswer+" 200 OK\r\n\r\n")
				_ = conn.Close()
			}
		},
	}
}

func TestNothingSecretShows(t *testing.T) {
	for name, handler := range markedAnswers() {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			watch := new(secretWatch)
			client, err := drift.NewClient(append(watch.options(), drift.WithToken(markedToken), drift.WithBaseURL(server.URL), drift.WithLimiter(openLimiter{}), drift.WithoutRetry())...)
			require.NoError(t, err)
			for _, err := range markedCalls(t.Context(), client) {
				watch.showError(err)
			}
			watch.show(client)
			watch.show(client.With(drift.WithHeader("X-Other", markedHeader)))
			require.NoError(t, client.Close())
			watch.check(t)
		})
	}
}

// quotingError is an error that tells all, as the types of net/url and of proxies do.
type quotingError string

func (e quotingError) Error() string { return string(e) }

func TestNothingSecretShowsOfTheTransport(t *testing.T) {
	for name, err := range map[string]error{
		"url.Error":     &url.Error{Op: "Get", URL: "https://drift.test/" + markedPath + "?q=" + markedQuery, Err: io.EOF},
		"text":          errors.New(markedToken),
		"dial":          &net.OpError{Op: "dial", Net: "tcp", Err: errors.New(markedPath)},
		"no such host":  &net.DNSError{Err: "no such host", Name: markedPath, Server: markedPath, IsNotFound: true},
		"address":       &net.AddrError{Err: markedPath, Addr: markedPath},
		"wrapped":       fmt.Errorf("proxy %s: %w", markedHeader, io.ErrUnexpectedEOF),
		"joined":        errors.Join(errors.New(markedBody), context.DeadlineExceeded),
		"several lines": fmt.Errorf("%s\n%w", markedBody, io.EOF),
	} {
		t.Run(name, func(t *testing.T) {
			watch := new(secretWatch)
			network := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })}
			client, newErr := drift.NewClient(append(watch.options(), drift.WithToken(markedToken), drift.WithHTTPClient(network), drift.WithLimiter(openLimiter{}))...)
			require.NoError(t, newErr)
			for _, got := range markedCalls(t.Context(), client) {
				watch.showError(got)
			}
			watch.check(t)
		})
	}
}

// tokenFunc is a token source.
type tokenFunc func() (string, error)

func (f tokenFunc) Token() (*oauth2.Token, error) {
	token, err := f()
	return &oauth2.Token{AccessToken: token}, err
}

func TestNothingSecretShowsOfTheTokenSource(t *testing.T) {
	watch := new(secretWatch)
	for _, source := range []tokenFunc{
		func() (string, error) { return "", quotingError(markedToken) },
		func() (string, error) { return markedToken + "\r\n", nil },
		func() (string, error) { return markedToken + "é", nil },
	} {
		client, err := drift.NewClient(drift.WithTokenSource(source))
		require.NoError(t, err)
		_, err = client.Tags.Get(t.Context(), 1)
		require.ErrorAs(t, err, new(*drift.TransportError))
		fmt.Fprintf(watch, "%v %+v %s %q\n", err, err, err, err)
		slog.New(slog.NewJSONHandler(watch, nil)).Info("x", "err", err)
	}
	watch.check(t)
}

func TestNothingSecretShowsOfWhatIsRefused(t *testing.T) {
	watch := new(secretWatch)
	for _, option := range []drift.Option{
		drift.WithToken(markedToken + "\n"), drift.WithBaseURL("https://ada:" + markedToken + "@drift.test"),
		drift.WithBaseURL("https://ada:" + markedToken + "@drift.test:port"), drift.WithBaseURL("https://drift.test/?q=" + markedQuery),
		drift.WithHeader("X-Marked", markedHeader+"\n"), drift.WithHeader(markedHeader+"\n", "x"), drift.WithUserAgent(markedHeader + "\n"),
	} {
		watch.show(option)
		_, err := drift.NewClient(drift.WithToken("a"), option)
		require.Error(t, err)
		watch.showError(err)
	}
	client := answeringClient(t, http.StatusOK, `{}`)
	_, wrongAddress := client.Contacts.MatchEmail(t.Context(), "mark-address")
	_, wrongPath := client.Companies.ListTeams(t.Context(), markedPath+"\n", drift.CompanyListTeamsOptions{})
	_, wrongBody := client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: markedBody + "\xff"})
	_, wrongAttribute := client.Contacts.Update(t.Context(), 1, drift.ContactUpdateRequest{CustomAttributes: drift.Set(drift.Attributes{markedBody: func() {}})})
	_, wrongQuery := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{markedQuery: []string{markedQuery}}})
	wrongValue := client.Do(t.Context(), drift.Request{Path: "a/{v}", Values: map[string]string{"v": markedPath + "\n"}}, nil)
	for _, err := range []error{wrongAddress, wrongPath, wrongBody, wrongAttribute, wrongQuery, wrongValue} {
		require.ErrorIs(t, err, drift.ErrInvalid)
		watch.showError(err)
	}
	watch.check(t)
}

func TestASecretShowsOnlyWhenRevealed(t *testing.T) {
	watch := new(secretWatch)
	secret := drift.Secret(markedToken)
	watch.show(secret)
	watch.show(&secret)
	watch.show(struct{ Exported drift.Secret }{secret})
	watch.show(map[string]drift.Secret{"a": secret})
	watch.check(t)
	assert.Equal(t, markedToken, secret.Reveal())
}

// The watch itself must see what shows.
func TestSecretWatchSees(t *testing.T) {
	for verb, value := range map[string]any{"%s": markedBody, "%x": markedBody, "%X": markedBody, "%v": []byte(markedBody)} {
		watch := new(secretWatch)
		fmt.Fprintf(watch, verb, value)
		assert.NotEmpty(t, watch.found(), verb)
	}
	for before := range 6 {
		watch := new(secretWatch)
		require.NoError(t, json.NewEncoder(watch).Encode([]byte(strings.Repeat("é", before)[:before]+markedBody)))
		assert.NotEmpty(t, watch.found(), "base64 after %d bytes", before)
	}
	watch := new(secretWatch)
	watch.showError(fmt.Errorf("outer: %w", errors.Join(io.EOF, quotingError(markedBody))))
	assert.NotEmpty(t, watch.found())
}

func TestServicesShowNothing(t *testing.T) {
	client := newClient(t, "https://drift.test", drift.WithHeader("X-A", "MARKER"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%t", "%x"} {
		assert.NotContains(t, fmt.Sprintf(verb, client.Contacts), "MARKER", verb)
		assert.NotContains(t, fmt.Sprintf(verb, client), "MARKER", verb)
	}
}

func TestRequestIDIsMasked(t *testing.T) {
	client := through(t, func(r *http.Request) (*http.Response, error) {
		resp := memoryAnswer(r, http.StatusNotFound, "", "")
		resp.Header.Set("X-Request-Id", r.Header.Get("Authorization"))
		return resp, nil
	})
	_, err := client.Tags.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrNotFound)
	assert.NotContains(t, err.Error(), testToken)
}

// What is logged of an answer's headers is a list of names, and it costs nothing unless it is logged.
func TestAnswerHeadersAreLogged(t *testing.T) {
	header := []string{"Content-Type", "application/json; charset=utf-8; note=" + markedAnswer, "Content-Length", "2", "Date", "Sat, 01 Jan 2000 00:00:00 GMT",
		"Retry-After", "7", "X-Request-Id", "r1", "RateLimit-Limit", "100", "RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "99", "RateLimit-Reset", "60"}
	hidden := []string{"Set-Cookie", markedAnswer, "Location", markedAnswer, "Www-Authenticate", markedAnswer, "X-Marked", markedAnswer, "X-RateLimit-" + markedAnswer, "1"}
	var lines bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := through(t, roundTripper(answer(404, append(header, hidden...)...)), drift.WithLogger(logger))
	require.ErrorIs(t, get(t.Context(), client), drift.ErrNotFound)
	assert.False(t, marked(lines.Bytes()), lines.String())
	var line struct {
		RequestID string            `json:"request_id"`
		Header    map[string]string `json:"header"`
	}
	require.NoError(t, json.Unmarshal(lines.Bytes(), &line), "one line: %s", lines.String())
	assert.Equal(t, "r1", line.RequestID)
	assert.Equal(t, map[string]string{"content-type": "application/json", "date": "Sat, 01 Jan 2000 00:00:00 GMT", "content-length": "2", "retry-after": "7",
		"ratelimit-limit": "100", "ratelimit-policy": "100;w=60", "ratelimit-remaining": "99", "ratelimit-reset": "60"}, line.Header)

	lines.Reset()
	client = through(t, func(r *http.Request) (*http.Response, error) {
		return answer(404, "Date", r.Header.Get("Authorization"), "Retry-After", "two\nlines "+strings.Repeat("x", 1000))(r)
	}, drift.WithLogger(logger))
	require.ErrorIs(t, get(t.Context(), client), drift.ErrNotFound)
	assert.NotContains(t, lines.String(), testToken)
	assert.Less(t, lines.Len(), 500, "bounded")
}

func TestAnswerHeadersCostNothingUnlessLogged(t *testing.T) {
	ctx := t.Context()
	allocations := func(header ...string) float64 {
		respond := answer(404, header...)
		resp, err := respond(nil)
		require.NoError(t, err)
		client := through(t, func(*http.Request) (*http.Response, error) {
			once := *resp
			once.Body = http.NoBody
			return &once, nil
		}, drift.WithLogger(slog.New(slog.NewJSONHandler(io.Discard, nil))), drift.WithLimiter(openLimiter{}))
		return testing.AllocsPerRun(200, func() { _ = get(ctx, client) })
	}
	with := allocations("Content-Length", "2", "RateLimit-Limit", "100", "RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "99", "RateLimit-Reset", "60")
	assert.InDelta(t, allocations(), with, 2)
}

// The verbs that fit no text print the fields of a value.
func TestErrorsShowNothingUnderOddVerbs(t *testing.T) {
	_, err := answeringClient(t, http.StatusNotFound, "MARKER").Tags.Get(t.Context(), 1)
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	for _, verb := range "tbcdoOeEfFgGUxXvsq" {
		text := fmt.Sprintf("%"+string(verb), api)
		assert.NotContains(t, text, "MARKER", string(verb))
		assert.NotContains(t, text, "[77 65 82 75", string(verb))
	}
}
