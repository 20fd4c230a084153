package drift_test

import (
	"bytes"
	"context"
	"encoding/base64"
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
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// markedCalls are calls with markers wherever a value goes.
func markedCalls(ctx context.Context, client *drift.Client) map[string]error {
	_, get := client.Conversations.ListByStatus(ctx, testkit.MarkedPath, drift.ConversationListByStatusOptions{})
	_, list := client.Conversations.List(ctx, drift.ConversationListOptions{Title: testkit.MarkedQuery, Email: testkit.MarkedAddress, CustomAttributes: drift.Attributes{testkit.MarkedQuery: testkit.MarkedQuery}})
	_, all := drift.Collect(client.Companies.AllPeople(ctx, testkit.MarkedPath, drift.CompanyListPeopleOptions{Search: testkit.MarkedQuery}), 0)
	_, match := client.Contacts.MatchEmail(ctx, testkit.MarkedAddress)
	_, upsert := client.Contacts.UpsertByEmail(ctx, testkit.MarkedAddress)
	_, create := client.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{Email: testkit.MarkedAddress, Title: testkit.MarkedBody, CustomAttributes: drift.Attributes{testkit.MarkedBody: testkit.MarkedBody}})
	_, update := client.Messages.Update(ctx, 1, 2, drift.MessageUpdateRequest{Body: drift.Set(testkit.MarkedBody)})
	do := client.Do(ctx, drift.Request{Method: "POST", Path: "a/{v}", Values: map[string]string{"v": testkit.MarkedPath}, Query: url.Values{"q": {testkit.MarkedQuery}}, Body: map[string]any{"x": testkit.MarkedBody}}, new(map[string]any))
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
			w.Header().Set("Location", "https://"+testkit.MarkedAnswer+"@drift.test/"+r.URL.RequestURI())
			w.WriteHeader(status)
			quoted, _ := json.Marshal(string(sent) + r.URL.RequestURI() + r.Header.Get("Authorization"))
			_, _ = io.WriteString(w, strings.ReplaceAll(strings.ReplaceAll(body, "SENT", string(quoted)), "MARK", testkit.MarkedAnswer))
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
		"unauthorized": answer(401, asJSON, `{"error": {"type": "authentication_error", "message": "bad token `+testkit.MarkedToken+`"}}`),
		"escaped": answer(401, asJSON, `{"error": {"message": "bad token `+url.QueryEscape(testkit.MarkedToken)+
			`", "code": "`+url.PathEscape(testkit.MarkedToken)+`"}}`),
		"in base64": answer(403, asJSON, `{"error": {"message": "bad header `+
			base64.StdEncoding.EncodeToString([]byte("Bearer "+testkit.MarkedToken))+`"}}`),
		"in hex": answer(400, asJSON, `{"errors": {"`+hex.EncodeToString([]byte(testkit.MarkedToken))+
			`": ["\u006dark-token&#43;&#x2F;5e1d=="]}}`),
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
			_, _ = io.WriteString(w, `{"data": "`+testkit.MarkedAnswer)
		},
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_, _ = io.WriteString(conn, "MARK"+testkit.MarkedAnswer+" 200 OK\r\n\r\n")
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
			watch := new(testkit.SecretWatch)
			client, err := drift.NewClient(append(watch.Options(), drift.WithToken(testkit.MarkedToken), drift.WithBaseURL(server.URL), drift.WithLimiter(testkit.OpenLimiter{}), drift.WithoutRetry())...)
			require.NoError(t, err)
			for _, err := range markedCalls(t.Context(), client) {
				watch.ShowError(err)
			}
			watch.Show(client)
			watch.Show(client.With(drift.WithHeader("X-Other", testkit.MarkedHeader)))
			require.NoError(t, client.Close())
			watch.Check(t)
		})
	}
}

