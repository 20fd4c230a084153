package drift_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/internal/testkit"
)

func TestOperationsAreTheCatalogue(t *testing.T) {
	var want []drift.Operation
	for _, op := range testkit.Catalogues(t) {
		want = append(want, drift.Operation{Name: op.Name, Method: op.Method, Template: op.Path})
	}
	assert.Equal(t, want, drift.Operations())
}

func TestEveryOperationIsReached(t *testing.T) {
	var want, reached []string
	for _, o := range testkit.Catalogues(t) {
		want = append(want, o.Name)
	}
	var ranged int
	for _, call := range testkit.Invocations(t) {
		reached = append(reached, call.Operation.Name)
		if call.Ranges() {
			ranged++
		}
	}
	assert.Equal(t, 10, ranged, "methods that return a sequence")
	slices.Sort(want)
	slices.Sort(reached)
	assert.Equal(t, want, slices.Compact(reached))
}

func TestEveryOperationSucceeds(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: call.Body()}
		var infos []drift.RequestInfo
		client := testkit.Through(t, network.RoundTrip, testkit.OnStart(func(r drift.RequestInfo) { infos = append(infos, r) }))
		require.NoError(t, call.On(t.Context(), client))
		assert.EqualValues(t, 1, network.Requests.Load())
		want := call.Labels()
		want.Server = "drift.test:443"
		assert.Equal(t, []drift.RequestInfo{want}, infos)
	})
}

func TestEveryOperationCancelledBefore(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK}
		client := testkit.Through(t, network.RoundTrip)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := call.On(ctx, client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, network.Requests.Load())
	})
}

func TestEveryOperationDeadlineOver(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK}
		client := testkit.Through(t, network.RoundTrip)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		err := call.On(ctx, client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, network.Requests.Load())
	})
}

func TestEveryOperationOnClosedClient(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK}
		client := testkit.Through(t, network.RoundTrip)
		require.NoError(t, client.Close())
		err := call.On(t.Context(), client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, drift.ErrClosed)
		assert.Zero(t, network.Requests.Load())
	})
}

func TestEveryOperationConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		client := testkit.NewClient(t, "http://"+listener.Addr().String(), testkit.Impatient())
		err := call.On(t.Context(), client)
		transport := requireUnsent(t, err, call)
		assert.Len(t, transport.Attempts, 3, "what was not sent is sent again, writes too")
		assert.Contains(t, err.Error(), "connection refused")
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Zero(t, usage.Used)
	})
}

// requireUnsent: the call failed without an answer, and the service cannot have seen it.
func requireUnsent(t *testing.T, err error, call testkit.Invocation) *drift.TransportError {
	t.Helper()
	transport := requireTransportError(t, err, call)
	assert.False(t, transport.Sent)
	for _, attempt := range transport.Attempts {
		assert.False(t, attempt.Sent)
	}
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	return transport
}

func requireTransportError(t *testing.T, err error, call testkit.Invocation) *drift.TransportError {
	t.Helper()
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.Equal(t, call.Operation.Name, transport.Operation)
	assert.Contains(t, err.Error(), call.Operation.Name)
	requirePageError(t, err, call)
	return transport
}

// requirePageError: sequences, and nothing else, wrap what went wrong.
func requirePageError(t *testing.T, err error, call testkit.Invocation) {
	t.Helper()
	var page *drift.PageError
	assert.Equal(t, call.Ranges(), errors.As(err, &page))
}

func TestEveryOperationNotFound(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusNotFound, ContentType: "application/json",
			Body: `{"error": {"type": "not_found", "message": "gone"}}`}
		err := call.On(t.Context(), testkit.Through(t, network.RoundTrip))
		require.ErrorIs(t, err, drift.ErrNotFound)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous)
		assert.EqualValues(t, 1, network.Requests.Load())
		requireAPIError(t, err, call, http.StatusNotFound)
		assert.Contains(t, err.Error(), "404 not_found: gone")
	})
}

func requireAPIError(t *testing.T, err error, call testkit.Invocation, status int) {
	t.Helper()
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, call.Labels(), drift.RequestInfo{Operation: api.Operation, Method: api.Method, Route: api.Route})
	assert.Equal(t, status, api.StatusCode)
	assert.Contains(t, err.Error(), call.Operation.Method+" "+call.Operation.Path)
	requirePageError(t, err, call)
}

