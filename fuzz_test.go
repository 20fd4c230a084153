package drift_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// oddAnswers are seeds: shapes at which decoders have stumbled before.
var oddAnswers = []string{
	``, `{}`, `[]`, `null`, `"a"`, `7`, `{"id":1}`, `{"id":"9223372036854775807"}`, `{"data":{"id":1}}`, `[{"id":1}]`, `{"data":[{"id":1},{"id":0}]}`,
	`{"data":null,"errors":[{"message":"a"}]}`, `{"error":"a"}`, `{"data":{"id":1},"data":null}`, `{"id":1,"x":{"a":1,"a":2},"":"\ud83d"}`, "{\"id\":1,\"x\":\"\xff\"}",
	`{"id":1,"tags":["a",{"id":"1"},null],"conversation_tags":[1]}`, `{"id":1,"conversationTags":{"name":"a"},"conversation_tags":["b"]}`,
	`{"id":1,"attachment":{"id":"3"},"author":{"id":"1"},"author":{"bot":true}}`, `{"id":1,"createdAt":"2026-01-01T00:00:00.999999+23:59","created_at":null}`,
	`{"id":1,"created_at":9223372036854775807,"updated_at":"-9223372036854775808"}`, `{"id":1,"created_at":"0001-01-01T00:00:00Z"}`,
	`{"id":1,"duration":"153722867","participants":[{"id":0,"x":1}]}`, `{"id":1,"custom_attributes":{"a":1e400,"b":[{"c":-0}]},"payload":[1, 2]}`,
	`{"data":[],"pagination":{"more":true,"next":12},"links":{"next":"https://a/?next=b"}}`, `{"data":[],"links":{"next":"/?%zz"}}`, `{"id":1} x`, "\ufeff{\"id\":1}",
}

// Whatever decodes can be encoded, and means the same when it is decoded again.
func FuzzRecord(f *testing.F) {
	types := append(testkit.JSONTypes(), testkit.ClassicJSONTypes()...)
	types = append(types, reflect.TypeFor[drift.ContactID](), reflect.TypeFor[drift.CompanyID](), reflect.TypeFor[drift.Attributes](),
		reflect.TypeFor[drift.Optional[time.Time]](), reflect.TypeFor[drift.Optional[[]drift.UserID]](), reflect.TypeFor[drift.Direction]())
	for i, of := range types {
		for _, answer := range oddAnswers {
			f.Add(uint8(i), []byte(answer))
		}
		text, err := json.Marshal(testkit.Filled(f, of).Interface())
		require.NoError(f, err)
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		of := types[int(kind)%len(types)]
		if direct, ok := reflect.New(of).Interface().(json.Unmarshaler); ok {
			_ = direct.UnmarshalJSON(data) // must not panic, even if the data are not JSON
		}
		first := reflect.New(of)
		if json.Unmarshal(data, first.Interface()) != nil {
			return
		}
		text, err := json.Marshal(first.Interface())
		if err != nil && strings.Contains(err.Error(), "the zero time cannot be sent") {
			return // a request that sets an instant to "not set" makes no sense
		}
		require.NoError(t, err)
		second := reflect.New(of)
		require.NoError(t, json.Unmarshal(text, second.Interface()), "%s", text)
		again, err := json.Marshal(second.Interface())
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

// An answer gives a record with an id, or an error of this package: never both, neither or a panic. That holds for
// every operation.
func FuzzAnswer(f *testing.F) {
	calls := testkit.Invocations(f)
	for i := range calls {
		for _, answer := range oddAnswers {
			f.Add(uint8(i), []byte(answer))
		}
	}
	var body string
	client := testkit.Through(f, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "", body), nil
	}, drift.WithLimiter(testkit.OpenLimiter{}))
	f.Fuzz(func(t *testing.T, operation uint8, data []byte) {
		body = string(data)
		call := calls[int(operation)%len(calls)]
		results := call.Results(t.Context(), client)
		if call.Ranges() {
			checkSequence(t, results[0])
			return
		}
		err, _ := results[len(results)-1].Interface().(error)
		if drift.RecordErrors(err) != nil { // beside the page
			checkRecord(t, results[0])
			return
		}
		requireTyped(t, err)
		if len(results) == 1 {
			require.True(t, err == nil || call.Operation.Classic() && errors.As(err, new(*drift.APIError)),
				"a deletion may say what it likes, but for an error in the classic API")
			return
		}
		if err != nil {
			require.True(t, results[0].IsZero())
			return
		}
		checkRecord(t, results[0])
	})
}

