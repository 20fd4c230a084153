package drift_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
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
)

// invocation is a method of a service with arguments that are fine.
type invocation struct {
	service, method string
	index           int // of the method in the service's interface
	arguments       []reflect.Value

	operation operation
}

func (i invocation) reads() bool   { return i.operation.method == http.MethodGet }
func (i invocation) deletes() bool { return i.operation.method == http.MethodDelete }

// ranges reports whether the method answers with a sequence.
func (i invocation) ranges() bool { return strings.HasPrefix(i.method, "All") }

// labels is how hooks name the call.
func (i invocation) labels() drift.RequestInfo {
	return drift.RequestInfo{Operation: i.operation.name, Method: i.operation.method, Route: i.operation.path}
}

// invocations lists every method of every service. Which operation a method serves is found by calling it once.
func invocations(t testing.TB) []invocation {
	t.Helper()
	operations := catalogue(t)
	var found []invocation
	for _, field := range reflect.VisibleFields(reflect.TypeFor[drift.Client]()) {
		if field.Type.Kind() != reflect.Interface || !field.IsExported() {
			continue
		}
		for i := range field.Type.NumMethod() {
			method := field.Type.Method(i)
			call := invocation{service: field.Name, method: method.Name, index: i}
			for n := 1; n < method.Type.NumIn()-1; n++ { // the context comes first, the call options come last
				call.arguments = append(call.arguments, goodArgument(method.Type.In(n), n))
			}
			name := operationOf(t, call)
			at := slices.IndexFunc(operations, func(o operation) bool { return o.name == name })
			require.GreaterOrEqual(t, at, 0, "%s.%s serves %q, which the catalogue does not have", field.Name, method.Name, name)
			call.operation = operations[at]
			found = append(found, call)
		}
	}
	return found
}

// operationOf asks the hook of a client whose network is down.
func operationOf(t testing.TB, call invocation) (name string) {
	t.Helper()
	client := through(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("no network") },
		drift.WithoutRetry(), drift.WithHooks(drift.Hooks{Request: func(r drift.RequestInfo) { name = r.Operation }}))
	require.ErrorAs(t, call.on(t.Context(), client), new(*drift.TransportError))
	return name
}

// goodArgument makes an argument that can be sent: 1 as an id, an address as a string, a request with a field set.
func goodArgument(t reflect.Type, n int) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Int64:
		v.SetInt(1)
	case reflect.String:
		v.SetString("ada@example.com")
	case reflect.Struct:
		if email := v.FieldByName("Email"); email.IsValid() && !strings.HasSuffix(t.Name(), "Options") {
			if email.Kind() == reflect.String {
				email.SetString("ada@example.com")
			}
		}
		setFirstOptional(v)
	}
	return v
}

// setFirstOptional clears one field of a PATCH request, so that it sets something.
func setFirstOptional(request reflect.Value) {
	for i := range request.NumField() {
		if optional, ok := asOptional(request.Field(i)); ok {
			_ = optional.UnmarshalJSON([]byte("null"))
			return
		}
	}
}

func asOptional(field reflect.Value) (json.Unmarshaler, bool) {
	optional, ok := field.Addr().Interface().(interface {
		json.Unmarshaler
		IsNull() bool
	})
	return optional, ok
}

// on calls the method, and ranges over its sequence where it returns one.
func (i invocation) on(ctx context.Context, client *drift.Client, opts ...drift.CallOption) error {
	method := reflect.ValueOf(client).Elem().FieldByName(i.service).Method(i.index)
	arguments := append([]reflect.Value{reflect.ValueOf(&ctx).Elem()}, i.arguments...)
	for _, o := range opts {
		arguments = append(arguments, reflect.ValueOf(o))
	}
	results := method.Call(arguments)
	last := results[len(results)-1]
	if last.Kind() == reflect.Func {
		return rangeOver(last)
	}
	err, _ := last.Interface().(error)
	return err
}

// rangeOver returns the error that ends a sequence.
func rangeOver(seq reflect.Value) (err error) {
	yield := reflect.MakeFunc(seq.Type().In(0), func(pair []reflect.Value) []reflect.Value {
		if e, ok := pair[1].Interface().(error); ok {
			err = e
		}
		return []reflect.Value{reflect.ValueOf(true)}
	})
	seq.Call([]reflect.Value{yield})
	return err
}

// with returns the invocation with another argument in place n.
func (i invocation) with(n int, argument reflect.Value) invocation {
	i.arguments = slices.Clone(i.arguments)
	i.arguments[n] = argument
	return i
}