// A second attempt that finds nothing to delete tells that the first one was applied.
func TestEveryDeleteThatIsSentAgainMayFindNothing(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		if !call.Deletes() {
			t.Skip("only a DELETE succeeds this way")
		}
		statuses := []int{http.StatusBadGateway, http.StatusNotFound}
		client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
			status := statuses[0]
			statuses = statuses[1:]
			return testkit.MemoryAnswer(req, status, "application/json", `{}`), nil
		}, testkit.Impatient())
		require.NoError(t, call.On(t.Context(), client))
		assert.Empty(t, statuses)
	})
}

func TestEveryOperationServerError(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		synctest.Test(t, func(t *testing.T) {
			network := &testkit.MemoryNetwork{Status: http.StatusInternalServerError, ContentType: "text/html", Body: "<html>Oops</html>"}
			err := call.On(t.Context(), testkit.Through(t, network.RoundTrip))
			require.ErrorIs(t, err, drift.ErrServer)
			assert.Equal(t, !call.Reads(), errors.Is(err, drift.ErrAmbiguous))
			assert.EqualValues(t, attemptsOf(call), network.Requests.Load())
			requireAPIError(t, err, call, http.StatusInternalServerError)
			assert.NotContains(t, err.Error(), "Oops")
		})
	})
}

// attemptsOf is how often a call is sent that may have been applied every time.
func attemptsOf(call testkit.Invocation) int {
	if call.Reads() || call.Deletes() {
		return 3
	}
	return 1
}

func TestEveryOperationEmptyBody(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) { checkUndecodable(t, call, "") })
}

func TestEveryOperationTruncatedJSON(t *testing.T) {
	for _, body := range []string{`{"data": {"id": 1`, `{"data": [{"id": 1}`, `{"data": {"id": 1}`, `{`, `[`} {
		testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) { checkUndecodable(t, call, body) })
	}
}

// checkUndecodable: an answer of success that does not hold what is due is an error, except where nothing is due. It is
// no reason to send a request again.
func checkUndecodable(t *testing.T, call testkit.Invocation, body string) {
	t.Helper()
	network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: "application/json", Body: body}
	err := call.On(t.Context(), testkit.Through(t, network.RoundTrip))
	assert.EqualValues(t, 1, network.Requests.Load())
	if call.TakesAnyBody() {
		require.NoError(t, err)
		return
	}
	var decode *drift.DecodeError
	require.ErrorAs(t, err, &decode)
	assert.Equal(t, call.Operation.Name, decode.Operation)
	assert.Contains(t, err.Error(), call.Operation.Name)
	assert.Equal(t, !call.Reads(), errors.Is(err, drift.ErrAmbiguous))
	requirePageError(t, err, call)
}

func TestEveryOperationTooLarge(t *testing.T) {
	const limit = 1000
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		body := `{"data": {"id": 1, "title": "` + strings.Repeat("x", limit) + `"}}`
		for _, length := range []int64{int64(len(body)), -1} {
			client := testkit.Through(t, func(req *http.Request) (*http.Response, error) {
				resp := testkit.MemoryAnswer(req, http.StatusOK, "application/json", body)
				resp.ContentLength = length
				return resp, nil
			}, drift.WithMaxResponseBytes(limit))
			err := call.On(t.Context(), client)
			if call.TakesAnyBody() && !call.TakesAnyText() {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, drift.ErrTooLarge)
			transport := requireTransportError(t, err, call)
			assert.True(t, transport.Sent)
			assert.Len(t, transport.Attempts, 1)
			assert.Equal(t, !call.Reads(), errors.Is(err, drift.ErrAmbiguous))
		}
	})
}

func TestEveryOperationHTML(t *testing.T) {
	for _, contentType := range []string{"text/html; charset=utf-8", "application/json", ""} {
		testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
			network := &testkit.MemoryNetwork{Status: http.StatusOK, ContentType: contentType, Body: "<!doctype html><title>Log in</title>"}
			err := call.On(t.Context(), testkit.Through(t, network.RoundTrip))
			assert.EqualValues(t, 1, network.Requests.Load())
			if call.TakesAnyBody() {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, drift.ErrUnexpectedContent)
			requireTransportError(t, err, call)
			assert.Equal(t, !call.Reads(), errors.Is(err, drift.ErrAmbiguous))
			assert.NotContains(t, err.Error(), "Log in")
		})
	}
}

func TestEveryOperationDroppedConnection(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if assert.NoError(t, err) {
			_ = conn.Close()
		}
	}))
	defer server.Close()
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		requests.Store(0)
		err := call.On(t.Context(), testkit.NewClient(t, server.URL, testkit.Impatient()))
		transport := requireTransportError(t, err, call)
		assert.True(t, transport.Sent)
		assert.Len(t, transport.Attempts, attemptsOf(call))
		assert.EqualValues(t, attemptsOf(call), requests.Load())
		assert.Equal(t, !call.Reads(), errors.Is(err, drift.ErrAmbiguous))
	})
}