// checkRecord: every record has an id, also those of a page, a list or a map. Some types have none of their own, and an
// interaction of a bot may have none.
func checkRecord(t *testing.T, result reflect.Value) {
	t.Helper()
	switch result.Kind() {
	case reflect.Slice, reflect.Map:
		for _, item := range result.Seq2() {
			checkRecord(t, item)
		}
		return
	case reflect.Pointer:
		require.False(t, result.IsNil())
	default: // a text, or a byte of JSON
		return
	}
	if items := result.Elem().FieldByName("Items"); items.IsValid() {
		checkRecord(t, items)
		return
	}
	id, ok := result.Type().Elem().FieldByName("ID")
	if ok && id.Tag.Get("wire") == "id" {
		value := result.Elem().FieldByIndex(id.Index)
		require.False(t, value.IsZero() || value.CanInt() && value.Int() < 0)
	}
}

// checkSequence: it yields records, errors of single records, and then, if at all, one error.
func checkSequence(t *testing.T, seq reflect.Value) {
	t.Helper()
	failed := false
	for item, failure := range seq.Seq2() {
		require.False(t, failed, "something follows the error")
		err, isError := failure.Interface().(error)
		if !isError {
			checkRecord(t, item)
			continue
		}
		require.True(t, item.IsNil())
		if drift.RecordErrors(err) != nil {
			continue
		}
		failed = true
		var page *drift.PageError
		require.ErrorAs(t, err, &page)
		if !errors.Is(err, drift.ErrCursorLoop) {
			requireTyped(t, page.Err)
		}
	}
}

func requireTyped(t *testing.T, err error) {
	t.Helper()
	switch err := err.(type) {
	case *drift.AmbiguousError:
		requireTyped(t, err.Err)
	case nil, *drift.DecodeError, *drift.APIError:
	default:
		require.ErrorAs(t, err, new(*drift.TransportError))
		require.ErrorIs(t, err, drift.ErrUnexpectedContent)
	}
}

// A path value arrives as it was given, at the route that was called, or is refused.
func FuzzPath(f *testing.F) {
	for _, id := range []string{
		"123458_domain.com", "a/b", "../x", "..", ".", "...", "%2e%2e", "%2F", "a%", "a?b#c", "é", "a b", "+", `a\b`, ";", ":", "//", "/", "a\x00", "\xff", "", " ", "\u00a0", "{companyId}",
	} {
		f.Add(id)
	}
	var seen []string
	client := testkit.Through(f, func(r *http.Request) (*http.Response, error) {
		seen = append(seen, testkit.RouteOf(r.URL.RequestURI()))
		return testkit.MemoryAnswer(r, http.StatusOK, "", "[]"), nil
	}, drift.WithLimiter(testkit.OpenLimiter{}))
	f.Fuzz(func(t *testing.T, id string) {
		calls := map[string]func() error{
			"people ": func() error {
				_, err := client.Companies.ListPeople(t.Context(), drift.CompanyID(id), drift.CompanyListPeopleOptions{})
				return err
			},
			"status ": func() error {
				_, err := client.Conversations.ListByStatus(t.Context(), drift.ConversationStatus(id), drift.ConversationListByStatusOptions{})
				return err
			},
		}
		for route, call := range calls {
			seen = nil
			err := call()
			if err != nil {
				require.ErrorIs(t, err, drift.ErrInvalid)
				require.Empty(t, seen)
				continue
			}
			require.Equal(t, []string{route + id}, seen)
		}
	})
}

