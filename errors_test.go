package drift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

// errorBody is a body of an error, and what is to be read from it.
type errorBody struct {
	body                string
	kind, code, message string
	fields              map[string][]string
}

var errorBodies = map[string]errorBody{
	"standard":       {body: `{"error": {"type": "validation_error", "message": "bad tag"}}`, kind: "validation_error", message: "bad tag"},
	"bad token":      {body: `{"error": {"type": "authentication_error", "message": "expired"}}`, kind: "authentication_error", message: "expired"},
	"plural":         {body: `{"errors": [{"type": "t1", "message": "m1", "param": "email"}, {"type": "t2", "message": "m2", "param": "email"}, {"message": "m3", "param": "name"}]}`, kind: "t1", message: "m1", fields: map[string][]string{"email": {"m1", "m2"}, "name": {"m3"}}},
	"contacts":       {body: `{"code": "CONTACT-6", "message": "exists"}`, code: "CONTACT-6", message: "exists"},
	"text":           {body: `{"error": "no such thing"}`, message: "no such thing"},
	"gateway":        {body: `{"message": "API rate limit exceeded"}`, message: "API rate limit exceeded"},
	"data is null":   {body: `{"data": null, "error": {"type": "x", "message": "y"}}`, kind: "x", message: "y"},
	"errors of text": {body: `{"errors": ["first", "second"]}`, message: "first"},
	"numeric code":   {body: `{"error": {"code": 17, "message": "m"}}`, code: "17", message: "m"},
	"odd members":    {body: `{"error": {"type": ["x"], "message": "kept", "param": {}}}`, message: "kept"},
	"errors is one":  {body: `{"errors": {"message": "lost"}, "error": "kept"}`, message: "kept"},
	"camel case":     {body: `{"Error": {"Type": "t", "MESSAGE": "m"}}`, kind: "t", message: "m"},
	"white space":    {body: `{"error": "  two\n\tlines\u2028 "}`, message: "two  lines"},
	"controls":       {body: `{"error": "a\u0000\u001b[31mb\u202ec\u200bd\u007f"}`, message: "a[31mbcd"},
	"invalid UTF-8":  {body: "{\"error\": \"a\xff\xfeb\"}", message: "ab"},
	"half a pair":    {body: `{"error": "a\ud83db"}`, message: "ab"},
	"long":           {body: `{"error": "` + strings.Repeat("é", 1000) + `"}`, message: strings.Repeat("é", 254) + "…"},
	"HTML":           {body: "<html><body>Bad gateway</body></html>"},
	"empty":          {},
	"junk":           {body: "\x00\x01{{{"},
	"null":           {body: "null"},
	"array":          {body: `[{"message": "x"}]`},
	"number":         {body: "17"},
	"cut off":        {body: `{"error": {"message": "x"`},
	"huge":           {body: strings.Repeat("x", 100<<10)},
	"deep":           {body: strings.Repeat(`{"error":`, 200)},
}

// foreign reports whether the body is HTML.
func (b errorBody) foreign() bool { return strings.HasPrefix(b.body, "<") }

func (b errorBody) unauthorized(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden && b.kind == "authentication_error"
}

// wantedSentinels is the table of the documentation, written down once more.
func wantedSentinels(method string, status int, body errorBody) (wanted []error) {
	add := func(when bool, sentinel error) {
		if when {
			wanted = append(wanted, sentinel)
		}
	}
	add(status == 400 || status == 422, drift.ErrInvalid)
	add(body.unauthorized(status), drift.ErrUnauthorized)
	add(status == 403 && !body.unauthorized(status), drift.ErrForbidden)
	add(status == 404 && !body.foreign(), drift.ErrNotFound)
	add(status == 404 && body.foreign(), drift.ErrUnexpectedContent)
	add(status == 409, drift.ErrConflict)
	add(status == 429, drift.ErrRateLimited)
	add(status == 402, drift.ErrQuotaExceeded)
	add(status >= 500, drift.ErrServer)
	add(method != http.MethodGet && (status == 300 || status == 408 || status >= 500), drift.ErrAmbiguous)
	return wanted
}

func isRedirect(status int) bool {
	return slices.Contains([]int{301, 302, 303, 307, 308}, status)
}

// typicalStatuses stand for all with most of the bodies, which are read the same way whatever the status.
var typicalStatuses = []int{301, 304, 400, 401, 402, 403, 404, 408, 409, 418, 422, 429, 451, 500, 503, 599}