func forEveryOperation(t *testing.T, check func(*testing.T, invocation)) {
	t.Helper()
	for _, call := range invocations(t) {
		t.Run(call.service+"."+call.method, func(t *testing.T) { check(t, call) })
	}
}

// memoryNetwork answers in memory and counts.
type memoryNetwork struct {
	status      int
	contentType string
	body        string
	requests    atomic.Int32
}

func (n *memoryNetwork) roundTrip(req *http.Request) (*http.Response, error) {
	n.requests.Add(1)
	return memoryAnswer(req, n.status, n.contentType, n.body), nil
}

func memoryAnswer(req *http.Request, status int, contentType, body string) *http.Response {
	header := http.Header{}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// impatient keeps the retries and takes out their delays.
func impatient() drift.Option {
	return drift.WithRetry(drift.RetryPolicy{MinBackoff: 1, MaxBackoff: 1})
}

func TestEveryOperationIsReached(t *testing.T) {
	var want, reached []string
	for _, o := range catalogue(t) {
		want = append(want, o.name)
	}
	var ranged int
	for _, call := range invocations(t) {
		reached = append(reached, call.operation.name)
		if call.ranges() {
			ranged++
		}
	}
	assert.Equal(t, 6, ranged, "methods that return a sequence")
	slices.Sort(want)
	slices.Sort(reached)
	assert.Equal(t, want, slices.Compact(reached))
}

func TestEveryOperationSucceeds(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusOK, contentType: "application/json", body: `{"data": {"id": "1"}}`}
		if strings.Contains(call.operation.name, ".list") {
			network.body = `{"data": [{"id": "1"}]}`
		}
		var infos []drift.RequestInfo
		client := through(t, network.roundTrip, drift.WithHooks(drift.Hooks{Request: func(r drift.RequestInfo) { infos = append(infos, r) }}))
		require.NoError(t, call.on(t.Context(), client))
		assert.EqualValues(t, 1, network.requests.Load())
		assert.Equal(t, []drift.RequestInfo{call.labels()}, infos)
	})
}

func TestEveryOperationCancelledBefore(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusOK}
		client := through(t, network.roundTrip)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := call.on(ctx, client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, context.Canceled)
		assert.Zero(t, network.requests.Load())
	})
}

func TestEveryOperationDeadlineOver(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusOK}
		client := through(t, network.roundTrip)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		err := call.on(ctx, client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Zero(t, network.requests.Load())
	})
}

func TestEveryOperationOnClosedClient(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusOK}
		client := through(t, network.roundTrip)
		require.NoError(t, client.Close())
		err := call.on(t.Context(), client)
		requireUnsent(t, err, call)
		require.ErrorIs(t, err, drift.ErrClosed)
		assert.Zero(t, network.requests.Load())
	})
}

func TestEveryOperationConnectionRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	forEveryOperation(t, func(t *testing.T, call invocation) {
		client := newClient(t, "http://"+listener.Addr().String(), impatient())
		err := call.on(t.Context(), client)
		transport := requireUnsent(t, err, call)
		assert.Len(t, transport.Attempts, 3, "what was not sent is sent again, writes too")
		assert.Contains(t, err.Error(), "connection refused")
		usage, err := client.Quota(t.Context())
		require.NoError(t, err)
		assert.Zero(t, usage.Used)
	})
}

// requireUnsent: the call failed without an answer, and the service cannot have seen it.
func requireUnsent(t *testing.T, err error, call invocation) *drift.TransportError {
	t.Helper()
	transport := requireTransportError(t, err, call)
	assert.False(t, transport.Sent)
	for _, attempt := range transport.Attempts {
		assert.False(t, attempt.Sent)
	}
	assert.NotErrorIs(t, err, drift.ErrAmbiguous)
	return transport
}

func requireTransportError(t *testing.T, err error, call invocation) *drift.TransportError {
	t.Helper()
	var transport *drift.TransportError
	require.ErrorAs(t, err, &transport)
	assert.Equal(t, call.operation.name, transport.Operation)
	assert.Contains(t, err.Error(), call.operation.name)
	requirePageError(t, err, call)
	return transport
}

// requirePageError: sequences, and nothing else, wrap what went wrong.
func requirePageError(t *testing.T, err error, call invocation) {
	t.Helper()
	var page *drift.PageError
	assert.Equal(t, call.ranges(), errors.As(err, &page))
}