// Attributes are the most open of all: every accessor copes with every value.
func FuzzAttributes(f *testing.F) {
	for _, text := range []string{`{"a":1}`, `{"a":"1e400"}`, `{"a":"2026-01-01T00:00:00Z"}`, `{"a":[{"b":{}}]}`, `{"a":null}`, `{"a":-0.0}`, `{"":true}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a drift.Attributes
		if json.Unmarshal(data, &a) != nil {
			return
		}
		for key, value := range a {
			text, isText := a.String(key)
			require.Equal(t, value == any(text), isText)
			n, isInteger := a.Int64(key)
			if _, isNumber := a.Float64(key); isInteger {
				require.True(t, isNumber)
				at, isInstant := a.Time(key)
				require.Equal(t, n != 0 && n != time.Time{}.UnixMilli(), isInstant)
				if isInstant {
					require.Equal(t, n, at.UnixMilli())
				}
			}
		}
	})
}

// Do reads what encoding/json reads, and hands over bytes as they are.
func FuzzDo(f *testing.F) {
	for _, answer := range oddAnswers {
		f.Add([]byte(answer))
	}
	var body string
	client := testkit.Through(f, func(r *http.Request) (*http.Response, error) {
		return testkit.MemoryAnswer(r, http.StatusOK, "", body), nil
	}, drift.WithLimiter(testkit.OpenLimiter{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		body = string(data)
		var read []byte
		require.NoError(t, client.Do(t.Context(), drift.Request{Path: "a"}, &read))
		require.Equal(t, strings.TrimPrefix(body, "\ufeff"), string(read))

		var raw json.RawMessage
		err := client.Do(t.Context(), drift.Request{Path: "a", Raw: true}, &raw)
		requireTyped(t, err)
		require.Equal(t, json.Valid(read), err == nil, "%v", err)

		var target struct {
			ID   drift.ContactID
			Name string
			At   time.Time
			For  time.Duration
			Any  any
			Map  map[string]float64
			List []*bool
		}
		requireTyped(t, client.Do(t.Context(), drift.Request{Path: "a"}, &target))
		requireTyped(t, client.Do(t.Context(), drift.Request{Path: "a"}, nil))
	})
}

// A base URL is refused without being quoted, or calls go to its host, under its path, and over http only to loopback.
func FuzzBaseURL(f *testing.F) {
	for _, base := range []string{
		"https://drift.test", "https://drift.test:8443/a/b/", "http://localhost", "http://127.0.0.1:1/", "http://[::1]:8080", "http://[::ffff:127.0.0.1]", "http://drift.test",
		"https://ada:secret@drift.test", "https://drift.test/?a=b", "https://drift.test/#", "https://drift.test/a%2Fb/%2e%2e", "https://drift.test/a%2f", "https://drift.test/%2F/",
		"https://drift.test//a//b//", "//drift.test", "drift.test", "https:drift.test", "https://", "https:///a", "https://[fe80::1%25eth0]/", "HTTPS://DRIFT.test/é", "https://drift.test/a b",
		"https://drift.test/a;b=c", "https://drift.test/a\\b", "https://drift.test/\x00", "https://drift.test:", "http://localhost.", "http://x.localhost/",
	} {
		f.Add(base)
	}
	var sent *http.Request
	transport := drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(func(r *http.Request) (*http.Response, error) {
		sent = r
		return testkit.MemoryAnswer(r, http.StatusOK, "", `{"id":1}`), nil
	})})
	f.Fuzz(func(t *testing.T, base string) {
		client, err := drift.NewClient(drift.WithToken("a"), drift.WithBaseURL(base), drift.WithLimiter(testkit.OpenLimiter{}), transport)
		if err != nil {
			require.ErrorIs(t, err, drift.ErrInvalid)
			require.True(t, len(base) < 8 || !strings.Contains(err.Error(), base), "%v", err)
			return
		}
		want, err := url.Parse(base)
		require.NoError(t, err)
		require.True(t, want.User == nil && want.RawQuery == "" && want.Fragment == "", base)
		require.True(t, want.Scheme == "https" || onLoopback(want.Hostname()), base)
		_, err = client.Tags.Get(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, want.Host, sent.Host)
		require.Equal(t, want.Scheme+"://"+want.Host, sent.URL.Scheme+"://"+sent.URL.Host)
		require.Equal(t, strings.TrimRight(want.EscapedPath(), "/")+"/v2/tags/1", sent.URL.RequestURI())
	})
}

func onLoopback(host string) bool {
	addresses, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (addresses.IsLoopback() || addresses.Unmap().IsLoopback())
}

// Whatever goes into a request arrives on the wire as it was given, and nothing beside it, or is refused.
func FuzzRequest(f *testing.F) {
	f.Add("7", "q", "a b", "X-A", "1", "billing/1.4")
	f.Add("a/../b", "a&b=c", "\r\nX: y", "X-A", "é", "x")
	f.Add("a\r\nX: y", "\x00", "\xff", "X-A\r\nX-B", "1", "x")
	f.Add("☃", "", "+%2B#", "Host", "elsewhere", "x\r\nX: y")
	f.Add("%2e%2e", "k[x]", ";", "x-a", "a\r\n\r\nGET / HTTP/1.1", "x\x00")
	f.Add(strings.Repeat("é", 5000), "q", strings.Repeat("&", 5000), "Content-Length", "0", " ")
	var wire bytes.Buffer
	transport := drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(func(r *http.Request) (*http.Response, error) {
		wire.Reset()
		return testkit.MemoryAnswer(r, http.StatusOK, "", `{}`), r.Write(&wire)
	})})
	f.Fuzz(func(t *testing.T, value, name, query, header, content, agent string) {
		client, err := drift.NewClient(drift.WithToken("a"), drift.WithUserAgent(agent), drift.WithLimiter(testkit.OpenLimiter{}), transport)
		if err != nil {
			require.ErrorIs(t, err, drift.ErrInvalid)
			return
		}
		req := drift.Request{Method: http.MethodPost, Path: "a/{v}/b", Values: map[string]string{"v": value}, Query: url.Values{name: {query, "last"}}, Body: []int{1}}
		err = client.Do(t.Context(), req, nil, drift.WithHeader(header, content))
		if err != nil {
			require.ErrorIs(t, err, drift.ErrInvalid)
			return
		}
		got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire.Bytes())))
		require.NoError(t, err)
		segments := strings.Split(got.URL.EscapedPath(), "/")
		require.Len(t, segments, 4)
		require.Equal(t, []string{"", "a", "b"}, []string{segments[0], segments[1], segments[3]})
		segment, err := url.PathUnescape(segments[2])
		require.NoError(t, err)
		require.Equal(t, value, segment)
		parsed, err := url.ParseQuery(got.URL.RawQuery)
		require.NoError(t, err)
		require.Equal(t, url.Values{name: {query, "last"}}, parsed)
		body, err := io.ReadAll(got.Body)
		require.NoError(t, err)
		require.Equal(t, "[1]", string(body))
		require.Equal(t, strings.TrimSpace(content), got.Header.Get(header))
		if http.CanonicalHeaderKey(header) != "User-Agent" {
			require.True(t, strings.HasPrefix(got.UserAgent(), strings.TrimSpace(agent)), "%q", got.UserAgent())
		}
		got.Header.Del(header)
		for _, own := range []string{"Accept", "Authorization", "Content-Type", "Content-Length", "User-Agent"} {
			got.Header.Del(own)
		}
		require.Empty(t, got.Header)
	})
}

// The texts that an error takes from a body are short and printable. They never show the token, wherever the service
// repeats it and however it hides it.
func FuzzParseAPIError(f *testing.F) {
	const secret = "MARKED-secret.0123456789"
	for _, body := range []string{
		``, `null`, `[]`, `7`, `"text"`, `{}`, `{"error":null}`, `{"error":7}`, `{"error":"text"}`, `{"error":["a"]}`, `{"error":{"type":"t","message":"m","code":7,"param":"p"}}`,
		`{"errors":[{"param":"a","message":"m"},{"param":"a"},"text",7,null,[]]}`, `{"errors":{"param":"a"},"error":"kept"}`, `{"code":"C-1","message":"m"}`,
		`{"error":{"error":{"error":"deep"}}}`, `{"ERROR":{"Type":1e400}}`, "{\"error\":\"\xff\xed\xa0\x80\"}", `{"error":"\ud83d\u202e\u0000"}`, `{"errors":[`, "\ufeff{}",
	} {
		f.Add([]byte(body), "", "", uint8(0))
	}
	for spelling := range uint8(4) {
		f.Add([]byte(`{}`), "Bearer ", "\"", spelling)
		f.Add([]byte(`{}`), strings.Repeat("x", 500), "é", spelling)
		f.Add([]byte(`{}`), strings.Repeat("x", 115), "\u2028", spelling)
	}
	var answer string
	client, err := drift.NewClient(drift.WithToken(secret), drift.WithLimiter(testkit.OpenLimiter{}),
		drift.WithHTTPClient(&http.Client{Transport: testkit.Responder(func(r *http.Request) (*http.Response, error) {
			return testkit.AnswerBody(http.StatusNotFound, answer)(r)
		})}))
	require.NoError(f, err)
	errorOf := func(t *testing.T, body string) (api *drift.APIError) {
		answer = body
		require.ErrorAs(t, testkit.Get(t.Context(), client), &api)
		return api
	}
	f.Fuzz(func(t *testing.T, body []byte, before, after string, spelling uint8) {
		checkAPIError(t, errorOf(t, string(body)), secret)
		quoted, _ := json.Marshal(before + spelled(secret, spelling) + after)
		for _, shape := range []string{
			`{"error":?}`, `{"error":{"type":?,"code":?,"message":?,"param":?}}`,
			`{"errors":[?,{"param":?,"message":?}]}`, `{"code":?,"message":?}`,
		} {
			api := errorOf(t, strings.ReplaceAll(shape, "?", string(quoted)))
			checkAPIError(t, api, secret)
			require.NotEmpty(t, api.Message, shape)
		}
	})
}

// spelled hides a secret in one of the ways that disappear when a text is made printable.
func spelled(secret string, spelling uint8) string {
	half := len(secret) / 2
	return secret[:half] + [...]string{"", "\x00", "\u200b", "\u202e"}[spelling%4] + secret[half:]
}

func checkAPIError(t *testing.T, api *drift.APIError, secret string) {
	t.Helper()
	checkErrorText(t, api.Type, secret, 128)
	checkErrorText(t, api.Code, secret, 128)
	checkErrorText(t, api.Message, secret, 512)
	require.LessOrEqual(t, len(api.Fields), 64)
	for param, messages := range api.Fields {
		checkErrorText(t, param, secret, 128)
		for _, message := range messages {
			checkErrorText(t, message, secret, 512)
		}
	}
}

func checkErrorText(t *testing.T, text, secret string, limit int) {
	t.Helper()
	if len(text) > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("%q", text)
	}
	if strings.Contains(text, secret[:8]) {
		t.Fatalf("%q shows the secret", text)
	}
}