func TestEveryOperationRedirected(t *testing.T) {
	trap, calls := testkit.TrapServer(t)
	var mu sync.Mutex
	var status, requests int
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		http.Redirect(w, r, trap+r.URL.Path, status)
	}))
	defer redirecting.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
			mu.Lock()
			status, requests = code, 0
			mu.Unlock()
			err := call.On(t.Context(), testkit.NewClient(t, redirecting.URL))
			transport := requireTransportError(t, err, call)
			assert.True(t, transport.Sent)
			assert.Equal(t, code, transport.Attempts[0].StatusCode)
			assert.Equal(t, code <= http.StatusSeeOther && !call.Reads(), errors.Is(err, drift.ErrAmbiguous),
				"307 and 308 ask for the same request elsewhere; the others may mean that it is done")
			assert.Contains(t, err.Error(), "redirect")
			assert.NotContains(t, err.Error(), trap)
			mu.Lock()
			assert.Equal(t, 1, requests)
			mu.Unlock()
		})
	}
	assert.Zero(t, calls())
}

func TestEveryOperationInvalidArgument(t *testing.T) {
	testkit.ForEveryOperation(t, func(t *testing.T, call testkit.Invocation) {
		network := &testkit.MemoryNetwork{Status: http.StatusOK}
		client := testkit.Through(t, network.RoundTrip)
		for n, argument := range call.Arguments {
			for _, bad := range badArguments(argument.Type()) {
				err := call.With(n, bad).On(t.Context(), client)
				require.ErrorIs(t, err, drift.ErrInvalid, "%#v", bad)
				var invalid *drift.ValidationError
				require.ErrorAs(t, err, &invalid)
				assert.Equal(t, call.Operation.Name, invalid.Operation)
				assert.NotEmpty(t, invalid.Argument)
				assert.NotEmpty(t, invalid.Reason)
				requirePageError(t, err, call)
			}
		}
		var noContext context.Context
		require.ErrorIs(t, call.On(noContext, client), drift.ErrInvalid)
		require.ErrorIs(t, call.On(t.Context(), client, drift.WithTimeout(-1)), drift.ErrInvalid)
		assert.Zero(t, network.Requests.Load())
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Zero(t, usage.Used)
	})
}

// badArguments are values that each must be refused.
func badArguments(t reflect.Type) (bad []reflect.Value) {
	switch t.Kind() {
	case reflect.Int64:
		for _, id := range []int64{0, -1} {
			bad = append(bad, reflect.ValueOf(id).Convert(t))
		}
	case reflect.String:
		if t == reflect.TypeFor[drift.Secret]() { // only an empty one is certainly wrong
			return append(bad, reflect.Zero(t))
		}
		for _, text := range []string{"", ".", "..", " ", "a@b\x00", "a@b\r\nX: y", "\xff@"} {
			bad = append(bad, reflect.ValueOf(text).Convert(t))
		}
	case reflect.Struct:
		if strings.HasSuffix(t.Name(), "Options") {
			for _, limit := range []int64{-1, 1001} {
				options := reflect.New(t).Elem()
				if field := options.FieldByName("Limit"); field.IsValid() {
					field.SetInt(limit)
					bad = append(bad, options)
				}
			}
			return bad
		}
		if spoiled := reflect.New(t).Elem(); spoil(spoiled) {
			bad = append(bad, spoiled)
		}
		if strings.HasSuffix(t.Name(), "UpdateRequest") {
			bad = append(bad, reflect.New(t).Elem()) // it sets nothing
		}
	}
	return bad
}

// spoil gives a field of a request a value that cannot be sent: a negative id or duration, or text that is not UTF-8.
// Some requests have no field for which there is one.
func spoil(request reflect.Value) bool {
	for i := range request.NumField() {
		field := request.Field(i)
		if optional, ok := testkit.AsOptional(field); ok {
			kind := field.Type().String()
			if strings.Contains(kind, "drift.ID") || strings.Contains(kind, "time.Duration") {
				return optional.UnmarshalJSON([]byte("-1")) == nil
			}
		} else if spoilPlain(field) {
			return true
		}
	}
	return false
}

func spoilPlain(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.Int64:
		field.SetInt(-1)
	case reflect.String:
		field.SetString("\xff")
	case reflect.Slice:
		field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		return spoilPlain(field.Index(0))
	default:
		return false
	}
	return true
}