func TestEveryOperationNotFound(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusNotFound, contentType: "application/json",
			body: `{"error": {"type": "not_found", "message": "gone"}}`}
		err := call.on(t.Context(), through(t, network.roundTrip))
		require.ErrorIs(t, err, drift.ErrNotFound)
		assert.NotErrorIs(t, err, drift.ErrAmbiguous)
		assert.EqualValues(t, 1, network.requests.Load())
		requireAPIError(t, err, call, http.StatusNotFound)
		assert.Contains(t, err.Error(), "404 not_found: gone")
	})
}

func requireAPIError(t *testing.T, err error, call invocation, status int) {
	t.Helper()
	var api *drift.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, call.labels(), drift.RequestInfo{Operation: api.Operation, Method: api.Method, Route: api.Route})
	assert.Equal(t, status, api.StatusCode)
	assert.Contains(t, err.Error(), call.operation.method+" "+call.operation.path)
	requirePageError(t, err, call)
}

// A second attempt that finds nothing to delete tells that the first one was applied.
func TestEveryDeleteThatIsSentAgainMayFindNothing(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		if !call.deletes() {
			t.Skip("only a DELETE succeeds this way")
		}
		statuses := []int{http.StatusBadGateway, http.StatusNotFound}
		client := through(t, func(req *http.Request) (*http.Response, error) {
			status := statuses[0]
			statuses = statuses[1:]
			return memoryAnswer(req, status, "application/json", `{}`), nil
		}, impatient())
		require.NoError(t, call.on(t.Context(), client))
		assert.Empty(t, statuses)
	})
}

func TestEveryOperationServerError(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) {
		synctest.Test(t, func(t *testing.T) {
			network := &memoryNetwork{status: http.StatusInternalServerError, contentType: "text/html", body: "<html>Oops</html>"}
			err := call.on(t.Context(), through(t, network.roundTrip))
			require.ErrorIs(t, err, drift.ErrServer)
			assert.Equal(t, !call.reads(), errors.Is(err, drift.ErrAmbiguous))
			assert.EqualValues(t, attemptsOf(call), network.requests.Load())
			requireAPIError(t, err, call, http.StatusInternalServerError)
			assert.NotContains(t, err.Error(), "Oops")
		})
	})
}

// attemptsOf is how often a call is sent that may have been applied every time.
func attemptsOf(call invocation) int {
	if call.reads() || call.deletes() {
		return 3
	}
	return 1
}

func TestEveryOperationEmptyBody(t *testing.T) {
	forEveryOperation(t, func(t *testing.T, call invocation) { checkUndecodable(t, call, "") })
}

func TestEveryOperationTruncatedJSON(t *testing.T) {
	for _, body := range []string{`{"data": {"id": 1`, `{"data": [{"id": 1}`, `{"data": {"id": 1}`, `{`, `[`} {
		forEveryOperation(t, func(t *testing.T, call invocation) { checkUndecodable(t, call, body) })
	}
}

// checkUndecodable: an answer of success that does not hold what is due is an error, except where nothing is due. It is no
// reason to send a request again.
func checkUndecodable(t *testing.T, call invocation, body string) {
	t.Helper()
	network := &memoryNetwork{status: http.StatusOK, contentType: "application/json", body: body}
	err := call.on(t.Context(), through(t, network.roundTrip))
	assert.EqualValues(t, 1, network.requests.Load())
	if call.deletes() {
		require.NoError(t, err)
		return
	}
	var decode *drift.DecodeError
	require.ErrorAs(t, err, &decode)
	assert.Equal(t, call.operation.name, decode.Operation)
	assert.Contains(t, err.Error(), call.operation.name)
	assert.Equal(t, !call.reads(), errors.Is(err, drift.ErrAmbiguous))
	requirePageError(t, err, call)
}

func TestEveryOperationTooLarge(t *testing.T) {
	const limit = 1000
	forEveryOperation(t, func(t *testing.T, call invocation) {
		body := `{"data": {"id": 1, "title": "` + strings.Repeat("x", limit) + `"}}`
		for _, length := range []int64{int64(len(body)), -1} {
			client := through(t, func(req *http.Request) (*http.Response, error) {
				resp := memoryAnswer(req, http.StatusOK, "application/json", body)
				resp.ContentLength = length
				return resp, nil
			}, drift.WithMaxResponseBytes(limit))
			err := call.on(t.Context(), client)
			if call.deletes() { // which succeeds with any body
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, drift.ErrTooLarge)
			transport := requireTransportError(t, err, call)
			assert.True(t, transport.Sent)
			assert.Len(t, transport.Attempts, 1)
			assert.Equal(t, !call.reads(), errors.Is(err, drift.ErrAmbiguous))
		}
	})
}