func TestEveryStatusWithEveryBody(t *testing.T) {
	for name, body := range errorBodies {
		t.Run(name, func(t *testing.T) {
			for status := 300; status < 600; status++ {
				if name != "bad token" && !slices.Contains(typicalStatuses, status) {
					continue
				}
				tags := func() drift.TagsService { return testkit.AnsweringClient(t, status, body.body).Tags }
				_, err := tags().Get(t.Context(), 1)
				checkStatusError(t, err, http.MethodGet, status, body)
				_, err = tags().Create(t.Context(), drift.TagCreateRequest{})
				checkStatusError(t, err, http.MethodPost, status, body)
				checkStatusError(t, tags().Delete(t.Context(), 1), http.MethodDelete, status, body)
			}
		})
	}
}

func checkStatusError(t *testing.T, err error, method string, status int, body errorBody) {
	t.Helper()
	require.Error(t, err)
	testkit.RequirePrintableError(t, err)
	if isRedirect(status) {
		require.ErrorAs(t, err, new(*drift.TransportError))
		var wanted []error
		if status <= http.StatusSeeOther && method != http.MethodGet { // perhaps done, and the answer is elsewhere
			wanted = []error{drift.ErrAmbiguous}
		}
		testkit.RequireSentinels(t, err, wanted)
		return
	}
	testkit.RequireSentinels(t, err, wantedSentinels(method, status, body))
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, status, api.StatusCode)
	assert.Equal(t, body.kind, api.Type)
	assert.Equal(t, body.code, api.Code)
	assert.Equal(t, body.message, api.Message)
	assert.Equal(t, body.fields, api.Fields)
	assert.Equal(t, "req-1", api.RequestID)
	assert.Equal(t, method, api.Method)
	require.Len(t, api.Attempts, 1)
	assert.Equal(t, status, api.Attempts[0].StatusCode)
	assert.Equal(t, body.body[:min(len(body.body), 64<<10)], string(api.Body()))
	for _, part := range []string{"drift: ", api.Operation + ": ", method + " v2/tags", strconv.Itoa(status), body.kind, body.code, body.message, "(request req-1)"} {
		assert.Contains(t, err.Error(), part)
	}
	checkStatusTypes(t, err, method, status, body)
}

// checkStatusTypes: the types around an *APIError follow from the method, the status and the body.
func checkStatusTypes(t *testing.T, err error, method string, status int, body errorBody) {
	t.Helper()
	assert.Equal(t, status == 429, errors.As(err, new(*drift.RateLimitError)))
	assert.Equal(t, status == 402, errors.As(err, new(*drift.QuotaError)))
	assert.Equal(t, method != http.MethodGet && (status == 300 || status == 408 || status >= 500), errors.As(err, new(*drift.AmbiguousError)))
	assert.False(t, errors.As(err, new(*drift.TransportError)))
	assert.False(t, errors.As(err, new(*drift.DecodeError)))
	assert.False(t, errors.As(err, new(*drift.ValidationError)))
	assert.False(t, errors.As(err, new(*drift.PageError)))
}

func TestErrorTexts(t *testing.T) {
	for want, give := range map[string]struct {
		status int
		body   string
	}{
		"drift: tags.get: GET v2/tags/{tagId}: 404 not_found: gone (request req-1)":                                                 {404, `{"error": {"type": "not_found", "message": "gone"}}`},
		"drift: tags.get: GET v2/tags/{tagId}: 409 CONTACT-6: exists (request req-1)":                                               {409, `{"code": "CONTACT-6", "message": "exists"}`},
		"drift: tags.get: GET v2/tags/{tagId}: 400 t/c: m (request req-1)":                                                          {400, `{"error": {"type": "t", "code": "c", "message": "m"}}`},
		"drift: tags.get: GET v2/tags/{tagId}: 502 Bad Gateway (request req-1)":                                                     {502, `<html>`},
		"drift: tags.get: GET v2/tags/{tagId}: 599 (request req-1)":                                                                 {599, ``},
		"drift: tags.get: GET v2/tags/{tagId}: 418 teapot (request req-1)":                                                          {418, `{"error": {"type": "teapot"}}`},
		"drift: tags.get: rate limited by the service, try again in 1s: GET v2/tags/{tagId}: 429 Too Many Requests (request req-1)": {429, ``},
		"drift: tags.get: cannot decode the JSON at /id: the record has no id greater than 0":                                       {200, `{"data": {"name": "x"}}`},
		"drift: tags.get: GET v2/tags/{tagId}: 200: partly (request req-1)":                                                         {200, `{"error": "partly"}`},
	} {
		_, err := testkit.AnsweringClient(t, give.status, give.body).Tags.Get(t.Context(), 1)
		if assert.Error(t, err) {
			assert.Equal(t, want, err.Error())
		}
	}
}