func TestNothingSecretShowsOfTheTransport(t *testing.T) {
	for name, err := range map[string]error{
		"url.Error":     &url.Error{Op: "Get", URL: "https://drift.test/" + testkit.MarkedPath + "?q=" + testkit.MarkedQuery, Err: io.EOF},
		"text":          errors.New(testkit.MarkedToken),
		"a string":      testkit.QuotingError(testkit.MarkedToken),
		"dial":          &net.OpError{Op: "dial", Net: "tcp", Err: errors.New(testkit.MarkedPath)},
		"no such host":  &net.DNSError{Err: "no such host", Name: testkit.MarkedPath, Server: testkit.MarkedPath, IsNotFound: true},
		"address":       &net.AddrError{Err: testkit.MarkedPath, Addr: testkit.MarkedPath},
		"wrapped":       fmt.Errorf("proxy %s: %w", testkit.MarkedHeader, io.ErrUnexpectedEOF),
		"joined":        errors.Join(errors.New(testkit.MarkedBody), context.DeadlineExceeded),
		"several lines": fmt.Errorf("%s\n%w", testkit.MarkedBody, io.EOF),
	} {
		t.Run(name, func(t *testing.T) {
			watch := new(testkit.SecretWatch)
			network := &http.Client{Transport: testkit.Responder(func(*http.Request) (*http.Response, error) { return nil, err })}
			client, newErr := drift.NewClient(append(watch.Options(), drift.WithToken(testkit.MarkedToken), drift.WithHTTPClient(network), drift.WithLimiter(testkit.OpenLimiter{}))...)
			require.NoError(t, newErr)
			for _, got := range markedCalls(t.Context(), client) {
				watch.ShowError(got)
			}
			watch.Check(t)
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
	watch := new(testkit.SecretWatch)
	for _, source := range []tokenFunc{
		func() (string, error) { return "", testkit.QuotingError(testkit.MarkedToken) },
		func() (string, error) { return testkit.MarkedToken + "\r\n", nil },
		func() (string, error) { return testkit.MarkedToken + "é", nil },
	} {
		client, err := drift.NewClient(drift.WithTokenSource(source))
		require.NoError(t, err)
		_, err = client.Tags.Get(t.Context(), 1)
		require.ErrorAs(t, err, new(*drift.TransportError))
		fmt.Fprintf(watch, "%v %+v %s %q\n", err, err, err, err)
		slog.New(slog.NewJSONHandler(watch, nil)).Info("x", "err", err)
	}
	watch.Check(t)
}

func TestNothingSecretShowsOfWhatIsRefused(t *testing.T) {
	watch := new(testkit.SecretWatch)
	for _, option := range []drift.Option{
		drift.WithToken(testkit.MarkedToken + "\n"), drift.WithBaseURL("https://ada:" + testkit.MarkedToken + "@drift.test"),
		drift.WithBaseURL("https://ada:" + testkit.MarkedToken + "@drift.test:port"), drift.WithBaseURL("https://drift.test/?q=" + testkit.MarkedQuery),
		drift.WithHeader("X-Marked", testkit.MarkedHeader+"\n"), drift.WithHeader(testkit.MarkedHeader+"\n", "x"), drift.WithUserAgent(testkit.MarkedHeader + "\n"),
	} {
		watch.Show(option)
		_, err := drift.NewClient(drift.WithToken("a"), option)
		require.Error(t, err)
		watch.ShowError(err)
	}
	client := testkit.AnsweringClient(t, http.StatusOK, `{}`)
	_, wrongAddress := client.Contacts.MatchEmail(t.Context(), "mark-address")
	_, wrongPath := client.Companies.ListTeams(t.Context(), testkit.MarkedPath+"\n", drift.CompanyListTeamsOptions{})
	_, wrongBody := client.Tags.Create(t.Context(), drift.TagCreateRequest{Name: testkit.MarkedBody + "\xff"})
	_, wrongAttribute := client.Contacts.Update(t.Context(), 1, drift.ContactUpdateRequest{CustomAttributes: drift.Set(drift.Attributes{testkit.MarkedBody: func() {}})})
	_, wrongQuery := client.Contacts.List(t.Context(), drift.ContactListOptions{CustomAttributes: drift.Attributes{testkit.MarkedQuery: []string{testkit.MarkedQuery}}})
	wrongValue := client.Do(t.Context(), drift.Request{Path: "a/{v}", Values: map[string]string{"v": testkit.MarkedPath + "\n"}}, nil)
	for _, err := range []error{wrongAddress, wrongPath, wrongBody, wrongAttribute, wrongQuery, wrongValue} {
		require.ErrorIs(t, err, drift.ErrInvalid)
		watch.ShowError(err)
	}
	watch.Check(t)
}

func TestASecretShowsOnlyWhenRevealed(t *testing.T) {
	watch := new(testkit.SecretWatch)
	secret := drift.Secret(testkit.MarkedToken)
	watch.Show(secret)
	watch.Show(&secret)
	watch.Show(struct{ Exported drift.Secret }{secret})
	watch.Show(map[string]drift.Secret{"a": secret})
	watch.Check(t)
	assert.Equal(t, testkit.MarkedToken, secret.Reveal())
}

func TestServicesShowNothing(t *testing.T) {
	client := testkit.NewClient(t, "https://drift.test", drift.WithHeader("X-A", "MARKER"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%t", "%x"} {
		assert.NotContains(t, fmt.Sprintf(verb, client.Contacts), "MARKER", verb)
		assert.NotContains(t, fmt.Sprintf(verb, client), "MARKER", verb)
	}
}

func TestRequestIDIsMasked(t *testing.T) {
	client := testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		resp := testkit.MemoryAnswer(r, http.StatusNotFound, "", "")
		resp.Header.Set("X-Request-Id", r.Header.Get("Authorization"))
		return resp, nil
	})
	_, err := client.Tags.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrNotFound)
	assert.NotContains(t, err.Error(), testkit.Token)
}

// What is logged of an answer's headers is a list of names, and it costs nothing unless it is logged.
func TestAnswerHeadersAreLogged(t *testing.T) {
	header := []string{"Content-Type", "application/json; charset=utf-8; note=" + testkit.MarkedAnswer, "Content-Length", "2", "Date", "Sat, 01 Jan 2000 00:00:00 GMT",
		"Retry-After", "7", "X-Request-Id", "r1", "RateLimit-Limit", "100", "RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "99", "RateLimit-Reset", "60"}
	hidden := []string{"Set-Cookie", testkit.MarkedAnswer, "Location", testkit.MarkedAnswer, "Www-Authenticate", testkit.MarkedAnswer, "X-Marked", testkit.MarkedAnswer, "X-RateLimit-" + testkit.MarkedAnswer, "1"}
	var lines bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client := testkit.Through(t, testkit.Answer(404, append(header, hidden...)...), drift.WithLogger(logger))
	require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrNotFound)
	assert.False(t, testkit.ShowsMark(lines.Bytes()), lines.String())
	var line struct {
		RequestID string            `json:"request_id"`
		Header    map[string]string `json:"header"`
	}
	attempt, _, _ := strings.Cut(lines.String(), "\n")
	require.NoError(t, json.Unmarshal([]byte(attempt), &line), attempt)
	assert.Equal(t, "r1", line.RequestID)
	assert.Equal(t, map[string]string{"content-type": "application/json", "date": "Sat, 01 Jan 2000 00:00:00 GMT", "content-length": "2", "retry-after": "7",
		"ratelimit-limit": "100", "ratelimit-policy": "100;w=60", "ratelimit-remaining": "99", "ratelimit-reset": "60"}, line.Header)

	lines.Reset()
	client = testkit.Through(t, func(r *http.Request) (*http.Response, error) {
		return testkit.Answer(404, "Date", r.Header.Get("Authorization"), "Retry-After", "two\nlines "+strings.Repeat("x", 1000))(r)
	}, drift.WithLogger(logger))
	require.ErrorIs(t, testkit.Get(t.Context(), client), drift.ErrNotFound)
	assert.NotContains(t, lines.String(), testkit.Token)
	assert.Less(t, lines.Len(), 1000, "bounded")
}

func TestAnswerHeadersCostNothingUnlessLogged(t *testing.T) {
	ctx := t.Context()
	allocations := func(header ...string) float64 {
		respond := testkit.Answer(404, header...)
		resp, err := respond(nil)
		require.NoError(t, err)
		client := testkit.Through(t, func(*http.Request) (*http.Response, error) {
			once := *resp
			once.Body = http.NoBody
			return &once, nil
		}, drift.WithLogger(slog.New(slog.NewJSONHandler(io.Discard, nil))), drift.WithLimiter(testkit.OpenLimiter{}))
		return testing.AllocsPerRun(200, func() { _ = testkit.Get(ctx, client) })
	}
	with := allocations("Content-Length", "2", "RateLimit-Limit", "100", "RateLimit-Policy", "100;w=60", "RateLimit-Remaining", "99", "RateLimit-Reset", "60")
	assert.InDelta(t, allocations(), with, 2)
}

// The verbs that fit no text print the fields of a value.
func TestErrorsShowNothingUnderOddVerbs(t *testing.T) {
	_, err := testkit.AnsweringClient(t, http.StatusNotFound, "MARKER").Tags.Get(t.Context(), 1)
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	for _, verb := range "tbcdoOeEfFgGUxXvsq" {
		text := fmt.Sprintf("%"+string(verb), api)
		assert.NotContains(t, text, "MARKER", string(verb))
		assert.NotContains(t, text, "[77 65 82 75", string(verb))
	}
}

// A Response has what the service sent, which no verb, log or encoder shows.
func TestResponseShowsNoSecret(t *testing.T) {
	watch, answered := new(testkit.SecretWatch), map[bool]int{}
	for _, respond := range markedAnswers() {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "session="+testkit.MarkedAnswer)
			respond(w, r)
		}))
		client, err := drift.NewClient(drift.WithBaseURL(server.URL), drift.WithToken(testkit.MarkedToken), drift.WithoutRetry())
		require.NoError(t, err)
		var response drift.Response
		_ = client.Do(t.Context(), drift.Request{Path: "x"}, nil, drift.WithResponse(&response))
		answered[response.StatusCode != 0]++
		watch.Show(response)
		watch.Show(&response)
		watch.Show(struct{ R drift.Response }{response})
		server.Close()
	}
	watch.Check(t)
	assert.Greater(t, answered[true], 10)
	assert.Equal(t, "drift.Response(status 200, attempts 1, request r1)",
		fmt.Sprintf("%v", drift.Response{StatusCode: 200, RequestID: "r1", Attempts: make([]drift.Attempt, 1)}))
}