func TestMethodsAreTheCatalogue(t *testing.T) {
	var got, want []string
	for service, methods := range testkit.Services() {
		for method := range methods.Methods() {
			got = append(got, service+"."+method.Name)
		}
	}
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			want = append(want, call.Service+"."+call.Method)
		}
	}
	assert.ElementsMatch(t, want, got)
}

// Every method takes a context, the arguments that the catalogue names, and call options.
func TestMethodSignatures(t *testing.T) {
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			signature := method(t, call).Type
			if assert.Equal(t, len(call.Arguments)+1, signature.NumIn(), "arguments of %s.%s", call.Service, call.Method) {
				assert.Equal(t, reflect.TypeFor[context.Context](), signature.In(0))
				assert.Equal(t, reflect.TypeFor[[]drift.CallOption](), signature.In(signature.NumIn()-1))
				assert.True(t, signature.IsVariadic())
			}
		}
	}
}

func method(t testing.TB, call testkit.GoCall) reflect.Method {
	t.Helper()
	service, ok := testkit.Services()[call.Service]
	require.True(t, ok, call.Service)
	found, ok := service.MethodByName(call.Method)
	require.True(t, ok, "%s.%s", call.Service, call.Method)
	return found
}

// spoken lists the parameters of an operation that no request or options type names: they are arguments of their own,
// or repeat one.
var spoken = map[string][]string{
	"conversations.listByStatus": {"status"},
	"messages.create":            {"conversation_id"},
	"contacts.upsertByEmail":     {"email"},
	"contacts.matchEmail":        {"email"},
	"driftbot.trigger":           {"conversation_id"},
}

func TestParameterNames(t *testing.T) {
	for _, op := range testkit.Catalogue(t) {
		t.Run(op.Name, func(t *testing.T) {
			tag := "json"
			if op.Method == "GET" {
				tag = "query"
			}
			for _, call := range op.Calls {
				names := spoken[op.Name]
				for _, argument := range testkit.StructArguments(method(t, call).Type) {
					names = append(slices.Clone(names), tagNames(t, argument, tag)...)
				}
				assert.ElementsMatch(t, op.Parameters, names, "%s.%s", call.Service, call.Method)
			}
		})
	}
}

// tagNames returns the names of a struct's fields on the wire. Only paging has none.
func tagNames(t *testing.T, of reflect.Type, tag string) []string {
	t.Helper()
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get(tag), ",")
		if name != "" {
			names = append(names, name)
			continue
		}
		assert.Contains(t, []string{"Limit int", "Cursor string"}, field.Name+" "+field.Type.String(), "%s", of)
		assert.Equal(t, "query", tag, "%s pages", of)
	}
	return names
}

// Every list pages, and nothing else does.
func TestListsPage(t *testing.T) {
	for _, op := range testkit.Catalogue(t) {
		for _, call := range op.Calls {
			for _, argument := range testkit.StructArguments(method(t, call).Type) {
				_, hasLimit := argument.FieldByName("Limit")
				_, hasCursor := argument.FieldByName("Cursor")
				isList := len(op.Calls) == 2 // one page, and all of them
				assert.Equal(t, isList, hasLimit, "%s", argument)
				assert.Equal(t, isList, hasCursor, "%s", argument)
			}
		}
	}
}

// A record is never a request.
func TestRequestsAreNoRecords(t *testing.T) {
	for _, service := range testkit.Services() {
		for method := range service.Methods() {
			for _, argument := range testkit.StructArguments(method.Type) {
				assert.Regexp(t, "(Request|Options)$", argument.Name())
			}
		}
	}
}

// goldenCall is a call of one operation with every parameter set. It returns the record, or the page's items and
// cursor.
type goldenCall func(ctx context.Context, c *drift.Client) (any, error)

func instant(seconds int64) time.Time { return time.UnixMilli(1767225600123 + 1000*seconds) }

var (
	goldenAttributes = drift.Attributes{"plan": "pro", "seats": 12, "active": true}
	goldenBody       = "<p>Hello & welcome</p>"
	goldenLabels     = []string{"hot", "eu"}
	goldenTags       = []string{"vip", "a&b=c"}
)

// goldenCalls has one call for every operation of the catalogue. The calls stand in the test files of the resources.
func goldenCalls() map[string]goldenCall {
	calls := map[string]goldenCall{}
	for _, resource := range []map[string]goldenCall{
		conversationCalls, messageCalls, contactCalls, noteCalls,
		tagCalls, companyCalls, meetingCalls, driftbotCalls,
	} {
		maps.Copy(calls, resource)
	}
	return calls
}