func TestErrorsOfSeveralKindsHaveATextWithoutDetails(t *testing.T) {
	for want, err := range map[string]error{
		"drift: tags.get: id must be greater than 0":          &drift.ValidationError{Operation: "tags.get", Argument: "id", Reason: "must be greater than 0"},
		"drift: WithToken is wrong":                           &drift.ValidationError{Argument: "WithToken", Reason: "is wrong"},
		"drift: 0":                                            &drift.APIError{},
		"drift: rate limited before sending, try again in 2s": &drift.RateLimitError{Local: true, RetryAfter: 1234567 * time.Microsecond},
		"drift: monthly quota used up":                        &drift.QuotaError{},
		"drift: tags.get: monthly quota used up (10 of 10), resets at 2026-04-01T00:00:00Z": &drift.QuotaError{Operation: "tags.get",
			Usage: drift.Usage{Used: 10, Limit: 10, ResetsAt: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}},
		"drift: the request may have been applied, check before you send it again":    &drift.AmbiguousError{},
		"drift: the request may have been applied, check before you send it again: x": &drift.AmbiguousError{ClientID: "k\n", Err: errors.New("drift: x")},
		"drift: not sent":                      &drift.TransportError{},
		"drift: cannot decode the JSON":        &drift.DecodeError{},
		"drift: cannot read the next page":     &drift.PageError{Cursor: "c"},
		"drift: cannot read the first page":    &drift.PageError{},
		"drift: record at index 0 of the page": &drift.RecordError{},
		"drift: tags.list: record at index 3 of the page: cannot decode the JSON at /id: x": &drift.RecordError{Operation: "tags.list", Index: 3,
			Err: &drift.DecodeError{Operation: "tags.list", Path: "/id", Err: errors.New("x")}},
	} {
		assert.Equal(t, want, err.Error())
		assert.NotPanics(t, func() { slog.New(slog.NewTextHandler(io.Discard, nil)).Info("x", "err", err) })
	}
	assert.Nil(t, (&drift.APIError{}).Body())
	assert.Nil(t, (&drift.RecordError{}).Raw())
}

// A path names fields, and where the target is a map, names that the service chose.
// The keys of a caller's map are the service's data: the path has them, texts and logs do not.
func TestDecodeErrorOfACallersTypeKeepsItsPathToItself(t *testing.T) {
	const data = `{"ada@example.com": {"bob@example.com": "x"}}`
	var decode *drift.DecodeError
	quiet := func(err error, path string) {
		t.Helper()
		require.ErrorAs(t, err, &decode)
		assert.Equal(t, path, decode.Path)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "err", err)
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), log.String()} {
			assert.NotContains(t, text, "@example.com")
		}
	}
	client := testkit.AnsweringClient(t, http.StatusOK, `{"data": `+data+`}`)
	var scores map[string]map[string]int
	quiet(client.Do(t.Context(), drift.Request{Path: "x"}, &scores), "/ada@example.com/bob@example.com")
	var contacts map[string]map[string]*drift.Contact
	quiet(client.Do(t.Context(), drift.Request{Path: "x"}, &contacts), "/ada@example.com/bob@example.com")
	client = testkit.AnsweringClient(t, http.StatusOK, `{"data": [`+data+`]}`)
	_, err := drift.ListOf[map[string]map[string]int](t.Context(), client, drift.Request{Path: "x"})
	quiet(err, "/ada@example.com/bob@example.com")

	client = testkit.AnsweringClient(t, http.StatusOK, `{"data": {"id": 1, "createdAt": "soon"}}`)
	err = client.Do(t.Context(), drift.Request{Path: "x"}, new(drift.Contact))
	assert.ErrorContains(t, err, " at /createdAt: ", "the fields of a record are no secret")
}