// A path with line breaks must not forge a line of a log.
func TestPathOfARequestIsPrintable(t *testing.T) {
	for _, req := range []drift.Request{{Path: "a\r\nFAKE b"}, {Name: "a\r\nFAKE b", Path: "{"}} {
		err := testkit.AnsweringClient(t, http.StatusOK, `{}`).Do(t.Context(), req, nil)
		require.ErrorIs(t, err, drift.ErrInvalid)
		assert.NotContains(t, err.Error(), "\n")
	}
}

// A query that somebody put into the path is refused, and shown nowhere.
func TestQueryInThePathIsNotShown(t *testing.T) {
	for _, mark := range []string{"?", "#"} {
		var log bytes.Buffer
		var seen drift.RequestInfo
		client := testkit.Through(t, testkit.Answer(200), drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
			drift.WithHooks(drift.Hooks{Response: func(r drift.ResponseInfo) { seen = r.RequestInfo }}))
		err := client.Do(t.Context(), drift.Request{Path: "v2/contacts" + mark + "email=" + testkit.MarkedAddress}, nil)
		assert.EqualError(t, err, "drift: v2/contacts: Path has a character that must be escaped: use Values and Query")
		assert.NotContains(t, log.String(), testkit.MarkedAddress)
		assert.Equal(t, "v2/contacts v2/contacts", seen.Operation+" "+seen.Route)
	}
}