func TestEveryOperationHTML(t *testing.T) {
	for _, contentType := range []string{"text/html; charset=utf-8", "application/json", ""} {
		forEveryOperation(t, func(t *testing.T, call invocation) {
			network := &memoryNetwork{status: http.StatusOK, contentType: contentType, body: "<!doctype html><title>Log in</title>"}
			err := call.on(t.Context(), through(t, network.roundTrip))
			assert.EqualValues(t, 1, network.requests.Load())
			if call.deletes() {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, drift.ErrUnexpectedContent)
			requireTransportError(t, err, call)
			assert.Equal(t, !call.reads(), errors.Is(err, drift.ErrAmbiguous))
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
	forEveryOperation(t, func(t *testing.T, call invocation) {
		requests.Store(0)
		err := call.on(t.Context(), newClient(t, server.URL, impatient()))
		transport := requireTransportError(t, err, call)
		assert.True(t, transport.Sent)
		assert.Len(t, transport.Attempts, attemptsOf(call))
		assert.EqualValues(t, attemptsOf(call), requests.Load())
		assert.Equal(t, !call.reads(), errors.Is(err, drift.ErrAmbiguous))
	})
}

// trapServer must not be called: it counts connections, and calls reports them.
func trapServer(t testing.TB) (url string, calls func() int) {
	t.Helper()
	var connections atomic.Int32
	trap := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	trap.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	trap.Start()
	t.Cleanup(trap.Close)
	return trap.URL, func() int { return int(connections.Load()) }
}

func TestTrapServerCounts(t *testing.T) {
	trap, calls := trapServer(t)
	redirecting := httptest.NewServer(http.RedirectHandler(trap, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	resp, err := redirecting.Client().Get(redirecting.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	redirecting.Client().CloseIdleConnections()
	assert.Equal(t, 1, calls(), "an ordinary client falls into the trap")
}

func TestEveryOperationRedirected(t *testing.T) {
	trap, calls := trapServer(t)
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
		forEveryOperation(t, func(t *testing.T, call invocation) {
			mu.Lock()
			status, requests = code, 0
			mu.Unlock()
			err := call.on(t.Context(), newClient(t, redirecting.URL))
			transport := requireTransportError(t, err, call)
			assert.True(t, transport.Sent)
			assert.Equal(t, code, transport.Attempts[0].StatusCode)
			assert.Equal(t, code <= http.StatusSeeOther && !call.reads(), errors.Is(err, drift.ErrAmbiguous),
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
	forEveryOperation(t, func(t *testing.T, call invocation) {
		network := &memoryNetwork{status: http.StatusOK}
		client := through(t, network.roundTrip)
		for n, argument := range call.arguments {
			for _, bad := range badArguments(argument.Type()) {
				err := call.with(n, bad).on(t.Context(), client)
				require.ErrorIs(t, err, drift.ErrInvalid, "%#v", bad)
				var invalid *drift.ValidationError
				require.ErrorAs(t, err, &invalid)
				assert.Equal(t, call.operation.name, invalid.Operation)
				assert.NotEmpty(t, invalid.Argument)
				assert.NotEmpty(t, invalid.Reason)
				requirePageError(t, err, call)
			}
		}
		var noContext context.Context
		require.ErrorIs(t, call.on(noContext, client), drift.ErrInvalid)
		require.ErrorIs(t, call.on(t.Context(), client, drift.WithTimeout(-1)), drift.ErrInvalid)
		assert.Zero(t, network.requests.Load())
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
		for _, text := range []string{"", ".", "..", " ", "a@b\x00", "a@b\r\nX: y", "\xff@"} {
			bad = append(bad, reflect.ValueOf(text).Convert(t))
		}
	case reflect.Struct:
		if strings.HasSuffix(t.Name(), "Options") {
			for _, limit := range []int64{-1, 101} {
				options := reflect.New(t).Elem()
				options.FieldByName("Limit").SetInt(limit)
				bad = append(bad, options)
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

// spoil gives a field of a request a value that cannot be sent: a negative id or duration, or text that is not UTF-8. Some
// requests have no field for which there is one.
func spoil(request reflect.Value) bool {
	for i := range request.NumField() {
		field := request.Field(i)
		if optional, ok := asOptional(field); ok {
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

// openLimiter lets every attempt pass, for tests of many calls.
type openLimiter struct{}

func (openLimiter) Acquire(context.Context, drift.Class) (drift.Slot, error) { return openSlot{}, nil }
func (openLimiter) Pause(time.Time)                                          {}

type openSlot struct{}

func (openSlot) Done(drift.Outcome) {}