func TestErrorsAreLoggedByKey(t *testing.T) {
	_, notFound := testkit.AnsweringClient(t, 404, `{"error": {"type": "not_found", "message": "gone"}, "code": "C"}`).Tags.Get(t.Context(), 1)
	_, noCode := testkit.AnsweringClient(t, 409, ``).Tags.Get(t.Context(), 1)
	_, ambiguous := testkit.AnsweringClient(t, 500, ``).Messages.Create(t.Context(), 1, drift.MessageCreateRequest{ClientMessageID: "key"})
	_, limited := testkit.AnsweringClient(t, 429, ``).Tags.Get(t.Context(), 1)
	_, invalid := testkit.AnsweringClient(t, 200, ``).Tags.Get(t.Context(), 0)
	_, undecodable := testkit.AnsweringClient(t, 200, `{"data": {"id": -1}}`).Tags.Get(t.Context(), 1)
	_, page := drift.Collect(testkit.AnsweringClient(t, 404, ``).Contacts.All(t.Context(), drift.ContactListOptions{Cursor: "secret-cursor"}), 0)
	_, odd := testkit.AnsweringClient(t, 200, `[{"id": 1}, {"id": 0, "email": "a@example.com"}, null]`).Contacts.List(t.Context(), drift.ContactListOptions{})
	transport := testkit.Through(t, func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, drift.WithoutRetry()).Tags.Delete(t.Context(), 1)
	for _, c := range []struct {
		err    error
		kind   drift.Kind
		fields string
	}{
		{notFound, drift.KindNotFound, `"operation":"tags.get","status":404,"type":"not_found","code":"C","message":"gone","request_id":"req-1","attempts":1`},
		{noCode, drift.KindConflict, `"operation":"tags.get","status":409,"request_id":"req-1","attempts":1`},
		{ambiguous, drift.KindAmbiguous, `"operation":"messages.create","status":500,"request_id":"req-1","attempts":1`},
		{limited, drift.KindRateLimited, `"operation":"tags.get","retry_after":1000000000,"local":false`},
		{invalid, drift.KindInvalid, `"operation":"tags.get","argument":"tagId","reason":"must be greater than 0"`},
		{undecodable, drift.KindDecode, `"operation":"tags.get","path":"/id"`},
		{page, drift.KindNotFound, `"operation":"contacts.list","status":404,"request_id":"req-1","attempts":1`},
		{odd, drift.KindDecode, `"records":2,"index":1,"operation":"contacts.list","path":"/id"`},
		{drift.RecordErrors(odd)[1], drift.KindDecode, `"index":2,"operation":"contacts.list"`},
		{transport, drift.KindAmbiguous, `"operation":"tags.delete","server":"drift.test:443","sent":true,"attempts":1`},
		{&drift.QuotaError{Operation: "o", Usage: drift.Usage{Used: 2, Limit: 3, ResetsAt: time.Unix(0, 0).UTC()}}, drift.KindQuotaExceeded, `"operation":"o","used":2,"limit":3,"resets_at":"1970-01-01T00:00:00Z"`},
	} {
		for _, wrapped := range []error{c.err, fmt.Errorf("export: %w", c.err), errors.Join(c.err)} {
			want := fmt.Sprintf(`{"error":{"msg":%q,"kind":%q,%s}}`, wrapped.Error(), c.kind, c.fields)
			assert.JSONEq(t, want, loggedAs(drift.ErrorAttr(wrapped)), "ErrorAttr has one shape, however the error is wrapped")
		}
		assert.JSONEq(t, loggedAs(drift.ErrorAttr(c.err)), loggedAs(slog.Any("error", c.err)))
	}
	assert.JSONEq(t, `{}`, loggedAs(drift.ErrorAttr(nil)))
	assert.JSONEq(t, `{"error":{"msg":"other","kind":"_OTHER"}}`, loggedAs(drift.ErrorAttr(errors.New("other"))))
}

func loggedAs(attr slog.Attr) string {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: onlyKey("error")})).LogAttrs(context.Background(), slog.LevelInfo, "x", attr)
	return log.String()
}

// onlyKey drops the handler's own attributes.
func onlyKey(key string) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key != key {
			return slog.Attr{}
		}
		return a
	}
}

func TestErrorUnderAStatusOfSuccess(t *testing.T) {
	for kind, sentinel := range map[string]error{
		"validation_error": drift.ErrInvalid, "authentication_error": drift.ErrUnauthorized, "not_found": drift.ErrNotFound,
		"internal_error": drift.ErrServer, "rate_limit": drift.ErrRateLimited,
	} {
		for _, shape := range []string{`{"error": {"type": %q, "message": "m"}}`, `{"errors": [{"type": %q, "message": "m"}]}`, `{"data": null, "error": {"type": %q, "message": "m"}}`} {
			client := testkit.AnsweringClient(t, http.StatusOK, fmt.Sprintf(shape, kind))
			_, err := client.Tags.Get(t.Context(), 1)
			testkit.RequireSentinels(t, err, []error{sentinel})
			_, err = client.Contacts.List(t.Context(), drift.ContactListOptions{})
			testkit.RequireSentinels(t, err, []error{sentinel})
			_, err = client.Tags.Create(t.Context(), drift.TagCreateRequest{})
			testkit.RequireSentinels(t, err, []error{sentinel}) // the service says that it did nothing
			var api *drift.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, http.StatusOK, api.StatusCode)
			assert.Equal(t, kind, api.Type)
		}
	}
	_, err := testkit.AnsweringClient(t, http.StatusOK, `{"data": {"id": 1}, "errors": [{"message": "partly"}]}`).Tags.Get(t.Context(), 1)
	require.NoError(t, err, "data count more than errors beside them")
	_, err = testkit.AnsweringClient(t, http.StatusOK, `{"data": {"id": 1}, "error": null, "errors": []}`).Tags.Get(t.Context(), 1)
	require.NoError(t, err)
}