// The cause of a context is an error of the caller's own code: with errgroup, of a sibling, which may quote a URL.
func TestCauseOfAContextIsNotQuoted(t *testing.T) {
	sibling := fmt.Errorf("GET https://example.com/?email=%s", testkit.MarkedAddress)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(sibling)
	var log bytes.Buffer
	client := testkit.Through(t, testkit.Answer(200), drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	err := testkit.Get(ctx, client)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, sibling)
	assert.EqualError(t, err, "drift: tests.call: not sent: context canceled")
	assert.NotContains(t, log.String(), testkit.MarkedAddress)
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.Equal(t, sibling, transport.Unsafe())
}

// A service names in its messages whom it has not found. Names and numbers cannot be told from other words; addresses
// can.
func TestAddressesInMessagesAreMasked(t *testing.T) {
	for message, want := range map[string]string{
		"There is no contact with the address ann@example.com.":  "There is no contact with the address REDACTED.",
		"<ann@example.com> and 'Bob+x@mail.example', both taken": "<REDACTED> and 'REDACTED', both taken",
		"email=ann%40example.com is bad":                         "email=REDACTED is bad",
		"\"a.b@c\": no":                                          "\"REDACTED\": no",
		"buy 3 @ 5, or ask @support":                             "buy 3 @ 5, or ask @support",
	} {
		body, err := json.Marshal(map[string]any{"message": message, "errors": map[string]string{"email": message}})
		require.NoError(t, err)
		var log bytes.Buffer
		client := testkit.AnsweringClient(t, 404, string(body), drift.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		_, err = client.Contacts.MatchEmail(t.Context(), "ann@example.com")
		var api *drift.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, want, api.Message)
		assert.Equal(t, []string{want}, api.Fields["email"])
		assert.Contains(t, err.Error(), want)
		assert.NotContains(t, log.String(), "example")
		assert.Equal(t, body, api.Body(), "for those who ask")
	}
}