// pageOf is a page whose item type is of no interest.
type pageOf struct {
	items any
	next  string
}

func page[T any](p *drift.Page[T], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return pageOf{p.Items, p.Next}, nil
}

// nextCursors are the cursors that the answers of a list hold: a bare array has none.
var nextCursors = map[string]string{"snake": "cursor-2", "camel": "cursor-2", "bare": ""}

func TestGolden(t *testing.T) {
	calls := goldenCalls()
	for _, op := range testkit.Catalogue(t) {
		t.Run(op.Name, func(t *testing.T) {
			call, ok := calls[op.Name]
			require.True(t, ok, "no call of this operation")
			snake := goldenExchange(t, op, "snake", call)
			testkit.CompareGolden(t, filepath.Join("testdata", op.Name), "record.golden", testkit.Indented(t, snake))
			testkit.AssertEveryField(t, reflect.ValueOf(snake))
			for _, form := range []string{"camel", "bare"} {
				record := goldenExchange(t, op, form, call)
				assert.Equal(t, snake, record, form)
				assert.Equal(t, string(testkit.Indented(t, snake)), string(testkit.Indented(t, record)), form)
			}
		})
	}
	assert.Len(t, calls, len(testkit.Catalogue(t)), "no call of another operation")
}

// goldenExchange makes a call that is answered in one of the accepted forms, and returns the record or the page's
// items.
func goldenExchange(t *testing.T, op testkit.Operation, form string, call goldenCall) any {
	t.Helper()
	var request []byte
	client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		request = testkit.RequestText(t, r)
		testkit.Respond(http.StatusOK, string(testkit.GoldenFile(t, "testdata", op.Name, form+".json")))(w, r)
	})
	result, err := call(t.Context(), client)
	require.NoError(t, err, form)
	testkit.CompareGolden(t, filepath.Join("testdata", op.Name), "request.golden", request)
	assertParameters(t, op, request)
	if page, ok := result.(pageOf); ok {
		assert.Equal(t, nextCursors[form], page.next, form)
		return page.items
	}
	return result
}

var mapKey = regexp.MustCompile(`\[.*\]$`)

// assertParameters holds the names that a request sent against the catalogue: all of them, and no others but for
// paging.
func assertParameters(t *testing.T, op testkit.Operation, request []byte) {
	t.Helper()
	head, body, _ := bytes.Cut(request, []byte("\n\n"))
	uri, err := url.Parse(strings.Fields(string(head))[1])
	require.NoError(t, err)
	names := map[string]bool{}
	for name := range uri.Query() {
		names[mapKey.ReplaceAllString(name, "")] = true
	}
	var fields map[string]json.RawMessage
	if len(body) > 0 {
		require.NoError(t, json.Unmarshal(body, &fields))
	}
	for name := range fields {
		names[name] = true
	}
	if op.Name == "conversations.listByStatus" {
		names["status"] = true // in the path
	}
	delete(names, "limit")
	delete(names, "next")
	assert.ElementsMatch(t, op.Parameters, slices.Collect(maps.Keys(names)))
}

// Every folder belongs to an operation.
func TestGoldenFolders(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != "fuzz" && entry.Name() != "classic" {
			assert.Contains(t, goldenCalls(), entry.Name())
		}
	}
}

// What is absent is not sent: not even the empty list of a POST, nor a zero instant.
func TestZeroRequestsSendNothing(t *testing.T) {
	calls := map[string]goldenCall{
		"conversations": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Conversations.Create(ctx, drift.ConversationCreateRequest{Labels: []string{}, Tags: []string{}, Users: []drift.UserID{}})
		},
		"from scratch": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Conversations.CreateFromScratch(ctx, drift.ConversationCreateFromScratchRequest{CustomAttributes: drift.Attributes{}})
		},
		"contacts": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Contacts.Create(ctx, drift.ContactCreateRequest{})
		},
		"tags": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Tags.Create(ctx, drift.TagCreateRequest{})
		},
		"meetings": func(ctx context.Context, c *drift.Client) (any, error) {
			return c.Meetings.Create(ctx, drift.MeetingCreateRequest{})
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			client := testkit.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				assert.Equal(t, "{}", string(body))
				testkit.Respond(http.StatusOK, `{"id":1}`)(w, r)
			})
			_, err := call(t.Context(), client)
			require.NoError(t, err)
		})
	}
}