func TestBodyOfAnErrorUnderAStatusOfSuccessIsBounded(t *testing.T) {
	_, err := testkit.AnsweringClient(t, http.StatusOK, `{"error": "x", "more": "`+strings.Repeat("y", 100<<10)+`"}`).Tags.Get(t.Context(), 1)
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Len(t, api.Body(), 64<<10)
}

func TestFieldsAreBounded(t *testing.T) {
	var items []string
	for i := range 1000 {
		items = append(items, fmt.Sprintf(`{"message": "m", "param": "p%d"}`, i))
	}
	_, err := testkit.AnsweringClient(t, 422, `{"errors": [`+strings.Join(items, ",")+`]}`).Tags.Get(t.Context(), 1)
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Len(t, api.Fields, 64)
	testkit.RequirePrintableError(t, err)
}

func TestQuotaErrorByTheServersWord(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		quota  bool
	}{
		{402, ``, true},
		{429, `{"error": {"type": "quota_exceeded"}}`, true},
		{429, `{"code": "MONTHLY-QUOTA"}`, true},
		{403, `{"error": {"type": "Quota"}}`, true},
		{429, `{"error": {"type": "rate_limit", "message": "quota"}}`, false},
		{403, `{"error": {"type": "forbidden"}}`, false},
		{500, `{"error": {"type": "quota_exceeded"}}`, false},
	} {
		client := testkit.AnsweringClient(t, c.status, c.body, drift.WithPlan(drift.PlanStarter))
		_, err := client.Tags.Get(t.Context(), 1)
		assert.Equal(t, c.quota, errors.Is(err, drift.ErrQuotaExceeded), "%d %s", c.status, c.body)
		var api *drift.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, c.status, api.StatusCode)
		if c.quota {
			var quota *drift.QuotaError
			require.ErrorAs(t, err, &quota)
			assert.Equal(t, "tags.get", quota.Operation)
			assert.Equal(t, 1, quota.Usage.Used)
			assert.Equal(t, 10_000, quota.Usage.Limit)
		}
	}
}

func TestAmbiguousErrorCarriesTheKeyThatWasSent(t *testing.T) {
	var sent []byte
	client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
		sent, _ = io.ReadAll(req.Body)
		return nil, io.EOF
	}, drift.WithoutRetry())
	calls := map[string]func() error{
		"client_message_id": func() error {
			_, err := client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{})
			return err
		},
		"client_id": func() error {
			_, err := client.Notes.Create(t.Context(), 1, drift.NoteCreateRequest{})
			return err
		},
	}
	for name, call := range calls {
		err := call()
		var ambiguous *drift.AmbiguousError
		require.ErrorAs(t, err, &ambiguous)
		assert.Len(t, ambiguous.ClientID, 36)
		assert.Contains(t, string(sent), fmt.Sprintf(`%q:%q`, name, ambiguous.ClientID))
		assert.NotContains(t, err.Error(), ambiguous.ClientID, "a key of the caller's may be personal")
		require.ErrorIs(t, err, io.EOF)
		require.ErrorAs(t, err, new(*drift.TransportError))
	}
	_, err := client.Tags.Create(t.Context(), drift.TagCreateRequest{})
	var ambiguous *drift.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	assert.Empty(t, ambiguous.ClientID)
}

// blockedNetwork is a network that never answers. It returns the context's own error, as net/http does, or its cause.
func blockedNetwork(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

func TestWithTimeoutIsADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := testkit.Through(t, blockedNetwork).Tags.Get(t.Context(), 1, drift.WithTimeout(3*time.Second))
		testkit.RequireSentinels(t, err, []error{context.DeadlineExceeded})
		testkit.RequireTimeout(t, err)
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

// The caller set no deadline, so an attempt that took too long must not look like one of the caller's.
func TestAttemptTimeoutIsNoDeadlineOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, network := range []testkit.Responder{blockedNetwork, testkit.Stalled(http.StatusOK, "")} {
			client, err := drift.NewClient(drift.WithToken(testkit.Token), drift.WithHTTPClient(&http.Client{Transport: network, Timeout: 5 * time.Second}))
			require.NoError(t, err)
			_, err = client.Tags.Get(t.Context(), 1)
			testkit.RequireSentinels(t, err, nil)
			var transport *drift.TransportError
			require.ErrorAs(t, err, &transport)
			require.Len(t, transport.Attempts, 3)
			for _, attempt := range transport.Attempts {
				assert.Equal(t, 5*time.Second, attempt.Duration)
				assert.True(t, attempt.Sent)
			}
			_, err = client.Tags.Create(t.Context(), drift.TagCreateRequest{})
			testkit.RequireSentinels(t, err, []error{drift.ErrAmbiguous})
			testkit.RequireTimeout(t, err)
			assert.Contains(t, err.Error(), "timed out")
			assert.Contains(t, err.Error(), "(an attempt may take 5s)")
		}
	})
}

// A limiter of the caller's may refuse without saying why, after an attempt that was answered.
func TestLimiterThatRefusesTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := &testkit.Slots{}
		client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
			limiter.Err = &drift.RateLimitError{Local: true, RetryAfter: time.Second}
			return testkit.Answer(503)(req)
		}, drift.WithLimiter(limiter))
		err := testkit.Get(t.Context(), client)
		testkit.RequireSentinels(t, err, []error{drift.ErrRateLimited, drift.ErrServer})
		assert.EqualError(t, err, "drift: tests.call: rate limited before sending, try again in 1s: GET v2/things: 503 Service Unavailable")
	})
}

func TestTimeoutsOfTheConnection(t *testing.T) {
	for _, timeout := range []error{os.ErrDeadlineExceeded, &net.DNSError{IsTimeout: true}} {
		_, err := testkit.Through(t, func(*http.Request) (*http.Response, error) { return nil, timeout }).Tags.Get(t.Context(), 1, drift.WithoutRetry())
		testkit.RequireSentinels(t, err, nil)
		testkit.RequireTimeout(t, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for ctx, failure := range map[context.Context]error{t.Context(): syscall.ECONNRESET, canceled: nil} {
		_, err := testkit.Through(t, func(*http.Request) (*http.Response, error) { return nil, failure }).Tags.Get(ctx, 1, drift.WithoutRetry())
		var other *drift.TransportError
		require.ErrorAs(t, err, &other)
		assert.False(t, other.Timeout(), err)
	}
}

// The timers of net/http and of a net.Dialer are limits of the client, although their errors match
// context.DeadlineExceeded.
func TestTimersOfTheTransport(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	for want, transport := range map[string]*http.Transport{
		"timed out while connecting":             {DialContext: (&net.Dialer{Timeout: 1}).DialContext},
		"timed out while waiting for the answer": {ResponseHeaderTimeout: 50 * time.Millisecond},
	} {
		client := testkit.NewClient(t, silent.URL, drift.WithHTTPClient(&http.Client{Transport: transport}))
		_, err := client.Tags.Get(t.Context(), 1, drift.WithoutRetry())
		require.ErrorContains(t, err, want)
		assert.Equal(t, drift.KindTimeout, drift.KindOf(err))
		testkit.RequireTimeout(t, err)
	}
}

func TestTokenIsMaskedWhereTheServiceRepeatsIt(t *testing.T) {
	hidden := []string{
		testkit.Token, "test\\u002dtoken", "test\\u0000-token", "te\\u200bst-token", "te\u202est-token", "x" + testkit.Token + "x",
		strings.Repeat("x", 512-len(testkit.Token)/2-len("…")) + testkit.Token, // cut in the middle, a part of it would stay
	}
	for _, text := range hidden {
		body := fmt.Sprintf(`{"error": {"type": "%[1]s", "code": "%[1]s", "message": "%[1]s", "param": "%[1]s"}}`, text)
		_, err := testkit.AnsweringClient(t, http.StatusUnauthorized, body).Tags.Get(t.Context(), 1)
		var api *drift.APIError
		require.ErrorAs(t, err, &api)
		shown := fmt.Sprintf("%v %+v", err, *api)
		assert.NotContains(t, shown, testkit.Token)
		assert.NotContains(t, api.Message, "test", "nor a part of it")
		if text == testkit.Token {
			assert.Contains(t, api.Message, "REDACTED")
			assert.NotContains(t, string(api.Body()), testkit.Token)
		}
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range errorBodies {
		if len(body.body) < 2000 {
			f.Add(uint16(404), []byte(body.body))
		}
	}
	f.Add(uint16(401), []byte(`{"error": "test\u002dtoken"}`))
	f.Add(uint16(200), []byte(`{"error": {"message": "test-token"}}`))
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		client := testkit.AnsweringClient(t, int(status%600), string(body))
		_, err := client.Contacts.MatchEmail(t.Context(), "ada@example.com")
		if err == nil {
			return
		}
		testkit.RequirePrintableError(t, err)
		require.NotContains(t, err.Error(), testkit.Token)
		var api *drift.APIError
		if errors.As(err, &api) {
			require.NotContains(t, fmt.Sprintf("%+v %q %v", *api, api.Fields, api.LogValue()), testkit.Token)
			require.LessOrEqual(t, len(api.Body()), 64<<10)
		}
	})
}

func TestUnusableAnswersSayWhy(t *testing.T) {
	for want, client := range map[string]*drift.Client{
		"status 302": testkit.AnsweringClient(t, http.StatusFound, ""),
		"HTML":       testkit.AnsweringClient(t, http.StatusOK, "<html>"),
	} {
		_, err := client.Tags.Get(t.Context(), 1)
		assert.ErrorContains(t, err, want)
	}
}

func TestQuotaErrorIsNoRateLimit(t *testing.T) {
	_, err := testkit.AnsweringClient(t, http.StatusTooManyRequests, `{"error":{"type":"quota_exceeded"}}`).Tags.Get(t.Context(), 1)
	require.ErrorIs(t, err, drift.ErrQuotaExceeded)
	assert.NotErrorIs(t, err, drift.ErrRateLimited, "waiting would not help")
	assert.ErrorAs(t, err, new(*drift.APIError))
}

func TestFailuresOfSeamsQuoteNothing(t *testing.T) {
	leak := errors.New("https://user:MARKER@redis/?token=MARKER")
	for name, option := range map[string]drift.Option{
		"limiter": drift.WithLimiter(failingLimiter{leak}),
		"store":   drift.WithQuotaStore(&store{reserveErr: leak}),
	} {
		t.Run(name, func(t *testing.T) {
			err := testkit.Get(t.Context(), testkit.Through(t, new(testkit.Network).Serve, option))
			require.ErrorIs(t, err, leak)
			assert.NotContains(t, err.Error(), "MARKER")
			assert.NotContains(t, err.Error(), "connection")
			assert.ErrorContains(t, err, name)
		})
	}
}

type failingLimiter struct{ err error }

func (l failingLimiter) Acquire(context.Context, drift.Turn) (drift.Slot, error) { return nil, l.err }

func (failingLimiter) Pause(context.Context, time.Time) error { return nil }

// A write whose answer does not fit was applied all the same.
func TestDecodeErrorOfAWriteIsAmbiguous(t *testing.T) {
	client := testkit.Serve(t, testkit.Respond(http.StatusOK, `{"data":{"id":0}}`))
	_, err := client.Messages.Create(t.Context(), 1, drift.MessageCreateRequest{Body: "a", ClientMessageID: "key"})
	var ambiguous *drift.AmbiguousError
	require.ErrorAs(t, err, &ambiguous)
	assert.Equal(t, "key", ambiguous.ClientID)
	testkit.RequireDecodeError(t, err, "/id")
}

// A status of success does not make a success of an error. A member named "error" that says nothing is none.
func TestDecodeErrorsUnderSuccess(t *testing.T) {
	for name, test := range map[string]struct{ body, kind, message string }{
		"object":           {`{"error":{"type":"not_found","message":"no such thing"}}`, "not_found", "no such thing"},
		"list":             {`{"errors":[{"type":"validation_error","message":"bad","param":"email"}]}`, "validation_error", "bad"},
		"text":             {`{"error":"broken"}`, "", "broken"},
		"beside null":      {`{"data":null,"error":{"message":"broken"}}`, "", "broken"},
		"another case":     {`{"Errors":[{"message":"broken"}]}`, "", "broken"},
		"half a surrogate": {`{"error":{"message":"broken\ud83d"}}`, "", "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := getConversation(t, test.body)
			var api *drift.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, http.StatusOK, api.StatusCode)
			assert.Equal(t, test.kind, api.Type)
			assert.Equal(t, test.message, api.Message)
		})
	}
	for _, body := range []string{`{"error":null}`, `{"errors":[]}`, `{"error":""}`, `{"error":false}`, `{"errors":{}}`} {
		_, err := getConversation(t, body)
		testkit.RequireDecodeError(t, err, "/id")
	}
}

// marker stands for personal data in a body.
const marker = "MARKER"

// No text of an error may show what the body held: such texts end up in logs.
func TestDecodeErrorsQuoteNothing(t *testing.T) {
	for _, body := range []string{
		`{"id":"MARKER"}`, `{"id":1,"created_at":"MARKER"}`, `{"id":1,"contact_id":"MARKER"}`, `{"id":1,"contact_id":{"MARKER":"MARKER"}}`,
		`{"id":1,"title":["MARKER"]}`, `{"id":1,"title":{"MARKER":1}}`, `{"id":1,"archived":"MARKER"}`, `{"id":1,"member_count":"MARKER"}`,
		`{"id":1,"labels":{"MARKER":"MARKER"}}`, `{"id":1,"labels":[{"MARKER":1}]}`, `{"id":1,"tags":[[7]],"MARKER":"MARKER"}`, `{"id":1,"tags":{"id":"MARKER"}}`,
		`{"id":1,"conversation_tags":[["MARKER"]]}`, `{"id":1,"custom_attributes":"MARKER"}`,
		`{"id":1,"custom_attributes":["MARKER"]}`, `{"id":1,"custom_attributes":{"MARKER":MARKER}}`, `{"id":1,"custom_attributes":{"MARKER":"\MARKER"}}`,
		`{"MARKER":{"MARKER":[MARKER]}}`, `{"id":1,"MARKER":"MARKER`, `{"id":1,"MARKER`, `{"id":1,"MARKER":"\uMARKER"}`, `{"id":1} MARKER`,
		`{"MARKER":1,"id":0}`, `{"data":"MARKER"}`, `{"data":["MARKER"]}`, `{"MARKER":1}`, `"MARKER"`, `["MARKER"]`, `["MARKER`, `MARKER`, `<p>MARKER</p>`,
		`{"data":{"id":1,"MARKER":tru}}`, `{"MARKER":1,"data":{"id":1,"status":[7]}}`, `{"id":1,"custom_attributes":{"MARKER":` + strings.Repeat("[", 10_001) + `}}`,
	} {
		_, err := getConversation(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{
		`[{"id":1,"MARKER":{"id":"MARKER"}},{"id":"MARKER"}]`, `{"data":{"MARKER":1}}`, `[{"id":1,"attributes":"MARKER"}]`,
		`{"data":[],"pagination":"MARKER"}`, `{"data":[],"pagination":{"more":"MARKER"}}`, `{"data":[],"pagination":{"more":true,"next":{"MARKER":"MARKER"}}}`,
		`{"data":[],"links":"MARKER"}`, `{"data":[],"links":{"next":"/MARKER?MARKER=MARKER"}}`, `{"data":[],"links":{"next":["MARKER"]}}`,
		`{"data":[{"id":1,"users":["MARKER"]}]}`, `{"data":[{"id":1}],"MARKER":MARKER}`,
	} {
		_, err := listContacts(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{`{"id":1,"duration":"MARKER"}`, `{"id":1,"participants":[{"id":"MARKER"}]}`, `{"id":1,"participants":"MARKER","MARKER":0}`} {
		_, err := getMeeting(t, body)
		assertNoMarker(t, err, body)
	}
	for _, body := range []string{
		`{"id":1,"attachment":"MARKER"}`, `{"id":1,"attachment":[{"id":"MARKER","MARKER":1}]}`, `{"id":1,"context":"MARKER"}`, `{"id":1,"context":{"ip":{"MARKER":1}}}`,
		`{"id":1,"author":{"id":"MARKER"}}`, `{"id":1,"buttons":[{"MARKER":1,"reaction":"MARKER"}]}`,
	} {
		_, err := getMessage(t, body)
		assertNoMarker(t, err, body)
	}
}

func assertNoMarker(t *testing.T, err error, body string) {
	t.Helper()
	if !assert.Error(t, err, body) {
		return
	}
	for _, text := range everyText(err) {
		assert.NotContains(t, text, marker, "for %.80s", body)
	}
}

// everyText prints an error and everything that it wraps in every way.
func everyText(err error) []string {
	texts := []string{err.Error(), logged(err)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%d", "%s", "%x"} {
		text := fmt.Sprintf(verb, err)
		texts = append(texts, strings.ReplaceAll(text, fmt.Sprintf("%x", marker), marker))
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			texts = append(texts, everyText(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			texts = append(texts, everyText(inner)...)
		}
	}
	return texts
}

func logged(err error) string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "err", err)
	slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "err", err)
	return log.String()
}

// The walk itself finds what is there.
func TestEveryTextFinds(t *testing.T) {
	inner := errors.New(marker)
	for _, err := range []error{inner, fmt.Errorf("a: %w", inner), errors.Join(errors.New("a"), inner)} {
		assert.Contains(t, strings.Join(everyText(err), " "), marker)
	}
}
